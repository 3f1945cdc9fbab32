//! One file a layer.

mod activation;
mod affine;
mod conv2d;
mod convolution;
mod dense;
mod frozen;
mod pool2d;
mod softmax;

pub use activation::{Flatten, Gelu, Identity, Relu, Sigmoid, Softplus, Tanh};
pub use affine::Affine;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use frozen::Frozen;
pub use pool2d::{AvgPool2d, GlobalAvgPool2d, MaxPool2d};
pub use softmax::Softmax;
