//! One SIMD register and its operations, for f32 and f64.
//!
//! The methods are `inline(always)` and have no features of their own: each becomes an instruction of the function that
//! it is inlined into. This is sound because only unsafe functions make a pack, and their caller promises that the CPU
//! has the instructions. Code that has a pack may compute with it. Do not use a pack in a closure, `map` or `from_fn`:
//! the closure would not be inlined, and every instruction would be a call.
#![allow(unsafe_code)]

use super::arch;

/// The numbers in one register.
pub trait Pack: Copy {
    type Element: super::math::Constants;
    /// A mask that selects the first lanes.
    type Mask: Copy;
    /// A pack with half the lanes if there is one, else the same pack.
    type Half: Pack<Element = Self::Element>;
    /// The number of lanes.
    const LANES: usize;
    /// The height of the panels of a product in packs. It follows from the number of registers.
    const PANEL: usize;

    /// # Safety
    /// The CPU has the instructions of this pack. The same holds for all functions that make a pack.
    unsafe fn splat(value: Self::Element) -> Self;
    /// # Safety
    /// `LANES` numbers can be read.
    unsafe fn load(from: *const Self::Element) -> Self;
    /// A mask for `load_part`: the first `count` lanes, or all lanes if `count` is larger.
    ///
    /// # Safety
    /// As for `splat`.
    unsafe fn mask(count: usize) -> Self::Mask;
    /// Loads the lanes of `mask`. The other lanes are zeros.
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
    /// One bit for each lane that is not zero in one or both packs, from the lowest bit on. NaN is not zero. If the
    /// search is not worth it at this level, all bits are set.
    #[inline(always)]
    fn nonzeros(self, _: Self) -> u16 {
        u16::MAX
    }
    /// Prefetches the cache line of this address to the first-level cache. The address need not be valid.
    #[inline(always)]
    fn prefetch(from: *const Self::Element) {
        arch::prefetch(from.cast());
    }
    /// `LANES` bytes as numbers.
    ///
    /// # Safety
    /// As for `splat`; `LANES` bytes can be read.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// The lanes of both, interleaved: `a0 b0 a1 b1 …`, in two packs.
    fn interleave(self, other: Self) -> (Self, Self);
    /// In each 16 bytes the sums of two neighbouring lanes, first of `self`, then of `other`.
    fn pair_sums(self, other: Self) -> Self;
    /// The sums of two neighbouring 16 bytes, first of `self`, then of `other`.
    fn block_sums(self, other: Self) -> Self;
    /// A pack from both halves, or `low` if a half is a whole pack.
    fn whole(low: Self::Half, high: Self::Half) -> Self;
}

macro_rules! pack {
    ($name:ident: $v:ident of $lanes:literal $e:ident, panels of $panel:literal,
     $splat:ident $load:ident $store:ident $fma:ident, $($operation:ident $instruction:ident)*,
     $mask:ty: |$count:ident| $of_count:expr,
     |$from:ident, $part:ident| $load_part:expr,
     |$bytes:ident| $of_bytes:expr,
     |$value:ident, $to:ident, $many:ident| $store_part:expr,
     |$a:ident, $b:ident| $interleave:expr,
     $($sums:ident $sum:expr),*;
     $half:ident: |$low:ident, $high:ident| $whole:expr
     $(; |$one:ident, $other:ident| $nonzeros:expr)?) => {
        #[derive(Clone, Copy)]
        pub struct $name(pub(super) $v);

        // SAFETY, for every block: the pack that is given, or the caller who makes one, shows that
        // the CPU has the instruction; for pointers, as the trait says.
        impl Pack for $name {
            type Element = $e;
            type Mask = $mask;
            type Half = $half;
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
            #[allow(unused_unsafe)] // a mask may be a plain number
            unsafe fn mask($count: usize) -> $mask {
                unsafe { $of_count }
            }
            #[inline(always)]
            unsafe fn load_part($from: *const $e, $part: $mask) -> Self {
                $name(unsafe { $load_part })
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
            $(#[inline(always)]
            fn $operation(self, other: Self) -> Self {
                $name(unsafe { $instruction(self.0, other.0) })
            })*
            #[inline(always)]
            fn interleave(self, other: Self) -> (Self, Self) {
                let ($a, $b) = (self.0, other.0);
                let (low, high) = unsafe { $interleave };
                ($name(low), $name(high))
            }
            $(#[inline(always)]
            fn nonzeros(self, other: Self) -> u16 {
                let ($one, $other) = (self.0, other.0);
                unsafe { $nonzeros }
            })?
            $(#[inline(always)]
            #[allow(unused_unsafe, unused_variables)] // there may be but one block
            fn $sums(self, other: Self) -> Self {
                let ($a, $b) = (self.0, other.0);
                $name(unsafe { $sum })
            })*
            #[inline(always)]
            #[allow(unused_unsafe, unused_variables)] // a half may be all
            fn whole(low: $half, high: $half) -> Self {
                let ($low, $high) = (low.0, high.0);
                $name(unsafe { $whole })
            }
        }
    };
}
pub(super) use pack;
