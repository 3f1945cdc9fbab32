//! The rows of a product that are too few for a pack. They are computed as dot products, or with the columns of C in
//! the packs. `tile` says who may call these functions.
#![allow(unsafe_code)]
// A pack must not be used in a closure, so iterators do not help here.
#![allow(clippy::needless_range_loop, clippy::manual_memcpy, clippy::indexing_slicing)]

use super::{
    constants::Constants,
    pack::{Pack, astray, load},
    tile::{Aligned, Product, Start},
};
use core::mem::MaybeUninit;

impl<E: Constants> Product<E> {
    /// A few rows, as dot products along k, which is contiguous in B.
    #[inline(always)]
    pub(super) unsafe fn by_dots<P: Pack<Element = E>>(self) {
        const DEPTH: usize = 512;
        let mut room = Aligned([[MaybeUninit::uninit(); DEPTH]; 4]);
        unsafe {
            let mut done = 0;
            while done < self.k {
                let k = DEPTH.min(self.k - done);
                let mut rows = [self.a; 4];
                for r in 0..self.m.min(4) {
                    rows[r] = self.a.add(r * self.a_row + done * self.a_column);
                    if self.a_column != 1 {
                        for i in 0..k {
                            room.0[r][i] = MaybeUninit::new(*rows[r].add(i * self.a_column));
                        }
                        rows[r] = room.0[r].as_ptr().cast();
                    }
                }
                let part = self.block(done, k);
                let mut r = 0;
                while r + 2 <= self.m {
                    // With sixteen registers, eight columns would leave none for the numbers.
                    let rows = [rows[r], rows[r + 1]];
                    match const { P::PANEL == 3 } {
                        true => part.dots::<P, 2, 8>(rows, r),
                        false => part.dots::<P, 2, 4>(rows, r),
                    }
                    r += 2;
                }
                if r < self.m {
                    part.dots::<P, 1, 8>([rows[r]], r);
                }
                done += k;
            }
        }
    }

    #[inline(always)]
    unsafe fn dots<P: Pack<Element = E>, const ROWS: usize, const COLUMNS: usize>(
        self,
        rows: [*const E; ROWS],
        row: usize,
    ) {
        unsafe {
            for column in (0..self.n).step_by(COLUMNS) {
                self.dot::<P, ROWS, COLUMNS>(rows, row, column);
            }
        }
    }

    /// `COLUMNS` columns from `column` on. Columns beyond the last one repeat the last one.
    #[inline(always)]
    pub(super) unsafe fn dot<P: Pack<Element = E>, const ROWS: usize, const COLUMNS: usize>(
        self,
        rows: [*const E; ROWS],
        row: usize,
        column: usize,
    ) {
        unsafe {
            let real = COLUMNS.min(self.n - column);
            let mut columns = [self.b.add(column * self.b_column); COLUMNS];
            for j in 1..COLUMNS {
                columns[j] = columns[j - 1].add(if j < real { self.b_column } else { 0 });
            }
            let mut sums = [[P::splat(E::ZERO); ROWS]; COLUMNS];
            let mut k = 0;
            macro_rules! step {
                ($left:expr) => {{
                    let mut a = [P::splat(E::ZERO); ROWS];
                    for r in 0..ROWS {
                        a[r] = load::<P>(rows[r].add(k), $left);
                    }
                    for j in 0..COLUMNS {
                        let b = load::<P>(columns[j].add(k), $left);
                        for r in 0..ROWS {
                            sums[j][r] = a[r].mul_add(b, sums[j][r]);
                        }
                    }
                }};
            }
            while k + P::LANES <= self.k {
                step!(P::LANES);
                k += P::LANES;
            }
            if k < self.k {
                step!(self.k - k);
            }
            let (mut flat, mut out) = ([P::splat(E::ZERO); 32], [E::ZERO; 32]);
            for j in 0..COLUMNS {
                for r in 0..ROWS {
                    flat[j * ROWS + r] = sums[j][r];
                }
            }
            for first in (0..ROWS * COLUMNS).step_by(P::LANES) {
                row_sums(&flat, first).store(out.as_mut_ptr().add(first));
            }
            let mut c = self.c.add(column * self.c_column + row);
            for j in 0..real {
                for r in 0..ROWS {
                    let (c, sum) = (c.add(r), out[j * ROWS + r]);
                    *c = match self.start {
                        Start::Zero => sum,
                        Start::Column(start) => *start.add(row + r) + sum,
                        Start::Add(factor) => P::fused(sum, factor, *c),
                    };
                }
                c = c.wrapping_add(self.c_column);
            }
        }
    }

    /// A few rows, with the columns of C in the packs: Cᵀ = Bᵀ·Aᵀ. The rows of B are contiguous.
    #[inline(always)]
    pub(super) unsafe fn by_columns<P: Pack<Element = E>>(self) {
        const MOST: usize = 32;
        let mut part = Aligned(MaybeUninit::<[E; 4 * MOST]>::uninit());
        let part: *mut E = part.0.as_mut_ptr().cast();
        unsafe {
            let mut done = 0;
            while done < self.n {
                let b = self.b.add(done);
                // If the rows are long, it pays to begin with a short part up to the next cache line.
                let astray = if self.n > 8 * P::LANES { astray::<P>(b) } else { 0 };
                let m = (self.n - done).min(2 * P::LANES - astray);
                let swapped = Product::new(
                    [m, self.k, self.m],
                    (b, 1, self.b_row),
                    (self.a, self.a_column, self.a_row),
                    (part, MOST),
                    Start::Zero,
                );
                if self.has_two_sums(P::LANES * size_of::<E>()) {
                    swapped.few_columns::<P, 1, 4, 2, 0>();
                } else if const { P::LANES == 16 } && self.m > 2 {
                    match m > P::LANES {
                        true => swapped.few_columns::<P, 2, 4, 1, 0>(),
                        false => swapped.few_columns::<P, 1, 4, 1, 0>(),
                    }
                } else {
                    match m > P::LANES {
                        true => swapped.few_columns::<P, 2, 2, 1, 0>(),
                        false => swapped.few_columns::<P, 1, 2, 1, 0>(),
                    }
                }
                for j in 0..m {
                    for r in 0..self.m {
                        let c = self.c.add((done + j) * self.c_column + r);
                        let sum = *part.add(r * MOST + j);
                        *c = match self.start {
                            Start::Add(factor) => P::fused(sum, factor, *c),
                            _ => sum,
                        };
                    }
                }
                done += m;
            }
        }
    }
}

/// Lane r is the sum of all lanes of `rows[first + r]`.
#[inline(always)]
pub(super) fn row_sums<P: Pack>(all: &[P; 32], first: usize) -> P {
    let (mut rows, mut left) = ([all[0]; 16], P::LANES);
    for r in 0..P::LANES {
        rows[r] = all[first + r];
    }
    let blocks = P::LANES * size_of::<P::Element>() / 16;
    while left > 1 {
        let pairs = left > blocks;
        left /= 2;
        for i in 0..left {
            let (a, b) = (rows[2 * i], rows[2 * i + 1]);
            rows[i] = if pairs { a.pair_sums(b) } else { a.block_sums(b) };
        }
    }
    rows[0]
}
