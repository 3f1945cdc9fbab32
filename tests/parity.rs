//! Compares with the numbers that the book prints, and forward values of every layer and loss with goldens, which
//! `tests/goldens/make.py` made with NumPy.

use chainrule::{data::Dataset, node::*, *};
use nalgebra::{Const, Dyn, Matrix1x2, Matrix3x2, SMatrix, Vector2, Vector3};
use std::collections::HashMap;

/// The arrays of one case of the goldens, by name.
fn golden(case: &str) -> HashMap<String, Vec<f64>> {
    let lines = include_str!("goldens/forward.txt").lines();
    let arrays = lines.filter_map(|line| {
        let (of, rest) = line.split_once(' ')?;
        let (name, numbers) = rest.split_once(' ')?;
        let numbers = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        (of == case).then(|| (name.to_string(), numbers))
    });
    let arrays: HashMap<_, _> = arrays.collect();
    assert!(!arrays.is_empty(), "no golden of {case}");
    arrays
}

fn batch<const N: usize>(numbers: &[f64]) -> Columns<f64, N, Dyn> {
    let size = Dyn(numbers.len() / N);
    Columns::<f64, N, Dyn>::from_column_slice_generic(Const, size, numbers)
}

/// Equal to within `roundings` units in the last place of the larger of `size` and the number.
fn assert_close(found: &[f64], golden: &[f64], roundings: f64, size: f64) {
    assert_eq!(found.len(), golden.len());
    for (&found, &golden) in found.iter().zip(golden) {
        let tolerance = roundings * f64::EPSILON * size.max(golden.abs());
        assert!((found - golden).abs() <= tolerance, "{found:e} is not {golden:e}");
    }
}

fn check<const I: usize, L: Layer<f64, D1<I>>>(case: &str, layer: &L, roundings: f64, size: f64)
where
    L::Out: Flat,
{
    let golden = golden(case);
    let x = batch::<I>(&golden["x"]);
    let y = layer.trace(&x).y;
    assert_close(L::Out::flat::<f64, Dyn>(&y), &golden["y"], roundings, size);
}

fn affine<const I: usize, const O: usize>(case: &str) {
    let arrays = golden(case);
    let weight = SMatrix::<f64, O, I>::from_column_slice(&arrays["w"]);
    let layer = Affine::new(weight, SMatrix::from_column_slice(&arrays["b"]));
    // I products and a bias, added up in some order; each is below 16.
    check::<I, _>(case, &layer, (I + 1) as f64, 16.0);
}

#[test]
fn layers() {
    affine::<3, 5>("affine");
    affine::<30, 20>("affine-large");
    check::<1, _>("relu", &Relu, 0.0, 0.0);
    check::<1, _>("identity", &Identity, 0.0, 0.0);
    // One rounding for each of the exponential, the sum and the quotient, and one to spare; below
    // the smallest normal number they are absolute.
    check::<1, _>("sigmoid", &Sigmoid, 4.0, f64::MIN_POSITIVE);
    check::<1, _>("tanh", &Tanh, 3.0, f64::MIN_POSITIVE);
    // At -1.5 the normal distribution is 0.067, with an error of one rounding of 1.
    check::<1, _>("gelu", &Gelu, 20.0, f64::MIN_POSITIVE);
    check::<1, _>("softplus", &Softplus, 4.0, f64::MIN_POSITIVE);
    // The exponential of a difference of size 15 multiplies the rounding of the difference by 15.
    check::<4, _>("softmax", &Softmax, 20.0, f64::MIN_POSITIVE);
}

#[test]
fn losses() {
    for case in ["softmax-cross-entropy-labels", "softmax-cross-entropy-soft"] {
        let golden = golden(case);
        let (x, t) = (batch::<4>(&golden["x"]), batch::<4>(&golden["t"]));
        let mut dy = x.clone();
        let loss = SoftmaxCrossEntropy.loss(&x, &t, Some(&mut dy));
        // As for softmax; the logarithm turns a relative error into an absolute one.
        assert_close(&[loss], &golden["loss"], 20.0, 0.0);
        assert_close(dy.as_slice(), &golden["dy"], 20.0, 1.0);
        assert_eq!(loss, SoftmaxCrossEntropy.loss(&x, &t, None));
    }
    let golden_labels = golden("softmax-cross-entropy-numbers");
    let labels: Vec<usize> = golden_labels["labels"].iter().map(|&label| label as usize).collect();
    let arrays = golden("softmax-cross-entropy-labels");
    let x = batch::<4>(&arrays["x"]);
    let loss = SoftmaxCrossEntropy.loss(&x, &labels, None);
    assert_eq!(loss, SoftmaxCrossEntropy.loss(&x, &batch::<4>(&arrays["t"]), None));

    let golden = golden("sum-squared-error");
    let (x, t) = (batch::<3>(&golden["x"]), batch::<3>(&golden["t"]));
    let mut dy = x.clone();
    let loss = SumSquaredError.loss(&x, &t, Some(&mut dy));
    // Eighteen squares, added up, all positive.
    assert_close(&[loss], &golden["loss"], 20.0, 0.0);
    assert_close(dy.as_slice(), &golden["dy"], 2.0, 0.0);
}

/// Chapter 5.4.
#[test]
fn price_graphs() {
    let (apple_price, mul_apple) = Mul::forward(100.0, 2.0);
    let (orange_price, mul_orange) = Mul::forward(150.0, 3.0);
    let (all, add) = Add::forward(apple_price, orange_price);
    let (price, mul_tax) = Mul::forward(all, 1.1);
    let (dall, dtax) = mul_tax.backward(1.0);
    let (dapple_price, dorange_price) = add.backward(dall);
    let ((dapple, dapple_num), (dorange, dorange_num)) =
        (mul_apple.backward(dapple_price), mul_orange.backward(dorange_price));
    let found = [price, dapple, dapple_num, dorange, dorange_num, dtax];
    // The book's own code prints 3.3000000000000003 too.
    assert_close(&found, &[715.0, 2.2, 110.0, 3.3, 165.0, 650.0], 2.0, 0.0);
}

/// Chapters 3.2.4, 3.5 and 4.2: the numbers that the book prints, with the same digits.
#[test]
fn printed_values() {
    let x = Vector3::new(-1.0, 1.0, 2.0);
    let printed = Vector3::new(0.26894142, 0.73105858, 0.88079708);
    assert!((Sigmoid.trace(&x).y - printed).iter().all(|d: &f64| d.abs() < 5e-9));

    let printed = Vector3::new(0.01821127, 0.24519181, 0.73659691);
    assert!(
        (Softmax.trace(&Vector3::new(0.3, 2.9, 4.0)).y - printed)
            .iter()
            .all(|d: &f64| d.abs() < 5e-9)
    );
    let large = Softmax.trace(&Vector3::new(1010.0, 1000.0, 990.0)).y;
    assert!(
        (large - Vector3::new(9.99954600e-1, 4.53978686e-5, 2.06106005e-9))
            .iter()
            .all(|d: &f64| d.abs() < 5e-9)
    );

    // The book's scores are probabilities; their logarithms are scores that softmax turns into them.
    let t = SMatrix::<f64, 10, 1>::from_fn(|k, _| if k == 2 { 1.0 } else { 0.0 });
    let y = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0];
    let scores = SMatrix::<f64, 10, 1>::from_column_slice(&y).map(f64::ln);
    assert!((SoftmaxCrossEntropy.loss(&scores, &t, None) - 0.510825457099338).abs() < 2e-7);
    let y = SMatrix::<f64, 10, 1>::from_column_slice(&y);
    let error: f64 = SumSquaredError.loss(&y, &t, None);
    assert!((error - 0.0975).abs() < 1e-15);

    // Chapter 5.6.2: X·W = [[0, 0, 0], [10, 10, 10]], B = [1, 2, 3], dY = [[1, 2, 3], [4, 5, 6]].
    let affine = Affine::new(Vector3::repeat(10.0), Vector3::new(1.0, 2.0, 3.0));
    let x = Matrix1x2::new(0.0, 1.0);
    let mut pass = affine.trace(&x);
    assert_eq!(pass.y, Matrix3x2::new(1.0, 11.0, 2.0, 12.0, 3.0, 13.0));
    let (_, grad) = pass.backward(&Matrix3x2::new(1.0, 4.0, 2.0, 5.0, 3.0, 6.0));
    assert_eq!(grad.bias, Vector3::new(5.0, 7.0, 9.0));
}

/// Far from zero nothing overflows, and a NaN stays a NaN.
#[test]
fn honest_numbers() {
    let scores = Vector2::new(1000.0, -1000.0);
    let mut dy = scores;
    assert_eq!(SoftmaxCrossEntropy.loss(&scores, &[1], Some(&mut dy)), 2000.0);
    assert_eq!(dy, Vector2::new(1.0, -1.0));
    assert_eq!(SoftmaxCrossEntropy.loss(&scores, &[0], None), 0.0);
    // Rounding does not lose a small remainder.
    let sure = SoftmaxCrossEntropy.loss(&Vector2::new(50.0, 0.0), &[0], None);
    assert!((sure / (-50f64).exp() - 1.0).abs() < 1e-15);

    let nan = Vector2::new(1.0, f64::NAN);
    for scores in [nan, Vector2::new(f64::NAN, 1.0)] {
        assert!(SoftmaxCrossEntropy.loss(&scores, &[0], Some(&mut dy)).is_nan());
        assert!(dy.iter().all(|dy| dy.is_nan()));
        assert!(Softmax.trace(&scores).y.iter().all(|y| y.is_nan()));
    }
    let endless = Vector2::new(f64::INFINITY, 0.0);
    for label in [0, 1] {
        assert!(SoftmaxCrossEntropy.loss(&endless, &[label], Some(&mut dy)).is_nan());
        assert!(dy.iter().all(|dy| dy.is_nan()));
    }
    assert!(Softmax.trace(&endless).y.iter().all(|y| y.is_nan()));
    let alone = SMatrix::<f64, 1, 1>::repeat(f64::NAN);
    assert!(SoftmaxCrossEntropy.loss(&alone, &SMatrix::zeros(), None).is_nan());
    assert!(SoftmaxCrossEntropy.loss(&scores, &nan, None).is_nan());
    assert!(SoftmaxCrossEntropy.loss(&nan, &Vector2::zeros(), None).is_nan());
    let error: f64 = SumSquaredError.loss(&nan, &scores, None);
    assert!(error.is_nan());
    let affine = Affine::new(SMatrix::<f64, 3, 2>::zeros(), SMatrix::zeros());
    assert!(affine.trace(&nan).y.iter().all(|y| y.is_nan()));
    assert!(Relu.trace(&nan).y[1].is_nan() && Tanh.trace(&nan).y[1].is_nan());
    assert!(Sigmoid.trace(&nan).y[1].is_nan() && Identity.trace(&nan).y[1].is_nan());
    assert!(Gelu.trace(&nan).y[1].is_nan() && Softplus.trace(&nan).y[1].is_nan());
    let ends = Vector2::new(f64::NEG_INFINITY, f64::INFINITY);
    let slopes = Vector2::new(0.0, 1.0);
    let (mut gelu, mut softplus) = (Gelu.trace(&ends), Softplus.trace(&ends));
    assert_eq!([gelu.y, softplus.y], [Vector2::new(0.0, f64::INFINITY); 2]);
    let one = Vector2::repeat(1.0);
    assert_eq!([gelu.backward(&one).0, softplus.backward(&one).0], [slopes; 2]);

    // Kinks and ties as in the book.
    assert_eq!(
        Relu.trace(&Vector2::new(0.0, -0.0)).backward(&Vector2::repeat(1.0)).0,
        Vector2::zeros()
    );
    let net = Network::<f64, D1<2>, _, _>::new(Identity, SoftmaxCrossEntropy);
    assert_eq!(net.accuracy(&Vector2::repeat(3.0), &[0]), 1.0);
    assert_eq!(net.accuracy(&Vector2::repeat(f64::NAN), &[0]), 0.0);
}

/// The loss takes the logarithms of several samples at once. Still the loss of a batch is the mean over its samples,
/// and a NaN in any sample makes it NaN.
#[test]
fn cross_entropy_of_many() {
    for samples in [1, 15, 16, 17, 35] {
        let scores: Vec<f64> = (0..4 * samples).map(|i| f64::from(i * 37 % 101) / 10.0).collect();
        let (y, labels) = (batch::<4>(&scores), (0..samples as usize).map(|s| s * 7 % 4));
        let labels: Vec<usize> = labels.collect();
        let mut dy = y.clone();
        let loss = SoftmaxCrossEntropy.loss(&y, &labels, Some(&mut dy));
        let (mut sum, mut slopes) = (0.0, Vec::new());
        for (y, &label) in scores.chunks(4).zip(&labels) {
            let mut dy = batch::<4>(y);
            sum += SoftmaxCrossEntropy.loss(&batch::<4>(y), &vec![label], Some(&mut dy));
            slopes.extend(dy.iter().map(|dy| dy / f64::from(samples)));
        }
        // Three roundings a term and one an addition, of up to 35 terms.
        assert_close(&[loss], &[sum / f64::from(samples)], 40.0, 0.0);
        assert_close(dy.as_slice(), &slopes, 2.0, 0.0);
        for wrong in 0..labels.len() {
            let mut labels = labels.clone();
            labels[wrong] = 4;
            assert!(SoftmaxCrossEntropy.loss(&y, &labels, None).is_nan(), "{wrong} of {samples}");
        }
    }
}

/// Wrong targets give NaN and no panic: labels that are not a class, too many targets, too few.
#[test]
fn impossible_targets() {
    let y = batch::<2>(&[1.0, 2.0, 3.0, 4.0]);
    let mut dy = y.clone();
    for labels in [vec![0], vec![0, 1, 0], vec![], vec![0, 2]] {
        assert!(SoftmaxCrossEntropy.loss(&y, &labels, Some(&mut dy)).is_nan(), "{labels:?}");
        assert!(dy.column(1).iter().all(|dy| dy.is_nan()), "{labels:?}");
    }
    let net = Network::<f64, D1<2>, _, _>::new(Identity, SoftmaxCrossEntropy);
    assert!(net.accuracy(&y, &vec![1]).is_nan() && net.accuracy(&y, &vec![1, 1, 1]).is_nan());
    let long = batch::<2>(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let mut too_long = long.clone();
    SumSquaredError.loss(&y, &y, Some(&mut too_long));
    assert!(too_long[(0, 0)] == 0.0 && too_long[(0, 2)].is_nan());
    SoftmaxCrossEntropy.loss(&y, &vec![0, 1], Some(&mut too_long));
    assert!(too_long[(0, 0)].is_finite() && too_long[(0, 2)].is_nan());
    assert!(SoftmaxCrossEntropy.loss(&y, &long, None).is_nan());
    let error: f64 = SumSquaredError.loss(&y, &long, Some(&mut dy));
    assert!(error.is_nan() && dy.iter().all(|dy| dy.is_nan()));
    let error: f64 = SumSquaredError.loss(&long, &y, None);
    assert!(error.is_nan());
    // The softmax of one output is always 1, and that output is always the largest.
    let one = batch::<1>(&[1.0, -2.0]);
    let mut dy = one.clone();
    assert!(SoftmaxCrossEntropy.loss(&one, &vec![0, 0], Some(&mut dy)).is_nan());
    assert!(dy.iter().all(|dy| dy.is_nan()));
    let net = Network::<f64, D1<1>, _, _>::new(Identity, SoftmaxCrossEntropy);
    assert!(net.accuracy(&one, &vec![0, 0]).is_nan());
    let data = Dataset::new(one, vec![0, 0]).unwrap();
    assert!(net.accuracy_on(&data, Dyn(2)).is_nan() && net.loss_on(&data, Dyn(2)).is_nan());
}
