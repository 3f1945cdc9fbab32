#![cfg_attr(not(any(feature = "std", test)), no_std)]
//! FRONT
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[macro_use]
mod params;
mod chain;
pub mod data;
pub mod init;
#[doc(hidden)]
pub mod kernel;
#[doc(hidden)]
pub use params::count as __count;
mod layer;
mod layers;
mod loss;
mod network;
pub mod node;
mod optim;
mod shape;
mod train;

pub use layer::{ByValue, Layer, Pass, Trace};
pub use layers::{Affine, Frozen, Identity, Relu, Sigmoid, Softmax, Tanh};
pub use loss::{Classes, Loss, SoftmaxCrossEntropy, SumSquaredError};
pub use network::{Network, TwoLayerNet, Workspace};
pub use optim::{Optimizer, Sgd};
pub use params::{Grad, Leaf, LeafMut, Parameters, Path, Role, Zeros};
pub use shape::{Batch, BatchSize, Buffer, Columns, D1, Flat, Labels, Scalar, Shape};
pub use train::{Progress, Training};
