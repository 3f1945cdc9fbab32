//! The nets, for images of 28×28 with a padding P of 0, and for images of 8×8 with a padding of 2, which keeps their size. The
//! size of each layer's input follows from the layer before; only `Dense` names its image, `I`.

use chainrule::{Affine, Conv2d, Dense, MaxPool2d, Relu};

/// Chapter 7.5.
pub type Simple<T, const P: usize, I> =
    (Conv2d<T, 1, 30, 5, 1, P>, Relu, MaxPool2d<2>, Dense<T, I, 100>, Relu, Affine<T, 100, 10>);

/// LeCun and others, 1998 (chapter 7.6.1), with ReLU and max pooling.
pub type LeNet<T, const P: usize, I> = (
    Conv2d<T, 1, 6, 5, 1, P>,
    Relu,
    MaxPool2d<2>,
    Conv2d<T, 6, 16, 5, 1, P>,
    Relu,
    MaxPool2d<2>,
    Dense<T, I, 120>,
    Relu,
    Affine<T, 120, 84>,
    Relu,
    Affine<T, 84, 10>,
);
