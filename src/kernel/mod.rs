//! The loops that decide the speed, over plain slices, and the code for memory that needs `unsafe`. All
//! speed-critical code and all `unsafe` of the crate are here.
//!
//! A batch is a slice of samples, one after the other. `W` is the slice of an O×I matrix, column after column.
//! The functions do not know shape types: one instance serves every layer and batch of a scalar. If the
//! lengths of the slices do not agree with the sizes, the whole output is NaN.
//!
//! The page at the top of `simd` says how a product finds its kernel.

/// Calls `$for!` with the list of the kernels that exist both as SIMD and as loops.
macro_rules! each {
    ($for:ident!) => {
        $for! {
            /// y = W·x + b, sample by sample.
            fn affine(inputs: usize, w: &[T], b: &[T], x: &[T], y: &mut [T]);
            /// dx = Wᵀ·dy, sample by sample.
            fn product_tn(size: Size, w: &[T], dy: &[T], dx: &mut [T]);
            /// dW = dy·xᵀ, summed over the samples. It replaces what is there, or is added to it.
            fn product_nt(size: Size, dy: &[T], x: &[T], dw: &mut [T], overwrite: bool);
            /// db = Σ dy over the samples. It replaces what is there, or is added to it.
            fn sum_columns(dy: &[T], db: &mut [T], overwrite: bool);
            /// w ← w + factor·g.
            fn add_scaled(factor: T, g: &[T], w: &mut [T]);
            /// y = max(x, 0); NaN where x is NaN.
            fn relu(x: &[T], y: &mut [T]);
            /// dx = dy where x > 0 or x is NaN, else 0·dy.
            fn relu_back(x: &[T], dy: &[T], dx: &mut [T]);
            /// y = tanh x.
            fn tanh(x: &[T], y: &mut [T]);
            /// dx = dy·(1 - y²).
            fn tanh_back(y: &[T], dy: &[T], dx: &mut [T]);
            /// y = 1 / (1 + e⁻ˣ).
            fn sigmoid(x: &[T], y: &mut [T]);
            /// dx = dy·y·(1 - y).
            fn sigmoid_back(y: &[T], dy: &[T], dx: &mut [T]);
            /// y = x·Φ(x), where Φ is the normal distribution function.
            fn gelu(x: &[T], y: &mut [T]);
            /// dx = dy·(Φ(x) + x·Φ'(x)).
            fn gelu_back(x: &[T], dy: &[T], dx: &mut [T]);
            /// y = x / (1 + e⁻ˣ).
            fn silu(x: &[T], y: &mut [T]);
            /// y = x / (1 + e⁻²ᵘ), where u = √(2/π)·(x + 0.044715·x³).
            fn gelu_tanh(x: &[T], y: &mut [T]);
            /// y = x where x > 0, else eˣ - 1.
            fn elu(x: &[T], y: &mut [T]);
            /// y = ln(1 + eˣ).
            fn softplus(x: &[T], y: &mut [T]);
            /// x ← eˣ.
            fn exp(x: &mut [T]);
            /// x ← ln(1 + x).
            fn ln_1p(x: &mut [T]);
            /// x = byte / 255.
            #[cfg(feature = "alloc")]
            fn from_bytes(bytes: &[u8], x: &mut [T]);
        }
    };
}

mod jet;
mod loops;
mod place;
// On x86-64 with std, the crate asks the CPU what it has; without std, the build says it. aarch64 has NEON.
#[cfg_attr(
    not(any(
        all(
            target_arch = "x86_64",
            any(feature = "std", all(target_feature = "avx2", target_feature = "fma"))
        ),
        all(target_arch = "aarch64", target_feature = "neon", target_endian = "little")
    )),
    path = "no_simd.rs"
)]
mod simd;
mod softmax;
mod sum;
mod windows;

use crate::shape::Number;
use crate::view::View;
use core::ops::Range;

pub use jet::Jet;
pub(crate) use loops::{dot, twice_u};
pub use place::{Larger, Room, Scratch, numbers, numbers_mut, parts, zero_field};
#[cfg(feature = "alloc")]
pub(crate) use simd::prefetch;
pub(crate) use simd::run;
pub(crate) use softmax::{divide_by_sum, softmax, subtract_top, sum_of_others};
pub use sum::{Sum, sum_of};
pub use windows::{Axis, Windows, sum};

/// The outputs and inputs of a layer.
pub type Size = (usize, usize);

/// A step of a net. It is a struct and not a closure, because attributes on closures are not stable.
pub(crate) trait Work {
    type Output;
    /// Must be `inline(always)`, and so must all that it calls, in order to have the CPU features.
    fn run(self) -> Self::Output;
}

/// Each kernel: by SIMD if scalar and CPU allow it, else by loops.
macro_rules! kernels {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*);)*) => { $(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<T: Number>($($argument: $type),*) {
            kernels!(@one $name($($argument),*));
        }
    )* };
    // These exist for jets too.
    (@one affine $arguments:tt) => { kernels!(@jets affine $arguments); };
    (@one product_tn $arguments:tt) => { kernels!(@jets product_tn $arguments); };
    (@one tanh $arguments:tt) => { kernels!(@jets tanh $arguments); };
    (@one sigmoid $arguments:tt) => { kernels!(@jets sigmoid $arguments); };
    (@one $name:ident $arguments:tt) => {
        if !simd::$name $arguments {
            loops::$name $arguments;
        }
    };
    (@jets $name:ident $arguments:tt) => {
        if !simd::$name $arguments && !jet::$name $arguments {
            loops::$name $arguments;
        }
    };
}
each!(kernels!);

/// Whether products of two such numbers, and sums of 2³⁰ of these, are finite in f32: none is NaN or above 2⁴⁸.
#[inline(always)]
pub fn small<T: Number>(numbers: &[T]) -> bool {
    let most: T = nalgebra::convert(281_474_976_710_656.0);
    numbers.iter().fold(true, |small, number| small & (number.abs() <= most))
}

/// W ← W + factor·dy·xᵀ, with the bits of `product_nt` followed by `add_scaled`. Returns false if it was not done:
/// without SIMD the sums are not kept in registers.
#[inline(always)]
pub fn add_product<T: Number>(factor: T, size: Size, dy: &[T], x: &[T], w: &mut [T]) -> bool {
    simd::add_product(factor, size, dy, x, w)
}

/// Whether all numbers are finite.
#[inline(always)]
pub fn finite<T: Number>(numbers: &[T]) -> bool {
    // Without a branch, so that the compiler uses SIMD.
    numbers.iter().fold(true, |finite, number| finite & number.is_finite())
}

/// The number of columns in the next part of a matrix, if `left` columns are left and a part has at most `most`. It
/// is more than two, unless `most` is 1, because a product of one or two columns adds in another order.
#[inline(always)]
pub const fn next_part(left: usize, most: usize) -> usize {
    if left <= most {
        left
    } else if left < most + most / 2 {
        left.div_ceil(2)
    } else {
        most
    }
}

/// The columns in `part` of dW = dy·xᵀ, summed over the samples. They have the bits of `product_nt` if dW takes
/// more than 32 KiB and is cut by `next_part`, with `most` 64 columns or more than 512 bytes.
#[inline(always)]
pub fn product_nt_part<T: Number>(
    size: Size,
    dy: &[T],
    x: &[T],
    part: Range<usize>,
    dw: &mut [T],
    overwrite: bool,
) {
    if !simd::product_nt_part(size, dy, x, part.clone(), dw, overwrite) {
        let (outputs, inputs) = size;
        let fits = part.end <= inputs
            && is_product(outputs, part.len(), dw)
            && same_batch((inputs, x), (outputs, dy));
        let Some(x) = x.get(part.start..).filter(|_| fits) else { return loops::refuse(dw) };
        let (samples, n) = (dy.len().checked_div(outputs).unwrap_or(0), part.len());
        let (dy, x) = (View::columns(dy, outputs), View::rows(x, inputs));
        gemm([outputs, samples, n], dy, x, dw, outputs, overwrite);
    }
}

/// C = A·B, or C + A·B, where A is m×k and B is k×n. The columns of C are contiguous and begin `c_column` numbers apart.
/// The numbers between them do not change.
///
/// It is fast if one stride of A is 1, and one stride of B.
///
/// If a slice is too short, or if the columns of C overlap, all of `c` is NaN.
#[inline(always)]
pub fn gemm<T: Number>(
    size: [usize; 3],
    a: View<T>,
    b: View<T>,
    c: &mut [T],
    c_column: usize,
    overwrite: bool,
) {
    let [m, k, n] = size;
    let fits = (c_column >= m || n <= 1) && View::columns(c, c_column).holds(m, n);
    if !fits || !a.holds(m, k) || !b.holds(k, n) {
        loops::refuse(c);
    } else if !simd::gemm(size, a, b, c, c_column, overwrite) {
        loops::gemm(size, a, b, c, c_column, overwrite);
    }
}

/// `zip` asks how many chunks there are, which divides by their size and so may panic as far as the
/// linker knows.
#[inline(always)]
pub fn pairs<A, B>(
    a: impl IntoIterator<Item = A>,
    b: impl IntoIterator<Item = B>,
) -> impl Iterator<Item = (A, B)> {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    core::iter::from_fn(move || Some((a.next()?, b.next()?)))
}

/// Whether both slices hold the same number of samples, with these numbers of features.
#[inline(always)]
fn same_batch<T>((features, a): (usize, &[T]), (others, b): (usize, &[T])) -> bool {
    let samples = a.len().checked_div(features).or(b.len().checked_div(others)).unwrap_or(0);
    is_product(features, samples, a) && is_product(others, samples, b)
}

/// Whether the slice is as long as the product of two sizes.
#[inline(always)]
fn is_product<T>(a: usize, b: usize, slice: &[T]) -> bool {
    a.checked_mul(b) == Some(slice.len())
}
