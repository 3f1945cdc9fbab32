//! Times a gradient check of the book's net on three samples: by dual numbers, for all entries and for
//! one direction; by differences; and the backward pass itself.
//!
//! Run `cargo bench --bench gradcheck`.

use chainrule::{gradcheck::*, *};
use nalgebra::SMatrix;
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};

type Layers = (Affine<f64, 784, 50>, Relu, Affine<f64, 50, 10>);

fn main() {
    divan::main();
}

fn net() -> TwoLayerNet<f64, 784, 50, 10> {
    TwoLayerNet::init(&mut Xoshiro128PlusPlus::seed_from_u64(0))
}

fn input() -> SMatrix<f64, 784, 3> {
    SMatrix::from_fn(|i, j| ((i * 7 + j * 3) % 11) as f64 / 11.0)
}

fn check(mode: Mode) -> Report {
    let layers: Layers = net().layers;
    let check = GradCheck::new().keep_parameters().mode(mode).differences(false);
    check.check::<f64, D1<784>, _>(&layers).unwrap()
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn dual_numbers_every_entry() -> Report {
    check(Mode::Full)
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn dual_numbers_one_direction() -> Report {
    check(Mode::Directional)
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn differences_every_entry(bencher: divan::Bencher) {
    let (net, x) = (net(), input());
    bencher.bench_local(|| Box::new(net.numerical_gradient(&x, &[1, 2, 3])));
}

#[divan::bench]
fn backpropagation(bencher: divan::Bencher) {
    let (net, x) = (net(), input());
    bencher.bench_local(|| Box::new(net.gradient(&x, &[1, 2, 3])));
}
