//! What a chip runs: a small net learns in memory that the linker knows. Each board's `src/bin` file
//! is start-up code around [`run`].
#![no_std]

use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};

#[cfg(feature = "xor")]
mod xor;
#[cfg(feature = "xor")]
pub use xor::Xor as Program;

#[cfg(feature = "sine")]
mod sine;
#[cfg(feature = "sine")]
pub use sine::Sine as Program;

#[cfg(feature = "digits")]
mod digits;
#[cfg(feature = "digits")]
pub use digits::Digits as Program;

#[cfg(feature = "lenet")]
mod lenet;
#[cfg(feature = "lenet")]
pub use lenet::LeNet as Program;

#[cfg(any(feature = "digits", feature = "lenet"))]
mod pictures;

#[cfg(feature = "fit")]
mod fit;
#[cfg(feature = "fit")]
pub use fit::Fitting as Program;

#[cfg(feature = "predict")]
mod predict;
#[cfg(feature = "predict")]
pub use predict::Predict as Program;

/// What a program does over and over, in memory of its own.
pub trait Steps {
    /// The memory before it begins: all zeros, so that it takes RAM and no flash.
    const ZEROS: Self;
    /// What the constants of the crate promise for it.
    const PROMISED: usize;
    /// How often it steps.
    const STEPS: u32;

    fn begin(&mut self, rng: &mut Xoshiro128PlusPlus);
    /// The loss before the step.
    fn step(&mut self, rng: &mut Xoshiro128PlusPlus) -> f32;
    fn learned(&self, last: f32) -> bool;
}

/// What a run has come to.
#[derive(Clone, Copy)]
pub struct Outcome {
    first: f32,
    last: f32,
    /// What was counted.
    pub ticks: u32,
    pub learned: bool,
}

/// sin πx for x from -1 to 1, to 0.002, after Bhaskara: libm's own would be half of the flash.
pub const fn wave(x: f32) -> f32 {
    let arch = x.abs() * (1.0 - x.abs());
    (16.0 * arch / (5.0 - 4.0 * arch)).copysign(x)
}

/// So many steps, the first ones, are counted.
pub const COUNTED: u32 = 16;

/// Takes all steps. `ticks` is the board's counter, which may wrap.
pub fn run(program: &mut Program, ticks: impl Fn() -> u32) -> Outcome {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(1);
    program.begin(&mut rng);
    let (mut first, mut last) = (0.0, 0.0);
    let (start, mut end) = (ticks(), 0);
    for step in 0..Program::STEPS {
        let loss = program.step(&mut rng);
        if step == 0 {
            first = loss;
        }
        if step == COUNTED - 1 {
            end = ticks();
        }
        // The mean of the last 64, as one batch says little.
        last += (loss - last) / if step < Program::STEPS - 64 { 1.0 } else { 64.0 };
    }
    let learned = program.learned(last);
    #[cfg(feature = "plant-panic")]
    assert!(last.to_bits() % 251 != 7);
    #[cfg(feature = "plant-allocation")]
    {
        extern crate alloc;
        core::hint::black_box(alloc::boxed::Box::new(end));
    }
    Outcome { first, last, ticks: end.wrapping_sub(start), learned }
}

/// Writes `label number` and a line's end, without `core::fmt`, byte after byte.
fn line(label: &str, number: u32, put: &mut impl FnMut(u8)) {
    label.bytes().chain([b' ']).for_each(&mut *put);
    let (mut power, mut begun) = (1_000_000_000, false);
    while power > 0 {
        let digit = (number / power % 10) as u8;
        begun |= digit > 0 || power == 1;
        if begun {
            put(b'0' + digit);
        }
        power /= 10;
    }
    put(b'\n');
}

/// All that a board says of a run. Losses are in millionths, and the last one in bits too, by which
/// boards are compared. `instructions` are those of a step, 0 where they cannot be counted.
pub fn report(outcome: &Outcome, stack: usize, instructions: u32, put: &mut impl FnMut(u8)) {
    let millionths = |loss: f32| (loss * 1e6) as u32;
    line("first", millionths(outcome.first), put);
    line("last", millionths(outcome.last), put);
    line("bits", outcome.last.to_bits(), put);
    line("instructions", instructions, put);
    line("static", size_of::<Program>() as u32, put);
    line("promised", Program::PROMISED as u32, put);
    line("stack", stack as u32, put);
    line("learned", outcome.learned.into(), put);
}

/// Paint for a stack that is yet to be used.
pub const PAINT: u8 = 0xA5;

/// How many bytes from `bottom` on are painted still, of `len`.
///
/// # Safety
/// They may be read.
pub unsafe fn painted(bottom: *const u8, len: usize) -> usize {
    let mut free = 0;
    while free < len && unsafe { bottom.add(free).read_volatile() } == PAINT {
        free += 1;
    }
    free
}

/// A program links only if no panic is left in it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe extern "C" {
        fn this_program_can_panic() -> !;
    }
    unsafe { this_program_can_panic() }
}
