//! If sizes disagree, the result is NaN and never a number that could be right. Also: backward passes that nobody needs
//! do not run.

use chainrule::*;
use nalgebra::{Const, Dyn, SMatrix};
use std::{cell::Cell, mem::MaybeUninit};

fn columns<const N: usize>(samples: usize) -> Columns<f64, N, Dyn> {
    let number = |i: usize, s: usize| ((i * 7 + s * 3) % 11) as f64 - 4.0;
    Columns::<f64, N, Dyn>::from_fn_generic(Const, Dyn(samples), number)
}

fn all_nan<'a>(numbers: impl IntoIterator<Item = &'a f64>) -> bool {
    numbers.into_iter().all(|number| number.is_nan())
}

fn leaves_are_nan<L: Parameters<f64>>(tree: &L) -> bool {
    let mut nan = true;
    tree.visit(&Path::ROOT, &mut |leaf| nan &= all_nan(leaf.values));
    nan
}

/// The gradient on the outputs has another number of samples.
#[test]
fn a_gradient_for_another_batch() {
    let layers = (
        Affine::<f64, 3, 4>::new(SMatrix::repeat(0.5), SMatrix::repeat(1.0)),
        Relu,
        Affine::<f64, 4, 2>::new(SMatrix::repeat(0.25), SMatrix::repeat(1.0)),
    );
    let net = Network::<f64, D1<3>, _, _>::new(layers, SumSquaredError);
    let x = columns::<3>(4);
    for samples in [0, 1, 3, 5, 16] {
        let dy = columns::<2>(samples);
        let (dx, gradient) = layers.trace(&x).backward(&dy);
        assert!(dx.ncols() == 4 && all_nan(&dx) && leaves_are_nan(&gradient), "{samples}");
        let (dx, gradient) = layers.2.trace(&columns(4)).backward(&dy);
        assert!(all_nan(&dx) && leaves_are_nan(&gradient), "{samples}");

        let (y, dx, gradient) = net.vjp(&x, &dy);
        assert_eq!(y, net.predict(&x));
        assert!(dx.ncols() == 4 && all_nan(&dx) && leaves_are_nan(&gradient), "{samples}");
    }
    // With the right size the result is a number.
    let (y, dx, gradient) = net.vjp(&x, &columns(4));
    assert!(y.iter().chain(&dx).all(|number| number.is_finite()));
    assert!(gradient.0.weight.iter().chain(&gradient.2.bias).all(|number| number.is_finite()));
}

/// One layer, called with an output, a gradient on it, and a gradient on the input, each with its own number of
/// samples.
fn forward<L: Layer<f64, D1<3>>>(layer: &L, x: usize, y: usize) -> Vec<f64>
where
    L::Out: Flat,
{
    let (mut cache, mut room) = (Buffer::new(Dyn(x)), MaybeUninit::uninit());
    let mut out: Batch<f64, L::Out, Dyn> = Buffer::new(Dyn(y));
    let (scratch, pass) = (Scratch::lent(&mut room), &mut Pass::Predict);
    let (x, y) = (&columns(x), &mut out);
    layer.forward::<Dyn, ToPredict>(Forward { x, y, cache: &mut cache, scratch, pass });
    L::Out::flat::<f64, Dyn>(&out).to_vec()
}

#[test]
fn an_output_for_another_batch() {
    fn check<L: Layer<f64, D1<3>>>(name: &str, layer: L)
    where
        L::Out: Flat,
    {
        for (x, y) in [(4, 3), (4, 5), (4, 1), (1, 4), (0, 2), (20, 40)] {
            assert!(all_nan(&forward(&layer, x, y)), "{name}: {x} samples into {y}");
        }
        assert!(forward(&layer, 4, 4).iter().all(|y| y.is_finite()), "{name}");
    }
    check("affine", Affine::<f64, 3, 2>::new(SMatrix::repeat(0.5), SMatrix::repeat(1.0)));
    check("relu", Relu);
    check("sigmoid", Sigmoid);
    check("tanh", Tanh);
    check("gelu", Gelu);
    check("softplus", Softplus);
    check("identity", Identity);
    check("softmax", Softmax);
}

#[test]
fn a_backward_pass_for_another_batch() {
    fn check<L: Layer<f64, D1<3>>>(name: &str, layer: L)
    where
        L::Out: Flat,
    {
        // Samples of x, of dy and of dx. (Not every layer looks at x or y, which agree.)
        for (x, dy, dx) in [(4, 4, 3), (4, 4, 5), (4, 3, 4), (4, 5, 4), (4, 3, 3), (20, 10, 20)] {
            let (mut cache, mut room) = (Buffer::new(Dyn(x)), MaybeUninit::uninit());
            let mut y: Batch<f64, L::Out, Dyn> = Buffer::new(Dyn(x));
            let mut dy_: Batch<f64, L::Out, Dyn> = Buffer::new(Dyn(dy));
            L::Out::flat_mut::<f64, Dyn>(&mut y).fill(0.5);
            L::Out::flat_mut::<f64, Dyn>(&mut dy_).fill(1.0);
            let (mut out, mut gradient) = (columns::<3>(dx), L::Gradient::zeros());
            let (x_, scratch) = (&columns::<3>(x), Scratch::lent(&mut room));
            let at =
                Backward { x: x_, y: &y, cache: &mut cache, scratch, dy: &dy_, dx: Some(&mut out) };
            L::backward::<Dyn, _>(Grad::set(&layer, &mut gradient), at);
            assert!(dy == dx || all_nan(&out), "{name}: {x} samples, dy of {dy}, dx of {dx}");
            // A sum of dy alone, such as a bias takes, fits any x.
            let mut weights_are_nan = true;
            gradient.visit(&Path::ROOT, &mut |leaf| {
                weights_are_nan &= leaf.shape.1 == 1 || all_nan(leaf.values);
            });
            assert!(x == dy || weights_are_nan, "{name}: {x} samples, dy of {dy}");
        }
    }
    check("affine", Affine::<f64, 3, 2>::new(SMatrix::repeat(0.5), SMatrix::repeat(1.0)));
    check("relu", Relu);
    check("sigmoid", Sigmoid);
    check("tanh", Tanh);
    check("gelu", Gelu);
    check("softplus", Softplus);
    check("identity", Identity);
    check("softmax", Softmax);
}

/// Plain SGD as a `Whole` rule, which leaves the gradient in the workspace.
struct Plain;

impl Rule<f64, 0> for Plain {
    type Way = Whole;

    fn update(&self, piece: Piece<f64, 0>) {
        ops::add_scaled(-1.0, piece.gradient, piece.values);
    }
}

/// A training step leaves its gradient in the workspace, and `accumulate` adds the next gradient to it once.
#[test]
fn accumulation_after_a_step() {
    type Layers = (Affine<f64, 2, 3>, Identity, Affine<f64, 3, 2>);
    type Net = Network<f64, D1<2>, Layers, SumSquaredError>;
    let first = Affine::new(SMatrix::repeat(1.0), SMatrix::repeat(-1.0));
    let last = Affine::new(SMatrix::repeat(2.0), SMatrix::repeat(1.0));
    let mut net = Net::new((first, Identity, last), SumSquaredError);
    let mut work = Net::workspace(Const::<4>);
    // Small integers and a batch of four: all sums are exact, in any order.
    let x = SMatrix::<f64, 2, 4>::new(1.0, 0.0, 2.0, -1.0, 3.0, 1.0, -2.0, 0.0);
    let t = SMatrix::<f64, 2, 4>::new(4.0, 0.0, -4.0, 8.0, 0.0, 4.0, 4.0, -8.0);
    let step = net.gradient(&x, &t);
    Descent::new(Plain).train_step(&mut net, &x, &t, &mut work).unwrap();
    assert_eq!(work.grad, step);
    let second = net.gradient(&t, &x);
    net.accumulate(&t, &x, &mut work);
    assert_eq!(work.grad.0.weight, step.0.weight + second.0.weight);
    assert_eq!(work.grad.0.bias, step.0.bias + second.0.bias);
    assert_eq!(work.grad.2.weight, step.2.weight + second.2.weight);
    assert_eq!(work.grad.2.bias, step.2.bias + second.2.bias);
    assert!(step.2.bias.amax() > 0.0 && second.2.bias.amax() > 0.0);
}

thread_local! {
    static BACKWARD: Cell<usize> = const { Cell::new(0) };
}

/// y = x, and counts its backward passes.
#[derive(Clone, Copy)]
struct Counting;

parameters!(Counting {});

impl<T: Number, S: Flat> Layer<T, S> for Counting {
    type Out = S;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        at.y.clone_from(at.x);
    }

    fn backward<B: BatchSize, D: Destination<T>>(_: Grad<T, Self, D>, at: Backward<T, S, Self, B>) {
        BACKWARD.set(BACKWARD.get() + 1);
        if let Some(dx) = at.dx {
            dx.clone_from(at.dy);
        }
    }
}

fn backward_passes(f: impl FnOnce()) -> usize {
    let before = BACKWARD.get();
    f();
    BACKWARD.get() - before
}

/// The backward pass runs through frozen first layers only if the caller needs the gradient on the input.
#[test]
fn a_frozen_front_does_not_go_back() {
    type A<const I: usize, const O: usize> = Affine<f64, I, O>;
    fn check<L: Layer<f64, D1<3>, Out = D1<2>> + Zeros>(layers: L, passes: usize) {
        let mut net = Network::<f64, D1<3>, L, _>::new(layers, SumSquaredError);
        let (x, t) = (SMatrix::<f64, 3, 4>::repeat(1.0), SMatrix::<f64, 2, 4>::zeros());
        let mut work = Network::<f64, D1<3>, L, SumSquaredError>::workspace(Const::<4>);
        let mut fused = Network::<f64, D1<3>, L, SumSquaredError>::workspace(Const::<4>);
        let steps = backward_passes(|| {
            net.backprop(&x, &t, &mut work);
            net.accumulate(&x, &t, &mut work);
            net.gradient(&x, &t);
            Sgd::new(0.1).train_step(&mut net, &x, &t, &mut fused).unwrap();
            Adam::new(0.1).train_step(&mut net, &x, &t, &mut fused).unwrap();
        });
        assert_eq!(steps, 0);
        assert_eq!(backward_passes(|| _ = net.input_gradient(&x, &t)), passes);
        assert_eq!(backward_passes(|| drop(net.vjp(&x, &t))), passes);
    }
    let (a, b, c) = (A::<3, 4>::zeros(), A::<4, 4>::zeros(), A::<4, 2>::zeros());
    check((Frozen((a, Counting, b)), c), 1);
    check((Counting, Frozen((a, Counting, b)), Counting, c), 3);
    check(((Frozen(a), Counting, Frozen((b, Counting))), (Counting, c)), 3);
    check(Box::new((Frozen((a, Counting)), (Counting, b), Relu, c)), 2);
}

/// Sizes whose product wraps around to something small: the allocator refuses them, and no shape lies over less memory.
#[test]
fn sizes_beyond_the_address_space() {
    const HALF: usize = usize::MAX / 2 + 1;
    let calls: [fn(); 4] = [
        || drop(Dyn(HALF).columns::<f32, 2>()),
        || drop(Dyn(HALF / 2).columns::<f32, 784>()),
        || drop(<Image<1, 2, 2> as Shape>::Batch::<f32, Dyn>::new(Dyn(HALF / 2))),
        || drop(TwoLayerNet::<f32, 4, 8, 2>::workspace::<Dyn, Whole>(Dyn(HALF / 2))),
    ];
    for (i, call) in calls.into_iter().enumerate() {
        assert!(std::panic::catch_unwind(call).is_err(), "call {i}");
    }
}
