//! Metrics of a net on a data set: counts and sums that grow batch by batch.
//!
//! [`Network::measure`] runs a net over a data set and gives its outputs to a [`Metric`]. All results are `f64`, for
//! nets of any scalar.
//!
//! | scikit-learn, PyTorch | here |
//! |---|---|
//! | `accuracy_score` | [`Network::accuracy_on`], [`Confusion::accuracy`] |
//! | `confusion_matrix` | [`Confusion`] |
//! | `precision_score`, `recall_score`, `f1_score` | [`Confusion::precision`], [`Confusion::recall`], [`Confusion::f1`] |
//! | `top_k_accuracy_score` | [`TopK`] |
//! | `r2_score` | [`Regression::r2`] |
//! | `mean_absolute_error`, `mean_squared_error` | [`Regression::absolute`], [`Regression::squared`] |
//! | `log_loss` | [`Network::loss_on`] of a net with [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy) |
//!
//! ```
//! use chainrule::{Affine, D1, Network, SoftmaxCrossEntropy, data::Dataset, metrics::Confusion};
//! use nalgebra::{Const, Matrix2, Vector2};
//!
//! // The outputs are the inputs, so the larger input is the prediction.
//! let layer = Affine::new(Matrix2::identity(), Vector2::zeros());
//! let net = Network::<f64, D1<2>, _, _>::new(layer, SoftmaxCrossEntropy);
//! let inputs = [[2.0, 1.0], [1.0, 3.0], [5.0, 1.0]];
//! let data = Dataset::labelled(inputs, [0, 1, 1], 2)?;
//!
//! let confusion = net.measure(&data, Const::<2>, Confusion::<2>::new())?;
//! assert_eq!(confusion.counts, [[1, 0], [1, 1]]);
//! assert_eq!((confusion.recall(1), confusion.precision(1)), (0.5, 1.0));
//! let table = "actual \\ predicted  cat  dog
//!                cat    1    0
//!                dog    1    1
//! ";
//! assert_eq!(confusion.named(&["cat", "dog"]).to_string(), table);
//! # Ok::<_, chainrule::data::DataError>(())
//! ```

use crate::data::{DataError, Dataset, Gather, Inputs};
use crate::{Batch, BatchSize, Classes, Columns, D1, Layer, Network, Number, Scores, Shape};
use crate::{kernel::Sum, loss::argmax, train::each_batch};
use core::{array, fmt};

/// What can be computed from the outputs of a net on a data set, batch by batch. `Y` is the type of the targets
/// of a batch.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a metric for outputs of shape `{S}` with targets `{Y}`",
    label = "not a metric of this net and data set"
)]
pub trait Metric<T: Number, S: Shape, B: BatchSize, Y: ?Sized> {
    /// Adds the first `count` samples of a batch.
    fn add(&mut self, y: &Batch<T, S, B>, target: &Y, count: usize);
}

impl<T: Number, In: Shape, L, E> Network<T, In, L, E> {
    /// The metric after all samples of a data set, computed batch by batch. [`metrics`](crate::metrics) lists the
    /// metrics.
    ///
    /// # Errors
    /// The batch size is 0; or samples could not be gathered, which a [`Gather`] of another crate may report.
    pub fn measure<B: BatchSize, X, Y, M>(
        &self,
        data: &Dataset<X, Y>,
        batch: B,
        metric: M,
    ) -> Result<M, DataError>
    where
        L: Layer<T, In>,
        X: Inputs<T, B, In>,
        Y: Gather<T, B>,
        M: Metric<T, L::Out, B, Y::Batch>,
    {
        let mut metric = metric;
        each_batch(data, batch, |x, t, count| metric.add(&self.predict(x), t, count))?;
        Ok(metric)
    }
}

/// The confusion matrix: how often each class was predicted for each actual class. The largest output is the
/// prediction; of equal outputs the first.
#[doc(alias("confusion_matrix", "ConfusionMatrix"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confusion<const N: usize> {
    /// `counts[actual][predicted]`.
    pub counts: [[u64; N]; N],
    /// For each actual class, the samples without a prediction, because an output was NaN. They count as wrong.
    pub undecided: [u64; N],
    /// The samples whose label is not a class. They count as wrong in the accuracy, and nowhere else.
    pub unlabelled: u64,
}

impl<const N: usize> Confusion<N> {
    /// No sample yet.
    pub const fn new() -> Self {
        Confusion { counts: [[0; N]; N], undecided: [0; N], unlabelled: 0 }
    }

    /// The fraction of the samples that were predicted correctly. NaN without samples.
    pub fn accuracy(&self) -> f64 {
        let correct: u64 = (0..N).map(|class| self.count(class, class)).sum();
        let decided: u64 = self.counts.iter().flatten().sum();
        let samples = decided + self.undecided.iter().sum::<u64>() + self.unlabelled;
        correct as f64 / samples as f64
    }

    /// The fraction of the samples predicted as this class that are of this class. NaN if there are none.
    pub fn precision(&self, class: usize) -> f64 {
        self.count(class, class) as f64 / self.predicted(class) as f64
    }

    /// The fraction of the samples of this class that were predicted as this class. NaN if there are none.
    pub fn recall(&self, class: usize) -> f64 {
        self.count(class, class) as f64 / self.actual(class) as f64
    }

    /// The harmonic mean of precision and recall. NaN if the class occurs neither as a label nor as a prediction.
    pub fn f1(&self, class: usize) -> f64 {
        let both = self.predicted(class) + self.actual(class);
        2.0 * self.count(class, class) as f64 / both as f64
    }

    /// The mean of [`f1`](Self::f1) over the classes.
    pub fn macro_f1(&self) -> f64 {
        (0..N).map(|class| self.f1(class)).sum::<f64>() / N as f64
    }

    /// The table with the names of the classes. A class without a name has its number.
    pub const fn named<'a>(&'a self, names: &'a [&'a str]) -> Named<'a, N> {
        Named { confusion: self, names }
    }

    /// Counts a sample.
    fn note(&mut self, actual: Option<usize>, predicted: Option<usize>) {
        let cell = match (actual, predicted) {
            (None, _) => Some(&mut self.unlabelled),
            (Some(actual), None) => self.undecided.get_mut(actual),
            (Some(actual), Some(predicted)) => {
                self.counts.get_mut(actual).and_then(|row| row.get_mut(predicted))
            }
        };
        cell.into_iter().for_each(|cell| *cell += 1);
    }

    fn count(&self, actual: usize, predicted: usize) -> u64 {
        self.counts.get(actual).and_then(|row| row.get(predicted)).copied().unwrap_or(0)
    }

    fn predicted(&self, class: usize) -> u64 {
        (0..N).map(|actual| self.count(actual, class)).sum()
    }

    fn actual(&self, class: usize) -> u64 {
        let decided: u64 = (0..N).map(|predicted| self.count(class, predicted)).sum();
        decided + self.undecided.get(class).copied().unwrap_or(0)
    }
}

impl<const N: usize> Default for Confusion<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Number, const N: usize, S: Scores<N>, B: BatchSize, Y: Classes<T, N, B> + ?Sized>
    Metric<T, S, B, Y> for Confusion<N>
{
    fn add(&mut self, y: &Batch<T, S, B>, target: &Y, count: usize) {
        for (sample, y) in S::flat::<T, B>(y).chunks_exact(N.max(1)).take(count).enumerate() {
            self.note(target.class(sample), argmax(y));
        }
    }
}

/// For a net of one output, which [`BinaryCrossEntropy`](crate::BinaryCrossEntropy) trains: class 1 where it is above 0.
impl<T: Number, B: BatchSize, Y: Classes<T, 2, B> + ?Sized> Metric<T, D1<1>, B, Y>
    for Confusion<2>
{
    fn add(&mut self, y: &Columns<T, 1, B>, target: &Y, count: usize) {
        for (sample, y) in y.iter().take(count).enumerate() {
            self.note(target.class(sample), argmax(&[T::zero(), *y]));
        }
    }
}

/// The table, with the numbers of the classes.
impl<const N: usize> fmt::Display for Confusion<N> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.named(&[]).fmt(f)
    }
}

/// A [`Confusion`] with the names of its classes. It prints as a table with a row for each actual class.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a, const N: usize> {
    confusion: &'a Confusion<N>,
    names: &'a [&'a str],
}

impl<const N: usize> fmt::Display for Named<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        const CORNER: &str = "actual \\ predicted";
        let name = |class: usize| self.names.get(class).copied();
        let wide = |class| name(class).map_or(0, |name| name.chars().count());
        let cells = self.confusion.counts.iter().chain([&self.confusion.undecided]).flatten();
        let digits =
            cells.max().map_or(1, |most| most.checked_ilog10().map_or(1, |log| log as usize + 1));
        let undecided = self.confusion.undecided.iter().any(|&count| count > 0);
        let first = (0..N).map(wide).fold(CORNER.len(), usize::max);
        let width = |class| wide(class).max(digits).max(2) + 2;
        let title = |f: &mut fmt::Formatter, class, width| match name(class) {
            Some(name) => write!(f, "{name:>width$}"),
            None => write!(f, "{class:>width$}"),
        };
        write!(f, "{CORNER:>first$}")?;
        (0..N).try_for_each(|class| title(f, class, width(class)))?;
        writeln!(f, "{}", if undecided { "  undecided" } else { "" })?;
        for (actual, row) in self.confusion.counts.iter().enumerate() {
            title(f, actual, first)?;
            for (class, count) in row.iter().enumerate() {
                write!(f, "{count:>width$}", width = width(class))?;
            }
            match self.confusion.undecided.get(actual).filter(|_| undecided) {
                Some(count) => writeln!(f, "{count:>11}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// How often the correct class is among the `k` largest of `N` outputs. Of equal outputs the first counts as larger. A
/// sample with a NaN output is wrong.
#[doc(alias("top_k_accuracy_score"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopK<const N: usize> {
    k: usize,
    correct: u64,
    samples: u64,
}

impl<const N: usize> TopK<N> {
    /// With this `k`. If it is not below the number of classes, all samples without NaN are correct.
    pub const fn new(k: usize) -> Self {
        TopK { k, correct: 0, samples: 0 }
    }

    /// The fraction of the samples whose class is among the `k`. NaN without samples.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples as f64
    }
}

impl<T: Number, const N: usize, S: Scores<N>, B: BatchSize, Y: Classes<T, N, B> + ?Sized>
    Metric<T, S, B, Y> for TopK<N>
{
    fn add(&mut self, y: &Batch<T, S, B>, target: &Y, count: usize) {
        for (sample, y) in S::flat::<T, B>(y).chunks_exact(N.max(1)).take(count).enumerate() {
            self.samples += 1;
            let class = target.class(sample).and_then(|class| Some((class, *y.get(class)?)));
            let Some((class, own)) = class.filter(|_| argmax(y).is_some()) else { continue };
            let above = |&(i, &y): &(usize, &T)| y > own || (y == own && i < class);
            self.correct += u64::from(y.iter().enumerate().filter(above).count() < self.k);
        }
    }
}

/// The errors of a regression with `N` outputs.
#[doc(alias("r2_score", "mean_absolute_error", "mean_squared_error"))]
#[derive(Clone, Debug)]
pub struct Regression<const N: usize> {
    samples: usize,
    outputs: [Errors; N],
}

/// The sums of one output.
#[derive(Clone, Debug, Default)]
struct Errors {
    absolute: Sum<f64>,
    squared: Sum<f64>,
    /// The first target. The others are counted from it, so that their variance does not cancel.
    first: f64,
    targets: Sum<f64>,
    squares: Sum<f64>,
}

impl<const N: usize> Regression<N> {
    /// No sample yet.
    pub fn new() -> Self {
        Regression { samples: 0, outputs: array::from_fn(|_| Errors::default()) }
    }

    /// R² = 1 - Σ (t - y)² / Σ (t - mean of t)², the mean over the outputs. NaN if all targets of an output are
    /// equal.
    pub fn r2(&self) -> f64 {
        self.mean(|output| {
            let (sum, samples) = (output.targets.total(), self.samples as f64);
            let total = output.squares.total() - sum * sum / samples;
            if total > 0.0 { 1.0 - output.squared.total() / total } else { f64::NAN }
        })
    }

    /// The mean absolute error, |t - y|.
    pub fn absolute(&self) -> f64 {
        self.mean(|output| output.absolute.total() / self.samples as f64)
    }

    /// The mean squared error, (t - y)².
    pub fn squared(&self) -> f64 {
        self.mean(|output| output.squared.total() / self.samples as f64)
    }

    fn mean(&self, of: impl Fn(&Errors) -> f64) -> f64 {
        self.outputs.iter().map(of).sum::<f64>() / N as f64
    }
}

impl<const N: usize> Default for Regression<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Number, const N: usize, B: BatchSize> Metric<T, D1<N>, B, Columns<T, N, B>>
    for Regression<N>
{
    fn add(&mut self, y: &Columns<T, N, B>, target: &Columns<T, N, B>, count: usize) {
        let columns = y.column_iter().zip(target.column_iter());
        for (y, t) in columns.take(count) {
            for (output, (&y, &t)) in self.outputs.iter_mut().zip(y.iter().zip(&t)) {
                let [y, t] = [y, t].map(as_f64);
                if self.samples == 0 {
                    output.first = t;
                }
                let (error, from_first) = (t - y, t - output.first);
                output.absolute.add(error.abs());
                output.squared.add(error * error);
                output.targets.add(from_first);
                output.squares.add(from_first * from_first);
            }
            self.samples += 1;
        }
    }
}

/// The value of a number, without derivatives; NaN if it has no value.
pub(crate) fn as_f64<T: Number>(number: T) -> f64 {
    nalgebra::try_convert(number).unwrap_or(f64::NAN)
}
