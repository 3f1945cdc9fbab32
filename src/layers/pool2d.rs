//! Pooling: one number for each window of each channel.
#![allow(unsafe_code)] // of `parameters!`, whose unsafe part is in `kernel::place`

use super::convolution::axis;
use crate::{
    D1, Img, Size, Window,
    kernel::{self, Windows},
    shape::number,
};

macro_rules! pool {
    ($name:ident, ($windows:ident, $x:ident, $y:ident, $dy:ident, $dx:ident) $forward:expr, $backward:expr) => {
        parameters!($name<const K: usize, const S: usize, const P: usize> {});
        function!([const C: usize, const K: usize, const S: usize, const P: usize,
            H: Size + Window<K, S, P, 1>, W: Size + Window<K, S, P, 1>]
            $name<K, S, P>, Img<C, H, W> => Img<C, H::Out, W::Out>, None, (this, $x, $y, $dy, $dx)
            { let $windows = windows::<H, H::Out, W, W::Out>(K, S, P); $forward },
            { let $windows = windows::<H, H::Out, W, W::Out>(K, S, P); $backward });
    };
}

#[inline(always)]
const fn windows<H: Size, OH: Size, W: Size, OW: Size>(k: usize, s: usize, p: usize) -> Windows {
    Windows { rows: axis::<H, OH>(k, s, p, 1), columns: axis::<W, OW>(k, s, p, 1) }
}

/// The largest number of each window of K×K pixels. `MaxPool2d<2, 2>` halves both sides; `MaxPool2d<3, 2>` has windows
/// that overlap.
///
/// dx is dy at the largest number of the window, and 0 elsewhere. Of several equal numbers the first gets dy. (Chapter
/// 7.3; PyTorch's `MaxPool2d`.)
///
/// # Shapes
/// From `Image<C, H, W>` to `Image<C, (H + 2P - K) / S + 1, …>`, rounded down. S is the stride (default K), P the padding
/// (default 0). The padding never counts as the largest number.
///
/// If a number of a window is NaN, the output is NaN, and the first NaN gets dy.
///
/// ```
/// use chainrule::{Image, Images, MaxPool2d, Network, SumSquaredError};
///
/// let net = Network::<f64, Image<1, 2, 4>, _, _>::new(MaxPool2d::<2, 2>, SumSquaredError);
/// let y = net.predict(&Images::from([[[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]]));
/// assert_eq!(y.as_slice(), [8.0, 6.0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPool2d<const K: usize, const S: usize = K, const P: usize = 0>;
pool!(MaxPool2d, (windows, x, y, dy, dx) windows.max(x, y), windows.max_back(x, y, dy, dx));

/// The mean of each window of K×K pixels, in which the padding counts as zeros.
///
/// dx: each pixel of a window gets dy / K². (PyTorch's `AvgPool2d`.)
///
/// # Shapes
/// From `Image<C, H, W>` to `Image<C, (H + 2P - K) / S + 1, …>`, rounded down. S is the stride (default K), P the
/// padding (default 0).
///
/// If a number of a window is NaN, the output is NaN.
///
/// ```
/// use chainrule::{AvgPool2d, Image, Images, Network, SumSquaredError};
///
/// let net = Network::<f64, Image<1, 2, 4>, _, _>::new(AvgPool2d::<2, 2>, SumSquaredError);
/// let y = net.predict(&Images::from([[[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]]));
/// assert_eq!(y.as_slice(), [4.5, 4.5]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AvgPool2d<const K: usize, const S: usize = K, const P: usize = 0>;
pool!(AvgPool2d, (windows, x, y, dy, dx) windows.mean(x, y), windows.mean_back(dy, dx));

/// The mean of each channel: a vector of C numbers for images of any size.
///
/// dx: each pixel gets dy / (H·W). (PyTorch's `AdaptiveAvgPool2d(1)` and `Flatten`.)
///
/// # Shapes
/// From `Image<C, H, W>` to `D1<C>`.
///
/// ```
/// use chainrule::{GlobalAvgPool2d, Image, Images, Network, SumSquaredError};
///
/// let net = Network::<f64, Image<2, 1, 2>, _, _>::new(GlobalAvgPool2d, SumSquaredError);
/// assert_eq!(net.predict(&Images::from([[[[1.0, 2.0]], [[3.0, 5.0]]]])).as_slice(), [1.5, 4.0]);
/// ```
#[doc(alias("AdaptiveAvgPool2d"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlobalAvgPool2d;

parameters!(GlobalAvgPool2d {});

function!([const C: usize, H: Size, W: Size] GlobalAvgPool2d, Img<C, H, W> => D1<C>, None, (this, x, y, dy, dx)
    kernel::pairs(y.iter_mut(), x.chunks_exact((H::N * W::N).max(1)))
        .for_each(|(y, x)| *y = kernel::sum(x) / number(H::N * W::N)),
    kernel::pairs(dx.chunks_exact_mut((H::N * W::N).max(1)), dy)
        .for_each(|(dx, &dy)| dx.fill(dy / number(H::N * W::N))));
