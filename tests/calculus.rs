//! Derivatives of nets and second-order training. `CHAINRULE_STARTS=30` runs as many starts of each problem as
//! the documentation's tables.

use chainrule::*;
use nalgebra::{
    ComplexField, Const, RealField, SMatrix, SVector, Vector2, Vector3, convert, try_convert,
};
use num_dual::{Dual64, HyperDual64};
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::f64::consts::PI;

type A<const I: usize, const O: usize> = Affine<f64, I, O>;

/// The first values of PyTorch: weights and biases uniform within ±1/√inputs.
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

/// The friction of a joint over its velocity.
fn force(v: f64) -> f64 {
    0.5 * ((25.0 * v).tanh() - v.tanh()) + 0.2 * v.tanh() + 0.03 * v
}

#[test]
fn friction() {
    type Layers = (A<1, 3>, Tanh, A<3, 3>, Tanh, A<3, 1>);
    type Net = Network<f64, D1<1>, Layers, SumSquaredError>;
    const P: usize = Net::weight_count();
    let x = line::<41>();
    let t = x.map(force);
    let counts = iterations("friction", |seed| {
        solve::<_, P, 1, 1, 41>(zero_layers::<Layers>(), seed, &x, &t, 1e-5)
    });
    assert!(median(&counts) <= 20 && counts.last() <= Some(&100));
}

/// The median over the starts of the mean squared error after 300 steps.
fn median_error<T: Number, L: Layer<T, D1<1>, Out = D1<1>> + Zeros, const P: usize>(
    curve: fn(f64) -> f64,
) -> f64 {
    let [x, t] =
        [|x| x, curve].map(|f: fn(f64) -> f64| line::<41>().map(|x| convert::<_, T>(f(x))));
    let mut errors = Vec::new();
    for seed in 0..starts() {
        let rng = &mut Xoshiro128PlusPlus::seed_from_u64(seed);
        let mut net = Network::<T, D1<1>, L, SumSquaredError>::init(rng);
        let mut memory = Network::<T, D1<1>, L, SumSquaredError>::sample_gradients::<P, 4>();
        let outcome = LevenbergMarquardt::<T, P>::new().fit(&mut net, &x, &t, &mut memory, 300);
        errors.push(try_convert::<T, f64>(outcome.loss).unwrap() / 41.0);
    }
    errors.sort_by(f64::total_cmp);
    errors[errors.len() / 2]
}

/// The programs `fit` and `friction` of `tests/bare_metal` train these nets in f32. They too accept ten times the error of
/// f64.
#[test]
fn f32_fits_like_f64() {
    type Sine<T> = (Affine<T, 1, 5>, Tanh, Affine<T, 5, 1>);
    type Friction<T> = (Affine<T, 1, 3>, Tanh, Affine<T, 3, 3>, Tanh, Affine<T, 3, 1>);
    fn wave(x: f64) -> f64 {
        let arch = x.abs() * (1.0 - x.abs());
        (16.0 * arch / (5.0 - 4.0 * arch)).copysign(x)
    }
    let sine = [median_error::<f32, Sine<_>, 16>(wave), median_error::<f64, Sine<_>, 16>(wave)];
    let friction =
        [median_error::<f32, Friction<_>, 22>(force), median_error::<f64, Friction<_>, 22>(force)];
    for [single, double] in [sine, friction] {
        println!("median error {single:.2e} in f32, {double:.2e} in f64");
        assert!(single <= 10.0 * double);
    }
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

/// The backward pass of its tanh is right if the factor is 1.
type Deep = (A<3, 6>, Slope, A<6, 2>);

fn deep(factor: f64) -> DeepNet {
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(1);
    DeepNet::new((A::xavier(rng), Slope { factor }, A::xavier(rng)), SumSquaredError)
}

/// Jacobian and Hessian with the scalars of num-dual, which is independent of this crate.
#[test]
fn derivatives_equal_those_of_dual_numbers() {
    let net = deep(1.0);
    let x = Vector3::new(0.3, -0.8, 1.2);
    let (y, jacobian) = net.jacobian(&x);
    assert_eq!(y, net.predict(&x));
    let dual = net.map(Dual64::from);
    for i in 0..3 {
        let mut x = x.map(Dual64::from);
        x[i].eps = 1.0;
        let y = dual.predict(&x);
        for o in 0..2 {
            assert!((jacobian[(o, i)] - y[o].eps).abs() < 1e-14);
        }
    }
    let hyper = net.map(HyperDual64::from);
    let (gradient, hessian) = net.hessian(&x, 1);
    assert!((gradient.transpose() - jacobian.row(1)).amax() < 1e-15);
    for i in 0..3 {
        for j in 0..3 {
            let mut x = x.map(HyperDual64::from);
            x[i].eps1 = 1.0;
            x[j].eps2 = 1.0;
            // Sums of some tens of terms of size 1.
            assert!((hessian[(i, j)] - hyper.predict(&x)[1].eps1eps2).abs() < 1e-13);
        }
    }
    let v = Vector3::new(1.0, -2.0, 0.5);
    assert!((net.hessian_vector_product(&x, &v, 1) - hessian * v).amax() < 1e-14);
    assert!((net.jvp(&x, &v).1 - jacobian * v).amax() < 1e-14);
    let rows: Vec<_> = net.jacobian_rows(&x).collect();
    assert_eq!(rows, [jacobian.row(0).transpose(), jacobian.row(1).transpose()]);
    assert!(net.hessian(&x, 2).1.iter().all(|h: &f64| h.is_nan()));
    assert!(net.hessian_vector_product(&x, &v, 2).iter().all(|h: &f64| h.is_nan()));
}

/// Jets have kernels for weights that are constants. The sizes here reach tiles of 8, 4 and 1 rows. Where a weight has a
/// derivative, the plain loops must run.
#[test]
fn jets_with_constant_weights_and_without() {
    type Layers = (A<9, 13>, Sigmoid, A<13, 12>, Tanh, A<12, 2>);
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(3);
    let net = Network::<f64, D1<9>, Layers, SumSquaredError>::init(rng);
    let x = SVector::<f64, 9>::from_fn(|i, _| (i as f64).sin());
    let hessian = net.hessian(&x, 1).1;
    let hyper = net.map(HyperDual64::from);
    for (i, j) in [(0, 0), (2, 7), (8, 3)] {
        let mut x = x.map(HyperDual64::from);
        x[i].eps1 = 1.0;
        x[j].eps2 = 1.0;
        // Sums of some tens of terms of size 1.
        assert!((hessian[(i, j)] - hyper.predict(&x)[1].eps1eps2).abs() < 1e-13);
    }
    // The derivative by one weight, along the last of 17, 16, 3 or 1 directions.
    fn by_weight<const K: usize>(
        net: &Network<f64, D1<9>, Layers, SumSquaredError>,
        x: &SVector<f64, 9>,
    ) {
        let mut jets = net.map(Jet::<f64, K>::from);
        jets.layers.2.weight[(5, 4)].slopes[K - 1] = 1.0;
        let y = jets.predict(&x.map(Jet::from))[1];
        assert!((y.value - net.predict(x)[1]).abs() < 1e-14);
        let (_, _, gradient) = net.vjp(x, &Vector2::new(0.0, 1.0));
        assert!(
            (y.slopes[K - 1] - gradient.2.weight[(5, 4)]).abs() < 1e-15 && y.slopes[K - 1] != 0.0
        );
    }
    by_weight::<1>(&net, &x);
    by_weight::<3>(&net, &x);
    by_weight::<16>(&net, &x);
    by_weight::<17>(&net, &x);
}

/// Each sample of a batch gives the same as alone, with batches of constant and of run-time size.
#[test]
fn batches() {
    let net = deep(1.0);
    let x = SMatrix::<f64, 3, 5>::from_fn(|i, s| ((i + 4 * s) as f64).sin());
    let v = SMatrix::<f64, 3, 5>::from_fn(|i, s| ((2 * i + s) as f64).cos());
    let (y, jacobians) = net.jacobians(&x);
    let (_, jvp) = net.jvp(&x, &v);
    let (gradients, hessians) = net.hessians(&x, 0);
    let hv = net.hessian_vector_product(&x, &v, 0);
    let parameters = net.parameter_jacobian::<_, { DeepNet::weight_count() }, _>(&x);
    for s in 0..5 {
        let (x, v) = (x.column(s).into_owned(), v.column(s).into_owned());
        let (one, jacobian) = net.jacobian(&x);
        // A product with one column adds in another order.
        assert!((y.column(s) - one).amax() < 1e-15);
        assert!((jacobians[s] - jacobian).amax() < 1e-15);
        assert!((jvp.column(s) - jacobian * v).amax() < 1e-14);
        let (gradient, hessian) = net.hessian(&x, 0);
        assert!((gradients.column(s) - gradient).amax() < 1e-15);
        assert!((hessians[s] - hessian).amax() < 1e-15);
        assert!((hv.column(s) - hessian * v).amax() < 1e-14);
        for o in 0..2 {
            let mut dy = Vector2::zeros();
            dy[o] = 1.0;
            let mut flat = Vec::new();
            net.vjp(&x, &dy).2.visit(&Path::ROOT, &mut |leaf| flat.extend_from_slice(leaf.values));
            assert!(parameters[s].column(o).iter().zip(&flat).all(|(a, b)| (a - b).abs() < 1e-15));
        }
    }
    let from =
        data::from_dmatrix::<f64, 3>(nalgebra::DMatrix::from_fn(3, 5, |i, s| x[(i, s)])).unwrap();
    assert_eq!(net.jacobians(&from).1, jacobians);
    let short = from.columns(0, 4).into_owned();
    assert!(net.jvp(&from, &short).1.iter().any(|d| d.is_nan()), "v has another size");
}

type DeepNet = Network<f64, D1<3>, Deep, SumSquaredError>;

/// Tanh, with a slope that is multiplied by a factor.
#[derive(Clone)]
struct Slope {
    factor: f64,
}
parameters!(Slope { keep factor });

impl<T: Number, S: Flat> Layer<T, S> for Slope {
    type Out = S;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        ops::tanh(S::flat::<T, B>(at.x), S::flat_mut::<T, B>(at.y));
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        if let Some(dx) = at.dx {
            let dx = S::flat_mut::<T, B>(dx);
            ops::tanh_back(S::flat::<T, B>(at.y), S::flat::<T, B>(at.dy), dx);
            dx.iter_mut().for_each(|dx| *dx *= nalgebra::convert(this.factor));
        }
    }
}

/// The comparison with dual numbers detects errors: a backward pass that is wrong by a thousandth exceeds the
/// tolerance.
#[test]
fn planted_faults_show() {
    let x = Vector3::new(0.4, -0.7, 0.2);
    let (mut dual, mut hyper) = (x.map(Dual64::from), x.map(HyperDual64::from));
    dual[0].eps = 1.0;
    (hyper[0].eps1, hyper[0].eps2) = (1.0, 1.0);
    let slope = deep(1.0).map(Dual64::from).predict(&dual)[0].eps;
    let curvature = deep(1.0).map(HyperDual64::from).predict(&hyper)[0].eps1eps2;
    for (factor, right) in [(1.0, true), (1.001, false), (-1.0, false)] {
        let net = deep(factor);
        assert_eq!((net.jacobian(&x).1[0] - slope).abs() < 1e-12, right);
        assert_eq!((net.jvp(&x, &Vector3::x()).1[0] - slope).abs() < 1e-12, right);
        assert_eq!((net.hessian(&x, 0).1[(0, 0)] - curvature).abs() < 1e-12, right);
        let hv = net.hessian_vector_product(&x, &Vector3::x(), 0)[0];
        assert_eq!((hv - curvature).abs() < 1e-12, right);
    }
}

/// Far out a square overflows, but the slope of a jet does not.
#[test]
fn slopes_far_out() {
    let x = SVector::<Jet<f32, 1>, 2>::new(Jet::along(1e30, [1.0]), Jet::along(-1e30, [1.0]));
    assert_eq!(GeluTanh.trace(&x).y.map(|y| y.slopes[0]), SVector::<f32, 2>::new(1.0, 0.0));
    assert_eq!(Elu::default().trace(&x).y.map(|y| y.slopes[0]), SVector::<f32, 2>::new(1.0, 0.0));
}

/// Compares every function of a jet with central differences of the same function of f64.
#[test]
fn jets_are_scalars() {
    type J = Jet<f64, 1>;
    macro_rules! agree {
        ($($x:expr, $f:expr;)*) => { $({
            let x: f64 = $x;
            let f = |x: J| -> J { $f(x) };
            let (h, jet) = (1e-5, f(J::along(x, [1.0])));
            let slope = (f((x + h).into()).value - f((x - h).into()).value) / (2.0 * h);
            // Differences are off by h² times a third derivative below 100, and by ε/h.
            assert!((jet.slopes[0] - slope).abs() < 2e-8 * (1.0 + slope.abs()), "{}", stringify!($f));
        })* };
    }
    agree! {
        0.7, J::sin; 0.7, J::cos; 0.7, J::tan; 0.3, J::asin; 0.3, J::acos; 0.7, J::atan; 0.7, J::sinh;
        0.7, J::cosh; 0.7, J::tanh; 0.7, J::asinh; 1.7, J::acosh; 0.3, J::atanh; 0.7, J::log2; 0.7, J::log10;
        0.7, J::ln; 0.7, J::ln_1p; 0.7, J::sqrt; 0.7, J::exp; 0.7, J::exp2; 0.7, J::exp_m1; 0.7, J::cbrt;
        0.7, J::recip; -0.7, J::abs; 0.7, J::fract; 1.3, |x: J| x.powi(-3); 1.3, |x: J| x.powf(x);
        1.3, |x: J| x.hypot(J::from(0.4)); 1.3, |x: J| J::from(0.4).hypot(x); 1.3, |x: J| x.atan2(J::from(0.4));
        1.3, |x: J| J::from(0.4).atan2(x); 1.3, |x: J| x / (x * x + J::from(1.0)); 5.3, |x: J| x % J::from(2.0);
        1.3, |x: J| x.log(J::from(3.0)); 1.3, |x: J| x.copysign(J::from(-2.0)); 0.7, |x: J| x.floor() * x;
        0.7, |x: J| x.mul_add(x, x) - x; 0.2, |x: J| x.max(J::from(0.1)).min(J::from(0.5)).clamp(J::from(0.0), J::from(1.0));
    }
    let nan = J::from(f64::NAN);
    assert!(
        nan.max(J::from(1.0)).value == 1.0
            && !nan.is_finite()
            && !J::along(1.0, [f64::NAN]).is_finite()
    );
    assert_eq!(J::along(1.5, [2.0]).to_string(), "1.5 [2]");
    // A jet converts to f64 only if its slopes are zero.
    assert_eq!(nalgebra::try_convert::<J, f64>(J::from(2.0)), Some(2.0));
    assert_eq!(nalgebra::try_convert::<J, f64>(J::along(2.0, [1.0])), None);
}

/// Scales each feature, with a gradient that is delivered as a sum over the samples.
#[derive(Clone)]
struct Scale<T, const N: usize> {
    weight: SVector<T, N>,
}
parameters!(Scale<T: scalar, const N: usize> { weight });

impl<T: Number, const N: usize> Layer<T, D1<N>> for Scale<T, N> {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        for (mut y, x) in at.y.column_iter_mut().zip(at.x.column_iter()) {
            y.copy_from(&x);
            y.component_mul_assign(&self.weight);
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        if let Some(dx) = at.dx {
            for (mut dx, dy) in dx.column_iter_mut().zip(at.dy.column_iter()) {
                dx.copy_from(&dy);
                dx.component_mul_assign(&this.weight);
            }
        }
        part!(this.weight).add(|dw| {
            for (x, dy) in at.x.column_iter().zip(at.dy.column_iter()) {
                dw.cmpy(T::one(), &x, &dy, T::one());
            }
        });
    }
}

/// The rows of the residuals' Jacobian are the gradients of single samples, also for a layer that only adds up a whole
/// batch, beside frozen parameters and for two outputs; and Jᵀr is the gradient of backpropagation.
#[test]
fn rows_are_gradients_of_samples() {
    type Layers = (A<2, 3>, Scale<f64, 3>, Tanh, Frozen<A<3, 3>>, A<3, 2>);
    type Net = Network<f64, D1<2>, Layers, SumSquaredError>;
    const P: usize = Net::weight_count();
    let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(3));
    net.layers.1.weight = Vector3::new(0.5, -1.5, 2.0);
    let x = SMatrix::<f64, 2, 7>::from_fn(|i, s| ((3 * i + s) as f64).sin());
    let t = SMatrix::<f64, 2, 7>::from_fn(|i, s| ((i + s) as f64).cos());
    let mut gradient = Vec::new();
    net.gradient(&x, &t).visit(&Path::ROOT, &mut |leaf| gradient.extend_from_slice(leaf.values));
    let single = net.parameter_jacobian::<_, P, 2>(&x);
    let y = net.predict(&x);
    let mut memory = Net::sample_gradients::<P, 4>();
    let mut fit = Fit { net: &mut net, x: &x, target: &t, memory: &mut memory };
    let (mut seen, mut counts) = (Vec::new(), Vec::new());
    fit.residuals(true, &mut |rows, residuals| {
        counts.push(residuals.len());
        seen.extend(rows.chunks_exact(P).map(<[f64]>::to_vec).zip(residuals.iter().copied()));
    });
    assert_eq!(counts, [4, 4, 3, 3]);
    let order = [0, 1, 2, 3].map(|s| (s, 0)).into_iter().chain([0, 1, 2, 3].map(|s| (s, 1)));
    let order = order.chain([4, 5, 6].map(|s| (s, 0))).chain([4, 5, 6].map(|s| (s, 1)));
    for ((row, r), (s, o)) in seen.iter().zip(order) {
        assert!((r - (y[(o, s)] - t[(o, s)])).abs() < 1e-15);
        assert!(row.iter().zip(&single[s].column(o)).all(|(a, b)| (a - b).abs() < 1e-15));
    }
    let mut all = SVector::<f64, P>::zeros();
    let sum = fit.sum_and_gradient(&mut all);
    assert!((sum - fit.sum_of_squares()).abs() < 1e-14);
    // The loss is a half of the sum, divided by seven samples.
    assert!(all.iter().zip(&gradient).all(|(a, b)| (a / 14.0 - b).abs() < 1e-15));
    let mut weights = SVector::zeros();
    fit.weights(&mut weights);
    let before = fit.net.layers.clone();
    fit.set(&weights.map(|w| w + 1.0));
    assert_eq!(fit.net.layers.3.0.weight, before.3.0.weight, "frozen");
    assert_eq!(fit.net.layers.4.bias, before.4.bias.add_scalar(1.0));
}

type Small = Network<f64, D1<1>, (A<1, 5>, Tanh, A<5, 1>), SumSquaredError>;
const SMALL: usize = Small::weight_count();

/// A fit of 1-5-1 from given layers. The loss of the last weights is the one that the outcome reports.
fn small<const N: usize>(mut net: Small, t: SMatrix<f64, 1, N>, damping: f64) -> Outcome<f64> {
    let x = line::<N>();
    let mut solver = LevenbergMarquardt::<f64, SMALL>::new();
    solver.damping = damping;
    let mut memory = Small::sample_gradients::<SMALL, 4>();
    let outcome = solver.fit(&mut net, &x, &t, &mut memory, 100);
    let sum = (net.predict(&x) - t).norm_squared();
    assert!(sum.is_nan() || (sum - outcome.loss).abs() <= 1e-12 * (1.0 + sum), "{outcome:?}");
    outcome
}

#[test]
fn bad_input_stops_with_a_reason() {
    let net = || Small::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    let sine = line::<41>().map(|x| (PI * x).sin());
    // Fewer residuals than weights: JᵀJ is singular.
    let few = small(net(), SMatrix::<f64, 1, 4>::new(0.5, -1.0, 1.0, 0.2), 1e-2);
    assert!(few.loss < 1e-8 && few.stop != Stop::NotFinite, "{few:?}");
    // Constant targets.
    let constant = small(net(), SMatrix::<f64, 1, 41>::repeat(0.3), 1e-2);
    assert!(constant.loss < 1e-8 && constant.stop != Stop::NotFinite, "{constant:?}");
    // A NaN target, an infinite input weight.
    let mut nan = sine;
    nan[7] = f64::NAN;
    assert_eq!(small(net(), nan, 1e-2).stop, Stop::NotFinite);
    let mut broken = net();
    broken.layers.0.weight[2] = f64::NAN;
    assert_eq!(small(broken, sine, 1e-2).stop, Stop::NotFinite);
    // If all units are saturated, the last layer can still train. Without it there is nothing to train.
    let mut saturated = net();
    saturated.layers.0.weight.fill(1e6);
    saturated.layers.0.bias.fill(3e6);
    let stop = small(saturated, sine, 1e-2).stop;
    assert!(matches!(stop, Stop::Converged | Stop::Stalled), "{stop:?}");
    type Hidden = Network<f64, D1<1>, (A<1, 1>, Tanh), SumSquaredError>;
    let layers = (Affine::new(nalgebra::Matrix1::new(1e6), nalgebra::Vector1::new(3e6)), Tanh);
    let mut hidden = Hidden::new(layers, SumSquaredError);
    let mut memory = Hidden::sample_gradients::<2, 4>();
    let mut solver = LevenbergMarquardt::<f64, 2>::new();
    let outcome = solver.fit(&mut hidden, &line::<41>(), &sine, &mut memory, 9);
    assert_eq!((outcome.stop, outcome.iterations), (Stop::Flat, 0));
    assert_eq!(hidden.layers, layers, "nothing changed");
    // λ at and beyond its limits.
    for damping in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300, 1e-300] {
        let outcome = small(net(), sine, damping);
        assert!(outcome.loss < 1.0 && outcome.loss.is_finite(), "{damping}: {outcome:?}");
    }
    // No iterations, no samples, samples without targets.
    let x = line::<41>();
    let (mut net, mut memory) = (net(), Small::sample_gradients::<SMALL, 4>());
    let mut solver = LevenbergMarquardt::<f64, SMALL>::new();
    assert_eq!(solver.fit(&mut net, &x, &sine, &mut memory, 0).stop, Stop::Budget);
    let many = |n| data::from_dmatrix::<f64, 1>(nalgebra::DMatrix::zeros(1, n)).unwrap();
    let none = many(3).columns(0, 0).into_owned();
    assert_eq!(solver.fit(&mut net, &none, &none, &mut memory, 9).stop, Stop::Empty);
    assert_eq!(solver.fit(&mut net, &many(3), &many(2), &mut memory, 9).stop, Stop::NotFinite);
}

/// Mini-batches: each step uses other samples.
#[test]
fn mini_batches() {
    let mut net = Small::init(&mut Xoshiro128PlusPlus::seed_from_u64(4));
    let mut memory = Small::sample_gradients::<SMALL, 16>();
    let mut solver = LevenbergMarquardt::<f64, SMALL>::new();
    for step in 0..60 {
        let x =
            SMatrix::<f64, 1, 64>::from_fn(|_, i| ((i * 7 + step * 13) % 101) as f64 / 50.0 - 1.0);
        let t = x.map(|x| (PI * x).sin());
        let fit = &mut Fit { net: &mut net, x: &x, target: &t, memory: &mut memory };
        solver.step(fit).unwrap();
    }
    let x = line::<101>();
    assert!((net.predict(&x) - x.map(|x| (PI * x).sin())).norm_squared() / 101.0 < 1e-5);
}

/// The weights after one step of `solver` from given first weights, with targets of a sine.
fn one_step<const N: usize>(solver: &mut LevenbergMarquardt<f64, SMALL>, damping: f64) -> Small {
    let mut net = Small::init(&mut Xoshiro128PlusPlus::seed_from_u64(3));
    let mut memory = Small::sample_gradients::<SMALL, 4>();
    let (x, t) = (&line::<N>(), &line::<N>().map(|x| (PI * x).sin()));
    solver.damping = damping;
    solver.step(&mut Fit { net: &mut net, x, target: t, memory: &mut memory }).unwrap();
    net
}

/// With up to 8 residuals for 16 weights a solver takes the smaller system, unless it has seen another number.
#[test]
fn both_systems_give_the_same_step() {
    fn weights(mut net: Small) -> SVector<f64, SMALL> {
        let (mut memory, mut to) = (Small::sample_gradients::<SMALL, 4>(), SVector::zeros());
        let (x, target) = (&line::<2>(), &line::<2>());
        let fit = Fit { net: &mut net, x, target, memory: &mut memory };
        Objective::<_, SMALL>::weights(&fit, &mut to);
        to
    }
    fn check<const N: usize>(damping: f64) {
        let (mut of_few, mut of_any) = (LevenbergMarquardt::new(), LevenbergMarquardt::new());
        one_step::<41>(&mut of_any, damping);
        let start = weights(Small::init(&mut Xoshiro128PlusPlus::seed_from_u64(3)));
        let few = weights(one_step::<N>(&mut of_few, damping));
        let any = weights(one_step::<N>(&mut of_any, damping));
        // The condition of both matrices is at most the trace over λ times the mean of the diagonal.
        let condition = 1.0 + SMALL as f64 / damping;
        let tolerance = SMALL as f64 * f64::EPSILON * condition * (any - start).norm();
        assert!((few - any).norm() <= tolerance, "{N} {damping}: {}", (few - any).norm());
        assert_ne!(few, any, "one system for both");
        // The number changes.
        let more = one_step::<41>(&mut of_few, damping);
        assert_eq!(more.layers, one_step::<41>(&mut LevenbergMarquardt::new(), damping).layers);
        assert_eq!(weights(one_step::<N>(&mut of_few, damping)), any);
    }
    for damping in [1e-3, 1e-2, 1.0, 100.0] {
        check::<2>(damping);
        check::<5>(damping);
        check::<8>(damping);
    }
}

/// The valley of Rosenbrock: residuals 10·(y - x²) and 1 - x.
struct Valley(Vector2<f64>);

impl Objective<f64, 2> for Valley {
    fn weights(&self, to: &mut Vector2<f64>) {
        *to = self.0;
    }

    fn set(&mut self, weights: &Vector2<f64>) {
        self.0 = *weights;
    }

    fn evaluate(&mut self, gradient: &mut Vector2<f64>) -> f64 {
        self.sum_and_gradient(gradient)
    }
}

impl LeastSquares<f64, 2> for Valley {
    fn residuals(&mut self, _: bool, take: &mut dyn FnMut(&[f64], &[f64])) {
        let [x, y] = self.0.data.0[0];
        take(&[-20.0 * x, 10.0, -1.0, 0.0], &[10.0 * (y - x * x), 1.0 - x]);
    }
}

#[test]
fn solvers_take_any_function() {
    let start = Valley(Vector2::new(-1.2, 1.0));
    let mut valley = Valley(start.0);
    let outcome = LevenbergMarquardt::new().solve(&mut valley, 100);
    assert!(outcome.loss < 1e-25 && outcome.iterations < 40, "{outcome:?}");
    let mut valley = Valley(start.0);
    let outcome = LBfgs::<f64, 2, 5>::new().solve(&mut valley, 100);
    assert!(outcome.loss < 1e-20 && outcome.iterations < 60, "{outcome:?}");
    assert!((valley.0 - Vector2::repeat(1.0)).amax() < 1e-9);
    let mut broken = Valley(Vector2::new(f64::NAN, 0.0));
    assert_eq!(LBfgs::<f64, 2, 5>::new().solve(&mut broken, 9).stop, Stop::NotFinite);
}

/// L-BFGS on a net, also in f32, where it must not stop before the last iteration.
#[test]
fn lbfgs_trains_in_f32_too() {
    fn train<T: Number>() {
        type Layers<T> = (Affine<T, 1, 5>, Tanh, Affine<T, 5, 1>);
        type Net<T> = Network<T, D1<1>, Layers<T>, SumSquaredError>;
        let x = line::<41>().map(|x| nalgebra::convert::<f64, T>(x));
        let t = x.map(|x| (x * T::pi()).sin());
        for seed in 0..starts() {
            let mut net = Net::<T>::init(&mut Xoshiro128PlusPlus::seed_from_u64(seed));
            let mut work = Net::<T>::workspace(Const::<41>);
            let mut solver = LBfgs::<T, SMALL, 10>::new();
            let problem = &mut OnBatch { net: &mut net, x: &x, target: &t, work: &mut work };
            let outcome = solver.solve(problem, 500);
            let loss: f64 = outcome.loss.to_subset_unchecked();
            println!("L-BFGS: {:?} after {}, loss {loss:.1e}", outcome.stop, outcome.iterations);
            assert!(loss < 1e-4 && outcome.stop == Stop::Budget);
        }
    }
    train::<f64>();
    train::<f32>();
}

/// u″ = -π²·sin πx with u = 0 at both ends: compares the Jacobian of the residuals with differences, then solves it.
#[test]
fn physics() {
    type Layers = (A<1, 20>, Tanh, A<20, 1>);
    type Net = Network<f64, D1<1>, Layers, SumSquaredError>;
    const P: usize = Net::weight_count();
    let x = line::<101>();
    for seed in 0..starts().min(10) {
        let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
        let mut layers = (Affine::nguyen_widrow(&mut rng), Tanh, A::normal(0.005, &mut rng));
        // Slopes of 3 instead of 14, because the solution is smooth.
        layers.0.weight *= 3.0 / 14.0;
        layers.0.bias *= 3.0 / 14.0;
        let mut net = Net::new(layers, SumSquaredError);
        let mut problem = net.physics::<2, P, 8, 1, _, _>(&x, |sample, x, u| {
            let end = if sample % 100 == 0 { u.value[0] * 10.0.into() } else { 0.0.into() };
            [u.second[0] + (PI * PI * (PI * x[0]).sin()).into(), end]
        });
        if seed == 0 {
            let (mut w, mut gradient) = (SVector::<f64, P>::zeros(), SVector::<f64, P>::zeros());
            problem.weights(&mut w);
            let sum = problem.evaluate(&mut gradient);
            assert!((sum - problem.sum_of_squares()).abs() < 1e-9 * sum);
            for i in 0..P {
                let mut at = |h: f64| {
                    let mut w = w;
                    w[i] += h;
                    problem.set(&w);
                    problem.sum_of_squares()
                };
                let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
                // The error of rounding is ε·sum/h.
                assert!(
                    (slope - gradient[i]).abs() < 1e-6 * gradient.amax(),
                    "{slope} {}",
                    gradient[i]
                );
            }
            problem.set(&w);
        }
        let mut solver = LevenbergMarquardt::<f64, P>::new();
        solver.damping = 0.1;
        let outcome = solver.solve(&mut problem, 20);
        let truth = x.map(|x| (PI * x).sin());
        let error = (net.predict(&x) - truth).norm() / truth.norm();
        println!("physics: {:?}, relative error {error:.1e}", outcome);
        assert!(error <= 1e-5);
    }
}

/// A loss on first and second derivatives, with two inputs and several outputs: compares its gradient with differences.
#[test]
fn physics_of_two_inputs() {
    let mut net = Network::<f64, D1<2>, (A<2, 4>, Tanh, A<4, 2>), SumSquaredError>::init(
        &mut Xoshiro128PlusPlus::seed_from_u64(1),
    );
    let x = SMatrix::<f64, 2, 5>::from_fn(|i, s| ((2 * i + 3 * s) as f64).sin());
    let mut problem = net.physics::<2, 22, 3, 2, _, _>(&x, |_, x, u| {
        let burgers =
            u.first[(0, 0)] + u.value[0] * u.first[(0, 1)] - u.second[(0, 1)] * 0.1.into();
        [burgers, u.second[(1, 0)] * u.value[1] - u.first[(1, 1)] * x[0].into()]
    });
    let (mut w, mut gradient) = (SVector::<f64, 22>::zeros(), SVector::<f64, 22>::zeros());
    problem.weights(&mut w);
    problem.evaluate(&mut gradient);
    for i in 0..22 {
        let mut at = |h: f64| {
            let mut w = w;
            w[i] += h;
            problem.set(&w);
            problem.sum_of_squares()
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        // The error of the differences is h² times a third derivative of some tens.
        assert!(
            (slope - gradient[i]).abs() < 1e-7 * (1.0 + gradient.amax()),
            "{slope} {}",
            gradient[i]
        );
    }
}

/// Statistics are no weights: their places in a gradient are 0, and L-BFGS trains nets that have them.
#[test]
fn lbfgs_leaves_statistics_alone() {
    type Net = Network<f64, D1<2>, (BatchNorm<f64, 2>, A<2, 4>, Tanh, A<4, 2>), SumSquaredError>;
    const P: usize = Net::weight_count();
    let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    let x = SMatrix::<f64, 2, 6>::from_fn(|i, j| ((i * 3 + j * 5) % 7) as f64 / 3.0);
    let target = x.map(|x| (2.0 * x).sin());
    let mut work = Box::new(Net::workspace(Const::<6>));
    let mut batch = OnBatch { net: &mut net, x: &x, target: &target, work: &mut work };
    let mut gradient = SVector::<f64, P>::zeros();
    Objective::<f64, P>::evaluate(&mut batch, &mut gradient);
    let mut place = 0;
    batch.net.layers.visit(&Path::ROOT, &mut |leaf: Leaf<f64>| {
        for slope in gradient.iter().skip(place).take(leaf.values.len()) {
            assert_eq!(*slope == 0.0, leaf.role == Role::Statistic, "{}", leaf.path);
        }
        place += leaf.values.len();
    });
    let outcome = LBfgs::<f64, P, 8>::new().solve(&mut batch, 200);
    assert!(outcome.loss < 1e-12, "{outcome:?}");
}
