//! NEON. The build says whether the CPU has it; it never asks at run time.
#![allow(unsafe_code)]

use super::{
    Level,
    lanes::{Lanes, lanes},
    math::tanh_by_exp,
    pack::{Pack, pack},
};
use core::{
    arch::{aarch64::*, asm},
    mem::transmute,
};

/// The bytes of a register.
pub const LEAST: usize = 16;

#[inline(always)]
pub const fn level_now() -> Option<Level> {
    level()
}

#[inline(always)]
pub const fn level() -> Option<Level> {
    Some(Level::Neon)
}

/// The level is a constant, so this does nothing.
///
/// # Safety
/// No requirement.
#[inline(always)]
pub const unsafe fn trust(_: Option<Level>) {}

/// See [`Pack::prefetch`].
#[inline(always)]
#[allow(clippy::pointers_in_nomem_asm_block)] // it does not read at the address
pub fn prefetch(from: *const u8) {
    // SAFETY: it is a hint and changes nothing. (Its intrinsic is not stable.)
    unsafe {
        asm!("prfm pldl1keep, [{}]", in(reg) from, options(nomem, nostack, preserves_flags));
    }
}

macro_rules! neon {
    ($name:ident: $v:ident of $lanes:literal $e:ident, $fused:ident $single:ident
     $splat:ident $load:ident $store:ident $fma:ident $fms:ident $add:ident $sub:ident $mul:ident
     $div:ident $abs:ident $round:ident $less:ident $pick:ident $zip1:ident $zip2:ident $pairs:ident,
     $sign:ident $to_int:ident $splat_int:ident $add_int:ident $shift:ident $number:ident,
     $digits:literal, bias $bias:literal, exponent $right:ident $from_int:ident,
     |$from:ident, $count:ident| $load_part:expr,
     |$value:ident, $to:ident, $many:ident| $store_part:expr,
     |$bytes:ident| $of_bytes:expr) => {
        /// `a * b + c`, with the argument order of other instruction sets.
        ///
        /// # Safety
        /// As for the packs.
        #[inline(always)]
        unsafe fn $fused(a: $v, b: $v, c: $v) -> $v {
            // SAFETY: as the caller promises.
            unsafe { $fma(c, a, b) }
        }

        /// The same for single numbers.
        ///
        /// # Safety
        /// As for the packs.
        #[inline(always)]
        unsafe fn $single(a: $e, b: $e, c: $e) -> $e {
            let mut out = [c; $lanes];
            // SAFETY: as the caller promises; `out` has room for a pack.
            unsafe {
                $store(out.as_mut_ptr(), $fused($splat(a), $splat(b), $splat(c)));
                out.as_ptr().read()
            }
        }

        /// Like `vld1q`, but it loads numbers and not bytes if the build has no unaligned loads, as on bare metal.
        ///
        /// # Safety
        /// As for [`Pack::load`].
        #[inline(always)]
        unsafe fn $load(from: *const $e) -> $v {
            // SAFETY: the caller promises it, and the types have the same size.
            unsafe { transmute::<[$e; $lanes], $v>(from.cast::<[$e; $lanes]>().read()) }
        }

        /// # Safety
        /// As for [`Pack::store`].
        #[inline(always)]
        unsafe fn $store(to: *mut $e, value: $v) {
            // SAFETY: as above.
            unsafe { to.cast::<[$e; $lanes]>().write(transmute::<$v, [$e; $lanes]>(value)) }
        }

        // NEON has no masks, so every load tests the number of lanes.
        pack!($name: $v of $lanes $e, panels of 3,
            $splat $load $store $fused $single, add $add sub $sub mul $mul div $div,
            usize: |count| count,
            |$from, $count| $load_part,
            |$bytes| $load($of_bytes.as_ptr()),
            |$value, $to, $many| $store_part,
            |a, b| ($zip1(a, b), $zip2(a, b)),
            pair_sums $pairs(a, b), block_sums a; // a NEON register is one block
            $name: |low, high| low
        );

        lanes!($name of $e, $splat;
            neg_mul_add |a, b, c| $fms(c, a, b);
            copysign |a, b| $pick($sign($splat(-0.0)), b, a);
            abs |a| $abs(a);
            // As on x86-64. `fmin` and `fmax` would treat -0 as less than 0.
            at_most |a, b| $pick($less(b, a), b, a);
            at_least |a, b| $pick($less(a, b), b, a);
            round |a| $round(a);
            scale |a, n| {
                // In two steps, because 2^n itself may be out of range.
                let half = $round($mul(n, $splat(0.5)));
                let bias = $splat_int($bias);
                let power = $number($shift::<$digits>($add_int($to_int(half), bias)));
                let rest = $number($shift::<$digits>($add_int($to_int($sub(n, half)), bias)));
                $mul($mul(a, power), rest)
            };
            exponent |a| $sub($from_int($right::<$digits>($sign(a))), $splat($bias as $e));
            less |a, b, yes, no| $pick($less(a, b), yes, no);
            tanh |a| tanh_by_exp($name(a)).0;
        );
    };
}

neon!(F32x4: float32x4_t of 4 f32, fused_f32 single_f32
    vdupq_n_f32 load_f32 store_f32 vfmaq_f32 vfmsq_f32 vaddq_f32 vsubq_f32 vmulq_f32
    vdivq_f32 vabsq_f32 vrndnq_f32 vcltq_f32 vbslq_f32 vzip1q_f32 vzip2q_f32 vpaddq_f32,
    vreinterpretq_u32_f32 vcvtnq_s32_f32 vdupq_n_s32 vaddq_s32 vshlq_n_s32 vreinterpretq_f32_s32,
    23, bias 127, exponent vshrq_n_u32 vcvtq_f32_u32,
    |from, count| {
        let none = vdupq_n_f32(0.0);
        match count {
            0 => none,
            1 => vld1q_lane_f32::<0>(from, none),
            2 => vcombine_f32(vld1_f32(from), vdup_n_f32(0.0)),
            3 => vld1q_lane_f32::<2>(from.add(2), vcombine_f32(vld1_f32(from), vdup_n_f32(0.0))),
            _ => load_f32(from),
        }
    },
    |value, to, count| {
        if count & 2 != 0 {
            vst1_f32(to, vget_low_f32(value));
        }
        match count {
            1 => vst1q_lane_f32::<0>(to, value),
            3 => vst1q_lane_f32::<2>(to.add(2), value),
            _ => {}
        }
    },
    |bytes| [f32::from(*bytes), f32::from(*bytes.add(1)), f32::from(*bytes.add(2)), f32::from(*bytes.add(3))]
);

neon!(F64x2: float64x2_t of 2 f64, fused_f64 single_f64
    vdupq_n_f64 load_f64 store_f64 vfmaq_f64 vfmsq_f64 vaddq_f64 vsubq_f64 vmulq_f64
    vdivq_f64 vabsq_f64 vrndnq_f64 vcltq_f64 vbslq_f64 vzip1q_f64 vzip2q_f64 vpaddq_f64,
    vreinterpretq_u64_f64 vcvtnq_s64_f64 vdupq_n_s64 vaddq_s64 vshlq_n_s64 vreinterpretq_f64_s64,
    52, bias 1023, exponent vshrq_n_u64 vcvtq_f64_u64,
    |from, count| match count {
        0 => vdupq_n_f64(0.0),
        1 => vld1q_lane_f64::<0>(from, vdupq_n_f64(0.0)),
        _ => load_f64(from),
    },
    |value, to, count| if count == 1 {
        vst1q_lane_f64::<0>(to, value);
    },
    |bytes| [f64::from(*bytes), f64::from(*bytes.add(1))]
);
