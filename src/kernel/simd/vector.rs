//! What goes through memory once: an affine layer on one sample, sums over samples, updates. Who may
//! call is said in `tile`; the sizes are `(outputs, inputs)`.
#![allow(unsafe_code)]
// Packs may not stand in a closure, so that iterators are of no use here.
#![allow(clippy::needless_range_loop, clippy::indexing_slicing)]

use super::{
    few_rows::row_sums,
    pack::Pack,
    tile::{Product, Start, load, store},
};
use num_traits::ConstZero;

/// y = W·x + b for one sample, where y takes at most four packs.
#[inline(always)]
pub unsafe fn small_affine<P: Pack>(
    (outputs, inputs): (usize, usize),
    w: *const P::Element,
    b: *const P::Element,
    x: *const P::Element,
    y: *mut P::Element,
) {
    let (w_of, x, y) = ((w, 1, outputs), (x, 1, inputs), (y, outputs));
    let all = Product::new([outputs, inputs, 1], w_of, x, y, Start::Column(b));
    unsafe {
        if outputs == 1 {
            all.dot::<P, 1, 1>([w], 0, 0)
        } else if outputs <= P::Half::LANES {
            all.column::<P::Half, 0>()
        } else {
            all.column::<P, 0>()
        }
    }
}

/// y = W·x + b for one sample, as many rows in one pass over W as there are registers for.
#[inline(always)]
pub unsafe fn affine<P: Pack>(
    (outputs, inputs): (usize, usize),
    w: *const P::Element,
    b: *const P::Element,
    x: *const P::Element,
    y: *mut P::Element,
) {
    let (w_of, x_of, y_of) = ((w, 1, outputs), (x, 1, inputs), (y, outputs));
    let mut left = Product::new([outputs, inputs, 1], w_of, x_of, y_of, Start::Column(b));
    unsafe {
        if outputs == 1 {
            return left.dot::<P, 1, 1>([w], 0, 0);
        }
        while left.m > 4 * P::LANES {
            match left.m.div_ceil(P::LANES) {
                5 if P::PANEL == 3 => return left.few_columns::<P, 5, 1, 2, 8>(),
                6 if P::PANEL == 3 => return left.few_columns::<P, 6, 1, 2, 8>(),
                7 if P::PANEL == 3 => return left.few_columns::<P, 7, 1, 2, 8>(),
                8 if P::PANEL == 3 => return left.few_columns::<P, 8, 1, 2, 8>(),
                _ => Product { m: 4 * P::LANES, ..left }.few_columns::<P, 4, 1, 2, 8>(),
            }
            left = left.below(4 * P::LANES);
        }
        if inputs < 256 { left.column::<P, 0>() } else { left.column::<P, 8>() }
    }
}

/// dW = dy·xᵀ for one sample, from `start` on.
#[inline(always)]
pub unsafe fn outer<P: Pack>(
    (outputs, inputs): (usize, usize),
    dy: *const P::Element,
    x: *const P::Element,
    dw: *mut P::Element,
    start: Start<P::Element>,
) {
    // One output: dW is a row, and lies as a column does.
    let (m, n, a, b) = if outputs == 1 { (inputs, 1, x, dy) } else { (outputs, inputs, dy, x) };
    unsafe {
        let mut row = 0;
        while row < m {
            let (left, column) = (m - row, load::<P>(a.add(row), m - row));
            for j in 0..n {
                let (factor, c) = (P::splat(*b.add(j)), dw.add(j * m + row));
                let value = match start {
                    Start::Add(scale) => {
                        column.mul(factor).mul_add(P::splat(scale), load::<P>(c, left))
                    }
                    Start::Zero | Start::Column(_) => column.mul(factor),
                };
                store(value, c, left);
            }
            row += P::LANES;
        }
    }
}

/// dx = Wᵀ·dy for one sample: dot products with W's columns, as many at once as a pack has lanes.
#[inline(always)]
pub unsafe fn pullback<P: Pack>(
    (outputs, inputs): (usize, usize),
    w: *const P::Element,
    dy: *const P::Element,
    dx: *mut P::Element,
) {
    unsafe {
        if outputs == 1 {
            return outer::<P>((inputs, 1), w, dy, dx, Start::Zero);
        }
        let mut i = 0;
        while i < inputs {
            store(dots::<P>((outputs, inputs - i), w.add(i * outputs), dy), dx.add(i), inputs - i);
            i += P::LANES;
        }
    }
}

/// The same by narrow packs, of which a CPU sums up more at once, for what is soon done.
#[inline(always)]
pub unsafe fn small_pullback<P: Pack>(
    (outputs, inputs): (usize, usize),
    w: *const P::Element,
    dy: *const P::Element,
    dx: *mut P::Element,
) {
    unsafe {
        if outputs == 1 {
            return outer::<P>((inputs, 1), w, dy, dx, Start::Zero);
        }
        let (mut i, half) = (0, P::Half::LANES);
        while i < inputs {
            let (left, w) = (inputs - i, w.add(i * outputs));
            let low = dots::<P::Half>((outputs, left), w, dy);
            let high = if half < P::LANES && left > half {
                dots::<P::Half>((outputs, left - half), w.add(half * outputs), dy)
            } else {
                low
            };
            // Whole, as a store of halves is slow to be loaded from.
            store(P::whole(low, high), dx.add(i), left);
            i += P::LANES;
        }
    }
}

/// The dot products of dy with the first columns of W, as many as a pack has lanes, or all.
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

/// db = Σ of `samples` columns of dy, or added to db.
#[inline(always)]
pub unsafe fn sum_columns<P: Pack>(
    (m, samples): (usize, usize),
    dy: *const P::Element,
    db: *mut P::Element,
    overwrite: bool,
) {
    unsafe {
        let mut row = 0;
        while row < m {
            let left = m - row;
            let mut sum =
                if overwrite { P::splat(P::Element::ZERO) } else { load(db.add(row), left) };
            for sample in 0..samples {
                sum = sum.add(load(dy.add(sample * m + row), left));
            }
            store(sum, db.add(row), left);
            row += P::LANES;
        }
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
