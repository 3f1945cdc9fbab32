//! Learning rates that depend on the step, for any optimizer.
//!
//! A [`Schedule`] is a pure function of the step. The learning rate of the rule is multiplied by its value. A
//! closure is a schedule too. [`Descent::schedule`] applies one.
//!
//! | | value at step t, from 0 | PyTorch |
//! |---|---|---|
//! | `\|_\| c` | c | |
//! | [`Step`] | factor^⌊t / every⌋ | `StepLR` |
//! | [`Cosine`] | from 1 to `last` along half a cosine | `CosineAnnealingLR` |
//! | [`WarmUp`] | from `first` to 1 along a line | `LinearLR` |
//! | [`OneCycle`] | from `first` to 1 to `last`, each along half a cosine | `OneCycleLR` |
//! | [`Then`] | one schedule, and from some step on another | `SequentialLR` |
//! | `(a, b)` | a·b | `ChainedScheduler` |
//!
//! ```
//! use chainrule::{Adam, Optimizer, schedule::{Cosine, Then, WarmUp}};
//! use nalgebra::Vector2;
//!
//! // Ten steps of warm-up, then ninety steps down to a hundredth of the rate.
//! let warm_up = WarmUp { steps: 10, first: 0.1 };
//! let schedule = Then { first: warm_up, steps: 10, next: Cosine { steps: 90, last: 0.01 } };
//! let mut adam = Adam::new(1e-3).schedule(schedule);
//! let mut weight = Vector2::new(1.0_f64, 2.0);
//! adam.step(&mut weight, &Vector2::new(1.0, -1.0))?;
//! assert!((weight[0] - (1.0 - 1e-4)).abs() < 1e-9);
//! # Ok::<_, chainrule::StepError>(())
//! ```

use super::Descent;
use crate::shape::{nan, number};
use crate::{BadSetting, Number, Parameters, Piece, Rule};
use nalgebra::convert;

/// The factor of the learning rate as a function of the step. The first step is 0.
pub trait Schedule<T: Number>: 'static {
    /// The factor at `step`: finite, 0 or above. If it is not, the step returns an error.
    fn factor(&self, step: u64) -> T;
}

impl<T: Number, F: Fn(u64) -> T + 'static> Schedule<T> for F {
    fn factor(&self, step: u64) -> T {
        self(step)
    }
}

/// A rule with a learning rate, which schedules and groups change.
///
/// What the rule computes in [`Rule::begin`] must not depend on the rate.
#[diagnostic::on_unimplemented(
    message = "the learning rate of `{Self}` cannot be changed",
    note = "call `groups`, `clip_value` and `clip_norm` before `schedule`, and `schedule` once: a pair of schedules is a schedule",
    note = "a rule of your own implements `Rate`"
)]
pub trait Rate<T>: Clone {
    /// The learning rate.
    fn rate(&mut self) -> &mut T;
}

/// A rule whose learning rate follows a schedule. [`Descent::schedule`] makes one.
#[doc(alias("lr_scheduler", "LambdaLR"))]
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled<R, S> {
    /// The rule with its own rate.
    pub rule: R,
    /// The schedule.
    pub schedule: S,
    /// The rule with the rate of this step.
    now: Option<R>,
}

impl<R, S> Scheduled<R, S> {
    /// `rule`, its rate multiplied with that of `schedule`.
    pub const fn new(rule: R, schedule: S) -> Self {
        Scheduled { rule, schedule, now: None }
    }
}

impl<R, G, const N: usize> Descent<R, G, N> {
    /// Multiplies the learning rate by a [`Schedule`]. Fused steps stay fused.
    pub fn schedule<T: Number, S: Schedule<T>>(self, schedule: S) -> Descent<Scheduled<R, S>, G, N>
    where
        R: Rule<T, N> + Rate<T>,
    {
        self.wrap(|rule| Scheduled::new(rule, schedule))
    }
}

impl<T: Number, R: Rule<T, N> + Rate<T>, S: Schedule<T>, const N: usize> Rule<T, N>
    for Scheduled<R, S>
{
    type Way = R::Way;
    const NAME: &'static str = R::NAME;

    #[inline(always)]
    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        self.rule.begin(step)?;
        let factor = self.schedule.factor(step.saturating_sub(1));
        BadSetting::if_negative("schedule", factor)?;
        let mut now = self.rule.clone();
        *now.rate() *= factor;
        self.now = Some(now);
        Ok(())
    }

    #[inline(always)]
    fn look<G: Parameters<T>>(&mut self, gradient: &G) {
        if let Some(now) = &mut self.now {
            now.look(gradient);
        }
    }

    #[inline(always)]
    fn factor(&self) -> Option<T> {
        self.now.as_ref()?.factor()
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, N>) {
        if let Some(now) = &self.now {
            now.update(piece);
        }
    }
}

/// Multiplied with `factor` after every `every` steps; 1 is PyTorch's `ExponentialLR`.
#[doc(alias("StepLR", "ExponentialLR"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step<T> {
    /// The number of steps between two changes.
    pub every: u64,
    /// The factor of each change.
    pub factor: T,
}

/// Down from 1 to `last` along half a cosine. After `steps` steps it stays there, where PyTorch's rises again.
/// (Loshchilov and Hutter, 2016.)
#[doc(alias("CosineAnnealingLR", "CosineDecay"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine<T> {
    /// The number of steps.
    pub steps: u64,
    /// The last factor.
    pub last: T,
}

/// Up from `first` to 1 along a line. After `steps` steps it stays there.
#[doc(alias("LinearLR"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp<T> {
    /// The number of steps.
    pub steps: u64,
    /// The first factor.
    pub first: T,
}

/// Up from `first` to 1 and down to `last`, each along half a cosine. The rate of the rule is the largest.
/// Momentum does not change, where PyTorch's changes in the opposite direction. (Smith and Topin, 2017.)
#[doc(alias("OneCycleLR"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle<T> {
    /// The number of steps.
    pub steps: u64,
    /// The part of the steps in which the rate rises; PyTorch's default is 0.3.
    pub rise: T,
    /// The first factor; PyTorch's default is 1/25.
    pub first: T,
    /// The last factor; PyTorch's default is 1/250,000.
    pub last: T,
}

/// `first` for `steps` steps. Then `next`, whose first step is 0.
#[doc(alias("SequentialLR"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Then<A, B> {
    /// The schedule at the beginning.
    pub first: A,
    /// The number of its steps.
    pub steps: u64,
    /// The schedule after that.
    pub next: B,
}

impl<T: Number> OneCycle<T> {
    /// With PyTorch's defaults.
    pub fn new(steps: u64) -> Self {
        let first = T::one() / convert(25.0);
        OneCycle { steps, rise: convert(0.3), first, last: first / convert(1e4) }
    }
}

impl<T: Number> Schedule<T> for Step<T> {
    fn factor(&self, step: u64) -> T {
        step.checked_div(self.every).map_or_else(nan, |times| self.factor.powf(count(times)))
    }
}

impl<T: Number> Schedule<T> for Cosine<T> {
    fn factor(&self, step: u64) -> T {
        let angle = T::pi() * count(step.min(self.steps)) / count(self.steps);
        self.last + (T::one() - self.last) * (T::one() + angle.cos()) / convert(2.0)
    }
}

impl<T: Number> Schedule<T> for WarmUp<T> {
    fn factor(&self, step: u64) -> T {
        let step: T = count(step.min(self.steps));
        self.first + (T::one() - self.first) * step / count(self.steps)
    }
}

impl<T: Number> Schedule<T> for OneCycle<T> {
    fn factor(&self, step: u64) -> T {
        let end = count::<T>(self.steps) - T::one();
        let (top, step) = (self.rise * count(self.steps) - T::one(), count::<T>(step).min(end));
        let (from, to, part) = if step <= top {
            let part = if top == T::zero() { T::one() } else { step / top };
            (self.first, T::one(), part)
        } else {
            (T::one(), self.last, (step - top) / (end - top))
        };
        to + (from - to) / convert(2.0) * ((T::pi() * part).cos() + T::one())
    }
}

impl<T: Number, A: Schedule<T>, B: Schedule<T>> Schedule<T> for Then<A, B> {
    fn factor(&self, step: u64) -> T {
        match step.checked_sub(self.steps) {
            Some(step) => self.next.factor(step),
            None => self.first.factor(step),
        }
    }
}

impl<T: Number, A: Schedule<T>, B: Schedule<T>> Schedule<T> for (A, B) {
    fn factor(&self, step: u64) -> T {
        self.0.factor(step) * self.1.factor(step)
    }
}

/// A number of steps as a number of the scalar.
pub(super) fn count<T: Number>(steps: u64) -> T {
    number(usize::try_from(steps).unwrap_or(usize::MAX))
}
