//! The convolution layer of signals.
#![allow(unsafe_code)] // of `parameters!`, whose unsafe part is in `kernel::place`

use super::convolution::{axis, convolution};
use crate::{Filters, Img, Number, Px, Signal, Size, Window};
use nalgebra::SVector;

/// [`Conv2d`](crate::Conv2d) on signals: y(o, t) = b(o) + Σ W(o, c, i)·x(c, S·t + D·i - P). (PyTorch's `Conv1d`.)
///
/// `Conv1d<f32, 1, 8, 5>` has 1 input channel, 8 filters, and windows of 5 numbers. The next parameters
/// are the stride S (default 1), the padding P (0) and the dilation D (1).
///
/// # Shapes
/// From `Signal<C, L>` to `Signal<O, (L + 2P - D·(K - 1) - 1) / S + 1>`, rounded down. The length follows from the layer
/// before. W is [`Filters`]; b has O entries.
///
/// A NaN in the input makes all outputs NaN whose window contains it.
///
/// ```
/// use chainrule::{Conv1d, Images, Network, Signal, SumSquaredError, Zeros};
///
/// let mut difference = Conv1d::<f64, 1, 1, 2>::zeros();
/// difference.weight.as_mut_slice().copy_from_slice(&[-1.0, 1.0]);
/// let net = Network::<f64, Signal<1, 4>, _, _>::new(difference, SumSquaredError);
/// assert_eq!(net.predict(&Images::from([[[[1.0, 4.0, 9.0, 16.0]]]])).as_slice(), [3.0, 5.0, 7.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv1d<
    T: Number,
    const C: usize,
    const O: usize,
    const K: usize,
    const S: usize = 1,
    const P: usize = 0,
    const D: usize = 1,
> {
    /// W: one filter per output channel.
    pub weight: Filters<T, Signal<C, K>, O>,
    /// b.
    pub bias: SVector<T, O>,
}

parameters!(Conv1d<T: scalar, const C: usize, const O: usize, const K: usize, const S: usize, const P: usize,
    const D: usize> { weight: [O, C, K], bias });

convolution!(
    [const C: usize, const O: usize, const K: usize, const S: usize, const P: usize, const D: usize,
     L: Size + Window<K, S, P, D>]
    Conv1d<T, C, O, K, S, P, D>, Img<C, Px<1>, L> => Img<O, Px<1>, L::Out>, Signal<C, K>, Px<1>, L::Out,
    axis::<Px<1>, Px<1>>(1, 1, 0, 1), axis::<L, L::Out>(K, S, P, D), [1, C, O]);
