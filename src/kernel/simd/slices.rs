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
use crate::{Scalar, kernel::loops};
use core::{any::TypeId, ops::Range};
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
    if product.m * product.k * product.n >= WORTH_THREADS {
        // SAFETY: as the caller promises.
        return unsafe { product.by_threads(rayon::current_num_threads(), &run) };
    }
    run(product);
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
pub fn affine<T: Scalar>(inputs: usize, w: &[T], b: &[T], x: &[T], y: &mut [T]) -> bool {
    let (outputs, n) = (b.len(), samples(inputs, x));
    if n == 0 || w.len() != outputs * inputs || y.len() != outputs * n {
        return false;
    }
    let (w, b, x, y) = (w.as_ptr(), b.as_ptr(), x.as_ptr(), y.as_mut_ptr());
    if_float!(T is E, level, (w, b, x, y): {
        // SAFETY: the slices are as long as the sizes say, and `y`, a mutable borrow, overlaps none
        // of them; the CPU has the level.
        unsafe {
            if n == 1 && outputs * inputs <= SMALL && outputs <= 4 * arch::LEAST / size_of::<E>() {
                inlined!(level, small_column<E>((outputs, inputs), w, x, y, Start::Column(b)));
            } else if inputs == 1 && outputs > 1 {
                (E::table(level).outer)((outputs, n), w, x, y, Start::Column(b));
            } else if n <= 2 {
                // Sample by sample, as tiles are wider.
                for sample in 0..n {
                    let (x, y) = (x.add(sample * inputs), y.add(sample * outputs));
                    (E::table(level).column)((outputs, inputs), w, x, y, Start::Column(b));
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
pub fn outer<T: Scalar>(size: Size, dy: &[T], x: &[T], dw: &mut [T], overwrite: bool) -> bool {
    outer_from(size, dy, x, dw, if overwrite { Start::Zero } else { Start::Add(T::one()) })
}

/// w ← w + factor·(dy·xᵀ), where the bits are those of `outer` and `add_scaled`.
#[inline(always)]
pub fn add_product<T: Scalar>(factor: T, size: Size, dy: &[T], x: &[T], w: &mut [T]) -> bool {
    samples(size.1, x) <= WHOLE && outer_from(size, dy, x, w, Start::Add(factor))
}

/// The columns in `part` of dW = dy·xᵀ.
#[inline(always)]
pub fn outer_part<T: Scalar>(
    (outputs, inputs): Size,
    dy: &[T],
    x: &[T],
    part: Range<usize>,
    dw: &mut [T],
    overwrite: bool,
) -> bool {
    let n = samples(inputs, x);
    let Some(first) = x.get(part.clone()) else { return false };
    if n == 1 {
        return outer((outputs, part.len()), dy, first, dw, overwrite);
    }
    if n == 0 || dy.len() != outputs * n || dw.len() != outputs * part.len() {
        return false;
    }
    let (dy, first, dw) = (dy.as_ptr(), first.as_ptr(), dw.as_mut_ptr());
    if_float!(T is E, level, (dy, first, dw): {
        let start = if overwrite { Start::Zero } else { Start::Add(E::ONE) };
        let (dy, x, dw) = ((dy, 1, outputs), (first, inputs, 1), (dw, outputs));
        // SAFETY: as in `affine`; `part` lies within each sample.
        unsafe {
            product::<E>(level, Product::new([outputs, n, part.len()], dy, x, dw, start));
        }
    })
}

#[inline(always)]
fn outer_from<T: Scalar>(size: Size, dy: &[T], x: &[T], dw: &mut [T], start: Start<T>) -> bool {
    let ((outputs, inputs), n) = (size, samples(size.1, x));
    if n == 0 || dy.len() != outputs * n || dw.len() != outputs * inputs {
        return false;
    }
    let (dy, x, dw, start) = (dy.as_ptr(), x.as_ptr(), dw.as_mut_ptr(), &raw const start);
    if_float!(T is E, level, (dy, x, dw): {
        // SAFETY: as in `affine`.
        unsafe {
            let start = *start.cast::<Start<E>>();
            if n == 1 && outputs * inputs <= SMALL {
                inlined!(level, outer<E>((outputs, inputs), dy, x, dw, start));
            } else if n == 1 {
                (E::table(level).outer)((outputs, inputs), dy, x, dw, start);
            } else if outputs == 1 {
                (E::table(level).column)((inputs, n), x, dy, dw, start);
            } else if inputs == 1 {
                (E::table(level).column)((outputs, n), dy, x, dw, start);
            } else {
                let (dy, x, dw) = ((dy, 1, outputs), (x, inputs, 1), (dw, outputs));
                product::<E>(level, Product::new([outputs, n, inputs], dy, x, dw, start));
            }
        }
    })
}

/// dx = Wᵀ·dy.
#[inline(always)]
pub fn pullback<T: Scalar>((outputs, inputs): Size, w: &[T], dy: &[T], dx: &mut [T]) -> bool {
    let n = samples(inputs, dx);
    if n == 0 || dy.len() != outputs * n || w.len() != outputs * inputs {
        return false;
    }
    let (w, dy, dx) = (w.as_ptr(), dy.as_ptr(), dx.as_mut_ptr());
    if_float!(T is E, level, (w, dy, dx): {
        // SAFETY: as in `affine`.
        unsafe {
            if n == 1 && outputs * inputs <= SMALL {
                inlined!(level, small_pullback<E>((outputs, inputs), w, dy, dx));
            } else if n < 4 {
                // Wᵀ by rows: to copy it would not pay.
                for sample in 0..n {
                    let (dy, dx) = (dy.add(sample * outputs), dx.add(sample * inputs));
                    (E::table(level).pullback)((outputs, inputs), w, dy, dx);
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
pub fn sum_columns<T: Scalar>(dy: &[T], db: &mut [T], overwrite: bool) -> bool {
    let (m, n) = (db.len(), samples(db.len(), dy));
    if n == 0 {
        return false;
    }
    let (dy, db) = (dy.as_ptr(), db.as_mut_ptr());
    if_float!(T is E, level, (dy, db): {
        let ones = const { &[E::ONE; 64] };
        let mut start = if overwrite { Start::Zero } else { Start::Add(E::ONE) };
        if n == 1 && m <= 4 * arch::LEAST / size_of::<E>() {
            // SAFETY: as in `affine`.
            unsafe { inlined!(level, small_column<E>((m, 1), dy, ones.as_ptr(), db, start)) };
            return true;
        }
        for first in (0..n).step_by(ones.len()) {
            let size = (m, ones.len().min(n - first));
            // SAFETY: as in `affine`.
            unsafe { (E::table(level).column)(size, dy.add(first * m), ones.as_ptr(), db, start) };
            start = Start::Add(E::ONE);
        }
    })
}

/// w ← w + factor·g.
#[inline(always)]
pub fn add_scaled<T: Scalar>(factor: T, g: &[T], w: &mut [T]) -> bool {
    let len = g.len().min(w.len());
    let (g, w, factor) = (g.as_ptr(), w.as_mut_ptr(), &raw const factor);
    if_float!(T is E, level, (g, w, factor): {
        // SAFETY: as in `affine`.
        unsafe { inlined!(level, add_scaled<E>(*factor, g, w, len)) };
    })
}

macro_rules! elementwise {
    ($($name:ident($($x:ident),*);)*) => { $(
        /// Entry by entry, as far as all go.
        #[inline(always)]
        pub fn $name<T: Scalar>($($x: &[T],)* to: &mut [T]) -> bool {
            let len = to.len()$(.min($x.len()))*;
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

/// Has this memory fetched to the first-level cache.
#[cfg(feature = "alloc")]
pub fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(tile::LINE) {
        arch::prefetch(line.as_ptr());
    }
}

/// x = byte / 255, where there are as many of both.
pub fn brightness<T: Scalar>(bytes: &[u8], x: &mut [T]) -> bool {
    // A row of 16 is whole packs at every level.
    let ((rows, bytes), (to, x)) = (bytes.as_chunks::<16>(), x.as_chunks_mut::<16>());
    if (rows.len(), bytes.len()) != (to.len(), x.len()) {
        return false;
    }
    loops::brightness(bytes, x);
    let (len, bytes, x) = (16 * rows.len(), rows.as_flattened().as_ptr(), to.as_mut_ptr());
    if_float!(T is E, level, (x): {
        // SAFETY: as in `affine`.
        unsafe { (E::table(level).brightness)(bytes, x, len) };
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
