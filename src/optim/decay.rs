//! Weight decay.

use crate::{path::Path, shape::Scalar};

/// Weight decay, which draws weights to zero. Parameters that are called `bias` are spared, and so are
/// those of one column, such as the scales of a normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay<T> {
    /// None.
    None,
    /// λ·W is added to the gradient: the derivative of λ/2·ΣW². (Chapter 6.4.2; PyTorch's `weight_decay` but
    /// of AdamW.)
    L2(T),
    /// W ← (1 - η·λ)·W before the step, whatever the gradient. (PyTorch's `AdamW`.)
    Decoupled(T),
}

impl<T: Scalar> Decay<T> {
    /// What to add to the gradient, in weights, and what to multiply weights with.
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
