//! Products of slices, and which kernel computes a given size. A function that returns false has done nothing, and the
//! plain loops take over.
#![allow(unsafe_code)]

use super::{
    Float, Level, Product, Size, Start, arch, deep, level,
    panels::{WHOLE, WIDTH},
    small::{is_short, is_small},
    tile,
    vector::NARROW,
};
use crate::{
    Number,
    kernel::{is_product, sum::SHORT},
    view::View,
};
use core::{any::TypeId, ops::Range};
use num_traits::ConstOne;

/// The most multiplications of a product for one sample that is inlined.
const SMALL: usize = 1024;

/// If B has more bytes than this, it is cut into parts of half of this size. Each part is multiplied by all of A.
const CACHE: usize = 1024 * 1024;

/// The least multiplications for which another thread saves time: some tens of microseconds. On an idle machine an
/// eighth of this would be enough. On a busy machine the caller waits for threads that do not run.
#[cfg(feature = "rayon")]
const WORTH_THREADS: usize = 1 << 22;

/// A large product.
///
/// # Safety
/// As `tile` says; the CPU has the level.
unsafe fn product<E: Float>(level: Level, product: Product<E>) {
    let run = |mut part: Product<E>| {
        // SAFETY: as the caller promises.
        unsafe {
            if part.k > deep::DEEP {
                return deep::product(level, part);
            }
            // The second-level cache keeps this number of columns of B for all panels. The loop condition contains no
            // division, because a division takes longer than a small product.
            while part.n * part.k * size_of::<E>() > CACHE {
                let most =
                    (CACHE / 2 / size_of::<E>() / part.k.max(1)).next_multiple_of(WIDTH).max(WIDTH);
                if most + WIDTH > part.n {
                    break;
                }
                (E::table(level).product)(Product { n: most, ..part });
                let (b, c) = (part.b.add(most * part.b_column), part.c.add(most * part.c_column));
                part = Product { n: part.n - most, b, c, ..part };
            }
            (E::table(level).product)(part)
        }
    };
    #[cfg(feature = "rayon")]
    if product.m.saturating_mul(product.k).saturating_mul(product.n) >= WORTH_THREADS {
        // SAFETY: as the caller promises.
        return unsafe { product.by_threads(rayon::current_num_threads(), &run) };
    }
    run(product);
}

/// y = W·x + b, sample by sample.
#[inline(always)]
pub fn affine<T: Number>(inputs: usize, w: &[T], b: &[T], x: &[T], y: &mut [T]) -> bool {
    let (outputs, n) = (b.len(), samples(inputs, x));
    if n == 0 || !is_product(outputs, inputs, w) || !is_product(outputs, n, y) {
        return false;
    }
    let (w, b, x, y) = (w.as_ptr(), b.as_ptr(), x.as_ptr(), y.as_mut_ptr());
    if_float!(T is E, level, (w, b, x, y): {
        // SAFETY: the slices are as long as the sizes say, and `y`, a mutable borrow, overlaps none
        // of them; the CPU has the level.
        unsafe {
            if is_small((outputs, inputs), n) {
                few!(level, small::affine<E>((outputs, inputs), n, (w, b), x, y));
            } else if n == 1 && outputs * inputs <= SMALL && outputs <= 4 * arch::LEAST / size_of::<E>() {
                inlined!(level, small_column<E>((outputs, inputs), (w, outputs), x, y, Start::Column(b)));
            } else if inputs == 1 && outputs > 1 {
                (E::table(level).product_nt)((outputs, n), w, x, y, Start::Column(b));
            } else if n <= 2 {
                // Sample by sample, because tiles are wider than two columns.
                let size = (outputs, inputs);
                for sample in 0..n {
                    let (x, y) = (x.add(sample * inputs), y.add(sample * outputs));
                    (E::table(level).column)(size, (w, outputs), x, y, Start::Column(b));
                }
            } else if outputs == 1 && inputs * size_of::<E>() < 128 {
                // With one output, y is a row, and its numbers are contiguous like those of a column.
                for sample in 0..n {
                    *y.add(sample) = *b;
                }
                let (x, w, y) = ((x, inputs, 1), (w, 1, inputs), (y, n));
                product::<E>(level, Product::new([n, inputs, 1], x, w, y, Start::Add(E::ONE)));
            } else {
                let (w, x, y) = ((w, 1, outputs), (x, 1, inputs), (y, outputs));
                let size = [outputs, inputs, n];
                product::<E>(level, Product::new(size, w, x, y, Start::Column(b)));
            }
        }
    })
}

/// dW = dy·xᵀ, or added to dW.
#[inline(always)]
pub fn product_nt<T: Number>(size: Size, dy: &[T], x: &[T], dw: &mut [T], overwrite: bool) -> bool {
    product_nt_part(size, dy, x, 0..size.1, dw, overwrite)
}

/// w ← w + factor·(dy·xᵀ), with the bits of `product_nt` followed by `add_scaled`.
#[inline(always)]
pub fn add_product<T: Number>(factor: T, size: Size, dy: &[T], x: &[T], w: &mut [T]) -> bool {
    samples(size.1, x) <= WHOLE && product_nt_from(size, dy, x, 0..size.1, w, Start::Add(factor))
}

/// The columns in `part` of dW = dy·xᵀ.
#[inline(always)]
pub fn product_nt_part<T: Number>(
    size: Size,
    dy: &[T],
    x: &[T],
    part: Range<usize>,
    dw: &mut [T],
    overwrite: bool,
) -> bool {
    let start = if overwrite { Start::Zero } else { Start::Add(T::one()) };
    product_nt_from(size, dy, x, part, dw, start)
}

#[inline(always)]
fn product_nt_from<T: Number>(
    size: Size,
    dy: &[T],
    x: &[T],
    part: Range<usize>,
    dw: &mut [T],
    start: Start<T>,
) -> bool {
    let ((outputs, inputs), n) = (size, samples(size.1, x));
    let columns = part.len();
    if n == 0
        || part.end > inputs
        || !is_product(outputs, n, dy)
        || !is_product(outputs, columns, dw)
    {
        return false;
    }
    let Some(x) = x.get(part.start..) else { return false };
    let (dy, x, dw, start) = (dy.as_ptr(), x.as_ptr(), dw.as_mut_ptr(), &raw const start);
    if_float!(T is E, level, (dy, x, dw): {
        // SAFETY: as in `affine`; `part` lies within each sample.
        unsafe {
            let start = *start.cast::<Start<E>>();
            if is_small(size, n) && columns == inputs {
                let factor = match start {
                    Start::Add(factor) => Some(factor),
                    _ => None
                };
                few!(level, small::product_nt<E>((outputs, columns), n, dy, x, dw, factor));
            } else if n == 1 && outputs * columns <= SMALL {
                inlined!(level, product_nt<E>((outputs, columns), dy, x, dw, start));
            } else if n == 1 {
                (E::table(level).product_nt)((outputs, columns), dy, x, dw, start);
            } else if outputs == 1 && inputs * size_of::<E>() <= tile::LONG_LEAF || inputs == 1 {
                // dW has one row or one column. The larger matrix, given with the distance of its columns, is
                // multiplied by the other one, which is a column.
                let (m, w, x) = match inputs {
                    1 => (outputs, (dy, outputs), x),
                    _ => (columns, (x, inputs), dy),
                };
                if n > SHORT {
                    deep::column(level, (m, n), w, (x, false), dw, matches!(start, Start::Zero));
                } else {
                    (E::table(level).column)((m, n), w, x, dw, start);
                }
            } else {
                let (dy, x, dw) = ((dy, 1, outputs), (x, inputs, 1), (dw, outputs));
                product::<E>(level, Product::new([outputs, n, columns], dy, x, dw, start));
            }
        }
    })
}

/// dx = Wᵀ·dy.
#[inline(always)]
pub fn product_tn<T: Number>((outputs, inputs): Size, w: &[T], dy: &[T], dx: &mut [T]) -> bool {
    let n = samples(inputs, dx);
    if n == 0 || !is_product(outputs, n, dy) || !is_product(outputs, inputs, w) {
        return false;
    }
    let (w, dy, dx) = (w.as_ptr(), dy.as_ptr(), dx.as_mut_ptr());
    if_float!(T is E, level, (w, dy, dx): {
        // SAFETY: as in `affine`.
        unsafe {
            if is_small((outputs, inputs), n) || n == 1 && is_short((outputs, inputs)) {
                few!(level, small::product_tn<E>((outputs, inputs), n, w, dy, dx));
            } else if n == 1 && outputs * inputs <= SMALL {
                few!(level, vector::product_tn<E, NARROW>((outputs, inputs), w, dy, dx));
            } else if n < 4 {
                // Wᵀ by rows: to copy it would not pay.
                for sample in 0..n {
                    let (dy, dx) = (dy.add(sample * outputs), dx.add(sample * inputs));
                    (E::table(level).product_tn)((outputs, inputs), w, dy, dx);
                }
            } else {
                let (w, dy, dx) = ((w, outputs, 1), (dy, 1, outputs), (dx, inputs));
                let size = [inputs, outputs, n];
                product::<E>(level, Product::new(size, w, dy, dx, Start::Zero));
            }
        }
    })
}

/// db = Σ dy over the samples, or added to db: a product by ones.
#[inline(always)]
pub fn sum_columns<T: Number>(dy: &[T], db: &mut [T], overwrite: bool) -> bool {
    let (m, n) = (db.len(), samples(db.len(), dy));
    if n == 0 {
        return false;
    }
    let (dy, db) = (dy.as_ptr(), db.as_mut_ptr());
    if_float!(T is E, level, (dy, db): {
        let ones = const { &[E::ONE; deep::MOST] };
        let mut start = if overwrite { Start::Zero } else { Start::Add(E::ONE) };
        if is_small((m, 1), n) {
            let factor = if overwrite { None } else { Some(E::ONE) };
            // SAFETY: as in `affine`.
            unsafe { few!(level, small::product_nt<E>((m, 1), n, dy, ones.as_ptr(), db, factor)) };
            return true;
        }
        if n == 1 && m <= 4 * arch::LEAST / size_of::<E>() {
            // SAFETY: as in `affine`.
            unsafe { inlined!(level, small_column<E>((m, 1), (dy, m), ones.as_ptr(), db, start)) };
            return true;
        }
        if n > SHORT {
            // SAFETY: as in `affine`.
            unsafe { deep::column(level, (m, n), (dy, m), (ones.as_ptr(), true), db, overwrite) };
            return true;
        }
        for first in (0..n).step_by(64) {
            let size = (m, 64.min(n - first));
            // SAFETY: as in `affine`.
            unsafe {
                let dy = dy.add(first * m);
                (E::table(level).column)(size, (dy, m), ones.as_ptr(), db, start);
            }
            start = Start::Add(E::ONE);
        }
    })
}

/// C = A·B, or added to C, where the caller has seen that the slices are long enough.
#[inline(always)]
pub fn gemm<T: Number>(
    [m, k, n]: [usize; 3],
    a: View<T>,
    b: View<T>,
    c: &mut [T],
    c_column: usize,
    overwrite: bool,
) -> bool {
    // Where there is but one, it is no matter where the next would be.
    let strides = [(m, a.row), (k, a.column), (k, b.row), (n, b.column)];
    let [a_row, a_column, b_row, b_column] =
        strides.map(|(size, stride)| if size == 1 { 1 } else { stride });
    // Kernels read packs of A, and of B where C has few rows, along one side or the other.
    if m == 0 || k == 0 || n == 0 || (a_row != 1 && a_column != 1) || (b_row != 1 && b_column != 1)
    {
        return false;
    }
    let (a, b, c) = (a.numbers.as_ptr(), b.numbers.as_ptr(), c.as_mut_ptr());
    if_float!(T is E, level, (a, b, c): {
        let start = if overwrite { Start::Zero } else { Start::Add(E::ONE) };
        let (a, b) = ((a, a_row, a_column), (b, b_row, b_column));
        // SAFETY: as in `affine`.
        unsafe { product::<E>(level, Product::new([m, k, n], a, b, (c, c_column), start)) };
    })
}

/// How many columns of `m` are in `x`; 0 if that is not a whole number.
#[inline(always)]
fn samples<T>(m: usize, x: &[T]) -> usize {
    match (x.len().checked_div(m), x.len().checked_rem(m)) {
        (Some(n), Some(0)) => n,
        _ => 0,
    }
}
