//! The mean of absolute errors.

use super::{MeanLoss, each};
use crate::shape::{BatchSize, Flat, Number};

/// L = Σ |yₖ - tₖ| / N, the mean over the batch too; dy = sign(y - t) / (N·B). (PyTorch's `L1Loss`.)
///
/// # Shapes
/// Any of N numbers a sample. The target has the shape of the outputs.
///
/// The slope at the kink, y = t, is 0, as PyTorch's. A NaN in an output or a target makes the loss NaN. Errors of
/// ±1000 give a loss of 1000.
///
/// ```
/// use chainrule::AbsoluteError;
/// use nalgebra::Vector2;
///
/// let (y, t) = (Vector2::new(1.0, 2.0), Vector2::new(1.0, 5.0));
/// let mut dy = y;
/// assert_eq!(AbsoluteError.loss(&y, &t, Some(&mut dy)), 1.5);
/// assert_eq!(dy, Vector2::new(0.0, -0.5));
/// ```
#[doc(alias("L1Loss", "l1_loss", "mae"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbsoluteError;

parameters!(@export AbsoluteError [] (AbsoluteError) [] []);

impl<T: Number, S: Flat, B: BatchSize> MeanLoss<T, S, B, S::Batch<T, B>> for AbsoluteError {
    #[inline(always)]
    fn weighted(
        &self,
        y: &S::Batch<T, B>,
        target: &S::Batch<T, B>,
        weights: Option<&[T]>,
        dy: Option<&mut S::Batch<T, B>>,
    ) -> T {
        each::<T, S, B>([y, target], weights, S::LEN, dy, |y, t| {
            let error = y - t;
            match error {
                _ if error > T::zero() => (error, T::one()),
                _ if error < T::zero() => (-error, -T::one()),
                // A NaN stays one.
                _ => (error, error),
            }
        })
    }
}
