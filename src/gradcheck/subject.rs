//! What is checked, as a function from many numbers to many, over `T`, f64 and dual numbers; and a layer
//! as such.

use super::{Real, run::*};
use crate::{
    layer::Layer,
    params::{LeafMut, Parameters, Role},
    pass::Pass,
    path::Path,
    shape::{Batch, Flat, Number, ToPredict, ToTrain, nan},
};
use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::ops::Range;
use nalgebra::{Const, Dyn};
use num_dual::Dual64;

/// Numbers that belong together: the input, a parameter, the output. What it is called, its rows, and
/// where it lies among all.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub name: String,
    pub rows: usize,
    pub range: Range<usize>,
}

/// A direction: one number alone, or all by these amounts.
#[derive(Clone, Copy)]
pub(super) enum Along<'a> {
    Entry(usize),
    All(&'a [f64]),
}

impl Along<'_> {
    /// How much number `i` moves.
    pub fn of(self, i: usize) -> f64 {
        match self {
            Along::Entry(entry) => f64::from(u8::from(i == entry)),
            Along::All(amounts) => amounts.get(i).copied().unwrap_or(0.0),
        }
    }
}

/// A function at a point. Whatever does not depend on the layer's type is computed in f64 behind this
/// trait, and so is compiled once.
pub(super) trait Subject {
    /// The unit in the last place of 1, and the largest number, of `T`.
    fn precision(&self) -> [f64; 2];

    /// All numbers that the output depends on.
    fn point(&self) -> &[f64];

    /// What the numbers of [`found`](Self::found) are called: those of the point come first.
    fn variables(&self) -> &[Variable];

    /// These amounts, rounded so that the point moved by them is one over `T`.
    fn representable(&self, by: &[f64]) -> Vec<f64>;

    /// What is found over `T`: the gradient of Σ dy·y at each number of the point, then the steps of
    /// statistics, then the output. The point is moved by these amounts.
    fn found(&mut self, dy: &[f64], by: &[f64]) -> Vec<f64>;

    /// The outputs at the point moved by `step` in a direction, in f64.
    fn outputs(&mut self, along: Along, step: f64) -> Vec<f64>;

    /// The outputs and their exact derivatives in a direction, at the point moved by these amounts.
    fn derivative(&mut self, along: Along, by: &[f64]) -> Vec<Dual64>;

    /// The gradient by the backward pass over f64 at the point moved by `step` in a direction.
    fn gradient_near(&mut self, dy: &[f64], along: &[f64], step: f64) -> Vec<f64>;

    /// The derivative of the gradient in a direction, at the point moved by these amounts: the backward
    /// pass over dual numbers.
    fn curvature(&mut self, dy: &[f64], along: &[f64], by: &[f64]) -> Vec<f64>;
}

/// How the numbers that are found lie: inputs, parameters that learn, steps of statistics, outputs.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Where the inputs end.
    pub inputs: usize,
    /// Where the parameters end.
    pub learned: usize,
    /// Where the steps end.
    pub steps: usize,
    /// How many numbers a sample has, and its output.
    pub sample: [usize; 2],
    pub samples: usize,
}

/// The passes of a layer over `T`. All take dy, and return what [`found`](Subject::found) does, if nothing
/// else is said.
pub(super) trait Passes: Subject {
    fn layout(&self) -> Layout;

    fn pass(&self) -> &Pass;

    fn run(&self, dy: &[f64], how: How) -> Vec<f64>;

    /// dx alone.
    fn dx_alone(&self, dy: &[f64]) -> Vec<f64>;

    fn by_rule(&self, dy: &[f64]) -> ByRule;

    /// For one sample, in a predicting pass.
    fn sample(&self, sample: usize, dy: &[f64]) -> Vec<f64>;

    /// In memory for a batch of constant size; and what is predicted there.
    fn constant(&self, dy: &[f64]) -> Result<[Vec<f64>; 2], &'static str>;

    /// In two threads at once.
    fn in_threads(&self, dy: &[f64]) -> [Option<Vec<f64>>; 2];

    /// The output alone in a predicting pass for training, with NaN at this input.
    fn output(&self, nan_at: Option<usize>) -> Vec<f64>;

    /// The output of a pass that only predicts.
    fn predict(&self) -> Vec<f64>;
}

/// Each parameter that learns, with its place among all of them.
pub(super) fn each_weight<U: Number, L: Parameters<U>>(
    layer: &mut L,
    mut f: impl FnMut(usize, &mut U),
) {
    let mut at = 0;
    layer.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<U, 0>| {
        if leaf.role == Role::Weight {
            for value in leaf.values {
                f(at, value);
                at += 1;
            }
        }
    });
}

/// A layer at a point.
pub(super) struct OfLayer<'a, T: Real, In: Flat, L: Layer<T, In>> {
    layer: &'a L,
    x: In::Batch<T, Dyn>,
    size: Dyn,
    pass: Pass,
    variables: Vec<Variable>,
    /// The input and the parameters that learn.
    point: Vec<f64>,
    moved: L,
    wide: L::With<f64>,
    dual: L::With<Dual64>,
}

impl<'a, T: Real, In: Flat, L> OfLayer<'a, T, In, L>
where
    L: Layer<T, In> + Parameters<T, With<T> = L>,
    L::Out: Flat,
{
    pub fn new(layer: &'a L, x: In::Batch<T, Dyn>, pass: Pass) -> Self {
        let size = In::size::<T, Dyn>(&x);
        let mut point: Vec<f64> = In::flat::<T, Dyn>(&x).iter().map(|x| x.widen()).collect();
        let mut variables =
            vec![Variable { name: "x".into(), rows: In::LEN, range: 0..point.len() }];
        let mut end = point.len();
        for role in [Role::Weight, Role::Statistic] {
            layer.visit(&Path::ROOT, &mut |leaf| {
                if leaf.role == role {
                    let range = end..end + leaf.values.len();
                    end = range.end;
                    variables.push(Variable {
                        name: leaf.path.to_string(),
                        rows: leaf.shape.0,
                        range,
                    });
                    if role == Role::Weight {
                        point.extend(leaf.values.iter().map(|w| w.widen()));
                    }
                }
            });
        }
        let (name, rows) = ("y".into(), L::Out::LEN);
        variables.push(Variable { name, rows, range: end..end + rows * size.0 });
        let wide = layer.map_scalar(&mut |w| w.widen());
        let dual = layer.map_scalar(&mut |w| Dual64::new(w.widen(), 0.0));
        let moved = layer.map_scalar(&mut |w| w);
        OfLayer { layer, x, size, pass, variables, point, moved, wide, dual }
    }

    fn inputs(&self) -> usize {
        In::LEN * self.size.0
    }

    /// The inputs, each made a number of `U` by its value and its place.
    fn x<U: Number>(&self, f: impl Fn(f64, usize) -> U) -> In::Batch<U, Dyn> {
        let numbers = self.point.iter().take(self.inputs()).enumerate();
        batch::<U, In, _>(self.size, numbers.map(|(i, &x)| f(x, i)))
    }

    /// Moves the point: the parameters in place, the inputs as returned.
    fn move_wide(&mut self, along: Along, step: f64) -> In::Batch<f64, Dyn> {
        let (point, inputs) = (&self.point, self.inputs());
        each_weight(&mut self.wide, |i, w| {
            let value = point.get(inputs + i).copied().unwrap_or(*w);
            *w = value + step * along.of(inputs + i);
        });
        self.x(|x, i| x + step * along.of(i))
    }

    fn move_dual(&mut self, along: Along, by: &[f64]) -> In::Batch<Dual64, Dyn> {
        let (point, inputs, by) = (&self.point, self.inputs(), Along::All(by));
        each_weight(&mut self.dual, |i, w| {
            let value = point.get(inputs + i).copied().unwrap_or(f64::NAN);
            *w = Dual64::new(value + by.of(inputs + i), along.of(inputs + i));
        });
        self.x(|x, i| Dual64::new(x + by.of(i), along.of(i)))
    }
}

impl<T: Real, In: Flat, L> Subject for OfLayer<'_, T, In, L>
where
    L: Layer<T, In> + Parameters<T, With<T> = L>,
    L::Out: Flat,
    L::With<f64>: Layer<f64, In, Out = L::Out>,
    L::With<Dual64>: Layer<Dual64, In, Out = L::Out>,
{
    fn precision(&self) -> [f64; 2] {
        [T::ULP, T::MAX]
    }

    fn point(&self) -> &[f64] {
        &self.point
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn representable(&self, by: &[f64]) -> Vec<f64> {
        rounded::<T>(&self.point, by)
    }

    fn found(&mut self, dy: &[f64], by: &[f64]) -> Vec<f64> {
        let (point, inputs, by) = (&self.point, self.inputs(), Along::All(by));
        each_weight(&mut self.moved, |i, w| {
            let value = point.get(inputs + i).copied().unwrap_or(f64::NAN);
            *w = T::narrow(value + by.of(inputs + i));
        });
        let x = self.x(|x, i| T::narrow(x + by.of(i)));
        wide(run::<T, In, L, Dyn>(&self.moved, &x, &narrow(dy), &self.pass, PLAIN))
    }

    fn outputs(&mut self, along: Along, step: f64) -> Vec<f64> {
        let x = self.move_wide(along, step);
        forward::<f64, In, _>(&self.wide, &x, &self.pass)
    }

    fn derivative(&mut self, along: Along, by: &[f64]) -> Vec<Dual64> {
        let x = self.move_dual(along, by);
        forward::<Dual64, In, _>(&self.dual, &x, &self.pass)
    }

    fn gradient_near(&mut self, dy: &[f64], along: &[f64], step: f64) -> Vec<f64> {
        let x = self.move_wide(Along::All(along), step);
        run::<f64, In, _, Dyn>(&self.wide, &x, dy, &self.pass, PLAIN)
    }

    fn curvature(&mut self, dy: &[f64], along: &[f64], by: &[f64]) -> Vec<f64> {
        let x = self.move_dual(Along::All(along), by);
        let dy: Vec<_> = dy.iter().map(|&dy| Dual64::from(dy)).collect();
        let all = run::<Dual64, In, _, Dyn>(&self.dual, &x, &dy, &self.pass, PLAIN);
        all.into_iter().map(|g| g.eps).collect()
    }
}

/// The most memory that a batch of constant size may take of the stack.
const STACK: usize = 128 << 10;

impl<T: Real, In: Flat, L> OfLayer<'_, T, In, L>
where
    L: Layer<T, In> + Parameters<T, With<T> = L>,
    L::Out: Flat,
{
    fn constant_of<const B: usize>(&self, dy: &[f64]) -> Result<[Vec<f64>; 2], &'static str> {
        let batches = size_of::<In::Batch<T, Const<B>>>() + size_of::<Batch<T, L::Out, Const<B>>>();
        let caches =
            size_of::<L::Cache<Const<B>, ToTrain>>() + size_of::<L::Cache<Const<B>, ToPredict>>();
        if 3 * batches + caches + size_of::<L::Scratch>() > STACK {
            return Err("memory for a batch of constant size is too large for the stack");
        }
        let x = batch::<T, In, _>(Const::<B>, In::flat::<T, Dyn>(&self.x).iter().copied());
        let trained = run::<T, In, L, _>(self.layer, &x, &narrow(dy), &self.pass, PLAIN);
        Ok([trained, predict::<T, In, L, _>(self.layer, &x)].map(wide))
    }
}

impl<T: Real, In: Flat, L> Passes for OfLayer<'_, T, In, L>
where
    L: Layer<T, In> + Parameters<T, With<T> = L> + Sync,
    L::Out: Flat,
    L::With<f64>: Layer<f64, In, Out = L::Out>,
    L::With<Dual64>: Layer<Dual64, In, Out = L::Out>,
{
    fn layout(&self) -> Layout {
        let (inputs, learned) = (self.inputs(), self.point.len());
        let steps = self.variables.last().map_or(learned, |y| y.range.start);
        Layout { inputs, learned, steps, sample: [In::LEN, L::Out::LEN], samples: self.size.0 }
    }

    fn pass(&self) -> &Pass {
        &self.pass
    }

    fn run(&self, dy: &[f64], how: How) -> Vec<f64> {
        wide(run::<T, In, L, Dyn>(self.layer, &self.x, &narrow(dy), &self.pass, how))
    }

    fn dx_alone(&self, dy: &[f64]) -> Vec<f64> {
        wide(dx_alone::<T, In, L>(self.layer, &self.x, &narrow(dy), &self.pass))
    }

    fn by_rule(&self, dy: &[f64]) -> ByRule {
        let mut spoilt = self.layer.map_scalar(&mut |w| w);
        by_rule::<T, In, L>(&mut spoilt, &self.x, &narrow(dy), &self.pass)
    }

    fn sample(&self, sample: usize, dy: &[f64]) -> Vec<f64> {
        let numbers = In::flat::<T, Dyn>(&self.x).iter().skip(sample * In::LEN);
        let x = batch::<T, In, _>(Dyn(1), numbers.copied());
        wide(run::<T, In, L, Dyn>(self.layer, &x, &narrow(dy), &Pass::Predict, PLAIN))
    }

    fn constant(&self, dy: &[f64]) -> Result<[Vec<f64>; 2], &'static str> {
        match self.size.0 {
            1 => self.constant_of::<1>(dy),
            3 => self.constant_of::<3>(dy),
            _ => Err("only 1 and 3 samples are tried at a constant size"),
        }
    }

    fn in_threads(&self, dy: &[f64]) -> [Option<Vec<f64>>; 2] {
        let (layer, pass, size, dy) = (self.layer, &self.pass, self.size, &narrow(dy));
        let numbers = &In::flat::<T, Dyn>(&self.x).to_vec();
        let again = || {
            let x = batch::<T, In, _>(size, numbers.iter().copied());
            wide(run::<T, In, L, Dyn>(layer, &x, dy, pass, PLAIN))
        };
        in_two_threads(&again)
    }

    fn output(&self, nan_at: Option<usize>) -> Vec<f64> {
        let x = self.x(|x, i| if nan_at == Some(i) { nan() } else { T::narrow(x) });
        wide(forward::<T, In, L>(self.layer, &x, &Pass::Predict))
    }

    fn predict(&self) -> Vec<f64> {
        wide(predict::<T, In, L, Dyn>(self.layer, &self.x))
    }
}

/// Apart from the layer's code, so that it is compiled once.
fn in_two_threads(run: &(dyn Fn() -> Vec<f64> + Sync)) -> [Option<Vec<f64>>; 2] {
    std::thread::scope(|scope| {
        let both = [scope.spawn(run), scope.spawn(run)];
        both.map(|thread| thread.join().ok())
    })
}

fn wide<T: Real>(numbers: Vec<T>) -> Vec<f64> {
    numbers.into_iter().map(T::widen).collect()
}

fn narrow<T: Real>(numbers: &[f64]) -> Vec<T> {
    numbers.iter().map(|&number| T::narrow(number)).collect()
}

/// How far the point moves over `T` by these amounts.
pub(super) fn rounded<T: Real>(point: &[f64], by: &[f64]) -> Vec<f64> {
    point.iter().zip(by).map(|(p, by)| T::narrow(p + by).widen() - p).collect()
}
