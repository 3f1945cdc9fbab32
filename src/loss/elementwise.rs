//! Losses that are sums over the numbers of a sample.

use super::Weights;
use crate::kernel::{self, Sum};
use crate::shape::{BatchSize, Flat, Number, nan, number};

/// Implements a loss by the loss of an output `y` with its target `t`, and its slope. The sum over the batch is divided by
/// the samples and by `parts`.
macro_rules! elementwise {
    ($name:ident { $($setting:ident)* }, $parts:expr, |$this:ident, $y:ident, $t:ident| $loss:expr) => {
        parameters!(@export $name [] ($name) [] [$($setting)*]);

        impl<T: Number, S: $crate::Flat, B: $crate::BatchSize>
            $crate::MeanLoss<T, S, B, S::Batch<T, B>> for $name
        {
            #[inline(always)]
            fn weighted(
                &self,
                y: &S::Batch<T, B>,
                target: &S::Batch<T, B>,
                weights: Option<&[T]>,
                dy: Option<&mut S::Batch<T, B>>,
            ) -> T {
                let $this = self;
                $crate::loss::elementwise::each::<T, S, B>([y, target], weights, $parts, dy, |$y, $t| $loss)
            }
        }
    };
}

/// The sum of a loss over all numbers of a batch, divided by the samples and by `parts`. `f` returns the loss of an
/// output with its target, and its slope.
#[inline(always)]
pub(super) fn each<T: Number, S: Flat, B: BatchSize>(
    [y, t]: [&S::Batch<T, B>; 2],
    weights: Option<&[T]>,
    parts: usize,
    dy: Option<&mut S::Batch<T, B>>,
    f: impl Fn(T, T) -> (T, T),
) -> T {
    let size = S::size::<T, B>(y);
    let fits = size == S::size::<T, B>(t);
    let weights = Weights::new(weights, size.value(), fits);
    let (y, t, total) = (S::flat::<T, B>(y), S::flat::<T, B>(t), weights.total * number(parts));
    let mut dy = dy.map(|dy| S::flat_mut::<T, B>(dy));
    if let Some(dy) = dy.as_deref_mut().filter(|dy| dy.len() != y.len() || !fits) {
        dy.fill(nan());
    }
    // A function of its own, so that a step without weights contains no code for them.
    if weights.each.is_none() {
        return of_one_weight(y, t, dy, T::one(), total, &f) / total;
    }
    let (chunk, mut sum) = (S::LEN.max(1), Sum::new());
    for (s, (y, t)) in y.chunks(chunk).zip(t.chunks(chunk)).enumerate() {
        let dy = dy.as_deref_mut().and_then(|dy| dy.get_mut(s * chunk..));
        sum.add(of_one_weight(y, t, dy, weights.of(s), total, &f));
    }
    sum.total() / total
}

/// The weighted loss, and the slopes, of numbers with the same weight.
#[inline(always)]
fn of_one_weight<T: Number>(
    y: &[T],
    t: &[T],
    dy: Option<&mut [T]>,
    weight: T,
    total: T,
    f: &impl Fn(T, T) -> (T, T),
) -> T {
    // Not `flatten`, which is slow in a loop.
    let each = dy.unwrap_or_default().iter_mut().zip(y.iter().zip(t));
    if weight == T::zero() {
        each.for_each(|(dy, _)| *dy = T::zero());
        return T::zero();
    }
    for (dy, (&y, &t)) in each {
        *dy = f(y, t).1 * weight / total;
    }
    let losses = kernel::sum_of(y.len().min(t.len()), |part| {
        let y = y.get(part.clone()).unwrap_or_default();
        let pairs = y.iter().zip(t.get(part).unwrap_or_default());
        pairs.fold(T::zero(), |sum, (&y, &t)| sum + f(y, t).0)
    });
    losses * weight
}
