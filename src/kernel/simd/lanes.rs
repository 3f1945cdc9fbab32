//! What the functions of `math` need of a pack besides arithmetic.
//!
//! The methods are `inline(always)` for the reason that `pack` gives, and safe for the same: a pack
//! shows that the CPU has the instructions.
#![allow(unsafe_code)]

use super::{
    math::tanh_by_exp,
    pack::{F32x8, F32x16, F64x4, F64x8, Pack},
    tanh::tanh_by_table,
};
use core::arch::x86_64::*;

/// A pack's sizes, signs, exponents and comparisons.
pub trait Lanes: Pack {
    /// A pack of `value` alone, rounded.
    fn like(self, value: f64) -> Self;
    /// `other - self * a`, rounded once.
    fn neg_mul_add(self, a: Self, other: Self) -> Self;
    fn copysign(self, sign: Self) -> Self;
    #[inline(always)]
    fn abs(self) -> Self {
        self.copysign(self.like(1.0))
    }
    /// The smaller, NaN where `self` is NaN.
    fn at_most(self, other: Self) -> Self;
    /// The larger, NaN where `self` is NaN.
    fn at_least(self, other: Self) -> Self;
    /// The nearest integer.
    fn round(self) -> Self;
    /// `self * 2^n` for an integer n, rounded once; down to subnormals, up to infinity.
    fn scale(self, n: Self) -> Self;
    /// `yes` where `self < other`, else, as for NaN, `no`.
    fn less(self, other: Self, yes: Self, no: Self) -> Self;
    /// By whichever way is the fastest.
    fn tanh(self) -> Self;
}

macro_rules! lanes {
    ($name:ident of $e:ident, $splat:ident;
     $($method:ident |$a:ident $(, $b:ident)*| $value:expr;)*) => {
        // SAFETY, for every block: the pack that is given shows that the CPU has the instruction.
        impl Lanes for $name {
            #[inline(always)]
            fn like(self, value: f64) -> Self {
                $name(unsafe { $splat(value as $e) })
            }
            $(#[inline(always)]
            #[allow(unused_unsafe)]
            fn $method(self $(, $b: Self)*) -> Self {
                let $a = self.0;
                $(let $b = $b.0;)*
                $name(unsafe { $value })
            })*
        }
    };
}

/// Where the third is set: the second, else the first.
const PICK: i32 = 0xD8;

lanes!(F32x16 of f32, _mm512_set1_ps;
    neg_mul_add |a, b, c| _mm512_fnmadd_ps(a, b, c);
    copysign |a, b| {
        let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
        _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<PICK>(a, b, _mm512_set1_epi32(i32::MIN)))
    };
    at_most |a, b| _mm512_min_ps(b, a);
    at_least |a, b| _mm512_max_ps(b, a);
    round |a| _mm512_roundscale_ps::<0x08>(a);
    scale |a, n| _mm512_scalef_ps(a, n);
    less |a, b, yes, no| _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes);
    tanh |a| tanh_by_table(F32x16(a)).0;
);

lanes!(F64x8 of f64, _mm512_set1_pd;
    neg_mul_add |a, b, c| _mm512_fnmadd_pd(a, b, c);
    copysign |a, b| {
        let (a, b) = (_mm512_castpd_si512(a), _mm512_castpd_si512(b));
        _mm512_castsi512_pd(_mm512_ternarylogic_epi64::<PICK>(a, b, _mm512_set1_epi64(i64::MIN)))
    };
    at_most |a, b| _mm512_min_pd(b, a);
    at_least |a, b| _mm512_max_pd(b, a);
    round |a| _mm512_roundscale_pd::<0x08>(a);
    scale |a, n| _mm512_scalef_pd(a, n);
    less |a, b, yes, no| _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b), no, yes);
    tanh |a| tanh_by_exp(F64x8(a)).0;
);

/// Integers are read from, and made into, the lowest bits of a number whose last place is 1, as AVX2
/// converts none of 64 bits.
macro_rules! avx2 {
    ($name:ident of $e:ident, $splat:ident $fnma:ident $min:ident $max:ident $andnot:ident $and:ident
     $or:ident $round:ident $add:ident $sub:ident $mul:ident $cmp:ident $blend:ident $bits:ident
     $number:ident $left:ident $right:ident, $digits:literal, bias $bias:literal) => {
        lanes!($name of $e, $splat;
            neg_mul_add |a, b, c| $fnma(a, b, c);
            copysign |a, b| $or($andnot($splat(-0.0), a), $and($splat(-0.0), b));
            at_most |a, b| $min(b, a);
            at_least |a, b| $max(b, a);
            round |a| $round::<0x08>(a);
            scale |a, n| {
                // In two steps, as 2^n itself may be out of range.
                let half = $round::<0x08>($mul(n, $splat(0.5)));
                let magic = $splat(1.5 * (1u64 << $digits) as $e + $bias);
                let power = $number($left::<$digits>($bits($add(half, magic))));
                let rest = $number($left::<$digits>($bits($add($sub(n, half), magic))));
                $mul($mul(a, power), rest)
            };
            less |a, b, yes, no| $blend(no, yes, $cmp::<_CMP_LT_OQ>(a, b));
            tanh |a| tanh_by_exp($name(a)).0;
        );
    };
}

avx2!(F32x8 of f32, _mm256_set1_ps _mm256_fnmadd_ps _mm256_min_ps _mm256_max_ps _mm256_andnot_ps
    _mm256_and_ps _mm256_or_ps _mm256_round_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_cmp_ps
    _mm256_blendv_ps _mm256_castps_si256 _mm256_castsi256_ps _mm256_slli_epi32 _mm256_srli_epi32,
    23, bias 127.0);
avx2!(F64x4 of f64, _mm256_set1_pd _mm256_fnmadd_pd _mm256_min_pd _mm256_max_pd _mm256_andnot_pd
    _mm256_and_pd _mm256_or_pd _mm256_round_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_cmp_pd
    _mm256_blendv_pd _mm256_castpd_si256 _mm256_castsi256_pd _mm256_slli_epi64 _mm256_srli_epi64,
    52, bias 1023.0);
