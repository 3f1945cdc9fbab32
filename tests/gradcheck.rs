//! The gradient check on every layer and loss of the crate, alone and in random pairs and triples.

use chainrule::{gradcheck::*, *};
use nalgebra::{Matrix1x2, Vector1, Vector2};
use proptest::{prelude::*, test_runner::FileFailurePersistence};

gradcheck_layer!(affine<T>: Affine<T, 4, 3>, D1<4>);
gradcheck_layer!(narrow_affine<T>: Affine<T, 1, 1>, D1<1>);
gradcheck_layer!(packed_affine<T>: Affine<T, 40, 30>, D1<40>, GradCheck::new().mode(Mode::Directional));
gradcheck_layer!(relu<T>: Relu, D1<5>);
gradcheck_layer!(sigmoid<T>: Sigmoid, D1<5>);
gradcheck_layer!(tanh<T>: Tanh, D1<5>);
gradcheck_layer!(gelu<T>: Gelu, D1<5>);
gradcheck_layer!(softplus<T>: Softplus, D1<5>);
gradcheck_layer!(identity<T>: Identity, D1<5>);
gradcheck_layer!(softmax<T>: Softmax, D1<4>);
gradcheck_layer!(frozen<T>: Frozen<Affine<T, 3, 2>>, D1<3>, start: Frozen(Affine::new(
    nalgebra::Matrix2x3::from_fn(|i, j| nalgebra::convert(i as f64 - 0.5 * j as f64)),
    nalgebra::Vector2::zeros(),
)));
gradcheck_layer!(boxed<T>: Box<(Affine<T, 3, 2>, Tanh)>, D1<3>);
gradcheck_layer!(net<T>: (Affine<T, 6, 5>, Relu, Affine<T, 5, 4>, Sigmoid, Affine<T, 4, 3>), D1<6>);

fn unwrap(report: Result<Report, Report>) -> Report {
    report.unwrap_or_else(|report| panic!("{report}"))
}

/// Checks both losses, with labels and with columns, in f32 and f64. Returns the worst relative error of the dual
/// numbers in f64.
fn check_losses(case: Case) -> f64 {
    fn over<T: Real>(check: &GradCheck, case: &Case) -> f64 {
        let (labels, soft) = (case.labels::<4>(7), case.probabilities::<T, 4>(8));
        let values = case.batch::<T, D1<4>>(9);
        let reports = [
            check.check_loss::<T, D1<4>, _, _>(&SoftmaxCrossEntropy, &labels),
            check.check_loss::<T, D1<4>, _, _>(&SoftmaxCrossEntropy, &soft),
            check.check_loss::<T, D1<4>, _, _>(&SumSquaredError, &values),
        ];
        let errors = reports.map(|report| unwrap(report).worst_relative("dual numbers"));
        errors.into_iter().fold(0.0, f64::max)
    }
    let check = GradCheck::new().at(case);
    over::<f32>(&check, &case);
    over::<f64>(&check, &case)
}

/// One layer of a kind that is chosen at run time, so that pairs and triples are values and not
/// types: 8 kinds, 64 pairs, 512 triples.
#[derive(Clone)]
struct Any<T> {
    kind: u8,
    affine: Affine<T, 4, 4>,
}

const KINDS: u8 = 8;

impl<T: Number> Parameters<T> for Any<T> {
    type Gradient = Affine<T, 4, 4>;
    type With<U: Number> = Any<U>;
    const COUNT: usize = <Affine<T, 4, 4> as Parameters<T>>::COUNT;

    fn map_scalar<U: Number>(&self, f: &mut impl FnMut(T) -> U) -> Any<U> {
        Any { kind: self.kind, affine: self.affine.map_scalar(f) }
    }

    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        self.affine.visit(path, f);
    }

    fn visit_mut<const N: usize>(
        &mut self,
        gradient: Option<&Self::Gradient>,
        state: [&mut Self::Gradient; N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    ) {
        self.affine.visit_mut(gradient, state, path, f);
    }
}

/// Calls a function of the layer in this variant.
macro_rules! on_kind {
    ($kind:expr, $layer:ident => $call:expr) => {
        match $kind {
            1 => {
                let $layer = &Relu;
                $call
            }
            2 => {
                let $layer = &Sigmoid;
                $call
            }
            3 => {
                let $layer = &Tanh;
                $call
            }
            4 => {
                let $layer = &Scored;
                $call
            }
            5 => {
                let $layer = &Gelu;
                $call
            }
            6 => {
                let $layer = &Softplus;
                $call
            }
            _ => {
                let $layer = &Identity;
                $call
            }
        }
    };
}

/// Softmax in the middle of a net: its probabilities as a vector, which another layer takes.
struct Scored;
parameters!(Scored {});

impl<T: Number> Layer<T, D1<4>> for Scored {
    type Out = D1<4>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<4>, Self, B, P>) {
        let Forward { x, y, cache, scratch, pass } = at;
        Layer::<T, D1<4>>::forward::<B, P>(&Softmax, Forward { x, y, cache, scratch, pass });
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        _: Grad<T, Self, D>,
        at: Backward<T, D1<4>, Self, B>,
    ) {
        let Backward { x, y, cache, scratch, dy, dx } = at;
        let at = Backward { x, y, cache, scratch, dy, dx };
        <Softmax as Layer<T, D1<4>>>::backward::<B, Nowhere>(Grad::nowhere(&Softmax), at);
    }
}

impl<T: Number> Layer<T, D1<4>> for Any<T> {
    type Out = D1<4>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<4>, Self, B, P>) {
        let Forward { x, y, cache, scratch, pass } = at;
        match self.kind {
            0 => self.affine.forward::<B, P>(Forward { x, y, cache, scratch, pass }),
            _ => on_kind!(self.kind, layer => {
                forward_of::<T, B, P, _>(layer, Forward { x, y, cache, scratch, pass });
            }),
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<4>, Self, B>,
    ) {
        let kind = this.kind;
        let Backward { x, y, cache, scratch, dy, dx } = at;
        let mut affine = this.inside(|any| &any.affine, |any| &mut any.affine, |gradient| gradient);
        if kind == 0 {
            let at = Backward { x, y, cache, scratch, dy, dx };
            return Affine::backward::<B, D>(affine, at);
        }
        on_kind!(kind, layer => {
            backward_of::<T, B, _>(layer, Backward { x, y, cache, scratch, dy, dx });
        });
        // The other parameters are not used, so their gradient is zero.
        part!(affine.weight).add(|_| {});
        part!(affine.bias).add(|_| {});
    }
}

/// The same gradient destination with the type of the layer in this variant, which has the same memory.
fn forward_of<T: Number, B: BatchSize, P: Purpose, L>(layer: &L, at: Forward<T, D1<4>, L, B, P>)
where
    L: Layer<T, D1<4>, Out = D1<4>>,
{
    layer.forward::<B, P>(at);
}

fn backward_of<T: Number, B: BatchSize, L>(layer: &L, at: Backward<T, D1<4>, L, B>)
where
    L: Layer<T, D1<4>, Out = D1<4>>,
{
    L::backward::<B, Nowhere>(Grad::nowhere(layer), at);
}

fn any<T: Number>(kind: u8) -> Any<T> {
    Any { kind: kind % KINDS, affine: Zeros::zeros() }
}

/// Checks a pair and a triple of these kinds in f32 and f64. Returns the worst relative error in f64.
fn check_chains(case: Case, [a, b, c]: [u8; 3], mode: Mode) -> f64 {
    let check = GradCheck::new().at(case).mode(mode);
    unwrap(check.check::<f32, D1<4>, _>(&(any::<f32>(a), any::<f32>(b))));
    unwrap(check.check::<f32, D1<4>, _>(&(any::<f32>(a), any::<f32>(b), any::<f32>(c))));
    let pair = check.check::<f64, D1<4>, _>(&(any::<f64>(a), any::<f64>(b)));
    let triple = check.check::<f64, D1<4>, _>(&(any::<f64>(a), any::<f64>(b), any::<f64>(c)));
    let boxed = check.check::<f64, D1<4>, _>(&Box::new((any::<f64>(a), Frozen(any::<f64>(b)))));
    [pair, triple, boxed]
        .map(|r| unwrap(r).worst_relative("dual numbers"))
        .into_iter()
        .fold(0.0, f64::max)
}

/// Every single layer in f64 and f32.
fn check_layers(case: Case) -> f64 {
    let check = GradCheck::new().at(case).differences(false);
    let singles = (0..KINDS).map(|kind| {
        unwrap(check.check::<f32, D1<4>, _>(&any::<f32>(kind)));
        unwrap(check.check::<f64, D1<4>, _>(&any::<f64>(kind))).worst_relative("dual numbers")
    });
    singles.fold(0.0, f64::max)
}

/// Checks everything in `cases` cases. The check must accept all of them, and in f64 no error may reach 10⁻¹¹.
fn sweep(cases: u64) {
    let mut worst: f64 = 0.0;
    for n in 0..cases {
        let case = Case::numbered(n);
        let digit = |place| (n / u64::from(KINDS).pow(place) % u64::from(KINDS)) as u8;
        let kinds = [0, 1, 2].map(digit);
        worst = worst.max(check_layers(case)).max(check_losses(case));
        worst = worst.max(check_chains(case, kinds, Mode::Full));
    }
    println!("{cases} cases, worst relative error in f64: {worst:.2e}");
    assert!(worst < 1e-11);
}

#[test]
fn many_cases() {
    sweep(350);
}

/// `cargo test --release --test gradcheck -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn ten_thousand_cases() {
    sweep(10_000);
}

fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::Direct("proptest-regressions/gradcheck.txt");
    ProptestConfig { failure_persistence: Some(Box::new(seeds)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn pairs_and_triples(case in strategy::cases(1..4), kinds: [u8; 3]) {
        check_chains(case, kinds, Mode::Directional);
    }

    #[test]
    fn losses(case in strategy::cases(1..6)) {
        check_losses(case);
    }

    /// From 10⁻⁴ to 10⁴, where activations saturate.
    #[test]
    fn magnitudes(case in strategy::magnitudes(1..4, 4)) {
        check_layers(case);
    }
}

/// The check accepts correct layers at kinks, at ties, and at points where slopes vanish.
#[test]
fn kinks_ties_and_saturation() {
    let at = |values, margin| Case { seed: 1, batch: 2, values, margin };
    let check = |values, margin| GradCheck::new().at(at(values, margin));
    // Integers without a margin are zero in a third of the cases, and often two or three of them are equal.
    let report = unwrap(check(Values::Integers, 0.0).check::<f64, D1<6>, _>(&Relu));
    let differences = report.checks.iter().find(|c| c.property == "differences").unwrap();
    assert!(differences.unchecked.0 > 0, "{report}");
    assert_eq!(differences.unchecked.1, "a branch changes inside the step");
    unwrap(check(Values::Integers, 0.0).check::<f32, D1<6>, _>(&Relu));
    unwrap(check(Values::Integers, 0.0).check::<f32, D1<6>, _>(&Softmax));
    unwrap(check(Values::Integers, 0.0).check::<f64, D1<6>, _>(&(Relu, Softmax, Relu)));
    for size in [1e-30, 1e-8, 30.0, 90.0, 1000.0, 1e30] {
        let check = check(Values::Uniform(size), 0.0);
        unwrap(check.check::<f64, D1<4>, _>(&Sigmoid));
        unwrap(check.check::<f32, D1<4>, _>(&Sigmoid));
        unwrap(check.check::<f64, D1<4>, _>(&Tanh));
        unwrap(check.check::<f32, D1<4>, _>(&Tanh));
        unwrap(check.check::<f64, D1<4>, _>(&Gelu));
        unwrap(check.check::<f32, D1<4>, _>(&Gelu));
        unwrap(check.check::<f64, D1<4>, _>(&Softplus));
        unwrap(check.check::<f32, D1<4>, _>(&Softplus));
        unwrap(check.check::<f64, D1<4>, _>(&Relu));
        unwrap(check.check::<f32, D1<4>, _>(&Softmax));
        unwrap(check.check_loss::<f64, D1<4>, _, _>(&SoftmaxCrossEntropy, &vec![0, 3]));
        unwrap(check.check_loss::<f32, D1<4>, _, _>(&SoftmaxCrossEntropy, &vec![2, 1]));
    }
}

/// The Hessian of ½·(w·x + b - t)² is (x, 1)·(x, 1)ᵀ. Differences check the Hessian of a deeper net.
#[test]
fn hessian_vector_products() {
    let affine = Affine::<f64, 2, 1>::new(Matrix1x2::new(0.5, -1.5), Vector1::new(0.1));
    let net = Network::<f64, D1<2>, _, _>::new(affine, SumSquaredError);
    let v = Affine::new(Matrix1x2::new(1.0, -2.0), Vector1::new(4.0));
    let hv = hessian_vector_product(&net, &Vector2::new(3.0, 5.0), &Vector1::new(7.0), &v);
    // (3, 5, 1)·v = -3.
    assert_eq!(hv, Affine::new(Matrix1x2::new(-9.0, -15.0), Vector1::new(-3.0)));

    let mut rng = rand::SeedableRng::seed_from_u64(1);
    let rng: &mut rand::rngs::Xoshiro128PlusPlus = &mut rng;
    let layers = (Affine::xavier(rng), Tanh, Affine::<f64, 5, 3>::xavier(rng));
    let mut net = Network::<f64, D1<2>, _, _>::new(layers, SoftmaxCrossEntropy);
    let v = (Affine::normal(1.0, rng), (), Affine::normal(1.0, rng));
    let (x, t) = (nalgebra::SMatrix::<f64, 2, 2>::new(0.3, -0.8, 1.2, 0.4), [2, 0]);
    let hv = hessian_vector_product(&net, &x, &t, &v);
    let at = net.layers;
    let h = f64::EPSILON.cbrt();
    let [above, below] = [h, -h].map(|step| {
        net.layers = at;
        net.layers.visit_mut(Some(&v), [], &Path::ROOT, &mut |leaf: LeafMut<f64, 0>| {
            leaf.values.iter_mut().zip(leaf.gradient).for_each(|(w, v)| *w += step * v);
        });
        net.gradient(&x, &t)
    });
    // The error of the differences is h² times a third derivative of size 1, plus ε/h = h².
    let numerical = (above.0.weight - below.0.weight) / (2.0 * h);
    assert!((hv.0.weight - numerical).iter().all(|d| d.abs() < 64.0 * h * h));
    let numerical = (above.2.bias - below.2.bias) / (2.0 * h);
    assert!(
        (hv.2.bias - numerical).iter().all(|d| d.abs() < 64.0 * h * h) && hv.2.bias.amax() > 1e-3
    );
}

/// A report says how to repeat the check: its last line is the expression that made the check.
#[test]
fn reports_can_be_reproduced() {
    fn last_line(check: &GradCheck) -> String {
        let report = check.check::<f32, D1<4>, _>(&Affine::<f32, 4, 3>::zeros());
        let report = unwrap(report);
        assert_eq!(*check, *report.check);
        let text = report.to_string();
        assert!(text.starts_with("gradient check of Affine<f32, 4, 3>, f32: passed"), "{text}");
        text.lines().last().unwrap().to_string()
    }
    // Each of these lines was printed by a report.
    macro_rules! printed {
        ($($check:expr;)*) => { $(
            let expected = format!("reproduce: {}", stringify!($check));
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(plain(&last_line(&$check)), plain(&expected));
        )* };
    }
    printed! {
        GradCheck::new().at(Case { seed: 7, batch: 2, values: Values::Uniform(2.0), margin: 0.01 });
        GradCheck::new().at(Case { seed: 1, batch: 3, values: Values::Quarters, margin: 1e-9 })
            .mode(Mode::Directional).pass(Pass::Train { key: 18446744073709551615 })
            .tolerance(128.5, "a \"reason\"").per_sample(false).differences(false).keep_parameters();
    }
    // The line contains the settings that were not set, too, so it determines all values.
    let short = GradCheck::new().seed(7).batch(2);
    let line = "reproduce: GradCheck::new().at(Case { seed: 7, batch: 2, values: Values::Uniform(2.0), margin: 0.01 })";
    assert_eq!(last_line(&short), line);
    let whole =
        GradCheck::new().at(Case { seed: 7, batch: 2, values: Values::Uniform(2.0), margin: 0.01 });
    let run = |check: &GradCheck| unwrap(check.check::<f64, D1<4>, _>(&Tanh)).checks;
    assert_eq!(run(&short), run(&whole));
    // If one of many cases fails, the report names it.
    let many = short.check_cases::<f32, D1<4>, _>(&Affine::<f32, 4, 3>::zeros(), 3);
    assert_eq!(unwrap(many).cases, 3);
}
