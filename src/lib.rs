#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! Neural-network layers whose shapes are types: *if it compiles, it fits; if it passes, the
//! gradient is right; on a laptop or on a chip without a heap.*
//!
//! A layer is a struct of nalgebra matrices with two functions, forward and backward. It is generic over
//! the scalar (f32, f64, dual numbers), and the compiler knows its sizes. The crate follows *Deep Learning from
//! Scratch*, beginning with its chapter 5 about backpropagation. These pages call it "the book".
//!
//! ```
//! use chainrule::{Affine, D1, Network, Optimizer, Relu, Sgd, SoftmaxCrossEntropy, StepError};
//! use nalgebra::{Const, SMatrix};
//! use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
//!
//! // Two numbers in, sixteen hidden units, two classes out.
//! type Layers = (Affine<f32, 2, 16>, Relu, Affine<f32, 16, 2>);
//! type Net = Network<f32, D1<2>, Layers, SoftmaxCrossEntropy>;
//!
//! fn main() -> Result<(), StepError> {
//!     let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
//!     let mut net = Net::init(&mut rng);
//!     // Exclusive or: four samples, one per column, and their labels.
//!     let x = SMatrix::<f32, 2, 4>::from_column_slice(&[0., 0., 0., 1., 1., 0., 1., 1.]);
//!     let labels = [0, 1, 1, 0];
//!     let (mut work, mut sgd) = (Net::workspace(Const::<4>), Sgd::new(0.5));
//!     for _ in 0..500 {
//!         let loss = sgd.train_step(&mut net, &x, &labels, &mut work)?;
//!     }
//!     assert_eq!(net.accuracy(&x, &labels), 1.0);
//!     Ok(())
//! }
//! ```
//!
//! If a layer does not fit, `cargo check` reports an error that names the layer:
//!
//! ```text
//! error[E0277]: `Affine<f32, 49, 10>` does not take inputs of shape `D1<50>`
//! ```
//!
//! # Rows and columns
//!
//! In the book a sample is a row. nalgebra stores the numbers of a column together, so here a sample is a
//! column, and a batch is a matrix with one column per sample. A NumPy array of shape (batch, features) has
//! the same bytes.
//!
//! | the book (rows) | chainrule (columns) |
//! |---|---|
//! | `out = np.dot(x, W) + b` | `y = W·x + b`; W is OUT×IN, b is added to each column |
//! | `dx = np.dot(dout, W.T)` | `dx = Wᵀ·dy` |
//! | `dW = np.dot(x.T, dout)` | `dW = dy·xᵀ` |
//! | `db = np.sum(dout, axis=0)` | `db = Σ columns of dy` |
//!
//! # Where to find what
//!
//! | to | see |
//! |---|---|
//! | follow the book's price graphs | [`node`] |
//! | run a layer by hand, forward and backward | [`ByValue`] |
//! | build a net | [`Affine`], [`Relu`], [`Softmax`]; a tuple of 1 to 12 layers is a layer |
//! | choose another activation | [`Sigmoid`], [`Tanh`], [`Gelu`], [`GeluTanh`], [`Silu`], [`Softplus`], [`LeakyRelu`], [`PRelu`], [`Elu`], [`Selu`], [`HardSigmoid`], [`HardTanh`], [`LogSoftmax`], [`Identity`] |
//! | regularise, normalise | [`Dropout`], [`Dropout2d`], [`BatchNorm`], [`LayerNorm`], [`RmsNorm`]; raw inputs, [`Standardize`] |
//! | put layers together | [`Residual`], [`Concat`], [`Repeat`] |
//! | name the layers of a net, or have more than 12 | [`named!`] |
//! | give a net first weights | [`Network::init`]; one layer at a time: [`Affine::he`], [`Affine::xavier`], [`Affine::normal`], [`init`] |
//! | classify images | the page [`images`]; [`Conv2d`], [`MaxPool2d`], [`Dense`] |
//! | choose a loss for classes | [`SoftmaxCrossEntropy`]; with settings, [`CrossEntropy`]; yes or no, [`BinaryCrossEntropy`] |
//! | choose a loss for numbers | [`SumSquaredError`], [`MeanSquaredError`], [`AbsoluteError`], [`Huber`] |
//! | give samples weights | [`Weighted`] |
//! | choose an optimizer | [`optimizers`]: [`Sgd`], [`Momentum`], [`AdaGrad`], [`RmsProp`], [`Adam`], [`NAdam`]; at run time, a `Box<dyn `[`Optimizer`]`>` |
//! | change the learning rate, decay weights, clip gradients | [`schedule`], [`Decay`], [`Descent::groups`], [`Descent::clip_norm`] |
//! | see a whole job: a table, a training, a test | `a_real_job` (feature `csv`) |
//! | train a net | [`Trainer`] with a [`data::Dataset`]: epochs, validation, early stopping; the book's loop [`Training`]; by hand [`Optimizer::train_step`], or [`Network::backprop`] and [`Optimizer::step`] |
//! | train on several threads | [`Trainer::fit_in_parts`](struct.Trainer.html#method.fit_in_parts) |
//! | predict | [`Network::predict`]; in memory that is reused, [`Network::predictor`] and [`Network::predict_into`] |
//! | measure a net | [`Network::loss`], [`Network::accuracy`]; on a data set [`Network::loss_on`], [`Network::accuracy_on`], [`metrics`] |
//! | take derivatives | [`Network::gradient`], [`Network::input_gradient`], [`Network::vjp`]; Jacobians and Hessians: [`derivatives`] |
//! | train a small net to a very small error | [`LevenbergMarquardt`], [`LBfgs`]: [`second_order`] |
//! | train on a differential equation | [`Network::physics`] |
//! | see all of a net's methods | [`Network`], [`TwoLayerNet`] |
//! | read CSV files, NumPy files, MNIST, or a matrix of run-time size | [`data`] |
//! | split data, cross-validate | [`data::split`](fn@data::split), [`data::stratified_folds`](fn@data::stratified_folds), [`data::Dataset::select`] |
//! | keep some layers unchanged in training | [`Frozen`] |
//! | exchange weights with PyTorch | `Network::load_weights`, `Network::save_weights` in [`files`](files/index.html) |
//! | save a net by serde | the page [`files`](files/index.html) (feature `serde`) |
//! | compare nets or gradients | [`Leaves`] |
//! | continue a training later | `files::Checkpoint`, `TrainerState::save` |
//! | put weights into flash | [`Network::export`]; as C, [`Network::export_c`] |
//! | know the memory at compile time | [`Network::memory`], [`Network::predict_bytes`] |
//! | put 64 MB of weights on the heap | [`Zeros`] |
//! | train on a chip, or predict from flash | [`on_a_chip`] |
//! | know how fast it is | [`speed`] |
//! | write a layer | [`write_a_layer`], [`Layer`], [`parameters!`], [`ops`] |
//! | check a layer's gradient | `gradcheck`, `gradcheck_layer!` (feature `gradcheck`) |
//! | write an optimizer | [`write_an_optimizer`], [`Rule`] |
//! | check an optimizer | `gradcheck::check_optimizer` (feature `gradcheck`) |
//!
//! The size of a batch is [`Const<B>`](nalgebra::Const) or [`Dyn`](nalgebra::Dyn). `Const<B>` is known at compile
//! time, and the batch is stored inline. `Dyn` is known at run time, and the batch is on the heap. Every layer
//! takes both.
//!
//! # Numbers
//!
//! - If an input is NaN, the output is NaN.
//! - Softmax, sigmoid and cross entropy are accurate for inputs of ±1000. Unlike the book, the
//!   crate adds no 1e-7 inside a logarithm.
//! - At kinks and ties the crate does what the book does: the slope of ReLU at 0 is 0, and the first of equal
//!   maxima counts.
//!
//! # Errors
//!
//! Nothing in the crate panics. A file or a data set that is wrong gives an error value. A label that is not a
//! class, or a target with the wrong number of samples, makes the loss NaN. [`Optimizer::train_step`] and
//! [`Trainer::fit`] return an error if the loss is not finite, and such a step changes nothing.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `std` (default) | files, and SIMD chosen at run time for the CPU (x86-64: AVX2, AVX-512); contains `alloc` |
//! | `alloc` | batches of run-time size, boxed layers, optimizers chosen at run time |
//! | `csv` | tables from CSV files |
//! | `gzip` | compressed data files |
//! | `serde` | nets in any format of serde; also without std; contains `alloc` |
//! | `rayon` | large products on all threads, with the same bits (a zero may have the other sign); rayon may allocate when it starts the threads; needs std |
//! | `gradcheck` | gradient checks, for the tests of layers; needs std |
//! | `proptest` | strategies for property tests of layers |
//!
//! Without any feature the crate is `no_std` and needs no heap. It can still train, with batches whose size is
//! known at compile time.
//!
//! # Debug builds
//!
//! rustc compiles generic code in the crate that uses it. Without optimisation, matrix loops are some 60
//! times slower and use four times as much stack: a 784-50-10 net in f64, passed by value, overflows the 2 MiB
//! stack of a test thread. Level 2 in your `Cargo.toml` prevents that. The other two lines keep a rebuild short,
//! because rustc then inlines before LLVM sees the code. The program of the README rebuilds in 2.5 seconds of CPU
//! time with them, and in 17 to 40 without them, on the EPYC of the page [`speed`].
//!
//! ```toml
//! [profile.dev]
//! opt-level = 2
//! incremental = false
//! debug = 0
//! ```
//!
//! # What the crate does not do
//!
//! The crate has no GPU support, no graphs built at run time and no language models. For those see burn, candle or
//! PyTorch.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[cfg(feature = "alloc")]
extern crate alloc;

/// The examples of the README run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[macro_use]
mod macros;
#[macro_use]
mod sequence;
#[cfg(all(feature = "csv", feature = "std"))]
#[doc = include_str!("a_real_job.md")]
pub mod a_real_job {}
mod block;
mod calculus;
mod chain;
pub mod data;
#[doc = include_str!("derivatives.md")]
pub mod derivatives {}
mod errors;
pub mod export;
pub mod export_c;
#[cfg(feature = "alloc")]
pub mod files;
mod filters;
mod grad;
#[cfg(feature = "gradcheck")]
pub mod gradcheck;
mod image;
pub mod init;
mod kernel;
mod layer;
mod layers;
mod leaves;
mod loss;
mod memory;
pub mod metrics;
mod network;
pub mod node;
mod numerical;
#[doc = include_str!("images.md")]
pub mod images {}
#[doc = include_str!("on_a_chip.md")]
pub mod on_a_chip {}
pub mod ops;
#[doc = include_str!("second_order.md")]
pub mod second_order {}
#[doc = include_str!("optimizers.md")]
pub mod optimizers {}
#[doc = include_str!("speed.md")]
pub mod speed {}
#[doc = include_str!("write_a_layer.md")]
pub mod write_a_layer {}
#[doc = include_str!("write_an_optimizer.md")]
pub mod write_an_optimizer {}
mod optim;
mod params;
mod part;
#[cfg(feature = "std")]
mod parts;
mod pass;
mod path;
mod rule;
mod shape;
mod step;
mod summary;
mod trace;
mod train;
mod trainer;
mod update;
mod view;
mod zeros;

/// Items that the public macros use.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        block::Block,
        init::first,
        kernel::{Larger, parts, zero_field},
        params::count,
    };
    pub use num_traits::ConstZero;
    pub use rand::Rng;
}

pub use calculus::{
    Derivatives, Fit, Jet, LBfgs, LeastSquares, LevenbergMarquardt, Objective, OnBatch, Outcome,
    PerSample, Physics, SampleGradients, Stop, SumOfSquares,
};
pub use filters::Filters;
/// The crates for matrices and for random numbers, in the versions that this version of chainrule uses. When one of
/// them gets a new 0.x version, chainrule gets one too.
pub use {nalgebra, rand};

pub use grad::{Destination, Grad, Nowhere, Tree};
pub use image::{Channels, Extent, Grid, Image, Images, Img, Px, Signal, Size, Window};
pub use kernel::{Larger, Scratch};
pub use layer::{Backward, Forward, Layer};
pub use layers::*;
pub use leaves::Leaves;
pub use loss::*;
pub use memory::Memory;
pub use network::{Network, TwoLayerNet};
pub use optim::{
    AdaGrad, Adam, ClipNorm, ClipValue, Decay, Descent, Groups, Momentum, NAdam, Nesterov,
    Optimizer, Rate, RmsProp, Schedule, Scheduled, Sgd, schedule,
};
pub use params::{Leaf, LeafMut, OneLeaf, Parameters, Role, Statistic};
pub use part::Part;
#[cfg(feature = "std")]
pub use parts::{Parts, Threads};
pub use pass::Pass;
pub use path::Path;
pub use rule::{BadSetting, Piece, Rule};
pub use shape::{
    AsBatch, Batch, BatchSize, Buffer, Columns, D1, Flat, Labels, Number, Probabilities, Purpose,
    Scores, Shape, ToPredict, ToTrain,
};
pub use step::{Fused, Predictor, StepError, Way, Whole, Workspace};
pub use trace::{ByValue, Trace};
pub use train::{Observation, Progress, Training, TrainingCause, TrainingError};
pub use trainer::{Epoch, Trained, Trainer, TrainerState};
pub use update::Update;
pub use zeros::{ConstZeros, Zeros};
