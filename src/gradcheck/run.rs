//! The passes of a layer that a check makes: forward, backward in several ways, by a rule, predicting.

use super::Real;
use crate::{
    grad::{Destination, Grad, Look},
    kernel::{Room, Scratch},
    layer::{Backward, Forward, Layer},
    params::{self, Leaf, Parameters, Role},
    pass::Pass,
    path::Path,
    rule::{Piece, Rule},
    shape::{Batch, BatchSize, Buffer, Flat, Number, Purpose, ToPredict, ToTrain, nan},
    step::Fused,
    zeros::Zeros,
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};
use core::cell::RefCell;
use nalgebra::Dyn;

/// A batch with these numbers.
pub(super) fn batch<U: Number, S: Flat, B: BatchSize>(
    size: B,
    numbers: impl Iterator<Item = U>,
) -> S::Batch<U, B> {
    let mut x = Buffer::new(size);
    S::flat_mut::<U, B>(&mut x).iter_mut().zip(numbers).for_each(|(to, x)| *to = x);
    x
}

/// What a backward pass is asked for and what it finds in its memory.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// Whether y, dx and an overwritten gradient held NaN before; else zeros.
    pub poisoned: bool,
    /// Whether the gradient is overwritten; else added to zeros.
    pub overwrite: bool,
    /// How many backward passes follow the forward pass.
    pub times: usize,
    /// Whether dx is wanted.
    pub dx: bool,
    /// Whether cache and working memory have served another input before.
    pub used: bool,
}

/// Everything is wanted, once, in fresh memory.
pub(super) const PLAIN: How =
    How { poisoned: false, overwrite: false, times: 1, dx: true, used: false };

/// The memory of a pass.
struct Memory<U: Number, In: Flat, L: Layer<U, In>, B: BatchSize, P: Purpose> {
    y: Batch<U, L::Out, B>,
    cache: L::Cache<B, P>,
    room: B::Place<Room<L::Scratch>>,
}

impl<U: Number, In: Flat, L: Layer<U, In>, B: BatchSize, P: Purpose> Memory<U, In, L, B, P>
where
    L::Out: Flat,
{
    fn new(size: B) -> Self {
        Memory { y: Buffer::new(size), cache: Buffer::new(size), room: Zeros::zeros() }
    }

    /// A forward pass; y holds `before` when it begins.
    #[inline(never)] // one instance of the layer, which has to be compiled
    fn forward(&mut self, layer: &L, x: &In::Batch<U, B>, pass: &Pass, before: U) {
        let Memory { y, cache, room } = self;
        L::Out::flat_mut::<U, B>(y).fill(before);
        let (scratch, pass) = (Scratch::new(room.as_mut()), &mut pass.clone());
        layer.forward::<B, P>(Forward { x, y, cache, scratch, pass });
    }

    fn outputs(&self) -> &[U] {
        L::Out::flat::<U, B>(&self.y)
    }
}

impl<U: Number, In: Flat, L: Layer<U, In>, B: BatchSize> Memory<U, In, L, B, ToTrain> {
    #[inline(never)]
    fn backward<D: Destination<U>>(
        &mut self,
        this: Grad<U, L, D>,
        x: &In::Batch<U, B>,
        dy: &Batch<U, L::Out, B>,
        dx: Option<&mut In::Batch<U, B>>,
    ) {
        let Memory { y, cache, room } = self;
        let scratch = Scratch::new(room.as_mut());
        L::backward::<B, D>(this, Backward { x, y, cache, scratch, dy, dx });
    }
}

/// Other inputs of the same shape.
fn other<U: Number, In: Flat, B: BatchSize>(x: &In::Batch<U, B>) -> In::Batch<U, B> {
    let numbers = In::flat::<U, B>(x).iter().map(|&x| U::one() - x);
    batch::<U, In, B>(In::size::<U, B>(x), numbers)
}

/// dx, the gradient of the parameters, the steps of statistics, and the output.
pub(super) fn run<U: Number, In: Flat, L: Layer<U, In>, B: BatchSize>(
    layer: &L,
    x: &In::Batch<U, B>,
    dy: &[U],
    pass: &Pass,
    how: How,
) -> Vec<U>
where
    L::Out: Flat,
{
    let size = In::size::<U, B>(x);
    let dy = batch::<U, L::Out, _>(size, dy.iter().copied());
    let mut memory = Memory::<U, In, L, B, ToTrain>::new(size);
    let mut dx: In::Batch<U, B> = Buffer::new(size);
    let mut grad = Box::<L::Gradient>::zeros();
    let before = if how.poisoned { nan() } else { U::zero() };
    let mut passes = |x: &In::Batch<U, B>, times| {
        params::fill(&mut *grad, if how.overwrite { before } else { U::zero() });
        memory.forward(layer, x, pass, before);
        for _ in 0..times {
            In::flat_mut::<U, B>(&mut dx).fill(before);
            let this = if how.overwrite {
                Grad::set(layer, &mut *grad)
            } else {
                Grad::add_to(layer, &mut *grad)
            };
            memory.backward(this, x, &dy, if how.dx { Some(&mut dx) } else { None });
        }
    };
    if how.used {
        passes(&other::<U, In, B>(x), 1);
    }
    passes(x, how.times);
    let mut all = In::flat::<U, B>(&dx).to_vec();
    for role in [Role::Weight, Role::Statistic] {
        extend(&mut all, &*grad, role);
    }
    all.extend_from_slice(memory.outputs());
    all
}

/// dx of a backward pass that is not asked for the gradient of the parameters.
pub(super) fn dx_alone<U: Number, In: Flat, L: Layer<U, In>>(
    layer: &L,
    x: &In::Batch<U, Dyn>,
    dy: &[U],
    pass: &Pass,
) -> Vec<U>
where
    L::Out: Flat,
{
    let size = In::size::<U, Dyn>(x);
    let dy = batch::<U, L::Out, _>(size, dy.iter().copied());
    let mut memory = Memory::<U, In, L, Dyn, ToTrain>::new(size);
    let mut dx: In::Batch<U, Dyn> = Buffer::new(size);
    memory.forward(layer, x, pass, U::zero());
    memory.backward(Grad::nowhere(layer), x, &dy, Some(&mut dx));
    In::flat::<U, Dyn>(&dx).to_vec()
}

/// Adds the leaves of a role.
fn extend<U: Number>(all: &mut Vec<U>, tree: &impl Parameters<U>, role: Role) {
    tree.visit(&Path::ROOT, &mut |leaf: Leaf<U>| {
        if leaf.role == role {
            all.extend_from_slice(leaf.values);
        }
    });
}

/// The output of a forward pass for training.
pub(super) fn forward<U: Number, In: Flat, L: Layer<U, In>>(
    layer: &L,
    x: &In::Batch<U, Dyn>,
    pass: &Pass,
) -> Vec<U>
where
    L::Out: Flat,
{
    let mut memory = Memory::<U, In, L, Dyn, ToTrain>::new(In::size::<U, Dyn>(x));
    memory.forward(layer, x, pass, U::zero());
    memory.outputs().to_vec()
}

/// The output of a forward pass that only predicts, in memory that has served another input.
pub(super) fn predict<U: Number, In: Flat, L: Layer<U, In>, B: BatchSize>(
    layer: &L,
    x: &In::Batch<U, B>,
) -> Vec<U>
where
    L::Out: Flat,
{
    let mut memory = Memory::<U, In, L, B, ToPredict>::new(In::size::<U, B>(x));
    memory.forward(layer, &other::<U, In, B>(x), &Pass::Predict, nan());
    memory.forward(layer, x, &Pass::Predict, nan());
    memory.outputs().to_vec()
}

/// A rule that keeps what it is given: state 0 is the gradient, state 1 counts. It spoils the parameter,
/// as an optimizer may.
struct Keeps(RefCell<Vec<String>>);

impl<T: Number> Rule<T, 2> for Keeps {
    type Way = Fused;

    fn update(&self, piece: Piece<T, 2>) {
        let Piece { path, first, values, gradient, state: [kept, count], .. } = piece;
        if first == 0 {
            self.0.borrow_mut().push(path.to_string());
        }
        kept.iter_mut().zip(gradient).for_each(|(kept, &g)| *kept += g);
        count.iter_mut().for_each(|count| *count += T::one());
        values.fill(nan());
    }
}

/// What a backward pass gives to a rule.
pub(super) struct ByRule {
    /// As [`run`] returns it.
    pub all: Vec<f64>,
    /// How often each number of the parameters was given.
    pub counts: Vec<f64>,
    /// The names that the backward pass gave to the parameters.
    pub names: Vec<String>,
}

/// A backward pass that gives the gradient to a rule; the layer is spoilt.
pub(super) fn by_rule<T: Real, In: Flat, L: Layer<T, In>>(
    layer: &mut L,
    x: &In::Batch<T, Dyn>,
    dy: &[T],
    pass: &Pass,
) -> ByRule
where
    L::Out: Flat,
{
    let size = In::size::<T, Dyn>(x);
    let dy = batch::<T, L::Out, _>(size, dy.iter().copied());
    let mut memory = Memory::<T, In, L, Dyn, ToTrain>::new(size);
    let mut dx: In::Batch<T, Dyn> = Buffer::new(size);
    let [mut kept, mut count] = [(); 2].map(|()| Box::<L::Gradient>::zeros());
    let [mut before, mut after] = [Vec::new(), Vec::new()];
    extend(&mut before, layer, Role::Statistic);
    memory.forward(layer, x, pass, T::zero());
    let (rule, mut look) = (Keeps(RefCell::default()), Look::new());
    let state = [&mut *kept, &mut *count];
    let this = Grad::update(&mut *layer, state, &rule, 1, &mut look);
    memory.backward(this, x, &dy, Some(&mut dx));
    let mut all = In::flat::<T, Dyn>(&dx).to_vec();
    extend(&mut all, &*kept, Role::Weight);
    extend(&mut after, layer, Role::Statistic);
    // The step of a statistic is taken at once.
    all.extend(after.iter().zip(before).map(|(&after, before)| after - before));
    all.extend_from_slice(memory.outputs());
    let mut counts = Vec::new();
    extend(&mut counts, &*count, Role::Weight);
    let [all, counts] = [all, counts].map(|numbers| numbers.into_iter().map(T::widen).collect());
    ByRule { all, counts, names: rule.0.into_inner() }
}
