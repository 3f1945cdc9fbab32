//! A small convolutional net learns handwritten digits of 8×8 pixels.

use crate::{Steps, pictures};
use chainrule::{
    ConstZeros, Conv2d, Dense, Fused, Image, Images, MaxPool2d, Network, Optimizer, Relu, Sgd,
    SoftmaxCrossEntropy, Workspace,
};
use nalgebra::Const;
use rand::{Rng, rngs::Xoshiro128PlusPlus};

type Layers = (Conv2d<f32, 1, 8, 3>, Relu, MaxPool2d<2>, Dense<f32, Image<8, 3, 3>, 10>);
type In = Image<1, 8, 8>;
type Net = Network<f32, In, Layers, SoftmaxCrossEntropy>;

pub struct Digits {
    net: Net,
    work: Workspace<f32, In, Layers, Const<1>, Fused>,
    x: Images<f32, In, Const<1>>,
}

impl Steps for Digits {
    const ZEROS: Self = Digits {
        net: Net::new(ConstZeros::ZEROS, SoftmaxCrossEntropy),
        work: ConstZeros::ZEROS,
        x: ConstZeros::ZEROS,
    };
    const PROMISED: usize =
        Net::train_bytes::<Sgd<f32>, _, 1>() + size_of::<Images<f32, In, Const<1>>>();
    const STEPS: u32 = 1500;

    fn begin(&mut self, rng: &mut Xoshiro128PlusPlus) {
        self.net.init_weights(rng);
    }

    fn step(&mut self, rng: &mut Xoshiro128PlusPlus) -> f32 {
        let label = pictures::draw(rng.next_u32() as usize, self.x.as_mut_slice(), 8);
        let loss = Sgd::new(0.05).train_step(&mut self.net, &self.x, &[label], &mut self.work);
        loss.unwrap_or(f32::NAN)
    }

    fn learned(&self, last: f32) -> bool {
        last < 0.4
    }
}

/// The memory budget of a device. `cargo check` tests it.
const _: () = assert!(Digits::PROMISED <= 12 * 1024, "training does not fit in 12 KiB");
