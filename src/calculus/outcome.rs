//! The results of solvers.

use core::fmt;

/// Why a solver stopped. The weights are the best that it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The goal is reached.
    Goal,
    /// The next step would change the loss by less than rounding.
    Converged,
    /// No step, however small, makes the loss smaller.
    Stalled,
    /// All iterations are used up.
    Budget,
    /// The gradient is 0 and the loss is not, as in a net whose units are all saturated.
    Flat,
    /// The loss or its gradient is NaN or infinite at the weights that were given.
    NotFinite,
    /// There are no residuals.
    Empty,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Stop::Goal => "the goal is reached",
            Stop::Converged => "converged: the next step would change nothing but rounding",
            Stop::Stalled => "stalled: no step makes the loss smaller",
            Stop::Budget => "all iterations are used up",
            Stop::Flat => "the gradient is zero, the loss is not",
            Stop::NotFinite => "the loss or its gradient is not finite",
            Stop::Empty => "there are no residuals",
        })
    }
}

/// The result of a solver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome<T> {
    /// Why the solver stopped.
    pub stop: Stop,
    /// The number of steps that were taken.
    pub iterations: usize,
    /// The loss at the end. For a least-squares solver it is the sum of squares.
    pub loss: T,
}
