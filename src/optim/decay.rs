//! Weight decay.

use crate::{path::Path, shape::Number};

/// Weight decay, which makes weights smaller at each step. It does not apply to parameters that are called
/// `bias`, or to parameters of one column, such as the scales of a normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay<T> {
    /// None.
    None,
    /// λ·W is added to the gradient: the derivative of λ/2·ΣW². (Chapter 6.4.2; PyTorch's
    /// `weight_decay`, except in AdamW.)
    L2(T),
    /// W ← (1 - η·λ)·W before the step, for any gradient. (PyTorch's `AdamW`.)
    Decoupled(T),
}

impl<T: Number> Decay<T> {
    /// How many times the weights are added to the gradient, and the factor of the weights.
    #[inline(always)]
    pub(super) fn factors(self, rate: T, path: &Path, shape: (usize, usize)) -> (T, T) {
        let spared = shape.1 == 1 || path.name() == Some("bias");
        match self {
            Decay::L2(lambda) if !spared => (lambda, T::one()),
            Decay::Decoupled(lambda) if !spared => (T::zero(), T::one() - rate * lambda),
            _ => (T::zero(), T::one()),
        }
    }
}
