use chainrule::{Affine, D1, Network, Relu, SoftmaxCrossEntropy, Zeros};

type Layers = (Affine<f32, 784, 50>, Relu, Affine<f32, 49, 10>);

fn main() {
    let layers = Layers::zeros();
    Network::<f32, D1<784>, _, _>::new(layers, SoftmaxCrossEntropy);
}
