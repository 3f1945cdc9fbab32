//! What layers are computed with: products and functions over slices, by SIMD where the CPU has it.
//!
//! A layer of your own may call these where plain loops would take most of its time. They need no heap, work
//! for any scalar, and check all sizes: where the lengths of slices do not agree, the whole output is NaN. In
//! a net they use AVX2, AVX-512 or NEON for f32 and f64, if the layer's methods are `#[inline(always)]`.

use crate::{kernel, shape::Scalar};

/// A matrix in a slice, read only: where its entries lie.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    numbers: &'a [T],
    row: usize,
    column: usize,
}

impl<'a, T: Scalar> View<'a, T> {
    /// Columns of `rows` numbers, one behind the other: an `SMatrix`, or a batch with a sample a column.
    #[inline(always)]
    pub const fn columns(numbers: &'a [T], rows: usize) -> Self {
        View { numbers, row: 1, column: rows }
    }

    /// Rows of `columns` numbers, one behind the other.
    #[inline(always)]
    pub const fn rows(numbers: &'a [T], columns: usize) -> Self {
        View { numbers, row: columns, column: 1 }
    }

    /// The first entry is that of the slice; one down is `row` numbers further, one to the right `column`.
    #[inline(always)]
    pub const fn strided(numbers: &'a [T], row: usize, column: usize) -> Self {
        View { numbers, row, column }
    }

    /// The transposed matrix. Nothing is moved.
    #[inline(always)]
    pub const fn transposed(self) -> Self {
        View { numbers: self.numbers, row: self.column, column: self.row }
    }
}

/// What a product does with the numbers that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// It takes their place.
    Set,
    /// It is added to them.
    Add,
}

/// C = A·B, or added to C, where A is m×k, B k×n, and C m×n in columns one behind the other.
///
/// It is fastest where a column or a row of A is contiguous, and one of B. All of C is NaN if a slice is too
/// short, or C does not have m·n numbers.
///
/// ```
/// use chainrule::ops::{To, View, gemm};
///
/// // Two columns of three, times their transpose.
/// let a = View::columns(&[1.0, 2.0, 3.0, 10.0, 20.0, 30.0], 3);
/// let mut c = [0.0; 9];
/// gemm([3, 2, 3], a, a.transposed(), &mut c, To::Set);
/// assert_eq!(c, [101.0, 202.0, 303.0, 202.0, 404.0, 606.0, 303.0, 606.0, 909.0]);
/// ```
#[inline(always)]
pub fn gemm<T: Scalar>([m, k, n]: [usize; 3], a: View<T>, b: View<T>, c: &mut [T], to: To) {
    if m.checked_mul(n) != Some(c.len()) {
        return c.fill(crate::shape::nan());
    }
    gemm_into([m, k, n], a, b, c, m, to);
}

/// The same into a part of a larger matrix: C's columns begin `apart` numbers apart, and what lies between them
/// is left as it is. All of the slice is NaN if it is too short, or the columns overlap.
///
/// ```
/// use chainrule::ops::{To, View, gemm_into};
///
/// let mut c = [0.0; 6]; // 3×2, of which the upper two rows are written
/// gemm_into([2, 1, 2], View::columns(&[1.0, 2.0], 2), View::rows(&[3.0, 4.0], 2), &mut c, 3, To::Set);
/// assert_eq!(c, [3.0, 6.0, 0.0, 4.0, 8.0, 0.0]);
/// ```
#[inline(always)]
pub fn gemm_into<T: Scalar>(
    size: [usize; 3],
    a: View<T>,
    b: View<T>,
    c: &mut [T],
    apart: usize,
    to: To,
) {
    let (a_strides, b_strides) = ((a.row, a.column), (b.row, b.column));
    kernel::gemm(size, a.numbers, a_strides, b.numbers, b_strides, c, apart, to == To::Set);
}

/// to ← to + factor·x, entry by entry.
#[inline(always)]
pub fn add_scaled<T: Scalar>(factor: T, x: &[T], to: &mut [T]) {
    kernel::add_scaled(factor, x, to);
}

/// The sum of a batch over its samples, each as long as `to`.
///
/// ```
/// use chainrule::ops::{To, sum_samples};
/// let mut sum = [100.0, 200.0];
/// sum_samples(&[1.0, 2.0, 3.0, 4.0], &mut sum, To::Add);
/// assert_eq!(sum, [104.0, 206.0]);
/// ```
#[inline(always)]
pub fn sum_samples<T: Scalar>(batch: &[T], sum: &mut [T], to: To) {
    kernel::sum_columns(batch, sum, to == To::Set);
}

/// Whether all numbers are finite.
#[inline(always)]
pub fn finite<T: Scalar>(numbers: &[T]) -> bool {
    kernel::finite(numbers)
}

/// softmax(x) into `p`: eˣⁱ / Σ eˣᵏ, without overflow. NaN or +∞ anywhere makes all of it NaN.
#[inline(always)]
pub fn softmax<T: Scalar>(x: &[T], p: &mut [T]) {
    if x.len() == p.len() {
        kernel::softmax(x, p);
    } else {
        p.fill(crate::shape::nan());
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident, $back:ident($from:ident);)*) => { $(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<T: Scalar>(x: &[T], y: &mut [T]) {
            kernel::$name(x, y);
        }

        #[doc = concat!("The derivative of [`", stringify!($name), "`], times `dy`, from its `",
            stringify!($from), "`.")]
        #[inline(always)]
        pub fn $back<T: Scalar>($from: &[T], dy: &[T], dx: &mut [T]) {
            kernel::$back($from, dy, dx);
        }
    )* };
}
functions! {
    /// y = max(x, 0), NaN where x is.
    relu, relu_back(x);
    /// y = tanh x.
    tanh, tanh_back(y);
    /// y = 1 / (1 + e⁻ˣ).
    sigmoid, sigmoid_back(y);
    /// y = x·Φ(x), Φ being the normal distribution.
    gelu, gelu_back(x);
    /// y = ln(1 + eˣ).
    softplus, softplus_back(x);
}

/// x ← eˣ, entry by entry.
#[inline(always)]
pub fn exp<T: Scalar>(x: &mut [T]) {
    kernel::exp(x);
}

/// x ← ln(1 + x), entry by entry.
#[inline(always)]
pub fn ln_1p<T: Scalar>(x: &mut [T]) {
    kernel::ln_1p(x);
}
