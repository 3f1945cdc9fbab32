//! One file a layer.

mod activation;
mod affine;
mod frozen;
mod softmax;

pub use activation::{Identity, Relu, Sigmoid, Tanh};
pub use affine::Affine;
pub use frozen::Frozen;
pub use softmax::Softmax;
