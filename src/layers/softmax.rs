//! Softmax as a layer, for nets that return probabilities. For training see `SoftmaxCrossEntropy`.

use crate::{D1, Number, Probabilities, init::Gain, kernel};

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
/// Do not end a net with this layer if you train it with [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy): the loss
/// contains the softmax and does not take probabilities. To predict a class you do not need it either, because
/// softmax keeps the order of the outputs.
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

function!([const N: usize] Softmax, D1<N> => Probabilities<N>, Some(Gain::Linear), (this, x, y, dy, dx)
each_sample::<T, N>(y, x, |y, x| { kernel::softmax(x, y); }),
{
    dx.copy_from_slice(y);
    each_sample::<T, N>(dx, dy, |dx, dy| {
        let along = dy.iter().zip(&*dx).fold(T::zero(), |sum, (&dy, &y)| sum + dy * y);
        for (dx, &dy) in dx.iter_mut().zip(dy) {
            *dx *= dy - along;
        }
    });
});

/// Calls `f` with the N numbers of each sample.
#[inline(always)]
pub(super) fn each_sample<T: Number, const N: usize>(
    to: &mut [T],
    from: &[T],
    f: impl Fn(&mut [T], &[T]),
) {
    // Not `for_each`, as in `function::each`.
    for (to, from) in samples::<T, N>(to, from) {
        f(to, from);
    }
}

/// The N numbers of each sample.
#[inline(always)]
pub(super) fn samples<'a, T: Number, const N: usize>(
    to: &'a mut [T],
    from: &'a [T],
) -> impl Iterator<Item = (&'a mut [T], &'a [T])> {
    to.chunks_exact_mut(N.max(1)).zip(from.chunks_exact(N.max(1)))
}
