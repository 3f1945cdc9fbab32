//! Derivatives of nets and second-order training. `CHAINRULE_STARTS=30` runs as many starts of each problem as
//! the documentation's tables.

use chainrule::*;
use nalgebra::SMatrix;
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::f64::consts::PI;

type A<const I: usize, const O: usize> = Affine<f64, I, O>;

/// PyTorch's first values: weights and biases uniform within ±1/√inputs.
fn uniform<L: Parameters<f64>>(layers: &mut L, rng: &mut Xoshiro128PlusPlus) {
    let mut bound = 0.0;
    layers.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<f64, 0>| {
        if leaf.path.name() != Some("bias") {
            bound = 1.0 / (leaf.shape.1 as f64).sqrt();
        }
        leaf.values.iter_mut().for_each(|w| *w = rng.random_range(-bound..bound));
    });
}

fn starts() -> u64 {
    std::env::var("CHAINRULE_STARTS").map_or(5, |starts| starts.parse().unwrap())
}

/// The iterations that each start needs, sorted.
fn iterations(name: &str, start: impl Fn(u64) -> Outcome<f64>) -> Vec<usize> {
    let outcomes: Vec<_> = (0..starts()).map(start).collect();
    let mut counts: Vec<_> = outcomes.iter().map(|outcome| outcome.iterations).collect();
    counts.sort_unstable();
    println!("{name}: iterations {counts:?}");
    for outcome in outcomes {
        assert_eq!(outcome.stop, Stop::Goal, "{name}: {outcome:?}");
    }
    counts
}

fn median(counts: &[usize]) -> usize {
    counts[counts.len() / 2]
}

fn line<const N: usize>() -> SMatrix<f64, 1, N> {
    SMatrix::from_fn(|_, i| 2.0 * i as f64 / (N - 1) as f64 - 1.0)
}

#[test]
fn sine() {
    type Layers = (A<1, 5>, Tanh, A<5, 1>);
    type Net = Network<f64, D1<1>, Layers, SumSquaredError>;
    const P: usize = Net::weight_count();
    let x = line::<41>();
    let t = x.map(|x| (PI * x).sin());
    let counts = iterations("sine", |seed| {
        solve::<_, P, 1, 1, 41>(zero_layers::<Layers>(), seed, &x, &t, 0.002 * 41.0)
    });
    assert!(median(&counts) <= 10);
}

#[test]
fn friction() {
    type Layers = (A<1, 3>, Tanh, A<3, 3>, Tanh, A<3, 1>);
    type Net = Network<f64, D1<1>, Layers, SumSquaredError>;
    const P: usize = Net::weight_count();
    let x = line::<41>();
    let t = x.map(|v| 0.5 * ((25.0 * v).tanh() - v.tanh()) + 0.2 * v.tanh() + 0.03 * v);
    let counts = iterations("friction", |seed| {
        solve::<_, P, 1, 1, 41>(zero_layers::<Layers>(), seed, &x, &t, 1e-5)
    });
    assert!(median(&counts) <= 20 && counts.last() <= Some(&100));
}

fn parity<const I: usize, const N: usize>() -> (SMatrix<f64, I, N>, SMatrix<f64, 1, N>) {
    let x = SMatrix::<f64, I, N>::from_fn(|bit, i| if i >> bit & 1 == 1 { 1.0 } else { -1.0 });
    (x, SMatrix::from_fn(|_, i| x.column(i).product()))
}

#[test]
fn parities() {
    type Three = (A<3, 10>, Tanh, A<10, 10>, Tanh, A<10, 1>);
    const P3: usize = Network::<f64, D1<3>, Three, SumSquaredError>::weight_count();
    let (x, t) = parity::<3, 8>();
    let counts = iterations("parity 3", |seed| {
        solve::<_, P3, 3, 1, 8>(zero_layers::<Three>(), seed, &x, &t, 0.001 * 8.0)
    });
    assert!(median(&counts) <= 5);
    type Four = (A<4, 8>, Tanh, A<8, 1>);
    const P4: usize = Network::<f64, D1<4>, Four, SumSquaredError>::weight_count();
    let (x, t) = parity::<4, 16>();
    let counts = iterations("parity 4", |seed| {
        solve::<_, P4, 4, 1, 16>(zero_layers::<Four>(), seed, &x, &t, 0.001 * 16.0)
    });
    assert!(median(&counts) <= 8);
    type Five = (A<5, 10>, Tanh, A<10, 1>);
    const P5: usize = Network::<f64, D1<5>, Five, SumSquaredError>::weight_count();
    let (x, t) = parity::<5, 32>();
    let counts = iterations("parity 5", |seed| {
        solve::<_, P5, 5, 1, 32>(zero_layers::<Five>(), seed, &x, &t, 0.001 * 32.0)
    });
    assert!(median(&counts) <= 8);
}

fn zero_layers<L: Zeros>() -> L {
    L::zeros()
}

fn solve<
    L: Layer<f64, D1<I>, Out = D1<O>>,
    const P: usize,
    const I: usize,
    const O: usize,
    const N: usize,
>(
    mut layers: L,
    seed: u64,
    x: &SMatrix<f64, I, N>,
    t: &SMatrix<f64, O, N>,
    goal: f64,
) -> Outcome<f64> {
    uniform(&mut layers, &mut Xoshiro128PlusPlus::seed_from_u64(seed));
    let mut net = Network::<f64, D1<I>, L, _>::new(layers, SumSquaredError);
    let mut memory = Network::<f64, D1<I>, L, SumSquaredError>::sample_gradients::<P, 16>();
    let mut solver = LevenbergMarquardt::<f64, P>::new();
    solver.goal = goal;
    solver.fit(&mut net, x, t, &mut memory, 300)
}

#[test]
fn sinc() {
    type Layers = (A<1, 20>, Tanh, A<20, 1>);
    type Net = Network<f64, D1<1>, Layers, SumSquaredError>;
    const P: usize = Net::weight_count();
    let x = line::<2000>();
    let t = x.map(|x| if x == 0.0 { 1.0 } else { (10.0 * PI * x).sin() / (10.0 * PI * x) });
    let mut reached = Vec::new();
    for seed in 0..starts().min(10) {
        let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
        let mut last = A::<20, 1>::zeros();
        uniform(&mut last, &mut rng);
        let mut net = Net::new((Affine::nguyen_widrow(&mut rng), Tanh, last), SumSquaredError);
        let mut memory = Net::sample_gradients::<P, 32>();
        let mut solver = LevenbergMarquardt::<f64, P>::new();
        let start = std::time::Instant::now();
        let outcome = solver.fit(&mut net, &x, &t, &mut memory, 300);
        println!(
            "sinc: {:?} {:.1e} {:?} λ {:.0e}",
            outcome.stop,
            outcome.loss / 2000.0,
            start.elapsed(),
            solver.damping
        );
        reached.push(outcome.loss / 2000.0);
    }
    assert!(reached.iter().all(|&mse| mse <= 5e-8));
}
