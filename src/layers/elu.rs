//! ELU and SELU: x above zero, an exponential below.

use super::activation::setting;
use crate::{Number, init::Gain, kernel};

/// y = x where x > 0, else α·(eˣ - 1); dx = dy where x > 0, else dy·α·eˣ. (Clevert and others, 2015; PyTorch's `ELU`.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// At the kink, x = 0, the slope is α, as PyTorch's. Far below zero y is -α and the slope is 0. There the error of
/// the slope is about ε, so a very small slope has few correct digits. A NaN input gives a NaN output.
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
elementwise!(Elu { alpha } Some(Gain::Relu), (this, x, y, dy, dx)
    scaled(x, y, [T::one(), setting(this.alpha, 1.0)]),
    scaled_back((x, y), dy, dx, [T::one(), setting(this.alpha, 1.0)]));

/// y = λ·x where x > 0, else λ·α·(eˣ - 1), with α = 1.673… and λ = 1.051…, so that the outputs of a deep net keep mean 0 and
/// variance 1. (Klambauer and others, 2017; PyTorch's `SELU`.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// At the kink, x = 0, the slope is λ·α, as PyTorch's. Far below zero y is -λ·α and the slope is 0. A NaN input gives a
/// NaN output. The first weights before it have variance 1/inputs, as in the paper.
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
elementwise!(Selu {} Some(Gain::Linear), (this, x, y, dy, dx)
    scaled(x, y, SELU.map(nalgebra::convert)),
    scaled_back((x, y), dy, dx, SELU.map(nalgebra::convert)));

/// λ and λ·α.
const SELU: [f64; 2] = [1.050_700_987_355_480_5, 1.050_700_987_355_480_5 * 1.673_263_242_354_377_2];

/// y = above·x for x > 0, else below·(eˣ - 1).
#[inline(always)]
fn scaled<T: Number>(x: &[T], y: &mut [T], [above, below]: [T; 2]) {
    kernel::elu(x, y);
    for (y, &x) in y.iter_mut().zip(x) {
        *y *= if x > T::zero() { above } else { below };
    }
}

/// Below zero the slope is below·eˣ = y + below.
#[inline(always)]
fn scaled_back<T: Number>((x, y): (&[T], &[T]), dy: &[T], dx: &mut [T], [above, below]: [T; 2]) {
    for (dx, ((&x, &y), &dy)) in dx.iter_mut().zip(x.iter().zip(y).zip(dy)) {
        *dx = dy * if x > T::zero() { above } else { y + below };
    }
}
