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
use num_traits::ConstZero;

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
const MANY: usize = 16;

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

// SAFETY, for all of this file: every function may be called if the CPU has the instructions of `P`,
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

    /// In parts, one a thread, cut where panels and tiles end, so that every entry is summed up as it
    /// would be by one thread. `height` is a panel's, in rows.
    ///
    /// # Safety
    /// As for [`product`].
    #[cfg(feature = "rayon")]
    pub unsafe fn by_threads(self, height: usize, threads: usize, run: &(impl Fn(Self) + Sync)) {
        struct Part<E>(Product<E>);
        // SAFETY: a part writes to rows or columns of its own, and what it reads nobody writes.
        unsafe impl<E> Send for Part<E> {}

        // The columns of a tile, whatever its height: 16, 12, 8, 6 or 4.
        const WIDTH: usize = 48;
        let half = |whole: usize, step: usize| {
            let steps = whole as f64 * (threads / 2) as f64 / threads as f64 / step as f64;
            steps.round() as usize * step
        };
        let (rows, columns) = (half(self.m, height), half(self.n, WIDTH));
        // Shared out by rows, A is packed once. The last panels of few rows might have another height.
        let by_rows = rows.min(self.m.saturating_sub(rows)) >= 2 * height;
        if threads < 2 || !by_rows && (columns == 0 || columns + MANY > self.n) {
            return run(self);
        }
        // SAFETY: within rows and columns.
        let (first, second) = unsafe {
            if by_rows {
                (Product { m: rows, ..self }, self.below(rows))
            } else {
                let b = self.b.add(columns * self.b_column);
                let c = self.c.add(columns * self.c_column);
                (Product { n: columns, ..self }, Product { n: self.n - columns, b, c, ..self })
            }
        };
        let (first, second) = (Part(first), Part(second));
        let some = threads / 2;
        rayon::join(
            move || {
                let Part(part) = { first };
                // SAFETY: as the caller promises.
                unsafe { part.by_threads(height, some, run) }
            },
            move || {
                let Part(part) = { second };
                // SAFETY: as the caller promises.
                unsafe { part.by_threads(height, threads - some, run) }
            },
        );
    }

    /// The part from `row` on.
    #[inline(always)]
    unsafe fn below(self, row: usize) -> Self {
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
            if few == 0 {
            } else if dots {
                self.below(main.m).by_dots::<P>();
            } else {
                self.below(main.m).by_columns::<P>();
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
    unsafe fn column<P: Pack<Element = E>, const AHEAD: usize>(self) {
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
    unsafe fn tile<
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

    /// A few rows, as dot products along k, which lies one behind the other in B.
    #[inline(always)]
    unsafe fn by_dots<P: Pack<Element = E>>(self) {
        const DEPTH: usize = 512;
        let mut room = [[E::ZERO; DEPTH]; 4];
        unsafe {
            let mut done = 0;
            while done < self.k {
                let k = DEPTH.min(self.k - done);
                let mut rows = [self.a; 4];
                for r in 0..self.m.min(4) {
                    rows[r] = self.a.add(r * self.a_row + done * self.a_column);
                    if self.a_column != 1 {
                        for i in 0..k {
                            room[r][i] = *rows[r].add(i * self.a_column);
                        }
                        rows[r] = room[r].as_ptr();
                    }
                }
                let b = self.b.add(done);
                let start = if done == 0 { self.start } else { Start::There };
                let part = Product { k, b, start, ..self };
                let mut r = 0;
                while r + 2 <= self.m {
                    part.dots::<P, 2>([rows[r], rows[r + 1]], r);
                    r += 2;
                }
                if r < self.m {
                    part.dots::<P, 1>([rows[r]], r);
                }
                done += k;
            }
        }
    }

    #[inline(always)]
    unsafe fn dots<P: Pack<Element = E>, const ROWS: usize>(
        self,
        rows: [*const E; ROWS],
        row: usize,
    ) {
        unsafe {
            let mut column = 0;
            while column + 8 <= self.n {
                self.dot::<P, ROWS, 8>(rows, row, column);
                column += 8;
            }
            while column < self.n {
                self.dot::<P, ROWS, 1>(rows, row, column);
                column += 1;
            }
        }
    }

    #[inline(always)]
    unsafe fn dot<P: Pack<Element = E>, const ROWS: usize, const COLUMNS: usize>(
        self,
        rows: [*const E; ROWS],
        row: usize,
        column: usize,
    ) {
        unsafe {
            let b = self.b.add(column * self.b_column);
            let mut sums = [[P::splat(E::ZERO); ROWS]; COLUMNS];
            let mut k = 0;
            while k < self.k {
                let left = self.k - k;
                let mut a = [P::splat(E::ZERO); ROWS];
                for r in 0..ROWS {
                    a[r] = load::<P>(rows[r].add(k), left);
                }
                for j in 0..COLUMNS {
                    let b = load::<P>(b.add(j * self.b_column + k), left);
                    for r in 0..ROWS {
                        sums[j][r] = a[r].mul_add(b, sums[j][r]);
                    }
                }
                k += P::LANES;
            }
            let (mut flat, mut out) = ([P::splat(E::ZERO); 32], [E::ZERO; 32]);
            for j in 0..COLUMNS {
                for r in 0..ROWS {
                    flat[j * ROWS + r] = sums[j][r];
                }
            }
            let mut first = 0;
            while first < ROWS * COLUMNS {
                row_sums(&flat, first).store(out.as_mut_ptr().add(first));
                first += P::LANES;
            }
            for j in 0..COLUMNS {
                for r in 0..ROWS {
                    let c = self.c.add((column + j) * self.c_column + row + r);
                    let start = match self.start {
                        Start::Zero => E::ZERO,
                        Start::Column(start) => *start.add(row + r),
                        Start::There => *c,
                    };
                    *c = start + out[j * ROWS + r];
                }
            }
        }
    }

    /// A few rows, with C's columns in the packs: Cᵀ = Bᵀ·Aᵀ, where B's rows are contiguous.
    #[inline(always)]
    unsafe fn by_columns<P: Pack<Element = E>>(self) {
        const MOST: usize = 32;
        let mut part = [E::ZERO; 4 * MOST];
        unsafe {
            let mut done = 0;
            while done < self.n {
                let m = (self.n - done).min(2 * P::LANES);
                let swapped = Product::new(
                    [m, self.k, self.m],
                    (self.b.add(done), 1, self.b_row),
                    (self.a, self.a_column, self.a_row),
                    (part.as_mut_ptr(), MOST),
                    Start::Zero,
                );
                match (m > P::LANES, self.m > 2) {
                    (true, true) => swapped.tile::<P, 2, 4, 1, false, 0>(0),
                    (true, false) => swapped.tile::<P, 2, 2, 1, false, 0>(0),
                    (false, true) => swapped.tile::<P, 1, 4, 1, false, 0>(0),
                    (false, false) => swapped.tile::<P, 1, 2, 1, false, 0>(0),
                }
                for j in 0..m {
                    for r in 0..self.m {
                        let c = self.c.add((done + j) * self.c_column + r);
                        let start = if let Start::There = self.start { *c } else { E::ZERO };
                        *c = start + part[r * MOST + j];
                    }
                }
                done += m;
            }
        }
    }
}

/// C = start + A·B.
#[inline(always)]
pub unsafe fn product<P: Pack>(product: Product<P::Element>) {
    unsafe { product.product::<P>() }
}

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
    unsafe { if outputs == 1 { all.dot::<P, 1, 1>([w], 0, 0) } else { all.column::<P, 0>() } }
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
                5 if P::PANEL == 3 => return left.tile::<P, 5, 1, 2, false, 8>(0),
                6 if P::PANEL == 3 => return left.tile::<P, 6, 1, 2, false, 8>(0),
                7 if P::PANEL == 3 => return left.tile::<P, 7, 1, 2, false, 8>(0),
                8 if P::PANEL == 3 => return left.tile::<P, 8, 1, 2, false, 8>(0),
                _ => Product { m: 4 * P::LANES, ..left }.tile::<P, 4, 1, 2, true, 8>(0),
            }
            left = left.below(4 * P::LANES);
        }
        if inputs < 256 { left.column::<P, 0>() } else { left.column::<P, 8>() }
    }
}

/// dW = dy·xᵀ for one sample.
#[inline(always)]
pub unsafe fn outer<P: Pack>(
    (outputs, inputs): (usize, usize),
    dy: *const P::Element,
    x: *const P::Element,
    dw: *mut P::Element,
    overwrite: bool,
) {
    // One output: dW is a row, and lies as a column does.
    let (m, n, a, b) = if outputs == 1 { (inputs, 1, x, dy) } else { (outputs, inputs, dy, x) };
    unsafe {
        let mut row = 0;
        while row < m {
            let (left, column) = (m - row, load::<P>(a.add(row), m - row));
            for j in 0..n {
                let (factor, c) = (P::splat(*b.add(j)), dw.add(j * m + row));
                let value = if overwrite {
                    column.mul(factor)
                } else {
                    column.mul_add(factor, load::<P>(c, left))
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
            return outer::<P>((inputs, 1), w, dy, dx, true);
        }
        let mut i = 0;
        while i < inputs {
            let (columns, mut sums) = (inputs - i, [P::splat(P::Element::ZERO); 32]);
            let mut row = 0;
            while row < outputs {
                let left = outputs - row;
                let dy = load::<P>(dy.add(row), left);
                for r in 0..P::LANES {
                    if r < columns {
                        let w = load::<P>(w.add((i + r) * outputs + row), left);
                        sums[r] = w.mul_add(dy, sums[r]);
                    }
                }
                row += P::LANES;
            }
            store(row_sums(&sums, 0), dx.add(i), columns);
            i += P::LANES;
        }
    }
}

/// How many packs high the next panel is, with `rows` left.
#[inline(always)]
fn panel<P: Pack>(rows: usize) -> usize {
    let left = rows.div_ceil(P::LANES);
    if left > P::PANEL + 1 { P::PANEL } else { left }
}

/// A pack, or what there is of it, if `left` is less.
#[inline(always)]
unsafe fn load<P: Pack>(from: *const P::Element, left: usize) -> P {
    unsafe { if left >= P::LANES { P::load(from) } else { P::load_part(from, P::mask(left)) } }
}

#[inline(always)]
unsafe fn store<P: Pack>(pack: P, to: *mut P::Element, left: usize) {
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

/// Lane r is the sum of all lanes of `rows[first + r]`.
#[inline(always)]
fn row_sums<P: Pack>(all: &[P; 32], first: usize) -> P {
    let (mut rows, mut half) = ([all[0]; 16], P::LANES / 2);
    for r in 0..P::LANES {
        rows[r] = all[first + r];
    }
    while half > 0 {
        for i in 0..half {
            let (low, high) = rows[i].interleave(rows[i + half]);
            rows[i] = low.add(high);
        }
        half /= 2;
    }
    rows[0]
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
