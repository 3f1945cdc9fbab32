//! One file a layer.

mod activation;
mod affine;
mod augment;
mod conv1d;
mod conv2d;
mod convolution;
mod dense;
mod depthwise_conv2d;
mod frozen;
mod pool2d;
mod softmax;

pub use activation::{Flatten, Gelu, Identity, Relu, Sigmoid, Softplus, Tanh};
pub use affine::Affine;
pub use augment::Augment;
pub use conv1d::Conv1d;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use depthwise_conv2d::DepthwiseConv2d;
pub use frozen::Frozen;
pub use pool2d::{AvgPool2d, GlobalAvgPool2d, MaxPool2d};
pub use softmax::Softmax;
