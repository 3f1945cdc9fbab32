//! The common code of the convolutions: im2col of one sample, some rows at a time, and products.

use crate::image::{Extent, Grid, Img, Pixel, Size};
use crate::kernel::{self, Axis, Windows};
use crate::shape::{Number, nan};
use crate::view::View;
use core::ops::Range;

#[cfg(all(test, feature = "std"))]
#[path = "../../tests/unit/windows.rs"]
mod tests;

/// The im2col of a band: for each number of the window `S`, one number for each of `W` places in its rows.
pub(super) type Unfolded<T, S, H, W> =
    <S as Grid>::Of<<Img<1, <H as Size>::Band, W> as Grid>::Of<Pixel<T>>>;

/// The numbers of an im2col.
#[inline(always)]
pub(super) fn unfolded<T: Number, S: Grid, H: Size, W: Size>(
    memory: &mut Unfolded<T, S, H, W>,
) -> &mut [T] {
    let bands = S::elements_mut(core::slice::from_mut(memory));
    kernel::numbers_mut(<Img<1, <H as Size>::Band, W> as Grid>::elements_mut(bands))
}

/// The sizes along one side of an image.
#[inline(always)]
pub(super) const fn axis<In: Size, Out: Size>(
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Axis {
    Axis { input: In::N, output: Out::N, kernel, stride, padding, dilation }
}

/// A convolution of `groups` groups of channels, each with as many outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution {
    pub windows: Windows,
    pub groups: usize,
    /// The channels of a group.
    pub channels: usize,
    /// The outputs of a group.
    pub outputs: usize,
    /// The rows of a band.
    pub band: usize,
}

impl Convolution {
    /// With `groups` groups of `channels` channels and `outputs` outputs each, over places in rows of `H`.
    #[inline(always)]
    pub const fn new<H: Size>(
        rows: Axis,
        columns: Axis,
        [groups, channels, outputs]: [usize; 3],
    ) -> Self {
        let windows = Windows { rows, columns };
        Convolution { windows, groups, channels, outputs, band: <H::Band as Extent>::N }
    }

    /// The numbers of a window.
    #[inline(always)]
    fn taps(&self) -> usize {
        self.channels * self.windows.rows.kernel * self.windows.columns.kernel
    }

    /// Whether `x` and `y` are batches of the same number of samples.
    #[inline(always)]
    fn fits<T>(&self, x: &[T], y: &[T]) -> bool {
        let [plane, places] = self.windows.planes();
        let samples = |numbers: &[T], size| numbers.len().checked_div(size);
        samples(x, plane * self.channels) == samples(y, places * self.outputs)
    }

    /// The bands of rows.
    #[inline(always)]
    fn bands(&self) -> impl Iterator<Item = Range<usize>> {
        let (rows, band, mut first) = (self.windows.rows.output, self.band.max(1), 0);
        core::iter::from_fn(move || {
            let from = first;
            first = rows.min(first + band);
            (from < first).then_some(from..first)
        })
    }

    /// y = x ⋆ W + b.
    #[inline(always)]
    pub fn forward<T: Number>(&self, x: &[T], w: &[T], b: &[T], y: &mut [T], col: &mut [T]) {
        if !self.fits(x, y) {
            return y.fill(nan());
        }
        let ([plane, places], taps) = (self.windows.planes(), self.taps());
        let outputs = self.groups * self.outputs;
        let y = y.chunks_exact_mut((places * self.outputs).max(1));
        let samples = kernel::pairs(x.chunks_exact((plane * self.channels).max(1)), y);
        for (group, (x, y)) in samples.enumerate() {
            let [w, b] = [w, b].map(|all| {
                all.get(group % self.groups.max(1) * self.outputs..).unwrap_or_default()
            });
            // Here and not for the whole batch, so that the product finds it in a cache.
            y.chunks_exact_mut(places.max(1)).zip(b).for_each(|(y, &b)| y.fill(b));
            for rows in self.bands() {
                let width = self.windows.columns.output;
                let (first, m) = (rows.start * width, rows.len() * width);
                self.windows.unfold(x, rows, 0..taps, col);
                let y = y.get_mut(first..).unwrap_or_default();
                let size = [m, taps, self.outputs];
                let (col, w) = (View::columns(col, m), View::rows(w, outputs));
                kernel::gemm(size, col, w, y, places, false);
            }
        }
    }

    /// dx: each number of a window gets Wᵀ·dy, added up where windows overlap.
    #[inline(always)]
    pub fn input<T: Number>(&self, w: &[T], dy: &[T], dx: &mut [T], col: &mut [T]) {
        if !self.fits(dx, dy) {
            return dx.fill(nan());
        }
        let ([plane, places], taps) = (self.windows.planes(), self.taps());
        let outputs = self.groups * self.outputs;
        let dy = dy.chunks_exact((places * self.outputs).max(1));
        let samples = kernel::pairs(dx.chunks_exact_mut((plane * self.channels).max(1)), dy);
        for (group, (dx, dy)) in samples.enumerate() {
            dx.fill(T::zero());
            let w = w.get(group % self.groups.max(1) * self.outputs..).unwrap_or_default();
            for rows in self.bands() {
                let width = self.windows.columns.output;
                let (first, m) = (rows.start * width, rows.len() * width);
                let dy = dy.get(first..).unwrap_or_default();
                let size = [m, self.outputs, taps];
                let (dy, w) = (View::columns(dy, places), View::columns(w, outputs));
                kernel::gemm(size, dy, w, col, m, true);
                self.windows.fold(col, rows, 0..taps, dx);
            }
        }
    }

    /// Adds dW of the numbers `taps` of the window: Σ dy·xᵀ over all places and samples.
    #[inline(always)]
    pub fn weight<T: Number>(
        &self,
        x: &[T],
        dy: &[T],
        taps: Range<usize>,
        dw: &mut [T],
        col: &mut [T],
    ) {
        if !self.fits(x, dy) {
            return dw.fill(nan());
        }
        let [plane, places] = self.windows.planes();
        let outputs = self.groups * self.outputs;
        let dy = dy.chunks_exact((places * self.outputs).max(1));
        let samples = kernel::pairs(x.chunks_exact((plane * self.channels).max(1)), dy);
        for (group, (x, dy)) in samples.enumerate() {
            let dw = dw.get_mut(group % self.groups.max(1) * self.outputs..).unwrap_or_default();
            for rows in self.bands() {
                let width = self.windows.columns.output;
                let (first, m) = (rows.start * width, rows.len() * width);
                self.windows.unfold(x, rows, taps.clone(), col);
                let dy = dy.get(first..).unwrap_or_default();
                let size = [self.outputs, m, taps.len()];
                let (dy, col) = (View::rows(dy, places), View::columns(col, m));
                kernel::gemm(size, dy, col, dw, outputs, false);
            }
        }
    }

    /// Adds db: the sum of `dy` over all places and samples.
    #[inline(always)]
    pub fn bias<T: Number>(&self, dy: &[T], db: &mut [T]) {
        let [_, places] = self.windows.planes();
        for dy in dy.chunks_exact((places * db.len()).max(1)) {
            kernel::pairs(db.iter_mut(), dy.chunks_exact(places.max(1)))
                .for_each(|(db, dy)| *db += kernel::sum(dy));
        }
    }
}

/// Makes a struct with a weight and a bias a layer: a convolution from one shape to another.
macro_rules! convolution {
    ([$($generics:tt)*] $name:ty, $in:ty => $out:ty, $window:ty, $h:ty, $w:ty, $rows:expr, $columns:expr, $groups:expr) => {
        impl<T: $crate::Number, $($generics)*> $crate::Layer<T, $in> for $name {
            type Out = $out;
            type Cache<B: $crate::BatchSize, Q: $crate::Purpose> = ();
            type Scratch = $crate::layers::convolution::Unfolded<T, $window, $h, $w>;
            const BY_SAMPLE: bool = cfg!(feature = "std");
            const READS: [bool; 2] = [true, false];

            #[inline(always)]
            fn forward_some<B: $crate::BatchSize>(
                &self,
                block: &$crate::block::Block,
                x: &$crate::Batch<T, $in, B>,
                y: &mut $crate::Batch<T, $out, B>,
                scratch: $crate::Scratch<Self::Scratch>,
            ) {
                let col = $crate::layers::convolution::unfolded::<T, $window, $h, $w>(scratch.zeroed());
                let (x, y) = block.forward::<T, $in, $out, B>(x, y);
                let this = $crate::layers::convolution::Convolution::new::<$h>($rows, $columns, $groups);
                this.forward(x, self.weight.as_slice(), self.bias.as_slice(), y, col);
            }

            #[inline(always)]
            fn forward<B: $crate::BatchSize, Q: $crate::Purpose>(
                &self,
                at: $crate::Forward<T, $in, Self, B, Q>,
            ) {
                let col = $crate::layers::convolution::unfolded::<T, $window, $h, $w>(at.scratch.zeroed());
                let (x, y) = (at.x.as_slice(), at.y.as_mut_slice());
                let this = $crate::layers::convolution::Convolution::new::<$h>($rows, $columns, $groups);
                this.forward(x, self.weight.as_slice(), self.bias.as_slice(), y, col);
            }

            #[inline(always)]
            fn backward<B: $crate::BatchSize, To: $crate::Destination<T>>(
                mut this: $crate::Grad<T, Self, To>,
                at: $crate::Backward<T, $in, Self, B>,
            ) {
                let col = $crate::layers::convolution::unfolded::<T, $window, $h, $w>(at.scratch.zeroed());
                let (x, dy) = (at.x.as_slice(), at.dy.as_slice());
                let of = $crate::layers::convolution::Convolution::new::<$h>($rows, $columns, $groups);
                if let Some(dx) = at.dx {
                    of.input(this.weight.as_slice(), dy, dx.as_mut_slice(), col);
                }
                $crate::part!(this.weight).columns(|taps, dw| of.weight(x, dy, taps, dw, col));
                $crate::part!(this.bias).add(|db| of.bias(dy, db.as_mut_slice()));
            }
        }
    };
}
pub(super) use convolution;
