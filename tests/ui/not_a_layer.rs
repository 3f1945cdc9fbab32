use chainrule::{Affine, D1, Network, Relu, SumSquaredError};

struct Doubled;

fn one(doubled: Doubled) {
    let _ = Network::<f32, D1<2>, _, _>::new(doubled, SumSquaredError);
}

fn among_others(first: Affine<f32, 2, 3>) {
    let _ = Network::<f32, D1<2>, _, _>::new((first, Relu, Doubled), SumSquaredError);
}

fn main() {}
