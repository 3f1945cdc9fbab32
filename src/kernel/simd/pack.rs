//! One SIMD register and its operations: AVX-512 and AVX2 with FMA, for f32 and f64.
//!
//! The methods are `inline(always)` and carry no features of their own: each becomes an instruction
//! of the function that it is inlined into. So that this is sound a pack can be made by unsafe
//! functions alone, whose caller promises that the CPU has the instructions; whoever holds a pack
//! may compute with it. No closure, `map` or `from_fn` may stand around one: it would not be
//! inlined, and be a call for every instruction.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

/// Some numbers in one register.
pub trait Pack: Copy {
    type Element: super::math::Constants;
    /// Some of the first lanes.
    type Mask: Copy;
    /// How many numbers.
    const LANES: usize;
    /// Packs that the panels of a product are high, as many registers as the CPU has allow.
    const PANEL: usize;

    /// # Safety
    /// The CPU has the instructions of this pack; so for all that make one.
    unsafe fn splat(value: Self::Element) -> Self;
    /// # Safety
    /// `LANES` numbers can be read.
    unsafe fn load(from: *const Self::Element) -> Self;
    /// For `load_part`: the first `count` lanes, or all.
    ///
    /// # Safety
    /// As for `splat`.
    unsafe fn mask(count: usize) -> Self::Mask;
    /// The lanes of `mask`, zeros in the others.
    ///
    /// # Safety
    /// As many numbers can be read as `mask` has lanes.
    unsafe fn load_part(from: *const Self::Element, mask: Self::Mask) -> Self;
    /// # Safety
    /// `LANES` numbers can be written.
    unsafe fn store(self, to: *mut Self::Element);
    /// # Safety
    /// `count` numbers can be written; it is less than `LANES`.
    unsafe fn store_part(self, to: *mut Self::Element, count: usize);

    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// Has the cache line of this address, which need not exist, fetched to the first-level cache,
    /// or to the second for later.
    #[inline(always)]
    fn prefetch<const SOON: bool>(from: *const Self::Element) {
        // SAFETY: a hint; every x86-64 CPU has it.
        unsafe {
            if SOON {
                _mm_prefetch::<_MM_HINT_T0>(from.cast());
            } else {
                _mm_prefetch::<_MM_HINT_T1>(from.cast());
            }
        }
    }
    /// So many bytes as numbers.
    ///
    /// # Safety
    /// As for `splat`; `LANES` bytes can be read.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// The lanes of both in turn: `a0 b0 a1 b1 …`, in two packs.
    fn interleave(self, other: Self) -> (Self, Self);
}

/// AVX-512 has the mask first, AVX2 last.
macro_rules! load {
    (_mm512_maskz_loadu_ps($from:ident, $mask:ident)) => {
        _mm512_maskz_loadu_ps($mask, $from)
    };
    (_mm512_maskz_loadu_pd($from:ident, $mask:ident)) => {
        _mm512_maskz_loadu_pd($mask, $from)
    };
    ($load:ident($from:ident, $mask:ident)) => {
        $load($from, $mask)
    };
}

macro_rules! pack {
    ($name:ident: $v:ident of $lanes:literal $e:ident, panels of $panel:literal,
     $splat:ident $load:ident $store:ident $fma:ident $add:ident $sub:ident $mul:ident $div:ident,
     $part:ident($mask:ty: |$count:ident| $of_count:expr),
     |$bytes:ident| $of_bytes:expr,
     |$value:ident, $to:ident, $many:ident| $store_part:expr,
     |$a:ident, $b:ident| $interleave:expr) => {
        #[derive(Clone, Copy)]
        pub struct $name(pub(super) $v);

        // SAFETY, for every block: the pack that is given, or the caller who makes one, shows that
        // the CPU has the instruction; for pointers, as the trait says.
        impl Pack for $name {
            type Element = $e;
            type Mask = $mask;
            const LANES: usize = $lanes;
            const PANEL: usize = $panel;
            #[inline(always)]
            unsafe fn splat(value: $e) -> Self {
                $name(unsafe { $splat(value) })
            }
            #[inline(always)]
            unsafe fn load(from: *const $e) -> Self {
                $name(unsafe { $load(from) })
            }
            #[inline(always)]
            #[allow(unused_unsafe)] // a mask of AVX-512 is a plain number
            unsafe fn mask($count: usize) -> $mask {
                unsafe { $of_count }
            }
            #[inline(always)]
            unsafe fn load_part(from: *const $e, mask: $mask) -> Self {
                $name(unsafe { load!($part(from, mask)) })
            }
            #[inline(always)]
            unsafe fn load_bytes($bytes: *const u8) -> Self {
                $name(unsafe { $of_bytes })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $e) {
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn store_part(self, $to: *mut $e, $many: usize) {
                let $value = self.0;
                unsafe { $store_part }
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                $name(unsafe { $fma(self.0, a.0, b.0) })
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                $name(unsafe { $add(self.0, other.0) })
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                $name(unsafe { $sub(self.0, other.0) })
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                $name(unsafe { $mul(self.0, other.0) })
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                $name(unsafe { $div(self.0, other.0) })
            }
            #[inline(always)]
            fn interleave(self, other: Self) -> (Self, Self) {
                let ($a, $b) = (self.0, other.0);
                let (low, high) = unsafe { $interleave };
                ($name(low), $name(high))
            }
        }
    };
}

// A masked store does not forward to the load that follows it; a store of a quarter or half does.
pack!(F32x16: __m512 of 16 f32, panels of 3,
    _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_fmadd_ps
    _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps,
    _mm512_maskz_loadu_ps(__mmask16: |count| (u32::MAX >> 16 >> 16usize.saturating_sub(count)) as __mmask16),
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
    )
);

pack!(F64x8: __m512d of 8 f64, panels of 3,
    _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_fmadd_pd
    _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_div_pd,
    _mm512_maskz_loadu_pd(__mmask8: |count| (u32::MAX >> 24 >> 8usize.saturating_sub(count)) as __mmask8),
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
    )
);

pack!(F32x8: __m256 of 8 f32, panels of 2,
    _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_fmadd_ps
    _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps,
    _mm256_maskload_ps(__m256i: |count| _mm256_cmpgt_epi32(
        _mm256_set1_epi32(count.min(8) as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))),
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
    }
);

pack!(F64x4: __m256d of 4 f64, panels of 2,
    _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_fmadd_pd
    _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd,
    _mm256_maskload_pd(__m256i: |count| _mm256_cmpgt_epi64(
        _mm256_set1_epi64x(count.min(4) as i64), _mm256_setr_epi64x(0, 1, 2, 3))),
    |bytes| _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes.cast::<i32>().read_unaligned()))),
    |value, to, count| match count {
        1 => _mm_store_sd(to, _mm256_castpd256_pd128(value)),
        2 => _mm_storeu_pd(to, _mm256_castpd256_pd128(value)),
        _ => _mm256_maskstore_pd(to, Self::mask(count), value),
    },
    |a, b| {
        let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        (_mm256_permute2f128_pd::<0x20>(low, high), _mm256_permute2f128_pd::<0x31>(low, high))
    }
);
