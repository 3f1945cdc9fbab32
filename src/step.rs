//! What a step of a net needs, and does: the workspace, and the passes there and back.

use crate::{
    kernel::Work,
    layer::{Layer, Pass},
    loss::Loss,
    params::{ConstZeros, Grad},
    shape::{Batch, BatchSize, Buffer, Scalar, Shape},
};
use nalgebra::Const;

/// What a training step needs besides the net: the gradient, and memory for what flows there and
/// back. Make one with [`Network::workspace`](crate::Network::workspace), one for each thread.
// In this order flow and gradient both begin where a cache line does.
#[cfg_attr(target_arch = "x86_64", repr(C, align(64)))]
pub struct Workspace<T: Scalar, In: Shape, L: Layer<T, In>, B: BatchSize> {
    pub(crate) flow: Flow<T, In, L, B>,
    /// The gradient of the last batch, for an optimizer.
    pub grad: L::Gradient,
    /// What the next pass draws by, where a layer draws; each pass adds one.
    pub seed: u64,
}

/// What flows through the layers and back.
#[cfg_attr(target_arch = "x86_64", repr(C, align(64)))]
pub(crate) struct Flow<T: Scalar, In: Shape, L: Layer<T, In>, B: BatchSize> {
    pub cache: L::Cache<B>,
    pub y: Batch<T, L::Out, B>,
    pub dy: Batch<T, L::Out, B>,
    pub size: B,
}

/// Forward, for the outputs alone.
pub(crate) struct Prediction<'a, T: Scalar, In: Shape, L, B: BatchSize> {
    pub layers: &'a L,
    pub x: &'a In::Batch<T, B>,
}

impl<T: Scalar, In: Shape, L: Layer<T, In>, B: BatchSize> Work for Prediction<'_, T, In, L, B> {
    type Output = Batch<T, L::Out, B>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let mut y = Buffer::lend(In::size::<T, B>(self.x));
        self.layers.predict::<B>(self.x, &mut y);
        y
    }
}

/// Forward, loss and backward.
pub(crate) struct Step<'a, T: Scalar, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized> {
    pub layers: &'a L,
    pub criterion: &'a E,
    pub x: &'a In::Batch<T, B>,
    pub target: &'a Y,
    pub flow: &'a mut Flow<T, In, L, B>,
    pub pass: Pass,
    pub dx: Option<&'a mut In::Batch<T, B>>,
    pub grad: Grad<'a, L::Gradient>,
}

impl<T: Scalar, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized> Work
    for Step<'_, T, In, L, E, B, Y>
where
    E: Loss<T, L::Out, B, Y>,
{
    type Output = T;

    #[inline(always)]
    fn run(mut self) -> T {
        let (layers, x, Flow { cache, y, dy, .. }) = (self.layers, self.x, self.flow);
        layers.forward::<B>(x, y, cache, &mut self.pass);
        let loss = self.criterion.loss(y, self.target, Some(dy));
        layers.backward::<B>(x, y, cache, dy, self.dx, self.grad);
        loss
    }
}

/// As `Step`, with the layers changed on the way back.
pub(crate) struct Descent<'a, T: Scalar, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized> {
    pub layers: &'a mut L,
    pub criterion: &'a E,
    pub x: &'a In::Batch<T, B>,
    pub target: &'a Y,
    pub work: &'a mut Workspace<T, In, L, B>,
    pub pass: Pass,
    pub rate: T,
}

impl<T: Scalar, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized> Work
    for Descent<'_, T, In, L, E, B, Y>
where
    E: Loss<T, L::Out, B, Y>,
{
    type Output = T;

    #[inline(always)]
    fn run(mut self) -> T {
        let (layers, x, Workspace { grad, flow, .. }) = (self.layers, self.x, self.work);
        let Flow { cache, y, dy, .. } = flow;
        layers.forward::<B>(x, y, cache, &mut self.pass);
        let loss = self.criterion.loss(y, self.target, Some(dy));
        layers.descend::<B>(x, y, cache, dy, None, grad, self.rate);
        loss
    }
}

impl<T: Scalar, In: Shape, L: Layer<T, In>, B: BatchSize> Workspace<T, In, L, B> {
    #[inline]
    pub(crate) fn next_pass(&mut self, size: B) -> Pass {
        if self.flow.size != size {
            self.flow = Flow::lend(size);
        }
        let seed = self.seed;
        self.seed = seed.wrapping_add(1);
        Pass::Train { seed }
    }
}

impl<T: Scalar, In: Shape, L: Layer<T, In>, B: BatchSize> Flow<T, In, L, B> {
    #[inline]
    pub(crate) fn lend(size: B) -> Self {
        let (cache, y, dy) = (Buffer::lend(size), Buffer::lend(size), Buffer::lend(size));
        Flow { cache, y, dy, size }
    }
}

impl<T: Scalar, In: Shape, L: Layer<T, In>, const B: usize> ConstZeros
    for Workspace<T, In, L, Const<B>>
where
    L::Gradient: ConstZeros,
    L::Cache<Const<B>>: ConstZeros,
    Batch<T, L::Out, Const<B>>: ConstZeros,
{
    const ZEROS: Self = Workspace {
        grad: ConstZeros::ZEROS,
        seed: 0,
        flow: Flow {
            cache: ConstZeros::ZEROS,
            y: ConstZeros::ZEROS,
            dy: ConstZeros::ZEROS,
            size: Const,
        },
    };
}
