//! Residuals with their Jacobian, for least-squares solvers.

use super::per_sample::SampleGradients;
use crate::{
    layer::Layer,
    loss::{Loss, SumSquaredError},
    network::Network,
    ops,
    params::{Leaf, LeafMut, Parameters, Role},
    path::Path,
    shape::{Batch, BatchSize, Flat, Number, Shape, nan},
    step::Workspace,
};
use nalgebra::SVector;

/// A function of `P` weights that a solver minimises.
///
/// [`OnBatch`] is the loss of a net on a batch, [`Fit`] the squared errors of a net, [`Physics`](crate::Physics) a loss
/// on derivatives. You can implement it for any other function.
pub trait Objective<T: Number, const P: usize> {
    /// Copies the weights to `to`.
    fn weights(&self, to: &mut SVector<T, P>);

    /// Sets the weights.
    fn set(&mut self, weights: &SVector<T, P>);

    /// The value at the weights; overwrites `gradient`.
    fn evaluate(&mut self, gradient: &mut SVector<T, P>) -> T;
}

/// An [`Objective`] that is a sum of squares, Σ r². Implement `evaluate` by
/// [`sum_and_gradient`](Self::sum_and_gradient).
pub trait LeastSquares<T: Number, const P: usize>: Objective<T, P> {
    /// Calls `take` with all residuals, some at a time: first their gradients, one after the other, each of
    /// `P` numbers, then the residuals. Without `gradients` the first slice is not read.
    fn residuals(&mut self, gradients: bool, take: &mut dyn FnMut(&[T], &[T]));

    /// Σ r².
    fn sum_of_squares(&mut self) -> T {
        let mut sum = T::zero();
        self.residuals(false, &mut |_, residuals| sum += squares(residuals));
        sum
    }

    /// Σ r²; overwrites `gradient` with its gradient 2·Jᵀr.
    fn sum_and_gradient(&mut self, gradient: &mut SVector<T, P>) -> T {
        let mut sum = T::zero();
        gradient.fill(T::zero());
        self.residuals(true, &mut |rows, residuals| {
            sum += squares(residuals);
            for (row, &r) in rows.chunks_exact(P.max(1)).zip(residuals) {
                ops::add_scaled(r + r, row, gradient.as_mut_slice());
            }
        });
        sum
    }
}

/// A loss that is a sum of squares of y - t, up to a constant factor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a sum of squares",
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

impl<T, In, L, E, B, const P: usize, const C: usize> Objective<T, P>
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

    fn evaluate(&mut self, gradient: &mut SVector<T, P>) -> T {
        self.sum_and_gradient(gradient)
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
    fn residuals(&mut self, gradients: bool, take: &mut dyn FnMut(&[T], &[T])) {
        let (layers, outputs) = (&self.net.layers, L::Out::LEN.max(1));
        if In::size::<T, B>(self.x) != L::Out::size::<T, B>(self.target) {
            return take(&[T::zero(); P], &[nan()]);
        }
        let x = In::flat::<T, B>(self.x).chunks((In::LEN * C).max(1));
        let targets = L::Out::flat::<T, B>(self.target).chunks(outputs * C.max(1));
        for (x, targets) in x.zip(targets) {
            let count = self.memory.forward(layers, x.iter().copied());
            for output in 0..L::Out::LEN {
                let mut residuals = [T::zero(); C];
                let each = |numbers| <[T]>::iter(numbers).skip(output).step_by(outputs);
                let pairs = each(self.memory.outputs()).zip(each(targets));
                residuals.iter_mut().zip(pairs).for_each(|(r, (&y, &t))| *r = y - t);
                let rows = if gradients { self.memory.rows_of(layers, output) } else { &[] };
                let rows = rows.get(..count * P).unwrap_or_default();
                take(rows, residuals.get(..count).unwrap_or_default());
            }
        }
    }
}

/// The loss of a net on a batch, by backpropagation. The layers run as in training.
pub struct OnBatch<'a, T, In, L, E, B, Y: ?Sized>
where
    T: Number,
    In: Shape,
    L: Layer<T, In>,
    B: BatchSize,
{
    /// The net, whose weights a solver changes.
    pub net: &'a mut Network<T, In, L, E>,
    /// The inputs.
    pub x: &'a In::Batch<T, B>,
    /// The targets.
    pub target: &'a Y,
    /// Memory for the activations and the gradient.
    pub work: &'a mut Workspace<T, In, L, B>,
}

impl<T, In, L, E, B, Y: ?Sized, const P: usize> Objective<T, P> for OnBatch<'_, T, In, L, E, B, Y>
where
    T: Number,
    In: Shape,
    L: Layer<T, In>,
    E: Loss<T, L::Out, B, Y>,
    B: BatchSize,
{
    fn weights(&self, to: &mut SVector<T, P>) {
        const { assert!(P == L::Gradient::COUNT, "P is not `Net::weight_count()`") };
        copy_weights(&self.net.layers, to.as_mut_slice());
    }

    fn set(&mut self, weights: &SVector<T, P>) {
        set_weights(&mut self.net.layers, weights.as_slice());
    }

    fn evaluate(&mut self, gradient: &mut SVector<T, P>) -> T {
        let loss = self.net.backprop(self.x, self.target, self.work);
        copy_weights(&self.work.grad, gradient.as_mut_slice());
        loss
    }
}

/// Σ r².
pub(super) fn squares<T: Number>(residuals: &[T]) -> T {
    residuals.iter().fold(T::zero(), |sum, &r| sum + r * r)
}

/// The trained weights, or their gradient, one after the other. Statistics have places among them, which are 0.
pub(super) fn copy_weights<T: Number, L: Parameters<T>>(layers: &L, to: &mut [T]) {
    let mut to = to.iter_mut();
    layers.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        if leaf.role != Role::Frozen {
            for (&from, to) in leaf.values.iter().zip(&mut to) {
                *to = if leaf.role == Role::Weight { from } else { T::zero() };
            }
        }
    });
}

/// Sets the trained weights. Statistics do not change.
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
    /// The number of parameters that are not frozen. Statistics count too, although no optimizer changes them.
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
