//! Huber's loss: squares near 0, absolute errors far from it.

use crate::Number;

/// With d = yₖ - tₖ: ½·d² where |d| ≤ δ, else δ·(|d| - ½·δ). L is the mean over the N numbers of a sample and over
/// the batch; dy = d / (N·B), limited to ±δ / (N·B). (Huber, 1964; PyTorch's `HuberLoss`.)
///
/// PyTorch's `SmoothL1Loss` with β is this loss with δ = β, divided by β; with its default, 1, they are the same.
///
/// # Shapes
/// Any of N numbers a sample. The target has the shape of the outputs.
///
/// The slope is continuous; its kinks are at d = ±δ. A NaN in an output or a target makes the loss NaN, and so does a
/// δ that is not above 0. Errors of ±1000 give a loss of 999.5 for δ = 1.
///
/// ```
/// use chainrule::Huber;
/// use nalgebra::Vector2;
///
/// let (y, t) = (Vector2::new(0.5, 3.0), Vector2::zeros());
/// let mut dy = y;
/// assert_eq!(Huber::default().loss(&y, &t, Some(&mut dy)), (0.125 + 2.5) / 2.0);
/// assert_eq!(dy, Vector2::new(0.25, 0.5));
/// ```
#[doc(alias("HuberLoss", "SmoothL1Loss", "smooth_l1_loss"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Huber {
    /// δ: up to this error the loss is a square. The default is 1.
    pub delta: f64,
}

impl Default for Huber {
    fn default() -> Self {
        Huber { delta: 1.0 }
    }
}

elementwise!(Huber { delta }, S::LEN, |this, y, t| {
    let delta: T = nalgebra::convert(if this.delta > 0.0 { this.delta } else { f64::NAN });
    let (half, error): (T, _) = (nalgebra::convert(0.5), y - t);
    let (size, slope) = if error > T::zero() { (error, delta) } else { (-error, -delta) };
    match size {
        _ if size <= delta => (half * error * error, error),
        // A NaN is not larger, so it stays a NaN.
        _ => (delta * (size - half * delta), if size > delta { slope } else { error * delta }),
    }
});
