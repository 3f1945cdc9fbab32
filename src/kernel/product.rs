//! The matrix products of an affine layer.

use crate::shape::Scalar;

/// From this many multiplications on, packing the operands for the fast product pays.
#[cfg(feature = "std")]
const WORTH_PACKING: usize = 4096;

/// y = W·x + b, sample by sample.
pub fn affine<T: Scalar>(inputs: usize, w: &[T], b: &[T], x: &[T], y: &mut [T]) {
    if inputs == 0 || b.is_empty() {
        return y.chunks_exact_mut(b.len().max(1)).for_each(|y| y.copy_from_slice(b));
    }
    for y in y.chunks_exact_mut(b.len()) {
        y.copy_from_slice(b);
    }
    #[cfg(feature = "std")]
    if let Some(n) = fast(inputs, b.len(), x, y) {
        let w = view(w, (b.len(), inputs), (1, b.len()));
        let x = view(x, (inputs, n), (1, inputs));
        return view_mut(y, (b.len(), n)).gemm(T::one(), &w, &x, T::one());
    }
    for (y, x) in pairs(y.chunks_exact_mut(b.len()), x.chunks_exact(inputs)) {
        for (w, &x) in pairs(w.chunks_exact(b.len()), x) {
            add_scaled(y, w, x);
        }
    }
}

/// dx = Wᵀ·dy, sample by sample.
pub fn pullback<T: Scalar>(outputs: usize, inputs: usize, w: &[T], dy: &[T], dx: &mut [T]) {
    if inputs == 0 || outputs == 0 {
        return dx.fill(T::zero());
    }
    #[cfg(feature = "std")]
    if let Some(n) = fast(outputs, inputs, dy, dx) {
        let w = view(w, (inputs, outputs), (outputs, 1));
        let dy = view(dy, (outputs, n), (1, outputs));
        return view_mut(dx, (inputs, n)).gemm(T::one(), &w, &dy, T::zero());
    }
    for (dx, dy) in pairs(dx.chunks_exact_mut(inputs), dy.chunks_exact(outputs)) {
        for (dx, w) in pairs(dx, w.chunks_exact(outputs)) {
            *dx = dot(w, dy);
        }
    }
}

/// dW = dy·xᵀ, summed over the samples: put in the place of what is there, or added to it.
pub fn outer<T: Scalar>(
    outputs: usize,
    inputs: usize,
    dy: &[T],
    x: &[T],
    dw: &mut [T],
    overwrite: bool,
) {
    if inputs == 0 || outputs == 0 {
        return;
    }
    #[cfg(feature = "std")]
    if let Some(n) = fast(inputs, outputs, x, dy) {
        let beta = if overwrite { T::zero() } else { T::one() };
        let dy = view(dy, (outputs, n), (1, outputs));
        let x = view(x, (n, inputs), (inputs, 1));
        return view_mut(dw, (outputs, inputs)).gemm(T::one(), &dy, &x, beta);
    }
    if overwrite {
        dw.fill(T::zero());
    }
    for (dy, x) in pairs(dy.chunks_exact(outputs), x.chunks_exact(inputs)) {
        for (dw, &x) in pairs(dw.chunks_exact_mut(outputs), x) {
            add_scaled(dw, dy, x);
        }
    }
}

/// db = Σ dy over the samples: put in the place of what is there, or added to it.
pub fn add_bias_gradient<T: Scalar>(dy: &[T], db: &mut [T], overwrite: bool) {
    if overwrite {
        db.fill(T::zero());
    }
    for dy in dy.chunks_exact(db.len().max(1)) {
        add_scaled(db, dy, T::one());
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

fn add_scaled<T: Scalar>(y: &mut [T], w: &[T], x: T) {
    for (y, &w) in y.iter_mut().zip(w) {
        *y += w * x;
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

/// The samples, where nalgebra's packed product for matrices of run-time size is worth its set-up
/// and both slices hold as many.
#[cfg(feature = "std")]
fn fast<T>(inputs: usize, outputs: usize, x: &[T], y: &[T]) -> Option<usize> {
    let n = y.len() / outputs;
    let long = inputs.min(outputs).min(n) > 5 && inputs * outputs * n >= WORTH_PACKING;
    (long && x.len() == inputs * n && y.len() == outputs * n).then_some(n)
}

#[cfg(feature = "std")]
fn view<T: Scalar>(
    data: &[T],
    (rows, columns): (usize, usize),
    (row_stride, column_stride): (usize, usize),
) -> nalgebra::DMatrixView<'_, T, nalgebra::Dyn, nalgebra::Dyn> {
    nalgebra::DMatrixView::from_slice_with_strides(data, rows, columns, row_stride, column_stride)
}

#[cfg(feature = "std")]
fn view_mut<T: Scalar>(
    data: &mut [T],
    (rows, columns): (usize, usize),
) -> nalgebra::DMatrixViewMut<'_, T> {
    nalgebra::DMatrixViewMut::from_slice(data, rows, columns)
}
