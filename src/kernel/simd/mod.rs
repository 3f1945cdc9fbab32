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
mod constants;
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
mod zeros;

use super::{Size, Work};
use crate::Scalar;
use constants::Constants;
use core::any::TypeId;
use lanes::Lanes;
use tile::{Product, Start};

/// Hands on to `$for` what stands before it and the kernels for large work, which go through a table.
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
        fn softplus(x: *const E, y: *mut E, len: usize) = math::apply<Softplus>;
        fn exp(x: *const E, y: *mut E, len: usize) = math::apply<Exp>;
        fn ln_1p(x: *const E, y: *mut E, len: usize) = math::apply<Ln1p>;
        fn from_bytes(bytes: *const u8, x: *mut E, len: usize) = math::from_bytes;
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
            use super::math::{self, Exp, Gelu, Ln1p, Relu, Sigmoid, Softplus, Tanh};
            use super::vector::{self, NARROW, WIDE};
            use super::{Lanes, Product, Size, Start, panels};

            large!(kernels! $features);
            // These are small wherever they are called.
            kernels! { $features
                fn small_column(size: Size, w: (*const E, usize), x: *const E, y: *mut E, start: Start<E>)
                    = vector::column<NARROW>;
                fn small_product_tn(size: Size, w: *const E, dy: *const E, dx: *mut E)
                    = vector::product_tn<NARROW>;
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
            match level_now() {
                // SAFETY: `level_now` has seen the features.
                $(Some(Level::$level) => unsafe { $module::run(work) },)*
                None => without(work),
            }
        }

        /// A kernel of the level, to be inlined in `slices`.
        macro_rules! inlined {
            ($d level:ident, $d kernel:ident<$d e:ident>($d($d argument:expr),*)) => {
                match $d level {
                    $(Level::$level => {
                        super::$module::$d kernel::<<$d e as Float>::$level, $d e>($d($d argument),*)
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
unless_forced!(/// What the CPU has.
    level);
unless_forced!(/// The same, at the start of a step.
    level_now);

#[cfg(test)]
thread_local! {
    /// The level that a test wants.
    pub static FORCED: core::cell::Cell<Option<Level>> = const { core::cell::Cell::new(None) };
}

// After the macro that it uses.
mod slices;
pub use slices::*;
