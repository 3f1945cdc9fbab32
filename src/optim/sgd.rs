//! Stochastic gradient descent.

use super::Descent;
use crate::{BadSetting, Fused, Number, Piece, Rule, kernel};

/// W ← W - η·dW. (Chapter 4.5; PyTorch's `SGD` without momentum.) [`Momentum`](crate::Momentum) has
/// momentum and weight decay.
///
/// ```
/// use chainrule::{Optimizer, Sgd};
/// use nalgebra::Vector2;
///
/// let mut weight = Vector2::new(1.0, 2.0);
/// Sgd::new(0.25).step(&mut weight, &Vector2::new(4.0, -4.0))?;
/// assert_eq!(weight, Vector2::new(0.0, 3.0));
/// # Ok::<_, chainrule::StepError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd<T> {
    /// η, the learning rate.
    pub rate: T,
}

impl<T: Number> Sgd<T> {
    /// Gradient descent with the learning rate `rate`.
    pub const fn new<G>(rate: T) -> Descent<Self, G, 0> {
        Descent { rule: Sgd { rate }, state: [], steps: 0 }
    }
}

impl<T: Number> Rule<T, 0> for Sgd<T> {
    type Way = Fused;
    const NAME: &'static str = "Sgd";

    #[inline(always)]
    fn begin(&mut self, _: u64) -> Result<(), BadSetting> {
        BadSetting::unless_positive("rate", self.rate)
    }

    #[inline(always)]
    fn factor(&self) -> Option<T> {
        Some(-self.rate)
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, 0>) {
        kernel::add_scaled(-self.rate, piece.gradient, piece.values);
    }
}
