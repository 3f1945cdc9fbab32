use chainrule::{Affine, BatchNorm, D1, Network, Relu, SumSquaredError};
use nalgebra::SMatrix;

type Layers = (Affine<f32, 8, 16>, BatchNorm<f32, 61>, Relu, Affine<f32, 16, 4>);

fn predict(net: &Network<f32, D1<8>, Layers, SumSquaredError>) {
    net.predict(&SMatrix::<f32, 8, 3>::zeros());
}

fn main() {}
