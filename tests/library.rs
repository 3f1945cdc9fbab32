//! The layers and losses that are not in the book's chapter 5: PyTorch's values (`goldens/torch_forward.py` made them),
//! gradients of losses, edge cases, bad input. `stacks.rs` checks the gradients of the layers.

use chainrule::{data::Dataset, gradcheck::*, *};
use nalgebra::{Const, Dyn, Matrix1x2, Matrix2, Matrix2x3, SMatrix, SVector, Vector2, Vector4};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::collections::HashMap;

/// The arrays of one case of the goldens, by name.
fn golden(case: &str) -> HashMap<String, Vec<f64>> {
    let lines = include_str!("goldens/torch_forward.txt").lines();
    let arrays: HashMap<_, _> = lines
        .filter_map(|line| {
            let (of, rest) = line.split_once(' ')?;
            let (name, numbers) = rest.split_once(' ')?;
            let numbers = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
            (of == case).then(|| (name.to_string(), numbers))
        })
        .collect();
    assert!(!arrays.is_empty(), "no golden of {case}");
    arrays
}

fn batch<const N: usize>(numbers: &[f64]) -> Columns<f64, N, Dyn> {
    Columns::<f64, N, Dyn>::from_column_slice_generic(Const, Dyn(numbers.len() / N), numbers)
}

fn vector(numbers: &[f64]) -> SVector<f64, 4> {
    SVector::from_column_slice(numbers)
}

/// Equal to within `roundings` units in the last place of the larger of `size` and the number.
fn assert_close(case: &str, found: &[f64], golden: &[f64], roundings: f64, size: f64) {
    assert_eq!(found.len(), golden.len());
    for (i, (&found, &golden)) in found.iter().zip(golden).enumerate() {
        let tolerance = roundings * f64::EPSILON * size.max(golden.abs());
        assert!((found - golden).abs() <= tolerance, "{case}, {i}: {found:e} is not {golden:e}");
    }
}

/// An activation at PyTorch's points, and its slope there. The slope may be off by roundings of 1.
fn activation<L: Layer<f64, D1<1>, Out = D1<1>>>(case: &str, layer: &L, roundings: f64, size: f64) {
    let golden = golden(case);
    let x = batch::<1>(&golden["x"]);
    let mut pass = layer.trace(&x);
    assert_close(case, pass.y.as_slice(), &golden["y"], roundings, size);
    let dx = pass.backward(&pass.y.map(|_| 1.0)).0;
    // PyTorch's slope of the hard sigmoid is a sixth in f32.
    let slopes: Vec<f64> = match case {
        "hard-sigmoid" => {
            golden["slope"].iter().map(|&s| if s > 0.0 { 1.0 / 6.0 } else { 0.0 }).collect()
        }
        _ => golden["slope"].clone(),
    };
    assert_close(case, dx.as_slice(), &slopes, roundings, 1.0);
}

#[test]
fn activations_are_pytorchs() {
    activation("leaky-relu", &LeakyRelu::default(), 1.0, 0.0);
    activation("leaky-relu-0.3", &LeakyRelu { slope: Some(0.3) }, 1.0, 0.0);
    activation("prelu", &PRelu { weight: SVector::<f64, 1>::new(0.25) }, 1.0, 0.0);
    activation("hard-sigmoid", &HardSigmoid, 2.0, 0.0);
    activation("hard-tanh", &HardTanh, 0.0, 0.0);
    // tanh within 4 units, a difference and a quotient.
    activation("elu", &Elu::default(), 8.0, 0.0);
    activation("elu-0.5", &Elu { alpha: Some(0.5) }, 8.0, 0.0);
    activation("selu", &Selu, 8.0, 0.0);
    // The sigmoid within 4 units, and a product.
    activation("silu", &Silu, 6.0, 0.0);
    // PyTorch's 1 + tanh is exact to a rounding of 1, times x of up to 40.
    activation("gelu-tanh", &GeluTanh, 4.0, 40.0);
    let golden = golden("log-softmax");
    let y = LogSoftmax.trace(&batch::<4>(&golden["x"])).y;
    // A difference of numbers of up to 10.
    assert_close("log-softmax", y.as_slice(), &golden["y"], 4.0, 10.0);
}

#[test]
fn norms_are_pytorchs() {
    let arrays = golden("norm");
    let (x, weight, bias) = (batch::<4>(&arrays["x"]), vector(&arrays["w"]), vector(&arrays["b"]));
    // Sums of four squares and a root; numbers of size 3.
    let close = |case: &str, name: &str, found: &[f64]| {
        assert_close(case, found, &golden(case)[name], 16.0, 3.0);
    };
    let norm = LayerNorm { weight, bias, eps: None };
    close("layer-norm", "y", norm.trace(&x).y.as_slice());
    close("layer-norm-eps", "y", LayerNorm { eps: Some(0.1), ..norm }.trace(&x).y.as_slice());
    close("rms-norm", "y", RmsNorm { weight, eps: None }.trace(&x).y.as_slice());

    let layer = BatchNorm { weight, bias, ..BatchNorm::default() };
    let mut net = Network::<f64, D1<4>, _, _>::new(layer, SumSquaredError);
    let mut train = |x: &Columns<f64, 4, Dyn>| {
        let mut y: Columns<f64, 4, Dyn> = Buffer::new(Dyn(5));
        let mut pass = Pass::train(0, 0, 0);
        let trace = Trace::<f64, D1<4>, _, Dyn>::new(&net.layers, x, &mut pass);
        y.copy_from(&trace.y);
        let mut work = Network::<f64, D1<4>, BatchNorm<f64, 4>, SumSquaredError>::workspace(Dyn(5));
        Sgd::new(0.1).train_step(&mut net, x, &y, &mut work).unwrap();
        (y, net.layers.running_mean.0, net.layers.running_var.0)
    };
    let (y, mean, variance) = train(&x);
    close("batch-norm", "trained", y.as_slice());
    close("batch-norm", "mean", mean.as_slice());
    close("batch-norm", "variance", variance.as_slice());
    let (_, mean, variance) = train(&x.add_scalar(1.0));
    close("batch-norm-later", "mean", mean.as_slice());
    close("batch-norm-later", "variance", variance.as_slice());
    close("batch-norm-later", "predicted", net.predict(&x).as_slice());
}

/// A loss and its gradient at PyTorch's points.
fn loss<const N: usize, Y>(case: &str, criterion: &impl Loss<f64, D1<N>, Dyn, Y>, target: &Y) {
    let golden = golden(case);
    let y = batch::<N>(&golden["y"]);
    let mut dy = y.clone();
    let loss = criterion.loss(&y, target, Some(&mut dy));
    // A sum of up to 20 terms, each rounded a few times, of size 1; and the gradient's terms are below 1.
    assert_close(case, &[loss], &golden["loss"], 32.0, 1.0);
    assert_close(case, dy.as_slice(), &golden["dy"], 16.0, 1.0);
    assert_eq!(loss, criterion.loss(&y, target, None));
}

#[test]
fn losses_are_pytorchs() {
    let target = |case: &str| batch::<4>(&golden(case)["t"]);
    loss::<4, _>("mean-squared-error", &MeanSquaredError, &target("mean-squared-error"));
    loss::<4, _>("absolute-error", &AbsoluteError, &target("absolute-error"));
    loss::<4, _>("huber", &Huber::default(), &target("huber"));
    loss::<4, _>("huber-3", &Huber { delta: 3.0 }, &target("huber-3"));
    loss::<4, _>("binary-soft", &BinaryCrossEntropy, &target("binary-soft"));
    let labels = |case: &str| golden(case)["t"].iter().map(|&t| t as usize).collect::<Vec<_>>();
    loss::<1, _>("binary-labels", &BinaryCrossEntropy, &labels("binary-labels"));
    loss::<1, _>("binary-labels", &BinaryCrossEntropy, &batch::<1>(&golden("binary-labels")["t"]));
    let weights = golden("weighted")["weights"].clone();
    loss::<4, _>("weighted", &Weighted(MeanSquaredError), &(target("weighted"), weights));

    let plain = CrossEntropy::<4>::default();
    let weights = [0.5, 1.0, 2.0, 0.0];
    for (case, criterion) in [
        ("cross-entropy", plain),
        ("cross-entropy-smooth", CrossEntropy { smoothing: 0.1, ..plain }),
        ("cross-entropy-weighted", CrossEntropy { weights, ..plain }),
        ("cross-entropy-ignored", CrossEntropy { ignore: Some(1), ..plain }),
        ("cross-entropy-all", CrossEntropy { smoothing: 0.2, weights, ignore: Some(2) }),
    ] {
        loss::<4, _>(case, &criterion, &labels(case));
        // A label and its one-hot column are the same.
        let columns = labels(case)
            .iter()
            .flat_map(|&l| (0..4).map(move |k| f64::from(k == l)))
            .collect::<Vec<_>>();
        loss::<4, _>(case, &criterion, &batch::<4>(&columns));
    }
    let soft = CrossEntropy { smoothing: 0.3, ..plain };
    loss::<4, _>("cross-entropy-soft", &soft, &target("cross-entropy-soft"));
    loss::<4, _>("cross-entropy", &SoftmaxCrossEntropy, &labels("cross-entropy"));
}

/// Every loss, in many cases, in f32 and f64.
#[test]
fn gradients_of_losses() {
    fn over<T: Real>(case: Case) {
        let check = GradCheck::new().at(case);
        let values = case.batch::<T, D1<4>>(9);
        let (labels, soft) = (case.labels::<4>(7), case.probabilities::<T, 4>(8));
        let mut weights = case.probabilities::<T, 1>(6);
        weights.iter_mut().enumerate().for_each(|(i, w)| *w *= nalgebra::convert((i % 3) as f64));
        if case.batch == 1 {
            weights.fill(T::one());
        }
        let settings = CrossEntropy {
            smoothing: 0.2,
            weights: [0.5, 1.0, 2.0, 3.0],
            ignore: Some(usize::MAX),
        };
        for report in [
            check.check_loss::<T, D1<4>, _, _>(&MeanSquaredError, &values),
            check.check_loss::<T, D1<4>, _, _>(&AbsoluteError, &values),
            check.check_loss::<T, D1<4>, _, _>(&Huber { delta: 0.6 }, &values),
            check.check_loss::<T, D1<4>, _, _>(&BinaryCrossEntropy, &soft),
            check.check_loss::<T, D1<4>, _, _>(&settings, &labels),
            check.check_loss::<T, D1<4>, _, _>(&settings, &soft),
            check.check_loss::<T, D1<4>, _, _>(
                &Weighted(Huber { delta: 0.6 }),
                &(values, weights.clone()),
            ),
            check.check_loss::<T, D1<4>, _, _>(
                &Weighted(BinaryCrossEntropy),
                &(soft, weights.clone()),
            ),
            check.check_loss::<T, D1<4>, _, _>(&Weighted(settings), &(labels, weights)),
        ] {
            report.unwrap_or_else(|report| panic!("{report}"));
        }
    }
    for n in 0..40 {
        over::<f32>(Case::numbered(n));
        over::<f64>(Case::numbered(n));
    }
}

/// Activations far from zero, at kinks, and for NaN.
#[test]
fn edges() {
    fn at<L: Layer<f64, D1<4>, Out = D1<4>>>(layer: L, y: [f64; 4]) {
        let x = Vector4::new(1000.0, -1000.0, 0.0, f64::NAN);
        let found = layer.trace(&x).y;
        for (found, y) in found.iter().zip(y) {
            assert!(*found == y || (found.is_nan() && y.is_nan()), "{found} is not {y}");
        }
        // The backward pass keeps a NaN.
        let dy = Vector4::repeat(f64::NAN);
        assert!(layer.trace(&Vector4::repeat(0.5)).backward(&dy).0.iter().all(|dx| dx.is_nan()));
    }
    let nan = f64::NAN;
    at(LeakyRelu::default(), [1000.0, -10.0, 0.0, nan]);
    at(PRelu { weight: SVector::<f64, 1>::new(0.25) }, [1000.0, -250.0, 0.0, nan]);
    at(Elu::default(), [1000.0, -1.0, 0.0, nan]);
    at(Silu, [1000.0, 0.0, 0.0, nan]);
    at(GeluTanh, [1000.0, 0.0, 0.0, nan]);
    at(HardSigmoid, [1.0, 0.0, 0.5, nan]);
    at(HardTanh, [1.0, -1.0, 0.0, nan]);
    at(LogSoftmax, [nan; 4]);
    at(LayerNorm::<f64, 4>::default(), [nan; 4]);
    at(RmsNorm::<f64, 4>::default(), [nan; 4]);
    at(
        BatchNorm::<f64, 4>::default(),
        [1000.0, -1000.0, 0.0, nan].map(|x| x * 1.00001_f64.sqrt().recip()),
    );
    at(Dropout::default(), [1000.0, -1000.0, 0.0, nan]);
    assert_eq!(GeluTanh.trace(&Vector2::new(1e300, f64::NEG_INFINITY)).y, Vector2::new(1e300, 0.0));

    // If the variance overflows, the output must not be 0.
    let large = SMatrix::<f32, 2, 2>::new(1e30, -1e30, -1e30, 1e30);
    assert!(LayerNorm::<f32, 2>::default().trace(&large).y.iter().all(|y| y.is_nan()));
    let mut pass = Pass::train(0, 0, 0);
    let layer = BatchNorm::<f32, 2>::default();
    assert!(
        Trace::<f32, D1<2>, _, Const<2>>::new(&layer, &large, &mut pass)
            .y
            .iter()
            .all(|y| y.is_nan())
    );
    // One sample has no variance, but a prediction needs none.
    let one = Vector2::new(1.0, 2.0);
    let trace =
        Trace::<f64, D1<2>, _, Const<1>>::new(&BatchNorm::<f64, 2>::default(), &one, &mut pass).y;
    assert!(trace.iter().all(|y| y.is_nan()));
    // For a constant feature the output is the bias.
    let same = SMatrix::<f64, 1, 3>::repeat(5.0);
    let layer = BatchNorm::<f64, 1> { bias: SVector::<f64, 1>::new(7.0), ..BatchNorm::default() };
    assert_eq!(
        Trace::<f64, D1<1>, _, Const<3>>::new(&layer, &same, &mut pass).y,
        same.map(|_| 7.0)
    );
}

#[test]
fn dropout_drops_by_its_rate() {
    let x = SVector::<f64, 20_000>::repeat(3.0);
    let drop = |rate, seed| {
        Trace::<f64, D1<20_000>, _, Const<1>>::new(
            &Dropout { rate },
            &x,
            &mut Pass::train(seed, 0, 0),
        )
        .y
    };
    for (rate, expected) in [(None, 0.5), (Some(0.3), 0.3), (Some(0.0), 0.0), (Some(1.0), 1.0)] {
        let y = drop(rate, 1);
        let dropped = y.iter().filter(|&&y| y == 0.0).count() as f64 / 20_000.0;
        // Four standard deviations of the share in 20,000 numbers.
        assert!((dropped - expected).abs() < 4.0 * (0.25_f64 / 20_000.0).sqrt(), "{dropped}");
        assert!(y.iter().all(|&y| y == 0.0 || y == 3.0 * (1.0 / (1.0 - expected))));
        assert_eq!(y, drop(rate, 1));
    }
    assert_ne!(drop(None, 1), drop(None, 2));
    for wrong in [-0.1, 1.1, f64::NAN] {
        assert!(drop(Some(wrong), 1).iter().all(|y| y.is_nan()), "{wrong}");
    }
    // f32 drops the same numbers.
    let narrow = x.map(|x| x as f32);
    let y = Trace::<f32, D1<20_000>, _, Const<1>>::new(
        &Dropout::default(),
        &narrow,
        &mut Pass::train(1, 0, 0),
    )
    .y;
    assert!(y.iter().zip(&drop(None, 1)).all(|(&a, &b)| f64::from(a) == b));
}

/// Wrong targets give NaN.
#[test]
fn impossible_targets() {
    let y = Matrix2x3::new(1.0, 2.0, 3.0, 4.0, 5.0, 6.0);
    let (mut dy, wide) = (y, batch::<2>(&[1.0; 8]));
    let y3 = batch::<2>(y.as_slice());
    assert!(MeanSquaredError.loss(&y3, &wide, None).is_nan());
    assert!(BinaryCrossEntropy.loss(&y3, &wide, None).is_nan());
    assert!(Huber { delta: 0.0 }.loss(&y, &y, None).is_nan());
    assert!(Huber { delta: f64::NAN }.loss(&y, &y, None).is_nan());
    let mut nan = y;
    nan[(0, 1)] = f64::NAN;
    for loss in [
        MeanSquaredError.loss(&nan, &y, None),
        AbsoluteError.loss(&y, &nan, None),
        Huber::default().loss(&nan, &y, None),
        BinaryCrossEntropy.loss(&nan, &y.map(|_| 0.5), None),
        BinaryCrossEntropy.loss(&y, &nan.map(|t| t.clamp(0.0, 1.0)), None),
        BinaryCrossEntropy.loss(&y, &y, None),
    ] {
        assert!(loss.is_nan());
    }
    let one = Matrix1x2::<f64>::new(1.0, 2.0);
    assert!(BinaryCrossEntropy.loss(&one, &[0, 2], None).is_nan());
    let labels = [0, 1, 1];
    let entropy = CrossEntropy::<2>::default();
    assert!(entropy.loss(&y, &labels, None).is_finite());
    for wrong in [
        CrossEntropy { smoothing: 1.5, ..entropy },
        CrossEntropy { smoothing: f64::NAN, ..entropy },
        CrossEntropy { weights: [1.0, -1.0], ..entropy },
        CrossEntropy { weights: [1.0, f64::INFINITY], ..entropy },
    ] {
        assert!(wrong.loss(&y, &labels, None).is_nan(), "{wrong:?}");
    }
    let ignoring = CrossEntropy { ignore: Some(9), ..entropy };
    assert!(ignoring.loss(&y, &[9, 9, 9], Some(&mut dy)).is_nan());
    assert!(entropy.loss(&y, &[0, 9, 1], None).is_nan());
    // An ignored sample may have any scores.
    assert_eq!(ignoring.loss(&nan, &[0, 9, 1], Some(&mut dy)), {
        let rest = Matrix2::from_columns(&[y.column(0), y.column(2)]);
        entropy.loss(&rest, &[0, 1], None)
    });
    assert_eq!(dy.column(1), Vector2::zeros());
    let weighted = Weighted(SoftmaxCrossEntropy);
    for wrong in [[1.0, -1.0, 1.0], [0.0; 3], [1.0, f64::NAN, 1.0], [1.0, f64::INFINITY, 1.0]] {
        assert!(weighted.loss(&y, &(labels, wrong), None).is_nan(), "{wrong:?}");
    }
    assert!(weighted.loss(&y, &(labels, [1.0; 2]), None).is_nan());
    assert!(weighted.loss(&y, &(labels, [1.0; 3]), None).is_finite());
}

/// A data set carries the weights of samples. A sample of weight 2 counts like two samples.
#[test]
fn weights_of_samples() {
    type Net<E> = Network<f64, D1<2>, Affine<f64, 2, 2>, E>;
    let layer = Affine::normal(0.5, &mut Xoshiro128PlusPlus::seed_from_u64(1));
    let inputs = vec![[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]];
    let targets = (vec![0, 1, 1], vec![[2.0], [1.0], [0.0]]);
    let weighted = Net::new(layer, Weighted(SoftmaxCrossEntropy));
    let plain = Net::new(layer, SoftmaxCrossEntropy);
    let data = Dataset::new(inputs.clone(), targets).unwrap();
    let twice = Dataset::new(vec![inputs[0], inputs[0], inputs[1]], vec![0, 0, 1]).unwrap();
    let (a, b) = (weighted.loss_on(&data, Dyn(3)), plain.loss_on(&twice, Dyn(3)));
    // The same three terms in another order.
    assert!((a - b).abs() <= 4.0 * f64::EPSILON * b);
    assert_eq!(
        weighted.accuracy_on(&data, Dyn(3)),
        plain.accuracy_on(&Dataset::new(inputs.clone(), vec![0, 1, 1]).unwrap(), Dyn(3))
    );
    assert!(Dataset::new(inputs, (vec![0, 1, 1], vec![[1.0]; 4])).is_err());
}

#[test]
fn standardize_refuses_bad_data() {
    use StandardizeError::*;
    let fit = |rows: &[[f64; 2]]| Standardize::fit(rows);
    assert_eq!(fit(&[]), Err(Empty));
    assert_eq!(fit(&[[1.0, 2.0], [f64::NAN, 3.0]]), Err(NotFinite { sample: 1, feature: 0 }));
    assert_eq!(fit(&[[0.1, 2.0], [0.1, 3.0], [0.1, 3.0]]), Err(Constant { feature: 0 }));
    assert_eq!(fit(&[[0.1, 2.0]]), Err(Constant { feature: 0 }));
    assert_eq!(fit(&[[0.1, 1.7e308], [0.2, 1.7e308], [0.3, -1.7e308]]), Err(Range { feature: 1 }));
    // The result is right although squares overflow or underflow.
    let scaled = fit(&[[1e-300, 1e300], [3e-300, 3e300]]).unwrap();
    assert!((scaled.std.0[0] - 1e-300).abs() < 1e-315 && (scaled.std.0[1] - 1e300).abs() < 1e285);

    type Net = Network<f32, D1<2>, (Standardize<f32, 2>, Affine<f32, 2, 1>), SumSquaredError>;
    let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    assert!(net.predict(&Vector2::new(1.0, 2.0))[0].is_nan(), "not fitted yet");
    net.layers.0 = Standardize::fit(&[[1.0, 200.0], [3.0, 400.0]]).unwrap();
    let mut roles = Vec::new();
    net.layers.visit(&Path::ROOT, &mut |leaf| roles.push(format!("{} {:?}", leaf.path, leaf.role)));
    assert_eq!(roles, ["0.mean Frozen", "0.std Frozen", "1.weight Weight", "1.bias Weight"]);
    let before = net.layers.0;
    let mut work = Net::workspace(Const::<1>);
    Adam::new(0.1)
        .train_step(&mut net, &Vector2::new(1.0, 2.0), &SVector::<f32, 1>::zeros(), &mut work)
        .unwrap();
    assert_eq!(net.layers.0, before);
}

/// The first weights of a net with all these layers, and the values that `init_weights` does not change.
#[test]
fn first_values_and_settings() {
    type Layers = (
        BatchNorm<f64, 3>,
        LayerNorm<f64, 3>,
        RmsNorm<f64, 3>,
        PRelu<f64>,
        Dropout,
        LeakyRelu,
        Repeat<(Affine<f64, 3, 3>, Relu), 2>,
        Residual<Affine<f64, 3, 3>>,
        Concat<Affine<f64, 3, 2>, Identity, 5>,
    );
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
    let mut net = Network::<f64, D1<3>, Layers, SumSquaredError>::init(&mut rng);
    let (batch, layer, rms, ..) = &net.layers;
    assert_eq!((*batch, *layer, *rms), Default::default());
    assert_eq!(net.layers.3.weight.x, 0.25);
    net.layers.4 = Dropout::new(0.1);
    net.layers.0.momentum = Some(0.5);
    net.init_weights(&mut rng);
    assert_eq!((net.layers.4.rate, net.layers.0.momentum), (Some(0.1), Some(0.5)));
    let source = net.export("NET").to_string();
    assert!(source.contains("rate: Some(\n") && source.contains("eps: None"), "{source}");
    assert!(source.contains("0.1,") && source.contains("::chainrule::Repeat<"), "{source}");
}

/// Each scheme has its variance, in f32 and in f64. Uniform weights stay within their limits, and orthogonal weights
/// are orthogonal.
#[test]
fn initialisers() {
    const R: usize = 60;
    const C: usize = 120;
    fn rng() -> Xoshiro128PlusPlus {
        Xoshiro128PlusPlus::seed_from_u64(3)
    }
    macro_rules! scheme {
        ($name:ident, $variance:expr, $limit:expr) => {
            let (mut wide, mut narrow) = (SMatrix::<f64, R, C>::zeros(), SMatrix::<f32, R, C>::zeros());
            init::$name(&mut wide, &mut rng());
            init::$name(&mut narrow, &mut rng());
            // The variance of 7,200 numbers is off by less than four of its deviations, √(2/7200) = 1.7 %.
            let variance = wide.variance() / $variance;
            assert!((variance - 1.0).abs() < 0.07, "{}: {variance}", stringify!($name));
            assert!(wide.amax() <= $limit, "{}", stringify!($name));
            // Some roundings of numbers of four deviations.
            let off = (wide - narrow.map(f64::from)).amax();
            assert!(off < 16.0 * f64::from(f32::EPSILON) * $variance.sqrt() * 4.0, "{off:e}");
        };
    }
    let (inputs, both) = (C as f64, (R + C) as f64);
    scheme!(xavier, 1.0 / inputs, f64::INFINITY);
    scheme!(he, 2.0 / inputs, f64::INFINITY);
    scheme!(glorot_normal, 2.0 / both, f64::INFINITY);
    scheme!(xavier_uniform, 1.0 / inputs, (3.0 / inputs).sqrt());
    scheme!(he_uniform, 2.0 / inputs, (6.0 / inputs).sqrt());
    scheme!(glorot_uniform, 2.0 / both, (6.0 / both).sqrt());

    let (mut flat, mut high) = (SMatrix::<f64, 8, 20>::zeros(), SMatrix::<f64, 20, 8>::zeros());
    init::orthogonal(3.0, &mut flat, &mut rng());
    init::orthogonal(3.0, &mut high, &mut rng());
    // Sums of 20 products below 9, each to a rounding.
    let nine = SMatrix::<f64, 8, 8>::identity() * 9.0;
    assert!((flat * flat.transpose() - nine).amax() < 20.0 * 9.0 * f64::EPSILON);
    assert!((high.transpose() * high - nine).amax() < 20.0 * 9.0 * f64::EPSILON);
    // The bits of one seed, pinned: they are the same on every machine.
    let mut weight = SMatrix::<f32, 2, 2>::zeros();
    init::he_uniform(&mut weight, &mut rng());
    assert_eq!(weight.as_slice().iter().map(|w| w.to_bits()).collect::<Vec<_>>(), PINNED);
}

const PINNED: [u32; 4] = [1071381166, 3217898531, 3206671417, 3218844809];
