//! The trait that every layer implements.

use crate::{
    block::Block,
    grad::{Destination, Grad},
    init::{self, Gain},
    kernel::Scratch,
    params::{LeafMut, Parameters, Role},
    part::Part,
    pass::Pass,
    path::Path,
    shape::{Batch, BatchSize, Buffer, Number, Purpose, Shape, ToTrain},
    zeros::Zeros,
};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use nalgebra::Const;
use rand::Rng;

/// A differentiable map from batches of shape `In` to batches of shape `Out`.
///
/// A layer holds its parameters and its settings. The caller lends all other memory: input and output, what
/// the backward pass needs from the forward pass ([`Cache`](Self::Cache)), and working memory
/// ([`Scratch`](Self::Scratch)). So several threads can use one layer, and a pass is a pure function.
///
/// The page [`write_a_layer`](crate::write_a_layer) shows how to implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take inputs of shape `{In}`",
    label = "not a layer on `{In}`",
    note = "each layer takes the output shape of the layer before it, and the first layer the input shape of the net",
    note = "a tuple of 1 to 12 layers is a layer; `named!` makes a struct of any number of them a layer",
    note = "a type of your own is a layer if it implements `Layer`: see the page `write_a_layer`"
)]
pub trait Layer<T: Number, In: Shape>: Parameters<T> {
    /// The shape of the output.
    type Out: Shape;

    /// What `backward` needs besides input and output. Memory that only the backward pass reads is
    /// [`Purpose::InTraining`]; it does not exist in a prediction.
    type Cache<B: BatchSize, P: Purpose>: Buffer<B>;

    /// Working memory of one call. Its size does not depend on the batch. The layers of a net share it, so
    /// its contents are lost after the call.
    type Scratch: Zeros + Copy;

    /// How large the first weights of the layer before this one must be: larger for [`Gain::Relu`] than for
    /// [`Gain::Linear`]. A layer that only passes its input on, such as dropout, has `None`. Then the
    /// next layer decides.
    const GAIN: Option<Gain> = Some(Gain::Linear);

    /// Whether `forward_some` exists. It computes each sample by itself.
    #[doc(hidden)]
    const BY_SAMPLE: bool = false;

    /// Whether `backward` reads the input (first) and the output (second).
    #[doc(hidden)]
    const READS: [bool; 2] = [true; 2];

    /// `forward` for some samples, of a layer without a cache.
    #[doc(hidden)]
    #[inline(always)]
    fn forward_some<B: BatchSize>(
        &self,
        _: &Block,
        _: &In::Batch<T, B>,
        _: &mut Batch<T, Self::Out, B>,
        _: Scratch<Self::Scratch>,
    ) {
    }

    /// Writes the output for `at.x` into `at.y`, and into `at.cache` what `backward` will need.
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, In, Self, B, P>);

    /// The derivative of the `forward` that filled `at.y` and `at.cache`. `at.dy` is the gradient on the
    /// output. The function first overwrites `at.dx`, the gradient on the input, if it is `Some`. Then it
    /// delivers the gradient of the parameters to `this`.
    ///
    /// It may be called several times after one forward pass. Each call must give the same result.
    fn backward<B: BatchSize, D: Destination<T>>(
        this: Grad<T, Self, D>,
        at: Backward<T, In, Self, B>,
    );

    /// Sets the first values of the parameters, which are all zeros before. `next` is the
    /// [`GAIN`](Self::GAIN) of the layer that follows. The default draws each parameter from a normal
    /// distribution with variance `next`/columns ([`init::xavier`], [`init::he`]), and leaves a parameter with the
    /// name `bias` at 0.
    fn init<R: Rng + ?Sized>(&mut self, next: Gain, rng: &mut R) {
        self.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
            if leaf.role == Role::Weight && leaf.path.name() != Some("bias") {
                init::fill(next.std(leaf.shape.1), leaf.values, rng);
            }
        });
    }

    /// Calls `f` with each row of the table of a net: with this layer, or with the layers of a sequence.
    fn parts(&self, path: &Path, f: &mut dyn FnMut(Part)) {
        let outputs = size_of::<Batch<T, Self::Out, Const<1>>>() / size_of::<T>().max(1);
        f(Part::new::<T, Self, Self::Out>(self, path, outputs));
    }
}

/// What a forward pass reads and writes.
pub struct Forward<'a, T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, P: Purpose> {
    /// The input.
    pub x: &'a In::Batch<T, B>,
    /// The output, which `forward` overwrites.
    pub y: &'a mut Batch<T, L::Out, B>,
    /// What the backward pass will need.
    pub cache: &'a mut L::Cache<B, P>,
    /// Working memory.
    pub scratch: Scratch<'a, L::Scratch>,
    /// Training or prediction, and all randomness.
    pub pass: &'a mut Pass,
}

/// What a backward pass reads and writes.
pub struct Backward<'a, T: Number, In: Shape, L: Layer<T, In>, B: BatchSize> {
    /// The input of the forward pass.
    pub x: &'a In::Batch<T, B>,
    /// Its output.
    pub y: &'a Batch<T, L::Out, B>,
    /// What the forward pass kept.
    pub cache: &'a mut L::Cache<B, ToTrain>,
    /// Working memory.
    pub scratch: Scratch<'a, L::Scratch>,
    /// The gradient on the output.
    pub dy: &'a Batch<T, L::Out, B>,
    /// The gradient on the input, which `backward` overwrites. `None` if nobody needs it.
    pub dx: Option<&'a mut In::Batch<T, B>>,
}

#[cfg(feature = "alloc")]
impl<T: Number, S: Shape, L: Layer<T, S>> Layer<T, S> for Box<L> {
    type Out = L::Out;
    type Cache<B: BatchSize, P: Purpose> = L::Cache<B, P>;
    type Scratch = L::Scratch;
    const GAIN: Option<Gain> = L::GAIN;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        let Forward { x, y, cache, scratch, pass } = at;
        (**self).forward::<B, P>(Forward { x, y, cache, scratch, pass });
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        let Backward { x, y, cache, scratch, dy, dx } = at;
        let inside = this.inside(|layer| &**layer, |layer| &mut **layer, |tree| &mut **tree);
        L::backward::<B, D>(inside, Backward { x, y, cache, scratch, dy, dx });
    }

    fn init<R: Rng + ?Sized>(&mut self, next: Gain, rng: &mut R) {
        (**self).init(next, rng);
    }

    fn parts(&self, path: &Path, f: &mut dyn FnMut(Part)) {
        (**self).parts(path, f);
    }
}
