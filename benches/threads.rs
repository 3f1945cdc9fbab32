//! Compares one thread with all threads of rayon, interleaved, in wall-clock time: a training step of 784-512-256-10
//! with a batch of 128, and `predict` of 10,000 samples by this net and by 784-50-10. The last column is
//! the ratio of the times. The bench asserts that the bits are the same.
//!
//! With `RAYON_NUM_THREADS=1` it measures the threads of the trainer instead: 784-512-256-10 in two parts of
//! 128 samples, and a sweep of eight nets 784-50-10, with one thread and with two.
//!
//! Run `cargo bench --bench threads` on an idle machine. `BENCH_ROUNDS` is the number of rounds (default 9).

use chainrule::{
    Affine, D1, Layer, Network, Number, Optimizer, Parts, Relu, Sgd, SoftmaxCrossEntropy, Threads,
    Trainer, data::Dataset, init,
};
use nalgebra::{Const, Dyn, OMatrix, SMatrix, convert};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{env, hint::black_box, time::Instant};

type Wide<T> =
    (Box<Affine<T, 784, 512>>, Relu, Box<Affine<T, 512, 256>>, Relu, Box<Affine<T, 256, 10>>);
type Narrow<T> = (Box<Affine<T, 784, 50>>, Relu, Box<Affine<T, 50, 10>>);
type Net<T, L> = Network<T, D1<784>, L, SoftmaxCrossEntropy>;

fn affine<T: Number, const I: usize, const O: usize>() -> Box<Affine<T, I, O>> {
    let mut layer = <Box<Affine<T, I, O>> as chainrule::Zeros>::zeros();
    init::he(&mut layer.weight, &mut Xoshiro128PlusPlus::seed_from_u64(0));
    layer
}

fn number(i: usize, j: usize) -> f64 {
    ((i * 31 + j * 17) % 101) as f64 / 101.0
}

fn one_thread() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(16 << 20).build().expect("a thread")
}

/// µs of one call, with one thread and with all threads: medians of interleaved rounds.
fn race(name: &str, mut step: impl FnMut() + Send) {
    let one = one_thread();
    let rounds = env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(9);
    let mut times = [vec![], vec![]];
    for round in 0..=rounds {
        for (all, times) in times.iter_mut().enumerate() {
            let start = Instant::now();
            let mut calls = 0;
            while calls < 3 || start.elapsed().as_millis() < 100 {
                if all == 1 {
                    step()
                } else {
                    one.install(&mut step)
                }
                calls += 1;
            }
            if round > 0 {
                times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
            }
        }
    }
    let [one, all] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[rounds / 2]
    });
    println!("| {name} | {one:.0} µs | {all:.0} µs | {:.2} |", one / all);
}

fn train<T: Number>(kind: &str) {
    let x = Box::new(SMatrix::<T, 784, 128>::from_fn(|i, j| convert(number(i, j))));
    let labels: [usize; 128] = std::array::from_fn(|i| i % 10);
    let new = || {
        let layers = (affine(), Relu, affine(), Relu, affine());
        Net::<T, Wide<T>>::new(layers, SoftmaxCrossEntropy)
    };
    let (mut a, mut b) = (new(), new());
    let mut work = Box::new(Net::<T, Wide<T>>::workspace(Const::<128>));
    let mut sgd = Sgd::new(convert(0.1));
    race(&format!("training step of 784-512-256-10, {kind}"), || {
        sgd.train_step(&mut a, &x, &labels, &mut work).expect("finite");
    });
    // One step with all threads and one with a single thread, from the same start.
    a = new();
    sgd.train_step(&mut a, &x, &labels, &mut work).expect("finite");
    one_thread().install(|| sgd.train_step(&mut b, &x, &labels, &mut work)).expect("finite");
    assert!(a.layers == b.layers, "other bits by one thread");
}

fn predict<T: Number, L: Layer<T, D1<784>> + Sync>(name: &str, layers: L) {
    let net = Net::<T, L>::new(layers, SoftmaxCrossEntropy);
    let x = OMatrix::<T, Const<784>, Dyn>::from_fn(10_000, |i, j| convert(number(i, j)));
    race(name, || drop(black_box(net.predict(black_box(&x)))));
}

/// 1,024 samples.
fn samples() -> Dataset<Vec<[f32; 784]>, Vec<usize>> {
    let row = |j| std::array::from_fn(|i| number(i, j) as f32);
    Dataset::new((0..1024).map(row).collect(), (0..1024).map(|i| i % 10).collect())
        .expect("samples")
}

/// Milliseconds with one thread and with two: the least of interleaved rounds, since on a shared machine the second core
/// is not always there.
fn scoped(name: &str, mut work: impl FnMut(usize)) {
    let rounds = env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(9);
    let [mut one, mut two] = [f64::INFINITY; 2];
    for _ in 0..rounds {
        for (threads, least) in [(1, &mut one), (2, &mut two)] {
            let start = Instant::now();
            work(threads);
            *least = least.min(start.elapsed().as_secs_f64());
        }
    }
    println!("| {name} | {:.0} ms | {:.0} ms | {:.2} |", 1e3 * one, 1e3 * two, one / two);
}

fn trainers() {
    let data = samples();
    let layers = (affine(), Relu, affine(), Relu, affine());
    let first = Net::<f32, Wide<f32>>::new(layers, SoftmaxCrossEntropy);
    scoped("four epochs of 784-512-256-10 in parts, f32", |threads| {
        let mut net = first.clone();
        let parts = Parts { count: 2, threads: Threads::Scoped(threads) };
        let mut trainer = Trainer::new(Dyn(128), 4, 0);
        let ended = trainer.fit_in_parts(parts, &mut net, &mut Sgd::new(0.1), &data, None, |_| ());
        ended.expect("finite");
    });
    scoped("a sweep of eight nets 784-50-10, f32", |threads| {
        let train = |seed| {
            let layers = (affine(), Relu, affine());
            let mut net = Net::<f32, Narrow<f32>>::new(layers, SoftmaxCrossEntropy);
            let mut trainer = Trainer::new(Dyn(128), 8, seed);
            trainer.fit(&mut net, &mut Sgd::new(0.1), &data, None, |_| ()).expect("finite");
        };
        let seeds: Vec<_> = (0..8).collect();
        std::thread::scope(|scope| {
            for part in seeds.chunks(8 / threads) {
                scope.spawn(|| part.iter().copied().for_each(&train));
            }
        });
    });
}

fn main() {
    if rayon::current_num_threads() == 1 {
        println!("| what | one thread | two | times |\n|---|---|---|---|");
        return trainers();
    }
    println!("| what | one thread | all {} | times |", rayon::current_num_threads());
    println!("|---|---|---|---|");
    train::<f32>("f32");
    train::<f64>("f64");
    let narrow = "predicting 10,000 samples by 784-50-10";
    predict::<f32, Narrow<f32>>(&format!("{narrow}, f32"), (affine(), Relu, affine()));
    predict::<f64, Narrow<f64>>(&format!("{narrow}, f64"), (affine(), Relu, affine()));
    let wide = "predicting 10,000 samples by 784-512-256-10";
    predict::<f32, Wide<f32>>(&format!("{wide}, f32"), (affine(), Relu, affine(), Relu, affine()));
    predict::<f64, Wide<f64>>(&format!("{wide}, f64"), (affine(), Relu, affine(), Relu, affine()));
}
