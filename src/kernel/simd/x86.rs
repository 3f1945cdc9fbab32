//! AVX-512 and AVX2 with FMA.
#![allow(unsafe_code)]

use super::{
    Level,
    lanes::{Lanes, lanes},
    math::tanh_by_exp,
    pack::{Pack, pack},
};
use core::{
    arch::{asm, x86_64::*},
    hint::assert_unchecked,
    sync::atomic::AtomicU8,
};

/// The bytes of a register at the lowest level.
pub const LEAST: usize = 32;

/// The level that the build guarantees on every CPU that runs it. Then no code asks the CPU.
const PROMISED: Option<Level> = {
    macro_rules! all {
        ($($feature:tt)*) => { $(cfg!(target_feature = $feature))&&* };
    }
    if all!("avx512f" "avx512vl" "avx512dq" "avx512bw" "avx2" "fma" "bmi2") {
        Some(Level::Avx512)
    } else {
        None
    }
};

/// The level of the CPU: a constant if the build guarantees it, else one byte that is written once.
#[inline(always)]
pub fn level() -> Option<Level> {
    if cfg!(miri) {
        return None; // Miri runs no assembly
    }
    if PROMISED.is_some() {
        return PROMISED;
    }
    of(known())
}

#[inline(always)]
fn of(byte: u8) -> Option<Level> {
    match byte {
        1 => None,
        2 => Some(Level::Avx2),
        3 => Some(Level::Avx512),
        // Zero. This arm must ask: the reads of `known` may give any mixture of zeros and the one other value, and the
        // result must be the level of the CPU in every case.
        _ => ask(),
    }
}

/// The same, with a new read, for the start of a step. Without the new read, a loop over steps would use the zero from
/// before the first step in all of them, and ask the CPU each time.
#[inline(always)]
pub fn level_now() -> Option<Level> {
    if PROMISED.is_some() || cfg!(miri) {
        return level();
    }
    let byte: u32;
    // SAFETY: it loads a byte of a static that only assembly writes.
    unsafe {
        asm!(
            "movzx {byte:e}, byte ptr [{at}]",
            byte = lateout(reg) byte,
            at = in(reg) LEVEL.as_ptr(),
            options(readonly, nostack, preserves_flags),
        );
    }
    of(byte as u8)
}

/// The result of `ask`, in the encoding of [`byte`]; zero before. Only assembly reads and writes it.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// `LEVEL`. The compiler may reuse any other read in the same function. So one test at the start of a step decides all
/// that follow, like a constant. An atomic, or `readonly` assembly, would be read again for every kernel: 20 to 35 %
/// more instructions in a step of a tiny net.
#[inline(always)]
#[expect(clippy::pointers_in_nomem_asm_block, reason = "no Rust code can see this memory")]
fn known() -> u8 {
    let byte: u32;
    // SAFETY: it loads a byte of a static. `nomem` lets the compiler keep memory in registers, and move writes, across
    // this. But no Rust code reads or writes this byte, so there is nothing to keep or move. For the rest of the
    // program the byte is either zero or the level of the CPU, and `level` is correct with both. `trust` requires that
    // it is not zero. It is called in separate functions, which begin after this thread has read or written the other
    // value.
    unsafe {
        asm!(
            "movzx {byte:e}, byte ptr [{at}]",
            byte = lateout(reg) byte,
            at = in(reg) LEVEL.as_ptr(),
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    byte as u8
}

/// Tells the compiler what `level` returns from here on.
///
/// # Safety
/// `level` has returned this value, outside of the function that contains this call.
#[inline(always)]
pub unsafe fn trust(level: Option<Level>) {
    // If the level is a constant, no code asks, and `LEVEL` does not change.
    if PROMISED.is_none() && !cfg!(any(test, miri)) {
        // SAFETY: the caller promises it, and the value is known after `ask`.
        unsafe { assert_unchecked(known() == byte(level)) };
    }
}

#[cold]
#[inline(never)]
fn ask() -> Option<Level> {
    let level = detect();
    // SAFETY: one byte of a static. Threads that write it at the same time write the same value. The assembly may write
    // any memory, so the compiler neither drops it nor moves it behind a call.
    unsafe {
        asm!(
            "mov byte ptr [{at}], {byte}",
            byte = in(reg_byte) byte(level),
            at = in(reg) LEVEL.as_ptr(),
            options(nostack, preserves_flags),
        );
    }
    level
}

const fn byte(level: Option<Level>) -> u8 {
    match level {
        None => 1,
        Some(level) => 2 + level as u8,
    }
}

fn detect() -> Option<Level> {
    #[cfg(feature = "std")]
    {
        use std::is_x86_feature_detected as has;
        let avx2 = has!("avx2") && has!("fma") && has!("bmi2");
        let avx512 = has!("avx512f") && has!("avx512vl") && has!("avx512dq") && has!("avx512bw");
        if avx2 {
            return Some(if avx512 { Level::Avx512 } else { Level::Avx2 });
        }
        None
    }
    #[cfg(not(feature = "std"))]
    Some(Level::Avx2) // else this module would not be compiled
}

/// See [`Pack::prefetch`].
#[inline(always)]
pub fn prefetch(from: *const u8) {
    // SAFETY: it is a hint, and every x86-64 CPU has it.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) };
}

// A masked store does not forward to a later load. A store of a quarter or a half does.
#[inline(always)]
unsafe fn fused_f32(a: f32, b: f32, c: f32) -> f32 {
    // SAFETY: as the caller promises, here and below.
    unsafe { _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c))) }
}

#[inline(always)]
unsafe fn fused_f64(a: f64, b: f64, c: f64) -> f64 {
    unsafe { _mm_cvtsd_f64(_mm_fmadd_sd(_mm_set_sd(a), _mm_set_sd(b), _mm_set_sd(c))) }
}

pack!(F32x16: __m512 of 16 f32, panels of 3,
    _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_fmadd_ps fused_f32,
    add _mm512_add_ps sub _mm512_sub_ps mul _mm512_mul_ps div _mm512_div_ps,
    __mmask16: |count| (u32::MAX >> 16 >> 16usize.saturating_sub(count)) as __mmask16,
    |from, mask| _mm512_maskz_loadu_ps(mask, from),
    |bytes| _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(bytes.cast()))),
    |value, to, count| match count {
        1 => _mm_store_ss(to, _mm512_castps512_ps128(value)),
        2 => _mm_storel_epi64(to.cast(), _mm_castps_si128(_mm512_castps512_ps128(value))),
        4 => _mm_storeu_ps(to, _mm512_castps512_ps128(value)),
        8 => _mm256_storeu_ps(to, _mm512_castps512_ps256(value)),
        _ => _mm512_mask_storeu_ps(to, ((1u32 << count) - 1) as __mmask16, value),
    },
    |a, b| (
        _mm512_permutex2var_ps(a, _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), b),
        _mm512_permutex2var_ps(a, _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), b),
    ),
    pair_sums _mm512_add_ps(_mm512_shuffle_ps::<0x88>(a, b), _mm512_shuffle_ps::<0xDD>(a, b)),
    block_sums _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b));
    F32x8: |low, high| _mm512_insertf32x8::<1>(_mm512_castps256_ps512(low), high);
    |a, b| _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(_mm512_or_ps(a, b), _mm512_setzero_ps())
);

pack!(F64x8: __m512d of 8 f64, panels of 3,
    _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_fmadd_pd fused_f64,
    add _mm512_add_pd sub _mm512_sub_pd mul _mm512_mul_pd div _mm512_div_pd,
    __mmask8: |count| (u32::MAX >> 24 >> 8usize.saturating_sub(count)) as __mmask8,
    |from, mask| _mm512_maskz_loadu_pd(mask, from),
    |bytes| _mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes.cast()))),
    |value, to, count| match count {
        1 => _mm_store_sd(to, _mm512_castpd512_pd128(value)),
        2 => _mm_storeu_pd(to, _mm512_castpd512_pd128(value)),
        4 => _mm256_storeu_pd(to, _mm512_castpd512_pd256(value)),
        _ => _mm512_mask_storeu_pd(to, ((1u32 << count) - 1) as __mmask8, value),
    },
    |a, b| (
        _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b),
        _mm512_permutex2var_pd(a, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b),
    ),
    pair_sums _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b)),
    block_sums _mm512_add_pd(_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0xDD>(a, b));
    F64x4: |low, high| _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(low), high);
    |a, b| _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(_mm512_or_pd(a, b), _mm512_setzero_pd()).into()
);

pack!(F32x8: __m256 of 8 f32, panels of 2,
    _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_fmadd_ps fused_f32,
    add _mm256_add_ps sub _mm256_sub_ps mul _mm256_mul_ps div _mm256_div_ps,
    __m256i: |count| _mm256_cmpgt_epi32(
        _mm256_set1_epi32(count.min(8) as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
    |from, mask| _mm256_maskload_ps(from, mask),
    |bytes| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes.cast()))),
    |value, to, count| match count {
        1 => _mm_store_ss(to, _mm256_castps256_ps128(value)),
        2 => _mm_storel_epi64(to.cast(), _mm_castps_si128(_mm256_castps256_ps128(value))),
        4 => _mm_storeu_ps(to, _mm256_castps256_ps128(value)),
        _ => _mm256_maskstore_ps(to, Self::mask(count), value),
    },
    |a, b| {
        let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        (_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
    },
    pair_sums _mm256_add_ps(_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xDD>(a, b)),
    block_sums _mm256_add_ps(
        _mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b));
    F32x8: |low, high| low
);

pack!(F64x4: __m256d of 4 f64, panels of 2,
    _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_fmadd_pd fused_f64,
    add _mm256_add_pd sub _mm256_sub_pd mul _mm256_mul_pd div _mm256_div_pd,
    __m256i: |count| _mm256_cmpgt_epi64(
        _mm256_set1_epi64x(count.min(4) as i64), _mm256_setr_epi64x(0, 1, 2, 3)),
    |from, mask| _mm256_maskload_pd(from, mask),
    |bytes| _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes.cast::<i32>().read_unaligned()))),
    |value, to, count| match count {
        1 => _mm_store_sd(to, _mm256_castpd256_pd128(value)),
        2 => _mm_storeu_pd(to, _mm256_castpd256_pd128(value)),
        _ => _mm256_maskstore_pd(to, Self::mask(count), value),
    },
    |a, b| {
        let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        (_mm256_permute2f128_pd::<0x20>(low, high), _mm256_permute2f128_pd::<0x31>(low, high))
    },
    pair_sums _mm256_add_pd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b)),
    block_sums _mm256_add_pd(
        _mm256_permute2f128_pd::<0x20>(a, b), _mm256_permute2f128_pd::<0x31>(a, b));
    F64x4: |low, high| low
);

/// Where the third is set: the second, else the first.
pub(super) const BY_SIGN: i32 = 0xD8;

lanes!(F64x8 of f64, _mm512_set1_pd;
    neg_mul_add |a, b, c| _mm512_fnmadd_pd(a, b, c);
    copysign |a, b| {
        let (a, b) = (_mm512_castpd_si512(a), _mm512_castpd_si512(b));
        _mm512_castsi512_pd(_mm512_ternarylogic_epi64::<BY_SIGN>(a, b, _mm512_set1_epi64(i64::MIN)))
    };
    at_most |a, b| _mm512_min_pd(b, a);
    at_least |a, b| _mm512_max_pd(b, a);
    round |a| _mm512_roundscale_pd::<0x08>(a);
    scale |a, n| _mm512_scalef_pd(a, n);
    exponent |a| _mm512_getexp_pd(a);
    less |a, b, yes, no| _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b), no, yes);
    tanh |a| tanh_by_exp(F64x8(a)).0;
);

/// AVX2 does not convert integers of 64 bits. So integers are read from, and written to, the lowest bits of a number
/// whose last place is 1.
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
                // In two steps, because 2^n itself may be out of range.
                let half = $round::<0x08>($mul(n, $splat(0.5)));
                let magic = $splat(1.5 * (1u64 << $digits) as $e + $bias);
                let power = $number($left::<$digits>($bits($add(half, magic))));
                let rest = $number($left::<$digits>($bits($add($sub(n, half), magic))));
                $mul($mul(a, power), rest)
            };
            exponent |a| $sub(
                $or($number($right::<$digits>($bits(a))), $splat((1u64 << $digits) as $e)),
                $splat((1u64 << $digits) as $e + $bias));
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
