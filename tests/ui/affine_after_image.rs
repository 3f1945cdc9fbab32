use chainrule::{Affine, Conv2d, Image, Network, SoftmaxCrossEntropy, Zeros};

type Layers = (Conv2d<f32, 1, 8, 3>, Affine<f32, 288, 10>);

fn main() {
    Network::<f32, Image<1, 8, 8>, _, _>::new(Layers::zeros(), SoftmaxCrossEntropy);
}
