//! Times a training step with each optimizer, interleaved, and its ratio to SGD: 784-50-10 with a batch of 100,
//! and 2-16-16-1 with 32 samples. It prints the least of many times, in ns of CPU time.

use chainrule::{
    Adam, Affine, D1, Layer, Loss, Network, Number, Optimizer, Relu, Sgd, Shape,
    SoftmaxCrossEntropy, SumSquaredError, Tanh,
};
use cpu_time::ProcessTime;
use nalgebra::{Const, SMatrix, convert};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};

/// ns per step.
fn time(steps: u32, mut step: impl FnMut()) -> f64 {
    let start = ProcessTime::now();
    (0..steps).for_each(|_| step());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(steps)
}

type Step<'a> = Box<dyn FnMut() + 'a>;

/// The least time of each step. The steps are interleaved.
fn compare(name: &str, steps: u32, all: &mut [(&str, Step)]) {
    let mut least = vec![f64::INFINITY; all.len()];
    for _ in 0..40 {
        for (least, (_, step)) in least.iter_mut().zip(&mut *all) {
            *least = least.min(time(steps, step));
        }
    }
    for ((optimizer, _), ns) in all.iter().zip(&least) {
        println!("{name}\t{optimizer}\t{ns:.0} ns\t{:.2}", ns / least[0]);
    }
}

fn workload<T: Number, In, L, E, Y, const B: usize>(
    name: &str,
    steps: u32,
    net: &Network<T, In, L, E>,
    x: &In::Batch<T, Const<B>>,
    t: &Y,
) where
    In: Shape,
    L: Layer<T, In> + Clone,
    E: Loss<T, L::Out, Const<B>, Y> + Clone,
{
    macro_rules! step {
        ($optimizer:expr) => {{
            let (mut net, mut optimizer) = (Box::new(net.clone()), $optimizer);
            let mut work = Box::new(Network::<T, In, L, E>::workspace(Const::<B>));
            Box::new(move || {
                optimizer.train_step(&mut net, x, t, &mut work).expect("finite");
            })
        }};
    }
    let rate = |rate: f64| convert::<f64, T>(rate);
    compare(
        name,
        steps,
        &mut [
            ("SGD", step!(Sgd::new(rate(0.01)))),
            ("Adam", step!(Adam::new(rate(0.0001)))),
            ("AdamW", step!(Adam::decoupled(rate(0.0001), rate(0.01)))),
        ],
    );
}

fn main() {
    fn both<T: Number>(kind: &str) {
        let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
        type Wide<T> = (Affine<T, 784, 50>, Relu, Affine<T, 50, 10>);
        let net = Network::<T, D1<784>, Wide<T>, SoftmaxCrossEntropy>::init(&mut rng);
        let mut x = Box::new(SMatrix::<T, 784, 100>::zeros());
        chainrule::init::normal(T::one(), &mut x, &mut rng);
        let labels: [usize; 100] = core::array::from_fn(|i| i % 10);
        workload(&format!("784-50-10, 100, {kind}"), 40, &net, &x, &labels);

        type Small<T> = (Affine<T, 2, 16>, Tanh, Affine<T, 16, 16>, Tanh, Affine<T, 16, 1>);
        let net = Network::<T, D1<2>, Small<T>, SumSquaredError>::init(&mut rng);
        let (mut x, mut t) = (SMatrix::<T, 2, 32>::zeros(), SMatrix::<T, 1, 32>::zeros());
        chainrule::init::normal(T::one(), &mut x, &mut rng);
        chainrule::init::normal(T::one(), &mut t, &mut rng);
        workload(&format!("2-16-16-1, 32, {kind}"), 2000, &net, &x, &t);
    }
    both::<f32>("f32");
    both::<f64>("f64");
}
