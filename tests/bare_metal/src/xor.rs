//! Learns exclusive or.

use crate::Steps;
use chainrule::{
    Affine, ConstZeros, D1, Fused, Network, Optimizer, Sgd, SumSquaredError, Tanh, Workspace, init,
};
use nalgebra::{Const, SMatrix};
use rand::rngs::Xoshiro128PlusPlus;

type Layers = (Affine<f32, 2, 8>, Tanh, Affine<f32, 8, 1>);
type Net = Network<f32, D1<2>, Layers, SumSquaredError>;

/// Four samples, one in each column, and their targets.
const X: SMatrix<f32, 2, 4> = SMatrix::<f32, 2, 4>::new(0., 0., 1., 1., 0., 1., 0., 1.);
const T: SMatrix<f32, 1, 4> = SMatrix::<f32, 1, 4>::new(0., 1., 1., 0.);

pub struct Xor {
    net: Net,
    work: Workspace<f32, D1<2>, Layers, Const<4>, Fused>,
}

impl Steps for Xor {
    const ZEROS: Self =
        Xor { net: Net::new(ConstZeros::ZEROS, SumSquaredError), work: ConstZeros::ZEROS };
    const PROMISED: usize = Net::train_bytes::<Sgd<f32>, _, 4>();
    const STEPS: u32 = 400;

    fn begin(&mut self, rng: &mut Xoshiro128PlusPlus) {
        init::xavier(&mut self.net.layers.0.weight, rng);
        init::xavier(&mut self.net.layers.2.weight, rng);
    }

    fn step(&mut self, _: &mut Xoshiro128PlusPlus) -> f32 {
        let loss = Sgd::new(0.2).train_step(&mut self.net, &X, &T, &mut self.work);
        loss.unwrap_or(f32::NAN)
    }

    fn learned(&self, last: f32) -> bool {
        let y = self.net.predict(&X);
        last < 0.01 && y.iter().zip(&T).all(|(y, t)| (*y > 0.5) == (*t > 0.5))
    }
}

/// The memory budget of a device. `cargo check` tests it.
const _: () = assert!(Xor::PROMISED <= 1024, "training does not fit in 1 KiB");
