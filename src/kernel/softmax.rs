//! Softmax of one sample, without overflow.

use crate::{
    kernel,
    shape::{Number, nan},
};

/// Writes eˣⁱ / Σ eˣᵏ to `p`. Returns the largest x (the first of equals), and Σ eˣᵏ / eˣ over the other entries:
/// without the 1 of the largest entry, so that a small sum is not rounded away.
#[inline(always)]
pub fn softmax<T: Number>(x: &[T], p: &mut [T]) -> (T, T) {
    if x.len() != p.len() {
        kernel::loops::refuse(p);
        return (nan(), nan());
    }
    let mut entries = x.iter().enumerate();
    let Some((mut at, &(mut top))) = entries.next() else {
        return (T::zero(), T::zero());
    };
    for (i, &x) in entries {
        if x > top {
            (at, top) = (i, x);
        }
    }
    #[expect(
        clippy::eq_op,
        reason = "zero, but NaN where the largest, no part of the sum, is no number"
    )]
    let mut rest = top - top;
    for (p, &x) in p.iter_mut().zip(x) {
        *p = x - top;
    }
    kernel::exp(p);
    for (i, &p) in p.iter().enumerate() {
        if i != at {
            rest += p;
        }
    }
    let sum = T::one() + rest;
    p.iter_mut().for_each(|p| *p /= sum);
    (top, rest)
}
