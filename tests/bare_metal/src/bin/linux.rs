//! Runs the program on x86-64 Linux without libc: its own `_start`, raw system calls, a marked stack.
#![no_std]
#![no_main]
#![cfg(target_arch = "x86_64")]

use bare_metal::{PAINT, Program, Steps, painted, report, run};
use core::arch::{asm, global_asm};

const STACK: usize = 64 * 1024;

#[repr(C, align(64))]
struct Stack([u8; STACK]);

#[unsafe(no_mangle)]
static mut STACK_MEMORY: Stack = Stack([0; STACK]);
static mut PROGRAM: Program = Program::ZEROS;

global_asm!(
    ".globl _start",
    "_start:",
    "lea rdi, [rip + STACK_MEMORY]",
    "mov rcx, {size}",
    "mov al, {paint}",
    "rep stosb",
    "lea rsp, [rip + STACK_MEMORY + {size}]",
    "xor ebp, ebp",
    "call main_on_stack",
    "ud2",
    size = const STACK,
    paint = const PAINT,
);

fn syscall(number: usize, a: usize, b: usize, c: usize) {
    unsafe {
        asm!("syscall", inlateout("rax") number => _, in("rdi") a, in("rsi") b, in("rdx") c,
             lateout("rcx") _, lateout("r11") _);
    }
}

fn exit(code: usize) -> ! {
    syscall(231, code, 0, 0);
    loop {}
}

#[unsafe(no_mangle)]
extern "C" fn main_on_stack() -> ! {
    let outcome = run(unsafe { &mut *&raw mut PROGRAM }, || 0);
    let free = unsafe { painted((&raw const STACK_MEMORY).cast(), STACK) };
    report(&outcome, STACK - free, 0, &mut |byte| syscall(1, 1, (&raw const byte) as usize, 1));
    exit(usize::from(!outcome.learned))
}

// The functions of libc that the compiled `core` needs.
global_asm!(
    ".globl memcpy",
    "memcpy: mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    ".globl memset",
    "memset: mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    ".globl memmove",
    "memmove: mov rax, rdi",
    "mov rcx, rdx",
    "cmp rdi, rsi",
    "jbe 2f",
    "lea rdi, [rdi + rcx - 1]",
    "lea rsi, [rsi + rcx - 1]",
    "std",
    "rep movsb",
    "cld",
    "ret",
    "2: rep movsb",
    "ret",
);

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
