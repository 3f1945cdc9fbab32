//! What the program runs: exclusive or, then a sine, both learned in memory that the linker knows,
//! and a prediction from a net in flash.
#![no_std]

use chainrule::{
    Affine, ConstZeros, D1, Network, Optimizer, Sgd, SoftmaxCrossEntropy, SumSquaredError, Tanh,
    Workspace, init,
};
use nalgebra::{Const, SMatrix, Vector1, Vector2};
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};

type XorLayers = (Affine<f32, 2, 8>, Tanh, Affine<f32, 8, 2>);
type Xor = Network<f32, D1<2>, XorLayers, SoftmaxCrossEntropy>;
type SineLayers = (Affine<f32, 1, 16>, Tanh, Affine<f32, 16, 16>, Tanh, Affine<f32, 16, 1>);
type Sine = Network<f32, D1<1>, SineLayers, SumSquaredError>;

/// All that training needs, zeros until it begins: it takes RAM and no flash.
pub struct Arena {
    xor: (Xor, Workspace<f32, D1<2>, XorLayers, Const<4>>),
    sine: (Sine, Workspace<f32, D1<1>, SineLayers, Const<16>>),
}

impl Arena {
    pub const ZEROS: Self = Arena {
        xor: (Xor::new(ConstZeros::ZEROS, SoftmaxCrossEntropy), ConstZeros::ZEROS),
        sine: (Sine::new(ConstZeros::ZEROS, SumSquaredError), ConstZeros::ZEROS),
    };
}

/// What the constants of the crate promise for both trainings.
pub const PROMISED: usize = Xor::train_bytes::<4>() + Sine::train_bytes::<16>();

/// The budget of a device, held by `cargo check`.
const _: () = assert!(PROMISED <= 16 * 1024, "training does not fit in 16 KiB");

/// A net in flash that computes and: its score is 2·a + 2·b - 3.
static AND: Network<f32, D1<2>, Affine<f32, 2, 1>, SumSquaredError> = Network::new(
    Affine::new(SMatrix::<f32, 1, 2>::new(2.0, 2.0), Vector1::new(-3.0)),
    SumSquaredError,
);

/// What a run has come to; losses in millionths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    pub xor: [u32; 2],
    pub sine: [u32; 2],
    pub learned: bool,
}

pub const XOR_STEPS: u32 = 500;
pub const SINE_STEPS: u32 = 4000;

/// Trains both.
pub fn run(Arena { xor, sine }: &mut Arena) -> Outcome {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(1);
    let (net, work) = xor;
    init::xavier(&mut net.layers.0.weight, &mut rng);
    init::xavier(&mut net.layers.2.weight, &mut rng);
    let x = SMatrix::<f32, 2, 4>::new(0., 0., 1., 1., 0., 1., 0., 1.);
    let labels = [0, 1, 1, 0];
    let xor_first = net.loss(&x, &labels);
    for _ in 0..XOR_STEPS {
        net.backprop(&x, &labels, work);
        Sgd::new(0.5).step(&mut net.layers, &mut work.grad);
    }
    let (xor_last, solved) = (net.loss(&x, &labels), net.accuracy(&x, &labels) == 1.0);

    let (net, work) = sine;
    init::xavier(&mut net.layers.0.weight, &mut rng);
    init::xavier(&mut net.layers.2.weight, &mut rng);
    init::xavier(&mut net.layers.4.weight, &mut rng);
    let (mut x, mut t) = (SMatrix::<f32, 1, 16>::zeros(), SMatrix::<f32, 1, 16>::zeros());
    let (mut first, mut last) = (0.0, 0.0);
    for step in 0..SINE_STEPS {
        for (x, t) in x.iter_mut().zip(t.iter_mut()) {
            // From -1 to 1, for a whole wave.
            *x = (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0;
            *t = nalgebra::ComplexField::sin(*x * core::f32::consts::PI);
        }
        let loss = net.backprop(&x, &t, work);
        Sgd::new(0.1).step(&mut net.layers, &mut work.grad);
        // The mean of the last hundred, as one batch says little.
        last += (loss - last) / if step < SINE_STEPS - 100 { 1.0 } else { 100.0 };
        first = if step == 0 { loss } else { first };
    }
    let yes = AND.predict(&Vector2::new(1.0, 1.0)).x > 0.0;
    let no = AND.predict(&Vector2::new(1.0, 0.0)).x > 0.0;
    Outcome {
        xor: [millionths(xor_first), millionths(xor_last)],
        sine: [millionths(first), millionths(last)],
        learned: solved && xor_last < 0.05 && last < 0.01 && yes && !no,
    }
}

fn millionths(loss: f32) -> u32 {
    (loss * 1e6) as u32
}

/// Writes `label number` and a line's end, without `core::fmt`, byte after byte.
pub fn line(label: &str, number: u32, put: &mut impl FnMut(u8)) {
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

/// All that a program says of a run.
pub fn report(outcome: &Outcome, stack: usize, put: &mut impl FnMut(u8)) {
    let Outcome { xor, sine, learned } = *outcome;
    line("xor-first", xor[0], put);
    line("xor-last", xor[1], put);
    line("sine-first", sine[0], put);
    line("sine-last", sine[1], put);
    line("static", size_of::<Arena>() as u32, put);
    line("promised", PROMISED as u32, put);
    line("stack", stack as u32, put);
    line("learned", learned.into(), put);
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
