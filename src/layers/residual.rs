//! A residual connection around a layer.

use crate::{
    Backward, BatchSize, Destination, Flat, Forward, Grad, Layer, Number, Purpose, init::Gain,
    kernel, part,
};
use rand::Rng;

/// y = x + inner(x); dx = dy + the inner layer's dx. (He and others, 2015.)
///
/// # Shapes
/// Any, if the inner layer returns the shape that it takes.
///
/// ```
/// use chainrule::{Affine, ByValue, Residual, Tanh, Zeros};
/// use nalgebra::Vector2;
///
/// let block = Residual { inner: (Affine::<f64, 2, 3>::zeros(), Tanh, Affine::<f64, 3, 2>::zeros()) };
/// assert_eq!(block.trace(&Vector2::new(1.0, 2.0)).y, Vector2::new(1.0, 2.0));
/// ```
#[doc(alias("skip", "shortcut", "ResNet"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Residual<L> {
    /// The inner layer, or a tuple of them.
    pub inner: L,
}

parameters!(Residual<L: part> { inner });

impl<T: Number, S: Flat, L: Layer<T, S, Out = S>> Layer<T, S> for Residual<L> {
    type Out = S;
    /// The inner cache and the inner output, which the inner backward pass may read.
    type Cache<B: BatchSize, P: Purpose> = (L::Cache<B, P>, S::Batch<T, B>);
    type Scratch = L::Scratch;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        let Forward { x, y, cache: (cache, inner), scratch, pass } = at;
        self.inner.forward::<B, P>(Forward { x, y: inner, cache, scratch, pass });
        let sums = S::flat::<T, B>(x).iter().zip(S::flat::<T, B>(inner));
        for (y, (&x, &inner)) in S::flat_mut::<T, B>(y).iter_mut().zip(sums) {
            *y = x + inner;
        }
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        let Backward { x, cache: (cache, y), scratch, dy, mut dx, .. } = at;
        let inner = Backward { x, y, cache, scratch, dy, dx: dx.as_deref_mut() };
        L::backward::<B, D>(part!(this.inner), inner);
        if let Some(dx) = dx {
            kernel::add_scaled(T::one(), S::flat::<T, B>(dy), S::flat_mut::<T, B>(dx));
        }
    }

    fn init<R: Rng + ?Sized>(&mut self, next: Gain, rng: &mut R) {
        self.inner.init(next, rng);
    }
}
