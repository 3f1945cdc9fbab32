//! Builds and trains a layer of 64 MB on the 2 MiB stack of a test thread, in a debug build.

use chainrule::{Affine, D1, Frozen, Network, Optimizer, Sgd, SumSquaredError, Zeros, init};
use nalgebra::{Const, Dyn, OMatrix};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};

type Large = Box<Affine<f32, 4096, 4096>>;

#[test]
fn boxed_layer_trains() {
    let mut layer = Large::zeros();
    init::xavier(&mut layer.weight, &mut Xoshiro128PlusPlus::seed_from_u64(0));
    let mut net = Network::<f32, D1<4096>, Large, _>::new(layer, SumSquaredError);

    let x = OMatrix::<f32, Const<4096>, Dyn>::from_element(2, 0.5);
    let t = OMatrix::<f32, Const<4096>, Dyn>::zeros(2);
    let mut work = Network::<f32, D1<4096>, Large, SumSquaredError>::workspace(Dyn(2));
    let before = net.backprop(&x, &t, &mut work);
    Sgd::new(1e-4).step(&mut net.layers, &work.grad).unwrap();
    let after = net.backprop(&x, &t, &mut work);
    assert!(after < before, "{before} -> {after}");
}

/// In tuples and beside other layers too.
#[test]
fn boxes_inside() {
    type Layers = (Box<(Affine<f32, 4096, 2048>, chainrule::Tanh)>, Affine<f32, 2048, 3>);
    let mut layers = Layers::zeros();
    layers.set_zero();
    let net = Network::<f32, D1<4096>, _, _>::new(layers, SumSquaredError);
    let x = OMatrix::<f32, Const<4096>, Dyn>::from_element(1, 0.5);
    assert_eq!(net.predict(&x).as_slice(), [0.0; 3]);
}

#[test]
fn frozen_in_a_box() {
    let layer = Box::<Frozen<Affine<f32, 4096, 4096>>>::zeros();
    assert_eq!(layer.0.weight[(4095, 4095)], 0.0);
}
