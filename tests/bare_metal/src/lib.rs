//! The program of a chip: a small net learns in memory that the linker knows. The `src/bin` file of each board
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

#[cfg(any(feature = "fit", feature = "friction"))]
mod fit;
#[cfg(any(feature = "fit", feature = "friction"))]
pub use fit::Fitting as Program;

#[cfg(feature = "predict")]
mod predict;
#[cfg(feature = "predict")]
pub use predict::Predict as Program;

#[cfg(feature = "exported")]
mod exported;
#[cfg(feature = "exported")]
pub use exported::Exported as Program;

/// A program: its memory, and the step that it repeats.
pub trait Steps {
    /// The memory before the start: all zeros, so that it takes RAM and no flash.
    const ZEROS: Self;
    /// The bytes that the constants of the crate promise for it.
    const PROMISED: usize;
    /// The number of steps.
    const STEPS: u32;

    fn begin(&mut self, rng: &mut Xoshiro128PlusPlus);
    /// The loss before the step.
    fn step(&mut self, rng: &mut Xoshiro128PlusPlus) -> f32;
    fn learned(&self, last: f32) -> bool;
}

/// The result of a run.
#[derive(Clone, Copy)]
pub struct Outcome {
    first: f32,
    last: f32,
    /// The ticks of the first [`COUNTED`] steps.
    pub ticks: u32,
    pub learned: bool,
}

/// sin πx for x from -1 to 1, to 0.002, after Bhaskara. The sine of libm would take half of the flash.
pub const fn wave(x: f32) -> f32 {
    let arch = x.abs() * (1.0 - x.abs());
    (16.0 * arch / (5.0 - 4.0 * arch)).copysign(x)
}

/// The number of first steps whose ticks are counted.
pub const COUNTED: u32 = 16;

/// Runs all steps. `ticks` reads the counter of the board, which may wrap.
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
        // The mean of the last 64 losses, because the loss of one batch says little.
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

/// Writes `label number` and a line end byte by byte, without `core::fmt`.
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

/// The report of a board about a run. Losses are in millionths. The last loss is in bits too, to compare boards.
/// `instructions` are those of a step, or 0 if the board cannot count them.
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

/// The byte that marks unused stack.
pub const PAINT: u8 = 0xA5;

/// How many of the `len` bytes from `bottom` on are still marked as unused.
///
/// # Safety
/// These bytes may be read.
pub unsafe fn painted(bottom: *const u8, len: usize) -> usize {
    let mut free = 0;
    while free < len && unsafe { bottom.add(free).read_volatile() } == PAINT {
        free += 1;
    }
    free
}

/// A program links only if it contains no panic.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe extern "C" {
        fn this_program_can_panic() -> !;
    }
    unsafe { this_program_can_panic() }
}
