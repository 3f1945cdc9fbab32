//! Optimizers as an author outside the crate writes them, and properties of all optimizers: fused and whole steps, all
//! kinds of parameters, errors, state, memory.

use chainrule::{data::Dataset, *};
use layers::{Squares, Sum};
use nalgebra::{Const, Dyn, SMatrix, SVector, Vector1, Vector2, convert};
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{collections::HashMap, sync::Mutex};

mod layers;

/// v ← μ·v + dW, W ← W - η·v.
#[derive(Clone)]
struct Momentum<T> {
    rate: T,
    momentum: T,
}

impl<T: Number> Momentum<T> {
    fn new<G: Zeros>(rate: T) -> Descent<Self, G, 1> {
        Descent::new(Momentum { rate, momentum: convert(0.9) })
    }
}

impl<T: Number> Rule<T, 1> for Momentum<T> {
    type Way = Fused;

    #[inline(always)]
    fn update(&self, piece: Piece<T, 1>) {
        let [velocity] = piece.state;
        for ((w, &dw), v) in piece.values.iter_mut().zip(piece.gradient).zip(velocity) {
            *v = self.momentum * *v + dw;
            *w -= self.rate * *v;
        }
    }
}

/// m ← β₁·m + (1 - β₁)·dW, v ← β₂·v + (1 - β₂)·dW², W ← W - η·m̂ / (√v̂ + ε).
#[derive(Clone)]
struct Adam<T> {
    rate: T,
    betas: [T; 2],
    /// 1 - βᵗ.
    parts: [T; 2],
}

impl<T: Number> Adam<T> {
    fn new<G: Zeros>(rate: T) -> Descent<Self, G, 2> {
        Descent::new(Adam { rate, betas: [convert(0.9), convert(0.999)], parts: [T::one(); 2] })
    }
}

impl<T: Number> Rule<T, 2> for Adam<T> {
    type Way = Fused;

    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        self.parts = self.betas.map(|beta| T::one() - beta.powi(step as i32));
        Ok(())
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, 2>) {
        let ([m, v], [b1, b2], one) = (piece.state, self.betas, T::one());
        let weights = piece.values.iter_mut().zip(piece.gradient);
        for ((w, &dw), (m, v)) in weights.zip(m.iter_mut().zip(v)) {
            *m = b1 * *m + (one - b1) * dw;
            *v = b2 * *v + (one - b2) * dw * dw;
            let root = (*v / self.parts[1]).sqrt() + convert(1e-8);
            *w -= self.rate * (*m / self.parts[0]) / root;
        }
    }
}

/// The same rule as a `Whole` one.
#[derive(Clone)]
struct Unfused<R>(R);

impl<T: Number, R: Rule<T, N>, const N: usize> Rule<T, N> for Unfused<R> {
    type Way = Whole;

    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        self.0.begin(step)
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, N>) {
        self.0.update(piece);
    }
}

/// W ← W - η·c·dW, where c makes the norm of the whole gradient no larger than `largest`.
struct Clipped<T> {
    rate: T,
    largest: T,
    factor: T,
}

impl<T: Number> Rule<T, 0> for Clipped<T> {
    type Way = Whole;

    fn look<G: Parameters<T>>(&mut self, gradient: &G) {
        let mut squares = T::zero();
        gradient.visit(&Path::ROOT, &mut |leaf| {
            let weight = leaf.role == Role::Weight;
            squares += leaf.values.iter().filter(|_| weight).fold(T::zero(), |sum, &g| sum + g * g);
        });
        self.factor = (self.largest / squares.sqrt()).min(T::one());
    }

    fn update(&self, piece: Piece<T, 0>) {
        ops::add_scaled(-self.rate * self.factor, piece.gradient, piece.values);
    }
}

/// W ← W - η·(dW + λ·W), for every parameter that it gets.
struct Decaying {
    rate: f64,
    decay: f64,
}

impl Rule<f64, 0> for Decaying {
    type Way = Fused;

    fn update(&self, piece: Piece<f64, 0>) {
        for (w, dw) in piece.values.iter_mut().zip(piece.gradient) {
            *w -= self.rate * (dw + self.decay * *w);
        }
    }
}

fn rng(seed: u64) -> Xoshiro128PlusPlus {
    Xoshiro128PlusPlus::seed_from_u64(seed)
}

/// Numbers from -1 to 1.
fn uniform<T: Number>(rng: &mut Xoshiro128PlusPlus) -> T {
    convert(f64::from(rng.random_range(-1.0f32..1.0)))
}

fn batch<T: Number, const N: usize, B: BatchSize>(size: B, seed: u64) -> Columns<T, N, B> {
    let (mut x, mut rng) = (size.columns::<T, N>(), rng(seed));
    x.as_mut_slice().fill_with(|| uniform(&mut rng));
    x
}

fn numbers<T: Number, L: Parameters<T>>(layers: &L) -> Vec<T> {
    let mut numbers = Vec::new();
    layers.visit(&Path::ROOT, &mut |leaf| numbers.extend_from_slice(leaf.values));
    numbers
}

/// The state, by tree and leaf name.
fn state<T: Number, L: Parameters<T>>(
    optimizer: &dyn Optimizer<T, L>,
) -> HashMap<(usize, String), Vec<T>> {
    let mut state = HashMap::new();
    optimizer.visit_state(&mut |tree, leaf| {
        let old = state.insert((tree, leaf.path.to_string()), leaf.values.to_vec());
        assert!(old.is_none(), "two leaves have the name {}", leaf.path);
    });
    state
}

type Mlp<T> = (Affine<T, 3, 5>, Tanh, Affine<T, 5, 2>);
type MlpNet<T> = Network<T, D1<3>, Mlp<T>, SumSquaredError>;

/// The compiler infers all types, and the net learns.
#[test]
fn in_a_training_loop() {
    let mut net = MlpNet::<f32>::init(&mut rng(0));
    let (x, t) = (batch(Const::<16>, 1), batch(Const::<16>, 2) * 0.1);
    let mut adam = Adam::new(1e-3);
    let mut work = MlpNet::workspace(Const::<16>);
    let before = net.loss(&x, &t);
    for _ in 0..300 {
        let loss = net.loss(&x, &t);
        assert_eq!(adam.train_step(&mut net, &x, &t, &mut work).unwrap(), loss);
    }
    assert!(net.loss(&x, &t) < 0.5 * before);
    let mut momentum = Momentum::new(1e-2);
    let middle = net.loss(&x, &t);
    for _ in 0..100 {
        momentum.train_step(&mut net, &x, &t, &mut work).unwrap();
    }
    assert!(net.loss(&x, &t) < middle);
    assert_eq!((adam.steps(), work.step), (300, 400));
}

/// Fused and whole steps from the same start give the same losses, parameters and state. (For `==`, 0 equals -0.)
fn same<T, L, R, B, const I: usize, const O: usize, const N: usize>(layers: L, rule: &R, size: B)
where
    T: Number,
    L: Layer<T, D1<I>, Out = D1<O>> + Clone,
    R: Rule<T, N, Way = Fused> + Clone,
    B: BatchSize,
{
    let (mut fused, mut whole) =
        (Descent::new(rule.clone()), Descent::<_, L::Gradient, N>::new(Unfused(rule.clone())));
    let mut nets = [layers.clone(), layers]
        .map(|layers| Network::<T, D1<I>, L, _>::new(layers, SumSquaredError));
    let mut work = Network::<T, D1<I>, L, SumSquaredError>::workspace(size);
    let mut by_gradient = Network::<T, D1<I>, L, SumSquaredError>::workspace(size);
    let start = numbers(&nets[0].layers);
    for step in 0..3 {
        let (x, t) = (batch(size, step), batch::<T, O, B>(size, step + 100));
        let loss = fused.train_step(&mut nets[0], &x, &t, &mut work).unwrap();
        let other = whole.train_step(&mut nets[1], &x, &t, &mut by_gradient).unwrap();
        let place = format!("{I}-{O}, {} samples, {N} states, step {step}", size.value());
        assert!(loss == other, "{place}: {loss} and {other}");
        let [a, b] = [&nets[0], &nets[1]].map(|net| numbers(&net.layers));
        let first = a.iter().zip(&b).position(|(a, b)| a != b);
        assert!(first.is_none(), "{place}: parameter {first:?}");
        assert!(state::<T, L>(&fused) == state::<T, L>(&whole), "{place}: state");
    }
    assert!(numbers(&nets[0].layers) != start);
}

fn all_rules<T, L, B, const I: usize, const O: usize>(layers: &L, size: B)
where
    T: Number,
    L: Layer<T, D1<I>, Out = D1<O>> + Clone,
    B: BatchSize,
{
    let rate = convert(0.01);
    same(layers.clone(), &Sgd { rate }, size);
    same(layers.clone(), &Momentum { rate, momentum: convert(0.9) }, size);
    same(layers.clone(), &Adam::<T>::new::<()>(rate).rule, size);
}

fn init<T: Number, L: Layer<T, D1<I>> + Zeros, const I: usize>() -> L {
    let mut layers = L::zeros();
    layers.init(init::Gain::Linear, &mut rng(3));
    layers
}

/// The largest piece has 32 KiB. Some of these layers are smaller, some are cut into pieces of 64, 16 or 4 columns, and
/// some into single columns.
fn all_sizes<T: Number>() {
    for samples in [1, 7, 128, 300] {
        let size = Dyn(samples);
        all_rules::<T, _, _, 3, 2>(&init::<T, Mlp<T>, 3>(), size);
        type Wide<T> =
            (Box<Affine<T, 700, 20>>, Relu, Box<Affine<T, 20, 130>>, Box<Affine<T, 130, 100>>);
        all_rules::<T, _, _, 700, 100>(&init::<T, Wide<T>, 700>(), size);
    }
    for samples in [1, 7] {
        all_rules::<T, _, _, 6, 1500>(&init::<T, Box<Affine<T, 6, 1500>>, 6>(), Dyn(samples));
        all_rules::<T, _, _, 2, 9000>(&init::<T, Box<Affine<T, 2, 9000>>, 2>(), Dyn(samples));
    }
    all_rules::<T, _, _, 3, 2>(&init::<T, Mlp<T>, 3>(), Const::<7>);
}

#[test]
fn fused_and_whole_in_f32() {
    all_sizes::<f32>();
}

#[test]
fn fused_and_whole_in_f64() {
    all_sizes::<f64>();
}

/// Frozen parts, statistics, boxes, arrays, random layers, and gradients by `add` and by `columns`, in pieces too.
type Parts = (
    Frozen<Affine<f64, 6, 8>>,
    BatchNorm<f64, 8>,
    Box<(Sum<Squares<f64, 8, 8>, 3>, Tanh)>,
    Dropout,
    Residual<(Affine<f64, 8, 8>, Tanh)>,
    Box<Squares<f64, 8, 700>>,
    Box<Affine<f64, 700, 5>>,
);

fn parts() -> Parts {
    let mut layers: Parts = init::<f64, Parts, 6>();
    layers.3.rate = Some(0.25);
    layers
}

#[test]
fn fused_and_whole_with_all_kinds_of_parts() {
    for samples in [2, 7, 128] {
        all_rules::<f64, _, _, 6, 5>(&parts(), Dyn(samples));
    }
}

/// A rule that decays all parameters that it gets does not change frozen weights or statistics.
#[test]
fn frozen_weights_and_statistics_are_no_business_of_a_rule() {
    type Layers = (
        Frozen<Affine<f64, 3, 4>>,
        BatchNorm<f64, 4>,
        Frozen<BatchNorm<f64, 4>>,
        Affine<f64, 4, 2>,
    );
    type Net = Network<f64, D1<3>, Layers, SumSquaredError>;
    fn train<R: Rule<f64, 0, Way = W>, W: Way>(rule: R) -> [Layers; 2]
    where
        Descent<R, <Layers as Parameters<f64>>::Gradient, 0>: Optimizer<f64, Layers, Way = W>,
    {
        let mut net = Net::init(&mut rng(1));
        let start = net.layers;
        let mut optimizer = Descent::new(rule);
        let mut work = Net::workspace(Const::<6>);
        let (x, t) = (batch(Const::<6>, 2), batch(Const::<6>, 3));
        for _ in 0..50 {
            optimizer.train_step(&mut net, &x, &t, &mut work).unwrap();
        }
        [start, net.layers]
    }
    let rule = || Decaying { rate: 0.1, decay: 1.0 };
    // With steps too small to change a weight, only statistics change.
    let [start, still] = train(Sgd { rate: 1e-300 });
    assert_eq!((start.3.weight, start.1.weight), (still.3.weight, still.1.weight));
    assert_ne!(start.1.running_mean, still.1.running_mean);
    for [start, end] in [train(rule()), train(Unfused(rule()))] {
        assert_eq!((end.0, end.2), (start.0, start.2));
        // The layer before is frozen, so its outputs and their moments are the same for any rule.
        assert_eq!(
            (end.1.running_mean, end.1.running_var),
            (still.1.running_mean, still.1.running_var)
        );
        // Decay alone would leave (1 - 0.1)⁵⁰ = 0.005 of the weights; the gradient prevents that.
        assert!(end.3.weight.norm() < 0.5 * start.3.weight.norm());
    }
}

/// Two micro-batches add up to the steps of both. A frozen layer takes no step and predicts with its present
/// statistics.
#[test]
fn statistics_add_up() {
    type Layers = (BatchNorm<f64, 2>, Frozen<BatchNorm<f64, 2>>);
    type Net = Network<f64, D1<2>, Layers, SumSquaredError>;
    let mut net = Net::init(&mut rng(0));
    net.layers.1.0.running_mean.0.fill(2.0);
    let frozen = net.layers.1;
    let mut work = Net::workspace(Const::<4>);
    // All numbers here are exact.
    let (a, b) = (SMatrix::<f64, 2, 4>::repeat(8.0), SMatrix::<f64, 2, 4>::repeat(-24.0));
    net.layers.0.momentum = Some(0.5);
    net.backprop(&a, &a, &mut work);
    net.accumulate(&b, &b, &mut work);
    Sgd::new(1e-300).step(&mut net.layers, &work.grad).unwrap();
    assert_eq!(net.layers.0.running_mean.0, SVector::<f64, 2>::repeat((8.0 - 24.0) / 2.0));
    // Each step moves the variance from 1 half the way to 0.
    assert_eq!(net.layers.0.running_var.0, SVector::<f64, 2>::zeros());
    assert_eq!(net.layers.1, frozen);
}

/// A training is interrupted, and a new optimizer continues it with the state restored by leaf name.
#[test]
fn state_is_restored_by_name() {
    type Net = Network<f64, D1<6>, Parts, SumSquaredError>;
    fn check<R: Rule<f64, N, Way = Fused> + Clone, const N: usize>(rule: R) {
        let mut net = Net::new(parts(), SumSquaredError);
        let mut work = Net::workspace(Dyn(5));
        work.seed = 9;
        let mut optimizer = Descent::new(rule.clone());
        let step = |net: &mut Net,
                    optimizer: &mut Descent<R, _, N>,
                    work: &mut Workspace<_, _, _, _, _>| {
            let (x, t) = (batch(Dyn(5), work.step), batch(Dyn(5), 100 + work.step));
            optimizer.train_step(net, &x, &t, work).unwrap()
        };
        for _ in 0..5 {
            step(&mut net, &mut optimizer, &mut work);
        }

        let (mut resumed, saved) = (net.clone(), state::<f64, Parts>(&optimizer));
        assert_eq!(saved.contains_key(&(0, "4.inner.0.weight".into())), N > 0);
        assert!(!saved.contains_key(&(0, "0.weight".into())), "what is frozen has no state");
        let mut work2 = Net::workspace(Dyn(5));
        (work2.seed, work2.step) = (9, 5);
        let mut other = Descent::new(rule);
        let mut restored = 0;
        Optimizer::<f64, Parts>::restore(&mut other, optimizer.steps(), &mut |tree, leaf| {
            leaf.values.copy_from_slice(&saved[&(tree, leaf.path.to_string())]);
            restored += 1;
        });
        assert_eq!(restored, saved.len());

        for _ in 0..5 {
            let loss = step(&mut net, &mut optimizer, &mut work);
            assert_eq!(loss, step(&mut resumed, &mut other, &mut work2));
        }
        assert_eq!(numbers::<f64, _>(&net.layers), numbers::<f64, _>(&resumed.layers));
        assert_eq!(state::<f64, Parts>(&optimizer), state::<f64, Parts>(&other));
        assert_eq!(other.steps(), 10);
    }
    check(Sgd { rate: 1e-4 });
    check(Momentum { rate: 1e-4, momentum: 0.9 });
    check(Adam::new::<()>(0.01).rule);
}

/// An optimizer chosen at run time gives the same bits as this optimizer by its type.
#[test]
fn chosen_at_run_time() {
    fn train<O: Optimizer<f32, Mlp<f32>>>(mut optimizer: O) -> (Vec<f32>, u64) {
        let mut net = MlpNet::init(&mut rng(0));
        let mut work = MlpNet::workspace(Const::<7>);
        let (x, t) = (batch(Const::<7>, 1), batch(Const::<7>, 2));
        for _ in 0..20 {
            optimizer.train_step(&mut net, &x, &t, &mut work).unwrap();
        }
        (numbers(&net.layers), optimizer.steps())
    }
    let choose = |name: &str| -> Box<dyn Optimizer<f32, Mlp<f32>>> {
        match name {
            "sgd" => Box::new(Sgd::new(0.1)),
            "momentum" => Box::new(Momentum::new(0.01)),
            _ => Box::new(Adam::new(0.01)),
        }
    };
    let [sgd, momentum, adam] = ["sgd", "momentum", "adam"].map(|name| train(choose(name)));
    assert_eq!(sgd, train(Sgd::new(0.1)));
    assert_eq!(momentum, train(Momentum::new(0.01)));
    assert_eq!(adam, train(Adam::new(0.01)));
    assert!(sgd != momentum && momentum != adam);
}

/// The norm of a step is that of the clipped gradient, and its direction is that of the gradient.
#[test]
fn clipped_by_the_norm_of_all() {
    let mut net = MlpNet::<f64>::init(&mut rng(0));
    let (x, t) = (batch(Const::<4>, 1), batch(Const::<4>, 2) * 100.0);
    let (start, gradient) = (numbers(&net.layers), numbers(&net.gradient(&x, &t)));
    let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let (rate, largest) = (0.5, 0.01);
    assert!(norm > largest);
    let mut clipped = Descent::new(Clipped { rate, largest, factor: 0.0 });
    let mut work = MlpNet::workspace(Const::<4>);
    clipped.train_step(&mut net, &x, &t, &mut work).unwrap();
    // The step is rounded three times, the difference of two parameters below 4 once.
    for ((end, start), g) in numbers(&net.layers).iter().zip(&start).zip(&gradient) {
        let step = rate * largest * g / norm;
        assert!((start - end - step).abs() <= 8.0 * f64::EPSILON * (step.abs() + 1.0));
    }
    // Below the limit the step is plain SGD.
    clipped.rule.largest = 1e9;
    let mut plain = net.clone();
    clipped.train_step(&mut net, &x, &t, &mut work).unwrap();
    let mut fused = MlpNet::workspace(Const::<4>);
    Sgd::new(rate).train_step(&mut plain, &x, &t, &mut fused).unwrap();
    assert_eq!(net.layers, plain.layers);
}

/// A loss with a finite value, but with a gradient that is not finite at one output of one sample.
#[derive(Clone, Copy, Debug, Default)]
struct Lies {
    at: usize,
    with: f64,
}

impl<const N: usize, B: BatchSize> Loss<f64, D1<N>, B, ()> for Lies {
    fn loss(&self, y: &Columns<f64, N, B>, (): &(), dy: Option<&mut Columns<f64, N, B>>) -> f64 {
        if let Some(dy) = dy {
            dy.copy_from(y);
            dy.as_mut_slice()[self.at] = self.with;
        }
        1.0
    }
}

/// Parameters, state by tree and name, steps of the optimizer and of the workspace, seed.
type Everything = (Vec<f64>, HashMap<(usize, String), Vec<f64>>, u64, u64, u64);

/// Everything that a step may change.
fn all<E, O: Optimizer<f64, Mlp<f64>>, B: BatchSize>(
    net: &Network<f64, D1<3>, Mlp<f64>, E>,
    optimizer: &O,
    work: &Workspace<f64, D1<3>, Mlp<f64>, B, O::Way>,
) -> Everything {
    let state = state(optimizer);
    (numbers(&net.layers), state, optimizer.steps(), work.step, work.seed)
}

/// A step changes nothing if the loss is not finite or the batch has no samples.
#[test]
fn steps_that_cannot_be_right_change_nothing() {
    fn check<O: Optimizer<f64, Mlp<f64>>>(mut optimizer: O) {
        let mut net = MlpNet::init(&mut rng(0));
        let mut work = MlpNet::workspace(Dyn(2));
        let (x, t) = (batch(Dyn(2), 1), batch(Dyn(2), 2));
        optimizer.train_step(&mut net, &x, &t, &mut work).unwrap();
        let before = all(&net, &optimizer, &work);
        for wrong in [f64::NAN, f64::INFINITY, 1e200] {
            let mut bad = t.clone();
            bad[(1, 1)] = wrong;
            let found = optimizer.train_step(&mut net, &x, &bad, &mut work);
            assert_eq!(found, Err(StepError::Loss));
            assert!(all(&net, &optimizer, &work) == before, "{wrong}");
        }
        let mut bad = x.clone();
        bad[(0, 1)] = f64::NAN;
        let found = optimizer.train_step(&mut net, &bad, &t, &mut work);
        assert_eq!(found, Err(StepError::Loss));
        let found = optimizer.train_step(&mut net, &batch(Dyn(0), 0), &batch(Dyn(0), 0), &mut work);
        assert_eq!(found, Err(StepError::EmptyBatch));
        assert!(all(&net, &optimizer, &work) == before);
        // The next good step gives the same as without the failed one.
        optimizer.train_step(&mut net, &x, &t, &mut work).unwrap();
        assert_eq!((optimizer.steps(), work.step), (2, 2));
    }
    check(Sgd::new(0.1));
    check(Adam::new(0.1));
    check(Descent::new(Unfused(Sgd { rate: 0.1 })));
    check(Descent::new(Unfused(Momentum { rate: 0.1, momentum: 0.9 })));
    let boxed: Box<dyn Optimizer<f64, Mlp<f64>>> = Box::new(Adam::new(0.1));
    check(boxed);
}

/// A gradient that is not finite although the loss is: a whole step changes nothing, a fused step reports the error.
#[test]
fn gradients_that_are_not_finite() {
    type Net = Network<f64, D1<3>, Mlp<f64>, Lies>;
    fn step<O: Optimizer<f64, Mlp<f64>>>(
        mut optimizer: O,
        lies: Lies,
    ) -> (Result<f64, StepError>, bool) {
        let mut net = Net::new(init::<f64, Mlp<f64>, 3>(), lies);
        let mut work = Net::workspace(Const::<9>);
        let before = all(&net, &optimizer, &work);
        let found = optimizer.train_step(&mut net, &batch(Const::<9>, 1), &(), &mut work);
        (found, all(&net, &optimizer, &work) == before)
    }
    for with in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for at in [0, 7, 17] {
            let lies = Lies { at, with };
            // The gradients of the last and of the first layer are not finite; the error names the first.
            let error = Err(StepError::Gradient { leaf: Some(0), name: Some("weight") });
            assert_eq!(step(Descent::new(Unfused(Sgd { rate: 0.1 })), lies), (error, true));
            assert_eq!(step(Descent::new(Unfused(Adam::new::<()>(0.1).rule)), lies), (error, true));
            let boxed: Box<dyn Optimizer<f64, Mlp<f64>>> = Box::new(Sgd::new(0.1));
            assert_eq!(step(boxed, lies), (error, true));

            let error = Err(StepError::Gradient { leaf: None, name: None });
            assert_eq!(step(Sgd::new(0.1), lies).0, error, "{lies:?}");
            assert_eq!(step(Momentum::new(0.1), lies).0, error, "{lies:?}");
            assert_eq!(step(Adam::new(0.1), lies).0, error, "{lies:?}");
        }
    }
    // Also in a step by hand.
    let (mut layer, mut bad) = (Affine::<f64, 2, 1>::zeros(), Affine::zeros());
    bad.bias[0] = f64::NAN;
    let mut adam = Adam::new(0.1);
    let found = adam.step(&mut layer, &bad);
    assert_eq!(found, Err(StepError::Gradient { leaf: Some(1), name: Some("bias") }));
    assert_eq!((layer, adam.steps()), (Affine::zeros(), 0));
}

/// One bad label stops a training. The error has the iteration, and the weights are those of the step before.
#[test]
fn a_training_stops_where_it_goes_wrong() {
    type Net = TwoLayerNet<f64, 3, 4, 2>;
    let inputs: Vec<[f64; 3]> = (0..100).map(|i| [f64::from(i) / 50.0 - 1.0, 0.5, -0.5]).collect();
    let labels = |bad| (0..100).map(|i| if i == 40 { bad } else { i % 2 }).collect::<Vec<_>>();
    let good = Dataset::new(inputs.clone(), labels(0)).unwrap();
    let bad = Dataset::new(inputs, labels(7)).unwrap();
    let train = |data, iterations| {
        let (mut net, mut adam) = (Net::init(&mut rng(0)), Adam::new(0.01));
        let (training, mut seen) = (Training { batch: Dyn(4), iterations, seed: 5 }, 0);
        let ended = training.run(&mut net, &mut adam, data, |_| seen += 1);
        (ended, net.layers, seen, state::<f64, (Affine<f64, 3, 4>, Relu, Affine<f64, 4, 2>)>(&adam))
    };
    let (ended, layers, seen, state) = train(&bad, 1000);
    let TrainingError { iteration, cause } = ended.unwrap_err();
    assert_eq!(cause, TrainingCause::Step(StepError::Loss));
    assert!(seen == iteration && iteration > 0);
    let before = train(&good, iteration);
    assert!(before == (Ok(()), layers, seen, state));
    let said = ended.unwrap_err().to_string();
    assert_eq!(said, format!("iteration {iteration}: the loss is not finite; nothing was changed"));

    let (mut net, mut sgd) = (Net::init(&mut rng(0)), Sgd::new(0.1));
    let training = Training { batch: Dyn(0), iterations: 3, seed: 0 };
    let cause = TrainingCause::Step(StepError::EmptyBatch);
    let found = training.run(&mut net, &mut sgd, &good, |_| ());
    assert_eq!(found, Err(TrainingError { iteration: 0, cause }));
}

type Tree = <Mlp<f32> as Parameters<f32>>::Gradient;

/// An optimizer with all settings and state in a `static`, and its memory as a constant.
static ADAM: Mutex<Descent<Adam<f32>, Tree, 2>> =
    Mutex::new(Descent::with(Adam { rate: 0.01, betas: [0.9, 0.999], parts: [1.0; 2] }));
static WORK: Mutex<Workspace<f32, D1<3>, Mlp<f32>, Const<8>, Fused>> =
    Mutex::new(ConstZeros::ZEROS);
const NEED: Memory = MlpNet::<f32>::memory::<Adam<f32>, _, 8>();
const _: () = assert!(NEED.total() <= 4096);

#[test]
fn in_a_static() {
    let (mut adam, mut work) = (ADAM.lock().unwrap(), WORK.lock().unwrap());
    let (mut a, mut b) = (MlpNet::init(&mut rng(0)), MlpNet::init(&mut rng(0)));
    let (x, t) = (batch(Const::<8>, 1), batch(Const::<8>, 2));
    let (mut other, mut other_work) = (Adam::new(0.01), MlpNet::workspace(Const::<8>));
    for _ in 0..3 {
        adam.train_step(&mut a, &x, &t, &mut work).unwrap();
        other.train_step(&mut b, &x, &t, &mut other_work).unwrap();
    }
    assert_eq!(a.layers, b.layers);

    let parameters = 3 * 5 + 5 + 5 * 2 + 2;
    assert_eq!((NEED.parameters, NEED.gradient), (4 * parameters, 0));
    // Two states; the rate, two betas, their bias corrections at the step; the number of steps.
    assert_eq!(NEED.optimizer, 4 * (2 * parameters + 5) + 4 + 8);
    const WHOLE: Memory = MlpNet::<f32>::memory::<Unfused<Adam<f32>>, _, 8>();
    assert_eq!((WHOLE.gradient, WHOLE.optimizer), (4 * parameters, NEED.optimizer));
    assert_eq!(MlpNet::<f32>::memory::<Sgd<f32>, _, 8>().optimizer, 16);
}

/// A fused step reports a gradient that is not finite, though dy is finite: because an input is not, or because a product
/// is too large.
#[test]
fn fused_steps_report_products_that_are_not_finite() {
    type Layers = (Affine<f32, 2, 2>, Tanh, Affine<f32, 2, 1>);
    type Net = Network<f32, D1<2>, Layers, SumSquaredError>;
    fn refused<O: Optimizer<f32, Layers, Way = Fused>>(mut optimizer: O) {
        for x in [[1.0, f32::INFINITY], [f32::INFINITY, 1.0], [1.0, f32::NEG_INFINITY]] {
            let mut net = Net::init(&mut rng(0));
            let mut work = Net::workspace(Const::<1>);
            let found =
                optimizer.train_step(&mut net, &Vector2::from(x), &Vector1::new(0.5), &mut work);
            assert_eq!(found, Err(StepError::Gradient { leaf: None, name: None }), "{x:?}");
        }
    }
    refused(Sgd::new(0.1));
    refused(chainrule::Adam::new(0.1));
    refused(chainrule::Momentum::new(0.1, 0.9));

    type Line = Network<f32, D1<2>, Affine<f32, 2, 1>, SumSquaredError>;
    for x in [[0.0, 1e30], [1e30, 0.0]] {
        let mut net = Line::new(Affine::zeros(), SumSquaredError);
        let mut work = Line::workspace(Const::<1>);
        let found =
            Sgd::new(0.1).train_step(&mut net, &Vector2::from(x), &Vector1::new(1e10), &mut work);
        assert_eq!(found, Err(StepError::Gradient { leaf: None, name: None }), "{x:?}");
    }
    // Large numbers whose product is finite are no error.
    let mut net = Line::new(Affine::zeros(), SumSquaredError);
    let mut work = Line::workspace(Const::<1>);
    Sgd::new(1e-30)
        .train_step(&mut net, &Vector2::new(1e20, 0.0), &Vector1::new(1e5), &mut work)
        .unwrap();
}

/// No number of steps overflows.
#[test]
fn the_last_step() {
    let mut adam: Descent<_, <Affine<f64, 2, 1> as Parameters<f64>>::Gradient, 2> =
        chainrule::Adam::new(0.1);
    Optimizer::<f64, Affine<f64, 2, 1>>::restore(&mut adam, u64::MAX, &mut |_, _| ());
    let mut layer = Affine::<f64, 2, 1>::zeros();
    let mut gradient = layer;
    gradient.weight.fill(1.0);
    adam.step(&mut layer, &gradient).unwrap();
    assert!(layer.weight.iter().all(|w| w.is_finite() && *w < 0.0), "{}", layer.weight);
}

/// A part of a schedule may have no steps.
#[test]
fn one_cycle_that_does_not_rise() {
    use chainrule::schedule::{OneCycle, Schedule};
    let one_cycle = OneCycle::<f64> { steps: 10, rise: 0.1, first: 0.04, last: 4e-6 };
    assert_eq!(one_cycle.factor(0), 1.0);
    assert!((0..20).all(|step| one_cycle.factor(step).is_finite()));
}
