//! Products over many k. They are sums of sums, so that rounding errors stay small.
#![allow(unsafe_code)]

use super::{Float, Level, Product, Size, Start, arch, panels::WIDTH, tile::Aligned};
use crate::kernel::sum::{GROUP, LEVELS, carry, total};
use core::mem::MaybeUninit;

/// A sum of more terms than this is a sum of sums of pieces.
pub const DEEP: usize = 4096;

/// A product over many k. If each piece were added to C, C would be rounded too often. So this adds up groups of eight
/// pieces, and keeps sums of 1, 2, 4, 8 … groups. It adds two sums only if they have the same number of groups. The last
/// level takes the rest. It works on parts of C, which end where packs of rows and tiles end.
///
/// # Safety
/// As `tile` says; the CPU has the level.
#[inline(never)]
pub unsafe fn product<E: Float>(level: Level, all: Product<E>) {
    const LAST: usize = 9;
    // Of f64 there are half as many rows, in the same room.
    const NUMBERS: usize = 64 * 2 * WIDTH;
    let mut room = Aligned(MaybeUninit::<[[f32; NUMBERS]; LAST + 1]>::uninit());
    let (room, most) = (room.0.as_mut_ptr().cast::<E>(), 256 / size_of::<E>());
    // Parts of about the same height, because a part of few rows takes as long as a full one.
    let most = all.m.div_ceil(all.m.div_ceil(most)).next_multiple_of(16);
    for row in (0..all.m).step_by(most) {
        let (mut column, rows) = (0, most.min(all.m - row));
        while column < all.n {
            let columns = if all.n - column < 2 * WIDTH { all.n - column } else { WIDTH };
            let part = Product { m: rows, n: columns, c: room, c_column: rows, ..all };
            // In f32 at most 48 terms are added in turn, because all of these additions may be rounded the same way. An
            // f64 has digits to spare. From level to level a register has twice the bytes, from `LEAST` on.
            let depth = match size_of::<E>() {
                4 if part.has_two_sums(arch::LEAST << level as usize) => 96,
                4 => 48,
                _ => 512,
            };
            let (numbers, pieces) = (rows * columns, all.k.div_ceil(depth));
            // SAFETY: a part of A, of B and of C. The room has `numbers` numbers for each level.
            unsafe {
                let sums = |level: usize| room.add(level * numbers);
                sums(1).write_bytes(0, LAST * numbers);
                for group in 0..pieces.div_ceil(GROUP) {
                    for piece in group * GROUP..pieces.min((group + 1) * GROUP) {
                        let k = piece * depth;
                        (E::table(level).product)(Product {
                            k: depth.min(all.k - k),
                            a: all.a.add(row * all.a_row + k * all.a_column),
                            b: all.b.add(k * all.b_row + column * all.b_column),
                            start: if piece % GROUP > 0 { Start::Add(E::ONE) } else { Start::Zero },
                            ..part
                        });
                    }
                    // As in `carry`: if a digit changes from one to zero, its sums are added to the next level.
                    let to = LAST.min(1 + group.trailing_ones() as usize);
                    for level in 1..to {
                        plus(sums(level), sums(0), numbers);
                        sums(level).write_bytes(0, numbers);
                    }
                    plus(sums(0), sums(to), numbers);
                }
                for level in 2..=LAST {
                    plus(sums(level), sums(1), numbers);
                }
                for i in 0..numbers {
                    let (sum, row) = (*sums(1).add(i), row + i % rows);
                    let c = all.c.add((column + i / rows) * all.c_column + row);
                    *c = match all.start {
                        Start::Add(factor) => *c + factor * sum,
                        Start::Zero => sum,
                        Start::Column(start) => *start.add(row) + sum,
                    };
                }
            }
            column += columns;
        }
    }
}

/// Adds `numbers` sums to others.
///
/// # Safety
/// Both can be read, and `to` written.
#[inline(always)]
unsafe fn plus<E: Float>(from: *const E, to: *mut E, numbers: usize) {
    for i in 0..numbers {
        // SAFETY: as the caller promises.
        unsafe { *to.add(i) += *from.add(i) };
    }
}

/// The number of ones that [`column`] needs.
pub const MOST: usize = 384;

/// y = W·x over many columns that are `apart` numbers apart. It replaces y or is added to it. With `ones`, x is
/// `MOST` ones, and y is the sum of the columns.
///
/// # Safety
/// As `tile` says; the CPU has the level.
#[inline(never)]
pub unsafe fn column<E: Float>(
    level: Level,
    (outputs, inputs): Size,
    (w, apart): (*const E, usize),
    (x, ones): (*const E, bool),
    y: *mut E,
    overwrite: bool,
) {
    const ROWS: usize = 64;
    // A single row fills packs, and each lane has its own sum of 48 numbers or fewer.
    let depth = match apart * size_of::<E>() {
        _ if apart == 1 => MOST * arch::LEAST / 32,
        0..=64 => 192,
        _ => 96,
    };
    for row in (0..outputs).step_by(ROWS) {
        let rows = ROWS.min(outputs - row);
        let (mut levels, mut sums) = ([[E::ZERO; ROWS]; LEVELS], [E::ZERO; ROWS]);
        for (group, first) in (0..inputs).step_by(GROUP * depth).enumerate() {
            for k in (first..inputs.min(first + GROUP * depth)).step_by(depth) {
                let start = if k > first { Start::Add(E::ONE) } else { Start::Zero };
                // SAFETY: part of W and x, or ones, and room for as many rows.
                unsafe {
                    let (w, size) = (w.add(k * apart + row), (rows, depth.min(inputs - k)));
                    let x = if ones { x } else { x.add(k) };
                    (E::table(level).column)(size, (w, apart), x, sums.as_mut_ptr(), start);
                }
            }
            carry(&mut sums, rows, group, &mut levels);
        }
        let sums = total(&levels, inputs.div_ceil(GROUP * depth));
        for (i, sum) in sums.into_iter().enumerate().take(rows) {
            // SAFETY: an entry of y.
            unsafe {
                let y = y.add(row + i);
                *y = if overwrite { sum } else { *y + sum };
            }
        }
    }
}
