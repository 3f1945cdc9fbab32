use chainrule::TwoLayerNet;
use nalgebra::DMatrix;

fn array(net: &TwoLayerNet<f32, 2, 16, 4>) {
    net.predict(&[0.5, 0.25]);
}

fn samples(net: &TwoLayerNet<f32, 2, 16, 4>) {
    net.predict(&[[0.5, 0.25], [1.0, 2.0]]);
}

fn of_run_time_size(net: &TwoLayerNet<f32, 2, 16, 4>) {
    net.predict(&DMatrix::zeros(2, 3));
}

fn main() {}
