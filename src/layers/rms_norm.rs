//! Normalisation by the root of the mean square.

use crate::{D1, Number, part};
use nalgebra::SVector;

/// y = w ⊙ x̂ with x̂ = x / √(mean(x²) + ε), over the N numbers of a sample. (Zhang and Sennrich, 2019; PyTorch's
/// `RMSNorm`.)
///
/// With g = w ⊙ dy: dx = (g - x̂·mean(g ⊙ x̂)) / √(mean(x²) + ε), dw = Σ dy ⊙ x̂.
///
/// # Shapes
/// From `D1<N>` to `D1<N>`; w has N entries.
///
/// Training and prediction compute the same. A NaN or ±∞ makes the whole sample NaN, and so do numbers whose squares
/// overflow; ±1000 do not. w is 1 at first.
///
/// ```
/// use chainrule::{ByValue, RmsNorm};
/// use nalgebra::Vector2;
///
/// let y = RmsNorm::<f64, 2>::default().trace(&Vector2::new(1000.0, -1000.0)).y;
/// assert!((y - Vector2::new(1.0, -1.0)).amax() < 1e-15);
/// ```
#[doc(alias("RMSNorm"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsNorm<T, const N: usize> {
    /// w.
    pub weight: SVector<T, N>,
    /// ε. `None` means the rounding error of 1 in `T`, as PyTorch's.
    pub eps: Option<f64>,
}

parameters!(RmsNorm<T: scalar, const N: usize> { weight, keep eps });

impl<T: Number, const N: usize> Default for RmsNorm<T, N> {
    fn default() -> Self {
        RmsNorm { weight: SVector::repeat(T::one()), eps: None }
    }
}

normalisation!(RmsNorm, false, |this| this.eps.map_or_else(T::default_epsilon, nalgebra::convert));
