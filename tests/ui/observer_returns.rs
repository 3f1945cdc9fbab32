use chainrule::{Sgd, Training, TwoLayerNet, data::Dataset};
use nalgebra::Dyn;

fn train(net: &mut TwoLayerNet<f32, 2, 16, 2>, data: &Dataset<Vec<[f32; 2]>, Vec<usize>>) {
    let training = Training { batch: Dyn(4), iterations: 1000, seed: 0 };
    training.run(net, &mut Sgd::new(0.5), data, |at| at.loss).unwrap();
}

fn main() {}
