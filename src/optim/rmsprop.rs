//! RMSprop.

use super::{Decay, Descent};
use crate::{BadSetting, Fused, Number, Piece, Rule, Zeros};
use nalgebra::convert;

/// h ← α·h + (1 - α)·dW², W ← W - η·dW / (√h + ε). (Chapter 6.1.5; Tieleman and Hinton, 2012; PyTorch's
/// `RMSprop`.)
///
/// `N` is the number of state trees. With 2, the rule has a velocity: v ← μ·v + dW / (√h + ε), W ← W - η·v. With 3, it
/// is centred too: it uses h - g² in place of h, where g is the mean of the gradient, g ← α·g + (1 - α)·dW.
/// If rounding makes h - g² negative, it counts as 0; in PyTorch it becomes NaN.
///
/// ```
/// use chainrule::{Optimizer, RmsProp};
/// use nalgebra::Vector2;
///
/// let mut weight = Vector2::new(1.0, 2.0);
/// // The first step is 1 / √(1 - α) times the rate, for a gradient of any size.
/// RmsProp::new(0.01).step(&mut weight, &Vector2::new(1e3, -1e-3))?;
/// assert!((weight - Vector2::new(0.9, 2.1)).amax() < 1e-4_f64);
/// # Ok::<_, chainrule::StepError>(())
/// ```
#[doc(alias("RMSprop"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp<T, const N: usize = 1> {
    /// η, the learning rate; PyTorch's default is 0.01.
    pub rate: T,
    /// α: how much of the mean h each step keeps.
    pub alpha: T,
    /// ε.
    pub eps: T,
    /// μ, for 2 or 3 state trees.
    pub momentum: T,
    /// The weight decay.
    pub decay: Decay<T>,
}

impl<T: Number> RmsProp<T> {
    /// With the learning rate `rate`, α = 0.99, ε = 10⁻⁸ and no decay.
    pub fn new<G: Zeros>(rate: T) -> Descent<Self, G, 1> {
        Descent::new(settings(rate, T::zero()))
    }

    /// As [`new`](Self::new), with momentum.
    pub fn with_momentum<G: Zeros>(rate: T, momentum: T) -> Descent<RmsProp<T, 2>, G, 2> {
        Descent::new(settings(rate, momentum))
    }

    /// As [`new`](Self::new), centred and with momentum, which may be 0. (Graves, 2013.)
    #[doc(alias("centered"))]
    pub fn centred<G: Zeros>(rate: T, momentum: T) -> Descent<RmsProp<T, 3>, G, 3> {
        Descent::new(settings(rate, momentum))
    }

    /// The code of the book: ε = 10⁻⁷.
    pub fn book<G: Zeros>(rate: T) -> Descent<Self, G, 1> {
        Descent::new(RmsProp { eps: convert(1e-7), ..settings(rate, T::zero()) })
    }
}

fn settings<T: Number, const N: usize>(rate: T, momentum: T) -> RmsProp<T, N> {
    RmsProp { rate, alpha: convert(0.99), eps: convert(1e-8), momentum, decay: Decay::None }
}

impl<T: Number, const N: usize> Rule<T, N> for RmsProp<T, N> {
    type Way = Fused;
    const NAME: &'static str = "RmsProp";

    #[inline(always)]
    fn begin(&mut self, _: u64) -> Result<(), BadSetting> {
        BadSetting::unless_positive("rate", self.rate)?;
        BadSetting::unless_fraction("alpha", self.alpha)?;
        BadSetting::if_negative("eps", self.eps)?;
        BadSetting::unless_fraction("momentum", self.momentum)?;
        self.decay.check()
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, N>) {
        let RmsProp { rate, alpha, eps, momentum, decay } = *self;
        let (l2, shrink) = decay.factors(rate, piece.path, piece.shape);
        let rest = T::one() - alpha;
        let mut state = piece.state.into_iter();
        let (Some(h), v, g) = (state.next(), state.next(), state.next()) else { return };
        let weights = piece.values.iter_mut().zip(piece.gradient).zip(h.iter_mut());
        let weights = weights.map(|((w, &dw), h)| {
            let dw = dw + l2 * *w;
            *h = alpha * *h + rest * dw * dw;
            *w *= shrink;
            (w, dw, *h)
        });
        match (v, g) {
            (Some(v), Some(g)) => {
                for ((w, dw, h), (v, g)) in weights.zip(v.iter_mut().zip(g)) {
                    *g += (dw - *g) * rest;
                    let variance = h - *g * *g;
                    let variance = if variance < T::zero() { T::zero() } else { variance };
                    *v = momentum * *v + dw / (variance.sqrt() + eps);
                    *w -= rate * *v;
                }
            }
            (Some(v), None) => {
                for ((w, dw, h), v) in weights.zip(v) {
                    *v = momentum * *v + dw / (h.sqrt() + eps);
                    *w -= rate * *v;
                }
            }
            _ => {
                for (w, dw, h) in weights {
                    *w -= rate * dw / (h.sqrt() + eps);
                }
            }
        }
    }
}
