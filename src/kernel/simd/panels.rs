//! A product in panels, of some packs of rows: each of them is tiles of some columns. Where A does not lie
//! ready, or the first-level cache would not keep it, a panel's block is copied to a buffer on the stack
//! first. Who may call is said in `tile`.
#![allow(unsafe_code)]
// Packs may not stand in a closure, so that iterators are of no use here.
#![allow(clippy::needless_range_loop, clippy::indexing_slicing)]

use super::{
    math::Constants,
    pack::Pack,
    tile::{Aligned, BLOCK, COPY, PACKED, Product, Start, load},
};
use core::mem::MaybeUninit;

/// Whole tiles of columns, whatever their height: 16, 12, 8, 6 or 4.
pub(super) const WIDTH: usize = 48;

/// From so many columns and so deep on it pays to copy a panel.
const MANY: usize = 16;

/// A sum over no more than this is never cut into blocks: a scaled one has to be whole.
pub const WHOLE: usize = 128;

/// C = start + A·B.
#[inline(always)]
pub unsafe fn product<P: Pack>(all: Product<P::Element>) {
    if all.m == 0 || all.n == 0 {
        return;
    }
    unsafe {
        // Few rows in a pack of their own would cost as much as a full one: they go beside.
        let (few, dots) = (all.m % P::LANES, all.b_row == 1);
        let worth = if dots { all.k >= P::LANES } else { all.n >= 8 };
        let few = if few <= P::LANES / 4 && worth { few } else { 0 };
        let main = Product { m: all.m - few, ..all };
        if all.a_row != 1 || all.n >= MANY && all.k >= MANY {
            main.packed::<P>();
        } else {
            main.panels::<P>();
        }
        match few {
            0 => {}
            _ if dots => all.below(main.m).by_dots::<P>(),
            _ => all.below(main.m).by_columns::<P>(),
        }
    }
}

impl<E: Constants> Product<E> {
    /// Panel after panel, out of A itself.
    #[inline(always)]
    unsafe fn panels<P: Pack<Element = E>>(mut self) {
        unsafe {
            while self.m > 0 {
                let packs = panel::<P>(self.m);
                let rows = self.m.min(P::LANES * packs);
                let now = Product { m: rows, ..self };
                match (packs, self.n) {
                    (1, 2) => now.few_columns::<P, 1, 2, 2, 0>(),
                    (2, 2) => now.few_columns::<P, 2, 2, 2, 0>(),
                    (3, 2) if P::PANEL == 3 => now.few_columns::<P, 3, 2, 2, 0>(),
                    (1, _) => now.four_by_four::<P, 1>(0),
                    (3, _) if P::PANEL == 3 => now.four_by_four::<P, 3>(0),
                    (_, _) => now.four_by_four::<P, 2>(0),
                }
                self = self.below(rows);
            }
        }
    }

    /// Panel after panel, each packed, for one block of k after the other. Where A's columns are
    /// contiguous, a panel's first tile packs it on the way.
    #[inline(always)]
    unsafe fn packed<P: Pack<Element = E>>(self) {
        let mut block = Aligned(MaybeUninit::<[u8; BLOCK]>::uninit());
        let block: *mut E = block.0.as_mut_ptr().cast();
        let most = BLOCK / size_of::<E>() / (P::LANES * P::PANEL);
        const { assert!(WHOLE * P::LANES * P::PANEL * size_of::<E>() <= BLOCK) };
        let blocks = self.k.div_ceil(most).max(1);
        let depth = self.k.div_ceil(blocks);
        unsafe {
            let (mut done, zeros) = (0, self.mostly_zeros::<P>());
            loop {
                let k = depth.min(self.k - done);
                let (a, b) = (self.a.add(done * self.a_column), self.b.add(done * self.b_row));
                let start = if done == 0 { self.start } else { Start::Add(E::ONE) };
                let mut part = Product { k, a, b, start, ..self };
                while part.m > 0 {
                    let height = P::LANES * panel::<P>(part.m);
                    let rows = part.m.min(height);
                    let mut now = Product { m: rows, ..part };
                    part = part.below(rows);
                    let copy = self.a_row == 1;
                    if !copy {
                        now.pack::<P>(height, block);
                        (now.a, now.a_row, now.a_column) = (block, 1, height);
                    }
                    match (P::PANEL, rows.div_ceil(P::LANES)) {
                        (3, 1) => now.panel::<P, 1, 16>(block, copy, zeros),
                        (3, 2) => now.panel::<P, 2, 12>(block, copy, zeros),
                        (3, _) => now.panel::<P, 3, 8>(block, copy, zeros),
                        (_, 1) => now.panel::<P, 1, 12>(block, copy, zeros),
                        (_, _) => now.panel::<P, 2, 6>(block, copy, zeros),
                    }
                }
                done += k;
                if done >= self.k {
                    return;
                }
            }
        }
    }

    /// A in columns of `height`, which is whole packs.
    #[inline(always)]
    unsafe fn pack<P: Pack<Element = E>>(&self, height: usize, to: *mut E) {
        unsafe {
            for pack in 0..height / P::LANES {
                let row = pack * P::LANES;
                let (to, left) = (to.add(row), self.m - row);
                let from = self.a.add(row * self.a_row);
                let mut k = 0;
                while k < self.k {
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
                    k += P::LANES;
                }
            }
        }
    }

    /// All columns of a panel, which lies in the block, or is copied there by the first tile.
    #[inline(always)]
    unsafe fn panel<P: Pack<Element = E>, const PACKS: usize, const COLUMNS: usize>(
        mut self,
        block: *mut E,
        copy: bool,
        zeros: bool,
    ) {
        const { assert!(COLUMNS <= MANY) }; // of which there are as many where A is to be copied
        unsafe {
            let mut done = 0;
            let skip = zeros && self.copy::<P, PACKS>(block);
            if copy && !zeros {
                self.tile::<P, PACKS, COLUMNS, 1, COPY, 0>(0, block);
                done = COLUMNS;
            }
            (self.a, self.a_row, self.a_column) = (block, 1, PACKS * P::LANES);
            if skip {
                done = self.nonzeros::<P, PACKS>();
            }
            while done + COLUMNS <= self.n {
                self.tile::<P, PACKS, COLUMNS, 1, PACKED, 0>(done, block);
                done += COLUMNS;
            }
            self.four_by_four::<P, PACKS>(done);
        }
    }
}

/// How many packs high the next panel is, with `rows` left.
#[inline(always)]
fn panel<P: Pack>(rows: usize) -> usize {
    let left = rows.div_ceil(P::LANES);
    // Rather two of half the height than one that is full and a low one.
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
