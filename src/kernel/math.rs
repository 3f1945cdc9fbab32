//! The functions of one number that layers and losses are made of, for a register of them at once.
//!
//! Each is written once, for f32 and f64 and every kind of `Pack`. Errors, in units in the last
//! place, are measured by `math_tests.rs`: for f32 against all 2³² numbers.
//!
//! NaN is NaN, zeros keep their sign, subnormal numbers are numbers.
#![allow(unsafe_code)]

use super::{Float, lanes::Lanes};

/// What differs between f32 and f64. The polynomials are the work of `tests/goldens/minimax.py`,
/// lowest coefficient first; the error is that of the function, as if nothing were rounded.
pub trait Constants: Float {
    const ZERO: Self;
    const HALF: Self;
    const ONE: Self;
    const TWO: Self;
    const INFINITY: Self;
    const NAN: Self;
    const SQRT_2: Self;
    const LOG2_E: Self;
    /// How far the steps between powers of two lie off the middle: such that where eˣ - 1 loses by
    /// cancellation, on both sides of 0, or, for tanh, above it alone, the part lost is small.
    const EXP_SHIFT: Self;
    const TANH_SHIFT: Self;
    /// ln 2 in two parts, of which the first times an exponent is exact.
    const LN_2: Self;
    const LN_2_REST: Self;
    /// From where on exp is 0, and from where on infinite.
    const EXP_ZERO: Self;
    const EXP_INFINITE: Self;
    /// From where on, downwards, exp - 1 is -1.
    const EXP_M1_END: Self;
    /// From where on, downwards, sigmoid is 0.
    const SIGMOID_END: Self;
    /// artanh ½.
    const TANH_HALF: Self;
    /// From where on tanh is 1.
    const TANH_END: Self;
    /// (eʳ - 1 - r) / r² for r from -0.29 to 0.493; f32 2^-29, f64 2^-58 of eʳ - 1.
    const EXP: &[Self];
    /// (2 artanh s - 2 s) / s³ in s², for |s| to 0.172; f32 2^-35, f64 2^-59 of artanh.
    const LN: &[Self];
    /// erf x / x - 1 in x², for x to `ERF_SPLIT`; f32 2^-30, f64 2^-56 of erf.
    const ERF: &[Self];
    /// ln(1 - erf x) in x - `ERF_SPLIT`, from there to `ERF_END`; f32 2^-28, f64 2^-58 of erf.
    const ERFC: &[Self];
    const ERF_SPLIT: Self;
    /// From where on erf is 1.
    const ERF_END: Self;
}

macro_rules! constants {
    ($t:ident, $($name:ident: $value:expr),*; $($list:ident: $coefficients:expr),*) => {
        impl Constants for $t {
            const ZERO: $t = 0.0;
            const HALF: $t = 0.5;
            const ONE: $t = 1.0;
            const TWO: $t = 2.0;
            const INFINITY: $t = $t::INFINITY;
            const NAN: $t = $t::NAN;
            const SQRT_2: $t = core::$t::consts::SQRT_2;
            const LOG2_E: $t = core::$t::consts::LOG2_E;
            const EXP_SHIFT: $t = -0.0845;
            const TANH_SHIFT: $t = -0.21;
            $(const $name: $t = $value;)*
            $(const $list: &[$t] = &$coefficients;)*
        }
    };
}

constants!(f32,
    LN_2: 0.693_145_75, LN_2_REST: 1.428_606_8e-6, EXP_ZERO: -104.0, EXP_INFINITE: 89.0, EXP_M1_END: -18.0, SIGMOID_END: 104.0, TANH_HALF: 0.549_306_15, TANH_END: 9.1, ERF_SPLIT: 0.9375, ERF_END: 4.0;
    EXP: [0.5, 0.16666675, 0.041666698, 0.008330984, 0.0013904356, 0.0002163376],
    LN: [0.6666666, 0.40000334, 0.28537276, 0.23582888],
    ERF: [0.12837917, -0.37612632, 0.11283679, -0.026858497, 0.00519883, -0.0008118075, 8.267461e-05],
    ERFC: [-1.6879531, -2.5340753, -0.8350862, -0.04408626, 0.0105262725, -0.0019285991, 0.00019295012]
);
constants!(f64,
    LN_2: 0.693_147_180_369_123_8, LN_2_REST: 1.908_214_929_270_587_7e-10, EXP_ZERO: -746.0, EXP_INFINITE: 710.0, EXP_M1_END: -38.0, SIGMOID_END: 746.0, TANH_HALF: 0.549_306_144_334_054_8, TANH_END: 19.1, ERF_SPLIT: 1.0, ERF_END: 6.0;
    EXP: [0.5, 0.1666666666666663, 0.04166666666666758, 0.008333333333369766, 0.0013888888888113013, 0.00019841269730960993, 2.4801590046867176e-05, 2.7557444910773183e-06, 2.75533061834518e-07, 2.5018035827091774e-08, 2.2906774693727182e-09],
    LN: [0.666666666666671, 0.39999999999517893, 0.2857142872990705, 0.22222199012238253, 0.18183576227100076, 0.1531303236271634, 0.14811938429412744],
    ERF: [0.1283791670955126, -0.3761263890318375, 0.11283791670954857, -0.026866170645072896, 0.005223977624780868, -0.0008548326978742261, 0.00012055331036900577, -1.4925593506888752e-05, 1.6460972816646909e-06, -1.635002521537597e-07, 1.4657879774672424e-08, -1.1365665641187057e-09, 5.945261124619931e-11],
    ERFC: [-1.8496055099332482, -2.638967514234791, -0.8431072563585149, -0.041561098045761274, 0.010033825424136783, -0.0019779029404769378, 0.00023732429303645526, 2.627183022586354e-05, -2.7144737000639583e-05, 9.583895630573011e-06, -2.0274010330379883e-06, 1.1135567723662675e-07, 1.2073253861364143e-07, -6.489921239480286e-08, 2.0244802746606693e-08, -4.487807024592421e-09, 7.197602121928839e-10, -7.993102374483073e-11, 5.507384127413573e-12, -1.7716182436896173e-13]
);

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
    Exp exp;
    ExpM1 exp_m1;
    Tanh P::tanh;
    Sigmoid sigmoid;
    Ln ln;
    Ln1p ln_1p;
    Erf erf;
}

/// `y = F(x)`, as far as both go, to be inlined where the features are.
///
/// # Safety
/// The CPU has the instructions of `P`.
#[inline(always)]
pub unsafe fn apply<P: Lanes, F: Function>(x: &[P::Element], y: &mut [P::Element]) {
    let (n, pair) = (x.len().min(y.len()), 2 * P::LANES);
    let (mut x, mut y) = (x.as_ptr(), y.as_mut_ptr());
    let mut left = n;
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
            F::of(P::load_part(x, left)).store_part(y, left);
        }
    }
}

/// [`apply`] as a function of its own, for long slices.
///
/// # Safety
/// The CPU has AVX-512 (F, VL, DQ and BW), AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
#[inline(never)]
pub unsafe fn avx512<P: Lanes, F: Function>(x: &[P::Element], y: &mut [P::Element]) {
    // SAFETY: as the caller promises.
    unsafe { apply::<P, F>(x, y) }
}

/// As [`avx512`].
///
/// # Safety
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
pub unsafe fn avx2<P: Lanes, F: Function>(x: &[P::Element], y: &mut [P::Element]) {
    // SAFETY: as the caller promises.
    unsafe { apply::<P, F>(x, y) }
}

/// Estrin's scheme: halves of a polynomial are independent of each other. Each function takes the
/// powers of x of which it has use.
macro_rules! polynomials {
    ($($name:ident, $half:ident, $at:literal, [$($below:ident)*], $top:ident;)*) => { $(
        #[inline(always)]
        fn $name<P: Lanes>($($below: P,)* $top: P, c: &[P::Element]) -> P {
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
fn poly2<P: Lanes>(x: P, c: &[P::Element]) -> P {
    match *c {
        [a, b] => x.mul_add(x.like(b), x.like(a)),
        [a] => x.like(a),
        _ => x.like(P::Element::NAN),
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
fn polynomial<P: Lanes>(x: P, c: &[P::Element]) -> P {
    let x2 = x.mul(x);
    let x4 = x2.mul(x2);
    let x8 = x4.mul(x4);
    poly32(x, x2, x4, x8, x8.mul(x8), c)
}

/// n and eʳ - 1 of eˣ = 2ⁿ·eʳ.
#[inline(always)]
fn exp_parts<P: Lanes>(x: P, shift: P::Element) -> (P, P) {
    let (high, low) = (P::Element::LN_2, P::Element::LN_2_REST);
    let n = x.mul_add(x.like(P::Element::LOG2_E), x.like(shift)).round();
    let r = n.neg_mul_add(x.like(low), n.neg_mul_add(x.like(high), x));
    (n, r.mul(r).mul_add(polynomial(r, P::Element::EXP), r))
}

/// eˣ where it is neither 0 nor infinite.
#[inline(always)]
fn exp_within<P: Lanes>(x: P) -> P {
    let (n, p) = exp_parts(x, P::Element::EXP_SHIFT);
    p.add(p.like(P::Element::ONE)).scale(n)
}

/// eˣ.
#[inline(always)]
pub fn exp<P: Lanes>(x: P) -> P {
    let (low, high) = (x.like(P::Element::EXP_ZERO), x.like(P::Element::EXP_INFINITE));
    exp_within(x.at_most(high).at_least(low))
}

/// eˣ - 1.
#[inline(always)]
pub fn exp_m1<P: Lanes>(x: P) -> P {
    let (low, high) = (x.like(P::Element::EXP_M1_END), x.like(P::Element::EXP_INFINITE));
    let (n, p) = exp_parts(x.at_most(high).at_least(low), P::Element::EXP_SHIFT);
    // 2ⁿ may be too large for a number where the result is none too large.
    let half = x.like(P::Element::HALF);
    let s = half.scale(n);
    let e = s.mul_add(p, s.sub(half));
    n.abs().less(half, p, e.add(e)).copysign(x)
}

/// With e = e²ˣ - 1: b - b·q for b = e / 2 and q = e / (e + 2), which is tanh x itself, or, where
/// that is above ½, b = 1 and q = 2 / (e + 2). So the quotient's error is the smaller part.
#[inline(always)]
pub fn tanh_by_exp<P: Lanes>(x: P) -> P {
    let (size, one) = (x.abs(), x.like(P::Element::ONE));
    let (half, two) = (x.like(P::Element::HALF), x.like(P::Element::TWO));
    let (n, p) = exp_parts(size.add(size), P::Element::TANH_SHIFT);
    let (s, limit) = (one.scale(n), x.like(P::Element::TANH_HALF));
    let e = s.mul_add(p, s.sub(one));
    let q = size.less(limit, e, two).div(s.mul_add(p, s.add(one)));
    let b = size.less(limit, e.mul(half), one);
    x.like(P::Element::TANH_END).less(size, one, b.neg_mul_add(q, b)).copysign(x)
}

/// 1 / (1 + e⁻ˣ): below zero as exact as a small number is, above it the rest to 1.
#[inline(always)]
pub fn sigmoid<P: Lanes>(x: P) -> P {
    let (zero, one) = (x.like(P::Element::ZERO), x.like(P::Element::ONE));
    let size = x.abs().at_most(x.like(P::Element::SIGMOID_END));
    let (n, p) = exp_parts(size, P::Element::EXP_SHIFT);
    let s = one.scale(zero.sub(n));
    let sum = one.add(s);
    // What the sum loses to rounding is not small beside p where s is the last place of 1.
    let y = s.div(sum.add(p.add(s.sub(sum.sub(one)))));
    x.less(zero, y, one.sub(y))
}

/// ln(2ᵏ·(1 + f)), from 2 artanh s for s = f / (2 + f), of which f is the first part.
#[inline(always)]
fn ln_parts<P: Lanes>(k: P, f: P) -> P {
    let (high, low) = (P::Element::LN_2, P::Element::LN_2_REST);
    let s = f.div(f.add(f.like(P::Element::TWO)));
    let z = s.mul(s);
    let half_square = f.mul(f).mul(f.like(P::Element::HALF));
    let rest = z.mul_add(polynomial(z, P::Element::LN), half_square);
    let rest = s.mul_add(rest, k.mul(k.like(low)));
    k.mul_add(k.like(high), f.sub(half_square.sub(rest)))
}

/// `y` = ln x where x is positive and finite, else what ln x is.
#[inline(always)]
fn ln_ends<P: Lanes>(x: P, y: P) -> P {
    let (zero, infinity) = (x.like(P::Element::ZERO), x.like(P::Element::INFINITY));
    let outside = x.less(zero, x.like(P::Element::NAN), zero.sub(infinity));
    x.less(infinity, zero.less(x, y, outside), x)
}

/// The k for which x / 2ᵏ is nearest to 1.
#[inline(always)]
fn nearest_power<P: Lanes>(x: P) -> P {
    let k = x.exponent();
    let one = x.like(P::Element::ONE);
    x.like(P::Element::SQRT_2).less(x.scale(k.like(P::Element::ZERO).sub(k)), k.add(one), k)
}

/// ln x.
#[inline(always)]
pub fn ln<P: Lanes>(x: P) -> P {
    let k = nearest_power(x);
    let f = x.scale(k.like(P::Element::ZERO).sub(k)).sub(x.like(P::Element::ONE));
    ln_ends(x, ln_parts(k, f))
}

/// ln(1 + x).
#[inline(always)]
pub fn ln_1p<P: Lanes>(x: P) -> P {
    let one = x.like(P::Element::ONE);
    let sum = x.add(one);
    let k = nearest_power(sum);
    let minus_k = k.like(P::Element::ZERO).sub(k);
    // The sum less 1, as if it had not been rounded.
    let f = x.scale(minus_k).add(one.scale(minus_k).sub(one));
    ln_ends(sum, ln_parts(k, f)).copysign(x)
}

/// 2/√π ∫₀ˣ exp(-t²) dt: a polynomial near 0, from there on 1 - exp of one.
#[inline(always)]
pub fn erf<P: Lanes>(x: P) -> P {
    let (size, split) = (x.abs(), x.like(P::Element::ERF_SPLIT));
    let near = size.mul_add(polynomial(size.mul(size), P::Element::ERF), size);
    let far = size.at_most(x.like(P::Element::ERF_END)).sub(split);
    let far = x.like(P::Element::ONE).sub(exp_within(polynomial(far, P::Element::ERFC)));
    size.less(split, near, far).copysign(x)
}
