//! What the functions of `math` need of a pack besides arithmetic.
//!
//! The methods are `inline(always)` for the reason that `pack` gives, and safe for the same: a pack
//! shows that the CPU has the instructions.
#![allow(unsafe_code)]

use super::{
    math::Constants,
    pack::{F32x8, F32x16, F64x4, F64x8, Pack},
};
use core::arch::x86_64::*;

/// A pack's sizes, signs, exponents and comparisons.
pub trait Lanes: Pack<Element: Constants> {
    /// A pack of `value` alone.
    fn like(self, value: f64) -> Self;
    /// `other - self * a`, rounded once.
    fn neg_mul_add(self, a: Self, other: Self) -> Self;
    fn abs(self) -> Self;
    fn copysign(self, sign: Self) -> Self;
    /// The smaller, NaN where `self` is NaN.
    fn at_most(self, other: Self) -> Self;
    /// The larger, NaN where `self` is NaN.
    fn at_least(self, other: Self) -> Self;
    /// The nearest integer.
    fn round(self) -> Self;
    /// `self * 2^n` for an integer n, rounded once; down to subnormals, up to infinity.
    fn scale(self, n: Self) -> Self;
    /// The n of `2^n <= self < 2^(n + 1)`; meaningless from infinity on, for zero and below.
    fn exponent(self) -> Self;
    /// `yes` where `self < other`, else, as for NaN, `no`.
    fn less(self, other: Self, yes: Self, no: Self) -> Self;
    /// As [`tanh`](super::math::tanh).
    fn tanh(self) -> Self;
}

macro_rules! lanes {
    ($name:ident of $e:ident, $splat:ident $fnma:ident $min:ident $max:ident, $tanh:path,
     |$a:ident, $b:ident, $yes:ident, $no:ident| $abs:expr, $copysign:expr, $round:expr, $scale:expr,
     $exponent:expr, $less:expr) => {
        // SAFETY, for every block: the pack that is given shows that the CPU has the instruction.
        impl Lanes for $name {
            #[inline(always)]
            fn like(self, value: f64) -> Self {
                $name(unsafe { $splat(value as $e) })
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self, b: Self) -> Self {
                $name(unsafe { $fnma(self.0, a.0, b.0) })
            }
            #[inline(always)]
            fn abs(self) -> Self {
                let $a = self.0;
                $name(unsafe { $abs })
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                let ($a, $b) = (self.0, sign.0);
                $name(unsafe { $copysign })
            }
            #[inline(always)]
            fn at_most(self, other: Self) -> Self {
                $name(unsafe { $min(other.0, self.0) })
            }
            #[inline(always)]
            fn at_least(self, other: Self) -> Self {
                $name(unsafe { $max(other.0, self.0) })
            }
            #[inline(always)]
            fn round(self) -> Self {
                let $a = self.0;
                $name(unsafe { $round })
            }
            #[inline(always)]
            fn scale(self, n: Self) -> Self {
                let ($a, $b) = (self.0, n.0);
                $name(unsafe { $scale })
            }
            #[inline(always)]
            fn exponent(self) -> Self {
                let $a = self.0;
                $name(unsafe { $exponent })
            }
            #[inline(always)]
            fn less(self, other: Self, yes: Self, no: Self) -> Self {
                let ($a, $b, $yes, $no) = (self.0, other.0, yes.0, no.0);
                $name(unsafe { $less })
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                $tanh(self)
            }
        }
    };
}

/// Picks from `b` where a bit of the mask is set, else from `a`.
const PICK: i32 = 0xD8;

lanes!(F32x16 of f32, _mm512_set1_ps _mm512_fnmadd_ps _mm512_min_ps _mm512_max_ps,
    super::tanh::tanh_by_table,
    |a, b, yes, no| _mm512_abs_ps(a),
    {
        let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
        _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<PICK>(a, b, _mm512_set1_epi32(i32::MIN)))
    },
    _mm512_roundscale_ps::<0x08>(a),
    _mm512_scalef_ps(a, b),
    _mm512_getexp_ps(a),
    _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes)
);

lanes!(F64x8 of f64, _mm512_set1_pd _mm512_fnmadd_pd _mm512_min_pd _mm512_max_pd,
    super::math::tanh_by_exp,
    |a, b, yes, no| _mm512_abs_pd(a),
    {
        let (a, b) = (_mm512_castpd_si512(a), _mm512_castpd_si512(b));
        _mm512_castsi512_pd(_mm512_ternarylogic_epi64::<PICK>(a, b, _mm512_set1_epi64(i64::MIN)))
    },
    _mm512_roundscale_pd::<0x08>(a),
    _mm512_scalef_pd(a, b),
    _mm512_getexp_pd(a),
    _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b), no, yes)
);

// Integers are read from, and made into, the lowest bits of a number whose unit in the last place
// is 1: AVX2 converts none of 64 bits.
lanes!(F32x8 of f32, _mm256_set1_ps _mm256_fnmadd_ps _mm256_min_ps _mm256_max_ps,
    super::math::tanh_by_exp,
    |a, b, yes, no| _mm256_andnot_ps(_mm256_set1_ps(-0.0), a),
    {
        let sign = _mm256_set1_ps(-0.0);
        _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b))
    },
    _mm256_round_ps::<0x08>(a),
    {
        // In two steps, as 2^n itself may be out of range.
        let half = _mm256_round_ps::<0x08>(_mm256_mul_ps(b, _mm256_set1_ps(0.5)));
        _mm256_mul_ps(_mm256_mul_ps(a, power32(half)), power32(_mm256_sub_ps(b, half)))
    },
    {
        let tiny = _mm256_cmp_ps::<_CMP_LT_OQ>(a, _mm256_set1_ps(f32::MIN_POSITIVE));
        let normal = _mm256_blendv_ps(a, _mm256_mul_ps(a, _mm256_set1_ps(18446744073709551616.0)), tiny);
        let unit = _mm256_set1_ps(8388608.0);
        let bits = _mm256_srli_epi32::<23>(_mm256_castps_si256(normal));
        let biased = _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_castps_si256(unit)));
        let bias = _mm256_blendv_ps(_mm256_set1_ps(8388735.0), _mm256_set1_ps(8388799.0), tiny);
        _mm256_sub_ps(biased, bias)
    },
    _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b))
);

lanes!(F64x4 of f64, _mm256_set1_pd _mm256_fnmadd_pd _mm256_min_pd _mm256_max_pd,
    super::math::tanh_by_exp,
    |a, b, yes, no| _mm256_andnot_pd(_mm256_set1_pd(-0.0), a),
    {
        let sign = _mm256_set1_pd(-0.0);
        _mm256_or_pd(_mm256_andnot_pd(sign, a), _mm256_and_pd(sign, b))
    },
    _mm256_round_pd::<0x08>(a),
    {
        let half = _mm256_round_pd::<0x08>(_mm256_mul_pd(b, _mm256_set1_pd(0.5)));
        _mm256_mul_pd(_mm256_mul_pd(a, power64(half)), power64(_mm256_sub_pd(b, half)))
    },
    {
        let tiny = _mm256_cmp_pd::<_CMP_LT_OQ>(a, _mm256_set1_pd(f64::MIN_POSITIVE));
        let normal = _mm256_blendv_pd(a, _mm256_mul_pd(a, _mm256_set1_pd(18446744073709551616.0)), tiny);
        let unit = _mm256_set1_pd(4503599627370496.0);
        let bits = _mm256_srli_epi64::<52>(_mm256_castpd_si256(normal));
        let biased = _mm256_castsi256_pd(_mm256_or_si256(bits, _mm256_castpd_si256(unit)));
        let bias = _mm256_blendv_pd(_mm256_set1_pd(4503599627371519.0), _mm256_set1_pd(4503599627371583.0), tiny);
        _mm256_sub_pd(biased, bias)
    },
    _mm256_blendv_pd(no, yes, _mm256_cmp_pd::<_CMP_LT_OQ>(a, b))
);

/// 2^n for an integer n in the range of normal numbers.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn power32(n: __m256) -> __m256 {
    // SAFETY: as the caller promises.
    unsafe {
        let bits = _mm256_castps_si256(_mm256_add_ps(n, _mm256_set1_ps(12583039.0)));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(bits))
    }
}

/// As [`power32`].
#[inline(always)]
unsafe fn power64(n: __m256d) -> __m256d {
    // SAFETY: as the caller promises.
    unsafe {
        let bits = _mm256_castpd_si256(_mm256_add_pd(n, _mm256_set1_pd(6755399441056767.0)));
        _mm256_castsi256_pd(_mm256_slli_epi64::<52>(bits))
    }
}
