//! The operations of a pack, besides arithmetic, that the functions of `math` need.
//!
//! The methods are `inline(always)` and safe for the reasons that `pack` gives: a pack proves that the CPU has the
//! instructions.
#![allow(unsafe_code)]

use super::pack::Pack;

/// Sizes, signs, exponents and comparisons of a pack.
pub trait Lanes: Pack {
    /// A pack with `value`, rounded, in every lane.
    fn like(self, value: f64) -> Self;
    /// `other - self * a`, rounded once.
    fn neg_mul_add(self, a: Self, other: Self) -> Self;
    fn copysign(self, sign: Self) -> Self;
    #[inline(always)]
    fn abs(self) -> Self {
        self.copysign(self.like(1.0))
    }
    /// The smaller of both; NaN where `self` is NaN.
    fn at_most(self, other: Self) -> Self;
    /// The larger of both; NaN where `self` is NaN.
    fn at_least(self, other: Self) -> Self;
    /// The nearest integer.
    fn round(self) -> Self;
    /// `self * 2^n` for an integer n, rounded once. The result may be subnormal or infinite.
    fn scale(self, n: Self) -> Self;
    /// The n with `2^n <= self < 2^(n + 1)`, if `self` is a normal number.
    fn exponent(self) -> Self;
    /// `yes` where `self < other`, else `no`. For NaN `no`.
    fn less(self, other: Self, yes: Self, no: Self) -> Self;
    /// tanh, by the fastest method of this pack.
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
pub(super) use lanes;
