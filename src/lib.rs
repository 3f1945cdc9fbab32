#![cfg_attr(not(any(feature = "std", test)), no_std)]
//! Neural-network layers whose shapes are types: *if it compiles, it fits; if it passes, the
//! gradient is right; on a laptop or on a chip without a heap.*
//!
//! Layers are nalgebra matrices and two functions, forward and backward, generic over the scalar
//! (f32, f64, dual numbers) and over sizes that the compiler knows. It follows chapter 5,
//! backpropagation, of *Deep Learning from Scratch*.
//!
//! ```
//! use chainrule::{Affine, D1, Network, Optimizer, Relu, Sgd, SoftmaxCrossEntropy};
//! use nalgebra::{Const, SMatrix};
//! use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
//!
//! // Two numbers in, sixteen hidden units, two classes out.
//! type Layers = (Affine<f32, 2, 16>, Relu, Affine<f32, 16, 2>);
//! type Net = Network<f32, D1<2>, Layers, SoftmaxCrossEntropy>;
//!
//! let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
//! let mut net = Net::new((Affine::he(&mut rng), Relu, Affine::he(&mut rng)), SoftmaxCrossEntropy);
//!
//! // Exclusive or: four samples, one a column, and their labels.
//! let x = SMatrix::<f32, 2, 4>::from_column_slice(&[0., 0., 0., 1., 1., 0., 1., 1.]);
//! let labels = [0, 1, 1, 0];
//!
//! let mut work = Net::workspace(Const::<4>);
//! let mut sgd = Sgd::new(0.5);
//! for _ in 0..500 {
//!     let loss = sgd.train_step(&mut net, &x, &labels, &mut work);
//! }
//! assert_eq!(net.accuracy(&x, &labels), 1.0);
//! ```
//!
//! A layer that does not fit is an error in `cargo check`, with the layer's name:
//!
//! ```text
//! error[E0277]: `Affine<f32, 49, 10>` cannot follow a layer whose output shape is `D1<50>`
//! ```
//!
//! # Rows and columns
//!
//! The book keeps a sample in a row. nalgebra keeps columns together in memory, so that here a
//! sample is a column and a batch is a matrix with a column a sample. A NumPy array of shape
//! (batch, features) is the same bytes.
//!
//! | the chapter (rows) | chainrule (columns) |
//! |---|---|
//! | `out = np.dot(x, W) + b` | `y = W·x + b`; W is OUT×IN, b is added to each column |
//! | `dx = np.dot(dout, W.T)` | `dx = Wᵀ·dy` |
//! | `dW = np.dot(x.T, dout)` | `dW = dy·xᵀ` |
//! | `db = np.sum(dout, axis=0)` | `db = Σ columns of dy` |
//!
//! # The way through
//!
//! | to | see |
//! |---|---|
//! | follow the chapter's price graphs | [`node`] |
//! | run a layer by hand, forward and backward | [`ByValue`] |
//! | build a net | [`Affine`], [`Relu`], [`Sigmoid`], [`Tanh`], [`Gelu`], [`Softplus`], [`Softmax`], [`Identity`]; a tuple of 1 to 12 layers is a layer |
//! | choose first weights | [`Affine::he`], [`Affine::xavier`], [`Affine::normal`], [`init`] |
//! | choose a loss | [`SoftmaxCrossEntropy`], [`SumSquaredError`] |
//! | ask a net for anything | [`Network`], [`TwoLayerNet`] |
//! | train it | [`Training`] with a [`data::Dataset`]; [`Optimizer::train_step`], or [`Network::backprop`] and a step, by hand |
//! | read MNIST, or a matrix of run-time size | [`data`] |
//! | put weights into flash | [`Network::export`] |
//! | know the memory before it runs | [`Network::memory`], [`Network::predict_bytes`] |
//! | keep a part as it is | [`Frozen`] |
//! | train on a chip, or predict from flash | [`on_a_chip`] |
//! | know how fast it is, beside what | [`speed`] |
//! | put 64 MB of weights on the heap | [`Zeros`] |
//! | write a layer | [`Layer`], [`parameters!`] |
//! | prove its gradient | `gradcheck`, `gradcheck_layer!` (feature `gradcheck`) |
//!
//! A batch is [`Const<B>`](nalgebra::Const), known at compile time and stored inline, or
//! [`Dyn`](nalgebra::Dyn), known at run time and on the heap; every layer takes both.
//!
//! # Numbers
//!
//! NaN in, NaN out. Softmax, sigmoid and cross entropy hold at ±1000: no 1e-7 stands inside a
//! logarithm. At kinks and ties the book decides: ReLU's slope at 0 is 0, the first maximum wins.
//! Nothing panics: what may be wrong with files and data at run time is an error value, and a target
//! that cannot be right makes a loss of NaN.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `std` (default) | files, and SIMD by what the CPU has (x86-64: AVX2, AVX-512); contains `alloc` |
//! | `alloc` | batches of run-time size, boxed layers |
//! | `gzip` | compressed data files |
//! | `rayon` | wide products on all threads, with the same bits (a zero may have another sign); handing them out may take memory from the heap; needs std |
//! | `gradcheck` | gradient checks, for the tests of layers; needs std |
//! | `proptest` | strategies for property tests of layers |
//!
//! Without any, the crate is `no_std` and needs no heap: batches known at compile time, training
//! included.
//!
//! # Debug builds
//!
//! Generic code is compiled in the crate that uses it. Without optimisation matrix loops are some 60
//! times slower and take four times the stack: a 784-50-10 net in f64, made by value, overflows the
//! 2 MiB of a test's thread. Two lines in your `Cargo.toml` mend that:
//!
//! ```toml
//! [profile.dev]
//! opt-level = 1
//! ```
//!
//! # What this is not
//!
//! No GPU, no graphs built at run time, no language models. For those see burn, candle or PyTorch.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[cfg(feature = "alloc")]
extern crate alloc;

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[macro_use]
mod macros;
mod chain;
pub mod data;
pub mod export;
mod grad;
#[cfg(feature = "gradcheck")]
pub mod gradcheck;
pub mod init;
mod kernel;
mod layer;
mod layers;
mod loss;
mod memory;
mod network;
pub mod node;
mod numerical;
#[doc = include_str!("on_a_chip.md")]
pub mod on_a_chip {}
pub mod ops;
#[doc = include_str!("speed.md")]
pub mod speed {}
#[doc = include_str!("write_a_layer.md")]
pub mod write_a_layer {}
#[doc = include_str!("write_an_optimizer.md")]
pub mod write_an_optimizer {}
mod optim;
mod params;
mod pass;
mod path;
mod rule;
mod shape;
mod step;
mod trace;
mod train;
mod zeros;

/// What the macros need.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        init::first,
        kernel::{Larger, zero_field},
        params::count,
    };
    pub use num_traits::ConstZero;
    pub use rand::Rng;
}

pub use grad::{Destination, Grad, Nowhere, Tree, Update};
pub use kernel::{Larger, Scratch};
pub use layer::{Backward, Forward, Layer};
pub use layers::{Affine, Frozen, Gelu, Identity, Relu, Sigmoid, Softmax, Softplus, Tanh};
pub use loss::{Classes, Loss, SoftmaxCrossEntropy, SumSquaredError};
pub use memory::Memory;
pub use network::{Network, TwoLayerNet};
pub use optim::{Adam, Decay, Descent, Optimizer, Sgd};
pub use params::{Leaf, LeafMut, OneLeaf, Parameters, Role, Statistic};
pub use pass::Pass;
pub use path::Path;
pub use rule::{Piece, Rule};
pub use shape::{
    AsBatch, Batch, BatchSize, Buffer, Columns, D1, Flat, Labels, Probabilities, Purpose, Scalar,
    Scores, Shape, ToPredict, ToTrain,
};
pub use step::{Fused, Predictor, StepError, Way, Whole, Workspace};
pub use trace::{ByValue, Trace};
pub use train::{Observation, Progress, Training, TrainingCause, TrainingError};
pub use zeros::{ConstZeros, Zeros};
