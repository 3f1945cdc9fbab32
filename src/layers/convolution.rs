//! What the convolutions share: im2col of one sample, some rows at a time, and products.

use crate::image::{Extent, Grid, Img, Pixel, Size};
use crate::kernel::{self, Axis, Windows};
use crate::shape::{Number, nan};
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

    /// The filters of all groups.
    #[inline(always)]
    const fn filters(&self) -> usize {
        self.groups * self.outputs
    }

    /// Whether `x` and `y` are batches of the same number of samples.
    #[inline(always)]
    fn fits<T>(&self, x: &[T], y: &[T]) -> bool {
        let [of_x, of_y] = self.sizes();
        x.len().checked_div(of_x) == y.len().checked_div(of_y)
    }

    /// Calls `f` for each band of rows of each sample of `x` with the same of `y`: with the numbers of the sample, with
    /// the first filter of its group, the rows, the first place and the number of places.
    #[inline(always)]
    fn each<X, Y>(
        &self,
        x: impl Iterator<Item = X>,
        y: impl Iterator<Item = Y>,
        mut f: impl FnMut(&mut X, &mut Y, usize, Range<usize>, [usize; 2]),
    ) {
        let (height, width) = (self.windows.rows.output, self.windows.columns.output);
        for (group, (mut x, mut y)) in kernel::pairs(x, y).enumerate() {
            let (filter, mut row) = (group % self.groups.max(1) * self.outputs, 0);
            while row < height {
                let rows = row..height.min(row + self.band.max(1));
                row = rows.end;
                let places = [rows.start * width, rows.len() * width];
                f(&mut x, &mut y, filter, rows, places);
            }
        }
    }

    /// The numbers of a group of channels of a sample, and of its outputs.
    #[inline(always)]
    fn sizes(&self) -> [usize; 2] {
        let [plane, places] = self.windows.planes();
        [(plane * self.channels).max(1), (places * self.outputs).max(1)]
    }

    /// y = x ⋆ W + b.
    #[inline(always)]
    pub fn forward<T: Number>(&self, x: &[T], w: &[T], b: &[T], y: &mut [T], col: &mut [T]) {
        if !self.fits(x, y) {
            return y.fill(nan());
        }
        let ([_, places], taps, filters) = (self.windows.planes(), self.taps(), self.filters());
        y.chunks_exact_mut(places.max(1)).zip(b.iter().cycle()).for_each(|(y, &b)| y.fill(b));
        let [x_size, y_size] = self.sizes();
        let (x, y) = (x.chunks_exact(x_size), y.chunks_exact_mut(y_size));
        self.each(x, y, |x, y, filter, rows, [first, m]| {
            self.windows.unfold(x, rows, 0..taps, col);
            let (w, y) = (w.get(filter..).unwrap_or_default(), y.get_mut(first..));
            let (size, y) = ([m, taps, self.outputs], y.unwrap_or_default());
            kernel::gemm(size, col, (1, m), w, (filters, 1), y, places, false);
        });
    }

    /// dx: each number of a window gets Wᵀ·dy, added up where windows overlap.
    #[inline(always)]
    pub fn input<T: Number>(&self, w: &[T], dy: &[T], dx: &mut [T], col: &mut [T]) {
        if !self.fits(dx, dy) {
            return dx.fill(nan());
        }
        let ([_, places], taps, filters) = (self.windows.planes(), self.taps(), self.filters());
        dx.fill(T::zero());
        let [x_size, y_size] = self.sizes();
        let (dx, dy) = (dx.chunks_exact_mut(x_size), dy.chunks_exact(y_size));
        self.each(dx, dy, |dx, dy, filter, rows, [first, m]| {
            let (w, dy) =
                (w.get(filter..).unwrap_or_default(), dy.get(first..).unwrap_or_default());
            let size = [m, self.outputs, taps];
            kernel::gemm(size, dy, (1, places), w, (1, filters), col, m, true);
            self.windows.fold(col, rows, 0..taps, dx);
        });
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
        let ([_, places], filters) = (self.windows.planes(), self.filters());
        let [x_size, y_size] = self.sizes();
        let (x, dy) = (x.chunks_exact(x_size), dy.chunks_exact(y_size));
        self.each(x, dy, |x, dy, filter, rows, [first, m]| {
            self.windows.unfold(x, rows, taps.clone(), col);
            let (dy, dw) = (dy.get(first..).unwrap_or_default(), dw.get_mut(filter..));
            let (size, dw) = ([self.outputs, m, taps.len()], dw.unwrap_or_default());
            kernel::gemm(size, dy, (places, 1), col, (1, m), dw, filters, false);
        });
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
