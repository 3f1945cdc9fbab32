//! Backpropagation against numerical gradients: every layer and loss, inputs and parameters, random
//! shapes, batches and values, random gradients from above, and the largest difference.

use chainrule::*;
use nalgebra::{Const, Dyn, SMatrix};
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::mem::MaybeUninit;

/// The step of a central difference: ∛ε. The error of the formula is h²/6·f‴. The error of rounding is about
/// ε/h = h² times the size of the sum. So a multiple of h² bounds both.
fn step() -> f64 {
    f64::EPSILON.cbrt()
}

/// The largest number of roundings of ε in a sum of a few dozen products.
const ROUNDINGS: f64 = 64.0;

/// Random numbers from -2 to 2 that f32 can hold, none within a hundredth of the kink at zero.
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
    move || {
        let x: f64 = rng.random_range(-2.0..2.0);
        f64::from((if x.abs() < 0.01 { 0.5 } else { x }) as f32)
    }
}

/// A batch of the same shape, with `f` of each entry.
fn map_batch<S: Flat, T: Number, U: Number>(
    x: &S::Batch<T, Dyn>,
    mut f: impl FnMut(T) -> U,
) -> S::Batch<U, Dyn> {
    let mut out: S::Batch<U, Dyn> = Buffer::new(S::size::<T, Dyn>(x));
    let entries = S::flat::<T, Dyn>(x).iter();
    for (to, &x) in S::flat_mut::<U, Dyn>(&mut out).iter_mut().zip(entries) {
        *to = f(x);
    }
    out
}

fn values<T: Number, L: Parameters<T>>(layer: &L) -> Vec<T> {
    let mut all = Vec::new();
    layer.visit(&Path::ROOT, &mut |leaf| all.extend_from_slice(leaf.values));
    all
}

/// dx and the gradient of the parameters, computed in memory that holds other numbers before.
fn backward<T: Number, In: Flat, L: Layer<T, In>>(
    layer: &L,
    x: &In::Batch<T, Dyn>,
    dy: &Batch<T, L::Out, Dyn>,
) -> (Vec<T>, Vec<T>)
where
    L::Out: Flat,
{
    let size = In::size::<T, Dyn>(x);
    let mut y: Batch<T, L::Out, Dyn> = Buffer::new(size);
    let (mut cache, mut grad) = (Buffer::new(size), L::Gradient::zeros());
    let poison = nalgebra::convert::<f64, T>(f64::NAN);
    let mut dx = map_batch::<In, T, T>(x, |_| poison);
    grad.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| leaf.values.fill(poison));
    let mut room = MaybeUninit::uninit();
    let (scratch, pass) = (Scratch::lent(&mut room), &mut Pass::Predict);
    let at = Forward { x, y: &mut y, cache: &mut cache, scratch, pass };
    layer.forward::<Dyn, ToTrain>(at);
    let (scratch, dx_) = (Scratch::lent(&mut room), Some(&mut dx));
    let at = Backward { x, y: &y, cache: &mut cache, scratch, dy, dx: dx_ };
    L::backward::<Dyn, _>(Grad::set(layer, &mut grad), at);
    (In::flat::<T, Dyn>(&dx).to_vec(), values(&grad))
}

/// A copy of `layer` in which `f` has changed each number; `f` also gets the index of the number.
fn with<L: Parameters<f64> + Clone>(layer: &L, mut f: impl FnMut(usize, &mut f64)) -> L {
    let (mut layer, mut at) = (layer.clone(), 0);
    layer.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<f64, 0>| {
        for value in leaf.values {
            f(at, value);
            at += 1;
        }
    });
    layer
}

/// The largest difference between `found` and the central differences of the sum of `terms`.
fn largest(found: &[f64], terms: impl Fn(usize, f64) -> Vec<f64>) -> f64 {
    let difference = |i, dx: f64| {
        let pairs = terms(i, step()).into_iter().zip(terms(i, -step()));
        (dx - pairs.map(|(above, below)| above - below).sum::<f64>() / (2.0 * step())).abs()
    };
    // Not `f64::max`, which ignores NaN.
    let all = found.iter().enumerate().map(|(i, &dx)| difference(i, dx));
    all.fold(0.0, |top, d| if top.is_nan() || d <= top { top } else { d })
}

/// Checks f64 against central differences, and f32 against f64 at the same point.
fn check<In: Flat, L>(layer: L, batch: usize, seed: u64) -> Result<(), TestCaseError>
where
    L: Layer<f64, In> + Clone,
    L::With<f32>: Layer<f32, In, Out = L::Out>,
    L::Out: Flat,
{
    let mut number = numbers(seed);
    let layer = with(&layer, |_, w| *w = number());
    let mut x: In::Batch<f64, Dyn> = Buffer::new(Dyn(batch));
    let mut dy: Batch<f64, L::Out, Dyn> = Buffer::new(Dyn(batch));
    In::flat_mut::<f64, Dyn>(&mut x).fill_with(&mut number);
    L::Out::flat_mut::<f64, Dyn>(&mut dy).fill_with(&mut number);
    let (dx, grad) = backward::<f64, In, _>(&layer, &x, &dy);

    // The function is Σ dy·y. Its size bounds the rounding. The third derivative of each layer is at most 2, and the
    // formula has a sixth of it times h². So a factor of 64 leaves room for the weights of a chain, which are below 2.
    let outputs = |layer: &L, x: &In::Batch<f64, Dyn>| {
        let trace = Trace::<f64, In, L, Dyn>::new(layer, x, &mut Pass::Predict);
        L::Out::flat::<f64, Dyn>(&trace.y).to_vec()
    };
    let weigh = |y: Vec<f64>| -> Vec<f64> {
        y.iter().zip(L::Out::flat::<f64, Dyn>(&dy)).map(|(y, dy)| y * dy).collect()
    };
    let size = outputs(&layer, &x).into_iter().map(|y| y.abs() + 2.0).collect();
    let scale: f64 = weigh(size).iter().map(|term| term.abs()).sum();
    let tolerance = ROUNDINGS * step() * step() * scale;
    let worst = largest(&dx, |i, h| {
        let mut x = x.clone();
        In::flat_mut::<f64, Dyn>(&mut x)[i] += h;
        weigh(outputs(&layer, &x))
    });
    prop_assert!(worst <= tolerance, "dx is off by {worst}, more than {tolerance}");
    let worst = largest(&grad, |i, h| {
        let moved = with(&layer, |at, w| *w += if at == i { h } else { 0.0 });
        weigh(outputs(&moved, &x))
    });
    prop_assert!(worst <= tolerance, "dw is off by {worst}, more than {tolerance}");

    let narrow = |x: f64| x as f32;
    let (dx32, grad32) = backward::<f32, In, _>(
        &layer.map_scalar(&mut |w| narrow(w)),
        &map_batch::<In, f64, f32>(&x, narrow),
        &map_batch::<L::Out, f64, f32>(&dy, narrow),
    );
    let tolerance = ROUNDINGS * f64::from(f32::EPSILON) * scale;
    for (wide, narrow) in dx.iter().zip(&dx32).chain(grad.iter().zip(&grad32)) {
        let off = (wide - f64::from(*narrow)).abs();
        prop_assert!(off <= tolerance, "f32 is off by {off}, more than {tolerance}");
    }
    Ok(())
}

/// Losses: dy against central differences in y.
fn check_loss<const N: usize, E, Y>(
    criterion: E,
    batch: usize,
    seed: u64,
    target: impl Fn(&mut dyn FnMut() -> f64) -> Y,
) -> Result<(), TestCaseError>
where
    E: Loss<f64, D1<N>, Dyn, Y>,
{
    let mut number = numbers(seed);
    let target = target(&mut number);
    let mut y: Columns<f64, N, Dyn> = Buffer::new(Dyn(batch));
    y.as_mut_slice().fill_with(&mut number);
    let mut dy = y.map(|_| f64::NAN);
    let loss = criterion.loss(&y, &target, Some(&mut dy));
    // A mean of `batch` losses: one rounding for each term, and a third derivative below 2.
    let tolerance = ROUNDINGS * step() * step() * (loss.abs() + 2.0);
    let worst = largest(dy.as_slice(), |i, h| {
        let mut y = y.clone();
        y.as_mut_slice()[i] += h;
        vec![criterion.loss(&y, &target, None)]
    });
    prop_assert!(worst <= tolerance, "dy is off by {worst}, more than {tolerance}");
    Ok(())
}

/// One of the compiled shapes, chosen by its number.
macro_rules! shapes {
    ($shape:expr, $check:ident: $(($($size:literal),+)),+) => {{
        let checks = [$($check::<$($size),+> as fn(usize, u64) -> Result<(), TestCaseError>),+];
        checks[$shape as usize % checks.len()]
    }};
}

fn affine<const I: usize, const O: usize>(batch: usize, seed: u64) -> Result<(), TestCaseError> {
    check::<D1<I>, _>(Affine::<f64, I, O>::zeros(), batch, seed)
}

fn activations<const N: usize>(batch: usize, seed: u64) -> Result<(), TestCaseError> {
    check::<D1<N>, _>(Relu, batch, seed)?;
    check::<D1<N>, _>(Sigmoid, batch, seed)?;
    check::<D1<N>, _>(Tanh, batch, seed)?;
    check::<D1<N>, _>(Gelu, batch, seed)?;
    check::<D1<N>, _>(Softplus, batch, seed)?;
    check::<D1<N>, _>(Identity, batch, seed)?;
    check::<D1<N>, _>(Softmax, batch, seed)
}

fn chains<const I: usize, const H: usize, const O: usize>(
    batch: usize,
    seed: u64,
) -> Result<(), TestCaseError> {
    type A<const I: usize, const O: usize> = Affine<f64, I, O>;
    let (first, last) = (A::<I, H>::zeros(), A::<H, O>::zeros());
    check::<D1<I>, _>((first, Sigmoid, last), batch, seed)?;
    check::<D1<I>, _>(((Sigmoid, first), Box::new((Sigmoid, last, Softmax))), batch, seed)?;
    check::<D1<I>, _>((Box::new(first), Tanh), batch, seed)
}

fn losses<const N: usize>(batch: usize, seed: u64) -> Result<(), TestCaseError> {
    let labels = |number: &mut dyn FnMut() -> f64| -> Vec<usize> {
        (0..batch).map(|_| (number().abs() * 1e4) as usize % N).collect()
    };
    let matrix = |number: &mut dyn FnMut() -> f64| {
        let mut t: Columns<f64, N, Dyn> = Buffer::new(Dyn(batch));
        t.as_mut_slice().fill_with(|| number().abs());
        t
    };
    // The softmax of one output is always 1, so this loss refuses one output.
    if N > 1 {
        check_loss::<N, _, _>(SoftmaxCrossEntropy, batch, seed, labels)?;
        check_loss::<N, _, _>(SoftmaxCrossEntropy, batch, seed, matrix)?;
    }
    check_loss::<N, _, _>(SumSquaredError, batch, seed, matrix)
}

fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::Direct("proptest-regressions/gradients.txt");
    ProptestConfig { failure_persistence: Some(Box::new(seeds)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn affine_layers(shape: u8, batch in 1usize..6, seed: u64) {
        shapes!(shape, affine: (1, 1), (1, 4), (4, 1), (3, 2), (5, 7), (8, 8))(batch, seed)?;
    }

    #[test]
    fn activation_layers(shape: u8, batch in 1usize..6, seed: u64) {
        shapes!(shape, activations: (1), (2), (5), (9))(batch, seed)?;
    }

    #[test]
    fn tuples_and_boxes(shape: u8, batch in 1usize..6, seed: u64) {
        shapes!(shape, chains: (1, 1, 1), (3, 4, 2), (2, 6, 5))(batch, seed)?;
    }

    #[test]
    fn loss_functions(shape: u8, batch in 1usize..6, seed: u64) {
        shapes!(shape, losses: (1), (2), (3), (10))(batch, seed)?;
    }

    /// Compares products with their definition, at sizes for which the packed kernels are used.
    #[test]
    fn large_products(shape: u8, batch in 6usize..48, seed: u64) {
        shapes!(shape, product: (6, 6), (17, 33), (33, 17), (64, 50), (50, 10), (6, 130))(batch, seed)?;
    }
}

fn product<const I: usize, const O: usize>(batch: usize, seed: u64) -> Result<(), TestCaseError> {
    let mut number = numbers(seed);
    let layer = with(&Affine::<f64, I, O>::zeros(), |_, w| *w = number());
    let mut x: Columns<f64, I, Dyn> = Buffer::new(Dyn(batch));
    let mut dy: Columns<f64, O, Dyn> = Buffer::new(Dyn(batch));
    x.as_mut_slice().fill_with(&mut number);
    dy.as_mut_slice().fill_with(&mut number);
    let y = layer.trace(&x).y;
    let (dx, dw) = backward::<f64, D1<I>, _>(&layer, &x, &dy);

    // A sum of n products of numbers below 2 is off by less than n·ε·4n.
    let off = |n: usize| f64::EPSILON * 4.0 * (n * n) as f64;
    for s in 0..batch {
        for o in 0..O {
            let sum: f64 = (0..I).map(|i| layer.weight[(o, i)] * x[(i, s)]).sum();
            prop_assert!((y[(o, s)] - sum - layer.bias[o]).abs() <= off(I + 1));
        }
        for i in 0..I {
            let sum: f64 = (0..O).map(|o| layer.weight[(o, i)] * dy[(o, s)]).sum();
            prop_assert!((dx[s * I + i] - sum).abs() <= off(O));
        }
    }
    for o in 0..O {
        for i in 0..I {
            let sum: f64 = (0..batch).map(|s| dy[(o, s)] * x[(i, s)]).sum();
            prop_assert!((dw[i * O + o] - sum).abs() <= off(batch));
        }
        let sum: f64 = (0..batch).map(|s| dy[(o, s)]).sum();
        prop_assert!((dw[I * O + o] - sum).abs() <= off(batch));
    }
    Ok(())
}

/// The same methods for any stack of layers, on parameters and on the input.
#[test]
fn whole_nets() {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(3);
    let layers = (
        Affine::<f64, 5, 7>::xavier(&mut rng),
        Tanh,
        Affine::<f64, 7, 6>::xavier(&mut rng),
        Sigmoid,
        Affine::<f64, 6, 3>::xavier(&mut rng),
    );
    let net = Network::<f64, D1<5>, _, _>::new(layers, SoftmaxCrossEntropy);
    let x = SMatrix::<f64, 5, 4>::from_fn(|_, _| rng.random_range(-1.0..1.0));
    let t = [2, 0, 1, 1];
    // The loss is of size 1, and so are its derivatives.
    let tolerance = ROUNDINGS * step() * step();
    let [a, b] = [net.gradient(&x, &t), net.numerical_gradient(&x, &t)].map(|g| values(&g));
    assert_eq!(
        a.len(),
        Network::<
            f64,
            D1<5>,
            (Affine<f64, 5, 7>, Tanh, Affine<f64, 7, 6>, Sigmoid, Affine<f64, 6, 3>),
            SoftmaxCrossEntropy,
        >::parameter_count()
    );
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < tolerance));
    let (a, b) = (net.input_gradient(&x, &t), net.numerical_input_gradient(&x, &t));
    assert!((a - b).iter().all(|d| d.abs() < tolerance) && a.amax() > 1e-3);
}

/// A frozen layer passes the gradient on and has none itself. The other layers get the same gradients as without it.
#[test]
fn frozen_layers() {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(4);
    let first = Affine::<f64, 5, 4>::he(&mut rng);
    let last = Affine::<f64, 4, 3>::he(&mut rng);
    let x = SMatrix::<f64, 5, 2>::from_fn(|_, _| rng.random_range(-1.0..1.0));
    let whole = Network::<f64, D1<5>, _, _>::new((first, Tanh, last), SoftmaxCrossEntropy);
    let head = Network::<f64, D1<5>, _, _>::new((Frozen(first), Tanh, last), SoftmaxCrossEntropy);
    let ((), (), tuned) = head.gradient(&x, &[0, 2]);
    assert_eq!(tuned, whole.gradient(&x, &[0, 2]).2);
    assert_eq!(head.input_gradient(&x, &[0, 2]), whole.input_gradient(&x, &[0, 2]));
    let ((), (), numerical) = head.numerical_gradient(&x, &[0, 2]);
    assert!(
        (numerical.weight - tuned.weight).iter().all(|d| d.abs() < ROUNDINGS * step() * step())
    );
}

/// `accumulate` adds, `backprop` overwrites, and a batch is the mean of its samples.
#[test]
fn micro_batches() {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(5);
    let net = TwoLayerNet::<f64, 6, 5, 3>::normal(0.5, &mut rng);
    let x = SMatrix::<f64, 6, 4>::from_fn(|_, _| rng.random_range(-1.0..1.0));
    let labels = [0, 2, 1, 1];
    let mut whole = TwoLayerNet::workspace(Const::<4>);
    let mut halves = TwoLayerNet::workspace(Const::<2>);
    for _ in 0..2 {
        net.backprop(&x, &labels, &mut whole);
        net.backprop(&x.fixed_columns::<2>(0).into_owned(), &[0, 2], &mut halves);
        net.accumulate(&x.fixed_columns::<2>(2).into_owned(), &[1, 1], &mut halves);
        let (a, b) = (values(&whole.grad), values(&halves.grad));
        // Sums of four products of size 1, in another order.
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b / 2.0).abs() < 1e-15));
    }
}
