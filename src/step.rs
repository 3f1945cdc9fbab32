//! The memory for training and predicting, and the passes of a net.

use crate::{
    grad::{Destination, Grad},
    kernel::{Room, Scratch, Work},
    layer::{Backward, Forward, Layer},
    loss::Loss,
    params::Parameters,
    pass::Pass,
    rule::BadSetting,
    shape::{Batch, BatchSize, Buffer, Number, Purpose, Shape, ToPredict, ToTrain},
    zeros::{ConstZeros, Zeros},
};
use core::fmt;
use nalgebra::Const;

/// When an optimizer gets the gradient, as a type: [`Fused`] or [`Whole`].
pub trait Way: 'static {
    /// The type of the gradient in a [`Workspace`].
    type Gradient<G: Zeros>: Zeros;
}

/// The rule of the optimizer changes the parameters during the backward pass, some columns of a weight at a
/// time. The whole gradient is never stored.
#[derive(Clone, Copy, Debug)]
pub struct Fused;

/// The backward pass fills a gradient tree; then the optimizer takes its step.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

impl Way for Fused {
    type Gradient<G: Zeros> = ();
}

impl Way for Whole {
    type Gradient<G: Zeros> = G;
}

/// The memory of a training step: the values between the layers, the gradients on them, and, if the optimizer
/// is [`Whole`], the gradient of the parameters. [`Network::workspace`](crate::Network::workspace) makes
/// one. Each thread needs its own.
// With the fields in this order, activations and gradient both begin at a cache line.
#[cfg_attr(target_arch = "x86_64", repr(C, align(64)))]
pub struct Workspace<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, W: Way = Whole> {
    pub(crate) activations: Activations<T, In, L, B, ToTrain>,
    /// The gradient of the last batch; `()` for a [`Fused`] optimizer.
    pub grad: W::Gradient<L::Gradient>,
    /// The seed of the training. All random numbers of the layers depend only on it and the number of the step.
    pub seed: u64,
    /// The number of the next step. The first is 0. Set it to continue a training.
    pub step: u64,
}

/// The values between the layers, and the outputs.
#[cfg_attr(target_arch = "x86_64", repr(C, align(64)))]
pub(crate) struct Activations<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, P: Purpose> {
    pub cache: L::Cache<B, P>,
    pub y: Batch<T, L::Out, B>,
    pub dy: P::InTraining<B, Batch<T, L::Out, B>>,
    pub size: B,
    pub scratch: B::Place<Room<L::Scratch>>,
}

impl<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, P: Purpose> Activations<T, In, L, B, P> {
    #[inline]
    pub fn new(size: B) -> Self {
        let (cache, y, dy) = (Buffer::new(size), Buffer::new(size), Buffer::new(size));
        Activations { cache, y, dy, size, scratch: Zeros::zeros() }
    }

    /// Makes room for a batch of `size`, if the last batch had another size.
    #[inline]
    pub fn resize(&mut self, size: B) {
        if self.size != size {
            *self = Self::new(size);
        }
    }

    #[inline(always)]
    pub fn forward(&mut self, layers: &L, x: &In::Batch<T, B>, pass: &mut Pass) {
        let Activations { cache, y, scratch, .. } = self;
        let scratch = Scratch::new(scratch.as_mut());
        layers.forward::<B, P>(Forward { x, y, cache, scratch, pass });
    }
}

impl<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize> Activations<T, In, L, B, ToTrain> {
    #[inline(always)]
    pub fn loss<E: Loss<T, L::Out, B, Y>, Y: ?Sized>(&mut self, criterion: &E, target: &Y) -> T {
        criterion.loss(&self.y, target, Some(&mut self.dy))
    }

    #[inline(always)]
    pub fn backward<D: Destination<T>>(
        &mut self,
        this: Grad<T, L, D>,
        x: &In::Batch<T, B>,
        dx: Option<&mut In::Batch<T, B>>,
    ) {
        let Activations { cache, y, dy, scratch, .. } = self;
        let scratch = Scratch::new(scratch.as_mut());
        L::backward::<B, D>(this, Backward { x, y, cache, scratch, dy, dx });
    }
}

/// The memory of predictions for batches of one size, with the outputs of the last batch.
/// [`Network::predictor`](crate::Network::predictor) makes one. Each thread needs its own.
pub struct Predictor<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize> {
    pub(crate) activations: Activations<T, In, L, B, ToPredict>,
}

/// Why a training step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepError {
    /// The loss is NaN or infinite. Nothing has changed.
    Loss,
    /// The loss is finite, but a number of the gradient is NaN or infinite. A [`Whole`] step has changed
    /// nothing. A [`Fused`] step may have changed parameters.
    Gradient {
        /// The index of the first leaf with such a number, if it is known.
        leaf: Option<usize>,
        /// The name of its field: `weight` of `0.weight`.
        name: Option<&'static str>,
    },
    /// The batch has no samples. Nothing has changed.
    EmptyBatch,
    /// A setting of the optimizer is impossible. Nothing has changed.
    Setting(BadSetting),
}

impl From<BadSetting> for StepError {
    fn from(setting: BadSetting) -> Self {
        StepError::Setting(setting)
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            StepError::Loss => f.write_str("the loss is not finite; nothing was changed"),
            StepError::Gradient { leaf: Some(leaf), name } => {
                let name = name.unwrap_or("parameter");
                write!(f, "the gradient of leaf {leaf} ({name}) is not finite; nothing was changed")
            }
            StepError::Gradient { .. } => {
                f.write_str("the gradient is not finite; parameters may have been changed")
            }
            StepError::EmptyBatch => f.write_str("the batch has no samples; nothing was changed"),
            StepError::Setting(setting) => write!(f, "{setting}; nothing was changed"),
        }
    }
}

impl core::error::Error for StepError {}

/// A prediction in new memory. The whole forward pass is inlined here, so the compiler need not zero memory that the
/// pass overwrites.
pub(crate) struct Prediction<'a, T: Number, In: Shape, L, B: BatchSize> {
    pub layers: &'a L,
    pub x: &'a In::Batch<T, B>,
}

impl<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize> Work for Prediction<'_, T, In, L, B> {
    type Output = Batch<T, L::Out, B>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let (x, size) = (self.x, In::size::<T, B>(self.x));
        let (mut y, cache) = (Buffer::new(size), &mut Buffer::new(size));
        let mut room = B::Place::<Room<L::Scratch>>::zeros();
        let (scratch, pass) = (Scratch::new(room.as_mut()), &mut Pass::Predict);
        self.layers.forward::<B, ToPredict>(Forward { x, y: &mut y, cache, scratch, pass });
        y
    }
}

/// A prediction in existing memory.
pub(crate) struct PredictionInto<'a, T: Number, In: Shape, L, B: BatchSize, P: Purpose>
where
    L: Layer<T, In>,
{
    pub layers: &'a L,
    pub x: &'a In::Batch<T, B>,
    pub activations: &'a mut Activations<T, In, L, B, P>,
}

impl<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, P: Purpose> Work
    for PredictionInto<'_, T, In, L, B, P>
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.activations.forward(self.layers, self.x, &mut Pass::Predict);
    }
}

/// The loss of a batch, from a prediction.
pub(crate) struct LossOf<'a, T: Number, In: Shape, L, E, B: BatchSize, Y: ?Sized> {
    pub prediction: Prediction<'a, T, In, L, B>,
    pub criterion: &'a E,
    pub target: &'a Y,
}

impl<T: Number, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized> Work
    for LossOf<'_, T, In, L, E, B, Y>
where
    E: Loss<T, L::Out, B, Y>,
{
    type Output = T;

    #[inline(always)]
    fn run(self) -> T {
        self.criterion.loss(&self.prediction.run(), self.target, None)
    }
}

/// Forward pass, loss, and backward pass. If the loss is not finite, the backward pass runs only if `always` is set.
pub(crate) struct Step<'a, T: Number, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized> {
    pub criterion: &'a E,
    pub x: &'a In::Batch<T, B>,
    pub target: &'a Y,
    pub activations: &'a mut Activations<T, In, L, B, ToTrain>,
    pub pass: Pass,
    pub dx: Option<&'a mut In::Batch<T, B>>,
    /// Whether the backward pass runs after a loss that is not finite.
    pub always: bool,
}

impl<T: Number, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized, D: Destination<T>> Work
    for (Step<'_, T, In, L, E, B, Y>, Grad<'_, T, L, D>)
where
    E: Loss<T, L::Out, B, Y>,
{
    type Output = T;

    #[inline(always)]
    fn run(self) -> T {
        let (Step { criterion, x, target, activations, mut pass, dx, always }, this) = self;
        activations.forward(&this, x, &mut pass);
        let loss = activations.loss(criterion, target);
        if always || loss.is_finite() {
            activations.backward(this, x, dx);
        }
        loss
    }
}

/// The passes of a step over layers of type `L`, for any batch, loss and targets.
pub trait Passes<T: Number, L: Parameters<T>> {
    /// Runs forward pass, loss and backward pass. Returns the loss.
    ///
    /// # Errors
    /// [`StepError::Loss`] if the loss is not finite. Then there is no backward pass.
    fn run<D: Destination<T>>(self, this: Grad<T, L, D>) -> Result<T, StepError>;
}

impl<T: Number, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized> Passes<T, L>
    for Step<'_, T, In, L, E, B, Y>
where
    E: Loss<T, L::Out, B, Y>,
{
    #[inline(always)]
    fn run<D: Destination<T>>(self, this: Grad<T, L, D>) -> Result<T, StepError> {
        let loss = Work::run((self, this));
        if loss.is_finite() { Ok(loss) } else { Err(StepError::Loss) }
    }
}

/// A backward pass from the gradient on the outputs in `activations`.
pub(crate) struct VectorJacobian<'a, 'g, T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, D>
where
    D: Destination<T>,
{
    pub x: &'a In::Batch<T, B>,
    pub activations: &'a mut Activations<T, In, L, B, ToTrain>,
    pub dx: Option<&'a mut In::Batch<T, B>>,
    pub this: Grad<'g, T, L, D>,
    /// Whether the forward pass must run first, because the activations are not those of `x`.
    pub forward: bool,
}

impl<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, D: Destination<T>> Work
    for VectorJacobian<'_, '_, T, In, L, B, D>
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if self.forward {
            self.activations.forward(&self.this, self.x, &mut Pass::Predict);
        }
        self.activations.backward(self.this, self.x, self.dx);
    }
}

impl<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, W: Way> Workspace<T, In, L, B, W> {
    /// Makes room for a batch of `size`, and returns the pass of this step.
    #[inline]
    pub(crate) fn pass(&mut self, size: B) -> Pass {
        self.activations.resize(size);
        Pass::train(self.seed, self.step, 0)
    }
}

impl<T: Number, In: Shape, L: Layer<T, In>, const B: usize, W: Way> ConstZeros
    for Workspace<T, In, L, Const<B>, W>
where
    W::Gradient<L::Gradient>: ConstZeros,
    L::Cache<Const<B>, ToTrain>: ConstZeros,
    Batch<T, L::Out, Const<B>>: ConstZeros,
{
    const ZEROS: Self =
        Workspace { grad: ConstZeros::ZEROS, seed: 0, step: 0, activations: ConstZeros::ZEROS };
}

impl<T: Number, In: Shape, L: Layer<T, In>, const B: usize> ConstZeros
    for Activations<T, In, L, Const<B>, ToTrain>
where
    L::Cache<Const<B>, ToTrain>: ConstZeros,
    Batch<T, L::Out, Const<B>>: ConstZeros,
{
    const ZEROS: Self = Activations {
        cache: ConstZeros::ZEROS,
        y: ConstZeros::ZEROS,
        dy: ConstZeros::ZEROS,
        size: Const,
        scratch: ConstZeros::ZEROS,
    };
}
