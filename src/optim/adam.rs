//! Adam, with L2 or decoupled weight decay.

use super::{Decay, Descent};
use crate::{BadSetting, Fused, Number, Piece, Rule, Zeros};
use nalgebra::convert;

/// m ← m + (1 - β₁)·(dW - m), v ← v + (1 - β₂)·(dW² - v),
/// W ← W - η·m̂ / (√v̂ + ε), where m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ) at step t.
/// (Chapter 6.1.6; Kingma and Ba, 2014; PyTorch's `Adam`, and by [`Adam::decoupled`] its `AdamW`.)
///
/// ε is added outside the root, as in PyTorch. [`Adam::book`] is the form of the book and of Keras.
///
/// ```
/// use chainrule::{Adam, Optimizer};
/// use nalgebra::Vector2;
///
/// let mut weight = Vector2::new(1.0, 2.0);
/// let mut adam = Adam::new(0.1);
/// // The size of the first step is the rate, for a gradient of any size.
/// adam.step(&mut weight, &Vector2::new(1e3, -1e-3))?;
/// assert!((weight - Vector2::new(0.9, 2.1)).amax() < 1e-5_f64);
/// # Ok::<_, chainrule::StepError>(())
/// ```
#[doc(alias("AdamW"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam<T, const N: usize = 2> {
    /// η, the learning rate; PyTorch's default is 0.001.
    pub rate: T,
    /// β₁ and β₂: how much of the means m and v each step keeps.
    pub betas: [T; 2],
    /// ε.
    pub eps: T,
    /// The weight decay.
    pub decay: Decay<T>,
    /// Whether ε is added to √v and not to √v̂, as in the book. Then it has more weight in the first steps.
    pub eps_hat: bool,
    /// √(1 - β₂ᵗ) / (1 - β₁ᵗ) and what is added to √v in this step.
    corrections: Option<[T; 2]>,
}

impl<T: Number> Adam<T> {
    /// With the learning rate `rate`, β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸ and no decay.
    pub fn new<G: Zeros>(rate: T) -> Descent<Self, G, 2> {
        Descent::new(settings(rate))
    }

    /// AdamW: as [`new`](Self::new), with a decoupled weight decay, for which PyTorch's default is 0.01.
    /// (Loshchilov and Hutter, 2017.)
    pub fn decoupled<G: Zeros>(rate: T, decay: T) -> Descent<Self, G, 2> {
        Descent::new(Adam { decay: Decay::Decoupled(decay), ..settings(rate) })
    }

    /// The code of the book, and the second form in the paper:
    /// W ← W - η·√(1 - β₂ᵗ) / (1 - β₁ᵗ)·m / (√v + ε), with ε = 10⁻⁷.
    pub fn book<G: Zeros>(rate: T) -> Descent<Self, G, 2> {
        Descent::new(Adam { eps: convert(1e-7), eps_hat: true, ..settings(rate) })
    }

    /// AMSGrad: the largest v so far stands in place of v, so that the steps do not become larger when the gradients
    /// become smaller. (Reddi, Kale and Kumar, 2018; PyTorch's `amsgrad=True`.)
    pub fn amsgrad<G: Zeros>(rate: T) -> Descent<Adam<T, 3>, G, 3> {
        Descent::new(settings(rate))
    }

    /// With these settings.
    pub const fn with(rate: T, betas: [T; 2], eps: T, decay: Decay<T>) -> Self {
        Adam { rate, betas, eps, decay, eps_hat: false, corrections: None }
    }
}

fn settings<T: Number, const N: usize>(rate: T) -> Adam<T, N> {
    let (betas, eps) = ([convert(0.9), convert(0.999)], convert(1e-8));
    Adam { rate, betas, eps, decay: Decay::None, eps_hat: false, corrections: None }
}

impl<T: Number, const N: usize> Rule<T, N> for Adam<T, N> {
    type Way = Fused;
    const NAME: &'static str = "Adam";

    #[inline(always)]
    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        let Adam { rate, betas, eps, decay, eps_hat, .. } = *self;
        BadSetting::unless_positive("rate", rate)?;
        BadSetting::if_negative("eps", eps)?;
        for beta in betas {
            BadSetting::unless_fraction("betas", beta)?;
        }
        decay.check()?;
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        let [m, v] = betas.map(|beta| T::one() - beta.powi(step));
        // Both sides of the fraction are multiplied by √(1 - β₂ᵗ): once per step, not for each number.
        self.corrections = Some([v.sqrt() / m, if eps_hat { eps } else { eps * v.sqrt() }]);
        Ok(())
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, N>) {
        let Some([correction, eps]) = self.corrections else { return };
        let ([b1, b2], mut state) =
            (self.betas.map(|beta| T::one() - beta), piece.state.into_iter());
        let (Some(m), Some(v), largest) = (state.next(), state.next(), state.next()) else {
            return;
        };
        let (l2, shrink) = self.decay.factors(self.rate, piece.path, piece.shape);
        let rate = self.rate * correction;
        let weights = piece.values.iter_mut().zip(piece.gradient).zip(m.iter_mut().zip(v));
        let weights = weights.map(|((w, &dw), (m, v))| {
            let dw = dw + l2 * *w;
            *m += (dw - *m) * b1;
            *v += (dw * dw - *v) * b2;
            (w, *m, *v)
        });
        let change = |w: &mut T, m, v: T| *w = *w * shrink - rate * m / (v.sqrt() + eps);
        match largest {
            // Loops, because `for_each` may become a function without the features of the CPU.
            None => {
                for (w, m, v) in weights {
                    change(w, m, v);
                }
            }
            Some(largest) => {
                for ((w, m, v), largest) in weights.zip(largest) {
                    *largest = if v > *largest { v } else { *largest };
                    change(w, m, *largest);
                }
            }
        }
    }
}
