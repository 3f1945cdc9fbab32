//! Which instructions the CPU has, and the kernels for each.
//!
//! A kernel is `#[target_feature]` and generic over its pack. Small work is inlined where it is
//! called, so that the sizes are constants there; large work goes through a table of functions,
//! compiled once, here. For the former to be inlined the whole step of a net runs in a function with
//! the features, see [`Work`].
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
#[path = "neon.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "x86.rs"]
mod arch;
mod few_rows;
#[cfg(all(test, feature = "std"))]
#[path = "../../../tests/unit/kernel.rs"]
mod kernel_tests;
mod lanes;
mod math;
#[cfg(all(test, feature = "std"))]
#[path = "../../../tests/unit/math.rs"]
mod math_tests;
mod pack;
mod panels;
#[cfg(target_arch = "x86_64")]
mod tanh;
#[cfg(feature = "rayon")]
mod threads;
mod tile;
mod vector;

use super::{Size, Work};
use crate::Scalar;
use core::any::TypeId;
use lanes::Lanes;
use math::Constants;
use num_traits::ConstOne;
#[cfg(feature = "rayon")]
use pack::Pack;
use panels::{WHOLE, WIDTH};
use tile::{Product, Start};

/// Hands on to `$for` what stands before it and the kernels for large work, which go through a table.
macro_rules! large {
    ($for:ident! $($before:tt)*) => { $for! { $($before)*
        fn product(product: Product<E>) = panels::product;
        fn column(size: Size, w: *const E, x: *const E, y: *mut E, start: Start<E>)
            = vector::column<WIDE>;
        fn outer(size: Size, dy: *const E, x: *const E, dw: *mut E, start: Start<E>) = vector::outer;
        fn pullback(size: Size, w: *const E, dy: *const E, dx: *mut E) = vector::pullback<WIDE>;
        fn sum_columns(size: Size, dy: *const E, db: *mut E, overwrite: bool) = vector::sum_columns;
        fn relu(x: *const E, y: *mut E, len: usize) = math::apply<Relu>;
        fn tanh(x: *const E, y: *mut E, len: usize) = math::apply<Tanh>;
        fn sigmoid(x: *const E, y: *mut E, len: usize) = math::apply<Sigmoid>;
        fn gelu(x: *const E, y: *mut E, len: usize) = math::apply<Gelu>;
        fn softplus(x: *const E, y: *mut E, len: usize) = math::apply<Softplus>;
        fn exp(x: *const E, y: *mut E, len: usize) = math::apply<Exp>;
        fn brightness(bytes: *const u8, x: *mut E, len: usize) = math::brightness;
        fn relu_back(x: *const E, dy: *const E, dx: *mut E, len: usize) = math::back<Relu>;
        fn tanh_back(y: *const E, dy: *const E, dx: *mut E, len: usize) = math::back<Tanh>;
        fn sigmoid_back(y: *const E, dy: *const E, dx: *mut E, len: usize) = math::back<Sigmoid>;
        fn gelu_back(x: *const E, dy: *const E, dx: *mut E, len: usize) = math::back<Gelu>;
        fn softplus_back(x: *const E, dy: *const E, dx: *mut E, len: usize) = math::back<Softplus>;
    } };
}

/// The type of the table.
macro_rules! table_type {
    ($(fn $name:ident($($argument:ident: $type:ty),*) = $from:ident::$body:ident $(<$of:ident>)?;)*) => {
        /// The kernels for large work.
        pub struct Kernels<E> {
            $($name: unsafe fn($($type),*),)*
        }
    };
}
large!(table_type!);

/// The table of a level, for a pack.
macro_rules! table {
    ($module:ident $pack:ident
     $(fn $name:ident($($argument:ident: $type:ty),*) = $from:ident::$body:ident $(<$of:ident>)?;)*) => {
        Kernels { $($name: $module::$name::<arch::$pack, _>),* }
    };
}

/// A level's kernels, each a function with its features.
macro_rules! kernels {
    ($features:literal
     $(fn $name:ident($($argument:ident: $type:ty),*) = $from:ident::$body:ident $(<$of:ident>)?;)*) => { $(
        #[inline]
        #[target_feature(enable = $features)]
        pub unsafe fn $name<P: Lanes<Element = E>, E: super::Float>($($argument: $type),*) {
            // SAFETY: as the caller promises; the features are on.
            unsafe { $from::$body::<P $(, $of)?>($($argument),*) }
        }
    )* };
}

macro_rules! level {
    ($level:ident $module:ident, $features:literal) => {
        mod $module {
            use super::math::{self, Exp, Gelu, Relu, Sigmoid, Softplus, Tanh};
            use super::vector::{self, NARROW, WIDE};
            use super::{Lanes, Product, Size, Start, panels};

            large!(kernels! $features);
            // These are small wherever they are called.
            kernels! { $features
                fn small_column(size: Size, w: *const E, x: *const E, y: *mut E, start: Start<E>)
                    = vector::column<NARROW>;
                fn small_pullback(size: Size, w: *const E, dy: *const E, dx: *mut E)
                    = vector::pullback<NARROW>;
                fn add_scaled(factor: E, g: *const E, w: *mut E, len: usize) = vector::add_scaled;
            }

            // Where the level is no constant, `trust` wants a function of its own.
            #[cfg_attr(all(target_arch = "x86_64", not(target_feature = "avx512bw")), inline(never))]
            #[target_feature(enable = $features)]
            pub unsafe fn run<W: super::Work>(work: W) -> W::Output {
                // SAFETY: as the caller has seen. No kernel need look again.
                unsafe { super::arch::trust(Some(super::Level::$level)) };
                work.run()
            }
        }
    };
}

macro_rules! float {
    ($e:ident: $($level:ident $module:ident $pack:ident;)*) => {
        impl Float for $e {
            $(type $level = arch::$pack;)*

            #[inline(always)]
            fn table(level: Level) -> &'static Kernels<$e> {
                match level {
                    $(Level::$level => {
                        static TABLE: Kernels<$e> = large!(table! $module $pack);
                        &TABLE
                    })*
                }
            }
        }
    };
}

/// The levels of an architecture, the least first, each with module, features, packs of f32 and f64.
/// `$d` is a dollar, for the macro within.
macro_rules! levels {
    ($d:tt $($level:ident $module:ident $features:literal $f32:ident $f64:ident;)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
        pub enum Level {
            $($level,)*
        }

        /// f32 or f64.
        pub trait Float: Constants {
            $(type $level: Lanes<Element = Self>;)*
            fn table(level: Level) -> &'static Kernels<Self>;
        }

        $(level!($level $module, $features);)*
        float!(f32: $($level $module $f32;)*);
        float!(f64: $($level $module $f64;)*);

        /// Does the work with all that the CPU has.
        #[inline(always)]
        pub fn run<T: Scalar, W: Work>(work: W) -> W::Output {
            if TypeId::of::<T>() != TypeId::of::<f32>() && TypeId::of::<T>() != TypeId::of::<f64>() {
                return work.run();
            }
            match level() {
                // SAFETY: `level` has seen the features.
                $(Some(Level::$level) => unsafe { $module::run(work) },)*
                None => without(work),
            }
        }

        #[cfg(feature = "rayon")]
        fn lanes<E: Float>(level: Level) -> usize {
            match level {
                $(Level::$level => E::$level::LANES,)*
            }
        }

        /// A kernel of the level, to be inlined.
        macro_rules! inlined {
            ($d level:ident, $d kernel:ident<$d e:ident>($d($d argument:expr),*)) => {
                match $d level {
                    $(Level::$level => {
                        $module::$d kernel::<<$d e as Float>::$level, $d e>($d($d argument),*)
                    })*
                }
            };
        }

        /// All that this CPU has.
        #[cfg(test)]
        pub fn levels() -> Vec<Level> {
            let best = arch::level();
            [$(Level::$level),*].into_iter().filter(|&level| Some(level) <= best).collect()
        }
    };
}

#[cfg(target_arch = "x86_64")]
levels! { $
    Avx2 avx2 "avx2,fma,bmi2" F32x8 F64x4;
    Avx512 avx512 "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,bmi2" F32x16 F64x8;
}
#[cfg(target_arch = "aarch64")]
levels! { $
    Neon neon "neon" F32x4 F64x2;
}

/// Apart, so that the room on the stack for all that it inlines is made by it alone.
#[inline(never)]
fn without<W: Work>(work: W) -> W::Output {
    // SAFETY: `run` has seen it.
    unsafe { arch::trust(None) };
    work.run()
}

/// What the CPU has.
#[inline(always)]
pub fn level() -> Option<Level> {
    #[cfg(test)]
    if let Some(level) = FORCED.get() {
        return Some(level);
    }
    arch::level()
}

#[cfg(test)]
thread_local! {
    /// The level that a test wants.
    pub static FORCED: core::cell::Cell<Option<Level>> = const { core::cell::Cell::new(None) };
}

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
        let (lanes, threads) = (lanes::<E>(level), rayon::current_num_threads());
        // SAFETY: as the caller promises.
        return unsafe { product.by_threads(lanes, threads, &run) };
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
            } else if n == 1 {
                (E::table(level).column)((outputs, inputs), w, x, y, Start::Column(b));
            } else if inputs == 1 && outputs > 1 {
                (E::table(level).outer)((outputs, n), w, x, y, Start::Column(b));
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
pub fn descend<T: Scalar>(factor: T, size: Size, dy: &[T], x: &[T], w: &mut [T]) -> bool {
    samples(size.1, x) <= WHOLE && outer_from(size, dy, x, w, Start::Add(factor))
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

/// db = Σ dy over the samples, or added to db.
#[inline(always)]
pub fn sum_columns<T: Scalar>(dy: &[T], db: &mut [T], overwrite: bool) -> bool {
    let (m, n) = (db.len(), samples(db.len(), dy));
    if n == 0 {
        return false;
    }
    let (dy, db) = (dy.as_ptr(), db.as_mut_ptr());
    if_float!(T is E, level, (dy, db): {
        // SAFETY: as in `affine`.
        unsafe {
            if n == 1 && m <= SMALL {
                inlined!(level, sum_columns<E>((m, n), dy, db, overwrite));
            } else {
                (E::table(level).sum_columns)((m, n), dy, db, overwrite);
            }
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

/// x ← eˣ.
#[inline(always)]
pub fn exp<T: Scalar>(x: &mut [T]) -> bool {
    let (len, x) = (x.len(), x.as_mut_ptr());
    if_float!(T is E, level, (x): {
        // SAFETY: as in `affine`.
        unsafe {
            if len <= FEW {
                inlined!(level, exp<E>(x, x, len));
            } else {
                (E::table(level).exp)(x, x, len);
            }
        }
    })
}

/// Has this memory fetched to the caches.
#[cfg(feature = "alloc")]
pub fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(tile::LINE) {
        arch::prefetch::<true>(line.as_ptr());
    }
}

/// x = byte / 255, as far as both go.
pub fn brightness<T: Scalar>(bytes: &[u8], x: &mut [T]) -> bool {
    let (len, bytes, x) = (bytes.len().min(x.len()), bytes.as_ptr(), x.as_mut_ptr());
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
