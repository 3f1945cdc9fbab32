//! A product whose B is mostly zeros, as the pixels of most images are. Its tiles have few columns, and they skip
//! each k at which all of these columns are zero. Every sum has the bits of `tile`, except for the sign of a zero, so
//! both kinds of tiles can be used for one product. The comment in `tile` says when these functions may be called.
#![allow(unsafe_code)]
// Packs may not stand in a closure, so that iterators are of no use here.
#![allow(clippy::needless_range_loop, clippy::indexing_slicing)]

use super::{
    constants::Constants,
    pack::{Pack, astray, load},
    panels::{HIGH, depth, panel},
    tile::{Aligned, BLOCK, Product},
};
use core::mem::MaybeUninit;

/// The least multiplications for which the test of B saves time, and the number of entries that it tests.
const WORTH: usize = 1 << 18;
const LOOKS: usize = 128;

/// The columns of a tile. All of them must be zero to skip a k. With more columns that is rare. With one column each
/// addition waits for the one before.
const COLUMNS: usize = 2;

/// Tiles that are looked at together.
const TILES: usize = 8;

impl<E: Constants> Product<E> {
    /// Whether the columns of A are contiguous and at most a third of B seems to be nonzero.
    #[inline(always)]
    pub(super) unsafe fn mostly_zeros(&self) -> bool {
        if self.a_row != 1 || self.m * self.k * self.n < WORTH {
            return false;
        }
        let (mut i, mut others) = (0, 0);
        while i < LOOKS && others <= LOOKS / 3 {
            // Evenly over k, and over the columns in another order.
            let (k, column) = (i * self.k / LOOKS, i * 37 % LOOKS * self.n / LOOKS);
            // SAFETY: within B.
            let b = unsafe { *self.b.add(k * self.b_row + column * self.b_column) };
            others += usize::from(b != E::ZERO);
            i += 1;
        }
        others <= LOOKS / 3
    }

    /// Panel after panel, each copied, in the same blocks of k as any other.
    #[inline(always)]
    pub(super) unsafe fn nonzeros<P: Pack<Element = E>>(self) {
        let mut block = Aligned(MaybeUninit::<[u8; BLOCK]>::uninit());
        let block: *mut E = block.0.as_mut_ptr().cast();
        let (mut done, depth) = (0, depth::<P>(self.k));
        unsafe {
            while done < self.k {
                let mut part = self.block(done, depth);
                while part.m > 0 {
                    let packs = panel::<P>(part.m);
                    let now = Product { m: part.m.min(P::LANES * packs), ..part };
                    let finite = now.copy::<P>(P::LANES * packs, block);
                    Product { a: block, ..now }.panel_of_nonzeros::<P>(packs, finite);
                    part = part.below(now.m);
                }
                done += depth;
            }
        }
    }

    /// Copies A, of one panel of whole packs' `height`, to the block; false if a number of it, times zero,
    /// is not zero.
    #[inline(always)]
    unsafe fn copy<P: Pack<Element = E>>(&self, height: usize, block: *mut E) -> bool {
        unsafe {
            let (zero, mut others) = (P::splat(E::ZERO), 0);
            for row in (0..height).step_by(P::LANES) {
                for k in 0..self.k {
                    let a = load::<P>(self.a.add(k * self.a_column + row), self.m - row);
                    a.store(block.add(k * height + row));
                    others |= a.mul(zero).nonzeros(zero);
                }
            }
            others == 0
        }
    }

    /// A panel of `packs` packs, which lies in the block. If A is not finite, no k is skipped.
    #[inline(always)]
    unsafe fn panel_of_nonzeros<P: Pack<Element = E>>(&self, packs: usize, finite: bool) {
        let mut done = 0;
        unsafe {
            while done < self.n {
                let b = self.b.add(done * self.b_column);
                // Whole tiles, as a tile has its own marks.
                let astray = if self.b_column == 1 { astray::<P>(b) / COLUMNS } else { 0 };
                let columns = ((TILES - astray) * COLUMNS).min(self.n - done);
                let part = Product { b, n: columns, ..*self };
                let marks =
                    if finite { part.mark::<P>() } else { [u128::MAX >> (128 - self.k); TILES] };
                for tile in 0..columns.div_ceil(COLUMNS) {
                    let (at, mark) = (done + tile * COLUMNS, marks[tile]);
                    match packs {
                        1 => self.marked::<P, 1>(at, mark),
                        2 => self.marked::<P, 2>(at, mark),
                        _ => self.marked::<P, 3>(at, mark),
                    }
                }
                done += columns;
            }
        }
    }

    /// For each tile, a bit for each k at which B is not zero. B lies in columns or in rows.
    #[inline(always)]
    unsafe fn mark<P: Pack<Element = E>>(&self) -> [u128; TILES] {
        const { assert!(COLUMNS == 2 && TILES * COLUMNS <= 16) }; // a pair, and bits of `rows`
        // A block's k, and bits of a mark.
        const { assert!(P::PANEL * P::LANES < HIGH || BLOCK / P::PANEL / size_of::<P>() <= 128) };
        let mut marks = [0; TILES];
        unsafe {
            if self.b_row == 1 {
                for tile in 0..self.n.div_ceil(COLUMNS) {
                    let (at, last) = (tile * COLUMNS, self.n - 1);
                    let [a, b] =
                        [at, last.min(at + 1)].map(|j| self.b.wrapping_add(j * self.b_column));
                    let pair = |k| [a.wrapping_add(k), b.wrapping_add(k)];
                    let high = bits::<P>(pair(64), self.k.saturating_sub(64));
                    let low = bits::<P>(pair(0), self.k.min(64));
                    marks[tile] = u128::from(high) << 64 | u128::from(low);
                }
                return marks;
            }
            // Of so few bits that many fit a register.
            let mut rows = [0u16; 128];
            for k in 0..self.k {
                let b = self.b.add(k * self.b_row);
                // The next columns', as rows that lie far apart no CPU fetches by itself.
                P::prefetch(b.wrapping_add(TILES * COLUMNS));
                rows[k] = bits::<P>([b; 2], self.n) as u16;
            }
            for tile in 0..TILES {
                let columns = ((1 << COLUMNS) - 1) << (tile * COLUMNS);
                let mut halves = [0u64; 2];
                for k in 0..64 {
                    halves[0] |= u64::from(rows[k] & columns != 0) << k;
                    halves[1] |= u64::from(rows[64 + k] & columns != 0) << k;
                }
                marks[tile] = u128::from(halves[1]) << 64 | u128::from(halves[0]);
            }
        }
        marks
    }

    /// A tile over those k whose bits are set in `left`.
    #[inline(always)]
    unsafe fn marked<P: Pack<Element = E>, const PACKS: usize>(&self, at: usize, mut left: u128) {
        unsafe {
            let mask = P::mask(self.m - (PACKS - 1) * P::LANES);
            let (b, real) = (self.b.add(at * self.b_column), COLUMNS.min(self.n - at));
            let mut sums = [self.first::<P, PACKS>(mask); COLUMNS];
            while left != 0 {
                let k = left.trailing_zeros() as usize;
                left &= left - 1;
                let (a, b) = (self.a.add(k * PACKS * P::LANES), b.add(k * self.b_row));
                for j in 0..COLUMNS {
                    let b = P::splat(*b.add(j.min(real - 1) * self.b_column));
                    for i in 0..PACKS {
                        sums[j][i] = P::load(a.add(i * P::LANES)).mul_add(b, sums[j][i]);
                    }
                }
            }
            let c = self.c.add(at * self.c_column);
            self.finish::<P, PACKS, COLUMNS>(c, real, mask, sums);
        }
    }
}

/// A bit for each of `count` numbers, up to 64, where either is not zero.
#[inline(always)]
unsafe fn bits<P: Pack>([a, b]: [*const P::Element; 2], count: usize) -> u64 {
    let (mut bits, mut i) = (0, 0);
    macro_rules! pack {
        ($left:expr) => {
            // SAFETY: as the caller promises.
            let (a, b) = unsafe { (load::<P>(a.add(i), $left), load::<P>(b.add(i), $left)) };
            bits |= u64::from(a.nonzeros(b)) << i;
            i += P::LANES;
        };
    }
    if count == 64 {
        while i < 64 {
            pack!(64);
        }
    }
    while i < count {
        pack!(count - i);
    }
    bits
}
