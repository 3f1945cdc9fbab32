//! Variants of ReLU with a slope below zero.

use super::{
    activation::setting,
    function::{each, each_back},
};
use crate::{
    Backward, BatchSize, Destination, Flat, Forward, Grad, Layer, Number, Purpose, init::Gain,
    kernel::Sum, part,
};
use nalgebra::SVector;
use rand::Rng;

/// y = x where x > 0, else s·x; dx = dy where x > 0, else s·dy. (Maas and others, 2013; PyTorch's `LeakyReLU`.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// The slope at the kink, x = 0, is s, as PyTorch's. A NaN input gives a NaN output. At -1000 y is -1000·s.
///
/// ```
/// use chainrule::{ByValue, LeakyRelu};
/// use nalgebra::Vector3;
///
/// let (layer, x) = (LeakyRelu { slope: Some(0.5) }, Vector3::new(2.0, 0.0, -1000.0));
/// let mut leaky = layer.trace(&x);
/// assert_eq!(leaky.y, Vector3::new(2.0, 0.0, -500.0));
/// assert_eq!(leaky.backward(&Vector3::repeat(4.0)).0, Vector3::new(4.0, 2.0, 2.0));
/// ```
#[doc(alias("LeakyReLU"))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LeakyRelu {
    /// s, the slope below zero. `None` means 0.01.
    pub slope: Option<f64>,
}
elementwise!(LeakyRelu { slope } Some(Gain::Relu), (this, x, y, dy, dx)
{
    let slope = slope_at(setting(this.slope, 0.01));
    each(x, y, |x| x * slope(x));
},
each_back(x, dy, dx, slope_at(setting(this.slope, 0.01))));

/// The slope at x: 1 above zero, else `below`.
#[inline(always)]
fn slope_at<T: Number>(below: T) -> impl Fn(T) -> T {
    move |x| if x > T::zero() { T::one() } else { below }
}

/// y = x where x > 0, else w·x, with one w that learns; dx = dy where x > 0, else w·dy; dw = Σ x·dy where x ≤ 0. (He
/// and others, 2015; PyTorch's `PReLU` with one parameter.)
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// The slope at the kink, x = 0, is w, as PyTorch's. A NaN input gives a NaN output. The first w is 0.25. PyTorch advises
/// against weight decay for it.
///
/// ```
/// use chainrule::{ByValue, PRelu};
/// use nalgebra::{Vector1, Vector2};
///
/// let layer = PRelu { weight: Vector1::new(0.5) };
/// let x = Vector2::new(3.0, -1000.0);
/// let mut pass = layer.trace(&x);
/// assert_eq!(pass.y, Vector2::new(3.0, -500.0));
/// let (dx, grad) = pass.backward(&Vector2::new(1.0, 2.0));
/// assert_eq!((dx, grad.weight[0]), (Vector2::new(1.0, 1.0), -2000.0));
/// ```
#[doc(alias("PReLU"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PRelu<T> {
    /// w, the slope below zero.
    pub weight: SVector<T, 1>,
}
parameters!(PRelu<T: scalar> { weight });

/// w = 0.25.
impl<T: Number> Default for PRelu<T> {
    fn default() -> Self {
        PRelu { weight: SVector::<T, 1>::new(nalgebra::convert(0.25)) }
    }
}

impl<T: Number, S: Flat> Layer<T, S> for PRelu<T> {
    type Out = S;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();
    const GAIN: Option<Gain> = Some(Gain::Relu);

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        let w = self.weight.x;
        let f = |x| if x > T::zero() { x } else { x * w };
        each(S::flat::<T, B>(at.x), S::flat_mut::<T, B>(at.y), f);
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        let (x, dy, w) = (S::flat::<T, B>(at.x), S::flat::<T, B>(at.dy), this.weight.x);
        if let Some(dx) = at.dx {
            each_back(x, dy, S::flat_mut::<T, B>(dx), slope_at(w));
        }
        part!(this.weight).add(|dw| {
            let mut sum = Sum::new();
            // A filter for x ≤ 0 would drop a NaN.
            let terms = x.iter().zip(dy);
            terms.for_each(|(&x, &dy)| sum.add(if x > T::zero() { T::zero() } else { x * dy }));
            dw.x += sum.total();
        });
    }

    fn init<R: Rng + ?Sized>(&mut self, _: Gain, _: &mut R) {
        *self = Self::default();
    }
}
