use chainrule::{Affine, D1, Network, Relu, SumSquaredError};

fn stack(first: Affine<f32, 3, 4>, last: Affine<f32, 4, 1>) {
    let _ = Network::<f32, D1<2>, _, _>::new((first, Relu, last), SumSquaredError);
}

fn alone(first: Affine<f32, 3, 4>) {
    let _ = Network::<f32, D1<2>, _, _>::new(first, SumSquaredError);
}

fn main() {}
