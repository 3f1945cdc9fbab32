//! Products and functions over slices for authors of layers, with SIMD if the CPU has it.
//!
//! Call them in your own layer if plain loops take most of its time. They allocate nothing, take any
//! scalar, and check all sizes: if the lengths of the slices do not agree, the whole output is NaN. In a net they
//! use AVX2, AVX-512 or NEON for f32 and f64, if the methods of the layer are `#[inline(always)]`.

pub use crate::kernel::{
    add_scaled, elu, exp, finite, gelu, gelu_back, gelu_tanh, ln_1p, relu, relu_back, sigmoid,
    sigmoid_back, silu, softplus, tanh, tanh_back,
};
pub use crate::view::View;
use crate::{kernel, shape::Number};

/// Whether a product overwrites the output or adds to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// It overwrites the output.
    Set,
    /// It adds to the output.
    Add,
}

/// C = A·B, or C + A·B. A is m×k, B is k×n, and C is m×n, stored column after column.
///
/// It is fastest if the columns or the rows of A are contiguous, and the same for B. All of C is NaN if a slice is
/// too short, or if C does not have m·n numbers.
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
pub fn gemm<T: Number>([m, k, n]: [usize; 3], a: View<T>, b: View<T>, c: &mut [T], to: To) {
    if m.checked_mul(n) != Some(c.len()) {
        return c.fill(crate::shape::nan());
    }
    gemm_into([m, k, n], a, b, c, m, to);
}

/// Like [`gemm`], but writes into a part of a larger matrix: the columns of C begin `apart` numbers apart. The numbers
/// between them do not change. The whole slice is NaN if it is too short, or if the columns overlap.
///
/// ```
/// use chainrule::ops::{To, View, gemm_into};
///
/// let mut c = [0.0; 6]; // 3×2; the product goes to the upper two rows
/// gemm_into([2, 1, 2], View::columns(&[1.0, 2.0], 2), View::rows(&[3.0, 4.0], 2), &mut c, 3, To::Set);
/// assert_eq!(c, [3.0, 6.0, 0.0, 4.0, 8.0, 0.0]);
/// ```
#[inline(always)]
pub fn gemm_into<T: Number>(
    size: [usize; 3],
    a: View<T>,
    b: View<T>,
    c: &mut [T],
    apart: usize,
    to: To,
) {
    kernel::gemm(size, a, b, c, apart, to == To::Set);
}

/// The sum of a batch over its samples. Each sample is as long as `sum`.
///
/// ```
/// use chainrule::ops::{To, sum_samples};
/// let mut sum = [100.0, 200.0];
/// sum_samples(&[1.0, 2.0, 3.0, 4.0], &mut sum, To::Add);
/// assert_eq!(sum, [104.0, 206.0]);
/// ```
#[inline(always)]
pub fn sum_samples<T: Number>(batch: &[T], sum: &mut [T], to: To) {
    kernel::sum_columns(batch, sum, to == To::Set);
}

/// Writes softmax(x) = eˣⁱ / Σ eˣᵏ to `p`, without overflow. If an input is NaN or +∞, all of `p` is NaN.
#[inline(always)]
pub fn softmax<T: Number>(x: &[T], p: &mut [T]) {
    if x.len() == p.len() {
        kernel::softmax(x, p);
    } else {
        p.fill(crate::shape::nan());
    }
}
