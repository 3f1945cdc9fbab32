//! The functions of one number that layers and losses are made of, for a register of them at once.
//!
//! Each is written once, for f32 and f64 and every kind of `Pack`. `tests/unit/math.rs` holds all
//! f32 to 2 units in the last place, hard and random f64 to 4. (Measured: 1.9 and 1.7.)
//!
//! NaN is NaN, zeros keep their sign, subnormal numbers are numbers.
#![allow(unsafe_code)]

use super::{
    constants::Constants,
    lanes::Lanes,
    pack::{astray, lent, load, store, unlent},
};
use crate::kernel::loops::TWICE_U;
use core::f64::consts::{FRAC_1_SQRT_2, LOG2_E};
use num_traits::ConstZero;

/// A function of one number.
pub trait Function {
    fn of<P: Lanes>(x: P) -> P;
}

macro_rules! functions {
    ($($name:ident $function:path;)*) => { $(
        pub struct $name;
        impl Function for $name {
            #[inline(always)]
            fn of<P: Lanes>(x: P) -> P {
                $function(x)
            }
        }
    )* };
}

functions! {
    Relu relu;
    Exp exp;
    Ln1p ln_1p;
    Tanh P::tanh;
    Sigmoid sigmoid;
    Gelu gelu;
    Silu silu;
    GeluTanh gelu_tanh;
    Elu elu;
    Softplus softplus;
}

/// `y = F(x)`, for `len` numbers; y may be x.
///
/// # Safety
/// The CPU has the instructions of `P`, and `len` numbers can be read and written.
#[inline(always)]
pub unsafe fn apply<P: Lanes, F: Function>(
    mut x: *const P::Element,
    mut y: *mut P::Element,
    len: usize,
) {
    let (mut left, pair) = (len, 2 * P::LANES);
    // SAFETY: `left` numbers lie behind both pointers.
    unsafe {
        // Two at a time: each waits for its own chain of results.
        while left >= pair {
            let (a, b) = (P::load(x), P::load(x.add(P::LANES)));
            let (a, b) = (F::of(a), F::of(b));
            a.store(y);
            b.store(y.add(P::LANES));
            (x, y, left) = (x.add(pair), y.add(pair), left - pair);
        }
        if left >= P::LANES {
            F::of(P::load(x)).store(y);
            (x, y, left) = (x.add(P::LANES), y.add(P::LANES), left - P::LANES);
        }
        if left > 0 {
            store(F::of(load::<P>(x, left)), y, left);
        }
    }
}

/// `x = F(x)`, for few numbers.
///
/// # Safety
/// As for [`apply`].
#[inline(always)]
pub unsafe fn few<P: Lanes, F: Function>(x: *mut P::Element, len: usize) {
    let mut i = 0;
    while i < len {
        // SAFETY: `i` and what follows lie behind the pointer.
        unsafe {
            let (x, count) = (x.add(i), P::LANES.min(len - i));
            unlent(F::of(lent::<P>(x, count)), x, count);
        }
        i += P::LANES;
    }
}

/// x = byte / 255, for `len` of them, which is whole packs.
///
/// # Safety
/// As for [`apply`].
#[inline(always)]
pub unsafe fn from_bytes<P: Lanes>(bytes: *const u8, x: *mut P::Element, len: usize) {
    // SAFETY: `i` and a pack more lie behind the pointers.
    unsafe {
        // 1/255 and what that lacks: both products together are what the quotient is, without division.
        let zero = P::splat(P::Element::ZERO);
        let part = zero.like(1.0 / 255.0);
        let rest = part.neg_mul_add(zero.like(255.0), zero.like(1.0)).mul(part);
        // No store straddles two cache lines but the first and the last, which write some numbers twice.
        let (mut i, mut next, last) = (0, P::LANES - astray::<P>(x), len.saturating_sub(P::LANES));
        while i < len {
            let byte = P::load_bytes(bytes.add(i));
            byte.mul_add(part, byte.mul(rest)).store(x.add(i));
            i = if i < last { next.min(last) } else { len };
            next += P::LANES;
        }
    }
}

/// dx = dy·F'(x), as F says it by x or by y = F(x), whichever `from` is.
pub trait Slope {
    fn back<P: Lanes>(from: P, dy: P) -> P;
}

/// `dx = dy·F'`, for `len` numbers.
///
/// # Safety
/// As for [`apply`].
#[inline(always)]
pub unsafe fn back<P: Lanes, F: Slope>(
    from: *const P::Element,
    dy: *const P::Element,
    dx: *mut P::Element,
    len: usize,
) {
    // SAFETY: `i` and what follows, `left` numbers, lie behind the pointers.
    unsafe {
        let mut i = 0;
        while i < len {
            let (from, dy, dx, left) = (from.add(i), dy.add(i), dx.add(i), len - i);
            store(F::back(load::<P>(from, left), load(dy, left)), dx, left);
            i += P::LANES;
        }
    }
}

macro_rules! slopes {
    ($($name:ident |$from:ident| $slope:expr;)*) => { $(
        impl Slope for $name {
            #[inline(always)]
            fn back<P: Lanes>($from: P, dy: P) -> P {
                dy.mul($slope)
            }
        }
    )* };
}

slopes! {
    Relu |x| {
        let (zero, one) = (x.like(0.0), x.like(1.0));
        zero.less(x, one, x.less(x.like(f64::INFINITY), zero, one))
    };
    Tanh |y| y.neg_mul_add(y, y.like(1.0));
    Sigmoid |y| y.mul(y.like(1.0).sub(y));
    Gelu |x| {
        let x = x.at_most(x.like(GELU_END)).at_least(x.like(-GELU_END));
        // e^(-x² / 2) / √2π.
        let density = exp(x.mul(x).mul(x.like(-0.5))).mul(x.like(0.398_942_280_401_432_7));
        x.mul_add(density, normal(x))
    };
}

/// max(x, 0), NaN where x is.
#[inline(always)]
fn relu<P: Lanes>(x: P) -> P {
    x.at_least(x.like(0.0))
}

/// Estrin's scheme, because the halves of a polynomial do not wait for each other. A function gets the powers of x
/// that it needs. The compiler knows the halves after inlining.
macro_rules! polynomials {
    ($($name:ident, $half:ident, $at:literal, [$($below:ident)*], $top:ident;)*) => { $(
        #[inline(always)]
        fn $name<P: Lanes>($($below: P,)* $top: P, c: &[f64]) -> P {
            match c.split_at_checked($at) {
                Some((low, high)) if !high.is_empty() => {
                    $top.mul_add($half($($below,)* high), $half($($below,)* low))
                }
                _ => $half($($below,)* c),
            }
        }
    )* };
}

#[inline(always)]
fn poly2<P: Lanes>(x: P, c: &[f64]) -> P {
    match *c {
        [a, b] => x.mul_add(x.like(b), x.like(a)),
        [a] => x.like(a),
        _ => x.like(f64::NAN),
    }
}

polynomials! {
    poly4, poly2, 2, [x], x2;
    poly8, poly4, 4, [x x2], x4;
    poly16, poly8, 8, [x x2 x4], x8;
    poly32, poly16, 16, [x x2 x4 x8], x16;
}

/// The polynomial with coefficients `c`, lowest first.
#[inline(always)]
fn polynomial<P: Lanes>(x: P, c: &[f64]) -> P {
    let x2 = x.mul(x);
    let x4 = x2.mul(x2);
    let x8 = x4.mul(x4);
    poly32(x, x2, x4, x8, x8.mul(x8), c)
}

/// How far the interval of r in [`exp_parts`] lies off the middle, so that eˣ - 1 loses few digits by cancellation: on both
/// sides of 0 (`EVEN`), or above 0 (`ABOVE`).
const EVEN: f64 = -0.0845;
const ABOVE: f64 = -0.21;

/// n and eʳ - 1 of eˣ = 2ⁿ·eʳ.
#[inline(always)]
fn exp_parts<P: Lanes>(x: P, shift: f64) -> (P, P) {
    let [high, low] = P::Element::LN_2;
    let n = x.mul_add(x.like(LOG2_E), x.like(shift)).round();
    let r = n.neg_mul_add(x.like(low), n.neg_mul_add(x.like(high), x));
    (n, r.mul(r).mul_add(polynomial(r, P::Element::EXP), r))
}

/// eˣ where it is neither 0 nor infinite.
#[inline(always)]
fn exp_within<P: Lanes>(x: P) -> P {
    let (n, p) = exp_parts(x, EVEN);
    p.add(p.like(1.0)).scale(n)
}

/// eˣ.
#[inline(always)]
pub fn exp<P: Lanes>(x: P) -> P {
    let [low, high] = P::Element::EXP_ENDS;
    exp_within(x.at_most(x.like(high)).at_least(x.like(low)))
}

/// With e = e²ˣ - 1: b - b·q for b = e / 2 and q = e / (e + 2), which is tanh x itself, or, where
/// that is above ½, b = 1 and q = 2 / (e + 2). So the quotient's error is the smaller part.
#[inline(always)]
pub fn tanh_by_exp<P: Lanes>(x: P) -> P {
    let (size, one) = (x.abs(), x.like(1.0));
    let (half, two) = (x.like(0.5), x.like(2.0));
    let (n, p) = exp_parts(size.add(size), ABOVE);
    let (s, limit) = (one.scale(n), x.like(0.549_306_144_334_054_8));
    let e = s.mul_add(p, s.sub(one));
    let q = size.less(limit, e, two).div(s.mul_add(p, s.add(one)));
    let b = size.less(limit, e.mul(half), one);
    x.like(P::Element::TANH_END).less(size, one, b.neg_mul_add(q, b)).copysign(x)
}

/// 1 / (1 + e⁻ˣ): below zero as exact as a small number is, above it the rest to 1.
#[inline(always)]
pub fn sigmoid<P: Lanes>(x: P) -> P {
    let (zero, one) = (x.like(0.0), x.like(1.0));
    let [end, _] = P::Element::EXP_ENDS;
    let (n, p) = exp_parts(x.abs().at_most(x.like(-end)), EVEN);
    let s = one.scale(zero.sub(n));
    let sum = one.add(s);
    // If s is about the last place of 1, the rounding error of 1 + s is not small compared with p. So it is added back.
    let y = s.div(sum.add(p.add(s.sub(sum.sub(one)))));
    x.less(zero, y, one.sub(y))
}

/// ln(1 + x) for the sum 2ᵏ·(1 + f): of k, and of 2 artanh s for s = f / (2 + f), whose first part is f.
#[inline(always)]
pub fn ln_1p<P: Lanes>(x: P) -> P {
    let (zero, one, [high, low]) = (x.like(0.0), x.like(1.0), P::Element::LN_2);
    let sum = x.add(one);
    // The power of two that is nearest. The sum, which is never subnormal, would be rounded.
    let k = sum.mul(x.like(FRAC_1_SQRT_2)).exponent().add(one);
    let power = one.scale(zero.sub(k));
    let f = x.scale(zero.sub(k)).add(power.sub(one));
    let s = f.div(f.add(x.like(2.0)));
    let (z, half_square) = (s.mul(s), f.mul(f).mul(x.like(0.5)));
    let rest = z.mul_add(polynomial(z, P::Element::LN), half_square);
    let rest = s.mul_add(rest, k.mul(x.like(low)));
    let y = k.mul_add(x.like(high), f.sub(half_square.sub(rest)));
    let outside = sum.less(zero, x.like(f64::NAN), x.like(f64::NEG_INFINITY));
    sum.less(x.like(f64::INFINITY), zero.less(sum, y, outside), sum).copysign(x)
}

/// The normal distribution at -|x|, and |x|: within `NORMAL_END`, or both 0 where that is passed.
#[inline(always)]
fn normal_below<P: Lanes>(x: P) -> (P, P) {
    let (size, end) = (x.abs(), x.like(P::Element::NORMAL_END));
    let near = size.at_most(end);
    (end.less(size, x.like(0.0), exp_within(polynomial(near, P::Element::NORMAL))), near)
}

/// The normal distribution.
#[inline(always)]
pub fn normal<P: Lanes>(x: P) -> P {
    let ((below, _), zero) = (normal_below(x), x.like(0.0));
    zero.less(x, x.like(1.0).sub(below), below)
}

/// x·Φ(x) = max(x, 0) - |x|·Φ(-|x|).
#[inline(always)]
fn gelu<P: Lanes>(x: P) -> P {
    let (below, size) = normal_below(x);
    size.neg_mul_add(below, relu(x))
}

/// From where on the functions of x made of σ are constant, or x, in f64 too.
const GELU_END: f64 = 40.0;

/// x·σ(x).
#[inline(always)]
fn silu<P: Lanes>(x: P) -> P {
    x.mul(sigmoid(x))
}

/// x·σ(2u), by which -∞ would be NaN.
#[inline(always)]
fn gelu_tanh<P: Lanes>(x: P) -> P {
    let [a, b] = TWICE_U.map(|c| x.like(c));
    x.at_least(x.like(-GELU_END)).mul(sigmoid(x.mul(x.mul(x).mul_add(b, a))))
}

/// x above 0, else eˣ - 1.
#[inline(always)]
fn elu<P: Lanes>(x: P) -> P {
    let (zero, one, [low, _]) = (x.like(0.0), x.like(1.0), P::Element::EXP_ENDS);
    let (n, p) = exp_parts(x.at_most(zero).at_least(x.like(low)), EVEN);
    let s = one.scale(n);
    zero.less(x, x, s.mul_add(p, s.sub(one)).copysign(x))
}

/// ln(1 + eˣ), as max(x, 0) + ln(1 + t) for t = e^-|x|, a power of two and a rest.
#[inline(always)]
fn softplus<P: Lanes>(x: P) -> P {
    let [low, _] = P::Element::EXP_ENDS;
    let (n, p) = exp_parts(x.like(0.0).sub(x.abs().at_most(x.like(-low))), EVEN);
    let s = x.like(1.0).scale(n);
    let t = s.mul_add(p, s);
    let from_half = t.sub(x.like(0.5));
    let below = polynomial(from_half, P::Element::SOFTPLUS);
    let below = from_half.mul_add(below, x.like(0.378_139_567_567_342_46));
    // For x near 0 the other part is smaller than s, so its rounding error is smaller too.
    s.add(relu(x).add(t.mul(t).neg_mul_add(below, s.mul(p))))
}
