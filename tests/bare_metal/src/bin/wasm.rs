//! Runs the program in a WebAssembly runtime, which provides one function that takes a byte.
#![no_std]
#![no_main]
#![cfg(target_arch = "wasm32")]

use bare_metal::{PAINT, Program, Steps, painted, report, run};

static mut PROGRAM: Program = Program::ZEROS;

#[link(wasm_import_module = "board")]
unsafe extern "C" {
    fn put(byte: u32);
}

/// Returns whether the net learned. The stack contains only variables that have an address. A program cannot
/// measure where WebAssembly keeps the others.
#[unsafe(no_mangle)]
extern "C" fn main() -> bool {
    let top = core::hint::black_box(&0_u64) as *const u64 as usize;
    let bottom = 64;
    let len = top - bottom - 64;
    for at in bottom..bottom + len {
        unsafe { (at as *mut u8).write_volatile(PAINT) };
    }
    let outcome = run(unsafe { &mut *&raw mut PROGRAM }, || 0);
    let stack = top - bottom - unsafe { painted(bottom as *const u8, len) };
    report(&outcome, stack, 0, &mut |byte| unsafe { put(byte.into()) });
    outcome.learned
}
