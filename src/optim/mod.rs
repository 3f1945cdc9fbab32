//! Optimizers, one file each. They see parameters and gradients, leaf by leaf, and know no layer.

mod sgd;

pub use sgd::Sgd;

use crate::{params::Parameters, shape::Scalar};

/// A rule that changes parameters by their gradient.
pub trait Optimizer<T: Scalar, L: Parameters<T>> {
    /// One step. The gradient is read only; what was kept of the steps before lies in `self`.
    fn step(&mut self, layers: &mut L, grad: &mut L::Gradient);
}
