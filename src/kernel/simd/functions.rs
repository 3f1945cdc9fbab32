//! Functions of each number of a slice, and which kernel computes a given length. A function that returns false has
//! done nothing, and the plain loops take over.
#![allow(unsafe_code)]

#[cfg(feature = "rayon")]
use super::threads;
use super::{
    Float, level,
    math::{Exp, Ln1p},
    small::FEW,
};
#[cfg(feature = "alloc")]
use super::{arch, tile};
use crate::{Number, kernel::loops};
use core::any::TypeId;

/// The most numbers for which a function is inlined.
const INLINED: usize = 64;

/// The least numbers for which another thread saves time. Such slices go through memory.
#[cfg(feature = "rayon")]
const LONG: usize = 1 << 17;

/// Calls `run` on `len` numbers at `pointers`: on all, or on a part in each thread.
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
        unsafe {
            if len < FEW {
                few!(level, small::add_scaled<E>(*factor, g, w, len));
            } else {
                inlined!(level, add_scaled<E>(*factor, g, w, len));
            }
        }
    })
}

macro_rules! elementwise {
    ($($name:ident($($x:ident),*) $arithmetic:literal;)*) => { $(
        /// Entry by entry, if all slices have the same length.
        #[inline(always)]
        pub fn $name<T: Number>($($x: &[T],)* to: &mut [T]) -> bool {
            let len = to.len();
            if $($x.len() != len)||* {
                return false;
            }
            if $arithmetic && len < FEW {
                loops::$name($($x,)* to);
                return true;
            }
            let ($($x,)* to) = ($($x.as_ptr(),)* to.as_mut_ptr());
            if_float!(T is E, level, ($($x,)* to): {
                // SAFETY: as in `affine`.
                unsafe {
                    if len <= INLINED {
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
    relu(x) true;
    relu_back(x, dy) true;
    tanh(x) false;
    tanh_back(y, dy) true;
    sigmoid(x) false;
    sigmoid_back(y, dy) true;
    gelu(x) false;
    gelu_back(x, dy) false;
    silu(x) false;
    gelu_tanh(x) false;
    elu(x) false;
    softplus(x) false;
}

macro_rules! in_place {
    ($($name:ident $function:ident)*) => { $(
        /// Entry by entry.
        #[inline(always)]
        pub fn $name<T: Number>(x: &mut [T]) -> bool {
            let (len, x) = (x.len(), x.as_mut_ptr());
            if_float!(T is E, level, (x): {
                // SAFETY: as in `affine`.
                unsafe {
                    if len < FEW {
                        few!(level, math::few<E, $function>(x, len));
                    } else if len <= INLINED {
                        inlined!(level, $name<E>(x, x, len));
                    } else {
                        (E::table(level).$name)(x, x, len);
                    }
                }
            })
        }
    )* };
}
in_place!(exp Exp ln_1p Ln1p);

/// Fetches this memory into the first-level cache.
#[cfg(feature = "alloc")]
pub fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(tile::LINE) {
        arch::prefetch(line.as_ptr());
    }
}

/// x = byte / 255, if both slices have the same length.
#[cfg(feature = "alloc")]
pub fn from_bytes<T: Number>(bytes: &[u8], x: &mut [T]) -> bool {
    // A row of 16 is whole packs at every level.
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
