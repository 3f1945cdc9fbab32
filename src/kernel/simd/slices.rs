//! The kernels over slices: which way a size takes. Each is false if it was not done, and left to the loops.
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
    Number,
    kernel::{
        is_product,
        sum::{LEVELS, SHORT, carry, total},
    },
};
use core::{any::TypeId, mem::MaybeUninit, ops::Range};
use num_traits::ConstOne;

/// Products of no more than so many multiplications for one sample are inlined.
const SMALL: usize = 1024;

/// Functions of no more numbers than so many are inlined.
const FEW: usize = 64;

/// Runs `$body` with `$e` as f32 or f64 if that is what `$t` is, on a CPU that has a level, and
/// returns true; the types are the same there, so that the pointers are cast from the one to the other.
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
/// As `tile` says; the CPU has the level.
unsafe fn product<E: Float>(level: Level, product: Product<E>) {
    let run = |mut part: Product<E>| {
        // SAFETY: as the caller promises.
        unsafe {
            if part.k > DEEP {
                return deep_product(level, part);
            }
            // As many columns at once as the second-level cache keeps of B, for all panels. To divide
            // takes longer than a small product may.
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

/// A sum of more terms than these is one of sums of `PIECE` terms.
const DEEP: usize = 4096;
const PIECE: usize = 48;

/// A product over many k. To add piece after piece to C would round it too often: sums of 1, 2, 4, 8 … pieces
/// are kept, and only sums of as many pieces are added up. The last level takes all that is left. Part by part
/// of C, cut where packs of rows and tiles end.
///
/// # Safety
/// As `tile` says; the CPU has the level.
#[inline(never)]
unsafe fn deep_product<E: Float>(level: Level, all: Product<E>) {
    const LAST: usize = 11;
    // Of f64 there are half as many rows, in the same room.
    const NUMBERS: usize = 64 * 2 * WIDTH;
    let mut room = MaybeUninit::<[[f32; NUMBERS]; LAST + 1]>::uninit();
    let (room, most) = (room.as_mut_ptr().cast::<E>(), 256 / size_of::<E>());
    // Parts of about the same height: one of few rows would take as long as a full one.
    let most = all.m.div_ceil(all.m.div_ceil(most)).next_multiple_of(16);
    for row in (0..all.m).step_by(most) {
        let (mut column, rows) = (0, most.min(all.m - row));
        while column < all.n {
            let columns = if all.n - column < 2 * WIDTH { all.n - column } else { WIDTH };
            let (numbers, pieces) = (rows * columns, all.k.div_ceil(PIECE));
            // SAFETY: a part of A, of B and of C; the room has so many numbers for each level, and a level
            // is read only after it was written: where its digit of the number of pieces is one.
            unsafe {
                let sums = |level: usize| room.add(level * numbers);
                for piece in 0..pieces {
                    let k = piece * PIECE;
                    let add = piece % 2 > 0;
                    (E::table(level).product)(Product {
                        m: rows,
                        k: PIECE.min(all.k - k),
                        n: columns,
                        a: all.a.add(row * all.a_row + k * all.a_column),
                        b: all.b.add(k * all.b_row + column * all.b_column),
                        c: sums(0),
                        c_column: rows,
                        start: if add { Start::Add(E::ONE) } else { Start::Zero },
                        ..all
                    });
                    // As in `carry`: where a digit goes from one to zero, its sums go to the next.
                    let to = (piece.trailing_ones() as usize).min(LAST);
                    for level in 1..to {
                        plus(sums(level), sums(0), numbers);
                    }
                    if to == LAST && piece >> LAST > 0 {
                        plus(sums(LAST), sums(0), numbers);
                    }
                    if to > 0 {
                        sums(0).copy_to_nonoverlapping(sums(to), numbers);
                    }
                }
                if pieces % 2 == 0 {
                    sums(0).write_bytes(0, numbers);
                }
                for level in (1..LAST).filter(|level| pieces >> level & 1 > 0) {
                    plus(sums(level), sums(0), numbers);
                }
                if pieces >> LAST > 0 {
                    plus(sums(LAST), sums(0), numbers);
                }
                for i in 0..numbers {
                    let (sum, row) = (*sums(0).add(i), row + i % rows);
                    let c = all.c.add((column + i / rows) * all.c_column + row);
                    *c = match all.start {
                        Start::Add(factor) => *c + factor * sum,
                        Start::Zero => sum,
                        Start::Column(start) => *start.add(row) + sum,
                    };
                }
            }
            column += columns;
        }
    }
}

/// Adds so many sums to others.
///
/// # Safety
/// Both can be read, and `to` written.
#[inline(always)]
unsafe fn plus<E: Float>(from: *const E, to: *mut E, numbers: usize) {
    for i in 0..numbers {
        // SAFETY: as the caller promises.
        unsafe { *to.add(i) += *from.add(i) };
    }
}

/// A row of dW of more bytes than these may be wanted in parts, which have to have the bits of the whole.
const LONG_ROW: usize = 32 * 1024;

/// Ones for `deep_column`.
const MOST: usize = 512;

/// y = W·x over many columns, so far apart, or added to y; with `ones` the sum of the columns, where x is
/// `MOST` ones.
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
    // A row by itself lies in packs, of which each lane has a sum of its own.
    let depth = match apart * size_of::<E>() {
        _ if apart == 1 => MOST,
        0..=64 => 256,
        _ => 128,
    };
    for row in (0..outputs).step_by(ROWS) {
        let rows = ROWS.min(outputs - row);
        let (mut levels, mut sums) = ([[E::ZERO; ROWS]; LEVELS], [E::ZERO; ROWS]);
        for (block, k) in (0..inputs).step_by(depth).enumerate() {
            // SAFETY: part of W and x, or ones, and room for as many rows.
            unsafe {
                let (w, size) = (w.add(k * apart + row), (rows, depth.min(inputs - k)));
                let x = if ones { x } else { x.add(k) };
                (E::table(level).column)(size, (w, apart), x, sums.as_mut_ptr(), Start::Zero);
            }
            carry(&mut sums, rows, block, &mut levels);
        }
        for (i, sum) in total(&levels, inputs.div_ceil(depth)).into_iter().enumerate().take(rows) {
            // SAFETY: an entry of y.
            unsafe {
                let y = y.add(row + i);
                *y = if overwrite { sum } else { *y + sum };
            }
        }
    }
}

/// More bytes of B than these are taken in parts of half as many, each for all of A.
const CACHE: usize = 1024 * 1024;

/// From so many multiplications on, some tens of microseconds, a thread more is worth its call. An eighth
/// would do on an idle machine; on a busy one the caller waits for threads that do not run.
#[cfg(feature = "rayon")]
const WORTH_THREADS: usize = 1 << 22;

/// The same for functions of so many numbers, which go through memory.
#[cfg(feature = "rayon")]
const LONG: usize = 1 << 17;

/// Work on `len` numbers at `pointers`, of which a part of some length can be done alone.
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

/// y = W·x + b, sample by sample; false if it was not done, here and below.
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
            if n == 1 && outputs * inputs <= SMALL && outputs <= 4 * arch::LEAST / size_of::<E>() {
                inlined!(level, small_column<E>((outputs, inputs), (w, outputs), x, y, Start::Column(b)));
            } else if inputs == 1 && outputs > 1 {
                (E::table(level).product_nt)((outputs, n), w, x, y, Start::Column(b));
            } else if n <= 2 {
                // Sample by sample, as tiles are wider.
                let size = (outputs, inputs);
                for sample in 0..n {
                    let (x, y) = (x.add(sample * inputs), y.add(sample * outputs));
                    (E::table(level).column)(size, (w, outputs), x, y, Start::Column(b));
                }
            } else if outputs == 1 && inputs * size_of::<E>() < 128 {
                // One output: y is a row, and lies as a column does.
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

/// w ← w + factor·(dy·xᵀ), where the bits are those of `product_nt` and `add_scaled`.
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
            if n == 1 && outputs * columns <= SMALL {
                inlined!(level, product_nt<E>((outputs, columns), dy, x, dw, start));
            } else if n == 1 {
                (E::table(level).product_nt)((outputs, columns), dy, x, dw, start);
            } else if outputs == 1 && inputs * size_of::<E>() <= LONG_ROW || inputs == 1 {
                // The only row or column of dW: the larger matrix, whose columns are so far apart, by the
                // other, which is a column.
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
pub fn product_tn<T: Number>((outputs, inputs): Size, w: &[T], dy: &[T], dx: &mut [T]) -> bool {
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
pub fn add_scaled<T: Number>(factor: T, g: &[T], w: &mut [T]) -> bool {
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
        pub fn $name<T: Number>($($x: &[T],)* to: &mut [T]) -> bool {
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
        pub fn $name<T: Number>(x: &mut [T]) -> bool {
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

/// Has this memory fetched to the first-level cache.
#[cfg(feature = "alloc")]
pub fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(tile::LINE) {
        arch::prefetch(line.as_ptr());
    }
}

/// x = byte / 255, where there are as many of both.
#[cfg(feature = "alloc")]
pub fn from_bytes<T: Number>(bytes: &[u8], x: &mut [T]) -> bool {
    // A row of 16 is whole packs at every level.
    let ((rows, bytes), (to, x)) = (bytes.as_chunks::<16>(), x.as_chunks_mut::<16>());
    if (rows.len(), bytes.len()) != (to.len(), x.len()) {
        return false;
    }
    crate::kernel::loops::from_bytes(bytes, x);
    let (len, bytes, x) = (16 * rows.len(), rows.as_flattened().as_ptr(), to.as_mut_ptr());
    if_float!(T is E, level, (x): {
        // SAFETY: as in `affine`.
        unsafe { (E::table(level).from_bytes)(bytes, x, len) };
    })
}

/// C = A·B, or added to C, where the caller has seen that the slices are long enough.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "three matrices")]
pub fn gemm<T: Number>(
    [m, k, n]: [usize; 3],
    a: &[T],
    (mut a_row, mut a_column): Size,
    b: &[T],
    (mut b_row, mut b_column): Size,
    c: &mut [T],
    c_column: usize,
    overwrite: bool,
) -> bool {
    // Where there is but one, it is no matter where the next would be.
    for (size, stride) in [(m, &mut a_row), (k, &mut a_column), (k, &mut b_row), (n, &mut b_column)]
    {
        if size == 1 {
            *stride = 1;
        }
    }
    // Kernels read packs of A, and of B where C has few rows, along one side or the other.
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

/// How many columns of `m` are in `x`; 0 if that is not a whole number.
#[inline(always)]
fn samples<T>(m: usize, x: &[T]) -> usize {
    match (x.len().checked_div(m), x.len().checked_rem(m)) {
        (Some(n), Some(0)) => n,
        _ => 0,
    }
}
