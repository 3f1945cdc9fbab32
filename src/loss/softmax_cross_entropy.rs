//! The book's SoftmaxWithLoss.

use super::{Classes, MeanLoss, Weights};
use crate::kernel::{self, Sum};
use crate::{BatchSize, Columns, D1, Number, shape::nan};

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
    let mut loss = Sum::new();
    if let Some(dy) = dy.as_deref_mut().filter(|dy| dy.ncols() != y.ncols()) {
        dy.fill(nan());
    }
    let (n, mut p) = (N.max(1), [T::zero(); N]);
    for (group, y) in y.as_slice().chunks(TOGETHER * n).enumerate() {
        let (mut sums, mut logs) = ([T::zero(); TOGETHER], [T::zero(); TOGETHER]);
        let each = y.chunks_exact(n).zip(sums.iter_mut().zip(&mut logs));
        for (s, (y, (sum, rest))) in (group * TOGETHER..).zip(each) {
            let weight = weight(s);
            let dy = dy.as_deref_mut().map(|dy| dy.as_mut_slice().chunks_exact_mut(n));
            let dy = dy.and_then(|mut dy| dy.nth(s)).unwrap_or_default();
            if weight == T::zero() {
                dy.fill(T::zero());
                continue;
            }
            let (top, others) = kernel::softmax(y, &mut p);
            *rest = others;
            for (k, &y) in y.iter().enumerate() {
                let t = weight * t(s, k);
                *sum += t;
                // 0·∞ must not enter the sum. A NaN enters it through `rest`.
                if t != T::zero() {
                    loss.add(t * (top - y));
                }
            }
            for (k, (dy, &p)) in dy.iter_mut().zip(&p).enumerate() {
                *dy = (*sum * p - weight * t(s, k)) / total;
            }
        }
        let logs = logs.get_mut(..y.len() / n).unwrap_or_default();
        kernel::ln_1p(logs);
        sums.iter().zip(logs).for_each(|(&sum, &mut ln)| loss.add(sum * ln));
    }
    loss.total() / total
}

/// The number of samples whose logarithms are computed together.
const TOGETHER: usize = 16;
