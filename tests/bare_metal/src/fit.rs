//! Fits a curve at 41 points by the Levenberg–Marquardt method: `fit` one period of a sine, `friction` the friction of
//! a joint over its velocity.

use crate::Steps;
use chainrule::{
    Affine, ConstZeros, D1, Fit, LevenbergMarquardt, Network, SampleGradients, SumSquaredError, Tanh,
};
use nalgebra::SMatrix;
use rand::rngs::Xoshiro128PlusPlus;

#[cfg(feature = "fit")]
mod problem {
    use super::*;
    pub type Layers = (Affine<f32, 1, 5>, Tanh, Affine<f32, 5, 1>);
    pub use crate::wave as curve;
    /// The median error of 30 starts in f64 on a large machine, which the test `f32_fits_like_f64` prints.
    pub const ERROR_OF_F64: f32 = 1.1e-6;
}

#[cfg(feature = "friction")]
mod problem {
    use super::*;
    pub type Layers = (Affine<f32, 1, 3>, Tanh, Affine<f32, 3, 3>, Tanh, Affine<f32, 3, 1>);
    pub fn curve(v: f32) -> f32 {
        let tanh = nalgebra::ComplexField::tanh;
        (tanh(25.0 * v) - tanh(v)) / 2.0 + 0.2 * tanh(v) + 0.03 * v
    }
    pub const ERROR_OF_F64: f32 = 3.8e-10;
}

use problem::{ERROR_OF_F64, Layers, curve};
type Net = Network<f32, D1<1>, Layers, SumSquaredError>;
const WEIGHTS: usize = Net::weight_count();
const POINTS: usize = 41;

pub struct Fitting {
    net: Net,
    solver: LevenbergMarquardt<f32, WEIGHTS>,
    memory: SampleGradients<f32, D1<1>, Layers, WEIGHTS, 4>,
    x: SMatrix<f32, 1, POINTS>,
    t: SMatrix<f32, 1, POINTS>,
    /// The mean squared error after the last accepted step.
    error: f32,
}

impl Steps for Fitting {
    const ZEROS: Self = Fitting {
        net: Net::new(ConstZeros::ZEROS, SumSquaredError),
        solver: ConstZeros::ZEROS,
        memory: ConstZeros::ZEROS,
        x: ConstZeros::ZEROS,
        t: ConstZeros::ZEROS,
        error: 0.0,
    };
    const PROMISED: usize =
        Net::levenberg_marquardt_bytes::<WEIGHTS, 4>() + 2 * size_of::<SMatrix<f32, 1, POINTS>>() + 4;
    const STEPS: u32 = 300;

    fn begin(&mut self, rng: &mut Xoshiro128PlusPlus) {
        self.net.init_weights(rng);
        self.solver.damping = 0.01;
        for (i, (x, t)) in self.x.iter_mut().zip(self.t.iter_mut()).enumerate() {
            *x = i as f32 / 20.0 - 1.0;
            *t = curve(*x);
        }
    }

    fn step(&mut self, _: &mut Xoshiro128PlusPlus) -> f32 {
        let Fitting { net, solver, memory, x, t, error } = self;
        // A refused step leaves the best weights.
        if let Ok(sum) = solver.step(&mut Fit { net, x, target: t, memory }) {
            *error = sum / POINTS as f32;
        }
        *error
    }

    fn learned(&self, last: f32) -> bool {
        last <= 10.0 * ERROR_OF_F64
    }
}

/// The memory budget of a device. `cargo check` tests it.
const _: () = assert!(Fitting::PROMISED <= 4 * 1024, "training does not fit in 4 KiB");
