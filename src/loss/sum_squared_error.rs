//! The book's sum of squared errors.

use super::Loss;
use crate::{
    kernel,
    shape::{BatchSize, Columns, D1, Flat, Number, nan, number},
};

/// L = ½·Σ (yₖ - tₖ)², the mean over the batch; dy = (y - t) / B. (Chapters 4.2.1 and 5.6.3.)
///
/// The net ends in [`Identity`](crate::Identity), or in its last layer with weights. PyTorch's `MSELoss` takes the
/// mean over the features too, without the ½: it is 2/N times this loss.
///
/// # Shapes
/// Any. The target has the shape of the outputs.
///
/// A NaN in an output or a target makes the loss NaN.
///
/// ```
/// use chainrule::{D1, Loss, SumSquaredError};
/// use nalgebra::Matrix2;
///
/// let (y, t) = (Matrix2::new(1.0, 2.0, 3.0, 4.0), Matrix2::new(1.0, 0.0, 0.0, 4.0));
/// let mut dy = y;
/// // The loss takes any shape, so the type of the shape must be given here; a net gives it.
/// let loss = Loss::<f64, D1<2>, _, _>::loss(&SumSquaredError, &y, &t, Some(&mut dy));
/// assert_eq!(loss, (9.0 / 2.0 + 4.0 / 2.0) / 2.0);
/// assert_eq!(dy, Matrix2::new(0.0, 1.0, 1.5, 0.0));
/// ```
#[doc(alias("MSELoss", "mse"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SumSquaredError;

parameters!(@export SumSquaredError [] (SumSquaredError) [] []);

impl SumSquaredError {
    /// The loss of vectors, by hand: [`Loss::loss`], whose shape does not follow from a matrix.
    #[inline(always)]
    pub fn loss<T: Number, const N: usize, B: BatchSize>(
        &self,
        y: &Columns<T, N, B>,
        target: &Columns<T, N, B>,
        dy: Option<&mut Columns<T, N, B>>,
    ) -> T {
        Loss::<T, D1<N>, B, _>::loss(self, y, target, dy)
    }
}

impl<T: Number, S: Flat, B: BatchSize> Loss<T, S, B, S::Batch<T, B>> for SumSquaredError {
    #[inline(always)]
    fn loss(
        &self,
        y: &S::Batch<T, B>,
        target: &S::Batch<T, B>,
        dy: Option<&mut S::Batch<T, B>>,
    ) -> T {
        let size = S::size::<T, B>(y);
        let fits = size == S::size::<T, B>(target);
        let samples = if fits { number(size.value()) } else { nan::<T>() };
        let (y, t) = (S::flat::<T, B>(y), S::flat::<T, B>(target));
        if let Some(dy) = dy {
            let dy = S::flat_mut::<T, B>(dy);
            if dy.len() != y.len() || !fits {
                dy.fill(nan());
            }
            for (dy, (&y, &t)) in dy.iter_mut().zip(y.iter().zip(t)) {
                *dy = (y - t) / samples;
            }
        }
        let squares = kernel::sum_of(y.len().min(t.len()), |part| {
            let y = y.get(part.clone()).unwrap_or_default();
            let errors = y.iter().zip(t.get(part).unwrap_or_default());
            errors.fold(T::zero(), |sum, (&y, &t)| sum + (y - t) * (y - t))
        });
        squares * nalgebra::convert(0.5) / samples
    }
}
