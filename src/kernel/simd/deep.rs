//! Products over many k: sums of sums, so that they are not rounded too often.
#![allow(unsafe_code)]

use super::{Float, Level, Product, Size, Start, panels::WIDTH};
use crate::kernel::sum::{LEVELS, carry, total};

/// A sum of more terms than these is one of sums of so many, and these of sums of `piece`.
pub const DEEP: usize = 4096;
/// So many of them are added up before they are added to C.
const SUMS: usize = 32;

/// A product over many k: to add one block after the other to C would round it too often. Part by part of
/// C, cut where packs of rows and tiles end.
///
/// # Safety
/// As `tile` says; the CPU has the level.
#[inline(never)]
pub unsafe fn product<E: Float>(level: Level, all: Product<E>) {
    const ROWS: usize = 144;
    // A column or two have more than one sum side by side.
    let piece = if all.n <= 2 { 128 } else { 64 };
    let mut room = [[E::ZERO; ROWS * 2 * WIDTH]; 2];
    let [block, sums] = &mut room;
    for row in (0..all.m).step_by(ROWS) {
        let (mut column, rows) = (0, ROWS.min(all.m - row));
        while column < all.n {
            let columns = if all.n - column < 2 * WIDTH { all.n - column } else { WIDTH };
            let numbers = rows * columns;
            for (first, begin) in (0..all.k).step_by(SUMS * DEEP).enumerate() {
                let end = all.k.min(begin + SUMS * DEEP);
                sums.fill(E::ZERO);
                for from in (begin..end).step_by(DEEP) {
                    let to = end.min(from + DEEP);
                    for k in (from..to).step_by(piece) {
                        let start = if k == from { Start::Zero } else { Start::Add(E::ONE) };
                        // SAFETY: a part of A and of B, and a block that has room for its columns.
                        unsafe {
                            (E::table(level).product)(Product {
                                m: rows,
                                k: piece.min(to - k),
                                n: columns,
                                a: all.a.add(row * all.a_row + k * all.a_column),
                                b: all.b.add(k * all.b_row + column * all.b_column),
                                c: block.as_mut_ptr(),
                                c_column: rows,
                                start,
                                ..all
                            });
                        }
                    }
                    for (sum, &block) in sums.iter_mut().zip(block.iter()).take(numbers) {
                        *sum += block;
                    }
                }
                for (j, sums) in sums.chunks_exact(rows).take(columns).enumerate() {
                    for (i, &sum) in sums.iter().enumerate() {
                        // SAFETY: an entry of C, and of the column that it starts with.
                        unsafe {
                            let c = all.c.add((column + j) * all.c_column + row + i);
                            *c = match all.start {
                                Start::Add(factor) => *c + factor * sum,
                                _ if first > 0 => *c + sum,
                                Start::Zero => sum,
                                Start::Column(start) => *start.add(row + i) + sum,
                            };
                        }
                    }
                }
            }
            column += columns;
        }
    }
}

/// A row of dW of more bytes than these may be wanted in parts, which have to have the bits of the whole.
pub const LONG_ROW: usize = 32 * 1024;

/// Ones for [`column`].
pub const MOST: usize = 512;

/// y = W·x over many columns, so far apart, or added to y; with `ones` the sum of the columns, where x is
/// `MOST` ones.
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
    // A row by itself lies in packs, of which each lane has a sum of its own.
    let depth = match apart * size_of::<E>() {
        _ if apart == 1 => MOST,
        0..=64 => 256,
        _ => 128,
    };
    for row in (0..outputs).step_by(ROWS) {
        let rows = ROWS.min(outputs - row);
        let (mut levels, mut sums) = ([[E::ZERO; ROWS]; LEVELS], [E::ZERO; ROWS]);
        for (block, k) in (0..inputs).step_by(depth).enumerate() {
            // SAFETY: part of W and x, or ones, and room for as many rows.
            unsafe {
                let (w, size) = (w.add(k * apart + row), (rows, depth.min(inputs - k)));
                let x = if ones { x } else { x.add(k) };
                (E::table(level).column)(size, (w, apart), x, sums.as_mut_ptr(), Start::Zero);
            }
            carry(&mut sums, rows, block, &mut levels);
        }
        for (i, sum) in total(&levels).into_iter().enumerate().take(rows) {
            // SAFETY: an entry of y.
            unsafe {
                let y = y.add(row + i);
                *y = if overwrite { sum } else { *y + sum };
            }
        }
    }
}
