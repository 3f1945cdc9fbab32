use chainrule::{Affine, D1, Network, Softmax, SoftmaxCrossEntropy};
use nalgebra::SMatrix;

type Net = Network<f32, D1<8>, (Affine<f32, 8, 4>, Softmax), SoftmaxCrossEntropy>;

fn loss(net: &Net) {
    net.loss(&SMatrix::<f32, 8, 3>::zeros(), &[0, 1, 2]);
}

fn main() {}
