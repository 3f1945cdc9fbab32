//! Samples in memory: their containers, how they become batches, and which data sets are refused.

use chainrule::{
    Affine, BatchSize, Columns, D1, Network, Sgd, SumSquaredError, Training, TwoLayerNet, Zeros,
    data::{DataError, Dataset, Gather, Pixels, Samples, from_dmatrix, from_rows, from_slice},
};
use nalgebra::{Const, DMatrix, Dyn};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::cell::RefCell;

const ROWS: [[f64; 2]; 4] = [[0.0, 0.1], [1.0, 1.1], [2.0, 2.1], [3.0, 3.1]];

#[test]
fn what_holds_samples() {
    let matrix = DMatrix::from_column_slice(2, 4, ROWS.as_flattened());
    let nested = ROWS.map(|row| row.to_vec()).to_vec();
    macro_rules! check {
        ($($samples:expr),*) => { $(
            let samples = $samples;
            assert_eq!(Samples::count(&samples), 4);
            let mut x = Gather::<f64, _>::batch(&samples, Const::<3>);
            Gather::<f64, Const<3>>::gather(&samples, &[3, 0, 3], &mut x).unwrap();
            assert_eq!(x.as_slice(), [3.0, 3.1, 0.0, 0.1, 3.0, 3.1]);
            let mut x = Gather::<f64, _>::batch(&samples, Dyn(1));
            Gather::<f64, Dyn>::gather(&samples, &[2], &mut x).unwrap();
            assert_eq!(x.as_slice(), [2.0, 2.1]);
        )* };
    }
    check!(ROWS, &ROWS, &ROWS[..], ROWS.to_vec(), &ROWS.to_vec());
    check!(from_slice::<f64, 2>(ROWS.as_flattened()).unwrap());
    check!(from_dmatrix::<f64, 2>(matrix.columns(0, 4)).unwrap());
    check!(from_dmatrix::<f64, 2>(matrix.transpose().transpose()).unwrap());
    check!(from_rows::<f64, 2>(&nested).unwrap(), from_rows::<f64, 2>(nested).unwrap());

    let pixels = Pixels(vec![[0, 51], [255, 102]]);
    let mut x = Gather::<f64, _>::batch(&pixels, Const::<3>);
    pixels.gather(&[1, 0, 1], &mut x).unwrap();
    assert_eq!(x.as_slice(), [1.0, 0.4, 0.0, 0.2, 1.0, 0.4]);
}

#[test]
fn a_batch_in_one_call() {
    let data = Dataset::labelled(ROWS, [0, 1, 2, 3], 4).unwrap();
    let (x, labels) = data.batch(&[3, 1], Const::<2>).unwrap();
    assert_eq!((x.as_slice(), labels), (&[3.0, 3.1, 1.0, 1.1][..], [3, 1]));
    let (x, labels) = data.batch(&[2], Dyn(1)).unwrap();
    assert_eq!((x.as_slice(), &labels[..]), (&[2.0, 2.1][..], &[2][..]));
    let (x, labels) = data.batch(&[], Dyn(0)).unwrap();
    assert_eq!((x.shape(), labels.len()), ((2, 0), 0));

    let prices = vec![1.0, 2.0, 3.0, 4.0];
    let data = Dataset::new(&ROWS[..], from_slice::<f64, 1>(&prices).unwrap()).unwrap();
    let (_, prices) = data.batch(&[3, 0], Const::<2>).unwrap();
    assert_eq!((prices.shape(), prices.as_slice()), ((1, 2), &[4.0, 1.0][..]));
}

/// More samples than 32 bits can count. They take no memory, and remember which of them were drawn.
#[derive(Default)]
struct Endless(RefCell<Vec<usize>>);

const ENDLESS: usize = usize::MAX / 3;

impl Samples for Endless {
    fn count(&self) -> usize {
        ENDLESS
    }
}

impl<B: BatchSize> Gather<f64, B> for Endless {
    type Batch = Columns<f64, 1, B>;

    fn batch(&self, size: B) -> Self::Batch {
        size.columns()
    }

    fn gather(&self, indices: &[usize], _: &mut Self::Batch) -> Result<(), DataError> {
        self.0.borrow_mut().extend(indices);
        Ok(())
    }
}

/// A thousand uniform draws miss one of eight parts with a probability of 8·(7/8)¹⁰⁰⁰ < 10⁻⁵⁷.
#[test]
fn draws_from_any_number_of_samples() {
    type Net = Network<f64, D1<1>, Affine<f64, 1, 1>, SumSquaredError>;
    let data = Dataset::new(Endless::default(), Endless::default()).unwrap();
    let training = Training { batch: Const::<10>, iterations: 100, seed: 0 };
    training
        .run(&mut Net::new(Zeros::zeros(), SumSquaredError), &mut Sgd::new(0.1), &data, |_| ())
        .unwrap();
    let drawn = data.inputs().0.borrow();
    assert_eq!(*drawn, *data.targets().0.borrow());
    let mut parts = [0; 8];
    drawn.iter().for_each(|&index| parts[index / (ENDLESS / 8 + 1)] += 1);
    assert_eq!(parts.iter().sum::<usize>(), 1000);
    assert!(parts.iter().all(|&hits| hits > 0), "{parts:?}");
}

/// A wrong index never leaves an old sample in the batch.
#[test]
fn indices_that_do_not_fit() {
    let beyond = DataError::Index { position: 1, found: 4, samples: 4 };
    let few = DataError::Indices { expected: 2, found: 1 };
    let many = DataError::Indices { expected: 2, found: 3 };
    let cases = [(&[0, 4][..], beyond), (&[0], few), (&[0, 1, 2], many)];

    let matrix = from_dmatrix::<f64, 2>(DMatrix::repeat(2, 4, 1.0)).unwrap();
    let (pixels, labels) = (Pixels(vec![[1, 2]; 4]), [0, 1, 2, 3]);
    macro_rules! check {
        ($($samples:expr, $old:expr);*) => { $(
            for (indices, error) in cases {
                let mut batch = $old;
                let found = Gather::<f64, Const<2>>::gather(&$samples, indices, &mut batch);
                assert_eq!(found, Err(error));
                assert_eq!(batch, $old, "unchanged");
            }
        )* };
    }
    let old = nalgebra::SMatrix::<f64, 2, 2>::repeat(7.0);
    check!(ROWS, old; matrix, old; pixels, old; labels, [7, 7]);

    let data = Dataset::new(ROWS, labels).unwrap();
    for (indices, error) in cases {
        assert_eq!(data.batch(indices, Const::<2>).unwrap_err(), error);
        assert_eq!(data.batch(indices, Dyn(2)).unwrap_err(), error);
    }
    // An impossible size is refused before memory is allocated for it.
    let error = data.batch(&[0], Dyn(usize::MAX)).unwrap_err();
    assert_eq!(error, DataError::Indices { expected: usize::MAX, found: 1 });
    assert_eq!(beyond.to_string(), "expected indices below 4, found 4 at position 1");
    assert_eq!(few.to_string(), "expected 2 indices for a batch of 2, found 1");
}

#[test]
fn inputs_and_targets() {
    let error = Dataset::new(ROWS, [0, 1]).unwrap_err();
    assert_eq!(error, DataError::Counts { inputs: 4, targets: 2 });
    assert_eq!(error.to_string(), "expected one target per input, found 4 inputs and 2 targets");
    let error = Dataset::new(Vec::<[f64; 1]>::new(), Vec::<usize>::new()).unwrap_err();
    assert_eq!(error, DataError::Empty);
    assert_eq!(error.to_string(), "expected at least one sample, found none");
}

#[test]
fn data_of_run_time_size() {
    let matrix = DMatrix::from_fn(3, 5, |i, j| (10 * i + j) as f64);
    let (copy, place) = (matrix.clone(), matrix.as_slice().as_ptr());
    let batch = from_dmatrix::<f64, 3>(matrix).unwrap();
    assert_eq!((batch.as_slice(), batch.as_slice().as_ptr()), (copy.as_slice(), place));
    let error = from_dmatrix::<f64, 4>(copy).unwrap_err();
    assert_eq!(error, DataError::Features { expected: 4, found: 3 });

    let error = from_rows::<f64, 2>([&[1.0, 2.0][..], &[1.0, 2.0, 3.0]]).unwrap_err();
    assert_eq!(error, DataError::Row { row: 1, expected: 2, found: 3 });
    assert!(from_rows::<f64, 1>([[f64::NAN]]).unwrap()[0][0].is_nan());

    let error = from_slice::<f64, 3>(&[0.0; 4]).unwrap_err();
    assert_eq!(error, DataError::Values { features: 3, found: 4 });
    assert_eq!(from_slice::<u8, 2>(&[1, 2, 3, 4]).unwrap(), [[1, 2], [3, 4]]);
    assert!(from_slice::<f64, 3>(&[]).unwrap().is_empty());
}

/// Samples without features are useless, but nothing panics on them.
#[test]
fn no_features() {
    assert!(from_slice::<f64, 0>(&[1.0]).is_err());
    assert!(from_slice::<f64, 0>(&[]).is_err());
    let columns = from_dmatrix::<f64, 0>(DMatrix::zeros(0, 3)).unwrap();
    assert_eq!(columns.count(), 3);
    let (x, _) = Dataset::new(columns, [0, 1, 2]).unwrap().batch(&[2, 1], Dyn(2)).unwrap();
    assert_eq!(x.shape(), (0, 2));
}

/// A table of run-time size can train a net, and `predict` takes it.
#[test]
fn a_table_from_end_to_end() {
    let table = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]].map(|row| row.to_vec());
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(0);
    let mut net = TwoLayerNet::<f32, 2, 16, 2>::normal(0.5, rng);
    let data = Dataset::labelled(from_rows::<f32, 2>(&table).unwrap(), [0, 1, 1, 0], 2).unwrap();
    let training = Training { batch: Const::<4>, iterations: 1000, seed: 0 };
    training.run(&mut net, &mut Sgd::new(0.5), &data, |_| ()).unwrap();
    assert_eq!(net.accuracy_on(&data, Const::<4>), 1.0);

    let matrix = DMatrix::from_column_slice(2, 4, &table.concat());
    let scores = net.predict(&from_dmatrix(matrix).unwrap());
    let classes: Vec<_> = scores.column_iter().map(|column| column.imax()).collect();
    assert_eq!(classes, [0, 1, 1, 0]);
}
