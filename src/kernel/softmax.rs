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

/// Writes x minus its largest entry to `p`. Returns that entry.
#[inline(always)]
pub fn subtract_top<T: Number>(x: &[T], p: &mut [T]) -> T {
    let Some((&first, mut others)) = x.split_first() else { return T::zero() };
    let (lanes, rest) = in_lanes(x);
    let mut tops = [first; LANES];
    for x in lanes {
        for (top, &x) in tops.iter_mut().zip(x) {
            *top = if x > *top { x } else { *top };
        }
    }
    let tops = if lanes.is_empty() { &[] } else { tops.as_slice() };
    others = if lanes.is_empty() { others } else { rest };
    let top = tops.iter().chain(others).fold(first, |top, &x| if x > top { x } else { top });
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
    let ((x_lanes, x), (p_lanes, p)) = (in_lanes(x), in_lanes(p));
    // Without branches, as nobody can guess which entry is the largest.
    let mut seen = false;
    if !x_lanes.is_empty() {
        let (mut others, mut equals) = ([T::zero(); LANES], [T::zero(); LANES]);
        for (x, p) in x_lanes.iter().zip(p_lanes) {
            let sums = others.iter_mut().zip(&mut equals);
            for ((other, equal), (&x, &p)) in sums.zip(x.iter().zip(p)) {
                *other += if x == top { T::zero() } else { p };
                *equal += if x == top { p } else { T::zero() };
            }
        }
        let [others, equals] =
            [others, equals].map(|sums| sums.iter().fold(T::zero(), |sum, &x| sum + x));
        // Each p of an equal entry is 1, exactly.
        seen = equals >= T::one();
        rest += others + if seen { equals - T::one() } else { T::zero() };
    }
    for (&x, &p) in x.iter().zip(p) {
        let first = !seen & (x == top);
        rest += if first { T::zero() } else { p };
        seen |= first;
    }
    rest
}

/// The number of sums side by side, for samples of at least twice as many numbers.
const LANES: usize = 8;

/// The numbers in lanes, and those that are left over. A short sample has no lanes.
#[inline(always)]
fn in_lanes<T>(x: &[T]) -> (&[[T; LANES]], &[T]) {
    if x.len() < 2 * LANES { (&[], x) } else { x.as_chunks() }
}
