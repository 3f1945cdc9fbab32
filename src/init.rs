//! First values of weights. The caller passes in the random numbers.

use crate::shape::{Number, number};
use nalgebra::SMatrix;
use rand::Rng;

/// How large first weights must be. It depends on the activation that follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gain {
    /// A sum, sigmoid, tanh, or the loss: [`xavier`].
    Linear,
    /// An activation that drops about half of its inputs, such as ReLU, GELU or Softplus: [`he`].
    Relu,
}

impl Gain {
    /// The standard deviation of weights that sum `inputs` numbers.
    pub fn std<T: Number>(self, inputs: usize) -> T {
        let gain = match self {
            Gain::Linear => T::one(),
            Gain::Relu => T::one() + T::one(),
        };
        (gain / number(inputs)).sqrt()
    }
}

/// The first gain that is not `None`.
#[doc(hidden)]
pub const fn first<const N: usize>(gains: [Option<Gain>; N]) -> Option<Gain> {
    let mut left = gains.as_slice();
    while let Some((gain, rest)) = left.split_first() {
        if gain.is_some() {
            return *gain;
        }
        left = rest;
    }
    None
}

/// Fills `weight` in place from a normal distribution of mean 0 and standard deviation `std`.
///
/// The method is that of Box and Muller, computed in `T` from uniform numbers of 24 bits. So one seed gives the
/// same weights, up to rounding, in f32 and f64, on a chip and on a laptop.
///
/// ```
/// use chainrule::init;
/// use nalgebra::SMatrix;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// let mut weight = SMatrix::<f64, 50, 784>::zeros();
/// init::normal(0.01, &mut weight, &mut Xoshiro128PlusPlus::seed_from_u64(0));
/// assert!((weight.variance().sqrt() - 0.01).abs() < 1e-4);
/// ```
pub fn normal<T: Number, const R: usize, const C: usize>(
    std: T,
    weight: &mut SMatrix<T, R, C>,
    rng: &mut (impl Rng + ?Sized),
) {
    fill(std, weight.as_mut_slice(), rng);
}

/// [`normal`] for the numbers of a parameter of any shape.
pub fn fill<T: Number>(std: T, numbers: &mut [T], rng: &mut (impl Rng + ?Sized)) {
    let minus_two = -(T::one() + T::one());
    for pair in numbers.chunks_mut(2) {
        let radius = std * (uniform::<T>(rng).ln() * minus_two).sqrt();
        for (w, way) in pair.iter_mut().zip(circle(uniform(rng))) {
            *w = radius * way;
        }
    }
}

/// Xavier weights, for sigmoid and tanh: normal with variance 1/C, where C is the number of inputs.
/// (Chapter 6.2.2.)
///
/// This is the book's form. Glorot and Bengio (2010), PyTorch's `xavier_normal_` and Keras'
/// `GlorotNormal` take the variance 2/(R + C); PyTorch's own default for `Linear` is uniform within
/// ±1/√C, of variance 1/(3C).
///
/// ```
/// use chainrule::{Affine, Zeros, init};
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// // In place, for a layer of any size.
/// let mut layer = Box::<Affine<f32, 1024, 1024>>::zeros();
/// init::xavier(&mut layer.weight, &mut Xoshiro128PlusPlus::seed_from_u64(0));
/// assert!((layer.weight.variance().sqrt() - 1.0 / 32.0).abs() < 1e-4);
/// ```
pub fn xavier<T: Number, const R: usize, const C: usize>(
    weight: &mut SMatrix<T, R, C>,
    rng: &mut (impl Rng + ?Sized),
) {
    normal(Gain::Linear.std(C), weight, rng);
}

/// He weights, for ReLU: normal with variance 2/C, where C is the number of inputs. (Chapter 6.2.3; He and
/// others, 2015; PyTorch's `kaiming_normal_`.)
pub fn he<T: Number, const R: usize, const C: usize>(
    weight: &mut SMatrix<T, R, C>,
    rng: &mut (impl Rng + ?Sized),
) {
    normal(Gain::Relu.std(C), weight, rng);
}

/// Cosine and sine of an angle in turns, from 0 to 1. The error is 10⁻⁹ plus rounding. The functions of libm for f32
/// compute in f64. On a chip without f64 that takes more flash than everything else that trains a small net.
pub(crate) fn circle<T: Number>(turns: T) -> [T; 2] {
    let number = nalgebra::convert::<f64, T>;
    // A sixteenth of the angle from half a turn: so small that a few terms of the series suffice.
    let angle = (turns - number(0.5)) * number(core::f64::consts::TAU / 16.0);
    let series = |[a, b, c]: [f64; 3]| {
        let square = angle * angle;
        let term = |factor: f64, rest: T| T::one() - square * number(factor.recip()) * rest;
        term(a, term(b, term(c, T::one())))
    };
    let (mut cos, mut sin) = (series([2.0, 12.0, 30.0]), angle * series([6.0, 20.0, 42.0]));
    for _ in 0..4 {
        (cos, sin) = (cos * cos - sin * sin, (cos + cos) * sin);
    }
    [-cos, -sin]
}

/// Uniform in (0, 1]. It is never 0, because 0 has no logarithm.
fn uniform<T: Number>(rng: &mut (impl Rng + ?Sized)) -> T {
    nalgebra::convert(((rng.next_u32() >> 8) + 1) as f32 / (1 << 24) as f32)
}
