//! The same seed gives the same bits; another seed gives other bits.

use chainrule::{
    Affine, D1, Dropout, Network, Parameters, Pass, Path, Progress, Relu, Sgd, SoftmaxCrossEntropy,
    Training, TwoLayerNet, data::Dataset, init,
};
use core::ops::ControlFlow::{Break, Continue};
use nalgebra::{Const, Dyn, SMatrix};
use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::collections::{HashMap, HashSet};

fn data() -> Dataset<Vec<[f64; 16]>, Vec<usize>> {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(1);
    let inputs: Vec<[f64; 16]> = (0..500).map(|_| rng.random()).collect();
    let labels = inputs.iter().map(|x| usize::from(x[0] + x[1] > x[2] + x[3])).collect();
    Dataset::labelled(inputs, labels, 2).unwrap()
}

/// The bits of all losses and of all parameters after a training.
fn train(seed: u64) -> (Vec<u64>, Vec<u64>, f64) {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
    let mut net = TwoLayerNet::<f64, 16, 20, 2>::normal(0.3, &mut rng);
    let mut losses = Vec::new();
    let training = Training { batch: Dyn(30), iterations: 300, seed };
    let observe = |progress: Progress<_, f64>| losses.push(progress.loss.to_bits());
    training.run(&mut net, &mut Sgd::new(0.3), &data(), observe).unwrap();
    let mut bits = Vec::new();
    net.layers.visit(&Path::ROOT, &mut |leaf| {
        bits.extend(leaf.values.iter().map(|w: &f64| w.to_bits()));
    });
    (losses, bits, net.accuracy_on(&data(), Dyn(64)))
}

#[test]
fn same_seed_same_bits() {
    let (losses, bits, accuracy) = train(7);
    assert_eq!((losses.clone(), bits, accuracy), train(7));
    assert_ne!(losses, train(8).0);
    assert!(accuracy > 0.9, "{accuracy}");
}

/// A training with batches of constant size and one with batches of run-time size give the same bits.
#[test]
fn const_and_dyn_batches_agree() {
    let net =
        || TwoLayerNet::<f64, 16, 4, 2>::normal(0.3, &mut Xoshiro128PlusPlus::seed_from_u64(2));
    let (mut a, mut b) = (net(), net());
    let data = data();
    let fixed = Training { batch: Const::<8>, iterations: 50, seed: 3 };
    let dynamic = Training { batch: Dyn(8), iterations: 50, seed: 3 };
    fixed.run(&mut a, &mut Sgd::new(0.1), &data, |_| ()).unwrap();
    dynamic.run(&mut b, &mut Sgd::new(0.1), &data, |_| ()).unwrap();
    assert_eq!(a.layers, b.layers);
    // 500 is not a multiple of either size, so only a part of the last batch counts.
    assert_eq!(a.accuracy_on(&data, Const::<8>), b.accuracy_on(&data, Dyn(77)));
}

#[test]
fn observer_sees_every_iteration_and_can_stop() {
    let mut net =
        TwoLayerNet::<f64, 16, 4, 2>::normal(0.3, &mut Xoshiro128PlusPlus::seed_from_u64(2));
    let mut seen = Vec::new();
    let training = Training { batch: Const::<50>, iterations: 1000, seed: 3 };
    let observe = |progress: Progress<_, f64>| {
        seen.push((progress.iteration, progress.epoch));
        if progress.iteration == 20 { Break(()) } else { Continue(()) }
    };
    training.run(&mut net, &mut Sgd::new(0.1), &data(), observe).unwrap();
    // Ten mini-batches of 50 would cover 500 samples.
    let expected = (0..21).map(|i| (i, (i % 10 == 0).then_some(i / 10)));
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

/// The first weights in f32 and f64 are the same up to rounding.
#[test]
fn weights_do_not_depend_on_the_scalar() {
    let wide = Affine::<f64, 30, 20>::he(&mut Xoshiro128PlusPlus::seed_from_u64(5));
    let narrow = Affine::<f32, 30, 20>::he(&mut Xoshiro128PlusPlus::seed_from_u64(5));
    // Logarithm, root, cosine and two products: fewer than 16 roundings of a weight of at most 2.
    assert!(
        (wide.weight - narrow.weight.map(f64::from))
            .iter()
            .all(|d| d.abs() < 32.0 * f64::from(f32::EPSILON))
    );
}

/// The mean, the deviation and the tails are those of a normal distribution.
#[test]
fn weights_are_normal() {
    let mut weight = SMatrix::<f64, 100, 1000>::zeros();
    init::normal(2.0, &mut weight, &mut Xoshiro128PlusPlus::seed_from_u64(6));
    let beyond = |z: f64| weight.iter().filter(|w| w.abs() > 2.0 * z).count() as f64;
    // Five standard errors of each, of 100,000 numbers.
    assert!(weight.mean().abs() < 5.0 * 2.0 / 1e5f64.sqrt());
    assert!((weight.variance() - 4.0).abs() < 5.0 * 4.0 * (2.0 / 1e5f64).sqrt());
    assert!((beyond(1.0) - 31_731.0).abs() < 5.0 * (1e5f64 * 0.31731 * 0.68269).sqrt());
    assert!((beyond(3.0) - 270.0).abs() < 5.0 * 270f64.sqrt());
}

/// Over many runs, steps, parts of a batch and layers, no two generators begin with the same number or seed, and none
/// begins with a later number of another. Two of 2¹⁵ draws of 64 bits are equal by chance once in 2³⁵ runs.
#[test]
fn no_two_passes_draw_alike() {
    let (mut first, mut later, mut seeds) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut count = 0;
    // Seeds and steps that differ by little, and ones that differ in the upper half.
    for seed in (0..16).chain([1 << 32, u64::MAX]) {
        for step in (0..100).chain([1 << 32, u64::MAX]) {
            for part in 0..4 {
                let (mut by_rng, mut by_seed) =
                    (Pass::train(seed, step, part), Pass::train(seed, step, part));
                for _layer in 0..4 {
                    let mut rng = by_rng.rng().unwrap();
                    first.insert(rng.next_u64());
                    later.extend((0..4).map(|_| rng.next_u64()));
                    seeds.insert(by_seed.seed().unwrap());
                    count += 1;
                }
            }
        }
    }
    assert_eq!((first.len(), later.len(), seeds.len()), (count, 4 * count, count));
    assert!(first.is_disjoint(&later));
}

/// Two runs with neighbouring seeds have no dropout mask in common in a hundred steps.
#[test]
fn neighbouring_seeds_share_no_masks() {
    let masks = |seed| -> HashSet<u64> {
        (0..100).map(|step| Pass::train(seed, step, 0).rng().unwrap().random()).collect()
    };
    for seed in 0..20 {
        assert!(masks(seed).is_disjoint(&masks(seed + 1)));
        assert_eq!(masks(seed).len(), 100);
    }
}

/// Users often give a net and its training the same seed. The first weights, the layers and the choice of mini-batches
/// still use different random numbers.
#[test]
fn a_training_draws_other_numbers_than_the_first_weights() {
    for seed in 0..20 {
        let stream = |mut rng: Xoshiro128PlusPlus| -> Vec<u64> {
            (0..500).map(|_| rng.next_u64()).collect()
        };
        let weights: HashSet<u64> =
            stream(Xoshiro128PlusPlus::seed_from_u64(seed)).into_iter().collect();
        for step in 0..20 {
            let mut pass = Pass::train(seed, step, 0);
            for _layer in 0..3 {
                assert!(stream(pass.rng().unwrap()).iter().all(|word| !weights.contains(word)));
            }
        }
    }
}

type Dropping = (Affine<f64, 16, 20>, Relu, Dropout, Affine<f64, 20, 2>);
type DroppingNet = Network<f64, D1<16>, Dropping, SoftmaxCrossEntropy>;

/// A training that continues from any iteration gives the bits of an uninterrupted one, also with random layers and
/// with new memory.
#[test]
fn a_training_begins_at_any_iteration() {
    let (data, seed) = (data(), 4);
    let new = || {
        let mut net = DroppingNet::init(&mut Xoshiro128PlusPlus::seed_from_u64(seed));
        net.layers.2.rate = Some(0.5);
        net
    };
    let numbers = |net: &DroppingNet| {
        let mut numbers = Vec::new();
        net.layers.visit(&Path::ROOT, &mut |leaf| numbers.extend_from_slice(leaf.values));
        numbers
    };
    let training = Training { batch: Dyn(20), iterations: 30, seed };
    let (mut net, mut after) = (new(), HashMap::new());
    let mut sgd = Sgd::new(0.1);
    let observe = |progress: Progress<DroppingNet, f64>| {
        after.insert(progress.iteration, (progress.net.clone(), progress.loss));
    };
    training.run(&mut net, &mut sgd, &data, observe).unwrap();

    for first in [1, 13, 29] {
        let mut resumed = after[&(first - 1)].0.clone();
        let mut seen = first;
        let observe = |progress: Progress<DroppingNet, f64>| {
            assert_eq!((progress.iteration, progress.loss), (seen, after[&seen].1));
            seen += 1;
        };
        training.run_from(first, &mut resumed, &mut Sgd::new(0.1), &data, observe).unwrap();
        assert_eq!((seen, numbers(&resumed)), (30, numbers(&net)));
    }
    // Another seed gives other masks and other samples.
    let mut other = new();
    Training { seed: 5, ..training }.run(&mut other, &mut sgd, &data, |_| ()).unwrap();
    assert_ne!(numbers(&other), numbers(&net));
}
