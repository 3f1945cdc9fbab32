//! The activations: functions of one number, applied to each number of the input.

use super::function::{each, each_back};
use crate::{Flat, Number, init::Gain, kernel};

/// y = max(x, 0), dx = dy where x > 0, else 0. (Chapter 5.5.1.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// The slope at the kink, x = 0, is 0, as in the book. A NaN input gives a NaN output, with slope 1. The slope is
/// multiplied by dy, so for x ≤ 0 a NaN or infinite dy makes dx NaN.
///
/// ```
/// use chainrule::{ByValue, Relu};
/// use nalgebra::Vector3;
///
/// let x = Vector3::new(-1.0, 0.0, 2.0);
/// let mut relu = Relu.trace(&x);
/// assert_eq!(relu.y, Vector3::new(0.0, 0.0, 2.0));
/// assert_eq!(relu.backward(&Vector3::repeat(5.0)).0, Vector3::new(0.0, 0.0, 5.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relu;
parameters!(Relu {});
function!([S: Flat] Relu, S => S, Some(Gain::Relu), (this, x, y, dy, dx)
    kernel::relu(x, y), kernel::relu_back(y, dy, dx); const READS: [bool; 2] = [false, true];);

/// y = 1 / (1 + e⁻ˣ), dx = dy·y·(1 - y). (Chapter 5.5.2.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// It does not overflow for any x. Far below zero y is 0, far above zero y is 1, and the slope is 0 in both
/// places. A NaN input gives a NaN output. The slope is computed from the output. For y near 1 its error is
/// about ε, so a very small slope has few correct digits.
///
/// ```
/// use chainrule::{ByValue, Sigmoid};
/// use nalgebra::Vector2;
///
/// let x = Vector2::new(0.0, -1000.0);
/// let mut sigmoid = Sigmoid.trace(&x);
/// assert_eq!(sigmoid.y, Vector2::new(0.5, 0.0));
/// assert_eq!(sigmoid.backward(&Vector2::repeat(4.0)).0, Vector2::new(1.0, 0.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sigmoid;
elementwise!(Sigmoid {} Some(Gain::Linear), (this, x, y, dy, dx) kernel::sigmoid(x, y), kernel::sigmoid_back(y, dy, dx));

/// y = tanh x, dx = dy·(1 - y²).
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// Far from zero y is ±1 and the slope is 0. A NaN input gives a NaN output. The slope is computed from the
/// output. For y near ±1 its error is about ε, so a very small slope has few correct
/// digits.
///
/// ```
/// use chainrule::{ByValue, Tanh};
/// use nalgebra::Vector2;
///
/// let x = Vector2::new(0.0, 1000.0);
/// let mut tanh = Tanh.trace(&x);
/// assert_eq!(tanh.y, Vector2::new(0.0, 1.0));
/// assert_eq!(tanh.backward(&Vector2::repeat(1.0)).0, Vector2::new(1.0, 0.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tanh;
elementwise!(Tanh {} Some(Gain::Linear), (this, x, y, dy, dx) kernel::tanh(x, y), kernel::tanh_back(y, dy, dx));

/// y = x·Φ(x), dx = dy·(Φ(x) + x·φ(x)), with the normal distribution Φ(x) = (1 + erf(x / √2)) / 2 and
/// its density φ. (Hendrycks and Gimpel, 2016; PyTorch's `GELU` with its default, the exact form.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// Far below zero y and the slope are 0, at -∞ too. Far above zero y is x and the slope is 1. A NaN input gives a
/// NaN output. For x below zero the error of y is at most a rounding error of x. With SIMD y is 0 below x = -8.5 in f64,
/// and below -5.7 in f32.
///
/// ```
/// use chainrule::{ByValue, Gelu};
/// use nalgebra::Vector3;
///
/// let x = Vector3::new(0.0, 1.0, -1000.0);
/// let mut gelu = Gelu.trace(&x);
/// assert!((gelu.y - Vector3::new(0.0, 0.8413447460685429, 0.0)).amax() < 1e-15_f64);
/// let dx = gelu.backward(&Vector3::repeat(2.0)).0;
/// assert!((dx - Vector3::new(1.0, 2.1666309412, 0.0)).amax() < 1e-10);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gelu;
elementwise!(Gelu {} Some(Gain::Relu), (this, x, y, dy, dx) kernel::gelu(x, y), kernel::gelu_back(x, dy, dx));

/// y = ln(1 + eˣ), dx = dy / (1 + e⁻ˣ): a smooth ReLU. (PyTorch's `Softplus`.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// It is computed as max(x, 0) + ln(1 + e^-|x|). It does not overflow for any x, and a small y is not rounded to 0.
/// Far below zero y and the slope are 0. Far above zero y is x and the slope is 1. A NaN input gives a NaN
/// output.
///
/// ```
/// use chainrule::{ByValue, Softplus};
/// use nalgebra::Vector3;
///
/// let x = Vector3::new(0.0, 1000.0, -1000.0);
/// let mut softplus = Softplus.trace(&x);
/// assert!((softplus.y - Vector3::new(core::f64::consts::LN_2, 1000.0, 0.0)).amax() < 1e-15);
/// assert_eq!(softplus.backward(&Vector3::repeat(4.0)).0, Vector3::new(2.0, 4.0, 0.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Softplus;
elementwise!(Softplus {} Some(Gain::Relu), (this, x, y, dy, dx)
    kernel::softplus(x, y), by_sigmoid(x, dy, dx, |x| x, |_, s| s));

/// y = x, dx = dy: the output layer of a regression. (Chapter 3.5.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// ```
/// use chainrule::{ByValue, Identity};
/// use nalgebra::Vector2;
///
/// let x = Vector2::new(1.0, -2.0);
/// assert_eq!(Identity.trace(&x).y, x);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity;
elementwise!(Identity {} Some(Gain::Linear), (this, x, y, dy, dx) y.copy_from_slice(x), dx.copy_from_slice(dy));

/// y = x, dx = dy. It does nothing; the output keeps the shape of an image.
///
/// PyTorch's `Flatten` turns an image into a vector. [`Dense`](crate::Dense) takes the image itself. Use this layer
/// before it to give the layers the indices of a PyTorch `Sequential` with `Flatten` and `Linear`, and so the
/// parameters their names. It costs a copy of the numbers.
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// ```
/// use chainrule::{ByValue, Flatten};
/// use nalgebra::Vector2;
///
/// let x = Vector2::new(1.0, -2.0);
/// assert_eq!(Flatten.trace(&x).y, x);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten;
elementwise!(Flatten {} None, (this, x, y, dy, dx) y.copy_from_slice(x), dx.copy_from_slice(dy));

/// y = x·σ(x), dx = dy·(σ + x·σ·(1 - σ)), where σ is the sigmoid of x. (Elfwing and others, 2017; PyTorch's `SiLU`;
/// also called swish.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// Far below zero y and the slope are 0, far above zero y is x and the slope is 1. A NaN input gives a NaN output, and
/// so does -∞.
///
/// ```
/// use chainrule::{ByValue, Silu};
/// use nalgebra::Vector3;
///
/// let x = Vector3::new(0.0, 1000.0, -1000.0);
/// let mut silu = Silu.trace(&x);
/// assert_eq!(silu.y, Vector3::new(0.0, 1000.0, 0.0));
/// assert_eq!(silu.backward(&Vector3::repeat(4.0)).0, Vector3::new(2.0, 4.0, 0.0));
/// ```
#[doc(alias("swish"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silu;
elementwise!(Silu {} Some(Gain::Relu), (this, x, y, dy, dx) kernel::silu(x, y),
    by_sigmoid(x, dy, dx, |x| x, |x, s| s + x * s * (T::one() - s)));

/// y = ½·x·(1 + tanh u), u = √(2/π)·(x + 0.044715·x³): nearly [`Gelu`]. (Hendrycks and Gimpel, 2016; PyTorch's `GELU`
/// with `approximate="tanh"`.)
///
/// dx = dy·(s + x·s·(1 - s)·2u′), where s = ½·(1 + tanh u) is computed as the sigmoid of 2u, so that a small y is not
/// rounded away.
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// Far below zero y and the slope are 0, far above zero y is x and the slope is 1. A NaN input gives a NaN output.
///
/// ```
/// use chainrule::{ByValue, GeluTanh};
/// use nalgebra::Vector3;
///
/// let x = Vector3::new(1.0, 1000.0, -1000.0);
/// let y = GeluTanh.trace(&x).y;
/// assert!((y - Vector3::new(0.8411919906082768, 1000.0, 0.0)).amax() < 1e-15_f64);
/// ```
#[doc(alias("gelu", "NewGELU"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeluTanh;
elementwise!(GeluTanh {} Some(Gain::Relu), (this, x, y, dy, dx) kernel::gelu_tanh(x, y),
    by_sigmoid(x, dy, dx, |x| kernel::twice_u(x).1, gelu_tanh_slope));

/// The slope of [`GeluTanh`], where s is the sigmoid of 2u.
#[inline(always)]
fn gelu_tanh_slope<T: Number>(x: T, s: T) -> T {
    let (x, _, slope) = kernel::twice_u(x);
    s + x * s * (T::one() - s) * slope
}

/// y = min(max(x/6 + ½, 0), 1), dx = dy/6 where -3 < x < 3, else 0. (PyTorch's `Hardsigmoid`.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// The slope at the kinks, x = ±3, is 0, as PyTorch's. A NaN input gives a NaN output.
///
/// ```
/// use chainrule::{ByValue, HardSigmoid};
/// use nalgebra::Vector4;
///
/// let x = Vector4::new(0.0, 3.0, 1000.0, -1000.0);
/// let mut hard = HardSigmoid.trace(&x);
/// assert_eq!(hard.y, Vector4::new(0.5, 1.0, 1.0, 0.0));
/// assert_eq!(hard.backward(&Vector4::repeat(6.0)).0, Vector4::new(1.0, 0.0, 0.0, 0.0));
/// ```
#[doc(alias("Hardsigmoid"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardSigmoid;
elementwise!(HardSigmoid {} Some(Gain::Linear), (this, x, y, dy, dx)
    each(x, y, |x| (x.clamp(-three::<T>(), three()) + three()) / (three::<T>() + three())),
    each_back(x, dy, dx,
        |x| if x.abs() >= three() { T::zero() } else { (three::<T>() + three()).recip() }));

/// y = min(max(x, -1), 1), dx = dy where -1 < x < 1, else 0. (PyTorch's `Hardtanh`.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// The slope at the kinks, x = ±1, is 0, as PyTorch's. A NaN input gives a NaN output.
///
/// ```
/// use chainrule::{ByValue, HardTanh};
/// use nalgebra::Vector4;
///
/// let x = Vector4::new(0.5, 1.0, 1000.0, -1000.0);
/// let mut hard = HardTanh.trace(&x);
/// assert_eq!(hard.y, Vector4::new(0.5, 1.0, 1.0, -1.0));
/// assert_eq!(hard.backward(&Vector4::repeat(6.0)).0, Vector4::new(6.0, 0.0, 0.0, 0.0));
/// ```
#[doc(alias("Hardtanh"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardTanh;
elementwise!(HardTanh {} Some(Gain::Linear), (this, x, y, dy, dx)
    each(x, y, |x| x.clamp(-T::one(), T::one())),
    each_back(x, dy, dx, |x| if x.abs() >= T::one() { T::zero() } else { T::one() }));

fn three<T: Number>() -> T {
    nalgebra::convert(3.0)
}

/// The setting, or its default.
#[inline(always)]
pub(super) fn setting<T: Number>(value: Option<f64>, default: f64) -> T {
    nalgebra::convert(value.unwrap_or(default))
}

/// How many numbers a kernel takes at a time: more than it would inline here.
const TOGETHER: usize = 128;

/// dx = dy·f(x, σ(u(x))).
#[inline(always)]
fn by_sigmoid<T: Number>(
    x: &[T],
    dy: &[T],
    dx: &mut [T],
    u: impl Fn(T) -> T,
    f: impl Fn(T, T) -> T,
) {
    let mut inner = [T::zero(); TOGETHER];
    let pairs = x.chunks(TOGETHER).zip(dy.chunks(TOGETHER));
    for ((x, dy), dx) in pairs.zip(dx.chunks_mut(TOGETHER)) {
        let inner = inner.get_mut(..x.len()).unwrap_or_default();
        each(x, inner, &u);
        kernel::sigmoid(inner, dx);
        for (dx, (&x, &dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
            *dx = dy * f(x, *dx);
        }
    }
}
