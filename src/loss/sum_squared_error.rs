//! The book's sum of squared errors.

use crate::Number;

/// L = ½·Σ (yₖ - tₖ)², the mean over the batch; dy = (y - t) / B. (Chapters 4.2.1 and 5.6.3.)
///
/// The net ends in [`Identity`](crate::Identity), or in its last layer with weights. PyTorch's `MSELoss` is
/// [`MeanSquaredError`](crate::MeanSquaredError), 2/N times this loss.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SumSquaredError;

elementwise!(SumSquaredError {}, 1, |_this, y, t| {
    (nalgebra::convert::<f64, T>(0.5) * (y - t) * (y - t), y - t)
});
