//! AdaGrad.

use super::{Decay, Descent, schedule::count};
use crate::{BadSetting, Fused, Number, Piece, Rule, Zeros};
use nalgebra::convert;

/// h ← h + dW², W ← W - η / (1 + (t - 1)·slowing)·dW / (√h + ε) at step t.
/// (Chapter 6.1.5; Duchi, Hazan and Singer, 2011; PyTorch's `Adagrad`.)
///
/// ```
/// use chainrule::{AdaGrad, Optimizer};
/// use nalgebra::Vector2;
///
/// let mut weight = Vector2::new(1.0, 2.0);
/// // The size of the first step is the rate, for a gradient of any size.
/// AdaGrad::new(0.1).step(&mut weight, &Vector2::new(1e3, -1e-3))?;
/// assert!((weight - Vector2::new(0.9, 2.1)).amax() < 1e-5_f64);
/// # Ok::<_, chainrule::StepError>(())
/// ```
#[doc(alias("Adagrad"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaGrad<T> {
    /// η, the learning rate; PyTorch's default is 0.01.
    pub rate: T,
    /// How much smaller the rate becomes with each step; PyTorch's `lr_decay`.
    pub slowing: T,
    /// ε.
    pub eps: T,
    /// The weight decay.
    pub decay: Decay<T>,
}

impl<T: Number> AdaGrad<T> {
    /// With the learning rate `rate`, ε = 10⁻¹⁰, no slowing and no decay.
    pub fn new<G: Zeros>(rate: T) -> Descent<Self, G, 1> {
        let (slowing, decay) = (T::zero(), Decay::None);
        Descent::new(AdaGrad { rate, slowing, eps: convert(1e-10), decay })
    }

    /// The code of the book: ε = 10⁻⁷.
    pub fn book<G: Zeros>(rate: T) -> Descent<Self, G, 1> {
        let mut optimizer = AdaGrad::new(rate);
        optimizer.rule.eps = convert(1e-7);
        optimizer
    }
}

impl<T: Number> Rule<T, 1> for AdaGrad<T> {
    type Way = Fused;
    const NAME: &'static str = "AdaGrad";

    #[inline(always)]
    fn begin(&mut self, _: u64) -> Result<(), BadSetting> {
        BadSetting::unless_positive("rate", self.rate)?;
        BadSetting::if_negative("slowing", self.slowing)?;
        BadSetting::if_negative("eps", self.eps)?;
        self.decay.check()
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, 1>) {
        let before: T = count(piece.step.saturating_sub(1));
        let rate = self.rate / (T::one() + before * self.slowing);
        let ([h], eps) = (piece.state, self.eps);
        let (l2, shrink) = self.decay.factors(rate, piece.path, piece.shape);
        for ((w, &dw), h) in piece.values.iter_mut().zip(piece.gradient).zip(h) {
            let dw = dw + l2 * *w;
            *h += dw * dw;
            *w = *w * shrink - rate * dw / (h.sqrt() + eps);
        }
    }
}
