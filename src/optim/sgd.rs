//! Stochastic gradient descent.

use super::Optimizer;
use crate::{
    params::{self, Parameters},
    shape::Scalar,
};

/// W ← W - η·dW. (Chapter 4.5; PyTorch's `SGD` without momentum.)
///
/// ```
/// use chainrule::{Optimizer, Sgd};
/// use nalgebra::Vector2;
///
/// let mut weight = Vector2::new(1.0, 2.0);
/// Sgd::new(0.25).step(&mut weight, &mut Vector2::new(4.0, -4.0));
/// assert_eq!(weight, Vector2::new(0.0, 3.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd<T> {
    /// η, the learning rate.
    pub rate: T,
}

impl<T: Scalar> Sgd<T> {
    /// With the learning rate `rate`.
    pub const fn new(rate: T) -> Self {
        Sgd { rate }
    }
}

impl<T: Scalar, L: Parameters<T>> Optimizer<T, L> for Sgd<T> {
    #[inline]
    fn step(&mut self, layers: &mut L, grad: &mut L::Gradient) {
        params::descend(self.rate, layers, grad);
    }

    #[inline]
    fn plain_rate(&self) -> Option<T> {
        Some(self.rate)
    }
}
