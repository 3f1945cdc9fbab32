//! The layers. Each has its own file; the activations without parameters share one.
#![allow(unsafe_code)] // of `parameters!`, whose unsafe part is in `kernel::place`

#[macro_use]
mod function;
mod activation;
mod affine;
mod augment;
mod batch_norm;
mod concat;
mod conv1d;
mod conv2d;
mod convolution;
mod dense;
mod depthwise_conv2d;
mod dropout;
mod elu;
mod frozen;
#[macro_use]
mod layer_norm;
mod leaky_relu;
mod log_softmax;
mod pool2d;
mod repeat;
mod residual;
mod rms_norm;
mod softmax;
mod standardize;

pub use activation::{
    Flatten, Gelu, GeluTanh, HardSigmoid, HardTanh, Identity, Relu, Sigmoid, Silu, Softplus, Tanh,
};
pub use affine::Affine;
pub use augment::Augment;
pub use batch_norm::BatchNorm;
pub use concat::Concat;
pub use conv1d::Conv1d;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use depthwise_conv2d::DepthwiseConv2d;
pub use dropout::{Dropout, Dropout2d};
pub use elu::{Elu, Selu};
pub use frozen::Frozen;
pub use layer_norm::LayerNorm;
pub use leaky_relu::{LeakyRelu, PRelu};
pub use log_softmax::LogSoftmax;
pub use pool2d::{AvgPool2d, GlobalAvgPool2d, MaxPool2d};
pub use repeat::Repeat;
pub use residual::Residual;
pub use rms_norm::RmsNorm;
pub use softmax::Softmax;
pub use standardize::{Standardize, StandardizeError, Standardized};
