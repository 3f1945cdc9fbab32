//! The convolution layer of images.
#![allow(unsafe_code)] // of `parameters!`, whose unsafe part is in `kernel::place`

use super::convolution::{axis, convolution};
use crate::{Filters, Image, Img, Number, Size, Window};
use nalgebra::SVector;

/// y = x ⋆ W + b: each output channel is a sum over a window of K×K pixels in all input channels, weighted by a filter.
///
/// y(o, r, q) = b(o) + Σ W(o, c, i, j)·x(c, S·r + D·i - P, S·q + D·j - P), where x is zero outside of the image.
/// dx(c, ·, ·) = Σ W(o, c, i, j)·dy(o, r, q) over all windows that contain the pixel, dW(o, c, i, j) = Σ dy(o, r, q)·x(…)
/// over all places, db(o) = Σ dy(o, r, q). (Chapter 7.2 and 7.4.3; PyTorch's `Conv2d`.)
///
/// `Conv2d<f32, 1, 30, 5>` has 1 input channel, 30 filters, and windows of 5×5 pixels. The next parameters
/// are the stride S (default 1), the padding P (0) and the dilation D (1).
///
/// # Shapes
/// From `Image<C, H, W>` to `Image<O, (H + 2P - D·(K - 1) - 1) / S + 1, …>`, rounded down. The sizes follow from the layer
/// before. W is [`Filters`], which says how it lies in memory; b has O entries.
///
/// A NaN in the input makes all outputs NaN whose window contains it. With a stride, some
/// pixels at the right and lower edges may lie in no window. Their gradient is 0.
///
/// The layer copies the windows of some rows of one sample side by side (im2col) and multiplies them by W. That memory
/// does not grow with the batch.
///
/// ```
/// use chainrule::{Conv2d, Image, Images, Network, SumSquaredError, Zeros};
///
/// let mut conv = Conv2d::<f64, 1, 1, 2>::zeros();
/// conv.weight.as_mut_slice().copy_from_slice(&[1.0, 10.0, 100.0, 1000.0]);
/// conv.bias[0] = 0.5;
/// let net = Network::<f64, Image<1, 2, 3>, _, _>::new(conv, SumSquaredError);
///
/// let y = net.predict(&Images::from([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]));
/// assert_eq!(y.as_slice(), [5421.5, 6532.5]);
/// ```
#[doc(alias("convolution", "im2col"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d<
    T: Number,
    const C: usize,
    const O: usize,
    const K: usize,
    const S: usize = 1,
    const P: usize = 0,
    const D: usize = 1,
> {
    /// W: one filter per output channel.
    pub weight: Filters<T, Image<C, K, K>, O>,
    /// b.
    pub bias: SVector<T, O>,
}

parameters!(Conv2d<T: scalar, const C: usize, const O: usize, const K: usize, const S: usize, const P: usize,
    const D: usize> { weight: [O, C, K, K], bias });

convolution!(
    [const C: usize, const O: usize, const K: usize, const S: usize, const P: usize, const D: usize,
     H: Size + Window<K, S, P, D>, W: Size + Window<K, S, P, D>]
    Conv2d<T, C, O, K, S, P, D>, Img<C, H, W> => Img<O, H::Out, W::Out>, Image<C, K, K>, H::Out, W::Out,
    axis::<H, H::Out>(K, S, P, D), axis::<W, W::Out>(K, S, P, D), [1, C, O]);
