//! A product in panels. A panel is a few packs of rows high, and is computed in tiles of a few columns. If the layout of
//! A does not suit, or the first-level cache would not keep it, the block of a panel is copied to a buffer on the
//! stack first. `tile` says who may call these functions.
#![allow(unsafe_code)]
// A pack must not be used in a closure, so iterators do not help here.
#![allow(clippy::needless_range_loop, clippy::indexing_slicing)]

use super::{
    math::Constants,
    pack::Pack,
    tile::{AS_IS, Aligned, BLOCK, COPY, PACKED, Product, Start, load},
    zeros::HIGH,
};
use core::{mem::MaybeUninit, ptr::null_mut};

/// A whole number of tiles of each width: 16, 12, 8, 6 and 4 columns.
pub(super) const WIDTH: usize = 48;

/// From so many columns and so many k on it pays to copy a panel.
const MANY: usize = 16;

/// A sum over at most so many k is never cut into blocks. A scaled sum must not be cut.
pub const WHOLE: usize = 128;

/// C = start + A·B.
#[inline(always)]
pub unsafe fn product<P: Pack>(all: Product<P::Element>) {
    if all.m == 0 || all.n == 0 {
        return;
    }
    unsafe {
        // A pack for a few rows would cost as much as a full one, so `few_rows` computes them.
        let (few, dots) = (all.m % P::LANES, all.b_row == 1);
        // The choice does not depend on the number of columns, so that some columns have the bits of the whole.
        let worth = !dots || all.k >= P::LANES;
        let few = if few <= P::LANES / 4 && worth { few } else { 0 };
        let main = Product { m: all.m - few, ..all };
        // This is first, because the compiler duplicates what comes before a branch on `few`: all panels.
        match few {
            0 => {}
            _ if dots => all.below(main.m).by_dots::<P>(),
            _ => all.below(main.m).by_columns::<P>(),
        }
        let many = all.n >= MANY && all.k >= MANY;
        // A constant, so that nothing is compiled if it is false.
        if const { P::PANEL * P::LANES >= HIGH } && many && main.mostly_zeros() {
            main.nonzeros::<P>();
        } else {
            main.panels::<P>(many);
        }
    }
}

impl<E: Constants> Product<E> {
    /// Panel after panel. If it pays, each panel is packed, for one block of k after the other. If the columns of A
    /// are contiguous, the first tile of the panel packs it while it computes.
    #[inline(always)]
    unsafe fn panels<P: Pack<Element = E>>(self, many: bool) {
        let mut block = Aligned(MaybeUninit::<[u8; BLOCK]>::uninit());
        let block: *mut E = block.0.as_mut_ptr().cast();
        let (rows, mut done) = (self.a_row != 1, 0);
        // It does not depend on the number of columns, so that some columns have the bits of the whole.
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

    /// The block of `depth` k from `done` on, or what is left.
    #[inline(always)]
    pub(super) unsafe fn block(self, done: usize, depth: usize) -> Self {
        unsafe {
            let (a, b) = (self.a.add(done * self.a_column), self.b.add(done * self.b_row));
            let start = if done == 0 { self.start } else { Start::Add(E::ONE) };
            Product { k: depth.min(self.k - done), a, b, start, ..self }
        }
    }

    /// Copies A to columns of `height` numbers, which is whole packs.
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

    /// All columns of a panel. With `copy`, the first tile copies the panel to the block, if it is not there yet.
    #[inline(always)]
    unsafe fn panel<P: Pack<Element = E>, const PACKS: usize, const COLUMNS: usize>(
        mut self,
        block: *mut E,
        copy: bool,
    ) {
        const { assert!(COLUMNS <= MANY) }; // if A is copied there are at least so many columns
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
            // For the gradient of two inputs, a tile of four columns would be half empty.
            if const { PACKS == 1 } && self.n == 2 {
                return self.few_columns::<P, 1, 2, 2, 0>();
            }
            // The rest, in tiles that may be partial.
            while done < self.n {
                self.tile::<P, PACKS, 4, 1, AS_IS, 0>(done, null_mut());
                done += 4;
            }
        }
    }
}

/// The depth of the blocks that k is cut into.
#[inline(always)]
pub(super) fn depth<P: Pack>(k: usize) -> usize {
    let most = BLOCK / size_of::<P::Element>() / (P::LANES * P::PANEL);
    const { assert!(WHOLE * P::LANES * P::PANEL * size_of::<P::Element>() <= BLOCK) };
    // No division on the way of a small product: it would take too long.
    if k <= most { k } else { k.div_ceil(k.div_ceil(most)) }
}

/// The height of the next panel in packs, with `rows` left.
#[inline(always)]
pub(super) fn panel<P: Pack>(rows: usize) -> usize {
    let left = rows.div_ceil(P::LANES);
    // Two panels of half the height are better than a full one and a low one.
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
