use chainrule::{Affine, D1, Network, Residual, SumSquaredError, Zeros};

fn main() {
    let layers = Residual { inner: Affine::<f32, 8, 4>::zeros() };
    Network::<f32, D1<8>, _, _>::new(layers, SumSquaredError);
}
