//! Runs the program on QEMU's `virt` with an RV32IMC: its own start-up code, a marked stack, the UART.
#![no_std]
#![no_main]
#![cfg(target_arch = "riscv32")]

use bare_metal::{COUNTED, PAINT, Program, Steps, painted, report, run};
use core::arch::{asm, global_asm};

static mut PROGRAM: Program = Program::ZEROS;

unsafe extern "C" {
    static _bss_end: u8;
    static _stack_top: u8;
}

// Clears `.bss`, and marks the rest of the RAM as unused stack.
global_asm!(
    ".section .start, \"ax\"",
    ".globl _start",
    "_start:",
    "la t0, _bss_start",
    "la t1, _bss_end",
    "la sp, _stack_top",
    "j 2f",
    "1: sw zero, (t0)",
    "addi t0, t0, 4",
    "2: bltu t0, t1, 1b",
    "li t1, 0x01010101 * {paint}",
    "3: sw t1, (t0)",
    "addi t0, t0, 4",
    "bltu t0, sp, 3b",
    "call main",
    paint = const PAINT,
);

/// The number of executed instructions, modulo 2³². Under `-icount shift=0` a cycle is an instruction, and QEMU
/// 7.2 leaves `minstret` at 0.
fn ticks() -> u32 {
    let count;
    unsafe { asm!("csrr {}, mcycle", out(reg) count) };
    count
}

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    let outcome = run(unsafe { &mut *&raw mut PROGRAM }, ticks);
    let (bottom, top) = (&raw const _bss_end, &raw const _stack_top);
    let len = top as usize - bottom as usize;
    let stack = len - unsafe { painted(bottom, len) };
    let uart = 0x1000_0000 as *mut u8;
    let mut put = |byte| unsafe { uart.write_volatile(byte) };
    report(&outcome, stack, outcome.ticks / COUNTED, &mut put);
    // The test device of QEMU, which ends the program: pass, or fail with a code.
    let end = if outcome.learned { 0x5555 } else { 1 << 16 | 0x3333 };
    unsafe { (0x10_0000 as *mut u32).write_volatile(end) };
    loop {}
}
