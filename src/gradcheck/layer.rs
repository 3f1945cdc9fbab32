//! A layer as the subject of a check, and the passes of the check: forward, backward in several ways, with a
//! rule, and predicting.

use super::{
    Real,
    subject::{Function, Place, name, narrow, wide},
};
use crate::{
    grad::{Destination, Grad},
    kernel::{Room, Scratch},
    layer::{Backward, Forward, Layer},
    params::{self, Leaf, LeafMut, Parameters, Role},
    pass::Pass,
    path::Path,
    rule::{Piece, Rule},
    shape::{Batch, BatchSize, Buffer, Flat, Number, Purpose, ToPredict, ToTrain, nan},
    step::Fused,
    update::Look,
    zeros::Zeros,
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};
use core::{cell::RefCell, marker::PhantomData};
use nalgebra::{Const, Dyn};

/// What a backward pass must compute, and what its memory contains before.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// Whether y, dx and an overwritten gradient held NaN before; else zeros.
    pub poisoned: bool,
    /// Whether the gradient is overwritten; else added to zeros.
    pub overwrite: bool,
    /// How many backward passes follow the forward pass.
    pub times: usize,
    /// Whether dx is needed.
    pub dx: bool,
    /// Whether another input has used the cache and the working memory before.
    pub used: bool,
}

/// Computes everything, once, in new memory.
pub(super) const PLAIN: How =
    How { poisoned: false, overwrite: false, times: 1, dx: true, used: false };

/// The order of the numbers: inputs, trained parameters, steps of statistics, outputs.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Where the inputs end.
    pub inputs: usize,
    /// Where the parameters end.
    pub learned: usize,
    /// Where the steps end.
    pub steps: usize,
    pub samples: usize,
}

/// What a backward pass gives to a rule.
pub(super) struct ByRule {
    /// As [`LayerPasses::run`] returns it.
    pub all: Vec<f64>,
    /// How often each number of the parameters was given.
    pub counts: Vec<f64>,
    /// The names that the backward pass gave to the parameters.
    pub names: Vec<String>,
}

/// The passes of a layer over `T`, with inputs `x`.
pub(super) trait LayerPasses: Sync {
    /// The result of [`Function::gradient`] for this number of samples.
    fn run(&self, samples: usize, x: &[f64], dy: &[f64], how: How) -> Vec<f64>;

    /// dx of a backward pass without the gradient of the parameters.
    fn dx_alone(&self, x: &[f64], dy: &[f64]) -> Vec<f64>;

    /// A backward pass that gives the gradient to a rule.
    fn by_rule(&self, x: &[f64], dy: &[f64]) -> ByRule;

    /// In memory for a batch of constant size; and what is predicted there.
    fn constant(&self, x: &[f64], dy: &[f64]) -> Result<[Vec<f64>; 2], &'static str>;

    /// The outputs of a predicting pass in memory for training, and in memory for predictions.
    fn predict(&self, x: &[f64]) -> [Vec<f64>; 2];
}

/// A batch with these numbers.
pub(super) fn batch<U: Number, S: Flat, B: BatchSize>(size: B, numbers: &[U]) -> S::Batch<U, B> {
    let mut x = Buffer::new(size);
    S::flat_mut::<U, B>(&mut x).iter_mut().zip(numbers).for_each(|(to, &x)| *to = x);
    x
}

/// Calls `f` for each leaf. By `dyn`, so that a tree is compiled once and not for each `f`.
pub(super) fn leaves<U: Number>(tree: &impl Parameters<U>, mut f: &mut dyn FnMut(Leaf<U>)) {
    tree.visit(&Path::ROOT, &mut f);
}

/// The same for leaves that may be changed.
pub(super) fn leaves_mut<U: Number>(
    tree: &mut impl Parameters<U>,
    mut f: &mut dyn FnMut(LeafMut<U, 0>),
) {
    tree.visit_mut(None, [], &Path::ROOT, &mut f);
}

/// The numbers of all leaves of a role.
pub(super) fn numbers<U: Number>(tree: &impl Parameters<U>, role: Role) -> Vec<U> {
    let mut all = Vec::new();
    leaves(tree, &mut |leaf: Leaf<U>| {
        if leaf.role == role {
            all.extend_from_slice(leaf.values);
        }
    });
    all
}

/// Sets the parameters that learn.
pub(super) fn set_weights<U: Number>(tree: &mut impl Parameters<U>, values: &[U]) {
    let mut values = values.iter();
    leaves_mut(tree, &mut |leaf: LeafMut<U, 0>| {
        if leaf.role == Role::Weight {
            leaf.values.iter_mut().zip(values.by_ref()).for_each(|(to, &value)| *to = value);
        }
    });
}

/// The memory of a pass.
struct Memory<U: Number, In: Flat, L: Layer<U, In>, B: BatchSize, P: Purpose> {
    x: In::Batch<U, B>,
    dx: In::Batch<U, B>,
    y: Batch<U, L::Out, B>,
    dy: Batch<U, L::Out, B>,
    cache: L::Cache<B, P>,
    room: B::Place<Room<L::Scratch>>,
}

impl<U: Number, In: Flat, L: Layer<U, In>, B: BatchSize, P: Purpose> Memory<U, In, L, B, P>
where
    L::Out: Flat,
{
    fn new(size: B, dy: &[U]) -> Self {
        let (x, dx, dy) = (Buffer::new(size), Buffer::new(size), batch::<U, L::Out, B>(size, dy));
        let (y, cache, room) = (Buffer::new(size), Buffer::new(size), Zeros::zeros());
        Memory { x, dx, y, dy, cache, room }
    }

    /// A forward pass; y holds `before` when it begins.
    #[inline(never)] // one instance of the layer, which has to be compiled
    fn forward(&mut self, layer: &L, from: &[U], pass: &Pass, before: U) {
        let Memory { x, y, cache, room, .. } = self;
        In::flat_mut::<U, B>(x).copy_from_slice(from);
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
    fn backward<D: Destination<U>>(&mut self, this: Grad<U, L, D>, wants_dx: bool) {
        let Memory { x, dx, y, dy, cache, room } = self;
        let (scratch, dx) = (Scratch::new(room.as_mut()), wants_dx.then_some(dx));
        L::backward::<B, D>(this, Backward { x, y, cache, scratch, dy, dx });
    }
}

/// A layer with its parameters.
pub(super) struct OfLayer<U, In, L> {
    layer: L,
    size: Dyn,
    pass: Pass,
    of: PhantomData<fn(U) -> In>,
}

impl<U: Number, In: Flat, L: Layer<U, In>> OfLayer<U, In, L>
where
    L::Out: Flat,
{
    pub fn new(layer: L, samples: usize, pass: &Pass) -> Self {
        OfLayer { layer, size: Dyn(samples), pass: pass.clone(), of: PhantomData }
    }

    /// How the numbers lie, and what they are called.
    pub fn places(&self) -> (Layout, Vec<Place>) {
        let (samples, mut places) = (self.size.0, Vec::new());
        name(&mut places, "x", In::LEN, In::LEN * samples);
        let inputs = places.len();
        let (mut learned, mut steps) = (inputs, inputs);
        for role in [Role::Weight, Role::Statistic] {
            learned = steps;
            leaves(&self.layer, &mut |leaf: Leaf<U>| {
                if leaf.role == role {
                    name(&mut places, &leaf.path.to_string(), leaf.shape.0, leaf.values.len());
                }
            });
            steps = places.len();
        }
        name(&mut places, "y", L::Out::LEN, L::Out::LEN * samples);
        (Layout { inputs, learned, steps, samples }, places)
    }

    /// dx, the gradient of the parameters, the steps of statistics, and the output.
    fn backward<B: BatchSize>(&self, size: B, x: &[U], dy: &[U], how: How) -> Vec<U> {
        let layer = &self.layer;
        let mut memory = Memory::<U, In, L, B, ToTrain>::new(size, dy);
        let mut grad = Box::<L::Gradient>::zeros();
        let before = if how.poisoned { nan() } else { U::zero() };
        let mut passes = |x: &[U], times| {
            params::fill(&mut *grad, if how.overwrite { before } else { U::zero() });
            memory.forward(layer, x, &self.pass, before);
            for _ in 0..times {
                In::flat_mut::<U, B>(&mut memory.dx).fill(before);
                let tree = &mut *grad;
                let this = match how.overwrite {
                    true => Grad::set(layer, tree),
                    false => Grad::add_to(layer, tree),
                };
                memory.backward(this, how.dx);
            }
        };
        if how.used {
            passes(&other(x), 1);
        }
        passes(x, how.times);
        let dx = In::flat::<U, B>(&memory.dx);
        let (weights, steps) = (numbers(&*grad, Role::Weight), numbers(&*grad, Role::Statistic));
        [dx, &weights, &steps, memory.outputs()].concat()
    }

    /// The output of a forward pass for training.
    fn forward(&self, x: &[U], pass: &Pass) -> Vec<U> {
        let mut memory = Memory::<U, In, L, Dyn, ToTrain>::new(self.size, &[]);
        memory.forward(&self.layer, x, pass, U::zero());
        memory.outputs().to_vec()
    }

    /// The output of a forward pass that only predicts, in memory that has served another input.
    fn prediction<B: BatchSize>(&self, size: B, x: &[U]) -> Vec<U> {
        let mut memory = Memory::<U, In, L, B, ToPredict>::new(size, &[]);
        memory.forward(&self.layer, &other(x), &Pass::Predict, nan());
        memory.forward(&self.layer, x, &Pass::Predict, nan());
        memory.outputs().to_vec()
    }

    /// Sets the parameters to what comes behind the inputs, which are returned.
    fn set<'b>(&mut self, at: &'b [U]) -> &'b [U] {
        let (x, weights) = at.split_at_checked(In::LEN * self.size.0).unwrap_or_default();
        set_weights(&mut self.layer, weights);
        x
    }
}

/// Other inputs.
fn other<U: Number>(x: &[U]) -> Vec<U> {
    x.iter().map(|&x| U::one() - x).collect()
}

impl<U: Number, In: Flat, L: Layer<U, In>> Function<U> for OfLayer<U, In, L>
where
    L::Out: Flat,
{
    fn outputs(&mut self, at: &[U]) -> Vec<U> {
        let x = self.set(at);
        self.forward(x, &self.pass)
    }

    fn gradient(&mut self, at: &[U], dy: &[U]) -> Vec<U> {
        let x = self.set(at);
        self.backward(self.size, x, dy, PLAIN)
    }
}

/// The most memory that a batch of constant size may take of the stack.
const STACK: usize = 96 << 10;

impl<T: Real, In: Flat, L: Layer<T, In>> OfLayer<T, In, L>
where
    L::Out: Flat,
{
    /// dx and the output of a pass whose gradient goes anywhere.
    fn deliver<D: Destination<T>>(
        &self,
        this: Grad<T, L, D>,
        x: &[f64],
        dy: &[f64],
    ) -> [Vec<T>; 2] {
        let mut memory = Memory::<T, In, L, Dyn, ToTrain>::new(self.size, &narrow(dy));
        memory.forward(&this, &narrow(x), &self.pass, T::zero());
        memory.backward(this, true);
        [In::flat::<T, Dyn>(&memory.dx).to_vec(), memory.outputs().to_vec()]
    }

    fn in_place<const B: usize>(&self, x: &[T], dy: &[T]) -> Result<[Vec<T>; 2], &'static str> {
        if size_of::<Memory<T, In, L, Const<B>, ToTrain>>() > STACK {
            return Err("memory for a batch of constant size is too large for the stack");
        }
        Ok([self.backward(Const::<B>, x, dy, PLAIN), self.prediction(Const::<B>, x)])
    }
}

impl<T: Real, In: Flat, L> LayerPasses for OfLayer<T, In, L>
where
    L: Layer<T, In> + Parameters<T, With<T> = L> + Sync,
    L::Out: Flat,
{
    fn run(&self, samples: usize, x: &[f64], dy: &[f64], how: How) -> Vec<f64> {
        wide(&self.backward(Dyn(samples), &narrow(x), &narrow(dy), how))
    }

    fn dx_alone(&self, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let [dx, _] = self.deliver(Grad::nowhere(&self.layer), x, dy);
        wide(&dx)
    }

    fn by_rule(&self, x: &[f64], dy: &[f64]) -> ByRule {
        let mut layer = self.layer.map_scalar(&mut |w| w);
        let (mut kept, mut count) = (Box::<L::Gradient>::zeros(), Box::<L::Gradient>::zeros());
        let (rule, mut look) = (Keeps(RefCell::default()), Look::new());
        let this = Grad::update(&mut layer, [&mut *kept, &mut *count], &rule, 1, &mut look);
        let [dx, y] = self.deliver(this, x, dy);
        // The step of a statistic is taken at once.
        let (before, mut steps) =
            (numbers(&self.layer, Role::Statistic), numbers(&layer, Role::Statistic));
        steps.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
        let (kept, counts) = (numbers(&*kept, Role::Weight), numbers(&*count, Role::Weight));
        let all = wide(&[dx, kept, steps, y].concat());
        ByRule { all, counts: wide(&counts), names: rule.0.into_inner() }
    }

    fn constant(&self, x: &[f64], dy: &[f64]) -> Result<[Vec<f64>; 2], &'static str> {
        let (x, dy) = (&narrow(x), &narrow(dy));
        let both = match self.size.0 {
            1 => self.in_place::<1>(x, dy),
            3 => self.in_place::<3>(x, dy),
            _ => Err("only 1 and 3 samples are tried at a constant size"),
        };
        both.map(|[all, outputs]| [wide(&all), wide(&outputs)])
    }

    fn predict(&self, x: &[f64]) -> [Vec<f64>; 2] {
        let x = &narrow(x);
        [wide(&self.forward(x, &Pass::Predict)), wide(&self.prediction(self.size, x))]
    }
}

/// A rule that keeps the gradient in state 0 and counts in state 1. It overwrites the parameter, as an
/// optimizer may.
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
