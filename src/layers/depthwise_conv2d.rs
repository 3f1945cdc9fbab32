//! The convolution layer that does not mix channels.
#![allow(unsafe_code)] // of `parameters!`, whose unsafe part is in `kernel::place`

use super::convolution::{axis, convolution};
use crate::{Filters, Image, Img, Number, Size, Window};
use nalgebra::SVector;

/// Each channel is convolved with a filter of its own: y(c, r, q) = b(c) + Σ W(c, i, j)·x(c, S·r + D·i - P, …).
///
/// (Howard and others, 2017: MobileNets; PyTorch's `Conv2d` with `groups` equal to the number of channels.) A
/// [`Conv2d`](crate::Conv2d) of 1×1 pixels after it mixes the channels.
///
/// # Shapes
/// From `Image<C, H, W>` to `Image<C, (H + 2P - D·(K - 1) - 1) / S + 1, …>`, rounded down; K is the window, S the
/// stride (1), P the padding (0), D the dilation (1). W is [`Filters`] of one channel; b has C entries.
///
/// A NaN in the input makes all outputs NaN whose window contains it.
///
/// ```
/// use chainrule::{DepthwiseConv2d, Image, Images, Network, SumSquaredError, Zeros};
///
/// let mut sums = DepthwiseConv2d::<f64, 2, 2>::zeros();
/// sums.weight.as_mut_slice().fill(1.0);
/// let net = Network::<f64, Image<2, 2, 2>, _, _>::new(sums, SumSquaredError);
/// let y = net.predict(&Images::from([[[[1.0, 2.0], [3.0, 4.0]], [[10.0, 20.0], [30.0, 40.0]]]]));
/// assert_eq!(y.as_slice(), [10.0, 100.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthwiseConv2d<
    T: Number,
    const C: usize,
    const K: usize,
    const S: usize = 1,
    const P: usize = 0,
    const D: usize = 1,
> {
    /// W: one filter per channel.
    pub weight: Filters<T, Image<1, K, K>, C>,
    /// b.
    pub bias: SVector<T, C>,
}

parameters!(DepthwiseConv2d<T: scalar, const C: usize, const K: usize, const S: usize, const P: usize,
    const D: usize> { weight: [C, 1, K, K], bias });

convolution!(
    [const C: usize, const K: usize, const S: usize, const P: usize, const D: usize,
     H: Size + Window<K, S, P, D>, W: Size + Window<K, S, P, D>]
    DepthwiseConv2d<T, C, K, S, P, D>, Img<C, H, W> => Img<C, H::Out, W::Out>, Image<1, K, K>, H::Out, W::Out,
    axis::<H, H::Out>(K, S, P, D), axis::<W, W::Out>(K, S, P, D), [C, 1, 1]);
