//! Layers of a few numbers, as plain loops. If the sizes of a net are constants, the compiler unrolls these loops and
//! keeps the numbers in registers from one loop to the next. Packs would be mostly empty, and after a store of a part
//! of a pack the next load waits. The comment in `tile` says when these functions may be called. A size is `(outputs,
//! inputs)`.
#![allow(unsafe_code)]
#![allow(clippy::needless_range_loop, clippy::indexing_slicing)]

use super::{Size, lanes::Lanes};
use core::sync::atomic::{Ordering, compiler_fence};
use num_traits::ConstZero;

/// Whether a layer is small with this number of samples.
#[inline(always)]
pub const fn is_small((outputs, inputs): Size, samples: usize) -> bool {
    let some = outputs > 0 && inputs > 0;
    some && outputs < FEW && inputs < FEW && outputs * inputs <= WEIGHTS && samples <= SAMPLES
}

/// Whether the columns of W are so short that they would leave packs mostly empty.
#[inline(always)]
pub const fn is_short((outputs, inputs): Size) -> bool {
    outputs > 0 && outputs <= SHORT && inputs <= WEIGHTS
}

/// With this number of numbers, packs are no longer mostly empty.
pub const FEW: usize = 16;
/// The most weights, and the most samples, that registers can hold.
const WEIGHTS: usize = 32;
const SAMPLES: usize = 4;
/// The most outputs of a short column.
const SHORT: usize = 4;

/// Computes all numbers before it writes the first one. So the compiler knows that no write changes a number that is
/// read later.
macro_rules! write_all {
    ($to:expr, $count:expr, |$i:ident| $value:expr) => {{
        let (mut all, to) = ([ConstZero::ZERO; WEIGHTS], $to);
        for $i in 0..$count {
            all[$i] = $value;
        }
        for i in 0..$count {
            *to.add(i) = all[i];
        }
    }};
}

/// y = W·x + b.
#[inline(always)]
pub unsafe fn affine<P: Lanes>(
    (outputs, inputs): Size,
    samples: usize,
    (w, b): (*const P::Element, *const P::Element),
    x: *const P::Element,
    y: *mut P::Element,
) {
    unsafe {
        for s in 0..samples {
            write_all!(y.add(s * outputs), outputs, |o| {
                // Two sums, so that an addition does not wait for the one before.
                let mut sums = [*b.add(o), P::Element::ZERO];
                for i in 0..inputs {
                    let product = *w.add(i * outputs + o) * *x.add(s * inputs + i);
                    sums[i % 2] = if i == 1 { product } else { sums[i % 2] + product };
                }
                if inputs < 2 { sums[0] } else { sums[0] + sums[1] }
            });
        }
    }
}

/// dx = Wᵀ·dy.
#[inline(always)]
pub unsafe fn product_tn<P: Lanes>(
    (outputs, inputs): Size,
    samples: usize,
    w: *const P::Element,
    dy: *const P::Element,
    dx: *mut P::Element,
) {
    unsafe {
        for s in 0..samples {
            write_all!(dx.add(s * inputs), inputs, |i| {
                let mut sum = *w.add(i * outputs) * *dy.add(s * outputs);
                for o in 1..outputs {
                    sum += *w.add(i * outputs + o) * *dy.add(s * outputs + o);
                }
                sum
            });
        }
    }
}

/// dW = dy·xᵀ, or dW + factor·(dy·xᵀ).
#[inline(always)]
pub unsafe fn product_nt<P: Lanes>(
    (outputs, inputs): Size,
    samples: usize,
    dy: *const P::Element,
    x: *const P::Element,
    dw: *mut P::Element,
    factor: Option<P::Element>,
) {
    unsafe {
        let mut all = [P::Element::ZERO; WEIGHTS];
        for i in 0..inputs {
            for o in 0..outputs {
                let mut sum = *dy.add(o) * *x.add(i);
                for s in 1..samples {
                    sum += *dy.add(s * outputs + o) * *x.add(s * inputs + i);
                }
                all[i * outputs + o] = sum;
            }
        }
        for i in 0..inputs {
            let (all, dw) = (all.as_ptr().add(i * outputs), dw.add(i * outputs));
            write_all!(dw, outputs, |o| match factor {
                Some(factor) => P::fused(*all.add(o), factor, *dw.add(o)),
                None => *all.add(o),
            });
            // The next step loads one column at a time. A load that reads from two stores waits for both. So the
            // compiler must not write two columns with one store.
            compiler_fence(Ordering::SeqCst);
        }
    }
}

/// w ← w + factor·g.
#[inline(always)]
pub unsafe fn add_scaled<P: Lanes>(
    factor: P::Element,
    g: *const P::Element,
    w: *mut P::Element,
    len: usize,
) {
    unsafe { write_all!(w, len, |i| P::fused(*g.add(i), factor, *w.add(i))) }
}
