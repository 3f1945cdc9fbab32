//! The book's SoftmaxWithLoss.

use super::{Classes, MeanLoss, Weights};
use crate::kernel::{self, Sum};
use crate::{BatchSize, Columns, D1, Number, shape::nan};
use core::ops::Range;

/// L = -Σ tₖ·ln softmax(y)ₖ, the mean over the batch; dy = (softmax(y) - t) / B. (Chapter 5.6.3.)
///
/// The net ends in the scores y, without a softmax layer. (PyTorch's `CrossEntropyLoss`.) For class weights, label
/// smoothing or an ignored label see [`CrossEntropy`](crate::CrossEntropy).
///
/// # Shapes
/// The outputs are `D1<N>`. The target is [`Classes`]: labels below N, or a column of probabilities for each
/// sample. If such a column has a sum s other than 1, the gradient is (s·softmax(y) - t) / B.
///
/// # Numbers
/// Nothing overflows, and no 1e-7 is added inside the logarithm: at scores of ±1000 the loss is 2000 and not 16.1.
/// An output of NaN or +∞, or a label that is not a class, makes the loss NaN. So does a net with one output,
/// whose softmax is always 1. For two classes use two outputs.
///
/// ```
/// use chainrule::{D1, Loss, SoftmaxCrossEntropy};
/// use nalgebra::SMatrix;
///
/// let y = SMatrix::<f64, 3, 2>::from_column_slice(&[2.0, 1.0, 0.0, 1000.0, -1000.0, 0.0]);
/// let mut dy = y;
/// let loss = SoftmaxCrossEntropy.loss(&y, &[0, 1], Some(&mut dy));
/// assert!((loss - (0.40760596444 + 2000.0) / 2.0).abs() < 1e-10);
/// assert_eq!(dy.column(1).as_slice(), [0.5, -0.5, 0.0]);
/// ```
#[doc(alias("CrossEntropyLoss", "SoftmaxWithLoss"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoftmaxCrossEntropy;

parameters!(@export SoftmaxCrossEntropy [] (SoftmaxCrossEntropy) [] []);

impl<T: Number, const N: usize, B: BatchSize, Y: Classes<T, N, B> + ?Sized> MeanLoss<T, D1<N>, B, Y>
    for SoftmaxCrossEntropy
{
    #[inline(always)]
    fn weighted(
        &self,
        y: &Columns<T, N, B>,
        t: &Y,
        weights: Option<&[T]>,
        dy: Option<&mut Columns<T, N, B>>,
    ) -> T {
        const { assert!(!Y::WEIGHTED, "a target with weights takes the loss in `Weighted`") };
        let weights = Weights::new(weights, y.ncols(), t.samples() == y.ncols() && N != 1);
        let probability = |sample, class| t.probability(sample, class);
        cross_entropy(y, probability, |sample| weights.of(sample), weights.total, dy)
    }
}

/// Σ wᵢ·(-Σ tₖ·ln softmax(y)ₖ) / total, where w is the weight of a sample and t of a sample and a class.
#[inline(always)]
pub(super) fn cross_entropy<T: Number, const N: usize, B: BatchSize>(
    y: &Columns<T, N, B>,
    t: impl Fn(usize, usize) -> T,
    weight: impl Fn(usize) -> T,
    total: T,
    mut dy: Option<&mut Columns<T, N, B>>,
) -> T {
    if let Some(dy) = dy.as_deref_mut().filter(|dy| dy.ncols() != y.ncols()) {
        dy.fill(nan());
    }
    let (y, dy) = (y.as_slice(), dy.map_or(&mut [][..], |dy| dy.as_mut_slice()));
    // Without a loop if one group is all, so that its size is a constant. No closure for both calls: it would be a
    // function of its own, without the features of the CPU.
    let samples = y.len().checked_div(N).unwrap_or(0);
    if samples <= TOGETHER {
        return of_some::<T, N>(0..samples, y, &t, &weight, total, dy) / total;
    }
    let mut loss = Sum::new();
    for first in (0..samples).step_by(TOGETHER) {
        let some = first..samples.min(first + TOGETHER);
        loss.add(of_some::<T, N>(some, y, &t, &weight, total, dy));
    }
    loss.total() / total
}

/// The loss of some samples, times `total`.
#[inline(always)]
fn of_some<T: Number, const N: usize>(
    some: Range<usize>,
    y: &[T],
    t: &impl Fn(usize, usize) -> T,
    weight: &impl Fn(usize) -> T,
    total: T,
    dy: &mut [T],
) -> T {
    let (first, count) = (some.start, some.len());
    let numbers = N * first..N * some.end;
    let y = y.get(numbers.clone()).unwrap_or_default();
    let dy = dy.get_mut(numbers).unwrap_or_default();
    let mut slopes = [[T::zero(); N]; TOGETHER];
    let [mut tops, mut sums, mut logs] = [[T::zero(); TOGETHER]; 3];
    let each = || y.chunks_exact(N.max(1));
    for ((y, p), top) in each().zip(&mut slopes).zip(&mut tops) {
        *top = kernel::subtract_top(y, p);
    }
    kernel::exp(slopes.as_flattened_mut().get_mut(..N * count).unwrap_or_default());
    let mut loss = T::zero();
    let results = sums.iter_mut().zip(&mut logs).enumerate();
    for (((y, p), &top), (s, (sum, rest))) in each().zip(&mut slopes).zip(&tops).zip(results) {
        let weight = weight(first + s);
        if weight == T::zero() {
            p.fill(T::zero());
            continue;
        }
        let mut targets = [T::zero(); N];
        for (k, target) in targets.iter_mut().enumerate() {
            *target = weight * t(first + s, k);
            *sum += *target;
        }
        *rest = kernel::divide_by_sum(y, top, p);
        // 0·∞ must not enter the sum. A NaN enters it through `rest`.
        loss += kernel::sum_of(N, |part| {
            let targets = targets.iter().zip(y).skip(part.start).take(part.len());
            targets.fold(T::zero(), |sum, (&t, &y)| {
                sum + if t == T::zero() { t } else { t * (top - y) }
            })
        });
        for (p, &t) in p.iter_mut().zip(&targets) {
            *p = (*sum * *p - t) / total;
        }
    }
    for (dy, &slope) in dy.iter_mut().zip(slopes.as_flattened()) {
        *dy = slope;
    }
    let logs = logs.get_mut(..count).unwrap_or_default();
    kernel::ln_1p(logs);
    sums.iter().zip(logs).fold(loss, |loss, (&sum, &mut ln)| loss + sum * ln)
}

/// The number of samples whose exponentials and logarithms are computed together. Without std it is one, so that the
/// stack holds the slopes of one sample.
const TOGETHER: usize = if cfg!(feature = "std") { 4 } else { 1 };
