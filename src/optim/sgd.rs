//! Stochastic gradient descent.

use super::Optimizer;
use crate::{
    params::{LeafMut, Parameters, Path},
    shape::Scalar,
};

/// W ← W - η·dW. (Chapter 4.5; PyTorch's `SGD` without momentum.)
///
/// ```
/// use chainrule::{Optimizer, Sgd};
/// use nalgebra::Vector2;
///
/// let mut weight = Vector2::new(1.0, 2.0);
/// Sgd::new(0.1).step(&mut weight, &mut Vector2::new(10.0, -10.0));
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
        let rate = self.rate;
        layers.visit_mut([grad], &Path::ROOT, &mut |leaf: LeafMut<T, 1>| {
            let [grad] = leaf.trees;
            for (w, &dw) in leaf.values.iter_mut().zip(&*grad) {
                *w -= rate * dw;
            }
        });
    }
}
