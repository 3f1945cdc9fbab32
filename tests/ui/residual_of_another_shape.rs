use chainrule::{Affine, D1, Network, Residual, SumSquaredError};
use nalgebra::SMatrix;

fn predict(net: &Network<f32, D1<8>, Residual<Affine<f32, 8, 4>>, SumSquaredError>) {
    net.predict(&SMatrix::<f32, 8, 3>::zeros());
}

fn main() {}
