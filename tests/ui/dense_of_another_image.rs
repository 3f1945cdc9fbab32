use chainrule::{Conv2d, Dense, Image, Network, Relu, SoftmaxCrossEntropy, Zeros};

type Layers = (Conv2d<f32, 1, 8, 3>, Relu, Dense<f32, Image<8, 5, 6>, 10>);

fn main() {
    Network::<f32, Image<1, 8, 8>, _, _>::new(Layers::zeros(), SoftmaxCrossEntropy);
}
