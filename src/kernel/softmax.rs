//! Softmax of one sample, without overflow.

use crate::{
    kernel,
    shape::{Number, nan},
};

/// Writes eˣⁱ / Σ eˣᵏ to `p`. Returns the largest x, and Σ eˣᵏ / eˣ over the other entries: without the 1 of the
/// largest entry (the first of equals), so that a small sum is not rounded away.
#[inline(always)]
pub fn softmax<T: Number>(x: &[T], p: &mut [T]) -> (T, T) {
    if x.len() != p.len() {
        kernel::loops::refuse(p);
        return (nan(), nan());
    }
    let top = subtract_top(x, p);
    kernel::exp(p);
    (top, divide_by_sum(x, top, p))
}

/// Writes x less its largest entry to `p`. Returns that entry.
#[inline(always)]
pub fn subtract_top<T: Number>(x: &[T], p: &mut [T]) -> T {
    let Some((&first, others)) = x.split_first() else { return T::zero() };
    let top = others.iter().fold(first, |top, &x| if x > top { x } else { top });
    for (p, &x) in p.iter_mut().zip(x) {
        *p = x - top;
    }
    top
}

/// From p = eˣ / e^top to softmax(x). Returns the sum of p without the 1 of the largest entry.
#[inline(always)]
pub fn divide_by_sum<T: Number>(x: &[T], top: T, p: &mut [T]) -> T {
    let rest = sum_of_others(x, top, p);
    let sum = T::one() + rest;
    for p in p.iter_mut() {
        *p /= sum;
    }
    rest
}

/// The sum of p = eˣ / e^top without the 1 of the largest entry.
#[inline(always)]
pub fn sum_of_others<T: Number>(x: &[T], top: T, p: &[T]) -> T {
    #[expect(
        clippy::eq_op,
        reason = "zero, but NaN where the largest, no part of the sum, is no number"
    )]
    let mut rest = top - top;
    // Without branches, as nobody can guess which entry is the largest.
    let mut seen = false;
    for (&x, &p) in x.iter().zip(p) {
        let first = !seen & (x == top);
        rest += if first { T::zero() } else { p };
        seen |= first;
    }
    rest
}
