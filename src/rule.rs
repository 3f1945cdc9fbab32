//! The rule of an optimizer: how a parameter changes by its gradient.

use crate::{
    params::{Parameters, Role},
    path::Path,
    shape::Scalar,
};

/// How an optimizer changes a parameter by its gradient and by `N` numbers of state for each number.
///
/// A rule holds settings only. The crate owns the state, walks the tree, steps statistics, leaves frozen
/// parameters alone and counts the steps; [`Descent`](crate::Descent) is a rule with its state.
///
/// The page [`write_an_optimizer`](crate::write_an_optimizer) has an example.
pub trait Rule<T: Scalar, const N: usize>: 'static {
    /// [`Fused`](crate::Fused) if the rule works number by number: it is then applied during the backward
    /// pass, and no gradient is stored. [`Whole`](crate::Whole) if it has to see the whole gradient
    /// first.
    type Way;

    /// Called before each step with its number, from 1. The default does nothing.
    #[inline(always)]
    fn begin(&mut self, step: u64) {
        let _ = step;
    }

    /// Called after [`begin`](Self::begin) with the whole gradient, where there is one: in every step of a
    /// [`Whole`](crate::Whole) rule. The default does nothing.
    #[inline(always)]
    fn look<G: Parameters<T>>(&mut self, gradient: &G) {
        let _ = gradient;
    }

    /// The factor, if all that the rule does is W ← W + factor·dW. Such a product need not be made before
    /// it is added; the bits are the same.
    #[doc(hidden)]
    #[inline(always)]
    fn factor(&self) -> Option<T> {
        None
    }

    /// Changes the values, and the state, of a piece of one parameter. Make it `#[inline(always)]`: only
    /// so does it use SIMD.
    fn update(&self, piece: Piece<T, N>);
}

/// A part of one parameter, with its gradient and state; all slices are equally long.
///
/// In a fused step it is some columns of the parameter, in any other step the whole.
#[derive(Debug)]
pub struct Piece<'a, T, const N: usize> {
    /// The name of the parameter, as PyTorch's `Sequential` gives it: `0.weight`.
    pub path: &'a Path<'a>,
    /// [`Role::Weight`], as rules see nothing else.
    pub role: Role,
    /// The rows and columns of the whole parameter.
    pub shape: (usize, usize),
    /// Where the piece begins in the parameter, whose numbers are counted column after column.
    pub first: usize,
    /// The number of this step, from 1.
    pub step: u64,
    /// The numbers of the parameter, to be changed.
    pub values: &'a mut [T],
    /// Their gradient.
    pub gradient: &'a [T],
    /// What the steps before left of state; zeros at first.
    pub state: [&'a mut [T]; N],
}
