//! The kernels over slices: they check sizes and choose the way that a size takes. Each returns false if it did
//! nothing and the loops must do the work.
#![allow(unsafe_code)]

#[cfg(feature = "rayon")]
use super::threads;
#[cfg(feature = "alloc")]
use super::tile;
use super::{
    Float, Level, Product, Size, Start, arch, level,
    panels::{WHOLE, WIDTH},
};
use crate::{
    Scalar,
    kernel::{
        is_product, loops,
        sum::{LEVELS, SHORT, carry, total},
    },
};
use core::{any::TypeId, ops::Range};
use num_traits::ConstOne;

/// Products for one sample of at most so many multiplications are inlined.
const SMALL: usize = 1024;

/// Functions of at most so many numbers are inlined.
const FEW: usize = 64;

/// If `$t` is f32 or f64 and the CPU has a level, runs `$body` with `$e` as that type and returns true. `$t` and `$e`
/// are then the same type, so the pointers may be cast.
macro_rules! if_float {
    ($t:ident is $e:ident, $level:ident, $pointers:tt: $body:expr) => {{
        if let Some($level) = level() {
            if_float!($t is $e = f32, $pointers: $body);
            if_float!($t is $e = f64, $pointers: $body);
        }
        return false;
    }};
    ($t:ident is $e:ident = $float:ident, ($($pointer:ident),*): $body:expr) => {
        if TypeId::of::<$t>() == TypeId::of::<$float>() {
            type $e = $float;
            $(let $pointer = $pointer.cast::<$e>();)*
            $body;
            return true;
        }
    };
}

/// A large product.
///
/// # Safety
/// See `tile`. The CPU has the level.
unsafe fn product<E: Float>(level: Level, product: Product<E>) {
    let run = |mut part: Product<E>| {
        // SAFETY: as the caller promises.
        unsafe {
            if part.k > DEEP {
                return deep_product(level, part);
            }
            // As many columns at a time as the second-level cache holds of B, for all panels. There is no division
            // on the way of a small product: it would take too long.
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

/// A sum of more terms than these is split into sums of so many, and each of these into sums of `piece`.
const DEEP: usize = 4096;
/// So many of these sums are added up before they are added to C.
const SUMS: usize = 32;

/// A product over many k. Adding one block after the other to C would round too often. C is computed part by part,
/// cut where packs of rows and tiles end.
///
/// # Safety
/// As `tile` says; the CPU has the level.
#[inline(never)]
unsafe fn deep_product<E: Float>(level: Level, all: Product<E>) {
    const ROWS: usize = 144;
    // One or two columns have several sums side by side.
    let piece = if all.n <= 2 { 128 } else { 64 };
    let mut room = [[E::ZERO; ROWS * 2 * WIDTH]; 2];
    let [block, sums] = &mut room;
    for row in (0..all.m).step_by(ROWS) {
        let (mut column, rows) = (0, ROWS.min(all.m - row));
        while column < all.n {
            let columns = if all.n - column < 2 * WIDTH { all.n - column } else { WIDTH };
            let numbers = rows * columns;
            for (first, begin) in (0..all.k).step_by(SUMS * DEEP).enumerate() {
                let end = all.k.min(begin + SUMS * DEEP);
                sums.fill(E::ZERO);
                for from in (begin..end).step_by(DEEP) {
                    let to = end.min(from + DEEP);
                    for k in (from..to).step_by(piece) {
                        let start = if k == from { Start::Zero } else { Start::Add(E::ONE) };
                        // SAFETY: parts of A and B, and a block with room for the columns.
                        unsafe {
                            (E::table(level).product)(Product {
                                m: rows,
                                k: piece.min(to - k),
                                n: columns,
                                a: all.a.add(row * all.a_row + k * all.a_column),
                                b: all.b.add(k * all.b_row + column * all.b_column),
                                c: block.as_mut_ptr(),
                                c_column: rows,
                                start,
                                ..all
                            });
                        }
                    }
                    for (sum, &block) in sums.iter_mut().zip(block.iter()).take(numbers) {
                        *sum += block;
                    }
                }
                for (j, sums) in sums.chunks_exact(rows).take(columns).enumerate() {
                    for (i, &sum) in sums.iter().enumerate() {
                        // SAFETY: an entry of C, and of its start column.
                        unsafe {
                            let c = all.c.add((column + j) * all.c_column + row + i);
                            *c = match all.start {
                                Start::Add(factor) => *c + factor * sum,
                                _ if first > 0 => *c + sum,
                                Start::Zero => sum,
                                Start::Column(start) => *start.add(row + i) + sum,
                            };
                        }
                    }
                }
            }
            column += columns;
        }
    }
}

/// A row of dW with more bytes than these may be computed in parts. The parts must have the bits of the whole.
const LONG_ROW: usize = 32 * 1024;

/// The number of ones for `deep_column`.
const MOST: usize = 512;

/// y = W·x, or y + W·x, over many columns of W, which are `apart` numbers apart. With `ones` x is `MOST` ones, and the
/// result is the sum of the columns.
///
/// # Safety
/// As `tile` says; the CPU has the level.
#[inline(never)]
unsafe fn deep_column<E: Float>(
    level: Level,
    (outputs, inputs): Size,
    (w, apart): (*const E, usize),
    (x, ones): (*const E, bool),
    y: *mut E,
    overwrite: bool,
) {
    const ROWS: usize = 64;
    // A single row is read in packs, and each lane has its own sum.
    let depth = match apart * size_of::<E>() {
        _ if apart == 1 => MOST,
        0..=64 => 256,
        _ => 128,
    };
    for row in (0..outputs).step_by(ROWS) {
        let rows = ROWS.min(outputs - row);
        let (mut levels, mut sums) = ([[E::ZERO; ROWS]; LEVELS], [E::ZERO; ROWS]);
        for (block, k) in (0..inputs).step_by(depth).enumerate() {
            // SAFETY: parts of W and x (or ones), and room for as many rows.
            unsafe {
                let (w, size) = (w.add(k * apart + row), (rows, depth.min(inputs - k)));
                let x = if ones { x } else { x.add(k) };
                (E::table(level).column)(size, (w, apart), x, sums.as_mut_ptr(), Start::Zero);
            }
            carry(&mut sums, rows, block, &mut levels);
        }
        for (i, sum) in total(&levels).into_iter().enumerate().take(rows) {
            // SAFETY: an entry of y.
            unsafe {
                let y = y.add(row + i);
                *y = if overwrite { sum } else { *y + sum };
            }
        }
    }
}

/// If B has more bytes than these, it is processed in parts of half as many, each with all of A.
const CACHE: usize = 1024 * 1024;

/// From so many multiplications on, some tens of microseconds, another thread is worth its call. On an idle machine an
/// eighth would be enough. On a busy machine the caller waits for threads that do not run.
#[cfg(feature = "rayon")]
const WORTH_THREADS: usize = 1 << 22;

/// The same for functions, in numbers. They are limited by memory.
#[cfg(feature = "rayon")]
const LONG: usize = 1 << 17;

/// Runs work on `len` numbers at `pointers`, in parts on several threads if it is long.
#[inline(always)]
fn in_parts<P: Copy>(pointers: P, len: usize, run: impl Fn(P, usize, usize) + Sync) {
    #[cfg(feature = "rayon")]
    if len >= LONG {
        let (threads, pointers) = (rayon::current_num_threads(), threads::Shared(pointers));
        return threads::on_threads(threads, &|thread| {
            let (at, len) = threads::cut(len, tile::LINE, thread, threads);
            run(pointers.get(), at, len);
        });
    }
    run(pointers, 0, len);
}

/// y = W·x + b, sample by sample. It and the functions below return false if they did nothing.
#[inline(always)]
pub fn affine<T: Scalar>(inputs: usize, w: &[T], b: &[T], x: &[T], y: &mut [T]) -> bool {
    let (outputs, n) = (b.len(), samples(inputs, x));
    if n == 0 || !is_product(outputs, inputs, w) || !is_product(outputs, n, y) {
        return false;
    }
    let (w, b, x, y) = (w.as_ptr(), b.as_ptr(), x.as_ptr(), y.as_mut_ptr());
    if_float!(T is E, level, (w, b, x, y): {
        // SAFETY: the slices have the lengths that the sizes say. `y` is a mutable borrow, so it overlaps none of
        // them. The CPU has the level.
        unsafe {
            if n == 1 && outputs * inputs <= SMALL && outputs <= 4 * arch::LEAST / size_of::<E>() {
                inlined!(level, small_column<E>((outputs, inputs), (w, outputs), x, y, Start::Column(b)));
            } else if inputs == 1 && outputs > 1 {
                (E::table(level).product_nt)((outputs, n), w, x, y, Start::Column(b));
            } else if n <= 2 {
                // Sample by sample, because a tile has more columns than there are samples.
                let size = (outputs, inputs);
                for sample in 0..n {
                    let (x, y) = (x.add(sample * inputs), y.add(sample * outputs));
                    (E::table(level).column)(size, (w, outputs), x, y, Start::Column(b));
                }
            } else if outputs == 1 && inputs * size_of::<E>() < 128 {
                // One output: y is a row, with the layout of a column.
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
pub fn product_nt<T: Scalar>(size: Size, dy: &[T], x: &[T], dw: &mut [T], overwrite: bool) -> bool {
    product_nt_part(size, dy, x, 0..size.1, dw, overwrite)
}

/// w ← w + factor·(dy·xᵀ), if the bits are those of `product_nt` followed by `add_scaled`.
#[inline(always)]
pub fn add_product<T: Scalar>(factor: T, size: Size, dy: &[T], x: &[T], w: &mut [T]) -> bool {
    samples(size.1, x) <= WHOLE && product_nt_from(size, dy, x, 0..size.1, w, Start::Add(factor))
}

/// The columns in `part` of dW = dy·xᵀ.
#[inline(always)]
pub fn product_nt_part<T: Scalar>(
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
fn product_nt_from<T: Scalar>(
    size: Size,
    dy: &[T],
    x: &[T],
    part: Range<usize>,
    dw: &mut [T],
    start: Start<T>,
) -> bool {
    let ((outputs, inputs), n) = (size, samples(size.1, x));
    let columns = part.len();
    if n == 0 || part.end > inputs || !is_product(outputs, n, dy) || !is_product(outputs, columns, dw) {
        return false;
    }
    let Some(x) = x.get(part.start..) else { return false };
    let (dy, x, dw, start) = (dy.as_ptr(), x.as_ptr(), dw.as_mut_ptr(), &raw const start);
    if_float!(T is E, level, (dy, x, dw): {
        // SAFETY: as in `affine`. `part` is within each sample.
        unsafe {
            let start = *start.cast::<Start<E>>();
            if n == 1 && outputs * columns <= SMALL {
                inlined!(level, product_nt<E>((outputs, columns), dy, x, dw, start));
            } else if n == 1 {
                (E::table(level).product_nt)((outputs, columns), dy, x, dw, start);
            } else if outputs == 1 && inputs * size_of::<E>() <= LONG_ROW || inputs == 1 {
                // dW has one row or one column: the product of the larger matrix and the other, which is a column.
                let (m, w, x) = match inputs {
                    1 => (outputs, (dy, outputs), x),
                    _ => (columns, (x, inputs), dy),
                };
                if n > SHORT {
                    deep_column(level, (m, n), w, (x, false), dw, matches!(start, Start::Zero));
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
pub fn product_tn<T: Scalar>((outputs, inputs): Size, w: &[T], dy: &[T], dx: &mut [T]) -> bool {
    let n = samples(inputs, dx);
    if n == 0 || !is_product(outputs, n, dy) || !is_product(outputs, inputs, w) {
        return false;
    }
    let (w, dy, dx) = (w.as_ptr(), dy.as_ptr(), dx.as_mut_ptr());
    if_float!(T is E, level, (w, dy, dx): {
        // SAFETY: as in `affine`.
        unsafe {
            if n == 1 && outputs * inputs <= SMALL {
                inlined!(level, small_product_tn<E>((outputs, inputs), w, dy, dx));
            } else if n < 4 {
                // By rows of Wᵀ: with so few samples it does not pay to copy W.
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

/// db = Σ dy over the samples, or db + Σ dy: a product with ones.
#[inline(always)]
pub fn sum_columns<T: Scalar>(dy: &[T], db: &mut [T], overwrite: bool) -> bool {
    let (m, n) = (db.len(), samples(db.len(), dy));
    if n == 0 {
        return false;
    }
    let (dy, db) = (dy.as_ptr(), db.as_mut_ptr());
    if_float!(T is E, level, (dy, db): {
        let ones = const { &[E::ONE; MOST] };
        let mut start = if overwrite { Start::Zero } else { Start::Add(E::ONE) };
        if n == 1 && m <= 4 * arch::LEAST / size_of::<E>() {
            // SAFETY: as in `affine`.
            unsafe { inlined!(level, small_column<E>((m, 1), (dy, m), ones.as_ptr(), db, start)) };
            return true;
        }
        if n > SHORT {
            // SAFETY: as in `affine`.
            unsafe { deep_column(level, (m, n), (dy, m), (ones.as_ptr(), true), db, overwrite) };
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

/// w ← w + factor·g.
#[inline(always)]
pub fn add_scaled<T: Scalar>(factor: T, g: &[T], w: &mut [T]) -> bool {
    let len = w.len();
    if g.len() != len {
        return false;
    }
    let (g, w, factor) = (g.as_ptr(), w.as_mut_ptr(), &raw const factor);
    if_float!(T is E, level, (g, w, factor): {
        // SAFETY: as in `affine`.
        unsafe { inlined!(level, add_scaled<E>(*factor, g, w, len)) };
    })
}

macro_rules! elementwise {
    ($($name:ident($($x:ident),*);)*) => { $(
        /// Entry by entry, if there are as many of all.
        #[inline(always)]
        pub fn $name<T: Scalar>($($x: &[T],)* to: &mut [T]) -> bool {
            let len = to.len();
            if $($x.len() != len)||* {
                return false;
            }
            let ($($x,)* to) = ($($x.as_ptr(),)* to.as_mut_ptr());
            if_float!(T is E, level, ($($x,)* to): {
                // SAFETY: as in `affine`.
                unsafe {
                    if len <= FEW {
                        inlined!(level, $name<E>($($x,)* to, len));
                    } else {
                        let run = E::table(level).$name;
                        in_parts(($($x,)* to), len, |($($x,)* to), at, len| {
                            run($($x.add(at),)* to.add(at), len);
                        });
                    }
                }
            })
        }
    )* };
}
elementwise! {
    relu(x);
    relu_back(x, dy);
    tanh(x);
    tanh_back(y, dy);
    sigmoid(x);
    sigmoid_back(y, dy);
    gelu(x);
    gelu_back(x, dy);
    softplus(x);
    softplus_back(x, dy);
}

macro_rules! in_place {
    ($($name:ident)*) => { $(
        /// Entry by entry.
        #[inline(always)]
        pub fn $name<T: Scalar>(x: &mut [T]) -> bool {
            let (len, x) = (x.len(), x.as_mut_ptr());
            if_float!(T is E, level, (x): {
                // SAFETY: as in `affine`.
                unsafe {
                    if len <= FEW {
                        inlined!(level, $name<E>(x, x, len));
                    } else {
                        (E::table(level).$name)(x, x, len);
                    }
                }
            })
        }
    )* };
}
in_place!(exp ln_1p);

/// Prefetches this memory to the first-level cache.
#[cfg(feature = "alloc")]
pub fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(tile::LINE) {
        arch::prefetch(line.as_ptr());
    }
}

/// x = byte / 255, if both slices have the same length.
pub fn from_bytes<T: Scalar>(bytes: &[u8], x: &mut [T]) -> bool {
    // 16 numbers are whole packs at every level.
    let ((rows, bytes), (to, x)) = (bytes.as_chunks::<16>(), x.as_chunks_mut::<16>());
    if (rows.len(), bytes.len()) != (to.len(), x.len()) {
        return false;
    }
    loops::from_bytes(bytes, x);
    let (len, bytes, x) = (16 * rows.len(), rows.as_flattened().as_ptr(), to.as_mut_ptr());
    if_float!(T is E, level, (x): {
        // SAFETY: as in `affine`.
        unsafe { (E::table(level).from_bytes)(bytes, x, len) };
    })
}

/// C = A·B, or C + A·B. The caller has checked that the slices are long enough.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "three matrices")]
pub fn gemm<T: Scalar>(
    [m, k, n]: [usize; 3],
    a: &[T],
    (mut a_row, mut a_column): Size,
    b: &[T],
    (mut b_row, mut b_column): Size,
    c: &mut [T],
    c_column: usize,
    overwrite: bool,
) -> bool {
    // If a size is 1, its stride is never used.
    for (size, stride) in [(m, &mut a_row), (k, &mut a_column), (k, &mut b_row), (n, &mut b_column)]
    {
        if size == 1 {
            *stride = 1;
        }
    }
    // The kernels read packs of A along one side or the other. If C has few rows, they read B the same way.
    if m == 0 || k == 0 || n == 0 || (a_row != 1 && a_column != 1) || (b_row != 1 && b_column != 1)
    {
        return false;
    }
    let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    if_float!(T is E, level, (a, b, c): {
        let start = if overwrite { Start::Zero } else { Start::Add(E::ONE) };
        let (a, b) = ((a, a_row, a_column), (b, b_row, b_column));
        // SAFETY: as in `affine`.
        unsafe { product::<E>(level, Product::new([m, k, n], a, b, (c, c_column), start)) };
    })
}

/// The number of columns of `m` numbers in `x`; 0 if it is not a whole number.
#[inline(always)]
fn samples<T>(m: usize, x: &[T]) -> usize {
    match (x.len().checked_div(m), x.len().checked_rem(m)) {
        (Some(n), Some(0)) => n,
        _ => 0,
    }
}
