//! A layer used by value: one forward pass, then any number of backward passes.

use crate::{
    grad::Grad,
    kernel::{Room, Scratch},
    layer::{Backward, Forward, Layer},
    params,
    pass::Pass,
    shape::{Batch, BatchSize, Buffer, Columns, D1, Flat, Number, Shape, ToTrain, nan},
    zeros::Zeros,
};

/// A layer on vectors, used by value. This is for small matrices and for learning: [`trace`](Self::trace) runs the
/// forward pass and keeps what the backward pass needs, and [`Trace::backward`] runs the backward pass.
///
/// ```
/// use chainrule::{ByValue, Relu};
/// use nalgebra::Matrix2;
///
/// let x = Matrix2::new(1.0, -0.5, -2.0, 3.0);
/// let mut relu = Relu.trace(&x);
/// assert_eq!(relu.y, Matrix2::new(1.0, 0.0, 0.0, 3.0));
/// let (dx, ()) = relu.backward(&Matrix2::repeat(1.0));
/// assert_eq!(dx, Matrix2::new(1.0, 0.0, 0.0, 1.0));
/// ```
pub trait ByValue {
    /// The output for a batch, with what the backward pass needs.
    fn trace<'a, T: Number, const N: usize, B: BatchSize>(
        &'a self,
        x: &'a Columns<T, N, B>,
    ) -> Trace<'a, T, D1<N>, Self, B>
    where
        Self: Layer<T, D1<N>>,
    {
        Trace::new(self, x, &mut Pass::Predict)
    }
}

impl<L> ByValue for L {}

/// One forward pass of a layer. `backward` can follow any number of times.
pub struct Trace<'a, T: Number, In: Shape, L: Layer<T, In>, B: BatchSize> {
    layer: &'a L,
    x: &'a In::Batch<T, B>,
    /// The output.
    pub y: Batch<T, L::Out, B>,
    cache: L::Cache<B, ToTrain>,
    scratch: B::Place<Room<L::Scratch>>,
}

impl<'a, T: Number, In: Shape, L: Layer<T, In>, B: BatchSize> Trace<'a, T, In, L, B> {
    /// The forward pass of a layer on inputs of any shape.
    pub fn new(layer: &'a L, x: &'a In::Batch<T, B>, pass: &mut Pass) -> Self {
        let size = In::size::<T, B>(x);
        let (mut y, mut cache) = (Buffer::new(size), Buffer::new(size));
        let mut scratch = B::Place::zeros();
        let lent = Scratch::new(scratch.as_mut());
        let (y_, cache_) = (&mut y, &mut cache);
        layer.forward::<B, ToTrain>(Forward { x, y: y_, cache: cache_, scratch: lent, pass });
        Trace { layer, x, y, cache, scratch }
    }

    /// Takes the gradient on the output. Returns the gradient on the input and the gradient of the parameters.
    /// Both are NaN if `dy` and the input have different numbers of samples.
    pub fn backward(&mut self, dy: &Batch<T, L::Out, B>) -> (In::Batch<T, B>, L::Gradient)
    where
        In: Flat,
    {
        let Trace { layer, x, y, cache, scratch } = self;
        let x = *x;
        let mut dx: In::Batch<T, B> = Buffer::new(In::size::<T, B>(x));
        let mut gradient = L::Gradient::zeros();
        if L::Out::size::<T, B>(dy) != In::size::<T, B>(x) {
            In::flat_mut::<T, B>(&mut dx).fill(nan());
            params::fill(&mut gradient, nan::<T>());
            return (dx, gradient);
        }
        let scratch = Scratch::new(scratch.as_mut());
        let at = Backward { x, y, cache, scratch, dy, dx: Some(&mut dx) };
        L::backward::<B, _>(Grad::set(layer, &mut gradient), at);
        (dx, gradient)
    }
}
