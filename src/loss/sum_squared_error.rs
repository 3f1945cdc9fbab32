//! The book's sum of squared errors.

use super::Loss;
use crate::shape::{BatchSize, Columns, D1, Scalar, nan, number};

/// L = ½·Σ (yₖ - tₖ)², the mean over the batch; dy = (y - t) / B. (Chapters 4.2.1 and 5.6.3.)
///
/// The net that it trains ends in [`Identity`](crate::Identity), or in nothing. PyTorch's `MSELoss`
/// takes the mean over the features too and has no ½: it is 2/N of this.
///
/// # Shapes
/// Outputs `D1<N>`, targets the same.
///
/// NaN in an output or a target makes the loss NaN.
///
/// ```
/// use chainrule::{Loss, SumSquaredError};
/// use nalgebra::Matrix2;
///
/// let (y, t) = (Matrix2::new(1.0, 2.0, 3.0, 4.0), Matrix2::new(1.0, 0.0, 0.0, 4.0));
/// let mut dy = y;
/// let loss = SumSquaredError.loss(&y, &t, Some(&mut dy));
/// assert_eq!(loss, (9.0 / 2.0 + 4.0 / 2.0) / 2.0);
/// assert_eq!(dy, Matrix2::new(0.0, 1.0, 1.5, 0.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SumSquaredError;

impl<T: Scalar, const N: usize, B: BatchSize> Loss<T, D1<N>, B, Columns<T, N, B>>
    for SumSquaredError
{
    #[inline(always)]
    fn loss(
        &self,
        y: &Columns<T, N, B>,
        target: &Columns<T, N, B>,
        dy: Option<&mut Columns<T, N, B>>,
    ) -> T {
        let samples = if y.ncols() == target.ncols() { number(y.ncols()) } else { nan::<T>() };
        let (y, t) = (y.as_slice(), target.as_slice());
        if let Some(dy) = dy {
            dy.fill(nan());
            for (dy, (&y, &t)) in dy.as_mut_slice().iter_mut().zip(y.iter().zip(t)) {
                *dy = (y - t) / samples;
            }
        }
        let squares = y.iter().zip(t).fold(T::zero(), |sum, (&y, &t)| sum + (y - t) * (y - t));
        squares * nalgebra::convert(0.5) / samples
    }
}
