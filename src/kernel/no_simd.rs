//! Replaces `simd` where the target has none: every kernel is left to the loops.
use super::Size;
use crate::{shape::Number, view::View};
use core::ops::Range;

#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "the other one asks which it is")]
pub fn run<T: Number, W: super::Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(feature = "alloc")]
pub fn prefetch(_: &[u8]) {}

macro_rules! nothing {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*);)*) => { $(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<T: Number>($(_: $type),*) -> bool {
            false
        }
    )* };
}
each!(nothing!);
nothing! {
    fn add_product(factor: T, size: Size, dy: &[T], x: &[T], w: &mut [T]);
    fn product_nt_part(size: Size, dy: &[T], x: &[T], part: Range<usize>, dw: &mut [T], overwrite: bool);
    fn gemm(size: [usize; 3], a: View<T>, b: View<T>, c: &mut [T], c_column: usize, overwrite: bool);
}
