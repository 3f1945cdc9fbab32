//! AMSGrad.

use super::{Adam, Descent};
use crate::{
    rule::{BadSetting, Piece, Rule},
    shape::Number,
    step::Fused,
    zeros::Zeros,
};

/// [`Adam`] in which the largest v so far stands in place of v, so that the steps do not become larger when the
/// gradients become smaller. (Reddi, Kale and Kumar, 2018; PyTorch's `Adam` with `amsgrad=True`.)
///
/// ```
/// use chainrule::{AmsGrad, Optimizer};
/// use nalgebra::Vector2;
///
/// let mut weight = Vector2::new(1.0, 2.0);
/// AmsGrad::new(0.1).step(&mut weight, &Vector2::new(1e3, -1e-3))?;
/// assert!((weight - Vector2::new(0.9, 2.1)).amax() < 1e-5_f64);
/// # Ok::<_, chainrule::StepError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AmsGrad<T> {
    /// The settings.
    pub adam: Adam<T>,
}

impl<T: Number> AmsGrad<T> {
    /// With the settings of [`Adam::new`].
    pub fn new<G: Zeros>(rate: T) -> Descent<Self, G, 3> {
        Descent::new(AmsGrad { adam: Adam::new::<()>(rate).rule })
    }
}

impl<T: Number> Rule<T, 3> for AmsGrad<T> {
    type Way = Fused;

    #[inline(always)]
    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        self.adam.begin(step)
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, 3>) {
        let Adam { rate, betas, decay, corrections, .. } = self.adam;
        let Some([correction, eps]) = corrections else { return };
        let ([b1, b2], [m, v, largest]) = (betas.map(|beta| T::one() - beta), piece.state);
        let (l2, shrink) = decay.factors(rate, piece.path, piece.shape);
        let (rate, weights) = (rate * correction, piece.values.iter_mut().zip(piece.gradient));
        for ((w, &dw), (m, (v, largest))) in
            weights.zip(m.iter_mut().zip(v.iter_mut().zip(largest)))
        {
            let dw = dw + l2 * *w;
            *m += (dw - *m) * b1;
            *v += (dw * dw - *v) * b2;
            *largest = if *v > *largest { *v } else { *largest };
            *w = *w * shrink - rate * *m / (largest.sqrt() + eps);
        }
    }
}
