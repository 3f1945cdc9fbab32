use chainrule::{Conv2d, Image, Network, SoftmaxCrossEntropy, Zeros};

fn main() {
    Network::<f32, Image<1, 600, 600>, _, _>::new(Conv2d::<f32, 1, 8, 3>::zeros(), SoftmaxCrossEntropy);
}
