use chainrule::{D1, Network, Relu, SumSquaredError};

type Layers = (Relu, Relu, Relu, Relu, Relu, Relu, Relu, Relu, Relu, Relu, Relu, Relu, Relu);

fn net(layers: Layers) {
    let _ = Network::<f32, D1<2>, _, _>::new(layers, SumSquaredError);
}

fn main() {}
