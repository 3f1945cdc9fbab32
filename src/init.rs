//! First values of weights. The caller passes in the random numbers.

use crate::shape::{Number, nan, number};
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
        let radius = std * (fraction::<T>(rng).ln() * minus_two).sqrt();
        for (w, way) in pair.iter_mut().zip(circle(fraction(rng))) {
            *w = radius * way;
        }
    }
}

/// Functions that fill a weight of R outputs and C inputs by its standard deviation.
macro_rules! by_size {
    ($($(#[$doc:meta])* $name:ident = $draw:ident($std:expr);)*) => { $(
        $(#[$doc])*
        pub fn $name<T: Number, const R: usize, const C: usize>(
            weight: &mut SMatrix<T, R, C>,
            rng: &mut (impl Rng + ?Sized),
        ) {
            $draw($std, weight, rng);
        }
    )* };
}
by_size! {
    /// Xavier weights, for sigmoid and tanh: normal with variance 1/C, where C is the number of inputs.
    /// (Chapter 6.2.2; LeCun and others, 1998; Keras' `lecun_normal`.)
    ///
    /// This is the book's form. Glorot and Bengio (2010), PyTorch's `xavier_normal_` and Keras'
    /// `GlorotNormal` take the variance 2/(R + C): [`glorot_normal`]. PyTorch's own default for `Linear` is uniform within
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
    #[doc(alias = "lecun_normal")]
    xavier = normal(Gain::Linear.std(C));
    /// He weights, for ReLU: normal with variance 2/C, where C is the number of inputs. (Chapter 6.2.3; He and
    /// others, 2015; PyTorch's `kaiming_normal_`.)
    #[doc(alias = "kaiming_normal")]
    he = normal(Gain::Relu.std(C));
    /// [`xavier`] with uniform numbers of the same variance, within ±√(3/C): LeCun's uniform weights.
    #[doc(alias = "lecun_uniform")]
    xavier_uniform = uniform_of(Gain::Linear.std(C));
    /// [`he`] with uniform numbers of the same variance, within ±√(6/C). (PyTorch's `kaiming_uniform_`.)
    #[doc(alias = "kaiming_uniform")]
    he_uniform = uniform_of(Gain::Relu.std(C));
    /// Xavier weights in the form of Glorot and Bengio (2010): normal with variance 2/(R + C), for R outputs and C inputs.
    /// (PyTorch's `xavier_normal_`.)
    #[doc(alias = "xavier_normal")]
    glorot_normal = normal(Gain::Relu.std(R.saturating_add(C)));
    /// [`glorot_normal`] with uniform numbers of the same variance, within ±√(6/(R + C)). (PyTorch's `xavier_uniform_`.)
    #[doc(alias = "xavier_uniform")]
    glorot_uniform = uniform_of(Gain::Relu.std(R.saturating_add(C)));
}

/// Fills `weight` in place with uniform numbers within ±`limit`.
///
/// PyTorch's default for `Linear` is the limit 1/√C for C inputs, for weights and biases.
///
/// ```
/// use chainrule::init;
/// use nalgebra::SMatrix;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// let mut weight = SMatrix::<f64, 50, 784>::zeros();
/// init::uniform(0.3, &mut weight, &mut Xoshiro128PlusPlus::seed_from_u64(0));
/// assert!(weight.amax() <= 0.3 && weight.mean().abs() < 0.01);
/// ```
pub fn uniform<T: Number, const R: usize, const C: usize>(
    limit: T,
    weight: &mut SMatrix<T, R, C>,
    rng: &mut (impl Rng + ?Sized),
) {
    let two = T::one() + T::one();
    weight.iter_mut().for_each(|w| *w = limit * (two * fraction::<T>(rng) - T::one()));
}

/// Uniform numbers within ±√3·std have the standard deviation `std`.
fn uniform_of<T: Number, const R: usize, const C: usize>(
    std: T,
    weight: &mut SMatrix<T, R, C>,
    rng: &mut (impl Rng + ?Sized),
) {
    uniform(std * nalgebra::convert(1.732_050_807_568_877_2), weight, rng);
}

/// Fills `weight` in place with an orthogonal matrix times `gain`. If the matrix has fewer rows than columns, its rows are
/// orthogonal and have the length `gain`; otherwise its columns. All such matrices are equally likely. (Saxe and others, 2013; PyTorch's
/// `orthogonal_`.)
///
/// ```
/// use chainrule::init;
/// use nalgebra::SMatrix;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// let mut weight = SMatrix::<f64, 3, 5>::zeros();
/// init::orthogonal(1.0, &mut weight, &mut Xoshiro128PlusPlus::seed_from_u64(0));
/// assert!((weight * weight.transpose() - SMatrix::<f64, 3, 3>::identity()).amax() < 1e-15);
/// ```
pub fn orthogonal<T: Number, const R: usize, const C: usize>(
    gain: T,
    weight: &mut SMatrix<T, R, C>,
    rng: &mut (impl Rng + ?Sized),
) {
    normal(T::one(), weight, rng);
    // Line k is row or column k. Its entries lie `step` apart.
    let (lines, length, next, step) = if R >= C { (C, R, R, 1) } else { (R, C, 1, R) };
    let numbers = weight.as_mut_slice();
    for k in 0..lines {
        // Gram and Schmidt's method. The second time removes what rounding left.
        for before in (0..k).chain(0..k) {
            let product = dot(numbers, [k * next, before * next], step, length);
            for i in 0..length {
                let other = numbers.get(before * next + i * step).copied().unwrap_or_else(nan);
                if let Some(w) = numbers.get_mut(k * next + i * step) {
                    *w -= product * other;
                }
            }
        }
        let scale = dot(numbers, [k * next, k * next], step, length).sqrt().recip();
        for i in 0..length {
            if let Some(w) = numbers.get_mut(k * next + i * step) {
                *w *= scale;
            }
        }
    }
    numbers.iter_mut().for_each(|w| *w *= gain);
}

/// The product of two lines that begin at these indices, with entries `step` apart.
fn dot<T: Number>(numbers: &[T], [a, b]: [usize; 2], step: usize, length: usize) -> T {
    let at = |i: usize| numbers.get(i).copied().unwrap_or_else(nan);
    (0..length).fold(T::zero(), |sum, i| sum + at(a + i * step) * at(b + i * step))
}

/// Cosine and sine of an angle in turns, from 0 to 1. The error is 10⁻⁹ plus rounding. The functions of libm for f32
/// compute in f64. On a chip without f64 that takes more flash than everything else that trains a small net.
pub(crate) fn circle<T: Number>(turns: T) -> [T; 2] {
    let number = nalgebra::convert::<f64, T>;
    // Take a sixteenth of the angle from half a turn. It is so small that a few terms of the series are enough.
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
fn fraction<T: Number>(rng: &mut (impl Rng + ?Sized)) -> T {
    nalgebra::convert(((rng.next_u32() >> 8) + 1) as f32 / (1 << 24) as f32)
}
