//! The rule of an optimizer: how it changes a parameter by its gradient.

use crate::{
    params::{Parameters, Role},
    path::Path,
    shape::Number,
};
use core::fmt;

/// How an optimizer changes a parameter by its gradient, with `N` numbers of state for each number of the
/// parameter.
///
/// A rule holds settings only. The crate owns the state, calls the rule for each parameter, updates
/// statistics, skips frozen parameters and counts the steps. [`Descent`](crate::Descent) is a rule with its
/// state.
///
/// The page [`write_an_optimizer`](crate::write_an_optimizer) has an example.
pub trait Rule<T: Number, const N: usize>: 'static {
    /// [`Fused`](crate::Fused) if the rule works number by number. The crate then applies it during the
    /// backward pass and stores no gradient. [`Whole`](crate::Whole) if the rule must see the whole gradient
    /// first.
    type Way;

    /// The name of the rule. A checkpoint stores it, and a rule with another name does not load the state.
    const NAME: &'static str = "";

    /// Called before each step with the number of the step. The first step is 1. It refuses settings that
    /// cannot be right, and computes what all pieces share. It may be called again for the same step, if the
    /// step before failed. The default accepts all settings.
    ///
    /// # Errors
    /// The setting that is wrong. Then the step changes nothing.
    #[inline(always)]
    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        let _ = step;
        Ok(())
    }

    /// Called after [`begin`](Self::begin) with the whole gradient, if there is one: in every step of a
    /// [`Whole`](crate::Whole) rule. The default does nothing.
    #[inline(always)]
    fn look<G: Parameters<T>>(&mut self, gradient: &G) {
        let _ = gradient;
    }

    /// The factor, if the rule does nothing but W ← W + factor·dW. The kernel then adds the product to W
    /// directly, with the same bits.
    #[doc(hidden)]
    #[inline(always)]
    fn factor(&self) -> Option<T> {
        None
    }

    /// Changes the values and the state of a piece of one parameter. Mark it `#[inline(always)]`: without that
    /// it does not use SIMD.
    fn update(&self, piece: Piece<T, N>);
}

/// A part of one parameter, with its gradient and state. All slices have the same length.
///
/// In a fused step it is some columns of the parameter. In any other step it is the whole parameter.
#[derive(Debug)]
pub struct Piece<'a, T, const N: usize> {
    /// The name of the parameter, as PyTorch's `Sequential` gives it: `0.weight`.
    pub path: &'a Path<'a>,
    /// Always [`Role::Weight`], because rules get no other parameters.
    pub role: Role,
    /// The rows and columns of the whole parameter.
    pub shape: (usize, usize),
    /// The index of the first number of the piece in the parameter, counted column after column.
    pub first: usize,
    /// The number of this step. The first is 1.
    pub step: u64,
    /// The numbers of the parameter, which the rule changes.
    pub values: &'a mut [T],
    /// Their gradient.
    pub gradient: &'a [T],
    /// The state that the steps before left. It is zero before the first step.
    pub state: [&'a mut [T]; N],
}

impl<'a, T: Number, const N: usize> Piece<'a, T, N> {
    /// Calls `f` with parts of this piece in which `new` has changed the gradient.
    #[inline(always)]
    pub(crate) fn with_gradient(self, new: impl Fn(T) -> T, mut f: impl FnMut(Piece<T, N>)) {
        let Piece { path, role, shape, first, step, values, gradient, mut state } = self;
        let (mut memory, mut start) = ([T::zero(); 64], 0);
        while let Some(old) = gradient.get(start..).filter(|rest| !rest.is_empty()) {
            let end = start + old.len().min(memory.len());
            for (new_gradient, &gradient) in memory.iter_mut().zip(old) {
                *new_gradient = new(gradient);
            }
            let state = state.each_mut().map(|tree| tree.get_mut(start..end).unwrap_or_default());
            let values = values.get_mut(start..end).unwrap_or_default();
            let gradient = memory.get(..end - start).unwrap_or_default();
            f(Piece { path, role, shape, first: first + start, step, values, gradient, state });
            start = end;
        }
    }
}

/// An impossible setting of an optimizer.
///
/// ```
/// use chainrule::{BadSetting, Optimizer, Sgd, StepError};
/// use nalgebra::Vector2;
///
/// let mut weight = Vector2::new(1.0, 2.0);
/// let error = Sgd::new(-0.5).step(&mut weight, &Vector2::new(4.0, -4.0)).unwrap_err();
/// assert_eq!(error.to_string(), "the setting `rate` must be above 0, found -0.5; nothing was changed");
/// assert_eq!(weight, Vector2::new(1.0, 2.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSetting {
    /// The name of the setting.
    pub name: &'static str,
    /// What it must be.
    pub expected: &'static str,
    /// The bits of an `f32`, so that errors with NaN are equal.
    found: u32,
}

impl BadSetting {
    /// An error unless `fits`.
    ///
    /// # Errors
    /// An error that says that the setting `name` is `found` and must be `expected`.
    #[inline(always)]
    pub fn unless<T: Number>(
        fits: bool,
        name: &'static str,
        expected: &'static str,
        found: T,
    ) -> Result<(), Self> {
        if fits {
            return Ok(());
        }
        let found: f32 = found.to_subset_unchecked();
        Err(BadSetting { name, expected, found: found.to_bits() })
    }

    /// For a learning rate.
    ///
    /// # Errors
    /// If `found` is not above 0, or not finite.
    #[inline(always)]
    pub fn unless_positive<T: Number>(name: &'static str, found: T) -> Result<(), Self> {
        // Infinity less infinity is NaN.
        #[expect(clippy::eq_op, reason = "zero, or NaN")]
        Self::unless(found > found - found, name, "above 0", found)
    }

    /// For a small number such as ε.
    ///
    /// # Errors
    /// If `found` is below 0, or not finite.
    #[inline(always)]
    pub fn if_negative<T: Number>(name: &'static str, found: T) -> Result<(), Self> {
        Self::unless(found >= T::zero() && found.is_finite(), name, "0 or above", found)
    }

    /// For a momentum.
    ///
    /// # Errors
    /// If `found` is below 0, or not below 1.
    #[inline(always)]
    pub fn unless_fraction<T: Number>(name: &'static str, found: T) -> Result<(), Self> {
        let fits = found >= T::zero() && found < T::one();
        Self::unless(fits, name, "from 0 to below 1", found)
    }

    /// What was found.
    pub const fn found(&self) -> f32 {
        f32::from_bits(self.found)
    }
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let BadSetting { name, expected, .. } = self;
        write!(f, "the setting `{name}` must be {expected}, found {}", self.found())
    }
}

impl core::error::Error for BadSetting {}
