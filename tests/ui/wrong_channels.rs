use chainrule::{Conv2d, Image, Network, Relu, SoftmaxCrossEntropy, Zeros};

type Layers = (Conv2d<f32, 1, 8, 3>, Relu, Conv2d<f32, 6, 8, 3>);

fn main() {
    Network::<f32, Image<1, 8, 8>, _, _>::new(Layers::zeros(), SoftmaxCrossEntropy);
}
