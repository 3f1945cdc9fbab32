use chainrule::{Sgd, Training, TwoLayerNet, data::Dataset};
use nalgebra::Const;

fn train(net: &mut TwoLayerNet<f32, 2, 16, 2>, data: &Dataset<Vec<[f64; 2]>, Vec<usize>>) {
    let training = Training { batch: Const::<4>, iterations: 1000, seed: 0 };
    training.run(net, &mut Sgd::new(0.5), data, |_| ()).unwrap();
}

fn main() {}
