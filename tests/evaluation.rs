//! Tables, splits, scaling and metrics: their results, and the inputs that they refuse.

use chainrule::{
    Affine, BinaryCrossEntropy, CrossEntropy, D1, MeanSquaredError, Network, SoftmaxCrossEntropy,
    Standardize, SumSquaredError, Weighted, Zeros,
    data::{
        DataError, Dataset, Shuffle, Split, Table, folds, one_hot, split, stratified_folds,
        stratified_split,
    },
    metrics::{Confusion, Regression, TopK},
};
use nalgebra::{Const, Dyn, SMatrix, SVector, Vector2};

#[test]
fn an_order_holds_each_number_once() {
    for len in (0..70).chain([100, 127, 128, 129, 1000, 4097]) {
        let mut order: Vec<_> = Shuffle::new(len, len as u64).iter().collect();
        order.sort_unstable();
        assert!(order.into_iter().eq(0..len), "{len}");
    }
    assert_eq!(Shuffle::new(3, 0).get(3), 3);
}

/// All 24 orders of four samples, and all 25 places of five, are equally frequent. With 23 and 16 degrees of freedom
/// χ² is above 65 and 53 in one of 10⁵ cases.
#[test]
fn orders_are_random() {
    const SEEDS: u64 = 24_000;
    let mut orders = std::collections::HashMap::new();
    let mut places = [[0.0; 5]; 5];
    for seed in 0..SEEDS {
        *orders.entry(Shuffle::new(4, seed).iter().collect::<Vec<_>>()).or_insert(0.0) += 1.0;
        for (place, number) in Shuffle::new(5, seed).iter().enumerate() {
            places[place][number] += 1.0;
        }
    }
    let chi = |counts: &[f64]| {
        let expected = counts.iter().sum::<f64>() / counts.len() as f64;
        counts.iter().map(|count| (count - expected).powi(2) / expected).sum::<f64>()
    };
    let orders: Vec<f64> = orders.into_values().collect();
    assert_eq!(orders.len(), 24);
    assert!(chi(&orders) < 65.0, "{}", chi(&orders));
    assert!(chi(places.as_flattened()) < 53.0, "{}", chi(places.as_flattened()));
}

/// Neighbours in the order are as far apart as in a random order, whose mean distance is (n + 1)/3.
#[test]
fn neighbours_are_not_related() {
    let order: Vec<_> = Shuffle::new(60_000, 1).iter().collect();
    let distance: usize = order.windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum();
    let mean = distance as f64 / 59_999.0;
    // The standard deviation of the mean is n/√18/√n, 58.
    assert!((mean - 20_000.0).abs() < 5.0 * 58.0, "{mean}");
}

fn labels() -> Vec<usize> {
    (0..100).map(|i| [0, 0, 0, 0, 0, 0, 0, 1, 1, 5][i % 10]).collect()
}

fn count(labels: &[usize], of: &[usize], class: usize) -> usize {
    of.iter().filter(|&&i| labels[i] == class).count()
}

fn covers(Split { train, test }: &Split, samples: usize) {
    let mut all = [&train[..], &test[..]].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..samples));
}

#[test]
fn splits_and_folds() {
    let labels = labels();
    let halves = stratified_split(&labels, 20, 1).unwrap();
    covers(&halves, 100);
    assert_eq!([0, 1, 5].map(|class| count(&labels, &halves.test, class)), [14, 4, 2]);
    assert_ne!(halves, stratified_split(&labels, 20, 2).unwrap());
    covers(&split(17, 5, 0).unwrap(), 17);

    for k in [2, 3, 10] {
        let parts = stratified_folds(&labels, k, 3).unwrap();
        let mut held_out: Vec<_> = parts.iter().flat_map(|part| part.test.clone()).collect();
        held_out.sort_unstable();
        assert!(held_out.into_iter().eq(0..100));
        for part in &parts {
            covers(part, 100);
            for (class, samples) in [(0, 70), (1, 20), (5, 10)] {
                let found = count(&labels, &part.test, class);
                assert!(found == samples / k || found == samples.div_ceil(k), "{k}: {found}");
            }
        }
    }
    assert_eq!(folds(10, 10, 0).unwrap().len(), 10);
}

#[test]
fn splits_that_cannot_be() {
    assert_eq!(split(0, 1, 0), Err(DataError::HeldOut { samples: 0, found: 1 }));
    for found in [0, 5, 6] {
        let error = split(5, found, 0).unwrap_err();
        assert_eq!(error, DataError::HeldOut { samples: 5, found });
        let said = format!("expected to hold out 1 to 4 of 5 samples, found {found}");
        assert_eq!(error.to_string(), said);
    }
    for found in [0, 1, 101] {
        assert_eq!(folds(100, found, 0), Err(DataError::Folds { samples: 100, found }));
        let stratified = stratified_folds(&labels(), found, 0);
        assert!(matches!(stratified, Err(DataError::Folds { .. } | DataError::Class { .. })));
    }
    let few = stratified_folds(&labels(), 11, 0).unwrap_err();
    assert_eq!(few, DataError::Class { class: 5, expected: 11, found: 10 });
    assert_eq!(few.to_string(), "expected at least 11 samples of class 5, found 10");
    let one = stratified_split(&[3; 8], 2, 0).unwrap_err();
    assert_eq!(one, DataError::OneClass { class: 3 });
    assert_eq!(one.to_string(), "expected samples of two or more classes, found only class 3");
    assert_eq!(stratified_folds(&[], 2, 0), Err(DataError::Folds { samples: 0, found: 2 }));

    let data = Dataset::labelled(vec![[0.0], [1.0]], vec![0, 1], 2).unwrap();
    assert_eq!(data.select(&[]).unwrap_err(), DataError::Empty);
    let beyond = DataError::Index { position: 1, found: 2, samples: 2 };
    assert_eq!(data.select(&[0, 2]).unwrap_err(), beyond);
}

/// A view of a view, a batch of this view, and indices that do not fit.
#[test]
fn views() {
    let prices: Vec<f64> = (0..6).map(f64::from).collect();
    let data = Dataset::new(prices.clone(), prices).unwrap();
    let even = data.select(&[4, 2, 0]).unwrap();
    let part = even.select(&[2, 0]).unwrap();
    let (x, t) = part.batch::<f64, _>(&[0, 1, 0], Const::<3>).unwrap();
    assert_eq!((x.as_slice(), t.as_slice()), (&[0.0, 4.0, 0.0][..], &[0.0, 4.0, 0.0][..]));
    let beyond = DataError::Index { position: 1, found: 2, samples: 2 };
    assert_eq!(part.batch::<f64, _>(&[0, 2], Dyn(2)).unwrap_err(), beyond);
    let few = DataError::Indices { expected: 2, found: 1 };
    assert_eq!(part.batch::<f64, _>(&[0], Const::<2>).unwrap_err(), few);
}

#[test]
fn one_hot_of_no_class() {
    let beyond = one_hot::<f32, 2>(&[0, 2]).unwrap_err();
    assert_eq!(beyond, DataError::Label { sample: 1, found: 2, classes: 2 });
}

fn table(file: &str) -> Result<Table, String> {
    Table::read("t.csv", file.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn tables() {
    let table = table("\"a, b\" , c ,kind\n1 ,-2.5e1,\"x \"\"y\"\"\"\n\n3,4,z\n").unwrap();
    assert_eq!((table.len(), table.columns()), (2, &["a, b", "c", "kind"].map(String::from)[..]));
    assert_eq!(table.numbers::<f64, 2>(["c", "a, b"]).unwrap(), [[-25.0, 1.0], [4.0, 3.0]]);
    assert_eq!(table.column::<f32>("c").unwrap(), [-25.0, 4.0]);
    assert_eq!(table.classes("kind").unwrap().1, ["x \"y\"", "z"]);
    assert_eq!(table.labels("kind", &["z", "x \"y\""]).unwrap(), [1, 0]);
}

#[test]
fn tables_that_are_wrong() {
    let refused = |file: &str, said: &str| assert_eq!(table(file).unwrap_err(), said);
    refused("a,b\n", "t.csv: expected at least one sample, found none");
    refused("", "t.csv: expected at least one sample, found none");
    refused(
        "a,b,a\n1,2,3\n",
        "t.csv, line 1, column a: expected one column of this name, found two",
    );
    let ragged = table("a,b\n1,2\n3\n").unwrap_err();
    assert!(ragged.starts_with("t.csv, line 3: expected a CSV file, found: "), "{ragged}");
    let none = Table::open("/no/such.csv").unwrap_err().to_string();
    assert!(none.starts_with("/no/such.csv: expected a CSV file, found: "), "{none}");
    assert!(Table::read("t.csv", &b"a\n\xff\n"[..]).unwrap_err().to_string().contains("line 2"));

    let wrong = table("a,kind\n1,x\nten,x\nNaN,x\n1e999,x\n").unwrap();
    let said = |result: Result<Vec<[f64; 1]>, _>| match result {
        Err(error) => chainrule::data::TableError::to_string(&error),
        Ok(_) => String::new(),
    };
    let ten = "t.csv, line 3, column a: expected a finite number, found \"ten\"";
    assert_eq!(said(wrong.numbers(["a"])), ten);
    let count = "t.csv: expected 1 features per sample, found 2";
    assert_eq!(said(wrong.numbers(["a", "kind"])), count);
    let none = "t.csv, column b: expected a column of this name, found only a, kind";
    assert_eq!(said(wrong.numbers(["b"])), none);
    let one = "t.csv, column kind: expected samples of two or more classes, found only class 0";
    assert_eq!(wrong.classes("kind").unwrap_err().to_string(), one);
    let class = "t.csv, line 2, column kind: expected one of the classes, found \"x\"";
    assert_eq!(wrong.labels("kind", &["y"]).unwrap_err().to_string(), class);

    let infinite = "t.csv, line 2, column a: expected a finite number, found \"1e999\"";
    assert_eq!(said(table("a\n1e999\n").unwrap().numbers(["a"])), infinite);
    for missing in ["", "?", "NA", "nan", "NULL"] {
        let mut gaps = table(&format!("a,b\n1,2\n{missing},3\n")).unwrap();
        let gap = "t.csv, line 3, column a: expected a number, found no value";
        assert_eq!(said(gaps.numbers(["a"])), gap);
        assert_eq!((gaps.drop_missing(), gaps.len()), (1, 1));
    }
    let mut empty = table("a\nNA\n").unwrap();
    empty.drop_missing();
    assert_eq!(said(empty.numbers(["a"])), "t.csv: expected at least one sample, found none");
}

/// A net whose outputs are its inputs.
fn through<const N: usize, E>(loss: E) -> Network<f32, D1<N>, Affine<f32, N, N>, E> {
    Network::new(Affine::new(SMatrix::identity(), SVector::zeros()), loss)
}

#[test]
fn counts() {
    let net = through::<3, _>(SoftmaxCrossEntropy);
    // A correct sample; a tie, which goes to the first; NaN; the second of three.
    let outputs = [[3., 2., 1.], [1., 1., 0.], [f32::NAN, 0., 1.], [1., 2., 3.], [0., 3., 1.]];
    let data = Dataset::labelled(outputs, [0, 1, 2, 1, 1], 3).unwrap();
    for batch in 1..7 {
        let all = net.measure(&data, Dyn(batch), Confusion::<3>::new()).unwrap();
        assert_eq!(all.counts, [[1, 0, 0], [1, 1, 1], [0, 0, 0]]);
        assert_eq!((all.undecided, all.unlabelled), ([0, 0, 1], 0));
        assert_eq!(all.accuracy(), 2.0 / 5.0);
        assert_eq!(all.accuracy() as f32, net.accuracy_on(&data, Dyn(batch)));
        assert_eq!((all.precision(0), all.recall(1), all.f1(1)), (0.5, 1.0 / 3.0, 0.5));
        assert_eq!((all.recall(2), all.precision(2), all.f1(2)), (0.0, 0.0, 0.0));
        let top = |k| net.measure(&data, Dyn(batch), TopK::<3>::new(k)).unwrap().accuracy();
        assert_eq!([0, 1, 2, 3, 9].map(top), [0.0, 0.4, 0.8, 0.8, 0.8]);
    }
    let all = net.measure(&data, Const::<2>, Confusion::<3>::new()).unwrap();
    let expected = "actual \\ predicted   0   1   2  undecided
                 0   1   0   0          0
                 1   1   1   1          0
                 2   0   0   0          1
";
    assert_eq!(all.to_string(), expected);
    assert!(Confusion::<3>::new().accuracy().is_nan());
    assert_eq!(net.measure(&data, Dyn(0), TopK::<3>::new(1)).unwrap_err(), DataError::EmptyBatch);

    let unlabelled = Dataset::new(outputs, [0, 9, 2, 1, 1]).unwrap();
    let all = net.measure(&unlabelled, Dyn(2), Confusion::<3>::new()).unwrap();
    assert_eq!((all.unlabelled, all.accuracy()), (1, 0.4));
}

/// Of a net with one output, 0 and below is class 0.
#[test]
fn one_output_decides_between_two_classes() {
    let net = through::<1, _>(BinaryCrossEntropy);
    let outputs = vec![-1.0, 2.0, 0.0, f32::NAN, 3.0, 4.0];
    let data = Dataset::labelled(outputs, vec![0, 1, 1, 0, 0, 1], 2).unwrap();
    let all = net.measure(&data, Dyn(4), Confusion::<2>::new()).unwrap();
    assert_eq!((all.counts, all.undecided), ([[1, 1], [1, 2]], [1, 0]));
    let all = net.measure(&data, Const::<4>, Confusion::<2>::new()).unwrap();
    assert_eq!(all.accuracy(), 0.5);
}

/// A million samples in f32. Counts are exact. The sums are of f64 numbers, and their error grows with the logarithm
/// of their number: at most 128 + 32 + 20 additions, so 180·2⁻⁵³ of sums of positive terms.
#[test]
fn a_million_samples() {
    const SAMPLES: usize = 1_000_000;
    let net = through::<2, _>(SoftmaxCrossEntropy);
    // One in a thousand is wrong: f32 counts only to 2²⁴, but differences of one must be seen.
    let outputs: Vec<_> =
        (0..SAMPLES).map(|i| if i % 1000 == 7 { [0., 1.] } else { [1., 0.] }).collect();
    let data = Dataset::labelled(&outputs[..], vec![0; SAMPLES], 2).unwrap();
    let all = net.measure(&data, Dyn(512), Confusion::<2>::new()).unwrap();
    assert_eq!((all.counts, all.accuracy()), ([[999_000, 1000], [0, 0]], 0.999));
    let loss = f64::from(net.loss_on(&data, Dyn(512)));
    let exact = (1.0 + (-1f64).exp()).ln() + 0.001;
    // The loss of a batch is rounded to f32, and so are the sums.
    assert!((loss - exact).abs() < 180.0 * f64::from(f32::EPSILON) * exact, "{loss} {exact}");

    // The targets are far from 0, compared with their spread: Σ t² would cancel.
    let net = through::<1, _>(SumSquaredError);
    let targets: Vec<f32> = (0..SAMPLES).map(|i| 4096.0 + (i % 4) as f32).collect();
    let outputs: Vec<f32> =
        targets.iter().zip(0..).map(|(t, i)| t + [0.5, -0.5][i / 4 % 2]).collect();
    let data = Dataset::new(outputs, targets).unwrap();
    let all = net.measure(&data, Dyn(512), Regression::<1>::new()).unwrap();
    assert_eq!((all.absolute(), all.squared(), all.r2()), (0.5, 0.25, 1.0 - 0.25 / 1.25));
    let same = Dataset::new(vec![1f32, 2.0], vec![3f32, 3.0]).unwrap();
    assert!(net.measure(&same, Dyn(2), Regression::<1>::new()).unwrap().r2().is_nan());
    let two = Network::<f32, D1<1>, _, _>::new(
        Affine::new(SMatrix::<f32, 2, 1>::new(1.0, 0.0), SVector::zeros()),
        SumSquaredError,
    );
    let data =
        Dataset::new(vec![1f32, 2.0, 3.0], vec![[1f32, 1.0], [2.0, 2.0], [3.0, 3.0]]).unwrap();
    let all = two.measure(&data, Dyn(2), Regression::<2>::new()).unwrap();
    // R² is 1 and 1 - 14/2.
    assert_eq!((all.r2(), all.absolute()), ((1.0 - 6.0) / 2.0, 1.0));
}

/// The loss on a data set is Σ w·L / Σ w whatever the batches are, also if weights, classes or labels do not count, and if
/// copies fill the last batch of constant size.
#[test]
fn loss_on_weights_as_the_loss_does() {
    type Line<E> = Network<f64, D1<1>, Affine<f64, 1, 1>, E>;
    let inputs = vec![[0.0]; 5];
    let targets = || vec![[0.0], [1.0], [2.0], [3.0], [4.0]];
    for weights in
        [[1000.0, 1.0, 3.0, 0.5, 2.0], [1.0, 2.0, 3.0, 4.0, 0.0], [0.0, 0.0, 1.0, 1.0, 0.0]]
    {
        let net = Line::new(Affine::zeros(), Weighted(MeanSquaredError));
        let data = Dataset::new(inputs.clone(), (targets(), weights.to_vec())).unwrap();
        let sum: f64 = weights.iter().zip(targets()).map(|(w, [t])| w * t * t).sum();
        let exact = sum / weights.iter().sum::<f64>();
        for batch in [1, 2, 3, 4, 5, 6, 100, usize::MAX] {
            let loss = net.loss_on(&data, Dyn(batch));
            assert!((loss - exact).abs() < 1e-12, "{batch}: {loss}, {exact}");
        }
        let fixed = [net.loss_on(&data, Const::<2>), net.loss_on(&data, Const::<8>)];
        assert!(fixed.iter().all(|loss| (loss - exact).abs() < 1e-12), "{fixed:?}, {exact}");
    }

    type Classifier = Network<f64, D1<1>, Affine<f64, 1, 2>, CrossEntropy<2>>;
    let layer = Affine::new(Vector2::new(0.7, -0.4), Vector2::new(0.1, 0.2));
    for loss in [
        CrossEntropy { weights: [100.0, 0.01], ..CrossEntropy::default() },
        CrossEntropy { ignore: Some(9), smoothing: 0.1, ..CrossEntropy::default() },
    ] {
        let net = Classifier::new(layer, loss);
        let inputs: Vec<_> = (0..7).map(|i| [f64::from(i) / 3.0]).collect();
        let labels =
            if loss.ignore.is_some() { [0, 1, 9, 1, 0, 9, 9] } else { [0, 0, 1, 0, 1, 1, 1] };
        let whole = SMatrix::<f64, 1, 7>::from_fn(|_, i| inputs[i][0]);
        let exact = net.loss(&whole, &labels);
        let data = Dataset::new(inputs, labels.to_vec()).unwrap();
        for batch in [1, 2, 3, 7, 64] {
            let found = net.loss_on(&data, Dyn(batch));
            assert!((found - exact).abs() < 1e-12, "{batch}: {found}, {exact}");
        }
        let found = net.loss_on(&data, Const::<4>);
        assert!((found - exact).abs() < 1e-12, "{found}, {exact}");
    }
}

/// Weights that cannot be are NaN, not a number for the other batches.
#[test]
fn loss_on_refuses_negative_weights() {
    type Classifier = Network<f64, D1<1>, Affine<f64, 1, 2>, Weighted<CrossEntropy<2>>>;
    let net = Classifier::new(Affine::zeros(), Weighted(CrossEntropy::default()));
    let data =
        |weights: Vec<f64>| Dataset::new(vec![[0.0]; 4], (vec![0, 1, 0, 1], weights)).unwrap();
    assert!(net.loss_on(&data(vec![1.0, 1.0, 2.0, 0.0]), Dyn(2)) > 0.5);
    for weights in [[1.0, -1.0, 2.0, 2.0], [2.0, 2.0, -1.0, 1.0], [0.0; 4]] {
        assert!(net.loss_on(&data(weights.to_vec()), Dyn(2)).is_nan(), "{weights:?}");
    }
}

/// A batch that is much larger than the data loses no digits.
#[test]
fn loss_on_takes_short_batches() {
    type Net = Network<f32, D1<1>, Affine<f32, 1, 1>, SumSquaredError>;
    let net = Net::new(Affine::zeros(), SumSquaredError);
    let data = Dataset::new(vec![[0.0]; 11], (0..11).map(|i| [0.3 * i as f32]).collect::<Vec<_>>())
        .unwrap();
    let exact = net.loss_on(&data, Dyn(11));
    assert!(exact > 1.0);
    for batch in [12, 1000, 10_000_000, usize::MAX] {
        assert_eq!(net.loss_on(&data, Dyn(batch)), exact, "{batch}");
    }
}

/// The standard deviation does not contain the rounding of the mean.
#[test]
fn scaling_of_large_numbers() {
    let scale = Standardize::<f32, 1>::fit(&[[1e8], [1e8 + 8.0]]).unwrap();
    assert_eq!(scale.std.0[0], 4.0);
}

/// What cannot be is refused before memory is allocated.
#[test]
fn splits_of_absurd_sizes() {
    let samples = usize::MAX;
    assert_eq!(split(samples, 0, 0), Err(DataError::HeldOut { samples, found: 0 }));
    assert_eq!(folds(samples, 1, 0), Err(DataError::Folds { samples, found: 1 }));
}
