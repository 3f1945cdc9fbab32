//! Learns one period of a sine, from new samples in each step.

use crate::{Steps, wave};
use chainrule::{
    Affine, ConstZeros, D1, Fused, Network, Optimizer, Sgd, SumSquaredError, Tanh, Workspace, init,
};
use nalgebra::{Const, SMatrix};
use rand::{Rng, rngs::Xoshiro128PlusPlus};

type Layers = (Affine<f32, 1, 16>, Tanh, Affine<f32, 16, 16>, Tanh, Affine<f32, 16, 1>);
type Net = Network<f32, D1<1>, Layers, SumSquaredError>;

pub struct Sine {
    net: Net,
    work: Workspace<f32, D1<1>, Layers, Const<16>, Fused>,
    x: SMatrix<f32, 1, 16>,
    t: SMatrix<f32, 1, 16>,
}

impl Steps for Sine {
    const ZEROS: Self = Sine {
        net: Net::new(ConstZeros::ZEROS, SumSquaredError),
        work: ConstZeros::ZEROS,
        x: ConstZeros::ZEROS,
        t: ConstZeros::ZEROS,
    };
    const PROMISED: usize = Net::train_bytes::<Sgd<f32>, _, 16>() + 2 * size_of::<SMatrix<f32, 1, 16>>();
    const STEPS: u32 = 2000;

    fn begin(&mut self, rng: &mut Xoshiro128PlusPlus) {
        init::xavier(&mut self.net.layers.0.weight, rng);
        init::xavier(&mut self.net.layers.2.weight, rng);
        init::xavier(&mut self.net.layers.4.weight, rng);
    }

    fn step(&mut self, rng: &mut Xoshiro128PlusPlus) -> f32 {
        for (x, t) in self.x.iter_mut().zip(self.t.iter_mut()) {
            // From -1 to 1, one period.
            *x = (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0;
            *t = wave(*x);
        }
        let loss = Sgd::new(0.1).train_step(&mut self.net, &self.x, &self.t, &mut self.work);
        loss.unwrap_or(f32::NAN)
    }

    fn learned(&self, last: f32) -> bool {
        last < 0.005
    }
}

/// The memory budget of a device. `cargo check` tests it.
const _: () = assert!(Sine::PROMISED <= 12 * 1024, "training does not fit in 12 KiB");
