//! ELU and SELU: x above zero, an exponential below.

use super::activation::setting;
use crate::{
    grad::{Destination, Grad},
    init::Gain,
    kernel,
    layer::{Backward, Forward, Layer},
    shape::{BatchSize, Flat, Number, Purpose},
};

/// y = x where x > 0, else α·(eˣ - 1); dx = dy where x > 0, else dy·α·eˣ. (Clevert and others, 2015; PyTorch's `ELU`.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// At the kink, x = 0, the slope is α, as PyTorch's. Far below zero y is -α and the slope is 0. There the error of
/// the slope is a rounding of 1, not of the slope. A NaN input gives a NaN output.
///
/// ```
/// use chainrule::{ByValue, Elu};
/// use nalgebra::Vector3;
///
/// let (layer, x) = (Elu::default(), Vector3::new(2.0, 0.0, -1000.0));
/// let mut elu = layer.trace(&x);
/// assert_eq!(elu.y, Vector3::new(2.0, 0.0, -1.0));
/// assert_eq!(elu.backward(&Vector3::repeat(5.0)).0, Vector3::new(5.0, 5.0, 0.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Elu {
    /// α. `None` means 1.
    pub alpha: Option<f64>,
}
elementwise!(Elu { alpha }: kernel::tanh, |this, x| half_below(x),
    |t| if x > T::zero() { x } else { setting::<T>(this.alpha, 1.0) * below(t) },
    if x > T::zero() { T::one() } else { setting::<T>(this.alpha, 1.0) * slope(t) }, Some(Gain::Relu));

/// y = λ·x where x > 0, else λ·α·(eˣ - 1), with α = 1.673… and λ = 1.051…, so that the outputs of a deep net keep mean 0 and
/// variance 1. (Klambauer and others, 2017; PyTorch's `SELU`.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// At the kink, x = 0, the slope is λ·α, as PyTorch's. Far below zero y is -λ·α and the slope is 0. A NaN input gives a
/// NaN output. The first weights before it have variance 1/inputs, as the paper demands.
///
/// ```
/// use chainrule::{ByValue, Selu};
/// use nalgebra::Vector2;
///
/// let y = Selu.trace(&Vector2::new(1.0, -1000.0)).y;
/// assert!((y - Vector2::new(1.0507009873554805, -1.7580993408473766)).amax() < 1e-15_f64);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selu;
elementwise!(Selu {}: kernel::tanh, |this, x| half_below(x),
    |t| if x > T::zero() { x * lambda() } else { lambda_alpha::<T>() * below(t) },
    if x > T::zero() { lambda() } else { lambda_alpha::<T>() * slope(t) }, Some(Gain::Linear));

fn lambda<T: Number>() -> T {
    nalgebra::convert(1.050_700_987_355_480_5)
}

fn lambda_alpha<T: Number>() -> T {
    nalgebra::convert(1.050_700_987_355_480_5 * 1.673_263_242_354_377_2)
}

/// Half of a negative x. NaN stays NaN.
#[inline(always)]
fn half_below<T: Number>(x: T) -> T {
    if x > T::zero() { T::zero() } else { x / (T::one() + T::one()) }
}

/// eˣ - 1 from t = tanh(x/2), without cancellation: 2t / (1 - t).
#[inline(always)]
fn below<T: Number>(t: T) -> T {
    (t + t) / (T::one() - t)
}

/// eˣ from t = tanh(x/2).
#[inline(always)]
fn slope<T: Number>(t: T) -> T {
    (T::one() + t) / (T::one() - t)
}
