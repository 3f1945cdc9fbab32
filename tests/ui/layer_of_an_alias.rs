use chainrule::{Affine, D1, Network, Relu, SoftmaxCrossEntropy, Zeros};

type Layers = (Affine<f32, 784, 50>, (Relu, Affine<f32, 49, 10>));
type Net = Network<f32, D1<784>, Layers, SoftmaxCrossEntropy>;

fn main() {
    Net::new(Layers::zeros(), SoftmaxCrossEntropy);
}
