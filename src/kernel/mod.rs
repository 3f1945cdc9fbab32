//! The loops that decide the speed, over plain slices, and the little memory work that needs
//! `unsafe`. No other module has either.
//!
//! A batch is a slice of samples that lie one behind the other, `W` is the slice of an O×I matrix,
//! column after column. The functions know no shape type: one instance serves every layer and
//! batch of a scalar. Where the lengths of slices and the sizes do not agree, all of the output is NaN.

/// Hands on to `$for` the kernels that there are by SIMD and by loops.
macro_rules! each {
    ($for:ident!) => {
        $for! {
            /// y = W·x + b, sample by sample.
            fn affine(inputs: usize, w: &[T], b: &[T], x: &[T], y: &mut [T]);
            /// dx = Wᵀ·dy, sample by sample.
            fn product_tn(size: Size, w: &[T], dy: &[T], dx: &mut [T]);
            /// dW = dy·xᵀ, summed over the samples: put in the place of what is there, or added to it.
            fn product_nt(size: Size, dy: &[T], x: &[T], dw: &mut [T], overwrite: bool);
            /// db = Σ dy over the samples: put in the place of what is there, or added to it.
            fn sum_columns(dy: &[T], db: &mut [T], overwrite: bool);
            /// w ← w + factor·g.
            fn add_scaled(factor: T, g: &[T], w: &mut [T]);
            /// y = max(x, 0), NaN where x is.
            fn relu(x: &[T], y: &mut [T]);
            /// dx = dy where x > 0 or NaN, elsewhere 0·dy.
            fn relu_back(x: &[T], dy: &[T], dx: &mut [T]);
            /// y = tanh x.
            fn tanh(x: &[T], y: &mut [T]);
            /// dx = dy·(1 - y²).
            fn tanh_back(y: &[T], dy: &[T], dx: &mut [T]);
            /// y = 1 / (1 + e⁻ˣ).
            fn sigmoid(x: &[T], y: &mut [T]);
            /// dx = dy·y·(1 - y).
            fn sigmoid_back(y: &[T], dy: &[T], dx: &mut [T]);
            /// y = x·Φ(x), Φ being the normal distribution.
            fn gelu(x: &[T], y: &mut [T]);
            /// dx = dy·(Φ(x) + x·Φ'(x)).
            fn gelu_back(x: &[T], dy: &[T], dx: &mut [T]);
            /// y = ln(1 + eˣ).
            fn softplus(x: &[T], y: &mut [T]);
            /// dx = dy / (1 + e⁻ˣ).
            fn softplus_back(x: &[T], dy: &[T], dx: &mut [T]);
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

mod loops;
mod place;
// With std an x86-64 CPU is asked what it has, without it the build; aarch64 has NEON.
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

use crate::shape::Scalar;
use core::ops::Range;

pub use place::{Larger, Room, Scratch, zero_field};
#[cfg(feature = "alloc")]
pub(crate) use simd::prefetch;
pub(crate) use simd::run;
pub(crate) use softmax::softmax;
pub use sum::{Sum, sum_of};

/// A layer's outputs and inputs.
pub type Size = (usize, usize);

/// A step of a net, as a struct: an attribute on a closure is not stable.
pub(crate) trait Work {
    type Output;
    /// To be `inline(always)`, as must be all that it calls, in order to have the features.
    fn run(self) -> Self::Output;
}

/// Each by SIMD where scalar and CPU allow it, else by loops.
macro_rules! kernels {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*);)*) => { $(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<T: Scalar>($($argument: $type),*) {
            if !simd::$name($($argument),*) {
                loops::$name($($argument),*);
            }
        }
    )* };
}
each!(kernels!);

/// W ← W + factor·dy·xᵀ, with the bits of `product_nt` and `add_scaled`; false if it was not done, as without SIMD
/// no sum is kept in registers.
#[inline(always)]
pub fn add_product<T: Scalar>(factor: T, size: Size, dy: &[T], x: &[T], w: &mut [T]) -> bool {
    simd::add_product(factor, size, dy, x, w)
}

/// Whether all numbers are finite.
#[inline(always)]
pub fn finite<T: Scalar>(numbers: &[T]) -> bool {
    // Without a branch, so that it is done by SIMD.
    numbers.iter().fold(true, |finite, number| finite & number.is_finite())
}

/// How many columns the next part of a matrix has, of which so many are left and `most` are one part: more than
/// two, unless `most` is 1. Two columns by themselves are summed up in another order.
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

/// The columns in `part` of dW = dy·xᵀ, summed over the samples. The bits are those of `product_nt` if dW takes
/// more than 32 KiB and is cut as `next_part` says.
#[inline(always)]
pub fn product_nt_part<T: Scalar>(
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
        let (dy_strides, x_strides) = ((1, outputs), (inputs, 1));
        gemm([outputs, samples, n], dy, dy_strides, x, x_strides, dw, outputs, overwrite);
    }
}

/// C = A·B, or added to C, for an A of m×k and a B of k×n. The strides of A and B are those of their rows
/// and columns, in numbers: a step down and a step to the right. C's columns are contiguous, and begin
/// `c_column` numbers apart; what lies between them is left as it is.
///
/// It is fast where one stride of A is 1, and one of B.
///
/// If a slice is too short, or C's columns overlap, all of `c` is NaN.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "three matrices")]
pub fn gemm<T: Scalar>(
    size: [usize; 3],
    a: &[T],
    a_strides: (usize, usize),
    b: &[T],
    b_strides: (usize, usize),
    c: &mut [T],
    c_column: usize,
    overwrite: bool,
) {
    let [m, k, n] = size;
    let fits = (c_column >= m || n <= 1)
        && reach((m, k), a_strides).is_some_and(|reach| reach <= a.len())
        && reach((k, n), b_strides).is_some_and(|reach| reach <= b.len())
        && reach((m, n), (1, c_column)).is_some_and(|reach| reach <= c.len());
    if !fits {
        loops::refuse(c);
    } else if !simd::gemm(size, a, a_strides, b, b_strides, c, c_column, overwrite) {
        loops::gemm(size, a, a_strides, b, b_strides, c, c_column, overwrite);
    }
}

/// How many numbers a matrix reaches over, with these strides; none if more than can be counted.
#[inline(always)]
fn reach((rows, columns): Size, (row, column): (usize, usize)) -> Option<usize> {
    match (rows.checked_sub(1), columns.checked_sub(1)) {
        (Some(down), Some(right)) => {
            down.checked_mul(row)?.checked_add(right.checked_mul(column)?)?.checked_add(1)
        }
        _ => Some(0),
    }
}

/// Whether both slices hold the same number of samples, each of so many features.
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
