//! The functions of one number that layers and losses use, for a whole register at once.
//!
//! Each is written once, for f32, f64 and every kind of `Pack`. `tests/unit/math.rs` checks all f32 numbers to 2 units
//! in the last place, and hard and random f64 numbers to 4. (Measured: 1.9 and 1.7.)
//!
//! NaN gives NaN, zeros keep their sign, subnormal numbers are computed as numbers.
#![allow(unsafe_code)]

use super::{
    lanes::Lanes,
    tile::{astray, load, store},
};
use crate::Scalar;
use core::f64::consts::{FRAC_1_SQRT_2, LOG2_E};
use num_traits::ConstZero;

/// What differs between f32 and f64. `tests/goldens/minimax.py` computes the polynomials. The lowest coefficient comes
/// first. The errors are those of the function if only the coefficients were rounded.
pub trait Constants: Scalar + ConstZero + num_traits::ConstOne {
    /// ln 2 in two parts. The product of the first part and an exponent is exact.
    const LN_2: [f64; 2];
    /// Below the first eˣ is 0; above the second it is infinite.
    const EXP_ENDS: [f64; 2];
    const TANH_END: f64;
    /// (eʳ - 1 - r) / r² for r from -0.29 to 0.493; f32 2^-29, f64 2^-58 of eʳ - 1.
    const EXP: &[f64];
    /// (2 artanh s - 2 s) / s³ in s², for |s| to 0.172; f32 2^-31, f64 2^-59 of artanh.
    const LN: &[f64];
    /// erf x / x - 1 in x², for x to `ERF_ENDS[0]`; f32 2^-27, f64 2^-56 of erf.
    const ERF: &[f64];
    /// ln(1 - erf x) in x - `ERF_ENDS[0]`, from there to where erf is 1; f32 2^-27, f64 2^-59 of 1.
    const ERFC: &[f64];
    const ERF_ENDS: [f64; 2];
}

#[rustfmt::skip]
impl Constants for f32 {
    const LN_2: [f64; 2] = [0.693145751953125, 1.428606820309417e-6];
    const EXP_ENDS: [f64; 2] = [-104.0, 89.0];
    const TANH_END: f64 = 9.1;
    const EXP: &[f64] = &[0.5, 0.16666675, 0.041666698, 0.008330984, 0.0013904356, 0.0002163376];
    const LN: &[f64] = &[0.6666666, 0.40000334, 0.28537276, 0.23582888];
    const ERF_ENDS: [f64; 2] = [0.9375, 4.0];
    const ERF: &[f64] = &[0.12837917, -0.37612632, 0.11283679, -0.026858497, 0.00519883, -0.0008118075, 8.267461e-05];
    const ERFC: &[f64] = &[-1.6879531, -2.5340753, -0.8350862, -0.04408626, 0.0105262725, -0.0019285991, 0.00019295012];
}

#[rustfmt::skip]
impl Constants for f64 {
    const LN_2: [f64; 2] = [0.6931471803691238, 1.9082149292705877e-10];
    const EXP_ENDS: [f64; 2] = [-746.0, 710.0];
    const TANH_END: f64 = 19.1;
    const EXP: &[f64] = &[
        0.5, 0.1666666666666663, 0.04166666666666758, 0.008333333333369766,
        0.0013888888888113013, 0.00019841269730960993, 2.4801590046867176e-05, 2.7557444910773183e-06,
        2.75533061834518e-07, 2.5018035827091774e-08, 2.2906774693727182e-09,
    ];
    const LN: &[f64] = &[
        0.666666666666671, 0.39999999999517893, 0.2857142872990705, 0.22222199012238253,
        0.18183576227100076, 0.1531303236271634, 0.14811938429412744,
    ];
    const ERF_ENDS: [f64; 2] = [1.0, 6.0];
    const ERF: &[f64] = &[
        0.1283791670955126, -0.3761263890318375, 0.11283791670954857, -0.026866170645072896,
        0.005223977624780868, -0.0008548326978742261, 0.00012055331036900577,
        -1.4925593506888752e-05, 1.6460972816646909e-06, -1.635002521537597e-07,
        1.4657879774672424e-08, -1.1365665641187057e-09, 5.945261124619931e-11,
    ];
    const ERFC: &[f64] = &[
        -1.8496055099332482, -2.638967514234791, -0.8431072563585149, -0.041561098045761274,
        0.010033825424136783, -0.0019779029404769378, 0.00023732429303645526, 2.627183022586354e-05,
        -2.7144737000639583e-05, 9.583895630573011e-06, -2.0274010330379883e-06,
        1.1135567723662675e-07, 1.2073253861364143e-07, -6.489921239480286e-08,
        2.0244802746606693e-08, -4.487807024592421e-09, 7.197602121928839e-10,
        -7.993102374483073e-11, 5.507384127413573e-12, -1.7716182436896173e-13,
    ];
}

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
    // SAFETY: `left` numbers follow both pointers.
    unsafe {
        // Two packs at a time, because each waits for its own chain of results.
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

/// x = byte / 255, for `len` numbers, which is whole packs.
///
/// # Safety
/// As for [`apply`].
#[inline(always)]
pub unsafe fn from_bytes<P: Lanes>(bytes: *const u8, x: *mut P::Element, len: usize) {
    // SAFETY: `i` numbers and another pack follow the pointers.
    unsafe {
        // 1/255 and its rounding error: the sum of both products is the quotient, without a division.
        let zero = P::splat(P::Element::ZERO);
        let part = zero.like(1.0 / 255.0);
        let rest = part.neg_mul_add(zero.like(255.0), zero.like(1.0)).mul(part);
        // Only the first and the last store straddle two cache lines. They write some numbers twice.
        let (mut i, mut next, last) = (0, P::LANES - astray::<P>(x), len.saturating_sub(P::LANES));
        while i < len {
            let byte = P::load_bytes(bytes.add(i));
            byte.mul_add(part, byte.mul(rest)).store(x.add(i));
            i = if i < last { next.min(last) } else { len };
            next += P::LANES;
        }
    }
}

/// dx = dy·F'(x). `from` is x or y = F(x), as the function F needs.
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
    // SAFETY: `i` numbers and then `left` numbers follow the pointers.
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
    Softplus |x| sigmoid(x);
}

/// max(x, 0); NaN where x is NaN.
#[inline(always)]
fn relu<P: Lanes>(x: P) -> P {
    x.at_least(x.like(0.0))
}

/// Estrin's scheme, in which the halves of a polynomial do not wait for each other. A function computes the powers of x
/// that it needs. The number of halves is known once the function is inlined.
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

/// How far the step from one n of [`exp_parts`] to the next is off the middle between them. It is chosen so that the
/// cancellation in eˣ - 1 is small on either side of 0, or above 0.
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

/// eˣ, for x where the result is neither 0 nor infinite.
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

/// tanh x as b - b·q, with e = e²ˣ - 1. Here b = e / 2 and q = e / (e + 2), which is tanh x itself. Where that is above
/// ½, b = 1 and q = 2 / (e + 2). So the error of the quotient affects only the smaller term.
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

/// 1 / (1 + e⁻ˣ): computed directly below zero, so that small results are exact, and as 1 minus the rest above zero.
#[inline(always)]
pub fn sigmoid<P: Lanes>(x: P) -> P {
    let (zero, one) = (x.like(0.0), x.like(1.0));
    let [end, _] = P::Element::EXP_ENDS;
    let (n, p) = exp_parts(x.abs().at_most(x.like(-end)), EVEN);
    let s = one.scale(zero.sub(n));
    let sum = one.add(s);
    // What the sum loses to rounding is not small beside p where s is the last place of 1.
    let y = s.div(sum.add(p.add(s.sub(sum.sub(one)))));
    x.less(zero, y, one.sub(y))
}

/// ln(1 + x), where 1 + x = 2ᵏ·(1 + f): the sum of k·ln 2 and 2 artanh s, with s = f / (2 + f).
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

/// 2/√π ∫₀ˣ exp(-t²) dt: a polynomial near 0, elsewhere 1 - exp of a polynomial.
#[inline(always)]
pub fn erf<P: Lanes>(x: P) -> P {
    let (size, [split, end]) = (x.abs(), P::Element::ERF_ENDS);
    let near = size.mul_add(polynomial(size.mul(size), P::Element::ERF), size);
    let far = polynomial(size.at_most(x.like(end)).sub(x.like(split)), P::Element::ERFC);
    size.less(x.like(split), near, x.like(1.0).sub(exp_within(far))).copysign(x)
}

/// From here on the normal distribution is 1 and its density 0, in f64 too.
const GELU_END: f64 = 40.0;

/// The normal distribution, (1 + erf(x / √2)) / 2.
#[inline(always)]
fn normal<P: Lanes>(x: P) -> P {
    let half = x.like(0.5);
    half.mul_add(erf(x.mul(x.like(FRAC_1_SQRT_2))), half)
}

/// x·Φ(x). For x = -∞ the plain product would be NaN.
#[inline(always)]
fn gelu<P: Lanes>(x: P) -> P {
    x.at_least(x.like(-GELU_END)).mul(normal(x))
}

/// ln(1 + eˣ), without overflow.
#[inline(always)]
fn softplus<P: Lanes>(x: P) -> P {
    relu(x).add(ln_1p(exp(x.like(0.0).sub(x.abs()))))
}
