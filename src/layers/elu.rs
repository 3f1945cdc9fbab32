//! ELU and SELU: x above zero, an exponential below.

use super::activation::{setting, through};
use crate::{Number, init::Gain, kernel};

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
elementwise!(Elu { alpha } Some(Gain::Relu), (this, x, y, dy, dx)
    exponential(x, None, y, [T::one(), setting(this.alpha, 1.0)]),
    exponential(x, Some(dy), dx, [T::one(), setting(this.alpha, 1.0)]));

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
    exponential(x, None, y, SELU.map(nalgebra::convert)),
    exponential(x, Some(dy), dx, SELU.map(nalgebra::convert)));

/// λ and λ·α.
const SELU: [f64; 2] = [1.050_700_987_355_480_5, 1.050_700_987_355_480_5 * 1.673_263_242_354_377_2];

/// y = above·x for x > 0, else below·(eˣ - 1). With dy it is dx.
///
/// It is computed from t = tanh(x/2): eˣ - 1 = 2t / (1 - t), eˣ = (1 + t) / (1 - t).
#[inline(always)]
fn exponential<T: Number>(x: &[T], dy: Option<&[T]>, to: &mut [T], [above, below]: [T; 2]) {
    let half = |x: T| if x > T::zero() { T::zero() } else { x / (T::one() + T::one()) };
    through(kernel::tanh, x, dy, to, half, |x, t| match (x > T::zero(), dy.is_some()) {
        (true, false) => x * above,
        (true, true) => above,
        (false, false) => below * ((t + t) / (T::one() - t)),
        (false, true) => below * ((T::one() + t) / (T::one() - t)),
    });
}
