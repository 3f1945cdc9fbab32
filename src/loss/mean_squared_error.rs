//! The mean of squared errors, as in PyTorch.

use crate::Number;

/// L = Σ (yₖ - tₖ)² / N, the mean over the batch too; dy = 2·(y - t) / (N·B). (PyTorch's `MSELoss`.)
///
/// The book's [`SumSquaredError`](crate::SumSquaredError) is N/2 times this loss. The net ends in
/// [`Identity`](crate::Identity), or in its last layer with weights.
///
/// # Shapes
/// Any of N numbers a sample. The target has the shape of the outputs.
///
/// A NaN in an output or a target makes the loss NaN. Errors of ±1000 give a loss of 10⁶.
///
/// ```
/// use chainrule::MeanSquaredError;
/// use nalgebra::Matrix2;
///
/// let (y, t) = (Matrix2::new(1.0, 2.0, 3.0, 4.0), Matrix2::new(1.0, 0.0, 0.0, 4.0));
/// let mut dy = y;
/// assert_eq!(MeanSquaredError.loss(&y, &t, Some(&mut dy)), (4.0 + 9.0) / 4.0);
/// assert_eq!(dy, Matrix2::new(0.0, 1.0, 1.5, 0.0));
/// ```
#[doc(alias("MSELoss", "mse", "mse_loss"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeanSquaredError;

elementwise!(MeanSquaredError {}, S::LEN, |_this, y, t| {
    let error = y - t;
    (error * error, error + error)
});
