use chainrule::{Optimizer, Sgd, TwoLayerNet};
use nalgebra::{Const, SMatrix};

type Net = TwoLayerNet<f32, 8, 16, 4>;

fn train(net: &mut Net) {
    let (x, mut work) = (SMatrix::<f32, 8, 32>::zeros(), Net::workspace(Const::<32>));
    net.backprop(&x, &[0; 32], &mut work);
    Sgd::new(0.1).train_step(net, &x, &[0; 32], &mut work).unwrap();
}

fn main() {}
