use chainrule::{Affine, BatchNorm, D1, Network, Relu, SumSquaredError, Zeros};

type Layers = (Affine<f32, 8, 16>, BatchNorm<f32, 61>, Relu, Affine<f32, 16, 4>);

fn main() {
    Network::<f32, D1<8>, _, _>::new(Layers::zeros(), SumSquaredError);
}
