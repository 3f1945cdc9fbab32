//! Normalisation by the root of the mean square.

use super::layer_norm::{add_normal, normalise, normalise_back};
use crate::{
    grad::{Destination, Grad},
    init::Gain,
    layer::{Backward, Forward, Layer},
    part,
    shape::{BatchSize, Columns, D1, Number, Purpose},
};
use nalgebra::SVector;
use rand::Rng;

/// y = w ⊙ x̂ with x̂ = x / √(mean(x²) + ε), over the N numbers of a sample. (Zhang and Sennrich, 2019; PyTorch's
/// `RMSNorm`.)
///
/// With g = w ⊙ dy: dx = (g - x̂·mean(g ⊙ x̂)) / √(mean(x²) + ε), dw = Σ dy ⊙ x̂.
///
/// # Shapes
/// From `D1<N>` to `D1<N>`; w has N entries.
///
/// Training and prediction compute the same. A NaN or ±∞ makes the whole sample NaN, and so do numbers whose squares
/// overflow; ±1000 do not. w is 1 at first.
///
/// ```
/// use chainrule::{ByValue, RmsNorm};
/// use nalgebra::Vector2;
///
/// let y = RmsNorm::<f64, 2>::default().trace(&Vector2::new(1000.0, -1000.0)).y;
/// assert!((y - Vector2::new(1.0, -1.0)).amax() < 1e-15);
/// ```
#[doc(alias("RMSNorm"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsNorm<T, const N: usize> {
    /// w.
    pub weight: SVector<T, N>,
    /// ε. `None` means the rounding error of 1 in `T`, as PyTorch's.
    pub eps: Option<f64>,
}

parameters!(RmsNorm<T: scalar, const N: usize> { weight, keep eps });

impl<T: Number, const N: usize> Default for RmsNorm<T, N> {
    fn default() -> Self {
        RmsNorm { weight: SVector::repeat(T::one()), eps: None }
    }
}

impl<T: Number, const N: usize> Layer<T, D1<N>> for RmsNorm<T, N> {
    type Out = D1<N>;
    /// 0 and 1 / √(mean(x²) + ε) of each sample.
    type Cache<B: BatchSize, P: Purpose> = P::InTraining<B, Columns<T, 2, B>>;
    type Scratch = ();
    const GAIN: Option<Gain> = None;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        let eps = self.eps.map_or_else(T::default_epsilon, nalgebra::convert);
        let kept = P::kept::<B, Columns<T, 2, B>>(at.cache).map(|kept| kept.as_mut_slice());
        let (x, y, w) = (at.x.as_slice(), at.y.as_mut_slice(), self.weight.as_slice());
        normalise(false, eps, [x, w], None, y, kept);
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let (x, dy, kept) = (at.x.as_slice(), at.dy.as_slice(), at.cache.as_slice());
        if let Some(dx) = at.dx {
            normalise_back(false, [x, dy, this.weight.as_slice(), kept], dx.as_mut_slice());
        }
        part!(this.weight).add(|dw| add_normal(x, dy, kept, dw.as_mut_slice()));
    }

    fn init<R: Rng + ?Sized>(&mut self, _: Gain, _: &mut R) {
        self.weight.fill(T::one());
    }
}
