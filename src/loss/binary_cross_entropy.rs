//! Cross entropy for two classes, yes and no.

use super::{MeanLoss, Weights};
use crate::kernel::{self, Sum};
use crate::shape::{nan, number};
use crate::{BatchSize, Columns, D1, Flat, Number};
use nalgebra::Const;
#[cfg(feature = "alloc")]
use {alloc::vec::Vec, nalgebra::Dyn};

/// L = -Σ (tₖ·ln σ(yₖ) + (1 - tₖ)·ln(1 - σ(yₖ))) / N, the mean over the batch too; dy = (σ(y) - t) / (N·B). σ is the
/// sigmoid. (PyTorch's `BCEWithLogitsLoss`.)
///
/// The net ends in the scores y, without a [`Sigmoid`](crate::Sigmoid). A score above 0 means yes. `accuracy` of a net with
/// one output is NaN: use `net.measure` with [`Confusion::<2>`](crate::metrics::Confusion).
///
/// # Shapes
/// Any of N numbers a sample. The target has the shape of the outputs: 0, 1, or a probability. For one output,
/// `D1<1>`, it can also be a list of labels, 0 or 1.
///
/// # Numbers
/// Nothing overflows: at a score of ±1000 with the wrong target the loss is 1000, with the right one 0. If the score is
/// large and right, loss and gradient are not rounded to 0. A NaN or ±∞ in the outputs makes the loss NaN or
/// infinite. A target that is not in 0..=1 makes it NaN.
///
/// ```
/// use chainrule::BinaryCrossEntropy;
/// use nalgebra::Matrix1x2;
///
/// let (y, mut dy) = (Matrix1x2::new(0.0, -1000.0), Matrix1x2::zeros());
/// let loss = BinaryCrossEntropy.loss(&y, &[1, 1], Some(&mut dy));
/// assert_eq!(loss, (2_f64.ln() + 1000.0) / 2.0);
/// assert_eq!(dy, Matrix1x2::new(-0.25, -0.5));
/// ```
#[doc(alias("BCEWithLogitsLoss", "BCELoss", "binary_cross_entropy_with_logits", "log_loss"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BinaryCrossEntropy;

parameters!(@export BinaryCrossEntropy [] (BinaryCrossEntropy) [] []);

impl<T: Number, S: Flat, B: BatchSize> MeanLoss<T, S, B, S::Batch<T, B>> for BinaryCrossEntropy {
    #[inline(always)]
    fn weighted(
        &self,
        y: &S::Batch<T, B>,
        target: &S::Batch<T, B>,
        weights: Option<&[T]>,
        dy: Option<&mut S::Batch<T, B>>,
    ) -> T {
        let size = S::size::<T, B>(y);
        let weights = Weights::new(weights, size.value(), size == S::size::<T, B>(target));
        let target = S::flat::<T, B>(target);
        let t = |i| target.get(i).copied().unwrap_or_else(nan);
        binary(S::flat::<T, B>(y), t, weights, S::LEN, dy.map(|dy| S::flat_mut::<T, B>(dy)))
    }
}

macro_rules! labels {
    ($labels:ty, $size:ty $(, $b:ident)?) => {
        impl<T: Number $(, const $b: usize)?> MeanLoss<T, D1<1>, $size, $labels> for BinaryCrossEntropy {
            #[inline(always)]
            fn weighted(
                &self,
                y: &Columns<T, 1, $size>,
                target: &$labels,
                weights: Option<&[T]>,
                dy: Option<&mut Columns<T, 1, $size>>,
            ) -> T {
                let weights = Weights::new(weights, y.ncols(), target.len() == y.ncols());
                let t = |i| match target.get(i) {
                    Some(0) => T::zero(),
                    Some(1) => T::one(),
                    _ => nan(),
                };
                binary(y.as_slice(), t, weights, 1, dy.map(|dy| dy.as_mut_slice()))
            }
        }
    };
}
labels!([usize; B], Const<B>, B);
#[cfg(feature = "alloc")]
labels!([usize], Dyn);
#[cfg(feature = "alloc")]
labels!(Vec<usize>, Dyn);

/// How many exponentials and logarithms are computed together.
const TOGETHER: usize = 32;

/// `t` is the target of a number of the batch. The `parts` numbers of a sample have its weight.
#[inline(always)]
fn binary<T: Number>(
    y: &[T],
    t: impl Fn(usize) -> T,
    weights: Weights<T>,
    parts: usize,
    mut dy: Option<&mut [T]>,
) -> T {
    let (total, mut sum) = (weights.total * number(parts), Sum::new());
    if let Some(dy) = dy.as_deref_mut().filter(|dy| dy.len() != y.len()) {
        dy.fill(nan());
    }
    for (group, y) in y.chunks(TOGETHER).enumerate() {
        let mut e = [T::zero(); TOGETHER];
        e.iter_mut().zip(y).for_each(|(e, &y)| *e = if y > T::zero() { -y } else { y });
        kernel::exp(&mut e);
        let mut logs = e;
        kernel::ln_1p(&mut logs);
        for (i, (&y, (&e, &log))) in (group * TOGETHER..).zip(y.iter().zip(e.iter().zip(&logs))) {
            let (weight, t) = (weights.of(i.checked_div(parts).unwrap_or(0)), t(i));
            let t = if t < T::zero() || t > T::one() { nan() } else { t };
            // Compute both σ(y) and σ(-y), because 1 - σ(y) would lose digits.
            let (large, small) = (T::one() / (T::one() + e), e / (T::one() + e));
            let (yes, no, above) =
                if y > T::zero() { (large, small, y) } else { (small, large, T::zero()) };
            let (loss, slope) = (log + above - y * t, (T::one() - t) * yes - t * no);
            let counts = weight != T::zero();
            if counts {
                sum.add(weight * loss);
            }
            if let Some(dy) = dy.as_deref_mut().and_then(|dy| dy.get_mut(i)) {
                *dy = if counts { weight * slope / total } else { T::zero() };
            }
        }
    }
    sum.total() / total
}
