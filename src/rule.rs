//! The rule of an optimizer: how it changes a parameter by its gradient.

use crate::{
    params::{Parameters, Role},
    path::Path,
    shape::Number,
};

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

    /// Called before each step with the number of the step. The first step is 1. The default does nothing.
    #[inline(always)]
    fn begin(&mut self, step: u64) {
        let _ = step;
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
    /// Always [`Role::Weight`]: rules see nothing else.
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
