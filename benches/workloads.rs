//! W1 784-50-10, batch 100; W2 784-512-256-10, batch 128; W3 2-16-16-1 with tanh, batches of 1 and
//! 32, each a training step; W4 inference by 8-16-16-4 and 784-50-10; training steps of 4-8-3 and 2-5-2, batches of 1
//! and 4; of 4-8-3 with 32 samples a step, a step with clipping, and the loss.
//!
//! It prints one line for each measurement, `R workload peer type median best`, in ns of CPU time per step, and a line
//! `L` with the first and the last loss. `benches/workloads.sh` compares it with other programs that print such
//! lines, and `benches/instructions.sh` counts its instructions. Variables: `BENCH_ONLY=W1,W3` chooses workloads,
//! `BENCH_MS` is the time of a sample (default 20), `BENCH_SAMPLES` their number (default 9), and `BENCH_CLOCK=wall`
//! measures wall-clock time.

use chainrule::{
    Affine, D1, Network, Number, Optimizer, Relu, Sgd, SoftmaxCrossEntropy, StepError,
    SumSquaredError, Tanh, TwoLayerNet, Zeros,
};
use cpu_time::ProcessTime;
use nalgebra::{Const, SMatrix, convert};
use std::{env, hint::black_box, time::Instant};

const PEER: &str = "chainrule";

fn setting(name: &str, default: f64) -> f64 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn wanted(workload: &str, kind: &str) -> bool {
    let only = env::var("BENCH_ONLY").unwrap_or_default();
    let name = format!("{workload}.{kind}");
    only.is_empty() || only.split(',').any(|prefix| name.starts_with(prefix))
}

/// Seconds for `times` calls of `f`: CPU time of this process, or wall-clock time.
fn seconds(times: u64, mut f: impl FnMut()) -> f64 {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    for _ in 0..times {
        f();
    }
    let by_wall = env::var("BENCH_CLOCK").is_ok_and(|clock| clock == "wall");
    if by_wall { wall.elapsed() } else { cpu.elapsed() }.as_secs_f64()
}

fn measure(workload: &str, kind: &str, mut f: impl FnMut()) {
    if let Ok(steps) = env::var("BENCH_STEPS") {
        return (0..steps.parse().unwrap_or(0)).for_each(|_: u64| f());
    }
    let (target, mut times) = (setting("BENCH_MS", 20.0) / 1e3, 1);
    loop {
        let took = seconds(times, &mut f);
        if took >= target {
            break;
        }
        times = (times as f64 * (1.1 * target / took).clamp(1.5, 16.0)) as u64 + 1;
    }
    let samples = setting("BENCH_SAMPLES", 9.0) as usize;
    let mut ns: Vec<_> =
        (0..samples).map(|_| seconds(times, &mut f) * 1e9 / times as f64).collect();
    ns.sort_by(f64::total_cmp);
    println!("R\t{workload}\t{PEER}\t{kind}\t{:.2}\t{:.2}", ns[samples / 2], ns[0]);
}

/// The numbers with which every program computes.
struct Lcg(u64);

impl Lcg {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f64 / (1 << 24) as f64
    }

    fn within(&mut self, size: f64) -> f64 {
        (2.0 * self.unit() - 1.0) * size
    }

    fn fill<T: Number, const R: usize, const C: usize>(
        &mut self,
        matrix: &mut SMatrix<T, R, C>,
        size: f64,
    ) {
        matrix.iter_mut().for_each(|entry| *entry = convert(self.within(size)));
    }

    fn affine<T: Number, const I: usize, const O: usize>(&mut self, layer: &mut Affine<T, I, O>) {
        self.fill(&mut layer.weight, (1.0 / I as f64).sqrt());
    }
}

fn images<T: Number, const B: usize>() -> (Box<SMatrix<T, 784, B>>, [usize; B]) {
    let mut lcg = Lcg(7);
    let mut x = Box::<SMatrix<T, 784, B>>::zeros();
    x.iter_mut().for_each(|pixel| *pixel = convert(lcg.unit()));
    (x, [(); B].map(|()| (lcg.unit() * 10.0) as usize))
}

/// Measures a step, which returns its loss, and prints the first and the last loss.
fn train<T: Number>(
    workload: &str,
    kind: &str,
    scale: f64,
    mut step: impl FnMut() -> Result<T, StepError>,
) {
    if wanted(workload, kind) {
        let number = |loss: T| loss.to_subset().unwrap_or(f64::NAN) * scale;
        let first = number(step().expect("finite"));
        let mut last = T::zero();
        measure(workload, kind, || last = step().expect("finite"));
        let last = number(last);
        println!("L\t{workload}\t{PEER}\t{kind}\t{first:.5}\t{last:.5}");
    }
}

fn w1<T: Number>(kind: &str) {
    let (x, labels) = images::<T, 100>();
    let mut lcg = Lcg(1);
    let layers = (Affine::zeros(), Relu, Affine::zeros());
    let mut net: Box<TwoLayerNet<T, 784, 50, 10>> =
        Box::new(Network::new(layers, SoftmaxCrossEntropy));
    lcg.affine(&mut net.layers.0);
    lcg.affine(&mut net.layers.2);
    let mut work = Box::new(TwoLayerNet::<T, 784, 50, 10>::workspace(Const::<100>));
    let mut sgd = Sgd::new(convert(0.1));
    train("W1", kind, 1.0, || sgd.train_step(&mut net, &*x, &labels, &mut work));
}

fn w2<T: Number>(kind: &str) {
    type Layers<T> =
        (Box<Affine<T, 784, 512>>, Relu, Box<Affine<T, 512, 256>>, Relu, Affine<T, 256, 10>);
    let (x, labels) = images::<T, 128>();
    let mut lcg = Lcg(1);
    let mut net = Network::<T, D1<784>, Layers<T>, _>::new(Zeros::zeros(), SoftmaxCrossEntropy);
    lcg.affine(&mut net.layers.0);
    lcg.affine(&mut net.layers.2);
    lcg.affine(&mut net.layers.4);
    let mut work =
        Box::new(Network::<T, D1<784>, Layers<T>, SoftmaxCrossEntropy>::workspace(Const::<128>));
    let mut sgd = Sgd::new(convert(0.1));
    train("W2", kind, 1.0, || sgd.train_step(&mut net, &*x, &labels, &mut work));
}

fn w3<T: Number, const B: usize>(workload: &str, kind: &str) {
    type Layers<T> = (Affine<T, 2, 16>, Tanh, Affine<T, 16, 16>, Tanh, Affine<T, 16, 1>);
    let mut lcg = Lcg(11);
    let points: Vec<[f64; 2]> = (0..256).map(|_| [lcg.within(1.0), lcg.within(1.0)]).collect();
    let batches: Vec<(SMatrix<T, 2, B>, SMatrix<T, 1, B>)> = points
        .chunks(B)
        .map(|points| {
            let x = SMatrix::from_fn(|feature, sample| convert(points[sample][feature]));
            let t = |_, sample: usize| {
                let [a, b] = points[sample];
                convert((3.0 * a).sin() * b)
            };
            (x, SMatrix::from_fn(t))
        })
        .collect();
    let mut net = Network::<T, D1<2>, Layers<T>, _>::new(Zeros::zeros(), SumSquaredError);
    let mut lcg = Lcg(1);
    lcg.affine(&mut net.layers.0);
    lcg.affine(&mut net.layers.2);
    lcg.affine(&mut net.layers.4);
    let mut work = Network::<T, D1<2>, Layers<T>, SumSquaredError>::workspace(Const::<B>);
    // Half the squared error, as in the book, with twice the rate.
    let mut sgd = Sgd::new(convert(0.02));
    let mut batch = 0;
    train(workload, kind, 2.0, || {
        let (x, t) = &batches[batch];
        batch = (batch + 1) % batches.len();
        sgd.train_step(&mut net, x, t, &mut work)
    });
}

fn w4<T: Number>(kind: &str) {
    type Layers<T> = (Affine<T, 8, 16>, Relu, Affine<T, 16, 16>, Relu, Affine<T, 16, 4>);
    let mut lcg = Lcg(1);
    let mut net = Network::<T, D1<8>, Layers<T>, _>::new(Zeros::zeros(), SumSquaredError);
    lcg.affine(&mut net.layers.0);
    lcg.affine(&mut net.layers.2);
    lcg.affine(&mut net.layers.4);
    let mut x = SMatrix::<T, 8, 1>::zeros();
    Lcg(3).fill(&mut x, 1.0);
    if wanted("W4.tiny", kind) {
        measure("W4.tiny", kind, || {
            black_box(black_box(&net).predict(black_box(&x)));
        });
    }
    let layers = (Affine::zeros(), Relu, Affine::zeros());
    let mut net: Box<TwoLayerNet<T, 784, 50, 10>> =
        Box::new(Network::new(layers, SoftmaxCrossEntropy));
    lcg.affine(&mut net.layers.0);
    lcg.affine(&mut net.layers.2);
    let mut x = SMatrix::<T, 784, 1>::zeros();
    Lcg(3).fill(&mut x, 1.0);
    if wanted("W4.mnist", kind) {
        measure("W4.mnist", kind, || {
            black_box(black_box(&net).predict(black_box(&x)));
        });
    }
}

fn tiny<T: Number, const I: usize, const H: usize, const O: usize, const B: usize>(
    workload: &str,
    kind: &str,
) {
    let mut lcg = Lcg(11);
    let batches: Vec<(SMatrix<T, I, B>, [usize; B])> = (0..256 / B)
        .map(|_| {
            let (mut x, mut labels) = (SMatrix::<T, I, B>::zeros(), [0; B]);
            for (mut x, label) in x.column_iter_mut().zip(&mut labels) {
                x.iter_mut().for_each(|x| *x = convert(lcg.within(1.0)));
                *label = (lcg.unit() * O as f64) as usize;
            }
            (x, labels)
        })
        .collect();
    let mut net: TwoLayerNet<T, I, H, O> = Network::new(Zeros::zeros(), SoftmaxCrossEntropy);
    let mut lcg = Lcg(1);
    lcg.affine(&mut net.layers.0);
    lcg.affine(&mut net.layers.2);
    let mut work = TwoLayerNet::<T, I, H, O>::workspace(Const::<B>);
    let mut sgd = Sgd::new(convert(0.1));
    let mut batch = 0;
    let mut next = || {
        batch = (batch + 1) % batches.len();
        &batches[batch]
    };
    train(workload, kind, 1.0, || {
        let (x, labels) = next();
        sgd.train_step(&mut net, x, labels, &mut work)
    });
    if B < 32 {
        return;
    }
    let mut work = TwoLayerNet::<T, I, H, O>::workspace(Const::<B>);
    let mut clipped = Sgd::new(convert(0.1)).clip_norm(T::one());
    train(&format!("{workload}.clipped"), kind, 1.0, || {
        let (x, labels) = next();
        clipped.train_step(&mut net, x, labels, &mut work)
    });
    let workload = &format!("{workload}.loss");
    if wanted(workload, kind) {
        measure(workload, kind, || {
            let (x, labels) = next();
            black_box(net.loss(x, labels));
        });
    }
}

fn tinies<T: Number>(kind: &str) {
    tiny::<T, 4, 8, 3, 1>("4-8-3.b1", kind);
    tiny::<T, 4, 8, 3, 4>("4-8-3.b4", kind);
    tiny::<T, 2, 5, 2, 1>("2-5-2.b1", kind);
    tiny::<T, 2, 5, 2, 4>("2-5-2.b4", kind);
    tiny::<T, 4, 8, 3, 32>("4-8-3.b32", kind);
}

fn main() {
    w1::<f32>("f32");
    w1::<f64>("f64");
    w2::<f32>("f32");
    w2::<f64>("f64");
    w3::<f32, 1>("W3.b1", "f32");
    w3::<f64, 1>("W3.b1", "f64");
    w3::<f32, 32>("W3.b32", "f32");
    w3::<f64, 32>("W3.b32", "f64");
    w4::<f32>("f32");
    w4::<f64>("f64");
    tinies::<f32>("f32");
    tinies::<f64>("f64");
}
