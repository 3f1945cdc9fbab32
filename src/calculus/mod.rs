//! Derivatives of nets, and second-order training.
//!
//! `derivatives`: Jacobians and Hessians of a net. `jet`: the scalar that carries derivatives. `per_sample`: a backward
//! pass that keeps the gradient of each sample. `residuals`: the differences between outputs and targets, with
//! their Jacobian. `physics`: the same for losses on derivatives. `levenberg_marquardt`, `lbfgs`: the solvers.

mod derivatives;
mod jet;
mod lbfgs;
mod levenberg_marquardt;
mod outcome;
mod per_sample;
mod physics;
mod residuals;

pub use jet::Jet;
pub use lbfgs::LBfgs;
pub use levenberg_marquardt::LevenbergMarquardt;
pub use outcome::{Outcome, Stop};
pub use per_sample::{PerSample, SampleGradients};
pub use physics::{Derivatives, Physics};
pub use residuals::{Fit, LeastSquares, Objective, OnBatch, SumOfSquares};
