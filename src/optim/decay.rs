//! Weight decay.

use crate::{BadSetting, Number, Path};

/// Weight decay, which makes weights smaller at each step.
///
/// [`L2`](Decay::L2) and [`Decoupled`](Decay::Decoupled) do not apply to parameters with the name `bias`, or
/// to parameters of one column: the scales of a normalisation, the weight of `PRelu`, and the weight of an `Affine` with
/// one input. PyTorch decays all parameters; for this use [`L2All`](Decay::L2All) or
/// [`DecoupledAll`](Decay::DecoupledAll). To choose by name, use [`Descent::groups`](crate::Descent::groups).
#[doc(alias("weight_decay"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay<T> {
    /// None.
    None,
    /// Adds λ·W to the gradient: the derivative of λ/2·ΣW². (Chapter 6.4.2; PyTorch's
    /// `weight_decay`, except in AdamW.)
    L2(T),
    /// W ← (1 - η·λ)·W before the step, for any gradient. (PyTorch's `AdamW`.)
    Decoupled(T),
    /// As [`L2`](Self::L2), for all parameters.
    L2All(T),
    /// As [`Decoupled`](Self::Decoupled), for all parameters.
    DecoupledAll(T),
}

impl<T: Number> Decay<T> {
    /// How many times the weights are added to the gradient, and the factor of the weights.
    #[inline(always)]
    pub(super) fn factors(self, rate: T, path: &Path, shape: (usize, usize)) -> (T, T) {
        let spared = shape.1 == 1 || path.name() == Some("bias");
        match self {
            Decay::L2(_) | Decay::Decoupled(_) if spared => (T::zero(), T::one()),
            Decay::None => (T::zero(), T::one()),
            Decay::L2(lambda) | Decay::L2All(lambda) => (lambda, T::one()),
            Decay::Decoupled(lambda) | Decay::DecoupledAll(lambda) => {
                (T::zero(), T::one() - rate * lambda)
            }
        }
    }

    /// An error if λ is negative or not finite.
    #[inline(always)]
    pub(super) fn check(self) -> Result<(), BadSetting> {
        match self {
            Decay::None => Ok(()),
            Decay::L2(lambda)
            | Decay::Decoupled(lambda)
            | Decay::L2All(lambda)
            | Decay::DecoupledAll(lambda) => BadSetting::if_negative("decay", lambda),
        }
    }
}
