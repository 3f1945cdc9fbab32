use chainrule::{Sgd, Training, TwoLayerNet, data::Dataset};
use nalgebra::Dyn;

fn train(net: &mut TwoLayerNet<f32, 2, 16, 2>, data: &Dataset<Vec<f32>, Vec<usize>>) {
    let training = Training { batch: Dyn(4), iterations: 1000, seed: 0 };
    training.run(net, &mut Sgd::new(0.5), data, |_| ()).unwrap();
}

fn bytes(net: &TwoLayerNet<f32, 2, 16, 2>, data: &Dataset<Vec<u8>, Vec<usize>>) -> f32 {
    net.accuracy_on(data, Dyn(4))
}

fn main() {}
