//! LeNet-5 in full precision: one pass over 100 digits, padded to 28×28, for a chip with 256 KiB of RAM.

use crate::{Steps, pictures};
use chainrule::{
    Adam, Affine, ConstZeros, Conv2d, Dense, Fused, Image, Images, MaxPool2d, Network, Optimizer,
    Relu, Sgd, SoftmaxCrossEntropy, Workspace,
};
use nalgebra::Const;
use rand::rngs::Xoshiro128PlusPlus;

/// A ReLU after a pool gives the same result as before it, and takes a quarter of the memory.
type Layers = (
    Conv2d<f32, 1, 6, 5>,
    MaxPool2d<2>,
    Relu,
    Conv2d<f32, 6, 16, 5>,
    MaxPool2d<2>,
    Relu,
    Dense<f32, Image<16, 4, 4>, 120>,
    Relu,
    Affine<f32, 120, 84>,
    Relu,
    Affine<f32, 84, 10>,
);
type In = Image<1, 28, 28>;
type Net = Network<f32, In, Layers, SoftmaxCrossEntropy>;

pub struct LeNet {
    net: Net,
    work: Workspace<f32, In, Layers, Const<1>, Fused>,
    x: Images<f32, In, Const<1>>,
    next: usize,
}

impl Steps for LeNet {
    const ZEROS: Self = LeNet {
        net: Net::new(ConstZeros::ZEROS, SoftmaxCrossEntropy),
        work: ConstZeros::ZEROS,
        x: ConstZeros::ZEROS,
        next: 0,
    };
    const PROMISED: usize = Net::train_bytes::<Sgd<f32>, _, 1>()
        + size_of::<Images<f32, In, Const<1>>>()
        + size_of::<usize>();
    const STEPS: u32 = 100;

    fn begin(&mut self, rng: &mut Xoshiro128PlusPlus) {
        self.net.init_weights(rng);
    }

    fn step(&mut self, _: &mut Xoshiro128PlusPlus) -> f32 {
        let label = pictures::draw(self.next, self.x.as_mut_slice(), 28);
        self.next = self.next.wrapping_add(1);
        let loss = Sgd::new(0.02).train_step(&mut self.net, &self.x, &[label], &mut self.work);
        loss.unwrap_or(f32::NAN)
    }

    fn learned(&self, last: f32) -> bool {
        // After one pass over so few digits the loss must be below 2.3, that of guessing.
        last < 2.2
    }
}

const _: () = {
    assert!(Net::parameter_count() == 44_426);
    assert!(Net::train_bytes::<Sgd<f32>, _, 1>() <= 256 * 1024, "SGD does not fit in 256 KiB");
    assert!(Net::train_bytes::<Adam<f32>, _, 1>() <= 600 * 1024, "Adam does not fit in 600 KiB");
};
