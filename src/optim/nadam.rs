//! NAdam.

use super::{Decay, Descent, schedule::count};
use crate::{BadSetting, Fused, Number, Piece, Rule, Zeros};
use nalgebra::convert;

/// [`Adam`](crate::Adam) with Nesterov's momentum: m and v as there, and
/// W ← W - η·((1 - μₜ) / (1 - Π)·dW + μₜ₊₁ / (1 - Π·μₜ₊₁)·m) / (√v̂ + ε), where
/// μₜ = β₁·(1 - 0.96^(t·ψ) / 2) and Π = μ₁·…·μₜ. (Dozat, 2016; PyTorch's `NAdam`.)
///
/// ```
/// use chainrule::{NAdam, Optimizer};
/// use nalgebra::Vector2;
///
/// let (mut weight, mut nadam) = (Vector2::new(1.0_f64, -2.0), NAdam::new(0.1));
/// for _ in 0..300 {
///     let gradient = weight;
///     nadam.step(&mut weight, &gradient)?;
/// }
/// assert!(weight.amax() < 1e-3);
/// # Ok::<_, chainrule::StepError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NAdam<T> {
    /// η, the learning rate; PyTorch's default is 0.002.
    pub rate: T,
    /// β₁ and β₂: how much of the means m and v each step keeps.
    pub betas: [T; 2],
    /// ε.
    pub eps: T,
    /// ψ: how fast μ grows to β₁.
    pub momentum_decay: T,
    /// The weight decay.
    pub decay: Decay<T>,
    /// A step, and Π at that step.
    product: Option<(u64, T)>,
    /// The factors of dW and m, and what is added to √v in this step.
    corrections: Option<[T; 3]>,
}

impl<T: Number> NAdam<T> {
    /// With the learning rate `rate`, β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸, ψ = 0.004 and no decay.
    pub fn new<G: Zeros>(rate: T) -> Descent<Self, G, 2> {
        let (betas, eps, psi) = ([convert(0.9), convert(0.999)], convert(1e-8), convert(0.004));
        Descent::new(NAdam::with(rate, betas, eps, psi, Decay::None))
    }

    /// With these settings.
    pub const fn with(rate: T, betas: [T; 2], eps: T, momentum_decay: T, decay: Decay<T>) -> Self {
        NAdam { rate, betas, eps, momentum_decay, decay, product: None, corrections: None }
    }

    /// μₜ.
    fn mu(&self, step: u64) -> T {
        let fall = convert::<f64, T>(0.96).powf(count::<T>(step) * self.momentum_decay);
        self.betas[0] * (T::one() - convert::<f64, T>(0.5) * fall)
    }
}

impl<T: Number> Rule<T, 2> for NAdam<T> {
    type Way = Fused;
    const NAME: &'static str = "NAdam";

    #[inline(always)]
    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        BadSetting::unless_positive("rate", self.rate)?;
        BadSetting::if_negative("eps", self.eps)?;
        BadSetting::if_negative("momentum_decay", self.momentum_decay)?;
        for beta in self.betas {
            BadSetting::unless_fraction("betas", beta)?;
        }
        self.decay.check()?;
        // Usually one more factor than at the last step. All factors if the state was restored.
        let known = self.product.filter(|&(known, _)| known <= step);
        let (mut known, mut product) = known.unwrap_or((0, T::one()));
        while known < step && product > T::zero() {
            known += 1;
            product *= self.mu(known);
        }
        self.product = Some((step, product));

        let (one, mu, next) = (T::one(), self.mu(step), self.mu(step.saturating_add(1)));
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        let root = (one - self.betas[1].powi(power)).sqrt();
        let (of_dw, of_m) = ((one - mu) / (one - product), next / (one - product * next));
        self.corrections = Some([of_dw * root, of_m * root, self.eps * root]);
        Ok(())
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, 2>) {
        let Some([of_dw, of_m, eps]) = self.corrections else { return };
        let ([b1, b2], [m, v]) = (self.betas.map(|beta| T::one() - beta), piece.state);
        let (l2, shrink) = self.decay.factors(self.rate, piece.path, piece.shape);
        let (of_dw, of_m) = (self.rate * of_dw, self.rate * of_m);
        let weights = piece.values.iter_mut().zip(piece.gradient);
        for ((w, &dw), (m, v)) in weights.zip(m.iter_mut().zip(v)) {
            let dw = dw + l2 * *w;
            *m += (dw - *m) * b1;
            *v += (dw * dw - *v) * b2;
            *w = *w * shrink - (of_dw * dw + of_m * *m) / (v.sqrt() + eps);
        }
    }
}
