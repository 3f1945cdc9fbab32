//! What is checked, as a function from many numbers to many: a layer or a loss at a point, over `T`,
//! f64 and dual numbers.

use super::{Case, Real};
use crate::{
    grad::Grad,
    kernel::{Room, Scratch},
    layer::{Backward, Forward, Layer},
    loss::Loss,
    params::{self, LeafMut, Parameters, Role},
    pass::Pass,
    path::Path,
    shape::{Batch, BatchSize, Buffer, Flat, Scalar, Shape, ToTrain},
    zeros::Zeros,
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::{marker::PhantomData, ops::Range};
use nalgebra::Dyn;
use num_dual::Dual64;

/// A leaf of the point: its name, its rows, and where its numbers lie among all.
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
    fn of(self, i: usize) -> f64 {
        match self {
            Along::Entry(entry) => f64::from(u8::from(i == entry)),
            Along::All(amounts) => amounts.get(i).copied().unwrap_or(0.0),
        }
    }
}

pub(super) trait Subject {
    /// All numbers, and what they are called.
    fn point(&self) -> (&[f64], &[Variable]);

    /// The outputs at the point moved by `step` in a direction, in f64.
    fn outputs(&mut self, along: Along, step: f64) -> Vec<f64>;

    /// The outputs and their exact derivatives in a direction.
    fn derivative(&mut self, along: Along) -> Vec<Dual64>;

    /// The gradient of Σ dy·y by the backward pass over `T`, in the order of the variables.
    fn gradient(&self, dy: &[f64]) -> Vec<f64>;

    /// The gradient by the backward pass over f64 at the point moved by `step` in a direction.
    fn gradient_near(&mut self, dy: &[f64], along: &[f64], step: f64) -> Vec<f64>;

    /// The derivative of the gradient in a direction: the backward pass over dual numbers.
    fn curvature(&mut self, dy: &[f64], along: &[f64]) -> Vec<f64>;
}

/// A batch with these numbers.
pub(super) fn batch<U: Scalar, S: Flat, B: BatchSize>(
    size: B,
    numbers: impl Iterator<Item = U>,
) -> S::Batch<U, B> {
    let mut x = Buffer::new(size);
    S::flat_mut::<U, B>(&mut x).iter_mut().zip(numbers).for_each(|(to, x)| *to = x);
    x
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

/// What a backward pass is asked for and what it finds in its memory.
#[derive(Clone, Copy)]
pub(super) struct Run<'a, U> {
    pub pass: &'a Pass,
    /// What y, dx and an overwritten gradient held before.
    pub before: U,
    /// Whether the gradient is overwritten; else added to zeros, `times` times.
    pub overwrite: bool,
    pub times: usize,
    /// Whether dx is wanted, and the gradient of the parameters.
    pub wanted: [bool; 2],
    /// Whether the cache has served another input before.
    pub used_cache: bool,
}

impl<'a, U: Scalar> Run<'a, U> {
    pub fn plain(pass: &'a Pass) -> Self {
        let before = U::zero();
        Run { pass, before, overwrite: false, times: 1, wanted: [true; 2], used_cache: false }
    }
}

/// Output, and dx followed by the gradient of the parameters.
pub(super) fn run<U: Scalar, In: Flat, L: Layer<U, In>>(
    layer: &L,
    x: &In::Batch<U, Dyn>,
    dy: &[U],
    how: Run<U>,
) -> (Vec<U>, Vec<U>)
where
    L::Out: Flat,
{
    let size = In::size::<U, Dyn>(x);
    let outputs = L::Out::LEN * size.0;
    let dy = batch::<U, L::Out, _>(size, dy.iter().copied());
    let mut y = batch::<U, L::Out, _>(size, vec![how.before; outputs].into_iter());
    let mut dx = batch::<U, In, _>(size, vec![how.before; In::LEN * size.0].into_iter());
    let (mut cache, mut grad) = (Buffer::new(size), L::Gradient::zeros());
    let mut room = Box::<Room<L::Scratch>>::zeros();
    if how.used_cache {
        let other = In::flat::<U, Dyn>(x).iter().map(|&x| U::one() - x);
        let other = batch::<U, In, _>(size, other);
        pass::<U, In, L>(layer, &other, &mut y, &mut cache, &mut room, how.pass);
        let (x, y, cache, scratch) = (&other, &y, &mut cache, Scratch::new(&mut room));
        let at = Backward { x, y, cache, scratch, dy: &dy, dx: Some(&mut dx) };
        L::backward::<Dyn, _>(Grad::set(layer, &mut grad), at);
    }
    let fill = if how.overwrite { how.before } else { U::zero() };
    params::fill(&mut grad, fill);
    pass::<U, In, L>(layer, x, &mut y, &mut cache, &mut room, how.pass);
    for _ in 0..how.times {
        let (y, cache, scratch) = (&y, &mut cache, Scratch::new(&mut room));
        let dx = if how.wanted[0] { Some(&mut dx) } else { None };
        let at = Backward { x, y, cache, scratch, dy: &dy, dx };
        match (how.wanted, how.overwrite) {
            ([_, false], _) => L::backward::<Dyn, _>(Grad::nowhere(layer), at),
            (_, true) => L::backward::<Dyn, _>(Grad::set(layer, &mut grad), at),
            (_, false) => L::backward::<Dyn, _>(Grad::add_to(layer, &mut grad), at),
        }
    }
    let mut all = In::flat::<U, Dyn>(&dx).to_vec();
    grad.visit(&Path::ROOT, &mut |leaf| {
        if leaf.role == Role::Weight {
            all.extend_from_slice(leaf.values);
        }
    });
    (L::Out::flat::<U, Dyn>(&y).to_vec(), all)
}

/// A forward pass.
fn pass<U: Scalar, In: Flat, L: Layer<U, In>>(
    layer: &L,
    x: &In::Batch<U, Dyn>,
    y: &mut Batch<U, L::Out, Dyn>,
    cache: &mut L::Cache<Dyn, ToTrain>,
    room: &mut Room<L::Scratch>,
    pass: &Pass,
) {
    let (scratch, pass) = (Scratch::new(room), &mut pass.clone());
    layer.forward::<Dyn, ToTrain>(Forward { x, y, cache, scratch, pass });
}

/// A layer at a point.
pub(super) struct OfLayer<'a, T: Real, In: Flat, L: Layer<T, In>> {
    pub layer: &'a L,
    pub x: In::Batch<T, Dyn>,
    pub size: Dyn,
    pub pass: Pass,
    pub variables: Vec<Variable>,
    wide: L::With<f64>,
    dual: L::With<Dual64>,
    point: Vec<f64>,
}

impl<'a, T: Real, In: Flat, L: Layer<T, In>> OfLayer<'a, T, In, L> {
    pub fn new(layer: &'a L, x: In::Batch<T, Dyn>, pass: Pass) -> Self {
        let (size, inputs) = (In::size::<T, Dyn>(&x), In::flat::<T, Dyn>(&x).len());
        let mut point: Vec<f64> = In::flat::<T, Dyn>(&x).iter().map(|x| x.widen()).collect();
        let mut variables = vec![Variable { name: "x".into(), rows: In::LEN, range: 0..inputs }];
        layer.visit(&Path::ROOT, &mut |leaf| {
            if leaf.role == Role::Weight {
                let from = point.len();
                point.extend(leaf.values.iter().map(|w| w.widen()));
                let (name, rows) = (leaf.path.to_string(), leaf.shape.0);
                variables.push(Variable { name, rows, range: from..point.len() });
            }
        });
        let wide = layer.map_scalar(&mut |w| w.widen());
        let dual = layer.map_scalar(&mut |w| Dual64::new(w.widen(), 0.0));
        OfLayer { layer, x, size, pass, variables, wide, dual, point }
    }

    /// The inputs, each made a number of `U` by its value and its place.
    fn inputs<U: Scalar>(&self, f: impl Fn(f64, usize) -> U) -> In::Batch<U, Dyn> {
        let inputs = In::LEN * self.size.0;
        let numbers = self.point.iter().take(inputs).enumerate();
        batch::<U, In, _>(self.size, numbers.map(|(i, &x)| f(x, i)))
    }

    /// Moves the point: the parameters in place, the inputs as returned.
    fn move_wide(&mut self, along: Along, step: f64) -> In::Batch<f64, Dyn> {
        let (point, inputs) = (&self.point, In::LEN * self.size.0);
        each_weight(&mut self.wide, |i, w| {
            let value = point.get(inputs + i).copied().unwrap_or(*w);
            *w = value + step * along.of(inputs + i);
        });
        self.inputs(|x, i| x + step * along.of(i))
    }

    fn move_dual(&mut self, along: Along) -> In::Batch<Dual64, Dyn> {
        let inputs = In::LEN * self.size.0;
        each_weight(&mut self.dual, |i, w| w.eps = along.of(inputs + i));
        self.inputs(|x, i| Dual64::new(x, along.of(i)))
    }
}

impl<T: Real, In: Flat, L: Layer<T, In>> Subject for OfLayer<'_, T, In, L>
where
    L::Out: Flat,
    L::With<f64>: Layer<f64, In, Out = L::Out>,
    L::With<Dual64>: Layer<Dual64, In, Out = L::Out>,
{
    fn point(&self) -> (&[f64], &[Variable]) {
        (&self.point, &self.variables)
    }

    fn outputs(&mut self, along: Along, step: f64) -> Vec<f64> {
        let x = self.move_wide(along, step);
        forward::<f64, In, _>(&self.wide, &x, &self.pass)
    }

    fn derivative(&mut self, along: Along) -> Vec<Dual64> {
        let x = self.move_dual(along);
        forward::<Dual64, In, _>(&self.dual, &x, &self.pass)
    }

    fn gradient(&self, dy: &[f64]) -> Vec<f64> {
        let dy: Vec<T> = dy.iter().map(|&dy| T::narrow(dy)).collect();
        let (_, all) = run::<T, In, L>(self.layer, &self.x, &dy, Run::plain(&self.pass));
        all.into_iter().map(T::widen).collect()
    }

    fn gradient_near(&mut self, dy: &[f64], along: &[f64], step: f64) -> Vec<f64> {
        let x = self.move_wide(Along::All(along), step);
        run::<f64, In, _>(&self.wide, &x, dy, Run::plain(&self.pass)).1
    }

    fn curvature(&mut self, dy: &[f64], along: &[f64]) -> Vec<f64> {
        let x = self.move_dual(Along::All(along));
        let dy: Vec<_> = dy.iter().map(|&dy| Dual64::from(dy)).collect();
        let (_, all) = run::<Dual64, In, _>(&self.dual, &x, &dy, Run::plain(&self.pass));
        all.into_iter().map(|g| g.eps).collect()
    }
}

/// The output.
pub(super) fn forward<U: Scalar, In: Flat, L: Layer<U, In>>(
    layer: &L,
    x: &In::Batch<U, Dyn>,
    pass: &Pass,
) -> Vec<U>
where
    L::Out: Flat,
{
    let size = In::size::<U, Dyn>(x);
    let mut y = Buffer::new(size);
    let mut room = Box::<Room<L::Scratch>>::zeros();
    self::pass::<U, In, L>(layer, x, &mut y, &mut Buffer::new(size), &mut room, pass);
    L::Out::flat::<U, Dyn>(&y).to_vec()
}

/// A loss at a point; its one output is the loss, whose gradient is 1 by definition.
pub(super) struct OfLoss<'a, T: Real, S: Flat, E, Y> {
    pub criterion: &'a E,
    pub target: &'a Y,
    pub variables: [Variable; 1],
    size: Dyn,
    point: Vec<f64>,
    of: PhantomData<(T, S)>,
}

impl<'a, T: Real, S: Flat, E, Y> OfLoss<'a, T, S, E, Y> {
    pub fn new(criterion: &'a E, target: &'a Y, case: &Case) -> Self {
        let y = case.batch::<T, S>(0);
        let point: Vec<f64> = S::flat::<T, Dyn>(&y).iter().map(|y| y.widen()).collect();
        let variables = [Variable { name: "y".into(), rows: S::LEN, range: 0..point.len() }];
        OfLoss { criterion, target, variables, size: S::size::<T, Dyn>(&y), point, of: PhantomData }
    }

    fn outputs<U: Scalar>(&self, f: impl Fn(f64, usize) -> U) -> S::Batch<U, Dyn> {
        batch::<U, S, _>(self.size, self.point.iter().enumerate().map(|(i, &y)| f(y, i)))
    }

    fn slope<U: Scalar>(&self, y: &S::Batch<U, Dyn>) -> Vec<U>
    where
        Y: Target<U>,
        E: Loss<U, S, Dyn, Y::As>,
    {
        let mut dy = y.clone();
        self.criterion.loss(y, &self.target.over(), Some(&mut dy));
        S::flat::<U, Dyn>(&dy).to_vec()
    }
}

impl<T: Real, S: Flat, E, Y> Subject for OfLoss<'_, T, S, E, Y>
where
    Y: Target<T> + Target<f64> + Target<Dual64>,
    E: Loss<T, S, Dyn, <Y as Target<T>>::As>
        + Loss<f64, S, Dyn, <Y as Target<f64>>::As>
        + Loss<Dual64, S, Dyn, <Y as Target<Dual64>>::As>,
{
    fn point(&self) -> (&[f64], &[Variable]) {
        (&self.point, &self.variables)
    }

    fn outputs(&mut self, along: Along, step: f64) -> Vec<f64> {
        let y = Self::outputs(self, |y, i| y + step * along.of(i));
        vec![self.criterion.loss(&y, &Target::<f64>::over(self.target), None)]
    }

    fn derivative(&mut self, along: Along) -> Vec<Dual64> {
        let y = Self::outputs(self, |y, i| Dual64::new(y, along.of(i)));
        vec![self.criterion.loss(&y, &Target::<Dual64>::over(self.target), None)]
    }

    fn gradient(&self, _: &[f64]) -> Vec<f64> {
        let dy = self.slope::<T>(&Self::outputs(self, |y, _| T::narrow(y)));
        dy.into_iter().map(T::widen).collect()
    }

    fn gradient_near(&mut self, _: &[f64], along: &[f64], step: f64) -> Vec<f64> {
        self.slope::<f64>(&Self::outputs(self, |y, i| y + step * Along::All(along).of(i)))
    }

    fn curvature(&mut self, _: &[f64], along: &[f64]) -> Vec<f64> {
        let y = Self::outputs(self, |y, i| Dual64::new(y, Along::All(along).of(i)));
        self.slope::<Dual64>(&y).into_iter().map(|g| g.eps).collect()
    }
}

/// A target that can be had over another scalar.
pub trait Target<U: Scalar> {
    /// The same over `U`.
    type As;

    /// The same over `U`.
    fn over(&self) -> Self::As;
}

impl<U: Scalar> Target<U> for Vec<usize> {
    type As = Self;

    fn over(&self) -> Self {
        self.clone()
    }
}

impl<U: Scalar, const B: usize> Target<U> for [usize; B] {
    type As = Self;

    fn over(&self) -> Self {
        *self
    }
}

impl<T: Real, U: Scalar, const N: usize, B: BatchSize> Target<U> for crate::Columns<T, N, B> {
    type As = crate::Columns<U, N, B>;

    fn over(&self) -> Self::As {
        let mut to: Self::As = crate::D1::<N>::size::<T, B>(self).columns();
        for (to, from) in to.as_mut_slice().iter_mut().zip(self.as_slice()) {
            *to = nalgebra::convert(from.widen());
        }
        to
    }
}
