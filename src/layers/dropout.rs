//! Dropout.

use super::activation::setting;
use crate::{Extent, Img, Number, shape::nan};
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};

/// In training: y = 0 with probability p, else x / (1 - p); dx is dropped and scaled in the same way. In a prediction
/// y = x. (Chapter 6.4.3; Srivastava and others, 2014; PyTorch's `Dropout`.)
///
/// The book drops in training too, but scales by 1 - p in a prediction, and not by 1 / (1 - p) in training.
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// The layer takes its seed from the [`Pass`](crate::Pass) and keeps only the seed. The backward pass draws the same
/// numbers again. A NaN that is dropped is still NaN. With p = 1 all outputs are 0. If p is not in 0..=1, all outputs
/// in training are NaN.
///
/// ```
/// use chainrule::{Affine, D1, Dropout, Network, Relu, SoftmaxCrossEntropy};
/// # use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Layers = (Affine<f32, 2, 16>, Relu, Dropout, Affine<f32, 16, 2>);
/// type Net = Network<f32, D1<2>, Layers, SoftmaxCrossEntropy>;
///
/// # let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
/// let mut net = Net::init(&mut rng); // p is 0.5
/// net.layers.2 = Dropout::new(0.2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropout {
    /// p, the probability that a number is dropped. `None` means 0.5.
    pub rate: Option<f64>,
}

elementwise!(Dropout { rate } None, (this, seed, x, y, dy, dx)
    drop(this.rate, seed, 1, x, y), drop(this.rate, seed, 1, dy, dx));

impl Dropout {
    /// Drops each number with probability `rate`.
    pub const fn new(rate: f64) -> Self {
        Dropout { rate: Some(rate) }
    }
}

/// [`Dropout`] of whole channels: all numbers of a channel of an image are dropped together. (Tompson and others, 2015;
/// PyTorch's `Dropout2d`.)
///
/// # Shapes
/// From `Image<C, H, W>` to the same shape.
///
/// As in [`Dropout`], a NaN that is dropped is still NaN, and a rate outside 0..=1 makes all outputs in training NaN.
///
/// ```
/// use chainrule::{Dropout2d, Image, Images, Pass, Trace};
///
/// let x = Images::<f32, Image<1, 1, 2>, _>::from([[[[1.0, 2.0]]]]);
/// let layer = Dropout2d { rate: Some(0.25) };
/// let y = Trace::<_, Image<1, 1, 2>, _, _>::new(&layer, &x, &mut Pass::train(1, 0, 0)).y;
/// assert!(y.as_slice() == [0.0; 2] || y.as_slice() == [1.0 / 0.75, 2.0 / 0.75]);
/// ```
#[doc(alias("SpatialDropout2D"))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropout2d {
    /// The probability that a channel is dropped. `None` means 0.5.
    pub rate: Option<f64>,
}

parameters!(Dropout2d { keep rate });
function!([const C: usize, H: Extent, W: Extent] Dropout2d, Img<C, H, W> => Img<C, H, W>, None,
    (this, seed, x, y, dy, dx)
    drop(this.rate, seed, H::N * W::N, x, y), drop(this.rate, seed, H::N * W::N, dy, dx));

/// Drops or keeps each group of `together` numbers as a whole.
#[inline(always)]
fn drop<T: Number>(rate: Option<f64>, seed: Option<u64>, together: usize, x: &[T], y: &mut [T]) {
    let Some(seed) = seed else { return y.copy_from_slice(x) };
    let p: T = setting(rate, 0.5);
    let scale = match p {
        _ if p >= T::zero() && p < T::one() => (T::one() - p).recip(),
        _ if p == T::one() => T::zero(),
        _ => nan(),
    };
    // A number is dropped if 32 random bits are below this.
    let bound = (rate.unwrap_or(0.5) * 4_294_967_296.0) as u64;
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
    for (y, x) in y.chunks_mut(together.max(1)).zip(x.chunks(together.max(1))) {
        let dropped = u64::from(rng.next_u32()) < bound;
        let factor = if dropped { scale * T::zero() } else { scale };
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * factor;
        }
    }
}
