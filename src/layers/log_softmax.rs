//! The logarithm of softmax as a layer.

use super::softmax::{each_sample, samples};
use crate::{D1, init::Gain, kernel};

/// yₖ = xₖ - ln Σ eˣⁱ, for each column of a batch; dx = dy - eʸ·Σ dyᵢ. (PyTorch's `LogSoftmax`.)
///
/// # Shapes
/// From `D1<N>` to `D1<N>`. [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy) can follow: the softmax of logarithms
/// of probabilities is those probabilities.
///
/// The largest entry is subtracted first, so inputs of ±1000 do not overflow, and no y is rounded to -∞. A NaN or +∞ in
/// a column makes the whole column NaN.
///
/// ```
/// use chainrule::{ByValue, LogSoftmax};
/// use nalgebra::Vector3;
///
/// let y = LogSoftmax.trace(&Vector3::new(1000.0, 0.0, -1000.0)).y;
/// assert_eq!(y, Vector3::new(0.0, -1000.0, -2000.0));
/// ```
#[doc(alias("log_softmax"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSoftmax;

parameters!(LogSoftmax {});

function!([const N: usize] LogSoftmax, D1<N> => D1<N>, Some(Gain::Linear), (this, x, y, dy, dx)
{
    let some = (TOGETHER * N).max(1);
    for (y, x) in y.chunks_mut(some).zip(x.chunks(some)) {
        let [mut tops, mut logs] = [[T::zero(); TOGETHER]; 2];
        for ((y, x), top) in samples::<T, N>(y, x).zip(&mut tops) {
            *top = kernel::subtract_top(x, y);
        }
        kernel::exp(y);
        for ((y, x), (top, log)) in samples::<T, N>(y, x).zip(tops.iter().zip(&mut logs)) {
            *log = kernel::sum_of_others(x, *top, y);
        }
        kernel::ln_1p(&mut logs);
        for ((y, x), (&top, &log)) in samples::<T, N>(y, x).zip(tops.iter().zip(&logs)) {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x - top - log;
            }
        }
    }
},
{
    dx.copy_from_slice(y);
    kernel::exp(dx);
    each_sample::<T, N>(dx, dy, |dx, dy| {
        let sum = dy.iter().fold(T::zero(), |sum, &dy| sum + dy);
        for (dx, &dy) in dx.iter_mut().zip(dy) {
            *dx = dy - *dx * sum;
        }
    });
});

/// How many samples are computed together, so that they do not wait for each other.
const TOGETHER: usize = 4;
