//! The mean of absolute errors.

use crate::Number;

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

elementwise!(AbsoluteError {}, S::LEN, |_this, y, t| match y - t {
    error if error > T::zero() => (error, T::one()),
    error if error < T::zero() => (-error, -T::one()),
    // A NaN stays a NaN.
    error => (error, error),
});
