//! Clipping of the gradient.

use super::Descent;
use crate::{
    BadSetting, Fused, Leaf, Number, Parameters, Path, Piece, Role, Rule, Whole, kernel::sum_of,
};
use nalgebra::convert;

/// A rule that gets the gradient limited to ±`largest`, number by number. [`Descent::clip_value`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipValue<R, T> {
    /// The rule.
    pub rule: R,
    /// The largest absolute value of a number of the gradient.
    pub largest: T,
}

/// A rule that gets the gradient scaled down if its norm is above `largest`. [`Descent::clip_norm`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipNorm<R, T> {
    /// The rule.
    pub rule: R,
    /// The largest norm of the gradient.
    pub largest: T,
    /// The factor of the gradient in this step.
    factor: Option<T>,
}

impl<R, G, const N: usize> Descent<R, G, N> {
    /// Limits each number of the gradient to ±`largest`. The steps remain fused.
    ///
    /// ```
    /// use chainrule::{Optimizer, Sgd};
    /// use nalgebra::Vector2;
    ///
    /// let mut weight = Vector2::new(1.0, 2.0);
    /// Sgd::new(1.0).clip_value(0.5).step(&mut weight, &Vector2::new(4.0, -0.25))?;
    /// assert_eq!(weight, Vector2::new(0.5, 2.25));
    /// # Ok::<_, chainrule::StepError>(())
    /// ```
    #[doc(alias("clip_grad_value_"))]
    pub fn clip_value<T: Number>(self, largest: T) -> Descent<ClipValue<R, T>, G, N>
    where
        R: Rule<T, N, Way = Fused>,
    {
        self.wrap(|rule| ClipValue { rule, largest })
    }

    /// Multiplies the gradient by `largest` / (norm + 10⁻⁶) if this is below 1, as PyTorch does. The norm is that
    /// of the gradients of all parameters together. So the steps are [`Whole`], and the workspace holds a
    /// gradient.
    ///
    /// ```
    /// use chainrule::{Optimizer, Sgd};
    /// use nalgebra::Vector2;
    ///
    /// let mut weight = Vector2::new(1.0, 2.0);
    /// Sgd::new(1.0).clip_norm(0.5).step(&mut weight, &Vector2::new(4.0, -3.0))?;
    /// assert!((weight - Vector2::new(0.6, 2.3)).amax() < 1e-6_f64);
    /// # Ok::<_, chainrule::StepError>(())
    /// ```
    #[doc(alias("clip_grad_norm_"))]
    pub fn clip_norm<T: Number>(self, largest: T) -> Descent<ClipNorm<R, T>, G, N>
    where
        R: Rule<T, N, Way = Fused>,
    {
        self.wrap(|rule| ClipNorm { rule, largest, factor: None })
    }
}

impl<T: Number, R: Rule<T, N, Way = Fused>, const N: usize> Rule<T, N> for ClipValue<R, T> {
    type Way = Fused;
    const NAME: &'static str = R::NAME;

    #[inline(always)]
    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        BadSetting::unless_positive("clip_value", self.largest)?;
        self.rule.begin(step)
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, N>) {
        let largest = self.largest;
        let cut = |g: T| {
            if g > largest {
                largest
            } else if g < -largest {
                -largest
            } else {
                g
            }
        };
        piece.with_gradient(cut, |piece| self.rule.update(piece));
    }
}

impl<T: Number, R: Rule<T, N, Way = Fused>, const N: usize> Rule<T, N> for ClipNorm<R, T> {
    type Way = Whole;
    const NAME: &'static str = R::NAME;

    #[inline(always)]
    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        BadSetting::unless_positive("clip_norm", self.largest)?;
        self.rule.begin(step)
    }

    #[inline(always)]
    fn look<G: Parameters<T>>(&mut self, gradient: &G) {
        let factor = self.largest / (norm(gradient) + convert(1e-6));
        self.factor = Some(factor).filter(|&factor| factor < T::one());
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, N>) {
        match self.factor {
            Some(factor) => piece.with_gradient(|g| g * factor, |piece| self.rule.update(piece)),
            None => self.rule.update(piece),
        }
    }
}

/// The norm of the gradient of all weights. The squares of its numbers may be too large for `T`, so they are
/// divided by the largest first.
fn norm<T: Number, G: Parameters<T>>(gradient: &G) -> T {
    let each = |f: &mut dyn FnMut(&[T])| {
        gradient.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
            if leaf.role == Role::Weight {
                f(leaf.values);
            }
        });
    };
    let (mut largest, mut squares) = (T::zero(), T::zero());
    each(&mut |values| {
        for g in values.iter().map(|g| g.abs()) {
            largest = if g > largest { g } else { largest };
        }
    });
    if largest == T::zero() {
        return largest;
    }
    each(&mut |values| {
        squares += sum_of(values.len(), |range| {
            let values = values.get(range).unwrap_or_default();
            values.iter().fold(T::zero(), |sum, &g| sum + (g / largest) * (g / largest))
        });
    });
    largest * squares.sqrt()
}
