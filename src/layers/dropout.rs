//! Dropout.

use super::activation::setting;
use crate::{Number, shape::nan};
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};

/// In training: y = 0 with probability p, else x / (1 - p); dx is dropped and scaled in the same way. In a prediction
/// y = x. (Chapter 6.4.3; Srivastava and others, 2014; PyTorch's `Dropout`.)
///
/// The book drops in training too, but scales by 1 - p in a prediction, and not by 1 / (1 - p) in training.
///
/// # Shapes
/// Any. The output has the shape of the input.
///
/// [`Pass`](crate::Pass) gives the seed. It is all that the layer keeps for the backward pass, which draws the same
/// numbers again. A NaN that is dropped is still NaN. With p = 1 all outputs are 0. A p that is not in 0..=1 makes all
/// outputs of a training NaN.
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

elementwise!(Dropout { rate } None, (this, seed, x, y, dy, dx) this.drop(seed, x, y), this.drop(seed, dy, dx));

impl Dropout {
    /// Drops each number with probability `rate`.
    pub const fn new(rate: f64) -> Self {
        Dropout { rate: Some(rate) }
    }

    #[inline(always)]
    fn drop<T: Number>(&self, seed: Option<u64>, x: &[T], y: &mut [T]) {
        let Some(seed) = seed else { return y.copy_from_slice(x) };
        let rate: T = setting(self.rate, 0.5);
        let scale = match rate {
            _ if rate >= T::zero() && rate < T::one() => (T::one() - rate).recip(),
            _ if rate == T::one() => T::zero(),
            _ => nan(),
        };
        // A number is dropped if 32 random bits are below this.
        let bound = (self.rate.unwrap_or(0.5) * 4_294_967_296.0) as u64;
        let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
        for (y, &x) in y.iter_mut().zip(x) {
            let dropped = u64::from(rng.next_u32()) < bound;
            *y = x * if dropped { scale * T::zero() } else { scale };
        }
    }
}
