//! Softmax as a layer, for nets that return probabilities. For training see `SoftmaxCrossEntropy`.

use crate::{
    grad::{Destination, Grad},
    kernel,
    layer::{Backward, Forward, Layer},
    shape::{BatchSize, D1, Number, Probabilities, Purpose, nan},
};

/// yₖ = eˣᵏ / Σ eˣⁱ, for each column of a batch.
///
/// dx = y ⊙ (dy - Σ dyᵢ·yᵢ). (Chapter 3.5.)
///
/// # Shapes
/// From `D1<N>` to `Probabilities<N>`.
///
/// The largest entry is subtracted first, so inputs of ±1000 do not overflow. A NaN or +∞ in a column makes the
/// whole column NaN.
///
/// Do not end a net in this layer if you train it with [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy): the loss
/// contains the softmax and does not take probabilities. To predict a class you do not need it either, because
/// the largest output stays the largest.
///
/// ```
/// use chainrule::{ByValue, Softmax};
/// use nalgebra::Vector3;
///
/// let x = Vector3::new(1010.0, 1000.0, 990.0);
/// let y = Softmax.trace(&x).y;
/// assert!((y.sum() - 1.0_f64).abs() < 1e-15);
/// assert!((y[0] - 0.9999546).abs() < 1e-7);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Softmax;

parameters!(Softmax {});

impl<T: Number, const N: usize> Layer<T, D1<N>> for Softmax {
    type Out = Probabilities<N>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        if at.x.len() != at.y.len() {
            return at.y.fill(nan());
        }
        let x = at.x.as_slice().chunks_exact(N.max(1));
        for (y, x) in at.y.as_mut_slice().chunks_exact_mut(N.max(1)).zip(x) {
            kernel::softmax(x, y);
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
        let y = at.y.as_slice().chunks_exact(N.max(1));
        let dy = at.dy.as_slice().chunks_exact(N.max(1));
        for (dx, (dy, y)) in dx.as_mut_slice().chunks_exact_mut(N.max(1)).zip(dy.zip(y)) {
            let along = dy.iter().zip(y).fold(T::zero(), |sum, (&dy, &y)| sum + dy * y);
            for (dx, (&dy, &y)) in dx.iter_mut().zip(dy.iter().zip(y)) {
                *dx = y * (dy - along);
            }
        }
    }
}
