//! One SIMD register and its operations, for f32 and f64.
//!
//! The methods are `inline(always)` and carry no features of their own: each becomes an instruction
//! of the function that it is inlined into. To make this sound, only unsafe functions make a pack, and
//! their caller promises that the CPU has the instructions. Whoever holds a pack may compute with it. Do not
//! use a pack in a closure, `map` or `from_fn`: the compiler does not inline these, and each instruction becomes a
//! call.
#![allow(unsafe_code)]

use num_traits::ConstZero;

/// Some numbers in one register.
pub trait Pack: Copy {
    type Element: super::constants::Constants;
    /// Some of the first lanes.
    type Mask: Copy;
    /// A pack of half the lanes, if there is one, else the same.
    type Half: Pack<Element = Self::Element>;
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

    /// `a * b + c` for single numbers, rounded once.
    ///
    /// # Safety
    /// As for `splat`.
    unsafe fn fused(a: Self::Element, b: Self::Element, c: Self::Element) -> Self::Element;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// A bit for each lane that is nonzero in either pack (NaN counts as nonzero), lowest lane first. The default
    /// returns all bits.
    #[inline(always)]
    fn nonzeros(self, _: Self) -> u16 {
        u16::MAX
    }
    /// Fetches the cache line of this address, which need not be valid, into the first-level cache.
    fn prefetch(from: *const Self::Element);
    /// `LANES` bytes as numbers.
    ///
    /// # Safety
    /// As for `splat`; `LANES` bytes can be read.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// The lanes of both in turn: `a0 b0 a1 b1 …`, in two packs.
    fn interleave(self, other: Self) -> (Self, Self);
    /// In each 16 bytes the sums of two neighbouring lanes, first of `self`, then of `other`.
    fn pair_sums(self, other: Self) -> Self;
    /// The sums of two neighbouring 16 bytes, first of `self`, then of `other`.
    fn block_sums(self, other: Self) -> Self;
    /// A pack from two halves; `low` alone if a half is as large as a pack.
    fn whole(low: Self::Half, high: Self::Half) -> Self;
}

/// A pack, or what there is of it, if `left` is less.
#[inline(always)]
pub(super) unsafe fn load<P: Pack>(from: *const P::Element, left: usize) -> P {
    unsafe { if left >= P::LANES { P::load(from) } else { P::load_part(from, P::mask(left)) } }
}

/// How many numbers `at` lies behind the last address that whole packs divide, from where none straddles two
/// cache lines.
#[inline(always)]
pub(super) fn astray<P: Pack>(at: *const P::Element) -> usize {
    at as usize / size_of::<P::Element>() % P::LANES
}

#[inline(always)]
pub(super) unsafe fn store<P: Pack>(pack: P, to: *mut P::Element, left: usize) {
    unsafe { if left >= P::LANES { pack.store(to) } else { pack.store_part(to, left) } }
}

/// Fewer numbers than a pack has lanes, one by one: of a constant number each comes from the register where it is. A
/// load of a part would wait for the stores of the numbers.
#[inline(always)]
pub(super) unsafe fn lent<P: Pack>(from: *const P::Element, count: usize) -> P {
    let mut all = [P::Element::ZERO; 16];
    for i in 0..count {
        unsafe { *all.as_mut_ptr().add(i) = *from.add(i) };
    }
    unsafe { P::load(all.as_ptr()) }
}

#[inline(always)]
pub(super) unsafe fn unlent<P: Pack>(pack: P, to: *mut P::Element, count: usize) {
    let mut all = [P::Element::ZERO; 16];
    unsafe { pack.store(all.as_mut_ptr()) };
    for i in 0..count {
        unsafe { *to.add(i) = *all.as_ptr().add(i) };
    }
}

macro_rules! pack {
    ($name:ident: $v:ident of $lanes:literal $e:ident, panels of $panel:literal,
     $splat:ident $load:ident $store:ident $fma:ident $fused:ident, $($operation:ident $instruction:ident)*,
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
            fn prefetch(from: *const $e) {
                super::arch::prefetch(from.cast());
            }
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
            unsafe fn fused(a: $e, b: $e, c: $e) -> $e {
                unsafe { $fused(a, b, c) }
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
