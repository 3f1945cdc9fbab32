//! Gradient descent with momentum.

use super::{Decay, Descent};
use crate::{BadSetting, Fused, Number, Piece, Rule, Zeros};
use nalgebra::convert;

/// v ← μ·v + (1 - τ)·dW, W ← W - η·v. (Chapter 6.1.4; Polyak, 1964; PyTorch's `SGD` with momentum.)
///
/// At the first step v is dW. The book's v contains the rate, v ← μ·v - η·dW: the same steps as long as the rate
/// does not change. [`Sgd`](crate::Sgd) is the rule without momentum, which needs no state; for weight decay
/// without momentum, use this one with μ = 0.
///
/// ```
/// use chainrule::{Momentum, Optimizer};
/// use nalgebra::Vector2;
///
/// let (mut weight, mut momentum) = (Vector2::new(1.0, 2.0), Momentum::new(0.5, 0.5));
/// momentum.step(&mut weight, &Vector2::new(1.0, 0.0))?;
/// assert_eq!(weight, Vector2::new(0.5, 2.0));
/// momentum.step(&mut weight, &Vector2::new(0.0, 0.0))?;
/// assert_eq!(weight, Vector2::new(0.25, 2.0));
/// # Ok::<_, chainrule::StepError>(())
/// ```
#[doc(alias("SGD"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum<T> {
    /// η, the learning rate.
    pub rate: T,
    /// μ: how much of the velocity each step keeps.
    pub momentum: T,
    /// τ, PyTorch's dampening.
    pub dampening: T,
    /// Whether to use Nesterov's momentum, and in which form.
    pub nesterov: Nesterov,
    /// The weight decay.
    pub decay: Decay<T>,
}

/// Nesterov's momentum. (Sutskever and others, 2013; Bengio and others, 2012.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesterov {
    /// Plain momentum: W ← W - η·v.
    Off,
    /// W ← W - η·(dW + μ·v). (PyTorch.)
    On,
    /// W ← W - η·((1 + μ)·dW + μ²·v), where v contains this step's gradient already. (The code of the book.
    /// Bengio's formula has the v of the step before, which gives [`On`](Self::On).)
    Book,
}

impl<T: Number> Momentum<T> {
    /// With the learning rate `rate` and the momentum `momentum`, for which the book's default is 0.9.
    pub fn new<G: Zeros>(rate: T, momentum: T) -> Descent<Self, G, 1> {
        let (dampening, nesterov, decay) = (T::zero(), Nesterov::Off, Decay::None);
        Descent::new(Momentum { rate, momentum, dampening, nesterov, decay })
    }

    /// With Nesterov's momentum.
    pub fn nesterov<G: Zeros>(rate: T, momentum: T) -> Descent<Self, G, 1> {
        Momentum::new(rate, momentum).wrap(|rule| Momentum { nesterov: Nesterov::On, ..rule })
    }

    /// The code of the book for Nesterov's momentum, with μ = 0.9.
    pub fn book_nesterov<G: Zeros>(rate: T) -> Descent<Self, G, 1> {
        let descent = Momentum::new(rate, convert(0.9));
        descent.wrap(|rule| Momentum { nesterov: Nesterov::Book, ..rule })
    }
}

impl<T: Number> Rule<T, 1> for Momentum<T> {
    type Way = Fused;
    const NAME: &'static str = "Momentum";

    #[inline(always)]
    fn begin(&mut self, _: u64) -> Result<(), BadSetting> {
        BadSetting::unless_positive("rate", self.rate)?;
        BadSetting::unless_fraction("momentum", self.momentum)?;
        BadSetting::unless_fraction("dampening", self.dampening)?;
        self.decay.check()
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, 1>) {
        let Momentum { rate, momentum: mu, .. } = *self;
        let (l2, shrink) = self.decay.factors(rate, piece.path, piece.shape);
        let new = if piece.step == 1 { T::one() } else { T::one() - self.dampening };
        let (of_dw, of_v) = match self.nesterov {
            Nesterov::Off => (T::zero(), T::one()),
            Nesterov::On => (T::one(), mu),
            Nesterov::Book => (T::one() + mu, mu * mu),
        };
        let [v] = piece.state;
        for ((w, &dw), v) in piece.values.iter_mut().zip(piece.gradient).zip(v) {
            let dw = dw + l2 * *w;
            *v = mu * *v + new * dw;
            *w = *w * shrink - rate * (of_dw * dw + of_v * *v);
        }
    }
}
