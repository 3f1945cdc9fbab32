use chainrule::TwoLayerNet;
use nalgebra::SMatrix;

fn predict(net: &TwoLayerNet<f32, 8, 16, 4>) {
    net.predict(&SMatrix::<f32, 9, 3>::zeros());
}

fn main() {}
