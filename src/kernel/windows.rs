//! Windows that slide over images: im2col and its way back, and pooling.
//!
//! All functions are `inline(always)`, so that in a net the sizes are constants and the loops use the CPU's
//! instructions.

use super::{Sum, pairs};
use crate::shape::{Number, number};
use core::ops::Range;

/// Windows along the rows or along the columns of an image.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// The pixels.
    pub input: usize,
    /// The places of the window.
    pub output: usize,
    /// The pixels in a window.
    pub kernel: usize,
    /// The pixels from one place to the next.
    pub stride: usize,
    /// The zeros before the first pixel.
    pub padding: usize,
    /// The pixels from one number of a window to the next.
    pub dilation: usize,
}

impl Axis {
    /// The pixel under number `tap` of the window at `place`.
    #[inline(always)]
    fn pixel(&self, place: usize, tap: usize) -> Option<usize> {
        let pixel = (place * self.stride + tap * self.dilation).checked_sub(self.padding)?;
        (pixel < self.input).then_some(pixel)
    }

    /// The places at which number `tap` of the window is inside the image.
    #[inline(always)]
    fn inside(&self, tap: usize) -> Range<usize> {
        let (at, end) = (tap * self.dilation, self.input + self.padding);
        let first = self.padding.saturating_sub(at).div_ceil(self.stride.max(1));
        let last = end.saturating_sub(at).div_ceil(self.stride.max(1)).min(self.output);
        first.min(last)..last
    }
}

/// Windows over images of some channels: along the rows, and along the columns.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    pub rows: Axis,
    pub columns: Axis,
}

impl Windows {
    /// The pixels of a plane, and the places of a window on it.
    #[inline(always)]
    pub const fn planes(&self) -> [usize; 2] {
        [self.rows.input * self.columns.input, self.rows.output * self.columns.output]
    }

    /// Calls `f` for each number of the windows, and each row of places in `rows`: with the range of places in the row
    /// that are inside the image, and the index of the first pixel, if there is one.
    #[inline(always)]
    fn each_run<R>(
        &self,
        rows: Range<usize>,
        taps: Range<usize>,
        mut runs: impl Iterator<Item = R>,
        mut f: impl FnMut(R, Range<usize>, Option<usize>),
    ) {
        let (down, right) = (self.rows, self.columns);
        for tap in taps {
            let (line, j) = (tap / right.kernel.max(1), tap % right.kernel.max(1));
            let (channel, i) = (line / down.kernel.max(1), line % down.kernel.max(1));
            let places = right.inside(j);
            let x = (places.start * right.stride + j * right.dilation).checked_sub(right.padding);
            for row in rows.clone() {
                let Some(run) = runs.next() else { return };
                let y = down.pixel(row, i).filter(|_| !places.is_empty());
                let first = y.zip(x).map(|(y, x)| (channel * down.input + y) * right.input + x);
                f(run, places.clone(), first);
            }
        }
    }

    /// im2col of some `rows` of places: for each number of the window in `taps` (channel, row, column), what is
    /// under it at each place. Zero outside of the image.
    #[inline(always)]
    pub fn unfold<T: Number>(
        &self,
        x: &[T],
        rows: Range<usize>,
        taps: Range<usize>,
        col: &mut [T],
    ) {
        let (width, stride) = (self.columns.output, self.columns.stride);
        let runs = col.chunks_exact_mut(width.max(1));
        self.each_run(rows, taps, runs, |run: &mut [T], places, first| {
            let Some(from) = first.and_then(|first| x.get(first..)) else {
                return run.fill(T::zero());
            };
            if stride == 1 && places.len() == width {
                return each_eight(run, from, |to, from| *to = from);
            }
            for (place, to) in run.iter_mut().enumerate() {
                let at = place.checked_sub(places.start).filter(|_| place < places.end);
                *to = at.and_then(|at| from.get(at * stride).copied()).unwrap_or_else(T::zero);
            }
        });
    }

    /// The way back of [`unfold`](Self::unfold): adds each number of `col` to the pixel that it came from.
    #[inline(always)]
    pub fn fold<T: Number>(&self, col: &[T], rows: Range<usize>, taps: Range<usize>, dx: &mut [T]) {
        let (width, stride) = (self.columns.output, self.columns.stride);
        let runs = col.chunks_exact(width.max(1));
        self.each_run(rows, taps, runs, |run: &[T], places, first| {
            let Some(to) = first.and_then(|first| dx.get_mut(first..)) else { return };
            if stride == 1 && places.len() == width {
                return each_eight(to.get_mut(..width).unwrap_or_default(), run, |to, from| {
                    *to += from
                });
            }
            let from = run.get(places).unwrap_or_default();
            to.iter_mut().step_by(stride.max(1)).zip(from).for_each(|(to, &from)| *to += from);
        });
    }

    /// Calls `f` for each place of a plane with the pixels under the window, row after row.
    #[inline(always)]
    fn pixels(&self, place: usize) -> impl Iterator<Item = usize> {
        let (down, right) = (self.rows, self.columns);
        let (row, column) = (place / right.output.max(1), place % right.output.max(1));
        (0..down.kernel).filter_map(move |i| down.pixel(row, i)).flat_map(move |y| {
            (0..right.kernel).filter_map(move |j| Some(y * right.input + right.pixel(column, j)?))
        })
    }

    /// Whether the windows are squares of two pixels side by side.
    #[inline(always)]
    const fn halves(&self) -> bool {
        const fn halves(axis: Axis) -> bool {
            axis.kernel == 2 && axis.stride == 2 && axis.padding == 0
        }
        halves(self.rows) && halves(self.columns)
    }

    /// The largest number of each window, or NaN. `x` and `y` are planes one after the other.
    #[inline(always)]
    pub fn max<T: Number>(&self, x: &[T], y: &mut [T]) {
        let ([input, output], width) = (self.planes(), self.columns.input);
        for (x, y) in pairs(x.chunks_exact(input.max(1)), y.chunks_exact_mut(output.max(1))) {
            if self.halves() {
                let places = y.chunks_exact_mut(self.columns.output.max(1));
                for (y, x) in pairs(places, x.chunks_exact((2 * width).max(1))) {
                    let Some((top, bottom)) = x.split_at_checked(width) else { continue };
                    let rows = pairs(top.chunks(EIGHT), bottom.chunks(EIGHT));
                    for (y, (top, bottom)) in pairs(y.chunks_mut(EIGHT / 2), rows) {
                        max_of_pairs(top, bottom, y);
                    }
                }
                continue;
            }
            for (place, y) in y.iter_mut().enumerate() {
                let mut under = self.pixels(place).filter_map(|pixel| x.get(pixel).copied());
                if let Some(first) = under.next() {
                    *y = under.fold(first, larger);
                }
            }
        }
    }

    /// dx: `dy` where the largest number of its window is, the first of equals, else 0.
    #[inline(always)]
    pub fn max_back<T: Number>(&self, x: &[T], y: &[T], dy: &[T], dx: &mut [T]) {
        let ([input, output], width) = (self.planes(), self.columns.input);
        let planes = pairs(x.chunks_exact(input.max(1)), dx.chunks_exact_mut(input.max(1)));
        let outputs = pairs(y.chunks_exact(output.max(1)), dy.chunks_exact(output.max(1)));
        for ((x, dx), (y, dy)) in pairs(planes, outputs) {
            dx.fill(T::zero());
            if self.halves() {
                let places = self.columns.output.max(1);
                let from = pairs(y.chunks_exact(places), dy.chunks_exact(places));
                let to = pairs(
                    x.chunks_exact((2 * width).max(1)),
                    dx.chunks_exact_mut((2 * width).max(1)),
                );
                for ((x, dx), (y, dy)) in pairs(to, from) {
                    let (Some((top, bottom)), Some((dtop, dbottom))) =
                        (x.split_at_checked(width), dx.split_at_mut_checked(width))
                    else {
                        continue;
                    };
                    let squares = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
                    let slopes = dtop.as_chunks_mut::<2>().0.iter_mut();
                    let slopes = slopes.zip(dbottom.as_chunks_mut::<2>().0);
                    for ((square, (dab, dcd)), (&y, &dy)) in
                        squares.zip(slopes).zip(y.iter().zip(dy))
                    {
                        let (&[a, b], &[c, _]) = square;
                        let (a, b, c) = (is_largest(a, y), is_largest(b, y), is_largest(c, y));
                        let only = |here: bool| if here { dy } else { T::zero() };
                        *dab = [only(a), only(!a & b)];
                        *dcd = [only(!a & !b & c), only(!a & !b & !c)];
                    }
                }
                continue;
            }
            for (place, (&y, &dy)) in y.iter().zip(dy).enumerate() {
                let largest = |&pixel: &usize| x.get(pixel).is_some_and(|&x| is_largest(x, y));
                let mut under = self.pixels(place);
                let to = under.find(largest).and_then(|pixel| dx.get_mut(pixel));
                to.into_iter().for_each(|dx| *dx += dy);
            }
        }
    }

    /// The mean of each window, in which the padding counts as zeros.
    #[inline(always)]
    pub fn mean<T: Number>(&self, x: &[T], y: &mut [T]) {
        let ([input, output], share) = (self.planes(), self.share::<T>());
        for (x, y) in pairs(x.chunks_exact(input.max(1)), y.chunks_exact_mut(output.max(1))) {
            for (place, y) in y.iter_mut().enumerate() {
                let under = self.pixels(place).filter_map(|pixel| x.get(pixel));
                *y = under.fold(T::zero(), |sum, &x| sum + x) * share;
            }
        }
    }

    /// dx: to each pixel of a window an equal part of `dy`.
    #[inline(always)]
    pub fn mean_back<T: Number>(&self, dy: &[T], dx: &mut [T]) {
        let ([input, output], share) = (self.planes(), self.share::<T>());
        for (dx, dy) in pairs(dx.chunks_exact_mut(input.max(1)), dy.chunks_exact(output.max(1))) {
            dx.fill(T::zero());
            for (place, &dy) in dy.iter().enumerate() {
                for pixel in self.pixels(place) {
                    dx.get_mut(pixel).into_iter().for_each(|dx| *dx += dy * share);
                }
            }
        }
    }

    #[inline(always)]
    fn share<T: Number>(&self) -> T {
        T::one() / number(self.rows.kernel * self.columns.kernel)
    }
}

/// The numbers of two rows that are computed at a time.
const EIGHT: usize = 8;

/// Calls `f` for the numbers of two rows, eight at a time. LLVM compiles a loop over a whole short row to single moves.
#[inline(always)]
fn each_eight<T: Number>(to: &mut [T], from: &[T], f: impl Fn(&mut T, T)) {
    let from = from.get(..to.len()).unwrap_or_default();
    let ((to, left), (from, last)) = (to.as_chunks_mut::<EIGHT>(), from.as_chunks::<EIGHT>());
    for (to, from) in to.iter_mut().zip(from) {
        to.iter_mut().zip(from).for_each(|(to, &from)| f(to, from));
    }
    left.iter_mut().zip(last).for_each(|(to, &from)| f(to, from));
}

/// The largest number of each square of two rows: first of each column, then of each two of these.
#[inline(always)]
fn max_of_pairs<T: Number>(top: &[T], bottom: &[T], y: &mut [T]) {
    let mut columns = [T::zero(); EIGHT];
    let rows = top.iter().zip(bottom);
    columns.iter_mut().zip(rows).for_each(|(to, (&a, &b))| *to = larger(a, b));
    let twos = columns.as_chunks::<2>().0;
    y.iter_mut().zip(twos).for_each(|(y, &[a, b])| *y = larger(a, b));
}

/// The larger; NaN if one is NaN. Without a branch, so that the compiler uses SIMD.
#[inline(always)]
fn larger<T: Number>(a: T, b: T) -> T {
    if (b > a) | is_nan(b) { b } else { a }
}

/// Whether `x` is the largest number `y` of its window.
#[inline(always)]
fn is_largest<T: Number>(x: T, y: T) -> bool {
    (x >= y) | is_nan(x)
}

#[expect(clippy::eq_op, reason = "only NaN differs from itself")]
#[inline(always)]
fn is_nan<T: Number>(x: T) -> bool {
    x != x
}

/// The sum of many numbers: sixteen sums side by side, and sums of sums.
#[inline(always)]
pub fn sum<T: Number>(x: &[T]) -> T {
    let mut total = Sum::new();
    for x in x.chunks(2048) {
        let (whole, rest) = x.as_chunks::<16>();
        let mut sums = [T::zero(); 16];
        for x in whole {
            sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x);
        }
        total.add(sums.iter().chain(rest).fold(T::zero(), |sum, &x| sum + x));
    }
    total.total()
}
