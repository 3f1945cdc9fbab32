//! The SIMD kernels: which instructions the CPU has, and a function for each kernel and instruction set.
//!
//! # How a call finds its kernel
//!
//! A layer calls a function of `kernel`, such as `affine`. That function asks `products` (or `functions`) first, which
//! checks the lengths of the slices and the scalar, and chooses a way by the sizes. If it returns false (another scalar,
//! a CPU without the instructions, sizes that disagree), `kernel::loops` does the work.
//!
//! ```text
//!         affine            product_nt           product_tn          sum_columns
//!       y = W·x + b         dW = dy·xᵀ           dx = Wᵀ·dy           db = Σ dy
//!            └──────────────────┴───────────┬────────┴───────────────────┘
//!                                       products
//!      ┌─────────────────────┬──────────────┴──────────┬─────────────────────────┐
//!  up to 32 weights,    one sample, up to        one or two samples        more samples
//!  four samples         1024 weights             vector: goes through      `product`, a general
//!  small: loops over    vector, inlined: the     W once, no copy           C = start + A·B
//!  single numbers       sizes are constants                                      │
//!                                ┌──────────────────────┬────────────────────────┤
//!                          more than 4096 k       four million             B over 1 MiB: some
//!                          deep: parts, and       multiplications:         columns after the other
//!                          sums of their sums     threads
//!                                └──────────────────────┴────────────────────────┤
//!                                                                         panels::product
//!                                ┌───────────────────────────────┬───────────────┴───────┐
//!                          few rows that are              AVX-512, B mostly        everything else:
//!                          left over: few_rows            zeros: zeros             panels, made of tiles
//!
//!   functions of one number (tanh, …): `functions` sends up to 64 numbers to `math`, inlined, and more by the table
//! ```
//!
//! The way down to `vector` and `product` is a call through a table of functions ([`Kernels`]), one table for each
//! scalar and level. This crate compiles each function of the table once. Only small work is inlined in the
//! user's crate. So the whole step of a net runs in one function with the features ([`run`], [`Work`]), and
//! all that it calls is `inline(always)`.
//!
//! `product_nt` (the gradient of W) goes to `vector` for one sample. `product_tn` goes to `vector` for up to three
//! samples, because with so few it does not pay to copy W; with up to four outputs and one sample it goes to `small`, as
//! their columns of W are shorter than a register. A matrix of one row or column is a product of a matrix and
//! a column: `column`.
//!
//! # An example: 50×784 by 784×100
//!
//! This is the first layer of 784-50-10 with 100 samples, in f32 with AVX-512 (16 numbers in a register).
//!
//! 1. `affine` has 100 samples, so it calls `product` with m = 50, k = 784, n = 100.
//! 2. k is less than 4096, so the sums are not split. 50·784·100 is 3.9 million multiplications, less than the
//!    4.2 million from which threads are worth it. B takes 314 KB, less than 1 MiB, so it stays whole.
//! 3. 50 rows are three registers of 16 and two rows. The two go to `few_rows`, as dot products, because a register
//!    for two rows would cost as much as a full one. They go there by dots because the columns of B are contiguous.
//! 4. The other 48 rows are one panel, three registers high. n and k are at least 16, so copying pays. `zeros` looks at
//!    128 numbers of B. If at most a third of them is other than 0, as with images of MNIST, the product goes through
//!    `zeros`.
//! 5. Otherwise `panels` cuts k into 7 blocks of 112, as 24 KiB hold 128 columns of 48 numbers. In each block the first
//!    tile copies the block of W to the stack while it computes. A tile is 3 registers by 8 columns, and its 24
//!    sums stay in registers while k runs. 12 tiles take 96 columns, and one tile of 4 columns takes the rest.
//!
//! With AVX2 a register holds 8 numbers and a panel is 2 high: 3 panels of 16 rows, with tiles of 6 columns.
//! Nothing skips zeros. In f64 with AVX-512 the 48 rows are two panels of 24.
//!
//! # How to add a kernel
//!
//! A convolution without im2col, say:
//!
//! 1. Write its plain loop in `kernel::loops`, for every scalar, and its line in the list of `kernel::each`. A kernel
//!    without a line here always runs as its loop (`no_simd` has the same list).
//! 2. Write the kernel over [`pack::Pack`] in a file of its own: an `unsafe fn conv<P: Pack>(..)` over pointers that is
//!    `inline(always)`, with loops and no closures around packs. `vector` is the shortest example.
//! 3. Name it in `large!`: this makes one compiled function for each scalar and level, and an entry in the tables.
//! 4. In `products` write the function that checks the lengths, casts the pointers (`if_float!`) and calls
//!    `(E::table(level).conv)(..)`.
//! 5. `tests/unit/kernel.rs` compares both for every level of the CPU: add the call, with the error that the order of the
//!    sums allows.
//!
//! # What each file holds
//!
//! | file | contents |
//! |---|---|
//! | `mod` | levels (instruction sets), the tables, `run` |
//! | `products`, `functions` | checked sizes, and which way a size takes |
//! | `small` | layers of a few numbers, number by number |
//! | `deep` | products over many k |
//! | `pack` | one register and its operations, as a trait |
//! | `lanes` | what functions need of a register besides |
//! | `constants` | what differs between f32 and f64: polynomials, limits |
//! | `x86`, `neon` | the registers of each architecture, and how to ask the CPU |
//! | `tile` | `Product`, and a tile of C whose sums stay in registers |
//! | `panels` | a product as panels of rows, each copied to the stack if that pays |
//! | `few_rows` | rows too few for a register |
//! | `zeros` | a product where B is mostly zeros |
//! | `vector` | one sample: what goes through memory once |
//! | `threads` | a product or function in parts, on several threads |
//! | `math`, `tanh` | functions of one number |
//!
//! # Constants
//!
//! | constant | value | why |
//! |---|---|---|
//! | `products::SMALL` | 1024 multiplications | up to here one sample is inlined; without it a prediction of 8-16-16-4 took 1.5 times as long, a step of 2-16-16-1 1.2 times |
//! | `products::CACHE` | 1 MiB | B in parts that fit the second-level cache |
//! | `deep::DEEP` | 4096 | a longer sum is a sum of sums, to round less |
//! | `sum::GROUP` | 8 blocks | without groups the squared loss of 8,192 samples took 1.2 times as long |
//! | `functions::INLINED` | 64 numbers | up to here a function is inlined; without it a step of 2-16-16-1 took 1.1 times as long in f32, a prediction of 8-16-16-4 1.2 times in f64 |
//! | `small::FEW` | 16 numbers | a layer with as many outputs or more is faster with packs: 2-16-16-1 in f32 took 1.1 times as long without them |
//! | `small::WEIGHTS`, `SAMPLES` | 32, 4 | their sums stay in registers; a step of 4-8-3 fell from 176 to 59 ns (f32, one sample) |
//! | `small::SHORT` | 4 | the Jacobian of 8-16-16-4 fell from 179 to 162 ns (f32, AVX-512) |
//! | `products::WORTH_THREADS` | 2²² | some tens of microseconds; an eighth would do on an idle machine, but not on a busy one |
//! | `tile::BLOCK` | 24 KiB | three quarters of a first-level cache, so that some of B stays too |
//! | `panels::WIDTH` | 48 | whole tiles of 16, 12, 8, 6 and 4 columns |
//! | `panels::MANY` | 16 | with fewer columns, or fewer terms in a sum, copying a panel costs more than it saves |
//! | `panels::WHOLE` | 128 | a sum up to here is never cut into blocks |
//! | `panels::NARROW` | 256 bytes | a C of at most so many bytes has two sums for each number: a step of 4-8-3 with 8,192 samples fell by 8 %; parts of a large gradient have more bytes |
//! | `panels::HIGH` | 24 rows | with panels of 8 rows (f64, AVX2) skipping zeros made a training 1.3 times as long |
//! | `zeros::COLUMNS` | 2 | with more columns all are seldom zero; with one, each addition waits for the last |
//! | `threads::AWAKE` | 2¹⁴ turns | some hundred microseconds; a thread that slept would wake too late |
//!
//! # Bits
//!
//! If a kernel computes only some columns of a product, they have the bits of the whole product. So training may take a gradient in pieces, and
//! threads may cut a product. For this the choice of a way may depend on rows and k, but not on the number of
//! columns. Where it does (one or two columns, or no more bytes than `NARROW`), the callers avoid cutting there
//! (`kernel::next_part`).
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
#[path = "neon.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "x86.rs"]
mod arch;
mod constants;
mod deep;
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
mod small;
#[cfg(target_arch = "x86_64")]
mod tanh;
#[cfg(feature = "rayon")]
mod threads;
mod tile;
mod vector;
mod zeros;

use super::{Size, Work};
use crate::Number;
use constants::Constants;
use core::any::TypeId;
use lanes::Lanes;
use tile::{Product, Start};

/// Calls `$for!` with `$before` and the list of the kernels for large work, which go through a table.
macro_rules! large {
    ($for:ident! $($before:tt)*) => { $for! { $($before)*
        fn product(product: Product<E>) = panels::product;
        fn column(size: Size, w: (*const E, usize), x: *const E, y: *mut E, start: Start<E>)
            = vector::column<WIDE>;
        fn product_nt(size: Size, dy: *const E, x: *const E, dw: *mut E, start: Start<E>) = vector::product_nt;
        fn product_tn(size: Size, w: *const E, dy: *const E, dx: *mut E) = vector::product_tn<WIDE>;
        fn relu(x: *const E, y: *mut E, len: usize) = math::apply<Relu>;
        fn tanh(x: *const E, y: *mut E, len: usize) = math::apply<Tanh>;
        fn sigmoid(x: *const E, y: *mut E, len: usize) = math::apply<Sigmoid>;
        fn gelu(x: *const E, y: *mut E, len: usize) = math::apply<Gelu>;
        fn silu(x: *const E, y: *mut E, len: usize) = math::apply<Silu>;
        fn gelu_tanh(x: *const E, y: *mut E, len: usize) = math::apply<GeluTanh>;
        fn elu(x: *const E, y: *mut E, len: usize) = math::apply<Elu>;
        fn softplus(x: *const E, y: *mut E, len: usize) = math::apply<Softplus>;
        fn exp(x: *const E, y: *mut E, len: usize) = math::apply<Exp>;
        fn ln_1p(x: *const E, y: *mut E, len: usize) = math::apply<Ln1p>;
        fn from_bytes(bytes: *const u8, x: *mut E, len: usize) = math::from_bytes;
        fn relu_back(x: *const E, dy: *const E, dx: *mut E, len: usize) = math::back<Relu>;
        fn tanh_back(y: *const E, dy: *const E, dx: *mut E, len: usize) = math::back<Tanh>;
        fn sigmoid_back(y: *const E, dy: *const E, dx: *mut E, len: usize) = math::back<Sigmoid>;
        fn gelu_back(x: *const E, dy: *const E, dx: *mut E, len: usize) = math::back<Gelu>;
    } };
}

/// The type of the table.
macro_rules! table_type {
    ($(fn $name:ident($($argument:ident: $type:ty),*) = $from:ident::$body:ident $(<$of:ident>)?;)*) => {
        /// The kernels for large work.
        #[cfg_attr(not(feature = "alloc"), expect(dead_code, reason = "bytes come from data on the heap"))]
        pub struct Kernels<E> {
            $($name: unsafe fn($($type),*),)*
        }
    };
}
large!(table_type!);

/// The table of one level, for one pack.
macro_rules! table {
    ($module:ident $pack:ident
     $(fn $name:ident($($argument:ident: $type:ty),*) = $from:ident::$body:ident $(<$of:ident>)?;)*) => {
        Kernels { $($name: $module::$name::<arch::$pack, _>),* }
    };
}

/// The kernels of a level. Each is a function with the CPU features of the level.
macro_rules! kernels {
    ($features:literal
     $(fn $name:ident($($argument:ident: $type:ty),*) = $from:ident::$body:ident $(<$of:ident>)?;)*) => { $(
        #[inline]
        #[target_feature(enable = $features)]
        pub unsafe fn $name<P: Lanes<Element = E>, E: super::Float>($($argument: $type),*) {
            // SAFETY: the caller promises it, and the features are enabled.
            unsafe { $from::$body::<P $(, $of)?>($($argument),*) }
        }
    )* };
}

macro_rules! level {
    ($level:ident $module:ident, $features:literal) => {
        mod $module {
            use super::math::{self, Elu, Exp, Gelu, GeluTanh, Ln1p, Relu, Sigmoid, Silu, Softplus, Tanh};
            use super::vector::{self, NARROW, WIDE};
            use super::{Lanes, Product, Size, Start, panels};

            large!(kernels! $features);
            // These are called for small work only.
            kernels! { $features
                fn small_column(size: Size, w: (*const E, usize), x: *const E, y: *mut E, start: Start<E>)
                    = vector::column<NARROW>;
                fn add_scaled(factor: E, g: *const E, w: *mut E, len: usize) = vector::add_scaled;
            }

            // If the level is not a constant, `trust` needs a separate function.
            #[cfg_attr(all(target_arch = "x86_64", not(target_feature = "avx512bw")), inline(never))]
            #[target_feature(enable = $features)]
            pub unsafe fn run<W: super::Work>(work: W) -> W::Output {
                // SAFETY: the caller has checked the features. No kernel need check again.
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

/// The levels of an architecture, the lowest first, each with its module, its features, and its packs for f32 and
/// f64. The registers of each have twice the bytes of the one before. `$d` is a dollar sign, for the inner macro.
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

        /// Runs the work with all the features that the CPU has.
        #[inline(always)]
        pub fn run<T: Number, W: Work>(work: W) -> W::Output {
            if TypeId::of::<T>() != TypeId::of::<f32>() && TypeId::of::<T>() != TypeId::of::<f64>() {
                return work.run();
            }
            match level_now() {
                // SAFETY: `level_now` has checked the features.
                $(Some(Level::$level) => unsafe { $module::run(work) },)*
                None => without(work),
            }
        }

        /// A kernel of the level, inlined in `products` and `functions`.
        macro_rules! inlined {
            ($d level:ident, $d kernel:ident<$d e:ident>($d($d argument:expr),*)) => {
                match $d level {
                    $(super::Level::$level => {
                        super::$module::$d kernel::<<$d e as Float>::$level, $d e>($d($d argument),*)
                    })*
                }
            };
        }

        /// A function for few numbers, inlined whatever the compiler makes of its size.
        macro_rules! few {
            ($d level:ident, $d module:ident::$d function:ident<$d e:ident $d(, $d of:ident)?>($d($d argument:expr),*)) => {
                match $d level {
                    $(super::Level::$level => {
                        super::$d module::$d function::<<$d e as Float>::$level $d(, $d of)?>($d($d argument),*)
                    })*
                }
            };
        }

        /// All levels of this CPU.
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

/// A separate function, so that only it reserves the stack for all that it inlines.
#[inline(never)]
fn without<W: Work>(work: W) -> W::Output {
    // SAFETY: `run` has checked it.
    unsafe { arch::trust(None) };
    work.run()
}

macro_rules! unless_forced {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name() -> Option<Level> {
            #[cfg(test)]
            if let Some(level) = FORCED.get() {
                return Some(level);
            }
            arch::$name()
        }
    };
}
unless_forced!(/// The level of the CPU.
    level);
unless_forced!(/// The same, at the start of a step.
    level_now);

#[cfg(test)]
thread_local! {
    /// The level that a test asks for.
    pub static FORCED: core::cell::Cell<Option<Level>> = const { core::cell::Cell::new(None) };
}

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

// After the macros that they use.
mod functions;
mod products;
pub use functions::*;
pub use products::*;
