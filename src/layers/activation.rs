//! The activations: functions of one number, applied to each number of the input.

use crate::{
    grad::{Destination, Grad},
    init::Gain,
    kernel,
    layer::{Backward, Forward, Layer},
    shape::{BatchSize, Flat, Number, Purpose, nan},
};

/// Makes a function of one number a layer on every flat shape. The derivative is computed from x, or from y if the
/// macro is told so. (A trait with a blanket impl would rule out `Box<L>`.)
macro_rules! elementwise {
    ($name:ident: $forward:path, $back:path, $from:ident, $gain:expr) => {
        parameters!($name {});

        impl<T: Number, S: Flat> Layer<T, S> for $name {
            type Out = S;
            type Cache<B: BatchSize, P: Purpose> = ();
            type Scratch = ();
            const GAIN: Option<Gain> = $gain;

            #[inline(always)]
            fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
                $forward(S::flat::<T, B>(at.x), S::flat_mut::<T, B>(at.y));
            }

            #[inline(always)]
            fn backward<B: BatchSize, D: Destination<T>>(
                _: Grad<T, Self, D>,
                at: Backward<T, S, Self, B>,
            ) {
                if let Some(dx) = at.dx {
                    $back(
                        S::flat::<T, B>(at.$from),
                        S::flat::<T, B>(at.dy),
                        S::flat_mut::<T, B>(dx),
                    );
                }
            }
        }
    };
}

/// y = max(x, 0), dx = dy where x > 0, else 0. (Chapter 5.5.1.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// The slope at the kink, x = 0, is 0, as in the book. A NaN input gives a NaN output, with slope 1. The slope is a
/// factor of dy, so where x ≤ 0 a NaN or infinite dy makes dx NaN.
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
elementwise!(Relu: kernel::relu, kernel::relu_back, x, Some(Gain::Relu));

/// y = 1 / (1 + e⁻ˣ), dx = dy·y·(1 - y). (Chapter 5.5.2.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// It does not overflow for any x. Far below zero y is 0, far above zero y is 1, and the slope is 0 in both
/// places. A NaN input gives a NaN output. The slope is computed from the output. For y near 1 its error is a
/// rounding of 1, not of the slope.
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
elementwise!(Sigmoid: kernel::sigmoid, kernel::sigmoid_back, y, Some(Gain::Linear));

/// y = tanh x, dx = dy·(1 - y²).
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// Far from zero y is ±1 and the slope is 0. A NaN input gives a NaN output. The slope is computed from the
/// output. For y near ±1 its error is a rounding of 1, not of the slope.
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
elementwise!(Tanh: kernel::tanh, kernel::tanh_back, y, Some(Gain::Linear));

/// y = x·Φ(x), dx = dy·(Φ(x) + x·φ(x)), with the normal distribution Φ(x) = (1 + erf(x / √2)) / 2 and
/// its density φ. (Hendrycks and Gimpel, 2016; PyTorch's `GELU` with its default, the exact form.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// Far below zero y and the slope are 0, at -∞ too. Far above zero y is x and the slope is 1. A NaN input gives a
/// NaN output. The error of Φ is a rounding of 1, not of Φ. So for x below zero the error of y is a rounding of x,
/// and below x = -8.3 in f64, or -5.5 in f32, y is 0 up to that error.
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
elementwise!(Gelu: kernel::gelu, kernel::gelu_back, x, Some(Gain::Relu));

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
/// assert_eq!(softplus.y, Vector3::new(core::f64::consts::LN_2, 1000.0, 0.0));
/// assert_eq!(softplus.backward(&Vector3::repeat(4.0)).0, Vector3::new(2.0, 4.0, 0.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Softplus;
elementwise!(Softplus: kernel::softplus, kernel::softplus_back, x, Some(Gain::Relu));

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
elementwise!(Identity: copy, copy_back, y, Some(Gain::Linear));

/// y = x, dx = dy. It does nothing; the output keeps the shape of an image.
///
/// PyTorch's `Flatten` makes a vector of an image. [`Dense`](crate::Dense) takes the image itself. With this layer before
/// it the layers have the indices, and so the parameters the names, of a PyTorch `Sequential` with `Flatten` and
/// `Linear`. It costs a copy of the numbers.
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
elementwise!(Flatten: copy, copy_back, y, None);

#[inline(always)]
fn copy<T: Number>(x: &[T], y: &mut [T]) {
    if x.len() != y.len() {
        return y.fill(nan());
    }
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = x);
}

#[inline(always)]
fn copy_back<T: Number>(_: &[T], dy: &[T], dx: &mut [T]) {
    copy(dy, dx);
}
