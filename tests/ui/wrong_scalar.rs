use chainrule::TwoLayerNet;
use nalgebra::SMatrix;

fn predict(net: &TwoLayerNet<f32, 8, 16, 4>) {
    net.predict(&SMatrix::<f64, 8, 3>::zeros());
}

fn main() {}
