//! Matrix products out of register tiles, written once over `Pack`.
//!
//! C is cut into panels of some packs of rows, a panel into tiles of some columns; a tile's sums
//! stay in registers while k runs. Where A does not lie ready, or the first-level cache would not
//! keep it, a panel's block is copied to a buffer on the stack first.
#![allow(unsafe_code)]
// Packs may not stand in a closure, so that iterators are of no use here.
#![allow(clippy::needless_range_loop, clippy::manual_memcpy, clippy::indexing_slicing)]

use super::{math::Constants, pack::Pack};
use core::mem::MaybeUninit;

/// C = start + A·B, C of `m`×`n`, over `k`. Strides are in numbers; C's columns are contiguous.
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
    /// What C holds.
    There,
}

/// The bytes of a packed block; a panel of usual height takes three quarters of it, so that the
/// first-level cache keeps it and some of B.
const BLOCK: usize = 32 * 1024;

/// From so many columns on a panel that the cache would not keep is packed.
pub(super) const MANY: usize = 16;

#[repr(align(64))]
struct Block(MaybeUninit<[u8; BLOCK]>);

/// The bytes of a cache line.
pub const LINE: usize = 64;

/// What the next panel will be packed from: it is fetched while the tiles of this one are summed up.
struct Ahead<E> {
    at: *const E,
    strips: usize,
    stride: usize,
    len: usize,
}

impl<E> Ahead<E> {
    const NOTHING: Self = Ahead { at: core::ptr::null(), strips: 0, stride: 0, len: 0 };

    #[inline(always)]
    fn prefetch<P: Pack<Element = E>, const SOON: bool>(&mut self, strips: usize) {
        for _ in 0..strips.min(self.strips) {
            let mut i = 0;
            while i < self.len {
                P::prefetch::<SOON>(self.at.wrapping_add(i));
                i += LINE / size_of::<E>();
            }
            self.at = self.at.wrapping_add(self.stride);
            self.strips -= 1;
        }
    }
}

// SAFETY, here and in the files that add to `Product`: every function may be called if the CPU has the instructions of `P`,
// A, B and the start can be read and C written in all their rows and columns, and C overlaps none
// of them. Each hands on parts that lie within.

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

    #[inline(always)]
    unsafe fn product<P: Pack<Element = E>>(self) {
        if self.m == 0 || self.n == 0 {
            return;
        }
        unsafe {
            // Few rows in a pack of their own would cost as much as a full one: they go beside.
            let (few, dots) = (self.m % P::LANES, self.b_row == 1);
            let worth = if dots { self.k >= P::LANES } else { self.n >= 8 };
            let few = if few <= P::LANES / 4 && worth { few } else { 0 };
            let main = Product { m: self.m - few, ..self };
            if self.a_row != 1 || (self.n >= MANY && main.m * self.k * size_of::<E>() > BLOCK) {
                main.packed::<P>();
            } else {
                main.panels::<P>();
            }
            match few {
                0 => {}
                _ if dots => self.below(main.m).by_dots::<P>(),
                _ => self.below(main.m).by_columns::<P>(),
            }
        }
    }

    /// Panel after panel, out of A itself.
    #[inline(always)]
    unsafe fn panels<P: Pack<Element = E>>(mut self) {
        unsafe {
            while self.m > 0 {
                let rows = self.m.min(P::LANES * panel::<P>(self.m));
                Product { m: rows, ..self }.columns_of_panel::<P, false>(Ahead::NOTHING);
                self = self.below(rows);
            }
        }
    }

    /// Panel after panel, each packed, for one block of k after the other.
    #[inline(always)]
    unsafe fn packed<P: Pack<Element = E>>(self) {
        let mut block = Block(MaybeUninit::uninit());
        let block: *mut E = block.0.as_mut_ptr().cast();
        let most = BLOCK / size_of::<E>() / (P::LANES * (P::PANEL + 1));
        let blocks = self.k.div_ceil(most).max(1);
        let depth = self.k.div_ceil(blocks);
        unsafe {
            let mut done = 0;
            loop {
                let k = depth.min(self.k - done);
                let (a, b) = (self.a.add(done * self.a_column), self.b.add(done * self.b_row));
                let start = if done == 0 { self.start } else { Start::There };
                let mut part = Product { k, a, b, start, ..self };
                while part.m > 0 {
                    let height = P::LANES * panel::<P>(part.m);
                    let rows = part.m.min(height);
                    part.pack::<P>(rows, height, block);
                    let (a, a_row, a_column) = (block.cast_const(), 1, height);
                    let ready = Product { m: rows, a, a_row, a_column, ..part };
                    part = part.below(rows);
                    let ahead = if part.m == 0 {
                        Ahead::NOTHING
                    } else if self.a_row == 1 {
                        Ahead { at: part.a, stride: self.a_column, strips: k, len: height }
                    } else {
                        Ahead { at: part.a, stride: self.a_row, strips: part.m.min(height), len: k }
                    };
                    ready.columns_of_panel::<P, true>(ahead);
                }
                done += k;
                if done >= self.k {
                    return;
                }
            }
        }
    }

    /// The first `rows` rows of A in columns of `height`, which is whole packs.
    #[inline(always)]
    unsafe fn pack<P: Pack<Element = E>>(&self, rows: usize, height: usize, to: *mut E) {
        unsafe {
            for pack in 0..height / P::LANES {
                let row = pack * P::LANES;
                let (to, left) = (to.add(row), rows - row);
                let from = self.a.add(row * self.a_row);
                if self.a_row == 1 {
                    for k in 0..self.k {
                        load::<P>(from.add(k * self.a_column), left).store(to.add(k * height));
                    }
                    continue;
                }
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

    /// All columns of a panel of at most four packs, which lies ready.
    #[inline(always)]
    unsafe fn columns_of_panel<P: Pack<Element = E>, const WHOLE: bool>(self, ahead: Ahead<E>) {
        unsafe {
            match (P::PANEL, self.m.div_ceil(P::LANES)) {
                (3, 1) => self.columns::<P, 1, 16, WHOLE>(ahead),
                (3, 2) => self.columns::<P, 2, 12, WHOLE>(ahead),
                (3, 3) => self.columns::<P, 3, 8, WHOLE>(ahead),
                (3, _) => self.columns::<P, 4, 6, WHOLE>(ahead),
                (_, 1) => self.columns::<P, 1, 12, WHOLE>(ahead),
                (_, 2) => self.columns::<P, 2, 6, WHOLE>(ahead),
                (_, _) => self.columns::<P, 3, 4, WHOLE>(ahead),
            }
        }
    }

    #[inline(always)]
    unsafe fn columns<
        P: Pack<Element = E>,
        const PACKS: usize,
        const COLUMNS: usize,
        const WHOLE: bool,
    >(
        self,
        mut ahead: Ahead<E>,
    ) {
        let each = (ahead.strips * COLUMNS).div_ceil(self.n);
        unsafe {
            let mut done = 0;
            while COLUMNS > 4 && done + COLUMNS <= self.n {
                ahead.prefetch::<P, false>(each);
                self.tile::<P, PACKS, COLUMNS, 1, WHOLE, 0>(done);
                done += COLUMNS;
            }
            while done < self.n {
                self.tile::<P, PACKS, 4, 1, WHOLE, 0>(done);
                done += 4;
            }
        }
    }

    /// The only column, of at most four packs, with A fetched so many columns ahead.
    #[inline(always)]
    pub(super) unsafe fn column<P: Pack<Element = E>, const AHEAD: usize>(self) {
        unsafe {
            match self.m.div_ceil(P::LANES) {
                0 => {}
                1 => self.tile::<P, 1, 1, 4, false, AHEAD>(0),
                2 => self.tile::<P, 2, 1, 4, false, AHEAD>(0),
                3 => self.tile::<P, 3, 1, 4, false, AHEAD>(0),
                _ => self.tile::<P, 4, 1, 2, false, AHEAD>(0),
            }
        }
    }

    /// `COLUMNS` columns from `column` on, `PACKS` packs of rows, the last of which may be a part.
    /// So that one addition need not wait for the last, `SUMS` sums stand side by side.
    #[inline(always)]
    pub(super) unsafe fn tile<
        P: Pack<Element = E>,
        const PACKS: usize,
        const COLUMNS: usize,
        const SUMS: usize,
        const WHOLE: bool,
        const AHEAD: usize,
    >(
        self,
        column: usize,
    ) {
        unsafe {
            let (l, last) = (P::LANES, self.m - (PACKS - 1) * P::LANES);
            let mask = P::mask(last);
            macro_rules! load {
                ($from:expr, $i:expr) => {
                    if $i + 1 < PACKS { P::load($from) } else { P::load_part($from, mask) }
                };
            }
            // Columns beyond the last are the last again, to the bit.
            let real = if COLUMNS > 4 { COLUMNS } else { COLUMNS.min(self.n - column) };
            let (mut a, mut b) = (self.a, self.b.add(column * self.b_column));
            let c = self.c.add(column * self.c_column);
            let mut sums = [[[P::splat(E::ZERO); PACKS]; COLUMNS]; SUMS];
            match self.start {
                Start::Zero => {}
                Start::Column(start) => {
                    for i in 0..PACKS {
                        let start = load!(start.add(i * l), i);
                        for j in 0..COLUMNS {
                            sums[0][j][i] = start;
                        }
                    }
                }
                Start::There => {
                    for j in 0..COLUMNS {
                        for i in 0..PACKS {
                            sums[0][j][i] = {
                                let c = c.add(j.min(real - 1) * self.c_column + i * l);
                                load!(c.cast_const(), i)
                            };
                        }
                    }
                }
            }
            macro_rules! step {
                ($sum:expr) => {{
                    if WHOLE && COLUMNS > 4 {
                        P::prefetch::<true>(b.wrapping_add(2 * COLUMNS));
                    }
                    if AHEAD > 0 {
                        for i in 0..PACKS {
                            P::prefetch::<true>(a.wrapping_add(AHEAD * self.a_column + i * l));
                        }
                    }
                    let mut pack = [P::splat(E::ZERO); PACKS];
                    for i in 0..PACKS {
                        let a = a.add(i * l);
                        pack[i] = if WHOLE { P::load(a) } else { load!(a, i) };
                    }
                    for j in 0..COLUMNS {
                        let b = P::splat(*b.add(j.min(real - 1) * self.b_column));
                        for i in 0..PACKS {
                            sums[$sum][j][i] = pack[i].mul_add(b, sums[$sum][j][i]);
                        }
                    }
                    (a, b) = (a.wrapping_add(self.a_column), b.wrapping_add(self.b_row));
                }};
            }
            let mut left = self.k;
            while left >= SUMS {
                for sum in 0..SUMS {
                    step!(sum);
                }
                left -= SUMS;
            }
            while SUMS > 1 && left > 0 {
                step!(0);
                left -= 1;
            }
            let mut total = [[P::splat(E::ZERO); PACKS]; COLUMNS];
            for j in 0..COLUMNS {
                for i in 0..PACKS {
                    let mut sum = sums[0][j][i];
                    if SUMS > 1 {
                        sum = sum.add(sums[1 % SUMS][j][i]);
                    }
                    if SUMS > 2 {
                        sum = sum.add(sums[2 % SUMS][j][i].add(sums[3 % SUMS][j][i]));
                    }
                    total[j][i] = sum;
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
            let mut j = 0;
            while j < real {
                P::load(parts[j].as_ptr()).store_part(c.add(j * self.c_column), last);
                j += 1;
            }
        }
    }
}

/// C = start + A·B.
#[inline(always)]
pub unsafe fn product<P: Pack>(product: Product<P::Element>) {
    unsafe { product.product::<P>() }
}

/// How many packs high the next panel is, with `rows` left.
#[inline(always)]
fn panel<P: Pack>(rows: usize) -> usize {
    let left = rows.div_ceil(P::LANES);
    if left > P::PANEL + 1 { P::PANEL } else { left }
}

/// A pack, or what there is of it, if `left` is less.
#[inline(always)]
pub(super) unsafe fn load<P: Pack>(from: *const P::Element, left: usize) -> P {
    unsafe { if left >= P::LANES { P::load(from) } else { P::load_part(from, P::mask(left)) } }
}

#[inline(always)]
pub(super) unsafe fn store<P: Pack>(pack: P, to: *mut P::Element, left: usize) {
    unsafe { if left >= P::LANES { pack.store(to) } else { pack.store_part(to, left) } }
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
