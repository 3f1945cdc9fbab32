//! Work that goes through memory once: an affine layer on one sample, sums over samples, updates. `tile` says who may
//! call these functions. Sizes are `(outputs, inputs)`.
#![allow(unsafe_code)]
// A pack must not be used in a closure, so iterators do not help here.
#![allow(clippy::needless_range_loop, clippy::indexing_slicing)]

use super::{
    constants::Constants,
    few_rows::row_sums,
    pack::{Pack, load, store},
    tile::{Product, Start},
};
use num_traits::ConstZero;

/// The packs of a kernel for one sample. Small work uses narrow packs, because a CPU computes more of them at once.
/// Other work uses wide ones.
pub const NARROW: bool = true;
pub const WIDE: bool = false;

/// y = start + W·x, a matrix by a column. One pass over W computes as many rows as there are registers for. The
/// columns of W begin `step` numbers apart.
#[inline(always)]
pub unsafe fn column<P: Pack, const NARROWLY: bool>(
    (outputs, inputs): (usize, usize),
    (w, step): (*const P::Element, usize),
    x: *const P::Element,
    y: *mut P::Element,
    start: Start<P::Element>,
) {
    let size = [outputs, inputs, 1];
    let all = Product::new(size, (w, 1, step), (x, 1, inputs), (y, outputs), start);
    unsafe {
        if outputs == 1 && step == 1 {
            all.dot::<P, 1, 1>([w], 0, 0);
        } else if NARROWLY && outputs <= P::Half::LANES {
            all.column::<P::Half, 0>();
        } else if NARROWLY {
            all.column::<P, 0>();
        } else if outputs * inputs * size_of::<P::Element>() <= 32 * 1024 {
            // What fits in the first-level cache need not be prefetched.
            all.one_column::<P, 0>();
        } else {
            all.one_column::<P, 8>();
        }
    }
}

impl<E: Constants> Product<E> {
    /// A product with one column, of any height.
    #[inline(always)]
    unsafe fn one_column<P: Pack<Element = E>, const AHEAD: usize>(mut self) {
        unsafe {
            while self.m > 4 * P::LANES {
                // A constant, so that nothing is compiled if it is false.
                if const { P::PANEL == 3 && AHEAD > 0 } {
                    match self.m.div_ceil(P::LANES) {
                        5 => return self.few_columns::<P, 5, 1, 2, AHEAD>(),
                        6 => return self.few_columns::<P, 6, 1, 2, AHEAD>(),
                        7 => return self.few_columns::<P, 7, 1, 2, AHEAD>(),
                        8 => return self.few_columns::<P, 8, 1, 2, AHEAD>(),
                        _ => {}
                    }
                }
                Product { m: 4 * P::LANES, ..self }.few_columns::<P, 4, 1, 2, AHEAD>();
                self = self.below(4 * P::LANES);
            }
            self.column::<P, AHEAD>();
        }
    }
}

/// dW = start + dy·xᵀ for one sample; or y = W·x + b for one input.
#[inline(always)]
pub unsafe fn product_nt<P: Pack>(
    (outputs, inputs): (usize, usize),
    dy: *const P::Element,
    x: *const P::Element,
    dw: *mut P::Element,
    start: Start<P::Element>,
) {
    // One output: dW is a row, with the layout of a column.
    let (m, n, a, b) = if outputs == 1 { (inputs, 1, x, dy) } else { (outputs, inputs, dy, x) };
    unsafe {
        let mut row = 0;
        while row < m {
            let (left, column) = (m - row, load::<P>(a.add(row), m - row));
            let first = match start {
                Start::Column(start) => load::<P>(start.add(row), left),
                _ => P::splat(P::Element::ZERO),
            };
            for j in 0..n {
                let (factor, c) = (P::splat(*b.add(j)), dw.add(j * m + row));
                let value = match start {
                    Start::Add(scale) => {
                        column.mul(factor).mul_add(P::splat(scale), load::<P>(c, left))
                    }
                    Start::Column(_) => column.mul_add(factor, first),
                    Start::Zero => column.mul(factor),
                };
                store(value, c, left);
            }
            row += P::LANES;
        }
    }
}

/// dx = Wᵀ·dy for one sample: dot products with the columns of W, as many at a time as a pack has lanes.
#[inline(always)]
pub unsafe fn product_tn<P: Pack, const NARROWLY: bool>(
    (outputs, inputs): (usize, usize),
    w: *const P::Element,
    dy: *const P::Element,
    dx: *mut P::Element,
) {
    unsafe {
        if outputs == 1 {
            return product_nt::<P>((inputs, 1), w, dy, dx, Start::Zero);
        }
        let (mut i, half) = (0, P::Half::LANES);
        while i < inputs {
            let (left, w) = (inputs - i, w.add(i * outputs));
            let sums = if NARROWLY {
                let low = dots::<P::Half>((outputs, left), w, dy);
                let high = if half < P::LANES && left > half {
                    dots::<P::Half>((outputs, left - half), w.add(half * outputs), dy)
                } else {
                    low
                };
                // One whole store: loading after two half stores is slow.
                P::whole(low, high)
            } else {
                dots::<P>((outputs, left), w, dy)
            };
            store(sums, dx.add(i), left);
            i += P::LANES;
        }
    }
}

/// The dot products of dy with the first columns of W: as many as a pack has lanes, or fewer if `columns` is less.
#[inline(always)]
unsafe fn dots<P: Pack>(
    (outputs, columns): (usize, usize),
    w: *const P::Element,
    dy: *const P::Element,
) -> P {
    unsafe {
        let (mut sums, mut row) = ([P::splat(P::Element::ZERO); 32], 0);
        while row < outputs {
            let left = outputs - row;
            let dy = load::<P>(dy.add(row), left);
            for r in 0..P::LANES {
                if r < columns {
                    let w = load::<P>(w.add(r * outputs + row), left);
                    sums[r] = w.mul_add(dy, sums[r]);
                }
            }
            row += P::LANES;
        }
        row_sums(&sums, 0)
    }
}

/// w ← w + factor·g.
#[inline(always)]
pub unsafe fn add_scaled<P: Pack>(
    factor: P::Element,
    g: *const P::Element,
    w: *mut P::Element,
    len: usize,
) {
    unsafe {
        let (factor, mut i) = (P::splat(factor), 0);
        while i < len {
            let left = len - i;
            let value = load::<P>(g.add(i), left).mul_add(factor, load(w.add(i), left));
            store(value, w.add(i), left);
            i += P::LANES;
        }
    }
}
