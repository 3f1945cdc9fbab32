use chainrule::TwoLayerNet;
use nalgebra::{Const, SMatrix};

fn backprop(net: &TwoLayerNet<f32, 8, 16, 4>) {
    let mut work = TwoLayerNet::workspace(Const::<31>);
    net.backprop(&SMatrix::<f32, 8, 32>::zeros(), &[0; 32], &mut work);
}

fn main() {}
