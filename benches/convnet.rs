//! Times a training step and a prediction of three convolutional nets. It prints one line for each: net, scalar, batch,
//! `train` or `predict`, and nanoseconds of CPU time (the least of several samples). `benches/convnet.py` compares them
//! with PyTorch.

#[path = "../examples/14_convnet/nets.rs"]
mod nets;

use chainrule::{
    Conv2d, D1, Dense, Image, Images, Layer, MaxPool2d, Network, Number, Optimizer, Relu, Sgd,
    SoftmaxCrossEntropy, Zeros,
};
use cpu_time::ThreadTime;
use nalgebra::Dyn;
use nets::{LeNet, Simple};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::time::{Duration, Instant};

type Small<T> = (
    Conv2d<T, 1, 8, 3>,
    Relu,
    MaxPool2d<2>,
    Conv2d<T, 8, 16, 3>,
    Relu,
    MaxPool2d<2>,
    Dense<T, Image<16, 5, 5>, 10>,
);

type SimpleConvNet<T> = Simple<T, 0, Image<30, 12, 12>>;
type LeNet5<T> = LeNet<T, 0, Image<16, 4, 4>>;
type In = Image<1, 28, 28>;

/// The least CPU time of a call of `f` within a fifth of a second, after a first call.
fn best(mut f: impl FnMut()) -> u128 {
    f();
    let (begin, mut best) = (Instant::now(), Duration::MAX);
    while begin.elapsed() < Duration::from_millis(200) {
        let start = ThreadTime::now();
        f();
        best = best.min(start.elapsed());
    }
    best.as_nanos()
}

fn measure<T: Number, L: Layer<T, In, Out = D1<10>> + Zeros>(
    name: &str,
    scalar: &str,
    batches: &[usize],
) {
    let mut net =
        Network::<T, In, L, SoftmaxCrossEntropy>::init(&mut Xoshiro128PlusPlus::seed_from_u64(1));
    for &batch in batches {
        let x = Images::<T, In, _>::from_fn(Dyn(batch), |sample, [_, row, column]| {
            nalgebra::convert(((sample * 31 + row * 7 + column * 3) % 17) as f64 / 17.0)
        });
        let labels: Vec<usize> = (0..batch).map(|i| i % 10).collect();
        let mut work = Network::<T, In, L, SoftmaxCrossEntropy>::workspace(Dyn(batch));
        let mut sgd = Sgd::new(nalgebra::convert(1e-3));
        let ns = best(|| {
            sgd.train_step(&mut net, &x, &labels, &mut work).expect("finite");
        });
        println!("{name} {scalar} {batch} train {ns}");
        let mut memory = Network::<T, In, L, SoftmaxCrossEntropy>::predictor(Dyn(batch));
        let ns = best(|| {
            std::hint::black_box(net.predict_into(&x, &mut memory));
        });
        println!("{name} {scalar} {batch} predict {ns}");
    }
}

fn main() {
    // `cargo test` runs it too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let deep = std::thread::Builder::new().stack_size(64 << 20);
    let run = || {
        measure::<f32, Small<f32>>("8-16", "f32", &[32]);
        measure::<f64, Small<f64>>("8-16", "f64", &[32]);
        measure::<f32, SimpleConvNet<f32>>("SimpleConvNet", "f32", &[32, 100]);
        measure::<f64, SimpleConvNet<f64>>("SimpleConvNet", "f64", &[32, 100]);
        measure::<f32, LeNet5<f32>>("LeNet-5", "f32", &[32, 100]);
        measure::<f64, LeNet5<f64>>("LeNet-5", "f64", &[32, 100]);
    };
    deep.spawn(run).expect("a thread").join().expect("no panic");
}
