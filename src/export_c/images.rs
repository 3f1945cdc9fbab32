//! Convolution and pooling as C.

use super::{ExportC, Real, Writer, affine};
use crate::{
    image::{Extent, Img, Size, Window},
    layers::{AvgPool2d, Conv2d, Dense, GlobalAvgPool2d, MaxPool2d},
};
use core::fmt;

/// Loops over a window: `body` sees the pixel as row `v` and column `u`, and the place in the window as `i` and `j`.
fn window<H: Size, W: Size>(
    to: &mut Writer,
    [kernel, stride, padding, dilation]: [usize; 4],
    body: fmt::Arguments,
) -> fmt::Result {
    let inside = format_args!("v >= 0 && v < {} && u >= 0 && u < {}", H::N, W::N);
    to.line(format_args!(
        "for (int i = 0; i < {kernel}; i++) for (int j = 0; j < {kernel}; j++) {{"
    ))?;
    to.line(format_args!("const int v = {stride} * r + {dilation} * i - {padding};"))?;
    to.line(format_args!("const int u = {stride} * q + {dilation} * j - {padding};"))?;
    to.line(format_args!("if ({inside}) {{ {body} }}"))?;
    to.line(format_args!("}}"))
}

/// Loops over the places `r`, `q` of `channels` planes `o`, and begins a block.
fn places<H: Size, W: Size>(to: &mut Writer, channels: usize) -> fmt::Result {
    to.line(format_args!("for (int o = 0; o < {channels}; o++)"))?;
    let (rows, columns) = (H::N, W::N);
    to.line(format_args!("for (int r = 0; r < {rows}; r++) for (int q = 0; q < {columns}; q++) {{"))
}

impl<
    T,
    const C: usize,
    const O: usize,
    const K: usize,
    const S: usize,
    const P: usize,
    const D: usize,
    H,
    W,
> ExportC<T, Img<C, H, W>> for Conv2d<T, C, O, K, S, P, D>
where
    T: Real,
    H: Window<K, S, P, D>,
    W: Window<K, S, P, D>,
{
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let (rows, columns) = (H::Out::N, W::Out::N);
        let ((x, y), real, (h, w)) = (to.arrays(O * rows * columns), T::NAME, (H::N, W::N));
        to.line(format_args!("{{"))?;
        to.constants("weight", self.weight.as_slice())?;
        to.constants("bias", self.bias.as_slice())?;
        places::<H::Out, W::Out>(to, O)?;
        to.line(format_args!("{real} sum = 0;"))?;
        to.line(format_args!("for (int c = 0; c < {C}; c++)"))?;
        let weight = format_args!("weight[((c * {K} + i) * {K} + j) * {O} + o]");
        let add = format_args!("sum += {weight} * {x}[(c * {h} + v) * {w} + u];");
        window::<H, W>(to, [K, S, P, D], add)?;
        to.line(format_args!("{y}[(o * {rows} + r) * {columns} + q] = bias[o] + sum;"))?;
        to.line(format_args!("}}"))?;
        to.line(format_args!("}}"))
    }
}

/// A pooling layer: the first value, what is done with each pixel `p`, and whether that is divided by the pixels.
macro_rules! pool {
    ($($layer:ident $first:literal, $each:literal, mean $mean:literal;)*) => { $(
        impl<T, const C: usize, const K: usize, const S: usize, const P: usize, H, W>
            ExportC<T, Img<C, H, W>> for $layer<K, S, P>
        where
            T: Real,
            H: Window<K, S, P, 1>,
            W: Window<K, S, P, 1>,
        {
            fn c(&self, to: &mut Writer) -> fmt::Result {
                let (rows, columns) = (H::Out::N, W::Out::N);
                let ((x, y), real, (h, w)) = (to.arrays(C * rows * columns), T::NAME, (H::N, W::N));
                places::<H::Out, W::Out>(to, C)?;
                to.line(format_args!("{real} value = {};", $first))?;
                let value = format_args!("const {real} p = {x}[(o * {h} + v) * {w} + u];");
                window::<H, W>(to, [K, S, P, 1], format_args!("{value} {}", $each))?;
                if $mean {
                    let (suffix, all) = (T::SUFFIX, K * K);
                    to.line(format_args!("value *= 1.0{suffix} / {all};"))?;
                }
                to.line(format_args!("{y}[(o * {rows} + r) * {columns} + q] = value;"))?;
                to.line(format_args!("}}"))
            }
        }
    )* };
}
pool! {
    MaxPool2d "-INFINITY", "if (p > value || p != p) value = p;", mean false;
    AvgPool2d "0", "value += p;", mean true;
}

impl<T: Real, const C: usize, H: Size, W: Size> ExportC<T, Img<C, H, W>> for GlobalAvgPool2d {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let ((x, y), size, real) = (to.arrays(C), H::N * W::N, T::NAME);
        to.line(format_args!("for (int c = 0; c < {C}; c++) {{"))?;
        to.line(format_args!("{real} sum = 0;"))?;
        to.line(format_args!("for (int i = 0; i < {size}; i++) sum += {x}[c * {size} + i];"))?;
        to.line(format_args!("{y}[c] = sum / {size};"))?;
        to.line(format_args!("}}"))
    }
}

impl<T: Real, const C: usize, H: Size, W: Size, const O: usize> ExportC<T, Img<C, H, W>>
    for Dense<T, Img<C, H, W>, O>
{
    fn c(&self, to: &mut Writer) -> fmt::Result {
        affine(to, C * H::N * W::N, self.weight.as_slice(), self.bias.as_slice())
    }
}
