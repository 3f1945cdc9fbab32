//! A product where most of B is zero, as most of an image is: tiles of few columns, which pass over the k
//! where all of them are. Every sum is that of `tile`, to the bit but for the sign of a zero, so that who
//! takes which way need not be agreed on. Who may call is said there.
#![allow(unsafe_code)]
// Packs may not stand in a closure, so that iterators are of no use here.
#![allow(clippy::needless_range_loop, clippy::indexing_slicing)]

use super::{
    math::Constants,
    pack::Pack,
    tile::{BLOCK, Product, load, part},
};

/// From so many multiplications on it is worth to look at B, at so many of its numbers.
const WORTH: usize = 1 << 18;
const LOOKS: usize = 128;

/// From so many rows of a panel on, as AVX-512 has them, finding the k saves more than it costs; of 8 rows,
/// f64 with AVX2, a training took 1.3 times as long.
const HIGH: usize = 24;

/// The columns of a tile, of which all have to be zero: with more that is seldom so, with one each addition
/// waits for the last.
const COLUMNS: usize = 2;

/// Tiles that are looked at together.
const TILES: usize = 8;

impl<E: Constants> Product<E> {
    /// Whether but a third of B, or less, seems to be other than zero.
    #[inline(always)]
    pub(super) unsafe fn mostly_zeros<P: Pack<Element = E>>(&self) -> bool {
        if P::PANEL * P::LANES < HIGH || self.m * self.k * self.n < WORTH {
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

    /// Copies A, of one panel, to the block, where it may lie already; false if a number of it, times zero,
    /// is not zero.
    #[inline(always)]
    pub(super) unsafe fn copy<P: Pack<Element = E>, const PACKS: usize>(
        &self,
        block: *mut E,
    ) -> bool {
        unsafe {
            let mask = P::mask(self.m - (PACKS - 1) * P::LANES);
            let mut sums = [P::splat(E::ZERO); PACKS];
            for k in 0..self.k {
                for i in 0..PACKS {
                    let a = self.a.add(k * self.a_column + i * P::LANES);
                    let a = part::<P, PACKS>(a, i, mask);
                    a.store(block.add((k * PACKS + i) * P::LANES));
                    sums[i] = a.mul_add(P::splat(E::ZERO), sums[i]);
                }
            }
            let mut finite = true;
            for i in 0..PACKS {
                finite &= sums[i].nonzeros(sums[i]) == 0;
            }
            finite
        }
    }

    /// All whole tiles of a panel that lies in the block; how many columns that is.
    #[inline(always)]
    pub(super) unsafe fn nonzeros<P: Pack<Element = E>, const PACKS: usize>(&self) -> usize {
        let mut done = 0;
        unsafe {
            while done + COLUMNS <= self.n {
                let tiles = TILES.min((self.n - done) / COLUMNS);
                let b = self.b.add(done * self.b_column);
                let marks = Product { b, n: tiles * COLUMNS, ..*self }.mark::<P>();
                for tile in 0..tiles {
                    self.marked::<P, PACKS>(done + tile * COLUMNS, marks[tile]);
                }
                done += tiles * COLUMNS;
            }
        }
        done
    }

    /// Tile by tile a bit for each k where B is other than zero. B lies in columns or in rows.
    #[inline(always)]
    unsafe fn mark<P: Pack<Element = E>>(&self) -> [u128; TILES] {
        const { assert!(TILES * COLUMNS <= 16) }; // bits of `rows`
        // A block's k, and bits of a mark.
        const { assert!(P::PANEL * P::LANES < HIGH || BLOCK / P::PANEL / size_of::<P>() <= 128) };
        let mut marks = [0; TILES];
        unsafe {
            if self.b_row == 1 {
                for tile in 0..self.n / COLUMNS {
                    let b = self.b.add(tile * COLUMNS * self.b_column);
                    let pair = |k| [b.wrapping_add(k), b.wrapping_add(self.b_column + k)];
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

    /// A tile, of those k alone whose bits are set in `left`.
    #[inline(always)]
    unsafe fn marked<P: Pack<Element = E>, const PACKS: usize>(&self, at: usize, mut left: u128) {
        unsafe {
            let mask = P::mask(self.m - (PACKS - 1) * P::LANES);
            let b = self.b.add(at * self.b_column);
            let mut sums = [self.first::<P, PACKS>(mask); COLUMNS];
            while left != 0 {
                let k = left.trailing_zeros() as usize;
                left &= left - 1;
                let (a, b) = (self.a.add(k * PACKS * P::LANES), b.add(k * self.b_row));
                for j in 0..COLUMNS {
                    let b = P::splat(*b.add(j * self.b_column));
                    for i in 0..PACKS {
                        sums[j][i] = P::load(a.add(i * P::LANES)).mul_add(b, sums[j][i]);
                    }
                }
            }
            let c = self.c.add(at * self.c_column);
            self.finish::<P, PACKS, COLUMNS>(c, COLUMNS, mask, sums);
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
