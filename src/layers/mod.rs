//! One file a layer.

mod activation;
mod affine;
mod frozen;
mod softmax;

pub use activation::{Gelu, Identity, Relu, Sigmoid, Softplus, Tanh};
pub use affine::Affine;
pub use frozen::Frozen;
pub use softmax::Softmax;
