//! What a least-squares solver works on: residuals with their Jacobian.

use super::per_sample::SampleGradients;
use crate::{
    kernel,
    layer::Layer,
    loss::SumSquaredError,
    network::Network,
    params::{Leaf, LeafMut, Parameters, Role},
    path::Path,
    shape::{Batch, BatchSize, Flat, Number, Shape, nan},
};
use nalgebra::SVector;

/// Residuals that depend on `P` weights. A solver makes the sum of their squares small.
///
/// [`Fit`] is the residuals of a net on data, [`Physics`](crate::Physics) those of a loss on derivatives. You can
/// implement it for any other function.
pub trait LeastSquares<T: Number, const P: usize> {
    /// Copies the weights to `to`.
    fn weights(&self, to: &mut SVector<T, P>);

    /// Sets the weights.
    fn set(&mut self, weights: &SVector<T, P>);

    /// Σ r².
    fn sum_of_squares(&mut self) -> T;

    /// Calls `take` with all residuals, some at a time: first their gradients, one after the other, each of
    /// `P` numbers, then the residuals.
    fn linearize(&mut self, take: &mut dyn FnMut(&[T], &[T]));
}

/// A loss that is a sum of squares of y - t, up to a constant factor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no sum of squares",
    label = "not a sum of squares",
    note = "a least-squares solver needs residuals: use `SumSquaredError`; for other losses use `LBfgs` or `Adam`"
)]
pub trait SumOfSquares {}

impl SumOfSquares for SumSquaredError {}

/// The residuals y - t of a net on a batch: as many as samples times outputs. All are NaN if inputs and targets have
/// different numbers of samples.
pub struct Fit<'a, T, In, L, E, B, const P: usize, const C: usize>
where
    T: Number,
    In: Flat,
    L: Layer<T, In, Out: Flat>,
    B: BatchSize,
{
    /// The net, whose weights a solver changes.
    pub net: &'a mut Network<T, In, L, E>,
    /// The inputs.
    pub x: &'a In::Batch<T, B>,
    /// The targets.
    pub target: &'a Batch<T, L::Out, B>,
    /// Memory for `C` samples at a time.
    pub memory: &'a mut SampleGradients<T, In, L, P, C>,
}

impl<T, In, L, E, B, const P: usize, const C: usize> Fit<'_, T, In, L, E, B, P, C>
where
    T: Number,
    In: Flat,
    L: Layer<T, In, Out: Flat>,
    B: BatchSize,
{
    fn fits(&self) -> bool {
        In::size::<T, B>(self.x) == L::Out::size::<T, B>(self.target)
    }
}

impl<T, In, L, E, B, const P: usize, const C: usize> LeastSquares<T, P>
    for Fit<'_, T, In, L, E, B, P, C>
where
    T: Number,
    In: Flat,
    L: Layer<T, In, Out: Flat>,
    E: SumOfSquares,
    B: BatchSize,
{
    fn weights(&self, to: &mut SVector<T, P>) {
        copy_weights(&self.net.layers, to.as_mut_slice());
    }

    fn set(&mut self, weights: &SVector<T, P>) {
        set_weights(&mut self.net.layers, weights.as_slice());
    }

    fn sum_of_squares(&mut self) -> T {
        if !self.fits() {
            return nan();
        }
        let (x, t) = (In::flat::<T, B>(self.x), L::Out::flat::<T, B>(self.target));
        let (mut first, mut sum) = (0, T::zero());
        while first < In::size::<T, B>(self.x).value() {
            let (count, y) = self.memory.forward(&self.net.layers, x, first);
            let t = t.get(first * L::Out::LEN..).unwrap_or_default();
            sum += squares(y.iter().zip(t).map(|(&y, &t)| y - t));
            first += count.max(1);
        }
        sum
    }

    fn linearize(&mut self, take: &mut dyn FnMut(&[T], &[T])) {
        if !self.fits() {
            return take(&[T::zero(); P], &[nan()]);
        }
        let (x, t) = (In::flat::<T, B>(self.x), L::Out::flat::<T, B>(self.target));
        let (mut first, outputs) = (0, L::Out::LEN);
        while first < In::size::<T, B>(self.x).value() {
            let (count, _) = self.memory.forward(&self.net.layers, x, first);
            let t = t.get(first * outputs..).unwrap_or_default();
            for output in 0..outputs {
                let mut residuals = [T::zero(); C];
                let y = L::Out::flat::<T, _>(&self.memory.activations.y);
                let all = y.chunks_exact(outputs.max(1)).zip(t.chunks_exact(outputs.max(1)));
                for (r, (y, t)) in residuals.iter_mut().zip(all) {
                    if let (Some(&y), Some(&t)) = (y.get(output), t.get(output)) {
                        *r = y - t;
                    }
                }
                let rows = self.memory.rows_of(&self.net.layers, output);
                take(
                    rows.get(..count * P).unwrap_or_default(),
                    residuals.get(..count).unwrap_or_default(),
                );
            }
            first += count.max(1);
        }
    }
}

/// Σ r².
pub(super) fn squares<T: Number>(residuals: impl Iterator<Item = T>) -> T {
    residuals.fold(T::zero(), |sum, r| sum + r * r)
}

/// The trained weights, one after the other.
pub(super) fn copy_weights<T: Number, L: Parameters<T>>(layers: &L, to: &mut [T]) {
    let mut to = to.iter_mut();
    layers.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        if leaf.role != Role::Frozen {
            leaf.values.iter().zip(&mut to).for_each(|(&from, to)| *to = from);
        }
    });
}

/// Sets the trained weights. Statistics have a place among them, and do not change.
pub(super) fn set_weights<T: Number, L: Parameters<T>>(layers: &mut L, weights: &[T]) {
    let mut from = weights.iter();
    layers.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
        if leaf.role != Role::Frozen {
            for (to, &from) in leaf.values.iter_mut().zip(&mut from) {
                *to = if leaf.role == Role::Weight { from } else { *to };
            }
        }
    });
}

impl<T: Number, In: Flat, L, E> Network<T, In, L, E> {
    /// How many numbers an optimizer trains: the parameters without those that are frozen.
    pub const fn weight_count() -> usize
    where
        L: Layer<T, In>,
    {
        L::Gradient::COUNT
    }

    /// Memory for the gradients of `C` samples at a time, each of `P` numbers. `P` is
    /// [`weight_count`](Self::weight_count); the build fails if it is not.
    pub fn sample_gradients<const P: usize, const C: usize>() -> SampleGradients<T, In, L, P, C>
    where
        L: Layer<T, In, Out: Flat>,
    {
        SampleGradients::new()
    }
}

/// Whether all are finite, for the solvers.
pub(super) fn finite<T: Number>(numbers: &[T]) -> bool {
    kernel::finite(numbers)
}
