//! The kernels in plain loops: for every scalar, on every machine.

use super::{
    Size, is_product, pairs, same_batch,
    sum::{BLOCK, LEVELS, SHORT, carry, total},
};
use crate::shape::{Number, nan};
use crate::view::View;

/// Sizes and slices do not agree: no number that is to be had would be right.
#[cold]
#[inline(never)]
pub fn refuse<T: Number>(to: &mut [T]) {
    to.fill(nan());
}

/// y = W·x + b, sample by sample.
pub fn affine<T: Number>(inputs: usize, w: &[T], b: &[T], x: &[T], y: &mut [T]) {
    if !is_product(b.len(), inputs, w) || !same_batch((inputs, x), (b.len(), y)) {
        return refuse(y);
    }
    for y in y.chunks_exact_mut(b.len().max(1)) {
        y.copy_from_slice(b);
    }
    if inputs == 0 || b.is_empty() {
        return;
    }
    for (y, x) in pairs(y.chunks_exact_mut(b.len()), x.chunks_exact(inputs)) {
        for (w, &x) in pairs(w.chunks_exact(b.len()), x) {
            axpy(x, w, y);
        }
    }
}

/// dx = Wᵀ·dy, sample by sample.
pub fn product_tn<T: Number>((outputs, inputs): Size, w: &[T], dy: &[T], dx: &mut [T]) {
    if !is_product(outputs, inputs, w) || !same_batch((inputs, dx), (outputs, dy)) {
        return refuse(dx);
    }
    if inputs == 0 || outputs == 0 {
        return dx.fill(T::zero());
    }
    for (dx, dy) in pairs(dx.chunks_exact_mut(inputs), dy.chunks_exact(outputs)) {
        for (dx, w) in pairs(dx, w.chunks_exact(outputs)) {
            *dx = dot(w, dy);
        }
    }
}

/// dW = dy·xᵀ, summed over the samples: put in the place of what is there, or added to it. Inlined, so that with
/// constant sizes only the code for few or for many samples is left.
#[inline(always)]
pub fn product_nt<T: Number>(
    (outputs, inputs): Size,
    dy: &[T],
    x: &[T],
    dw: &mut [T],
    overwrite: bool,
) {
    if !is_product(outputs, inputs, dw) || !same_batch((inputs, x), (outputs, dy)) {
        return refuse(dw);
    }
    let samples = x.len().checked_div(inputs).unwrap_or(0);
    if samples > SHORT {
        let (dy, x) = (View::columns(dy, outputs), View::rows(x, inputs));
        return gemm([outputs, samples, inputs], dy, x, dw, outputs, overwrite);
    }
    if overwrite {
        dw.fill(T::zero());
    }
    if inputs == 0 || outputs == 0 {
        return;
    }
    add_product_nt((outputs, inputs), dy, x, dw);
}

/// dW += dy·xᵀ, sample after sample.
fn add_product_nt<T: Number>((outputs, inputs): Size, dy: &[T], x: &[T], dw: &mut [T]) {
    let outputs = outputs.max(1);
    for (dy, x) in pairs(dy.chunks_exact(outputs), x.chunks_exact(inputs.max(1))) {
        for (dw, &x) in pairs(dw.chunks_exact_mut(outputs), x) {
            axpy(x, dy, dw);
        }
    }
}

/// db = Σ dy over the samples: put in the place of what is there, or added to it.
#[inline(always)]
pub fn sum_columns<T: Number>(dy: &[T], db: &mut [T], overwrite: bool) {
    let (outputs, samples) = (db.len(), dy.len().checked_div(db.len()).unwrap_or(0));
    if !is_product(outputs, samples, dy) {
        return refuse(db);
    }
    if samples > SHORT {
        let one = [T::one()];
        let (dy, ones) = (View::columns(dy, outputs), View::strided(&one, 0, 0));
        return gemm([outputs, samples, 1], dy, ones, db, outputs, overwrite);
    }
    if overwrite {
        db.fill(T::zero());
    }
    for dy in dy.chunks_exact(outputs.max(1)) {
        axpy(T::one(), dy, db);
    }
}

/// The number of entries of C whose sums run side by side.
const ENTRIES: usize = 64;

/// C = A·B, or added to C, where the caller has seen that the slices are long enough. The error of an
/// entry does not grow with k. A separate function, so that a chip has this code once.
#[cold]
#[inline(never)]
pub fn gemm<T: Number>(
    [m, k, n]: [usize; 3],
    a: View<T>,
    b: View<T>,
    c: &mut [T],
    c_column: usize,
    overwrite: bool,
) {
    let entry = |view: &View<T>, row, column| {
        view.numbers.get(view.at(row, column)).copied().unwrap_or_else(nan)
    };
    // Whole columns, or parts of one.
    let height = m.clamp(1, ENTRIES);
    let width = ENTRIES.checked_div(height).unwrap_or(1).max(1);
    // No `step_by`, which panics at zero as far as the linker knows.
    let mut column = 0;
    while column < n {
        let mut row = 0;
        while row < m {
            let (rows, columns) = (height.min(m - row), width.min(n - column));
            let part = |from, to, sums: &mut [T; ENTRIES]| {
                for k in from..to {
                    for (j, sums) in sums.chunks_exact_mut(rows.max(1)).enumerate().take(columns) {
                        let b = entry(&b, k, column + j);
                        match a.numbers.get(a.at(row, k)..).filter(|_| a.row == 1) {
                            Some(a) => axpy(b, a, sums),
                            None => {
                                (row..).zip(sums).for_each(|(i, sum)| *sum += entry(&a, i, k) * b)
                            }
                        }
                    }
                }
            };
            let mut sums = [T::zero(); ENTRIES];
            match k <= SHORT {
                true => part(0, k, &mut sums),
                false => long(k, rows * columns, &part, &mut sums),
            }
            for (j, sums) in sums.chunks_exact(rows.max(1)).enumerate().take(columns) {
                let to = c.iter_mut().skip((column + j) * c_column + row);
                for (c, &sum) in to.zip(sums) {
                    *c = if overwrite { sum } else { *c + sum };
                }
            }
            row += height;
        }
        column += width;
    }
}

/// Sums over many k. `part` adds up some of them. It is a function of its own, because it takes space on the stack.
#[inline(never)]
fn long<T: Number>(
    k: usize,
    entries: usize,
    part: &impl Fn(usize, usize, &mut [T; ENTRIES]),
    sums: &mut [T; ENTRIES],
) {
    let mut levels = [[T::zero(); ENTRIES]; LEVELS];
    for (block, from) in (0..k).step_by(BLOCK).enumerate() {
        part(from, k.min(from + BLOCK), sums);
        carry(sums, entries, block, &mut levels);
    }
    *sums = total(&levels, k.div_ceil(BLOCK));
}

/// y = F(x), and dx = dy·F' from x or from y.
macro_rules! elementwise {
    ($($name:ident |$x:ident| $y:expr $(, $back:ident |$from:ident| $slope:expr)?;)*) => { $(
        #[inline]
        pub fn $name<T: Number>(x: &[T], y: &mut [T]) {
            if x.len() != y.len() {
                return refuse(y);
            }
            for (y, &$x) in y.iter_mut().zip(x) {
                *y = $y;
            }
        }

        $(#[inline]
        pub fn $back<T: Number>(from: &[T], dy: &[T], dx: &mut [T]) {
            if (from.len(), dy.len()) != (dx.len(), dx.len()) {
                return refuse(dx);
            }
            for (dx, (&$from, &dy)) in dx.iter_mut().zip(from.iter().zip(dy)) {
                *dx = dy * $slope;
            }
        })?
    )* };
}

elementwise! {
    relu |x| if x <= T::zero() { T::zero() } else { x },
    relu_back |x| if x <= T::zero() { T::zero() } else { T::one() };
    tanh |x| {
        // By e to a negative power minus 1, which is exact near zero and cannot overflow; duals
        // take tanh for sinh / cosh, whose derivative is NaN from 355 on.
        let negative = if x < T::zero() { x } else { -x };
        let e = (negative + negative).exp_m1();
        let y = e / (e + T::one() + T::one());
        if x < T::zero() { y } else { -y }
    }, tanh_back |y| T::one() - y * y;
    sigmoid |x| logistic(x), sigmoid_back |y| y * (T::one() - y);
    gelu |x| gelu_and_slope(x).0, gelu_back |x| gelu_and_slope(x).1;
    silu |x| x * logistic(x);
    gelu_tanh |x| {
        let (near, twice_u, _) = twice_u(x);
        x.max(near) * logistic(twice_u)
    };
    elu |x| if x > T::zero() { x } else { x.exp_m1() };
    softplus |x| if x > T::zero() { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() };
}

/// 1 / (1 + e⁻ˣ) by e to a negative power only: it cannot overflow, not even in a dual number's
/// derivative.
fn logistic<T: Number>(x: T) -> T {
    if x >= T::zero() {
        T::one() / (T::one() + (-x).exp())
    } else {
        let e = x.exp();
        e / (T::one() + e)
    }
}

/// For the GELU by tanh: x within ±30, 2u = √(8/π)·(x + 0.044715·x³) there, and the derivative of 2u. Beyond ±30 the
/// sigmoid of 2u is 0 or 1, the cube may overflow, and -∞·0 would be NaN.
#[inline(always)]
pub fn twice_u<T: Number>(x: T) -> (T, T, T) {
    let [a, b, end] = [TWICE_U[0], TWICE_U[1], 30.0].map(nalgebra::convert::<f64, T>);
    let x = x.clamp(-end, end);
    let square = b * x * x;
    (x, x * (a + square), a + square + square + square)
}

/// √(8/π), and 0.044715 times that.
pub const TWICE_U: [f64; 2] = [1.595_769_121_605_730_7, 0.071_354_816_272_600_25];

/// x·Φ(x), and Φ(x) + x·φ(x), at ±40 where an infinite x would be NaN. Near 0 Φ is Marsaglia's series,
/// from 3 on Laplace's continued fraction, each with as many terms as f64 has use for: all are
/// positive, so that little cancels in a dual number's derivative either.
fn gelu_and_slope<T: Number>(x: T) -> (T, T) {
    let [half, end, limit] = [0.5, 40.0, 3.0].map(nalgebra::convert::<f32, T>);
    let (x, y) = (x.clamp(-end, end), x.max(-end));
    let (size, near) = (x.abs(), x.abs() < limit);
    let density = (-half * x * x).exp() / T::two_pi().sqrt();
    let (mut sum, mut n) = (if near { T::one() } else { size }, end);
    while n > T::zero() {
        sum = if near { T::one() + sum * x * x / (n + n + T::one()) } else { size + n / sum };
        n -= T::one();
    }
    let below = match near {
        true => half + density * x * sum,
        _ if x < T::zero() => density / sum,
        _ => T::one() - density / sum,
    };
    (y * below, below + x * density)
}

macro_rules! in_place {
    ($($name:ident)*) => { $(
        /// x ← F(x).
        pub fn $name<T: Number>(x: &mut [T]) {
            x.iter_mut().for_each(|x| *x = x.$name());
        }
    )* };
}
in_place!(exp ln_1p);

/// x = byte / 255.
#[cfg(feature = "alloc")]
pub fn from_bytes<T: Number>(bytes: &[u8], x: &mut [T]) {
    if bytes.len() != x.len() {
        return refuse(x);
    }
    let full: T = nalgebra::convert(255.0_f32);
    for (x, &byte) in x.iter_mut().zip(bytes) {
        *x = nalgebra::convert::<f32, T>(f32::from(byte)) / full;
    }
}

/// w ← w + factor·g.
pub fn add_scaled<T: Number>(factor: T, g: &[T], w: &mut [T]) {
    if g.len() != w.len() {
        return refuse(w);
    }
    axpy(factor, g, w);
}

/// The same, as far as both go.
fn axpy<T: Number>(factor: T, g: &[T], w: &mut [T]) {
    if is_vector::<T>() {
        return pairs(w, g).for_each(|(w, &g)| *w += g * factor);
    }
    for (w, &g) in w.iter_mut().zip(g) {
        *w += g * factor;
    }
}

/// Whether a scalar, such as a jet, has numbers enough to fill a register. Then each scalar should be computed by itself.
/// `zip` would let the compiler gather the first numbers of several scalars, then the second ones, which is slower.
/// `pairs` does not.
const fn is_vector<T>() -> bool {
    size_of::<T>() > size_of::<f64>()
}

/// Four sums side by side, so that one addition need not wait for the one before.
#[inline(always)]
pub fn dot<T: Number>(a: &[T], b: &[T]) -> T {
    if is_vector::<T>() {
        return pairs(a, b).fold(T::zero(), |sum, (&a, &b)| sum + a * b);
    }
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [T::zero(); 4];
    for (a, b) in a.iter().zip(b) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(T::zero(), |sum, (&a, &b)| sum + a * b);
    let [p, q, r, s] = sums;
    (p + q) + (r + s) + rest
}
