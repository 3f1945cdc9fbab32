//! The kernels in plain loops: for every scalar, on every machine.

use super::Size;
use crate::shape::Scalar;
use core::ops::Range;

/// y = W·x + b, sample by sample.
pub fn affine<T: Scalar>(inputs: usize, w: &[T], b: &[T], x: &[T], y: &mut [T]) {
    if inputs == 0 || b.is_empty() {
        return y.chunks_exact_mut(b.len().max(1)).for_each(|y| y.copy_from_slice(b));
    }
    for y in y.chunks_exact_mut(b.len()) {
        y.copy_from_slice(b);
    }
    for (y, x) in pairs(y.chunks_exact_mut(b.len()), x.chunks_exact(inputs)) {
        for (w, &x) in pairs(w.chunks_exact(b.len()), x) {
            add_scaled(x, w, y);
        }
    }
}

/// dx = Wᵀ·dy, sample by sample.
pub fn pullback<T: Scalar>((outputs, inputs): Size, w: &[T], dy: &[T], dx: &mut [T]) {
    if inputs == 0 || outputs == 0 {
        return dx.fill(T::zero());
    }
    for (dx, dy) in pairs(dx.chunks_exact_mut(inputs), dy.chunks_exact(outputs)) {
        for (dx, w) in pairs(dx, w.chunks_exact(outputs)) {
            *dx = dot(w, dy);
        }
    }
}

/// dW = dy·xᵀ, summed over the samples: put in the place of what is there, or added to it.
pub fn outer<T: Scalar>((outputs, inputs): Size, dy: &[T], x: &[T], dw: &mut [T], overwrite: bool) {
    if inputs == 0 || outputs == 0 {
        return;
    }
    if overwrite {
        dw.fill(T::zero());
    }
    for (dy, x) in pairs(dy.chunks_exact(outputs), x.chunks_exact(inputs)) {
        for (dw, &x) in pairs(dw.chunks_exact_mut(outputs), x) {
            add_scaled(x, dy, dw);
        }
    }
}

/// The columns in `part` of dW = dy·xᵀ.
pub fn outer_part<T: Scalar>(
    (outputs, inputs): Size,
    dy: &[T],
    x: &[T],
    part: Range<usize>,
    dw: &mut [T],
    overwrite: bool,
) {
    if overwrite {
        dw.fill(T::zero());
    }
    if outputs == 0 || inputs == 0 {
        return;
    }
    for (dy, x) in pairs(dy.chunks_exact(outputs), x.chunks_exact(inputs)) {
        let x = x.get(part.clone()).unwrap_or_default();
        for (dw, &x) in pairs(dw.chunks_exact_mut(outputs), x) {
            add_scaled(x, dy, dw);
        }
    }
}

/// db = Σ dy over the samples: put in the place of what is there, or added to it.
pub fn sum_columns<T: Scalar>(dy: &[T], db: &mut [T], overwrite: bool) {
    if overwrite {
        db.fill(T::zero());
    }
    for dy in dy.chunks_exact(db.len().max(1)) {
        add_scaled(T::one(), dy, db);
    }
}

/// y = F(x), and dx = dy·F' from x or from y.
macro_rules! elementwise {
    ($($name:ident |$x:ident| $y:expr, $back:ident |$from:ident| $slope:expr;)*) => { $(
        pub fn $name<T: Scalar>(x: &[T], y: &mut [T]) {
            for (y, &$x) in y.iter_mut().zip(x) {
                *y = $y;
            }
        }

        pub fn $back<T: Scalar>(from: &[T], dy: &[T], dx: &mut [T]) {
            for (dx, (&$from, &dy)) in dx.iter_mut().zip(from.iter().zip(dy)) {
                *dx = dy * $slope;
            }
        }
    )* };
}

elementwise! {
    relu |x| if x <= T::zero() { T::zero() } else { x },
    relu_back |x| if x <= T::zero() { T::zero() } else { T::one() };
    tanh |x| {
        // By e to a negative power less 1, which is exact near zero and cannot overflow; duals
        // take tanh for sinh / cosh, whose derivative is NaN from 355 on.
        let (size, sign) = if x < T::zero() { (-x, -T::one()) } else { (x, T::one()) };
        let e = (-(size + size)).exp_m1();
        -sign * e / (e + T::one() + T::one())
    }, tanh_back |y| T::one() - y * y;
    sigmoid |x| logistic(x), sigmoid_back |y| y * (T::one() - y);
    gelu |x| gelu_and_slope(x).0, gelu_back |x| gelu_and_slope(x).1;
    softplus |x| if x > T::zero() { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() },
    softplus_back |x| logistic(x);
}

/// 1 / (1 + e⁻ˣ) by e to a negative power only: it cannot overflow, not even in a dual number's
/// derivative.
fn logistic<T: Scalar>(x: T) -> T {
    if x >= T::zero() {
        T::one() / (T::one() + (-x).exp())
    } else {
        let e = x.exp();
        e / (T::one() + e)
    }
}

/// x·Φ(x), and Φ(x) + x·φ(x), at ±40 where an infinite x would be NaN. Near 0 Φ is Marsaglia's series,
/// from 3 on Laplace's continued fraction, each with as many terms as f64 has use for: all are
/// positive, so that little cancels in a dual number's derivative either.
fn gelu_and_slope<T: Scalar>(x: T) -> (T, T) {
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

/// x ← eˣ.
pub fn exp<T: Scalar>(x: &mut [T]) {
    for x in x {
        *x = x.exp();
    }
}

/// x ← ln(1 + x).
pub fn ln_1p<T: Scalar>(x: &mut [T]) {
    for x in x {
        *x = x.ln_1p();
    }
}

/// x = byte / 255.
pub fn brightness<T: Scalar>(bytes: &[u8], x: &mut [T]) {
    let full: T = nalgebra::convert(255.0_f32);
    for (x, &byte) in x.iter_mut().zip(bytes) {
        *x = nalgebra::convert::<f32, T>(f32::from(byte)) / full;
    }
}

/// `zip` asks how many chunks there are, which divides by their size and so may panic as far as the
/// linker knows.
fn pairs<A, B>(
    a: impl IntoIterator<Item = A>,
    b: impl IntoIterator<Item = B>,
) -> impl Iterator<Item = (A, B)> {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    core::iter::from_fn(move || Some((a.next()?, b.next()?)))
}

/// w ← w + factor·g.
pub fn add_scaled<T: Scalar>(factor: T, g: &[T], w: &mut [T]) {
    for (w, &g) in w.iter_mut().zip(g) {
        *w += g * factor;
    }
}

/// Four sums side by side, so that one addition need not wait for the one before.
fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
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
