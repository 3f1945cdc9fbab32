//! Runs the program on a bare Cortex-M: vector table, marked stack, semihosting.
#![no_std]
#![no_main]
#![cfg(target_arch = "arm")]

use bare_metal::{COUNTED, PAINT, Program, Steps, painted, report, run};
use core::arch::{asm, global_asm};

static mut PROGRAM: Program = Program::ZEROS;

unsafe extern "C" {
    static _bss_end: u8;
    static _stack_top: u8;
}

// The stack pointer and the entry point. The start-up code clears `.bss` and marks the rest of the RAM as unused stack.
global_asm!(
    ".section .vectors, \"a\"",
    ".word _stack_top",
    ".word _start",
    ".text",
    ".globl _start",
    ".type _start, %function",
    ".thumb_func",
    "_start:",
    "ldr r0, =_bss_start",
    "ldr r1, =_bss_end",
    "ldr r2, =_stack_top",
    "movs r3, #0",
    "b 2f",
    "1: stmia r0!, {{r3}}",
    "2: cmp r0, r1",
    "blo 1b",
    "ldr r3, =0x01010101 * {paint}",
    "3: stmia r0!, {{r3}}",
    "cmp r0, r2",
    "blo 3b",
    "bl main",
    paint = const PAINT,
);

fn semihosting(operation: usize, argument: *const u32) {
    unsafe { asm!("bkpt #0xab", inlateout("r0") operation => _, in("r1") argument) };
}

/// Turns SysTick, which counts 24 bits down, into a counter that counts up and wraps at 32 bits.
fn ticks() -> u32 {
    !unsafe { (0xE000_E018 as *const u32).read_volatile() } << 8
}

/// A nanosecond is an instruction under `-icount shift=0`, and SysTick runs at 25 MHz on the MPS2
/// with its Cortex-M4F, at 16 MHz on the micro:bit with its Cortex-M0.
const INSTRUCTIONS: (u32, u32) = if cfg!(target_abi = "eabihf") { (40, 1) } else { (125, 2) };

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    #[cfg(target_abi = "eabihf")]
    unsafe {
        // Enable the floating-point unit.
        (0xE000_ED88 as *mut u32).write_volatile(0xF << 20);
        asm!("dsb", "isb");
    }
    unsafe {
        (0xE000_E014 as *mut u32).write_volatile(0xFF_FFFF);
        (0xE000_E010 as *mut u32).write_volatile(5);
    }
    work()
}

/// A function of its own, because it may save floating-point registers before anything else.
#[inline(never)]
fn work() -> ! {
    let outcome = run(unsafe { &mut *&raw mut PROGRAM }, ticks);
    let (bottom, top) = (&raw const _bss_end, &raw const _stack_top);
    let len = top as usize - bottom as usize;
    let stack = len - unsafe { painted(bottom, len) };
    let instructions = (outcome.ticks >> 8) * INSTRUCTIONS.0 / INSTRUCTIONS.1 / COUNTED;
    // SYS_WRITEC
    report(&outcome, stack, instructions, &mut |byte| semihosting(3, (&raw const byte).cast()));
    // SYS_EXIT_EXTENDED: ends the program with this code.
    semihosting(0x20, [0x20026, u32::from(!outcome.learned)].as_ptr());
    loop {}
}
