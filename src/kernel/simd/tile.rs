//! A product and its tiles. A tile is a few packs of rows by a few columns. Its sums stay in registers during the
//! loop over k. It is written once, over `Pack`.
#![allow(unsafe_code)]
// Packs may not stand in a closure, so that iterators are of no use here.
#![allow(clippy::needless_range_loop, clippy::manual_memcpy, clippy::indexing_slicing)]
#![allow(clippy::pointers_in_nomem_asm_block)] // of `opaque!`

use super::{constants::Constants, pack::Pack};
use core::{arch::asm, ptr::null_mut};

/// C = start + A·B, or C + factor·A·B, C of `m`×`n`, over `k`. Strides are in numbers; C's columns are
/// contiguous.
#[derive(Clone, Copy)]
pub struct Product<E> {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: *const E,
    pub a_row: usize,
    pub a_column: usize,
    pub b: *const E,
    pub b_row: usize,
    pub b_column: usize,
    pub c: *mut E,
    pub c_column: usize,
    pub start: Start<E>,
}

/// What the sums start with.
#[derive(Clone, Copy)]
pub enum Start<E> {
    Zero,
    /// This column, for every column of C.
    Column(*const E),
    /// Zero. At the end the sums times this factor are added to C.
    Add(E),
}

/// Where a tile reads A: at its own place, at its own place with a copy to the block, or in the block.
pub const AS_IS: u8 = 0;
pub const COPY: u8 = 1;
pub const PACKED: u8 = 2;

/// The bytes of a packed block: three quarters of a first-level cache, so that a part of B fits too.
pub(super) const BLOCK: usize = 24 * 1024;

/// A value that begins at a cache line.
#[repr(align(64))]
pub(super) struct Aligned<V>(pub V);

/// A caller may ask for dW in parts if it has more bytes than this. The parts must have the bits of the whole.
pub const LONG_LEAF: usize = 32 * 1024;

/// The bytes of a cache line.
#[cfg(feature = "alloc")]
pub const LINE: usize = 64;

/// Returns the same number or address, but hides from the compiler how it was computed. Otherwise the compiler computes
/// each address of a tile anew.
macro_rules! opaque {
    ($value:expr) => {{
        let mut value = $value;
        // SAFETY: the assembly is empty, so it changes neither the value nor memory.
        asm!("/* {0} */", inout(reg) value, options(pure, nomem, nostack, preserves_flags));
        value
    }};
}

// SAFETY, here and in the files that add to `Product`: every function may be called if the CPU has the
// instructions of `P`, A, B and the start can be read and C written in all their rows and columns, and C
// overlaps none of them. Each hands on parts that lie within.

impl<E: Constants> Product<E> {
    /// Of `[m, k, n]`, A and B with the strides of their rows and columns, C with that of its columns.
    #[inline(always)]
    pub fn new(
        [m, k, n]: [usize; 3],
        (a, a_row, a_column): (*const E, usize, usize),
        (b, b_row, b_column): (*const E, usize, usize),
        (c, c_column): (*mut E, usize),
        start: Start<E>,
    ) -> Self {
        Product { m, k, n, a, a_row, a_column, b, b_row, b_column, c, c_column, start }
    }

    /// The part from `row` on.
    #[inline(always)]
    pub(super) unsafe fn below(self, row: usize) -> Self {
        unsafe {
            let start = match self.start {
                Start::Column(column) => Start::Column(column.add(row)),
                start => start,
            };
            let (a, c) = (self.a.add(row * self.a_row), self.c.add(row));
            Product { m: self.m - row, a, c, start, ..self }
        }
    }

    /// The first `COLUMNS` columns, or all, read from A itself. It prefetches A `AHEAD` columns ahead.
    #[inline(always)]
    pub(super) unsafe fn few_columns<
        P: Pack<Element = E>,
        const PACKS: usize,
        const COLUMNS: usize,
        const SUMS: usize,
        const AHEAD: usize,
    >(
        self,
    ) {
        unsafe { self.tile::<P, PACKS, COLUMNS, SUMS, AS_IS, AHEAD>(0, null_mut()) }
    }

    /// The only column, of at most four packs.
    #[inline(always)]
    pub(super) unsafe fn column<P: Pack<Element = E>, const AHEAD: usize>(self) {
        unsafe {
            match self.m.div_ceil(P::LANES) {
                0 => {}
                1 => self.few_columns::<P, 1, 1, 4, AHEAD>(),
                2 => self.few_columns::<P, 2, 1, 4, AHEAD>(),
                3 => self.few_columns::<P, 3, 1, 4, AHEAD>(),
                _ => self.few_columns::<P, 4, 1, 2, AHEAD>(),
            }
        }
    }

    /// `COLUMNS` columns from `column` on, and `PACKS` packs of rows. The last pack may be a part. With `COPY` it
    /// also copies A to `block`. It keeps `SUMS` sums for each number, so that an addition does not wait for the one
    /// before.
    #[inline(always)]
    pub(super) unsafe fn tile<
        P: Pack<Element = E>,
        const PACKS: usize,
        const COLUMNS: usize,
        const SUMS: usize,
        const A: u8,
        const AHEAD: usize,
    >(
        self,
        column: usize,
        block: *mut E,
    ) {
        unsafe {
            let (l, last) = (P::LANES, self.m - (PACKS - 1) * P::LANES);
            let mask = P::mask(last);
            // Columns beyond the last are the last again, to the bit.
            let real = if const { COLUMNS > 4 } { COLUMNS } else { COLUMNS.min(self.n - column) };
            let (mut a, mut b) = (self.a, self.b.add(column * self.b_column));
            let c = self.c.add(column * self.c_column);
            let mut copy = block;
            let mut sums = [[[P::splat(E::ZERO); PACKS]; COLUMNS]; SUMS];
            sums[0] = [self.first::<P, PACKS>(mask); COLUMNS];
            // Four columns by one pointer and three distances.
            let step = self.b_column;
            let steps = [0, opaque!(step), opaque!(2 * step), opaque!(3 * step)];
            let mut quad = [b; 4];
            for q in 1..COLUMNS.div_ceil(4) {
                quad[q] = b.wrapping_add(4 * q * step);
            }
            let a_column = if const { A == PACKED } { PACKS * l } else { self.a_column };
            macro_rules! step {
                ($sum:expr) => {{
                    // A whole tile of a panel. The conditions are `const` blocks, so that rustc drops the other branch
                    // of each copy of this function before LLVM sees it.
                    if const { A != AS_IS && COLUMNS > 4 } {
                        // The tile after the next one's B, where that is a row's next numbers.
                        P::prefetch(quad[0].wrapping_add(2 * COLUMNS));
                    }
                    if const { AHEAD > 0 } {
                        for i in 0..PACKS {
                            P::prefetch(a.wrapping_add(AHEAD * self.a_column + i * l));
                        }
                    }
                    let mut pack = [P::splat(E::ZERO); PACKS];
                    for i in 0..PACKS {
                        let a = a.add(i * l);
                        pack[i] = if const { A == PACKED } {
                            P::load(a)
                        } else {
                            part::<P, PACKS>(a, i, mask)
                        };
                        if const { A == COPY } {
                            pack[i].store(copy.add(i * l));
                        }
                    }
                    for j in 0..COLUMNS {
                        let b = if const { A != AS_IS && COLUMNS > 4 } {
                            quad[j / 4].add(steps[j % 4])
                        } else {
                            b.add(j.min(real - 1) * self.b_column)
                        };
                        let b = P::splat(*b);
                        for i in 0..PACKS {
                            sums[$sum][j][i] = pack[i].mul_add(b, sums[$sum][j][i]);
                        }
                    }
                    a = a.wrapping_add(a_column);
                    copy = copy.wrapping_add(PACKS * l);
                    b = b.wrapping_add(self.b_row);
                    if const { A != AS_IS && COLUMNS > 4 } {
                        for q in 0..COLUMNS.div_ceil(4) {
                            quad[q] = opaque!(quad[q].wrapping_add(self.b_row));
                        }
                    }
                }};
            }
            let mut left = self.k;
            // Not where A is copied, which happens once a panel.
            if const { A == PACKED && COLUMNS > 4 } {
                while left >= 2 {
                    step!(0);
                    step!(0);
                    left -= 2;
                }
            }
            while left >= SUMS {
                for sum in 0..SUMS {
                    step!(sum);
                }
                left -= SUMS;
            }
            if const { SUMS > 1 } {
                while left > 0 {
                    step!(0);
                    left -= 1;
                }
            }
            let mut total = [[P::splat(E::ZERO); PACKS]; COLUMNS];
            for j in 0..COLUMNS {
                for i in 0..PACKS {
                    let mut sum = sums[0][j][i];
                    // Where there were too few for the others, these are zeros, and wait.
                    if const { SUMS > 1 } && self.k >= SUMS {
                        sum = sum.add(sums[1 % SUMS][j][i]);
                    }
                    if const { SUMS > 2 } && self.k >= SUMS {
                        sum = sum.add(sums[2 % SUMS][j][i].add(sums[3 % SUMS][j][i]));
                    }
                    total[j][i] = sum;
                }
            }
            self.finish::<P, PACKS, COLUMNS>(c, real, mask, total);
        }
    }

    /// What a column's sums start with; `mask` is that of the last pack.
    #[inline(always)]
    pub(super) unsafe fn first<P: Pack<Element = E>, const PACKS: usize>(
        &self,
        mask: P::Mask,
    ) -> [P; PACKS] {
        unsafe {
            let mut first = [P::splat(E::ZERO); PACKS];
            if let Start::Column(start) = self.start {
                for i in 0..PACKS {
                    first[i] = part::<P, PACKS>(start.add(i * P::LANES), i, mask);
                }
            }
            first
        }
    }

    /// Writes the sums of a tile to the columns of C from `c` on. C has `real` of them.
    #[inline(always)]
    pub(super) unsafe fn finish<P: Pack<Element = E>, const PACKS: usize, const COLUMNS: usize>(
        &self,
        c: *mut E,
        real: usize,
        mask: P::Mask,
        mut total: [[P; PACKS]; COLUMNS],
    ) {
        unsafe {
            let (l, last) = (P::LANES, self.m - (PACKS - 1) * P::LANES);
            if let Start::Add(factor) = self.start {
                for j in 0..COLUMNS {
                    for i in 0..PACKS {
                        let c = c.add(j.min(real - 1) * self.c_column + i * l);
                        total[j][i] = total[j][i]
                            .mul_add(P::splat(factor), part::<P, PACKS>(c.cast_const(), i, mask));
                    }
                }
            }
            if last == l {
                for j in 0..COLUMNS {
                    for i in 0..PACKS {
                        total[j][i].store(c.add(j.min(real - 1) * self.c_column + i * l));
                    }
                }
                return;
            }
            // Stores of a part branch: over memory and not in the loops above, which would no
            // longer be unrolled, and the sums not stay in registers.
            let mut parts = [[E::ZERO; 16]; COLUMNS];
            for j in 0..COLUMNS {
                for i in 0..PACKS - 1 {
                    total[j][i].store(c.add(j.min(real - 1) * self.c_column + i * l));
                }
                if COLUMNS > 1 {
                    total[j][PACKS - 1].store(parts[j].as_mut_ptr());
                }
            }
            let c = c.add((PACKS - 1) * l);
            if COLUMNS == 1 {
                return total[0][PACKS - 1].store_part(c, last);
            }
            for j in 0..real {
                P::load(parts[j].as_ptr()).store_part(c.add(j * self.c_column), last);
            }
        }
    }
}

/// Pack `i` of a column of `PACKS` packs. The last pack may be a part.
#[inline(always)]
pub(super) unsafe fn part<P: Pack, const PACKS: usize>(
    from: *const P::Element,
    i: usize,
    mask: P::Mask,
) -> P {
    unsafe { if i + 1 < PACKS { P::load(from) } else { P::load_part(from, mask) } }
}
