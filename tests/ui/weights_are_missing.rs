use chainrule::{Affine, D1, Network, SoftmaxCrossEntropy, Weighted};
use nalgebra::SMatrix;

fn loss(net: &Network<f32, D1<8>, Affine<f32, 8, 2>, Weighted<SoftmaxCrossEntropy>>) {
    net.loss(&SMatrix::<f32, 8, 3>::zeros(), &[0, 1, 1]);
}

fn main() {}
