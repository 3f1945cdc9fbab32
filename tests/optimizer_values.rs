//! Compares every optimizer with PyTorch and with the book, by numbers that `tests/goldens/optimizers.py` made. Also:
//! the optimizer check on each of them; schedules, groups, clipping, and settings that are refused.

use chainrule::{gradcheck::check_optimizer, schedule::*, *};
use nalgebra::{Const, Matrix2x3, Matrix3x2, RowVector3, SVector, Vector1, Vector2, Vector3};

/// The numbers of the goldens of one kind and case, with their steps.
fn goldens(kind: &str, case: &str) -> Vec<(u64, Vec<f64>)> {
    let lines = include_str!("goldens/optimizers.txt").lines().filter_map(|line| {
        let mut words = line.split(' ');
        let here = words.next() == Some(kind) && words.next() == Some(case);
        here.then(|| {
            let step = words.next().unwrap().parse().unwrap();
            (step, words.map(|number| number.parse().unwrap()).collect())
        })
    });
    let found: Vec<_> = lines.collect();
    assert!(!found.is_empty(), "{kind} {case}");
    found
}

/// The sum of all outputs.
#[derive(Clone, Copy, Debug, Default)]
struct Total;

impl<const N: usize, B: BatchSize> Loss<f64, D1<N>, B, ()> for Total {
    fn loss(&self, y: &Columns<f64, N, B>, (): &(), dy: Option<&mut Columns<f64, N, B>>) -> f64 {
        if let Some(dy) = dy {
            dy.fill(1.0);
        }
        y.sum()
    }
}

type Layers = (Affine<f64, 2, 3>, Sigmoid, Affine<f64, 3, 1>, Sigmoid);
type Net = Network<f64, D1<2>, Layers, Total>;
type Any = Box<dyn Optimizer<f64, Layers>>;
type Plane = dyn Optimizer<f64, Vector2<f64>>;

type Gradient = <Layers as Parameters<f64>>::Gradient;
type Falling<R, const N: usize> = Descent<Scheduled<R, fn(u64) -> f64>, Gradient, N>;

/// With the decay of all parameters, as in PyTorch.
fn with<R, G, const N: usize>(
    mut optimizer: Descent<R, G, N>,
    set: impl Fn(&mut R),
) -> Descent<R, G, N> {
    set(&mut optimizer.rule);
    optimizer
}

/// Compares with PyTorch. Each of 1,001 steps adds some roundings of 1.1e-16 with random signs: far below 1e-12 unless
/// the net amplifies them. It does in `rmsprop-decay`, where the gradient changes its sign at every step around the
/// minimum. There PyTorch's own numbers change by 1.6e-12 if one first weight changes in its last place, and here
/// more than one number is rounded differently.
#[test]
fn the_baseline_of_pytorch() {
    let l2 = Decay::L2All::<f64>;
    let cases: Vec<(&str, Any)> = vec![
        ("adam", Box::new(Adam::new(1.0))),
        ("adam-decay", Box::new(with(Adam::new(1.0), |adam| adam.decay = l2(1e-2)))),
        ("amsgrad", Box::new(with(Adam::amsgrad(1.0), |ams| ams.decay = l2(1e-6)))),
        ("adamw", Box::new(with(Adam::new(1.0), |adam| adam.decay = Decay::DecoupledAll(1e-2)))),
        ("nadam", Box::new(NAdam::new(1.0))),
        ("nadam-decay", Box::new(with(NAdam::new(1.0), |nadam| nadam.decay = l2(1e-2)))),
        (
            "nadamw",
            Box::new(with(NAdam::new(1.0), |nadam| nadam.decay = Decay::DecoupledAll(1e-2))),
        ),
        ("adagrad", Box::new(AdaGrad::new(1.0))),
        ("adagrad-decay", Box::new(with(AdaGrad::new(1.0), |ada| ada.decay = l2(1e-2)))),
        (
            "adagrad-slowing",
            Box::new(with(AdaGrad::new(1.0), |ada| (ada.decay, ada.slowing) = (l2(1e-6), 1e-3))),
        ),
        ("rmsprop", Box::new(RmsProp::new(0.1))),
        ("rmsprop-decay", Box::new(with(RmsProp::new(0.1), |rms| rms.decay = l2(1e-2)))),
        (
            "rmsprop-momentum",
            Box::new(with(RmsProp::with_momentum(0.1, 0.9), |rms| rms.decay = l2(1e-6))),
        ),
        ("rmsprop-centred", Box::new(with(RmsProp::centred(0.1, 0.0), |rms| rms.decay = l2(1e-6)))),
        ("rmsprop-both", Box::new(with(RmsProp::centred(0.1, 0.9), |rms| rms.decay = l2(1e-6)))),
        ("sgd", Box::new(Sgd::new(0.1))),
        ("sgd-decay", Box::new(with(Momentum::new(0.1, 0.0), |sgd| sgd.decay = l2(1e-2)))),
        ("sgd-momentum", Box::new(with(Momentum::new(0.1, 0.9), |sgd| sgd.decay = l2(1e-2)))),
        ("sgd-dampening", Box::new(with(Momentum::new(0.1, 0.9), |sgd| sgd.dampening = 0.5))),
        ("sgd-nesterov", Box::new(with(Momentum::nesterov(0.1, 0.9), |sgd| sgd.decay = l2(1e-6)))),
    ];
    let layers = (
        Affine::new(
            Matrix3x2::new(-0.21, -0.50, -0.14, -0.34, -0.25, 0.70),
            Vector3::new(-0.11, -0.30, 0.69),
        ),
        Sigmoid,
        Affine::new(RowVector3::new(-0.05, -0.39, -0.28), Vector1::new(-0.07)),
        Sigmoid,
    );
    let x = Matrix2x3::new(0.1, 0.3, 0.5, 0.2, 0.4, 0.6);
    for (case, mut optimizer) in cases {
        let mut net = Net::new(layers, Total);
        let mut work = Net::workspace(Const::<3>);
        let limit = if case == "rmsprop-decay" { 1e-11 } else { 1e-12 };
        for (step, expected) in goldens("net", case) {
            while optimizer.steps() < step {
                optimizer.train_step(&mut net, &x, &(), &mut work).unwrap();
            }
            let mut found = Vec::<f64>::new();
            net.layers.visit(&Path::ROOT, &mut |leaf: Leaf<f64>| found.extend(leaf.values));
            for (found, expected) in found.iter().zip(&expected) {
                let error = (found / expected - 1.0).abs();
                assert!(error < limit, "{case}, step {step}: {found} and {expected}, {error:e}");
            }
        }
    }
}

/// Chapter 6.1: the paths on x²/20 + y². The tolerance is 1e-14 of the distance at which they begin: 30 steps with
/// three roundings of 1.1e-16 each.
#[test]
fn the_paths_of_the_book() {
    let cases: [(&str, Box<Plane>); 6] = [
        ("sgd", Box::new(Sgd::new(0.95))),
        ("momentum", Box::new(Momentum::new(0.1, 0.9))),
        ("nesterov", Box::new(Momentum::book_nesterov(0.1))),
        ("adagrad", Box::new(AdaGrad::book(1.5))),
        ("rmsprop", Box::new(RmsProp::book(0.1))),
        ("adam", Box::new(Adam::book(0.3))),
    ];
    for (case, mut optimizer) in cases {
        let mut at = Vector2::new(-7.0, 2.0);
        for (step, expected) in goldens("book", case) {
            let gradient = Vector2::new(at[0] / 10.0, 2.0 * at[1]);
            optimizer.step(&mut at, &gradient).unwrap();
            let error = (at - Vector2::from_column_slice(&expected)).amax();
            assert!(error <= 7.0 * 1e-14, "{case}, step {step}: {error:e}");
        }
    }
}

/// Compares 200 learning rates with PyTorch's. Each has at most four roundings here and four there, 8 × 1.1e-16. If the
/// rate comes from a cosine, 1 + cos φ has an error of one rounding of 1, so the tolerance is relative to the largest
/// rate.
#[test]
fn rates_follow_pytorch() {
    let warm_up = WarmUp { steps: 30, first: 0.1 };
    let step = Step { every: 30, factor: 0.1 };
    let exponential = Step { every: 1, factor: 0.95 };
    let then = Then { first: warm_up, steps: 30, next: Cosine { steps: 170, last: 0.0 } };
    let follow = |case: &str, schedule: &dyn Schedule<f64>, cosine: bool| {
        let (_, expected) = &goldens("rate", case)[0];
        assert_eq!(expected.len(), 200);
        for (at, expected) in expected.iter().enumerate() {
            let error = (0.4 * schedule.factor(at as u64) - expected).abs();
            let scale = if cosine { 0.4 } else { *expected };
            assert!(error <= 1e-15 * scale, "{case}, step {at}: {error:e} of {expected}");
        }
    };
    follow("step", &step, false);
    follow("exponential", &exponential, false);
    follow("warm-up", &warm_up, false);
    follow("chained", &(step, exponential), false);
    follow("cosine", &Cosine { steps: 200, last: 0.01 }, true);
    follow("one-cycle", &OneCycle::new(200), true);
    follow("then", &then, true);
    // After the last step the rate is constant.
    assert_eq!(Cosine { steps: 10, last: 0.25 }.factor(1000), 0.25);
    let last: f64 = OneCycle::new(10).factor(1000);
    assert!((last - 4e-6).abs() < 1e-20);
    assert_eq!((|_| 0.5).factor(7), 0.5);
}

/// An optimizer with a schedule takes the same steps as one whose rate is set by hand. `Sgd` does so in fused steps,
/// too.
#[test]
fn a_schedule_changes_the_rate() {
    fn check<R, W, const N: usize>(mut scheduled: Falling<R, N>)
    where
        W: Way,
        R: Rule<f64, N, Way = W> + Rate<f64>,
        Descent<R, Gradient, N>: Optimizer<f64, Layers, Way = W>,
        Falling<R, N>: Optimizer<f64, Layers, Way = W>,
    {
        let mut by_hand = Descent::new(scheduled.rule.rule.clone());
        let rate = *by_hand.rule.rate();
        let layers = (Affine::zeros(), Sigmoid, Affine::zeros(), Sigmoid);
        let mut nets = [Net::new(layers, Total), Net::new(layers, Total)];
        let (mut a, mut b) = (Net::workspace(Const::<3>), Net::workspace(Const::<3>));
        let x = Matrix2x3::new(0.1, 0.3, 0.5, 0.2, 0.4, 0.6);
        for step in 0..5 {
            *by_hand.rule.rate() = rate * falling(step);
            let [one, other] = &mut nets;
            scheduled.train_step(one, &x, &(), &mut a).unwrap();
            by_hand.train_step(other, &x, &(), &mut b).unwrap();
            assert_eq!(one.layers, other.layers);
        }
        assert_ne!(nets[0].layers, layers);
    }
    fn falling(step: u64) -> f64 {
        1.0 / (step + 1) as f64
    }
    check(Sgd::new(0.5).schedule(falling as fn(u64) -> f64));
    check(Adam::decoupled(0.1, 0.1).schedule(falling as fn(u64) -> f64));
    check(Adam::new(0.1).clip_norm(1e-3).schedule(falling as fn(u64) -> f64));
}

/// Settings for parameters chosen by name, with the whole path or a part of it.
#[test]
fn groups_by_name() {
    let mut layers = Layers::zeros();
    layers.0.weight.fill(1.0);
    layers.2.weight.fill(1.0);
    let zeros = (Affine::zeros(), (), Affine::zeros(), ());
    let mut sgd = Momentum::new(0.5, 0.0).groups(|path, sgd| {
        sgd.decay = match () {
            () if *path == *"2.weight" => Decay::Decoupled(1.0),
            () if path.starts_with("0") => Decay::Decoupled(0.5),
            () => Decay::None,
        };
    });
    Optimizer::<f64, Layers>::step(&mut sgd, &mut layers, &zeros).unwrap();
    assert_eq!((layers.0.weight[0], layers.2.weight[0]), (0.75, 0.5));
    // 2.weight has one row and three columns.
    assert!(layers.0.weight.iter().all(|&w| w == 0.75));
}

/// Biases and parameters of one column have no decay, unless all parameters have.
#[test]
fn decay_spares_biases() {
    let decayed = |decay| {
        let mut layers = Layers::zeros();
        layers.0.weight.fill(1.0);
        layers.0.bias.fill(1.0);
        let zeros = (Affine::zeros(), (), Affine::zeros(), ());
        let mut sgd = with(Momentum::new(0.5, 0.9), |sgd| sgd.decay = decay);
        Optimizer::<f64, Layers>::step(&mut sgd, &mut layers, &zeros).unwrap();
        (layers.0.weight[0], layers.0.bias[0])
    };
    assert_eq!(decayed(Decay::None), (1.0, 1.0));
    for (some, all) in
        [(Decay::L2(0.5), Decay::L2All(0.5)), (Decay::Decoupled(0.5), Decay::DecoupledAll(0.5))]
    {
        assert_eq!((decayed(some), decayed(all)), ((0.75, 1.0), (0.75, 0.75)));
    }
}

/// Clipping changes the gradient in each part of a parameter, before momentum and decay use it.
#[test]
fn clipping() {
    let mut weight = SVector::<f64, 150>::zeros();
    let gradient = SVector::from_fn(|i, _| i as f64 - 75.0);
    let mut sgd = Sgd::new(1.0).clip_value(10.0);
    sgd.step(&mut weight, &gradient).unwrap();
    assert_eq!(weight, -gradient.map(|g: f64| g.clamp(-10.0, 10.0)));

    // Norms that f64 cannot square. A tiny gradient stays as it is. 10⁻⁶ is added to the norm of the others, which
    // is above 291: less than 4e-9 of it.
    for (size, norm) in [(1.0, 0.5), (1e200, 0.5e200), (1e-200, gradient.norm() * 1e-200)] {
        let mut weight = SVector::<f64, 150>::zeros();
        let mut sgd = Sgd::new(1.0).clip_norm(if size < 1.0 { 0.5 } else { 0.5 * size });
        sgd.step(&mut weight, &(gradient * size)).unwrap();
        let largest = weight.amax();
        let found = (weight / largest).norm() * largest;
        assert!((found / norm - 1.0).abs() < 4e-9, "{size}: {found:e}");
    }
    // A gradient of zeros stays zero.
    let mut weight = Vector2::new(1.0, 2.0);
    Sgd::new(1.0).clip_norm(1.0).step(&mut weight, &Vector2::zeros()).unwrap();
    assert_eq!(weight, Vector2::new(1.0, 2.0));
}

/// A rule that is wrong in one of three ways.
#[derive(Clone)]
struct Wrong {
    /// Uses the mean of a piece, which differs in a whole step.
    depends_on_the_piece: bool,
    /// Counts steps by itself, so that a restored optimizer begins at step 0.
    counts: Option<f64>,
    rate: f64,
}

impl Rule<f64, 1> for Wrong {
    type Way = Fused;

    fn begin(&mut self, _: u64) -> Result<(), BadSetting> {
        self.counts = self.counts.map(|count| count + 1.0);
        Ok(())
    }

    fn update(&self, piece: Piece<f64, 1>) {
        let mean = piece.gradient.iter().sum::<f64>() / piece.gradient.len() as f64;
        let shift = if self.depends_on_the_piece { mean } else { 0.0 };
        for (w, dw) in piece.values.iter_mut().zip(piece.gradient) {
            *w -= self.rate * (dw + shift) / self.counts.unwrap_or(1.0);
        }
    }
}

/// The optimizer check finds each fault and names it.
#[test]
fn wrong_optimizers_are_found() {
    let right = Wrong { depends_on_the_piece: false, counts: None, rate: 0.01 };
    let check = |rule: &Wrong| {
        let bad = Wrong { rate: -1.0, ..right.clone() };
        let fault = check_optimizer(|| Descent::new(rule.clone()), [("rate", Descent::new(bad))]);
        fault.unwrap_err().to_string()
    };
    let said = check(&Wrong { depends_on_the_piece: true, ..right.clone() });
    let found = "train_step has the bits of backprop and step; found: number 0 of 1.weight differs";
    assert_eq!(said, format!("expected: {found}"));
    let said = check(&Wrong { counts: Some(0.0), ..right.clone() });
    let property = "expected: a restored optimizer continues with the same bits; ";
    assert!(said.starts_with(property), "{said}");
    let said = check(&right);
    assert!(said.starts_with("expected: a bad setting is refused and changes nothing; "), "{said}");
}

macro_rules! check {
    ($make:expr, $($name:literal = $bad:expr),*) => {
        if let Err(fault) = check_optimizer(|| $make, [$(($name, $bad)),*]) {
            panic!("{}: {fault}", stringify!($make));
        }
    };
}

/// The optimizer check on each optimizer, with the settings that it refuses.
#[test]
fn every_optimizer_keeps_the_contract() {
    for rate in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        check!(Sgd::new(0.01), "rate" = Sgd::new(rate));
        check!(Momentum::nesterov(0.01, 0.9), "rate" = Momentum::new(rate, 0.9));
        check!(Adam::new(0.01), "rate" = Adam::new(rate));
    }
    let (nan, decay) = (f64::NAN, Decay::L2(-1.0));
    check!(
        with(Momentum::book_nesterov(0.01), |sgd| sgd.decay = Decay::L2(0.1)),
        "momentum" = Momentum::new(0.1, 1.0),
        "momentum" = Momentum::new(0.1, nan),
        "dampening" = with(Momentum::new(0.1, 0.9), |sgd| sgd.dampening = 1.0),
        "decay" = with(Momentum::new(0.1, 0.9), |sgd| sgd.decay = decay)
    );
    check!(
        Adam::decoupled(0.01, 0.1),
        "eps" = with(Adam::new(0.1), |adam| adam.eps = -1.0),
        "betas" = with(Adam::new(0.1), |adam| adam.betas[1] = 1.0),
        "decay" = Adam::decoupled(0.1, f64::INFINITY)
    );
    check!(
        Adam::amsgrad(0.01),
        "rate" = Adam::amsgrad(nan),
        "betas" = with(Adam::amsgrad(0.1), |ams| ams.betas[0] = -0.1)
    );
    check!(
        NAdam::new(0.01),
        "rate" = NAdam::new(-0.1),
        "momentum_decay" = with(NAdam::new(0.1), |nadam| nadam.momentum_decay = nan),
        "betas" = with(NAdam::new(0.1), |nadam| nadam.betas[0] = 2.0)
    );
    check!(
        AdaGrad::new(0.01),
        "rate" = AdaGrad::new(0.0),
        "slowing" = with(AdaGrad::new(0.1), |ada| ada.slowing = -1.0)
    );
    check!(
        RmsProp::new(0.01),
        "rate" = RmsProp::new(0.0),
        "alpha" = with(RmsProp::new(0.1), |rms| rms.alpha = 1.0)
    );
    check!(RmsProp::with_momentum(0.01, 0.9), "momentum" = RmsProp::with_momentum(0.1, 1.5));
    check!(
        RmsProp::centred(0.01, 0.9),
        "eps" = with(RmsProp::centred(0.1, 0.9), |rms| rms.eps = nan)
    );
    let falls: fn(u64) -> f64 = |step| 1.0 - step as f64;
    check!(
        Adam::new(0.01).clip_value(0.1).schedule(Cosine { steps: 4, last: 0.0 }),
        "schedule" = Adam::new(0.01).clip_value(0.1).schedule(Cosine { steps: 0, last: 0.0 }),
        "clip_value" = Adam::new(0.1).clip_value(0.0).schedule(Cosine { steps: 4, last: 0.0 }),
        "rate" = Adam::new(0.0).clip_value(0.1).schedule(Cosine { steps: 4, last: 0.0 })
    );
    check!(Sgd::new(0.01).clip_norm(0.1), "clip_norm" = Sgd::new(0.1).clip_norm(nan));
    check!(
        Sgd::new(0.01)
            .groups(|path, sgd| sgd.rate = if path.name() == Some("bias") { 0.1 } else { 0.2 }),
    );
    // A schedule that becomes wrong.
    let (mut sgd, mut weight) = (Sgd::new(0.1).schedule(falls), Vector2::new(1.0, 2.0));
    let gradient = Vector2::new(1.0, 0.0);
    let steps: Vec<_> = (0..3).map(|_| sgd.step(&mut weight, &gradient)).collect();
    assert_eq!(steps[..2], [Ok(()), Ok(())]);
    let said = steps[2].unwrap_err().to_string();
    assert_eq!(said, "the setting `schedule` must be 0 or above, found -1; nothing was changed");
    assert_eq!((weight, sgd.steps()), (Vector2::new(0.9, 2.0), 2));
}
