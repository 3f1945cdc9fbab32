//! A loss as what is checked, and targets over any scalar.

use super::{
    Case, Real,
    run::batch,
    subject::{Along, Subject, Variable, rounded},
};
use crate::{
    loss::Loss,
    shape::{BatchSize, Columns, D1, Flat, Number, Shape},
};
use alloc::{vec, vec::Vec};
use core::marker::PhantomData;
use nalgebra::Dyn;
use num_dual::Dual64;

/// A loss at a point; its one output is the loss, whose gradient is 1 by definition.
pub(super) struct OfLoss<'a, T: Real, S: Flat, E, Y> {
    criterion: &'a E,
    target: &'a Y,
    variables: [Variable; 2],
    size: Dyn,
    point: Vec<f64>,
    of: PhantomData<(T, S)>,
}

impl<'a, T: Real, S: Flat, E, Y> OfLoss<'a, T, S, E, Y> {
    pub fn new(criterion: &'a E, target: &'a Y, case: &Case) -> Self {
        let y = case.batch::<T, S>(0);
        let point: Vec<f64> = S::flat::<T, Dyn>(&y).iter().map(|y| y.widen()).collect();
        let all = point.len();
        let variables = [
            Variable { name: "y".into(), rows: S::LEN, range: 0..all },
            Variable { name: "loss".into(), rows: 1, range: all..all + 1 },
        ];
        OfLoss { criterion, target, variables, size: S::size::<T, Dyn>(&y), point, of: PhantomData }
    }

    fn at<U: Number>(&self, f: impl Fn(f64, usize) -> U) -> S::Batch<U, Dyn> {
        batch::<U, S, _>(self.size, self.point.iter().enumerate().map(|(i, &y)| f(y, i)))
    }

    /// The gradient and the loss.
    fn both<U: Number>(&self, y: &S::Batch<U, Dyn>) -> Vec<U>
    where
        Y: Target<U>,
        E: Loss<U, S, Dyn, Y::As>,
    {
        let mut dy = y.clone();
        let loss = self.criterion.loss(y, &self.target.over(), Some(&mut dy));
        let mut all = S::flat::<U, Dyn>(&dy).to_vec();
        all.push(loss);
        all
    }
}

impl<T: Real, S: Flat, E, Y> Subject for OfLoss<'_, T, S, E, Y>
where
    Y: Target<T> + Target<f64> + Target<Dual64>,
    E: Loss<T, S, Dyn, <Y as Target<T>>::As>
        + Loss<f64, S, Dyn, <Y as Target<f64>>::As>
        + Loss<Dual64, S, Dyn, <Y as Target<Dual64>>::As>,
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

    fn found(&mut self, _: &[f64], by: &[f64]) -> Vec<f64> {
        let y = self.at(|y, i| T::narrow(y + Along::All(by).of(i)));
        self.both::<T>(&y).into_iter().map(T::widen).collect()
    }

    fn outputs(&mut self, along: Along, step: f64) -> Vec<f64> {
        let y = self.at(|y, i| y + step * along.of(i));
        vec![self.criterion.loss(&y, &Target::<f64>::over(self.target), None)]
    }

    fn derivative(&mut self, along: Along, by: &[f64]) -> Vec<Dual64> {
        let y = self.at(|y, i| Dual64::new(y + Along::All(by).of(i), along.of(i)));
        vec![self.criterion.loss(&y, &Target::<Dual64>::over(self.target), None)]
    }

    fn gradient_near(&mut self, _: &[f64], along: &[f64], step: f64) -> Vec<f64> {
        self.both::<f64>(&self.at(|y, i| y + step * Along::All(along).of(i)))
    }

    fn curvature(&mut self, _: &[f64], along: &[f64], by: &[f64]) -> Vec<f64> {
        let [along, by] = [along, by].map(Along::All);
        let y = self.at(|y, i| Dual64::new(y + by.of(i), along.of(i)));
        self.both::<Dual64>(&y).into_iter().map(|g| g.eps).collect()
    }
}

/// A target that can be had over another scalar.
pub trait Target<U: Number> {
    /// The same over `U`.
    type As;

    /// The same over `U`.
    fn over(&self) -> Self::As;
}

impl<U: Number> Target<U> for Vec<usize> {
    type As = Self;

    fn over(&self) -> Self {
        self.clone()
    }
}

impl<U: Number, Y: Target<U>, W: Target<U>> Target<U> for (Y, W) {
    type As = (Y::As, W::As);

    fn over(&self) -> Self::As {
        (self.0.over(), self.1.over())
    }
}

impl<U: Number, const B: usize> Target<U> for [usize; B] {
    type As = Self;

    fn over(&self) -> Self {
        *self
    }
}

impl<T: Real, U: Number, const N: usize, B: BatchSize> Target<U> for Columns<T, N, B> {
    type As = Columns<U, N, B>;

    fn over(&self) -> Self::As {
        let mut to: Self::As = D1::<N>::size::<T, B>(self).columns();
        for (to, from) in to.as_mut_slice().iter_mut().zip(self.as_slice()) {
            *to = nalgebra::convert(from.widen());
        }
        to
    }
}
