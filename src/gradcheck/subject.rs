//! The subject of a check: a function from many numbers to many, over `T`, f64 and dual numbers.

use super::Real;
use alloc::{boxed::Box, rc::Rc, vec::Vec};
use core::marker::PhantomData;
use num_dual::Dual64;

/// A function of many numbers, over one scalar.
pub(super) trait Function<U> {
    /// The outputs there.
    fn outputs(&mut self, at: &[U]) -> Vec<U>;

    /// The gradient of Σ dy·y by the backward pass, then the steps of statistics, then the outputs.
    fn gradient(&mut self, at: &[U], dy: &[U]) -> Vec<U>;
}

/// A function over `T`, as one over f64.
pub(super) struct Narrow<T, F>(pub F, pub PhantomData<T>);

impl<T: Real, F: Function<T>> Function<f64> for Narrow<T, F> {
    fn outputs(&mut self, at: &[f64]) -> Vec<f64> {
        wide(&self.0.outputs(&narrow(at)))
    }

    fn gradient(&mut self, at: &[f64], dy: &[f64]) -> Vec<f64> {
        wide(&self.0.gradient(&narrow(at), &narrow(dy)))
    }
}

pub(super) fn wide<T: Real>(numbers: &[T]) -> Vec<f64> {
    numbers.iter().map(|&number| number.into()).collect()
}

pub(super) fn narrow<T: Real>(numbers: &[f64]) -> Vec<T> {
    numbers.iter().map(|&number| T::narrow(number)).collect()
}

/// The place of one number: its leaf, its row and column there, and its index among all numbers.
#[derive(Clone)]
pub(super) struct Place {
    pub leaf: Rc<str>,
    pub entry: (usize, usize),
    pub at: usize,
}

/// Adds the places of a leaf.
pub(super) fn name(places: &mut Vec<Place>, leaf: &str, rows: usize, count: usize) {
    let (leaf, first) = (Rc::from(leaf), places.len());
    places.extend((0..count).map(|i| {
        let entry = (i % rows, i / rows);
        Place { leaf: Rc::clone(&leaf), entry, at: first + i }
    }));
}

/// A function at a point. All of it is in f64, and so is compiled once and not for each layer.
pub(super) struct Subject<'a> {
    /// All numbers that the output depends on.
    pub point: Vec<f64>,
    /// The places of what [`found`](Self::found) gives: those of the point come first.
    pub places: Rc<[Place]>,
    /// The unit in the last place of 1, of `T`.
    pub ulp: f64,
    /// The largest number of `T`.
    pub most: f64,
    /// A number rounded to one of `T`.
    pub round: fn(f64) -> f64,
    /// Over `T`.
    pub narrow: Box<dyn Function<f64> + 'a>,
    pub wide: Box<dyn Function<f64> + 'a>,
    pub dual: Box<dyn Function<Dual64> + 'a>,
}

impl<'a> Subject<'a> {
    /// At a point of `T`, the same function over three scalars.
    pub fn new<T: Real>(
        point: &[T],
        places: Vec<Place>,
        narrow: impl Function<T> + 'a,
        wide: impl Function<f64> + 'a,
        dual: impl Function<Dual64> + 'a,
    ) -> Self {
        Subject {
            point: self::wide(point),
            places: places.into(),
            ulp: T::default_epsilon().into(),
            most: T::max_value().map_or(f64::MAX, T::into),
            round: |number| T::narrow(number).into(),
            narrow: Box::new(Narrow(narrow, PhantomData)),
            wide: Box::new(wide),
            dual: Box::new(dual),
        }
    }

    /// The direction of one number alone. Amounts that a direction does not have are zero.
    pub fn axis(&self, at: usize) -> Vec<f64> {
        (0..self.point.len()).map(|i| f64::from(u8::from(i == at))).collect()
    }

    /// The point moved by `step` in a direction.
    fn moved(&self, along: &[f64], step: f64) -> Vec<f64> {
        let amounts = along.iter().copied().chain(core::iter::repeat(0.0));
        self.point.iter().zip(amounts).map(|(p, amount)| p + step * amount).collect()
    }

    /// The point moved by these amounts, as it depends on a step in a direction.
    fn dual_point(&self, along: &[f64], by: &[f64]) -> Vec<Dual64> {
        let amounts = along.iter().copied().chain(core::iter::repeat(0.0));
        self.moved(by, 1.0).into_iter().zip(amounts).map(|(p, by)| Dual64::new(p, by)).collect()
    }

    /// These amounts, rounded so that the point moved by them is one over `T`.
    pub fn representable(&self, by: &[f64]) -> Vec<f64> {
        self.point.iter().zip(by).map(|(p, by)| (self.round)(p + by) - p).collect()
    }

    /// What is found over `T` at the point moved by these amounts.
    pub fn found(&mut self, dy: &[f64], by: &[f64]) -> Vec<f64> {
        let at = self.moved(by, 1.0);
        self.narrow.gradient(&at, dy)
    }

    /// The outputs at the point moved by `step` in a direction, in f64.
    pub fn outputs(&mut self, along: &[f64], step: f64) -> Vec<f64> {
        let at = self.moved(along, step);
        self.wide.outputs(&at)
    }

    /// The outputs and their exact derivatives in a direction, at the point moved by these amounts.
    pub fn derivative(&mut self, along: &[f64], by: &[f64]) -> Vec<Dual64> {
        let at = self.dual_point(along, by);
        self.dual.outputs(&at)
    }

    /// The gradient over f64 at the point moved by `step` in a direction.
    pub fn gradient_near(&mut self, dy: &[f64], along: &[f64], step: f64) -> Vec<f64> {
        let at = self.moved(along, step);
        self.wide.gradient(&at, dy)
    }

    /// The derivative of the gradient in a direction, at the point moved by these amounts: the backward
    /// pass over dual numbers.
    pub fn curvature(&mut self, dy: &[f64], along: &[f64], by: &[f64]) -> Vec<f64> {
        let at = self.dual_point(along, by);
        let dy: Vec<_> = dy.iter().map(|&dy| Dual64::from(dy)).collect();
        self.dual.gradient(&at, &dy).into_iter().map(|g| g.eps).collect()
    }
}
