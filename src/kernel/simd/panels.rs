//! A product in panels. A panel is a few packs of rows, and its tiles have a few columns each. If the rows of A are not
//! contiguous, or if A is too large for the first-level cache, a block of the panel is first copied to a buffer on the
//! stack. The comment in `tile` says when these functions may be called.
#![allow(unsafe_code)]
// Packs may not stand in a closure, so that iterators are of no use here.
#![allow(clippy::needless_range_loop, clippy::indexing_slicing)]

use super::{
    constants::Constants,
    pack::{Pack, load},
    tile::{AS_IS, Aligned, BLOCK, COPY, LONG_LEAF, PACKED, Product, Start},
};
use core::{mem::MaybeUninit, ptr::null_mut};

/// Whole tiles of columns, whatever their height: 16, 12, 8, 6 or 4.
pub(super) const WIDTH: usize = 48;

/// The least rows of a panel for which finding the zeros saves time. AVX-512 has that many. With 8 rows (f64 with AVX2) a
/// training took 1.3 times as long.
pub(super) const HIGH: usize = 24;

/// The least columns, and the least k, for which copying a panel saves time.
const MANY: usize = 16;

/// A C of no more bytes than this has two sums for each number. The parts of a large gradient have more bytes.
const NARROW: usize = 256;

/// A sum over no more than this is never cut into blocks: a scaled one has to be whole.
pub const WHOLE: usize = 128;

/// C = start + A·B.
#[inline(always)]
pub unsafe fn product<P: Pack>(all: Product<P::Element>) {
    if all.m == 0 || all.n == 0 {
        return;
    }
    unsafe {
        // A few rows that are left over would cost as much as a full pack, so `few_rows` computes them.
        let (few, dots) = (all.m % P::LANES, all.b_row == 1);
        // The choice must not depend on the number of columns, because some columns must have the bits of the whole.
        let worth = !dots || all.k >= P::LANES;
        // If there are no other rows, three or four of them leave most of a pack empty. Dot products are then faster, if
        // the sums are long. `by_dots` takes four rows at most.
        let alone = all.m < P::LANES && dots && all.k >= 4 * P::LANES;
        let most = if alone { P::LANES / 2 } else { P::LANES / 4 };
        let few = if few <= most.min(4) && worth { few } else { 0 };
        let main = Product { m: all.m - few, ..all };
        // This comes first: otherwise the compiler duplicates all panels for the branch on `few`.
        match few {
            0 => {}
            _ if dots => all.below(main.m).by_dots::<P>(),
            _ => all.below(main.m).by_columns::<P>(),
        }
        let many = all.n >= MANY && all.k >= MANY;
        // A constant, so that where it is false nothing is compiled.
        if const { P::PANEL * P::LANES >= HIGH } && many && main.mostly_zeros() {
            main.nonzeros::<P>();
        } else {
            main.panels::<P>(many);
        }
    }
}

impl<E: Constants> Product<E> {
    /// Whether a number of C has two sums, so that an addition does not wait for the one before. C has as few rows and
    /// columns as a register of `bytes` has lanes, and is no part of a large gradient.
    #[inline(always)]
    pub(super) const fn has_two_sums(&self, bytes: usize) -> bool {
        let size = size_of::<E>();
        let few = self.m * size <= bytes && self.n * size <= bytes && self.n < MANY;
        few && self.n * self.c_column * size <= NARROW
    }

    /// Panel after panel. If it pays each is packed, for one block of k after the other; where A's columns
    /// are contiguous, by the panel's first tile on the way.
    #[inline(always)]
    unsafe fn panels<P: Pack<Element = E>>(self, many: bool) {
        let mut block = Aligned(MaybeUninit::<[u8; BLOCK]>::uninit());
        let block: *mut E = block.0.as_mut_ptr().cast();
        let (rows, mut done) = (self.a_row != 1, 0);
        // Whatever the number of columns, so that some columns of a product have the bits of the whole.
        let depth = depth::<P>(self.k);
        unsafe {
            loop {
                let mut part = self.block(done, depth);
                while part.m > 0 {
                    let packs = panel::<P>(part.m);
                    let height = P::LANES * packs;
                    let mut now = Product { m: part.m.min(height), ..part };
                    part = part.below(now.m);
                    if rows {
                        now.pack::<P>(height, block);
                        (now.a, now.a_row, now.a_column) = (block, 1, height);
                    }
                    if const { P::PANEL == 3 } {
                        match packs {
                            1 => now.panel::<P, 1, 16>(block, many),
                            2 => now.panel::<P, 2, 12>(block, many),
                            _ => now.panel::<P, 3, 8>(block, many),
                        }
                    } else {
                        match packs {
                            1 => now.panel::<P, 1, 12>(block, many),
                            _ => now.panel::<P, 2, 6>(block, many),
                        }
                    }
                }
                done += depth;
                if done >= self.k {
                    return;
                }
            }
        }
    }

    /// `depth` values of k from `done` on, or the rest.
    #[inline(always)]
    pub(super) unsafe fn block(self, done: usize, depth: usize) -> Self {
        unsafe {
            let (a, b) = (self.a.add(done * self.a_column), self.b.add(done * self.b_row));
            let start = if done == 0 { self.start } else { Start::Add(E::ONE) };
            Product { k: depth.min(self.k - done), a, b, start, ..self }
        }
    }

    /// Copies A to columns of `height` numbers, which are whole packs.
    #[inline(always)]
    unsafe fn pack<P: Pack<Element = E>>(&self, height: usize, to: *mut E) {
        unsafe {
            for pack in 0..height / P::LANES {
                let row = pack * P::LANES;
                let (to, left) = (to.add(row), self.m - row);
                let from = self.a.add(row * self.a_row);
                for k in (0..self.k).step_by(P::LANES) {
                    // A square of LANES by LANES, transposed.
                    let (deep, mut rows) = (self.k - k, [P::splat(E::ZERO); 16]);
                    for r in 0..P::LANES {
                        if r < left {
                            rows[r] = load::<P>(from.add(r * self.a_row + k), deep);
                        }
                    }
                    transpose(&mut rows);
                    for r in 0..P::LANES {
                        if r < deep {
                            rows[r].store(to.add((k + r) * height));
                        }
                    }
                }
            }
        }
    }

    /// All columns of a panel. If it is to be copied to the block and is not there, the first tile does so.
    #[inline(always)]
    unsafe fn panel<P: Pack<Element = E>, const PACKS: usize, const COLUMNS: usize>(
        mut self,
        block: *mut E,
        copy: bool,
    ) {
        const { assert!(COLUMNS <= MANY) }; // if A is copied, there are at least `MANY` columns
        unsafe {
            let mut done = 0;
            if copy && self.a != block {
                self.tile::<P, PACKS, COLUMNS, 1, COPY, 0>(0, block);
                (self.a, self.a_column, done) = (block, PACKS * P::LANES, COLUMNS);
            }
            while self.a == block && done + COLUMNS <= self.n {
                self.tile::<P, PACKS, COLUMNS, 1, PACKED, 0>(done, block);
                done += COLUMNS;
            }
            // The gradient of two inputs, where a tile of four would be half empty. A large gradient may be computed one
            // column at a time, and then this tile would add in another order.
            let whole = 2 * self.c_column * size_of::<E>() <= LONG_LEAF;
            if const { PACKS == 1 } && self.n == 2 && whole {
                return self.few_columns::<P, 1, 2, 2, 0>();
            }
            if const { PACKS == 1 } && self.has_two_sums(P::LANES * size_of::<E>()) {
                for column in (0..self.n).step_by(4) {
                    self.tile::<P, 1, 4, 2, AS_IS, 0>(column, null_mut());
                }
                return;
            }
            // What is left, in tiles that may be a part.
            while done < self.n {
                self.tile::<P, PACKS, 4, 1, AS_IS, 0>(done, null_mut());
                done += 4;
            }
        }
    }
}

/// How deep the blocks are that k is cut into.
#[inline(always)]
pub(super) fn depth<P: Pack>(k: usize) -> usize {
    let most = BLOCK / size_of::<P::Element>() / (P::LANES * P::PANEL);
    const { assert!(WHOLE * P::LANES * P::PANEL * size_of::<P::Element>() <= BLOCK) };
    // To divide takes longer than a small product may.
    if k <= most { k } else { k.div_ceil(k.div_ceil(most)) }
}

/// How many packs high the next panel is, with `rows` left.
#[inline(always)]
pub(super) fn panel<P: Pack>(rows: usize) -> usize {
    let left = rows.div_ceil(P::LANES);
    // Two panels of about half the height are better than a full one and a low one.
    if left == P::PANEL + 1 { left.div_ceil(2) } else { left.min(P::PANEL) }
}

/// Rows to columns. Each stage moves one bit of a number's row into its lane.
#[inline(always)]
fn transpose<P: Pack>(rows: &mut [P; 16]) {
    let half = P::LANES / 2;
    let mut stage = 1;
    while stage < P::LANES {
        let before = *rows;
        for i in 0..half {
            (rows[2 * i], rows[2 * i + 1]) = before[i].interleave(before[i + half]);
        }
        stage *= 2;
    }
}
