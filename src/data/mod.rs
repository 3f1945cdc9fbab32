//! Data for nets: samples in memory, files, and the errors of both.
//!
//! A [`Dataset`] holds inputs and targets. Each of them is one of these:
//!
//! | the data | what to pass |
//! |---|---|
//! | rows of known length: `Vec<[T; N]>`, `[[T; N]; M]`, or a reference | the rows |
//! | rows of run-time length: `Vec<Vec<T>>`, lines of a table | [`from_rows::<T, N>(&rows)?`](fn.from_rows.html) |
//! | values sample after sample: `Vec<T>`, a NumPy array of shape (samples, `N`) | [`from_slice::<T, N>(&values)?`](from_slice) |
//! | one value per sample, such as the targets of a net with one output: `Vec<f32>` or `Vec<f64>` | the values |
//! | a `DMatrix` with one sample per column | [`from_dmatrix::<T, N>(matrix)?`](fn.from_dmatrix.html) |
//! | a `DMatrix` with one sample per row | `from_dmatrix::<T, N>(matrix.transpose())?` |
//! | grey images as bytes | [`Pixels`](struct.Pixels.html) |
//! | any of these as images for a convolution | [`as_images::<Image<1, 28, 28>, _>(samples)`](as_images) |
//! | class numbers: `Vec<usize>`, `[usize; M]`, or a reference | the numbers, to [`Dataset::labelled`] |
//! | some samples of another data set | [`Dataset::select`]; [`split`](fn.split.html) and [`folds`](fn.folds.html) choose them |
//! | CSV files | [`Table`](struct.Table.html) (feature `csv`) |
//! | NumPy's `.npy` files | [`read_npy`](fn.read_npy.html), [`read_npy_labels`](fn.read_npy_labels.html); [`write_npy`](fn.write_npy.html) writes them (feature `std`) |
//! | IDX files such as MNIST | [`read_mnist`](fn.read_mnist.html), [`read_labelled`](fn.read_labelled.html) (feature `std`) |
//!
//! ```
//! use chainrule::data::{Dataset, from_rows};
//! use nalgebra::Const;
//!
//! let table = vec![vec![5.1, 3.5], vec![6.2, 2.9], vec![4.9, 3.0]];
//! let data = Dataset::labelled(from_rows::<f64, 2>(&table)?, vec![0, 1, 0], 2)?;
//! let (x, labels) = data.batch(&[2, 1], Const::<2>)?;
//! assert_eq!(x.as_slice(), [4.9, 3.0, 6.2, 2.9]);
//! assert_eq!(labels, [0, 1]);
//! # Ok::<_, chainrule::data::DataError>(())
//! ```

mod convert;
mod dataset;
mod error;
#[cfg(feature = "std")]
mod file_error;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "std")]
mod idx;
mod images;
#[cfg(feature = "std")]
mod npy;
mod samples;
mod shuffle;
#[cfg(feature = "alloc")]
mod split;
#[cfg(feature = "csv")]
mod table;

pub use convert::from_slice;
#[cfg(feature = "alloc")]
pub use convert::{from_dmatrix, from_rows, one_hot};
pub use dataset::Dataset;
pub use error::DataError;
#[cfg(feature = "std")]
pub use file_error::{FileError, FileErrorKind};
#[cfg(feature = "std")]
pub use idx::{read_images, read_labelled, read_labels, read_mnist};
pub use images::{AsImages, as_images};
#[cfg(feature = "std")]
pub use npy::{NpyNumber, read_npy, read_npy_labels, write_npy};
#[cfg(feature = "alloc")]
pub use samples::Pixels;
pub use samples::{Gather, Inputs, Samples, Subset};
pub use shuffle::Shuffle;
#[cfg(feature = "alloc")]
pub use split::{Split, folds, split, stratified_folds, stratified_split};
#[cfg(feature = "csv")]
pub use table::{Table, TableError, TableErrorKind};
