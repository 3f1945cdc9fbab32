//! What is checked, as a function from many numbers to many, over `T`, f64 and dual numbers; and a layer
//! as such.

use super::{Real, run::*};
use crate::{
    layer::Layer,
    params::{LeafMut, Parameters, Role},
    pass::Pass,
    path::Path,
    shape::{Flat, Scalar},
};
use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::ops::Range;
use nalgebra::Dyn;
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

pub(super) trait Subject {
    /// All numbers that the output depends on.
    fn point(&self) -> &[f64];

    /// What the numbers of [`found`](Self::found) are called: those of the point come first.
    fn variables(&self) -> &[Variable];

    /// What is found over `T`: the gradient of Σ dy·y at each number of the point, then the steps of
    /// statistics, then the output. The point is moved by these amounts.
    fn found(&mut self, dy: &[f64], by: &[f64]) -> Vec<f64>;

    /// The outputs at the point moved by `step` in a direction, in f64.
    fn outputs(&mut self, along: Along, step: f64) -> Vec<f64>;

    /// The outputs and their exact derivatives in a direction.
    fn derivative(&mut self, along: Along) -> Vec<Dual64>;

    /// The gradient by the backward pass over f64 at the point moved by `step` in a direction.
    fn gradient_near(&mut self, dy: &[f64], along: &[f64], step: f64) -> Vec<f64>;

    /// The derivative of the gradient in a direction: the backward pass over dual numbers.
    fn curvature(&mut self, dy: &[f64], along: &[f64]) -> Vec<f64>;
}

/// Each parameter that learns, with its place among all of them.
pub(super) fn each_weight<U: Scalar, L: Parameters<U>>(
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
    pub layer: &'a L,
    pub x: In::Batch<T, Dyn>,
    pub size: Dyn,
    pub pass: Pass,
    pub variables: Vec<Variable>,
    /// The input and the parameters that learn.
    pub point: Vec<f64>,
    moved: L,
    wide: L::With<f64>,
    dual: L::With<Dual64>,
}

impl<T: Real, In: Flat, L: Layer<T, In>> OfLayer<'_, T, In, L> {
    /// How many of the numbers are inputs.
    pub fn inputs(&self) -> usize {
        In::LEN * self.size.0
    }

    /// The names of the parameters that learn.
    pub fn weights(&self) -> impl Iterator<Item = &str> {
        let here = |variable: &&Variable| {
            let Range { start, end } = variable.range;
            (start < end) && (self.inputs()..self.point.len()).contains(&start)
        };
        self.variables.iter().filter(here).map(|variable| &*variable.name)
    }
}

impl<'a, T: Real, In: Flat, L> OfLayer<'a, T, In, L>
where
    L: Layer<T, In> + Parameters<T, With<T> = L>,
    L::Out: Flat,
{
    pub fn new(layer: &'a L, x: In::Batch<T, Dyn>, pass: Pass) -> Self {
        let size = In::size::<T, Dyn>(&x);
        let mut point: Vec<f64> = In::flat::<T, Dyn>(&x).iter().map(|x| x.widen()).collect();
        let mut variables = vec![Variable { name: "x".into(), rows: In::LEN, range: 0..point.len() }];
        let mut end = point.len();
        for role in [Role::Weight, Role::Statistic] {
            layer.visit(&Path::ROOT, &mut |leaf| {
                if leaf.role == role {
                    let range = end..end + leaf.values.len();
                    end = range.end;
                    variables.push(Variable { name: leaf.path.to_string(), rows: leaf.shape.0, range });
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

    /// The inputs, each made a number of `U` by its value and its place.
    fn x<U: Scalar>(&self, f: impl Fn(f64, usize) -> U) -> In::Batch<U, Dyn> {
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

    fn move_dual(&mut self, along: Along) -> In::Batch<Dual64, Dyn> {
        let inputs = self.inputs();
        each_weight(&mut self.dual, |i, w| w.eps = along.of(inputs + i));
        self.x(|x, i| Dual64::new(x, along.of(i)))
    }
}

impl<T: Real, In: Flat, L> Subject for OfLayer<'_, T, In, L>
where
    L: Layer<T, In> + Parameters<T, With<T> = L>,
    L::Out: Flat,
    L::With<f64>: Layer<f64, In, Out = L::Out>,
    L::With<Dual64>: Layer<Dual64, In, Out = L::Out>,
{
    fn point(&self) -> &[f64] {
        &self.point
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn found(&mut self, dy: &[f64], by: &[f64]) -> Vec<f64> {
        let (point, inputs, by) = (&self.point, self.inputs(), Along::All(by));
        each_weight(&mut self.moved, |i, w| {
            let value = point.get(inputs + i).copied().unwrap_or(f64::NAN);
            *w = T::narrow(value + by.of(inputs + i));
        });
        let x = self.x(|x, i| T::narrow(x + by.of(i)));
        let dy: Vec<T> = dy.iter().map(|&dy| T::narrow(dy)).collect();
        let all = run::<T, In, L, Dyn>(&self.moved, &x, &dy, Run::plain(&self.pass));
        all.into_iter().map(T::widen).collect()
    }

    fn outputs(&mut self, along: Along, step: f64) -> Vec<f64> {
        let x = self.move_wide(along, step);
        forward::<f64, In, _>(&self.wide, &x, &self.pass)
    }

    fn derivative(&mut self, along: Along) -> Vec<Dual64> {
        let x = self.move_dual(along);
        forward::<Dual64, In, _>(&self.dual, &x, &self.pass)
    }

    fn gradient_near(&mut self, dy: &[f64], along: &[f64], step: f64) -> Vec<f64> {
        let x = self.move_wide(Along::All(along), step);
        run::<f64, In, _, Dyn>(&self.wide, &x, dy, Run::plain(&self.pass))
    }

    fn curvature(&mut self, dy: &[f64], along: &[f64]) -> Vec<f64> {
        let x = self.move_dual(Along::All(along));
        let dy: Vec<_> = dy.iter().map(|&dy| Dual64::from(dy)).collect();
        let all = run::<Dual64, In, _, Dyn>(&self.dual, &x, &dy, Run::plain(&self.pass));
        all.into_iter().map(|g| g.eps).collect()
    }
}
