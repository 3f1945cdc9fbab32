//! Times derivatives of nets and second-order training. The units are other work of this crate in the same run: the
//! step of 784-50-10 with a batch of 100, a prediction, a gradient.
//!
//! Run `cargo bench --bench calculus`. Each figure is the least CPU time of several interleaved samples. With
//! `TORCH=python` it then runs `benches/calculus.py`, which measures the same Jacobians by `torch.func`.

use chainrule::*;
use cpu_time::ProcessTime;
use nalgebra::{Const, SMatrix, SVector, convert};
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{f64::consts::PI, hint::black_box};

/// Name, least time of a call in ns, calls in a sample, and the measured function.
type Item<'a> = (&'static str, f64, u64, Box<dyn FnMut() + 'a>);

fn measure(items: &mut [Item]) {
    for round in 0..12 {
        for (_, best, calls, f) in items.iter_mut() {
            let start = ProcessTime::now();
            (0..*calls).for_each(|_| f());
            let took = start.elapsed().as_nanos() as f64;
            if round == 0 {
                *calls = ((4e6 / (took / *calls as f64)) as u64).clamp(1, 1 << 20);
            } else {
                *best = best.min(took / *calls as f64);
            }
        }
    }
}

fn of(items: &[Item], name: &str) -> f64 {
    items.iter().find(|item| item.0 == name).map_or(f64::NAN, |item| item.1)
}

fn rng(seed: u64) -> Xoshiro128PlusPlus {
    Xoshiro128PlusPlus::seed_from_u64(seed)
}

/// The step of 784-50-10, batch 100.
fn unit<T: Number>() -> impl FnMut() {
    type Net<T> = TwoLayerNet<T, 784, 50, 10>;
    let mut net = Box::new(Net::<T>::init(&mut rng(0)));
    let mut rng = rng(1);
    let mut x = Box::<SMatrix<T, 784, 100>>::zeros();
    x.iter_mut().for_each(|x| *x = convert(rng.random::<f64>()));
    let labels = [(); 100].map(|()| rng.random_range(0..10));
    let mut work = Box::new(Net::<T>::workspace(Const::<100>));
    let mut sgd = Sgd::new(convert(1e-6));
    move || {
        sgd.train_step(&mut net, &x, &labels, &mut work).expect("finite");
    }
}

type Wide<T> = (Affine<T, 3, 64>, Tanh, Affine<T, 64, 5>);
type Tiny<T> = (Affine<T, 8, 16>, Tanh, Affine<T, 16, 16>, Tanh, Affine<T, 16, 4>);
type Curve = (Affine<f64, 1, 20>, Tanh, Affine<f64, 20, 1>);
type CurveNet = Network<f64, D1<1>, Curve, SumSquaredError>;
const WEIGHTS: usize = CurveNet::weight_count();

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (10.0 * PI * x).sin() / (10.0 * PI * x) }
}

fn main() {
    let wide = Network::<f32, D1<3>, Wide<f32>, SumSquaredError>::init(&mut rng(2));
    let x = SMatrix::<f32, 3, 128>::from_fn(|i, s| ((i + 3 * s) as f32).sin());
    let tiny = Network::<f32, D1<8>, Tiny<f32>, SumSquaredError>::init(&mut rng(3));
    let at = SVector::<f32, 8>::from_fn(|i, _| (i as f32).sin());
    let v = SVector::<f32, 8>::from_fn(|i, _| (i as f32).cos());
    let mut dy = SVector::<f32, 4>::zeros();
    dy[1] = 1.0;
    let mut items: Vec<Item> = Vec::new();
    let mut item = |name, f| items.push((name, f64::MAX, 1, f));
    item("step f32", Box::new(unit::<f32>()));
    item("step f64", Box::new(unit::<f64>()));
    macro_rules! items {
        ($($name:literal $f:expr;)*) => { $(
            item($name, Box::new(|| {
                black_box($f);
            }));
        )* };
    }
    items! {
        "3-64-5 Jacobians" wide.jacobians(black_box(&x));
        "predict" tiny.predict(black_box(&at));
        "gradient" tiny.vjp(black_box(&at), &dy);
        "jacobian" tiny.jacobian(black_box(&at));
        "jvp" tiny.jvp(black_box(&at), &v);
        "hvp" tiny.hessian_vector_product(black_box(&at), &v, 1);
        "hessian" tiny.hessian(black_box(&at), 1);
    }
    measure(&mut items);
    for (name, ns, ..) in &items {
        println!("{name:18} {:10.3} µs", ns / 1e3);
    }
    let ratio = |name, to| of(&items, name) / of(&items, to);
    println!(
        "3-64-5, batch 128: Jacobians / step f32      {:6.3}  (0.15)",
        ratio("3-64-5 Jacobians", "step f32")
    );
    println!(
        "8-16-16-4: value and Jacobian / predict      {:6.2}  (4)",
        ratio("jacobian", "predict")
    );
    println!("8-16-16-4: Hessian-vector product / gradient {:6.2}  (4)", ratio("hvp", "gradient"));
    println!(
        "8-16-16-4: Hessian 8×8 / gradient            {:6.2}  (12)",
        ratio("hessian", "gradient")
    );
    let step = of(&items, "step f64");

    // The fit of the curve on all points, and by mini-batches.
    let x = SMatrix::<f64, 1, 2000>::from_fn(|_, i| 2.0 * i as f64 / 1999.0 - 1.0);
    let t = x.map(sinc);
    let (mut least, mut worst) = (f64::MAX, 0.0f64);
    for seed in 0..10 {
        let rng = &mut rng(seed);
        let layers = (Affine::nguyen_widrow(rng), Tanh, Affine::xavier(rng));
        let mut net = CurveNet::new(layers, SumSquaredError);
        let mut memory = Box::new(CurveNet::sample_gradients::<WEIGHTS, 64>());
        let start = ProcessTime::now();
        let outcome = LevenbergMarquardt::new().fit(&mut net, &x, &t, &mut memory, 300);
        least = least.min(start.elapsed().as_nanos() as f64);
        worst = worst.max(outcome.loss / 2000.0);
    }
    println!(
        "sinc, 2,000 points, 300 steps: worst of 10 starts {worst:.1e} (5e-8), {:.3} s, {:.0} steps f64 (500)",
        least / 1e9,
        least / step
    );
    let (mut least, mut worst) = (f64::MAX, 0.0f64);
    let points = SMatrix::<f64, 1, 1000>::from_fn(|_, i| 2.0 * i as f64 / 999.0 - 1.0);
    for seed in 0..10 {
        let mut rng = rng(seed);
        let mut net = CurveNet::init(&mut rng);
        let mut bound = 0.0;
        net.layers.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<f64, 0>| {
            if leaf.path.name() != Some("bias") {
                bound = 1.0 / (leaf.shape.1 as f64).sqrt();
            }
            leaf.values.iter_mut().for_each(|w| *w = rng.random_range(-bound..bound));
        });
        let mut memory = Box::new(CurveNet::sample_gradients::<WEIGHTS, 64>());
        let mut solver = LevenbergMarquardt::<f64, WEIGHTS>::new();
        let start = ProcessTime::now();
        for _ in 0..1000 {
            let draw = |_, _| rng.random_range(0..20_000) as f64 / 9999.5 - 1.0;
            let x = SMatrix::<f64, 1, 1000>::from_fn(draw);
            let t = x.map(sinc);
            // A step that fails leaves the weights; another batch follows.
            let _ = solver.step(&mut Fit { net: &mut net, x: &x, target: &t, memory: &mut memory });
        }
        least = least.min(start.elapsed().as_nanos() as f64);
        worst = worst.max((net.predict(&points) - points.map(sinc)).norm_squared() / 1000.0);
    }
    println!(
        "sinc, batches of 1,000, 1,000 steps: worst of 10 starts {worst:.1e} (2e-6), {:.3} s, {:.0} steps f64 (1,000)",
        least / 1e9,
        least / step
    );
    if let Ok(python) = std::env::var("TORCH") {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/calculus.py");
        let ended = std::process::Command::new(python).arg(script).status();
        println!("torch.func: {ended:?}");
    }
}
