//! What the functions of `math` need of a pack besides arithmetic.
//!
//! The methods are `inline(always)` for the reason that `pack` gives, and safe for the same: a pack
//! shows that the CPU has the instructions.
#![allow(unsafe_code)]

use super::pack::Pack;

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
    /// The n of `2^n <= self < 2^(n + 1)`, where that is a normal number.
    fn exponent(self) -> Self;
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
pub(super) use lanes;
