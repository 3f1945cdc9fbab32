//! Which samples to train on, and which to hold out.

use super::{error::DataError, shuffle::Shuffle};
use alloc::vec::Vec;

/// The indices of the samples to train on, and of those that are held out. Both are in ascending order.
/// [`Dataset::select`](super::Dataset::select) makes data sets of them without copying samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The samples to train on.
    pub train: Vec<usize>,
    /// The samples that are held out.
    pub test: Vec<usize>,
}

/// Holds out `test` of `samples` samples at random.
///
/// # Errors
/// `test` is 0, or no sample is left to train on.
///
/// ```
/// use chainrule::data::{Dataset, split};
///
/// let rows: Vec<_> = (0..10).map(|i| [f64::from(i), 1.0]).collect();
/// let data = Dataset::labelled(rows, vec![0, 1, 0, 1, 0, 1, 0, 1, 0, 1], 2)?;
/// let halves = split(data.len(), 3, 0)?;
/// let (train, test) = (data.select(&halves.train)?, data.select(&halves.test)?);
/// assert_eq!((train.len(), test.len()), (7, 3));
/// # Ok::<_, chainrule::data::DataError>(())
/// ```
#[doc(alias("train_test_split", "random_split"))]
pub fn split(samples: usize, test: usize, seed: u64) -> Result<Split, DataError> {
    held_out(samples, || order(samples, seed), test)
}

/// As [`split`], but both parts have the same share of each class, as far as the numbers allow.
///
/// # Errors
/// As [`split`]; or there is only one class; or a class has only one sample.
pub fn stratified_split(labels: &[usize], test: usize, seed: u64) -> Result<Split, DataError> {
    let order = by_class(labels, 2, seed)?;
    held_out(order.len(), || order, test)
}

/// `k` splits for a cross validation. Each sample is held out in one of them. The sizes of the folds differ by
/// at most one.
///
/// # Errors
/// `k` is below 2 or above `samples`.
///
/// ```
/// let folds = chainrule::data::folds(7, 3, 0)?;
/// let sizes: Vec<_> = folds.iter().map(|fold| fold.test.len()).collect();
/// assert_eq!(sizes, [3, 2, 2]);
///
/// let error = chainrule::data::folds(7, 8, 0).unwrap_err();
/// assert_eq!(error.to_string(), "expected 2 to 7 folds of 7 samples, found 8");
/// # Ok::<_, chainrule::data::DataError>(())
/// ```
#[doc(alias("KFold", "cross_val_score"))]
pub fn folds(samples: usize, k: usize, seed: u64) -> Result<Vec<Split>, DataError> {
    dealt(samples, || order(samples, seed), k)
}

/// As [`folds`], but the numbers of samples of a class in two folds differ by at most one.
///
/// # Errors
/// As [`folds`]; or there is only one class; or a class has fewer than `k` samples.
#[doc(alias("StratifiedKFold"))]
pub fn stratified_folds(labels: &[usize], k: usize, seed: u64) -> Result<Vec<Split>, DataError> {
    let order = by_class(labels, k, seed)?;
    dealt(order.len(), || order, k)
}

fn order(samples: usize, seed: u64) -> Vec<usize> {
    Shuffle::new(samples, seed).iter().collect()
}

/// A random order in which the samples of a class follow one another.
fn by_class(labels: &[usize], at_least: usize, seed: u64) -> Result<Vec<usize>, DataError> {
    let label = |&sample: &usize| labels.get(sample).copied();
    let mut order = order(labels.len(), seed);
    order.sort_by_key(label);
    let mut classes = 0;
    for samples in order.chunk_by(|a, b| label(a) == label(b)) {
        let class = samples.first().and_then(label).unwrap_or_default();
        if samples.len() < at_least {
            return Err(DataError::Class { class, expected: at_least, found: samples.len() });
        }
        classes += 1;
    }
    match labels.first() {
        Some(&class) if classes == 1 => Err(DataError::OneClass { class }),
        _ => Ok(order),
    }
}

/// Holds out `test` samples that lie evenly in `order`. It makes the order after the check, because `samples` may be any
/// number.
fn held_out(
    samples: usize,
    order: impl FnOnce() -> Vec<usize>,
    test: usize,
) -> Result<Split, DataError> {
    if test == 0 || test >= samples {
        return Err(DataError::HeldOut { samples, found: test });
    }
    let before = |place: usize| place as u128 * test as u128 / samples as u128;
    Ok(cut(&order(), |place| before(place) < before(place + 1)))
}

/// Distributes `order` to `k` folds in turn.
fn dealt(
    samples: usize,
    order: impl FnOnce() -> Vec<usize>,
    k: usize,
) -> Result<Vec<Split>, DataError> {
    if k < 2 || k > samples {
        return Err(DataError::Folds { samples, found: k });
    }
    let order = order();
    Ok((0..k).map(|fold| cut(&order, |place| place % k == fold)).collect())
}

fn cut(order: &[usize], held_out: impl Fn(usize) -> bool) -> Split {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (place, &sample) in order.iter().enumerate() {
        if held_out(place) { &mut test } else { &mut train }.push(sample);
    }
    train.sort_unstable();
    test.sort_unstable();
    Split { train, test }
}
