//! The quasi-Newton method with limited memory.
#![allow(unsafe_code)] // of `__zeros_in!`, which is in `kernel::place`

use super::{
    outcome::{Outcome, Stop},
    residuals::Objective,
};
use crate::{kernel, shape::Number, zeros::Zeros};
use core::{cmp::Ordering, mem::MaybeUninit};
use nalgebra::{SVector, convert};

/// Trains on the same batch in each step, with any loss. It estimates the curvature of the loss from the last `M`
/// steps. A line search (with the strong Wolfe conditions) finds the length of each step.
/// (Nocedal and Wright, 2006, algorithms 7.4 and 3.5; PyTorch's `LBFGS` with `strong_wolfe`.)
///
/// The memory is 2·`M` + 6 times the `P` weights. For large nets put it on the heap: `Box::<LBfgs<f32, P, 10>>::zeros()`.
///
/// ```
/// use chainrule::{Affine, D1, LBfgs, Network, OnBatch, SoftmaxCrossEntropy, Tanh};
/// use nalgebra::{Const, SMatrix};
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Net = Network<f32, D1<2>, (Affine<f32, 2, 8>, Tanh, Affine<f32, 8, 2>), SoftmaxCrossEntropy>;
///
/// // Exclusive or.
/// let x = SMatrix::<f32, 2, 4>::from_column_slice(&[0., 0., 0., 1., 1., 0., 1., 1.]);
/// let labels = [0, 1, 1, 0];
/// let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
/// let mut work = Net::workspace(Const::<4>);
/// let mut solver = LBfgs::<f32, { Net::weight_count() }, 10>::new();
/// solver.goal = 1e-4;
/// let problem = &mut OnBatch { net: &mut net, x: &x, target: &labels, work: &mut work };
/// assert!(solver.solve(problem, 100).loss <= 1e-4);
/// ```
///
/// Near a minimum, and in f32 early, differences of the loss are only rounding errors. The search then uses the slopes,
/// and accepts a loss that is larger by a factor of 1 + √ε. At the end the weights are the best of all steps.
#[doc(alias = "LBFGS")]
#[derive(Clone, Debug)]
pub struct LBfgs<T, const P: usize, const M: usize> {
    /// Training ends when the loss is not above this. 0 at first.
    pub goal: T,
    /// Training ends when no number of the gradient is larger than this in absolute value. 0 at first.
    pub tolerance: T,
    steps: [SVector<T, P>; M],
    changes: [SVector<T, P>; M],
    weights: SVector<T, P>,
    gradient: SVector<T, P>,
    direction: SVector<T, P>,
    trial: SVector<T, P>,
    trial_gradient: SVector<T, P>,
    best: SVector<T, P>,
    /// How many steps are kept, and the place of the next.
    kept: usize,
    next: usize,
}

/// A point of a line search: the length, the loss there and its slope along the line.
#[derive(Clone, Copy)]
struct Point<T> {
    at: T,
    loss: T,
    slope: T,
}

impl<T: Number, const P: usize, const M: usize> LBfgs<T, P, M> {
    /// A new solver without steps.
    pub fn new() -> Self {
        let zeros = SVector::zeros();
        LBfgs {
            goal: T::zero(),
            tolerance: T::zero(),
            steps: [zeros; M],
            changes: [zeros; M],
            weights: zeros,
            gradient: zeros,
            direction: zeros,
            trial: zeros,
            trial_gradient: zeros,
            best: zeros,
            kept: 0,
            next: 0,
        }
    }

    /// Makes the objective small, in at most `iterations` steps. It first forgets the steps of an earlier call.
    pub fn solve(
        &mut self,
        problem: &mut (impl Objective<T, P> + ?Sized),
        iterations: usize,
    ) -> Outcome<T> {
        (self.kept, self.next) = (0, 0);
        problem.weights(&mut self.weights);
        let mut loss = problem.evaluate(&mut self.gradient);
        if !(loss.is_finite() && kernel::finite(self.gradient.as_slice())) {
            return Outcome { stop: Stop::NotFinite, iterations: 0, loss };
        }
        self.best = self.weights;
        let (mut best, mut stop, mut done) = (loss, Stop::Budget, 0);
        while done < iterations && stop == Stop::Budget {
            let steepest = self.gradient.amax();
            if loss <= self.goal {
                stop = Stop::Goal;
            } else if steepest.is_zero() && done == 0 {
                stop = Stop::Flat;
            } else if steepest <= self.tolerance {
                stop = Stop::Converged;
            } else if let Some(next) = self.search(problem, loss) {
                self.remember();
                (loss, done) = (next, done + 1);
            } else if self.kept > 0 {
                // The memory of steps may mislead: once more along the gradient.
                self.kept = 0;
            } else {
                stop = Stop::Stalled;
            }
            if loss < best {
                (best, self.best) = (loss, self.weights);
            }
        }
        problem.set(&self.best);
        if best <= self.goal {
            stop = Stop::Goal;
        }
        Outcome { stop, iterations: done, loss: best }
    }

    /// Searches along the direction for the next point. Returns its loss, and leaves it in `trial`.
    fn search(&mut self, problem: &mut (impl Objective<T, P> + ?Sized), loss: T) -> Option<T> {
        self.aim();
        let [little, most, tenth] = [1e-4, 0.9, 0.1].map(convert::<f64, T>);
        let two = T::one() + T::one();
        let start = Point { at: T::zero(), loss, slope: self.direction.dot(&self.gradient) };
        // Near a minimum differences of the loss are rounding.
        let rounding = loss.abs() * T::default_epsilon().sqrt();
        let (mut low, mut high) = (start, None::<Point<T>>);
        let mut at = match self.kept {
            0 => T::one().min(self.gradient.iter().fold(T::zero(), |sum, g| sum + g.abs()).recip()),
            _ => T::one(),
        };
        for _ in 0..30 {
            self.trial.zip_zip_apply(&self.weights, &self.direction, |to, w, d| *to = w + at * d);
            problem.set(&self.trial);
            let loss = problem.evaluate(&mut self.trial_gradient);
            let here = Point { at, loss, slope: self.direction.dot(&self.trial_gradient) };
            let finite = loss.is_finite() && here.slope.is_finite();
            let too_high = loss > start.loss + little * at * start.slope + rounding;
            if !finite || too_high || loss > low.loss + rounding {
                high = Some(here);
            } else if here.slope.abs() <= -most * start.slope {
                return Some(loss);
            } else {
                let beyond = high.map_or(T::one(), |high| high.at - low.at);
                if here.slope * beyond > T::zero() {
                    high = Some(low);
                }
                low = here;
            }
            at = match high {
                None => at * two * two,
                Some(high) => {
                    // The minimum of the cubic through both points, or the middle.
                    let (width, sum) = (high.at - low.at, low.slope + high.slope);
                    let a = sum - (high.loss - low.loss) / width * (two + T::one());
                    let root = (a * a - low.slope * high.slope).sqrt().copysign(width);
                    let cubic = (high.slope + root - a) / (high.slope - low.slope + two * root);
                    let part = T::one() - cubic;
                    let safe = part >= tenth && part <= T::one() - tenth;
                    low.at + width * if safe { part } else { two.recip() }
                }
            };
        }
        // No point has a slope that is small enough: the lowest that was found, if it is not the first.
        (low.at > T::zero()).then(|| {
            self.trial
                .zip_zip_apply(&self.weights, &self.direction, |to, w, d| *to = w + low.at * d);
            problem.set(&self.trial);
            problem.evaluate(&mut self.trial_gradient)
        })
    }

    /// The direction: the gradient times the inverse of the Hessian, as the kept steps describe it.
    fn aim(&mut self) {
        self.direction = -self.gradient;
        let direction = &mut self.direction;
        let mut factors = [T::zero(); M];
        let newest_first = || (0..self.kept).map(|i| (self.next + M - 1 - i) % M.max(1));
        for i in newest_first() {
            let (Some(s), Some(y), Some(factor)) =
                (self.steps.get(i), self.changes.get(i), factors.get_mut(i))
            else {
                continue;
            };
            *factor = s.dot(direction) / s.dot(y);
            direction.axpy(-*factor, y, T::one());
        }
        if let Some(i) = newest_first().next()
            && let (Some(s), Some(y)) = (self.steps.get(i), self.changes.get(i))
        {
            *direction *= s.dot(y) / y.norm_squared();
        }
        for i in newest_first().rev() {
            if let (Some(s), Some(y), Some(factor)) =
                (self.steps.get(i), self.changes.get(i), factors.get(i))
            {
                let other = y.dot(direction) / s.dot(y);
                direction.axpy(*factor - other, s, T::one());
            }
        }
        // Also true for NaN.
        if direction.dot(&self.gradient).partial_cmp(&T::zero()) != Some(Ordering::Less) {
            self.kept = 0;
            self.direction = -self.gradient;
        }
    }

    /// Goes to `trial`, and keeps the step if the slope grew along it.
    fn remember(&mut self) {
        let (step, change) = (self.trial - self.weights, self.trial_gradient - self.gradient);
        if step.dot(&change) > T::default_epsilon() * step.norm() * change.norm()
            && let (Some(s), Some(y)) =
                (self.steps.get_mut(self.next), self.changes.get_mut(self.next))
        {
            (*s, *y) = (step, change);
            self.next = (self.next + 1) % M.max(1);
            self.kept = M.min(self.kept + 1);
        }
        (self.weights, self.gradient) = (self.trial, self.trial_gradient);
    }
}

impl<T: Number, const P: usize, const M: usize> Default for LBfgs<T, P, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Number + Zeros, const P: usize, const M: usize> Zeros for LBfgs<T, P, M> {
    fn zeros() -> Self {
        Self::new()
    }

    fn set_zero(&mut self) {
        (self.goal, self.tolerance, self.kept, self.next) = (T::zero(), T::zero(), 0, 0);
    }

    fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
        crate::__zeros_in!(place: goal, tolerance, steps, changes, weights, gradient, direction,
            trial, trial_gradient, best, kept, next)
    }
}
