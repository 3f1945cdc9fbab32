//! A loss as the subject of a check, and targets over any scalar.

use super::{Real, layer::batch, subject::Function};
use crate::{
    loss::Loss,
    shape::{BatchSize, Columns, D1, Flat, Number, Shape},
};
use alloc::{vec, vec::Vec};
use core::marker::PhantomData;
use nalgebra::Dyn;

/// A loss with its target. Its one output is the loss, whose gradient is 1 by definition.
pub(super) struct OfLoss<'a, S, E, Y> {
    pub criterion: &'a E,
    pub target: Y,
    pub size: Dyn,
    pub of: PhantomData<S>,
}

impl<U: Number, S: Flat, E: Loss<U, S, Dyn, Y>, Y> Function<U> for OfLoss<'_, S, E, Y> {
    fn outputs(&mut self, at: &[U]) -> Vec<U> {
        vec![self.criterion.loss(&batch::<U, S, _>(self.size, at), &self.target, None)]
    }

    fn gradient(&mut self, at: &[U], _: &[U]) -> Vec<U> {
        let y = batch::<U, S, _>(self.size, at);
        let mut dy = y.clone();
        let loss = self.criterion.loss(&y, &self.target, Some(&mut dy));
        [S::flat::<U, Dyn>(&dy), &[loss]].concat()
    }
}

/// A target that can be converted to another scalar.
pub trait Target<U: Number> {
    /// The same over `U`.
    type As;

    /// The same over `U`.
    fn over(&self) -> Self::As;
}

impl<U: Number> Target<U> for Vec<usize> {
    type As = Self;

    fn over(&self) -> Self {
        self.clone()
    }
}

impl<U: Number, Y: Target<U>, W: Target<U>> Target<U> for (Y, W) {
    type As = (Y::As, W::As);

    fn over(&self) -> Self::As {
        (self.0.over(), self.1.over())
    }
}

impl<U: Number, const B: usize> Target<U> for [usize; B] {
    type As = Self;

    fn over(&self) -> Self {
        *self
    }
}

impl<T: Real, U: Number, const N: usize, B: BatchSize> Target<U> for Columns<T, N, B> {
    type As = Columns<U, N, B>;

    fn over(&self) -> Self::As {
        let mut to: Self::As = D1::<N>::size::<T, B>(self).columns();
        for (to, from) in to.as_mut_slice().iter_mut().zip(self.as_slice()) {
            *to = nalgebra::convert::<f64, U>((*from).into());
        }
        to
    }
}
