//! Sums of many terms.

use crate::shape::Number;
use core::ops::Range;
use num_traits::Zero;

/// The most terms that are added one after the other, as in a plain loop.
pub(super) const SHORT: usize = 128;

/// The terms after these form blocks of this size, and the sum of each block goes to the sums of sums. If all terms are
/// equal, every addition may be rounded the same way. So the error of a block is at most half this number times ε.
pub(super) const BLOCK: usize = 32;

/// The number of blocks that are added up before their sum goes to the sums of sums.
pub(super) const GROUP: usize = 8;

/// Sums of 1, 2, 4, 8 … blocks or groups. The last one is of a million terms or more, and takes the rest.
pub(super) const LEVELS: usize = 16;

/// A sum whose error grows with the logarithm of the number of its terms, for any scalar, without a heap. Up to
/// 128 terms it is a plain loop.
#[derive(Clone, Debug)]
pub struct Sum<T> {
    /// The sum of the block that is being filled, and how many terms it has room for.
    now: [T; 1],
    room: usize,
    blocks: usize,
    levels: [[T; 1]; LEVELS],
}

impl<T: Number> Sum<T> {
    /// The sum of nothing.
    #[inline(always)]
    pub fn new() -> Self {
        Sum { now: [T::zero()], room: SHORT, blocks: 0, levels: [[T::zero()]; LEVELS] }
    }

    /// Adds one term.
    #[inline(always)]
    pub fn add(&mut self, term: T) {
        if self.room == 0 {
            self.carry();
        }
        let [now] = &mut self.now;
        *now += term;
        self.room = self.room.wrapping_sub(1);
    }

    /// The sum of all terms so far.
    #[inline(always)]
    pub fn total(&self) -> T {
        let ([now], [levels]) = match self.blocks {
            0 => {
                let [now] = self.now;
                return now;
            }
            blocks => (self.now, total(&self.levels, blocks)),
        };
        now + levels
    }

    #[cold]
    #[inline(never)]
    fn carry(&mut self) {
        carry(&mut self.now, 1, self.blocks, &mut self.levels);
        self.blocks = self.blocks.wrapping_add(1);
        self.room = BLOCK;
    }
}

/// The sum of `count` terms. `part` adds up a range of them. Up to 128 terms it is called once, so the sum is a
/// plain loop.
#[inline(always)]
pub fn sum_of<T: Number>(count: usize, mut part: impl FnMut(Range<usize>) -> T) -> T {
    if count <= SHORT { part(0..count) } else { blocks(count, part) }
}

#[inline(never)]
fn blocks<T: Number>(count: usize, mut part: impl FnMut(Range<usize>) -> T) -> T {
    let mut sum = Sum::new();
    sum.now = [part(0..SHORT)];
    for (block, from) in (SHORT..count).step_by(BLOCK).enumerate() {
        if block % GROUP == 0 {
            sum.carry();
        }
        let [now] = &mut sum.now;
        *now += part(from..count.min(from + BLOCK));
    }
    sum.total()
}

impl<T: Number> Default for Sum<T> {
    fn default() -> Self {
        Sum::new()
    }
}

/// Adds the sums of block number `block` to the sums of sums, and sets them to zero. The blocks are counted in
/// binary: where a digit goes from one to zero, its sums go to the next digit. The first `width` of the `N`
/// sums are in use.
#[inline(always)]
pub(super) fn carry<T: Copy + Zero, const N: usize>(
    sums: &mut [T; N],
    width: usize,
    blocks: usize,
    levels: &mut [[T; N]; LEVELS],
) {
    let full = (blocks.trailing_ones() as usize).min(LEVELS - 1);
    let (full, rest) = levels.split_at_mut(full);
    for level in full {
        for (sum, level) in sums.iter_mut().zip(level).take(width) {
            *sum = *sum + *level;
            *level = T::zero();
        }
    }
    for (level, sum) in rest.iter_mut().take(1).flatten().zip(sums).take(width) {
        *level = *level + *sum;
        *sum = T::zero();
    }
}

/// The sum of this number of blocks. It uses only the levels that this number has filled.
#[inline(always)]
pub(super) fn total<T: Copy + Zero, const N: usize>(
    levels: &[[T; N]; LEVELS],
    blocks: usize,
) -> [T; N] {
    let mut sums = [T::zero(); N];
    let used = usize::BITS - blocks.leading_zeros();
    for level in levels.iter().take(used as usize) {
        for (sum, &level) in sums.iter_mut().zip(level) {
            *sum = *sum + level;
        }
    }
    sums
}
