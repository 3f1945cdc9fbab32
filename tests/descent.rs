//! A fused training step gives the same bits as a gradient and a step after it: for sizes that use each
//! path through the kernels, for containers and for other scalars. (`outside.rs` tests this for layers of other
//! crates.)
#![allow(clippy::unwrap_used)]

use chainrule::*;
use nalgebra::{Const, Dyn, convert};
use num_dual::Dual64;
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};

/// Three fused steps, and three whole ones, from the same start: parameters and losses.
fn same<T, L, B, const I: usize, const O: usize>(mut layers: L, size: B, seed: u64)
where
    T: Number,
    L: Layer<T, D1<I>, Out = D1<O>> + Clone + PartialEq,
    B: BatchSize,
    SumSquaredError: Loss<T, D1<O>, B, Columns<T, O, B>>,
{
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(seed);
    let mut number = || convert::<f64, T>(f64::from(rng.random_range(-1.0f32..1.0)));
    layers.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
        leaf.values.iter_mut().for_each(|w| *w = number());
    });
    let (mut x, mut t) = (size.columns::<T, I>(), size.columns::<T, O>());
    x.as_mut_slice().fill_with(&mut number);
    t.as_mut_slice().fill_with(&mut number);

    let mut sgd = Sgd::new(convert(0.1));
    let mut at_once = Network::<T, D1<I>, L, _>::new(layers.clone(), SumSquaredError);
    let mut in_two = Network::<T, D1<I>, L, _>::new(layers, SumSquaredError);
    let mut fused = Network::<T, D1<I>, L, SumSquaredError>::workspace(size);
    let mut whole = Network::<T, D1<I>, L, SumSquaredError>::workspace(size);
    for _ in 0..3 {
        let loss = sgd.train_step(&mut at_once, &x, &t, &mut fused).unwrap();
        let before = in_two.backprop(&x, &t, &mut whole);
        sgd.step(&mut in_two.layers, &whole.grad).unwrap();
        assert!(loss == before, "{loss} and {before}");
        assert!(at_once.layers == in_two.layers, "{I}-{O}, {} samples", size.value());
    }
}

fn two<T: Number, const I: usize, const H: usize, const O: usize, B: BatchSize>(size: B)
where
    SumSquaredError: Loss<T, D1<O>, B, Columns<T, O, B>>,
{
    type Net<T, const I: usize, const H: usize, const O: usize> =
        (Affine<T, I, H>, Tanh, Affine<T, H, O>);
    same::<T, Net<T, I, H, O>, B, I, O>((Affine::zeros(), Tanh, Affine::zeros()), size, 1);
}

fn all_sizes<T: Number>() {
    two::<T, 2, 16, 1, _>(Const::<1>);
    two::<T, 40, 50, 10, _>(Const::<1>);
    two::<T, 3, 17, 2, _>(Const::<2>);
    two::<T, 1, 5, 1, _>(Const::<7>);
    two::<T, 33, 50, 10, _>(Const::<33>);
    // More samples than one block of a sum takes, so that the kernel writes the gradient first and then subtracts it.
    two::<T, 8, 20, 3, _>(Const::<171>);
    two::<T, 8, 20, 3, _>(Const::<400>);
    two::<T, 20, 100, 7, _>(Dyn(45));
}

#[test]
fn f32_by_every_way() {
    all_sizes::<f32>();
}

#[test]
fn f64_by_every_way() {
    all_sizes::<f64>();
}

#[test]
fn dual_numbers() {
    two::<Dual64, 3, 4, 2, _>(Const::<5>);
}

#[test]
fn containers() {
    type Inner = (Affine<f32, 9, 9>, Relu);
    let inner = || (Affine::<f32, 9, 9>::zeros(), Relu);
    same::<f32, (Box<Inner>, Frozen<Inner>, Inner), _, 9, 9>(
        (Box::new(inner()), Frozen(inner()), inner()),
        Const::<6>,
        2,
    );
}

fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::Direct("proptest-regressions/descent.txt");
    ProptestConfig { cases: 50, failure_persistence: Some(Box::new(seeds)), ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn batches_of_any_size(samples in 1usize..300, seed: u64) {
        same::<f32, Affine<f32, 19, 37>, _, 19, 37>(Affine::zeros(), Dyn(samples), seed);
        same::<f64, Affine<f64, 5, 66>, _, 5, 66>(Affine::zeros(), Dyn(samples), seed);
    }
}
