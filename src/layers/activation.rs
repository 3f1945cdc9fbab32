//! The activations: functions of one number, applied to each.

use crate::{
    layer::{Layer, Pass},
    params::Grad,
    shape::{BatchSize, Flat, Scalar},
};

/// A function of one number; `slope` is its derivative from x and from y = f(x).
trait Elementwise {
    fn value<T: Scalar>(x: T) -> T;
    fn slope<T: Scalar>(x: T, y: T) -> T;
}

/// Makes an `Elementwise` a layer on every flat shape. (A blanket impl would forbid `Box<L>`.)
macro_rules! elementwise {
    ($name:ident) => {
        parameters!($name {});

        impl<T: Scalar, S: Flat> Layer<T, S> for $name {
            type Out = S;
            type Cache<B: BatchSize> = ();

            #[inline(always)]
            fn forward<B: BatchSize>(
                &self,
                x: &S::Batch<T, B>,
                y: &mut S::Batch<T, B>,
                _: &mut (),
                _: &mut Pass,
            ) {
                for (y, &x) in S::flat_mut::<T, B>(y).iter_mut().zip(S::flat::<T, B>(x)) {
                    *y = $name::value(x);
                }
            }

            #[inline(always)]
            fn backward<B: BatchSize>(
                &self,
                x: &S::Batch<T, B>,
                y: &S::Batch<T, B>,
                _: &mut (),
                dy: &S::Batch<T, B>,
                dx: Option<&mut S::Batch<T, B>>,
                _: Grad<()>,
            ) {
                let Some(dx) = dx else { return };
                let xy = S::flat::<T, B>(x).iter().zip(S::flat::<T, B>(y));
                let dxy = S::flat_mut::<T, B>(dx).iter_mut().zip(S::flat::<T, B>(dy));
                for ((dx, &dy), (&x, &y)) in dxy.zip(xy) {
                    *dx = dy * $name::slope(x, y);
                }
            }
        }
    };
}

/// y = max(x, 0), dx = dy where x > 0, else 0. (Chapter 5.5.1.)
///
/// # Shapes
/// Any, unchanged.
///
/// The slope at the kink, x = 0, is 0, as in the book. NaN in, NaN out, with slope 1; as the slope
/// multiplies, a NaN or infinite dy is NaN where x ≤ 0 too.
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
elementwise!(Relu);
impl Elementwise for Relu {
    #[inline]
    fn value<T: Scalar>(x: T) -> T {
        if x <= T::zero() { T::zero() } else { x }
    }
    #[inline]
    fn slope<T: Scalar>(x: T, _: T) -> T {
        if x <= T::zero() { T::zero() } else { T::one() }
    }
}

/// y = 1 / (1 + e⁻ˣ), dx = dy·y·(1 - y). (Chapter 5.5.2.)
///
/// # Shapes
/// Any, unchanged.
///
/// No overflow for any x: far below zero y is 0, far above it is 1, the slope there 0. NaN in, NaN
/// out. The slope is taken from the output, so that for y near 1 it is exact to the rounding of 1,
/// not to its own.
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
elementwise!(Sigmoid);
impl Elementwise for Sigmoid {
    #[inline]
    fn value<T: Scalar>(x: T) -> T {
        // e to a negative power only: it cannot overflow, not even in a dual number's derivative.
        if x >= T::zero() {
            T::one() / (T::one() + (-x).exp())
        } else {
            let e = x.exp();
            e / (T::one() + e)
        }
    }
    #[inline]
    fn slope<T: Scalar>(_: T, y: T) -> T {
        y * (T::one() - y)
    }
}

/// y = tanh x, dx = dy·(1 - y²).
///
/// # Shapes
/// Any, unchanged.
///
/// NaN in, NaN out; far from zero y is ±1 and the slope 0. The slope is taken from the output, so that
/// for y near ±1 it is exact to the rounding of 1, not to its own.
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
elementwise!(Tanh);
impl Elementwise for Tanh {
    #[inline]
    fn value<T: Scalar>(x: T) -> T {
        // By e to a negative power less 1, which is exact near zero and cannot overflow; duals
        // take tanh for sinh / cosh, whose derivative is NaN from 355 on.
        let (size, sign) = if x < T::zero() { (-x, -T::one()) } else { (x, T::one()) };
        let e = (-(size + size)).exp_m1();
        -sign * e / (e + T::one() + T::one())
    }
    #[inline]
    fn slope<T: Scalar>(_: T, y: T) -> T {
        T::one() - y * y
    }
}

/// y = x, dx = dy: the output layer of a regression. (Chapter 3.5.)
///
/// # Shapes
/// Any, unchanged.
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
elementwise!(Identity);
impl Elementwise for Identity {
    #[inline]
    fn value<T: Scalar>(x: T) -> T {
        x
    }
    #[inline]
    fn slope<T: Scalar>(_: T, _: T) -> T {
        T::one()
    }
}
