//! The logarithm of softmax as a layer.

use crate::{
    grad::{Destination, Grad},
    kernel,
    layer::{Backward, Forward, Layer},
    shape::{BatchSize, D1, Number, Purpose, nan},
};

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

impl<T: Number, const N: usize> Layer<T, D1<N>> for LogSoftmax {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        if at.x.len() != at.y.len() {
            return at.y.fill(nan());
        }
        let x = at.x.as_slice().chunks_exact(N.max(1));
        for (y, x) in at.y.as_mut_slice().chunks_exact_mut(N.max(1)).zip(x) {
            let (top, rest) = kernel::softmax(x, y);
            let mut log = [rest];
            kernel::ln_1p(&mut log);
            let [log] = log;
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = x - top - log);
        }
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        _: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let Some(dx) = at.dx else { return };
        if at.dy.len() != dx.len() || at.y.len() != dx.len() {
            return dx.fill(nan());
        }
        dx.copy_from(at.y);
        kernel::exp(dx.as_mut_slice());
        let dy = at.dy.as_slice().chunks_exact(N.max(1));
        for (dx, dy) in dx.as_mut_slice().chunks_exact_mut(N.max(1)).zip(dy) {
            let sum = dy.iter().fold(T::zero(), |sum, &dy| sum + dy);
            dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx = dy - *dx * sum);
        }
    }
}
