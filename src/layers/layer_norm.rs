//! Layer normalisation.

use super::activation::setting;
use crate::kernel::sum_of;
use crate::shape::{nan, number};
use crate::{D1, Number, part};
use nalgebra::SVector;

/// Implements `Layer` for a normalisation of each sample, around its mean or around 0.
macro_rules! normalisation {
    ($name:ident, $around_mean:literal, |$this:ident| $eps:expr $(, $bias:ident)?) => {
        impl<T: Number, const N: usize> $crate::Layer<T, D1<N>> for $name<T, N> {
            type Out = D1<N>;
            /// For each sample what was subtracted, and the factor.
            type Cache<B: $crate::BatchSize, P: $crate::Purpose> =
                P::InTraining<B, $crate::Columns<T, 2, B>>;
            type Scratch = ();
            const GAIN: Option<$crate::init::Gain> = None;

            #[inline(always)]
            fn forward<B: $crate::BatchSize, P: $crate::Purpose>(
                &self,
                at: $crate::Forward<T, D1<N>, Self, B, P>,
            ) {
                let ($this, y) = (self, at.y.as_mut_slice());
                let kept = P::kept::<B, $crate::Columns<T, 2, B>>(at.cache);
                let kept = kept.map(|kept| kept.as_mut_slice());
                let x = [at.x.as_slice(), self.weight.as_slice()];
                $crate::layers::layer_norm::normalise($around_mean, $eps, x, y, kept);
                $(
                    for y in y.chunks_exact_mut(N.max(1)) {
                        y.iter_mut().zip(&self.$bias).for_each(|(y, &b)| *y += b);
                    }
                )?
            }

            #[inline(always)]
            fn backward<B: $crate::BatchSize, D: $crate::Destination<T>>(
                mut this: $crate::Grad<T, Self, D>,
                at: $crate::Backward<T, D1<N>, Self, B>,
            ) {
                let [x, dy, kept] = [at.x.as_slice(), at.dy.as_slice(), at.cache.as_slice()];
                if let Some(dx) = at.dx {
                    let (w, dx) = (this.weight.as_slice(), dx.as_mut_slice());
                    $crate::layers::layer_norm::normalise_back($around_mean, [x, dy, w, kept], dx);
                }
                part!(this.weight).add(|dw| {
                    $crate::layers::layer_norm::add_normal(x, dy, kept, dw.as_mut_slice());
                });
                $(part!(this.$bias).sum(dy);)?
            }

            fn init<R: rand::Rng + ?Sized>(&mut self, _: $crate::init::Gain, _: &mut R) {
                self.weight.fill(T::one());
            }
        }
    };
}
/// y = w ⊙ x̂ + b with x̂ = (x - μ) / √(σ² + ε), for the mean μ and the variance σ² of the N numbers of a sample. (Ba and
/// others, 2016; PyTorch's `LayerNorm`.)
///
/// With g = w ⊙ dy: dx = (g - mean(g) - x̂·mean(g ⊙ x̂)) / √(σ² + ε), dw = Σ dy ⊙ x̂, db = Σ dy.
///
/// # Shapes
/// From `D1<N>` to `D1<N>`; w and b have N entries.
///
/// σ² is Σ (x - μ)² / N. Training and prediction compute the same. If all inputs of a sample are equal, y is b. A NaN or
/// ±∞ makes the whole sample NaN, and so do numbers whose squares overflow; ±1000 do not. w is 1 and b is 0 at first.
///
/// ```
/// use chainrule::{ByValue, LayerNorm};
/// use nalgebra::{Vector2, Vector4};
///
/// let norm = LayerNorm::<f64, 4>::default();
/// let y = norm.trace(&Vector4::new(1000.0, -1000.0, 1000.0, -1000.0)).y;
/// assert!((y - Vector4::new(1.0, -1.0, 1.0, -1.0)).amax() < 1e-10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm<T, const N: usize> {
    /// w.
    pub weight: SVector<T, N>,
    /// b.
    pub bias: SVector<T, N>,
    /// ε. `None` means 10⁻⁵.
    pub eps: Option<f64>,
}

parameters!(LayerNorm<T: scalar, const N: usize> { weight, bias, keep eps });

impl<T: Number, const N: usize> Default for LayerNorm<T, N> {
    fn default() -> Self {
        LayerNorm { weight: SVector::repeat(T::one()), bias: SVector::zeros(), eps: None }
    }
}

normalisation!(LayerNorm, true, |this| setting(this.eps, 1e-5), bias);

/// 1 / √(variance + ε). NaN if the variance has overflowed, because otherwise every output would be 0.
#[inline(always)]
pub(super) fn inverse<T: Number>(variance: T, eps: T) -> T {
    if variance.is_finite() { (variance + eps).sqrt().recip() } else { nan() }
}

/// Normalises each sample around its mean, or for RMS normalisation around 0. `kept` gets two numbers for
/// each sample: the number that was subtracted, and the factor.
#[inline(always)]
pub(super) fn normalise<T: Number>(
    around_mean: bool,
    eps: T,
    [x, w]: [&[T]; 2],
    y: &mut [T],
    mut kept: Option<&mut [T]>,
) {
    if x.len() != y.len() {
        return y.fill(nan());
    }
    let n = w.len().max(1);
    for (s, (y, x)) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)).enumerate() {
        let part = |range| x.get::<core::ops::Range<usize>>(range).unwrap_or_default().iter();
        let mean = match around_mean {
            true => sum_of(n, |range| part(range).fold(T::zero(), |sum, &x| sum + x)) / number(n),
            false => T::zero(),
        };
        let square = |sum, &x: &T| sum + (x - mean) * (x - mean);
        let variance = sum_of(n, |range| part(range).fold(T::zero(), square)) / number(n);
        let scale = inverse(variance, eps);
        for (y, (&x, &w)) in y.iter_mut().zip(x.iter().zip(w)) {
            *y = (x - mean) * scale * w;
        }
        if let Some([m, f]) = kept.as_deref_mut().and_then(|kept| kept.as_chunks_mut().0.get_mut(s))
        {
            (*m, *f) = (mean, scale);
        }
    }
}

/// dx of [`normalise`].
#[inline(always)]
pub(super) fn normalise_back<T: Number>(
    around_mean: bool,
    [x, dy, w, kept]: [&[T]; 4],
    dx: &mut [T],
) {
    if (x.len(), dy.len()) != (dx.len(), dx.len()) {
        return dx.fill(nan());
    }
    let n = w.len().max(1);
    let samples = x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(kept.as_chunks().0);
    for (dx, ((x, dy), &[mean, scale])) in dx.chunks_exact_mut(n).zip(samples) {
        for (dx, (&dy, &w)) in dx.iter_mut().zip(dy.iter().zip(w)) {
            *dx = dy * w;
        }
        let normal = |x: T| (x - mean) * scale;
        let along =
            dx.iter().zip(x).fold(T::zero(), |sum, (&g, &x)| sum + g * normal(x)) / number(n);
        let all = dx.iter().fold(T::zero(), |sum, &g| sum + g) / number(n);
        let shift = if around_mean { all } else { T::zero() };
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = (*dx - shift - normal(x) * along) * scale;
        }
    }
}

/// dw += Σ dy ⊙ x̂.
#[inline(always)]
pub(super) fn add_normal<T: Number>(x: &[T], dy: &[T], kept: &[T], dw: &mut [T]) {
    let n = dw.len().max(1);
    let samples = x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(kept.as_chunks().0);
    for ((x, dy), &[mean, scale]) in samples {
        let normal = x.iter().map(|&x| (x - mean) * scale);
        for (dw, (&dy, normal)) in dw.iter_mut().zip(dy.iter().zip(normal)) {
            *dw += dy * normal;
        }
    }
}
