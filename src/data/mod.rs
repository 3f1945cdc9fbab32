//! Data on its way into a net: samples in memory, files, and the errors of both.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "std")]
mod idx;

#[cfg(feature = "std")]
pub use idx::{FileError, FileErrorKind, read_images, read_labelled, read_labels, read_mnist};

#[cfg(feature = "alloc")]
use crate::kernel;
use crate::shape::{BatchSize, Columns, Labels, Scalar};
use core::fmt;
#[cfg(feature = "alloc")]
use {
    alloc::vec::Vec,
    nalgebra::{Const, DMatrix, Dyn},
};

/// Samples one behind the other.
pub trait Samples {
    /// How many there are.
    fn count(&self) -> usize;
}

/// Samples that are copied into batches: `[T; N]` into columns, a class number into labels. They
/// are held in a `Vec` or a slice, or are the columns of a matrix; [`Pixels`] keeps bytes.
pub trait Draw<T: Scalar, B: BatchSize>: Samples {
    /// A batch of them.
    type Batch;

    /// Memory for a batch of `size`.
    fn lend(&self, size: B) -> Self::Batch;

    /// Copies the samples with these numbers, in this order; what is beyond the last is left out.
    fn draw(&self, picks: &[usize], batch: &mut Self::Batch);
}

macro_rules! samples {
    ($samples:ty $(, $lifetime:lifetime)?; $count:ident |$all:ident| $each:expr) => {
        impl<$($lifetime,)? T: Scalar, const N: usize> Samples for $samples {
            fn count(&self) -> usize {
                self.$count()
            }
        }

        impl<$($lifetime,)? T: Scalar, const N: usize, B: BatchSize> Draw<T, B> for $samples {
            type Batch = Columns<T, N, B>;

            fn lend(&self, size: B) -> Self::Batch {
                size.columns()
            }

            fn draw(&self, picks: &[usize], batch: &mut Self::Batch) {
                let ($all, batch) = (self, batch.as_mut_slice().chunks_exact_mut(N.max(1)));
                for (x, sample) in batch.zip(picks.iter().filter_map(|&i| $each.get(i))) {
                    x.copy_from_slice(sample);
                }
            }
        }
    };
}

macro_rules! labels {
    ($labels:ty) => {
        impl Samples for $labels {
            fn count(&self) -> usize {
                self.len()
            }
        }

        impl<T: Scalar, B: BatchSize> Draw<T, B> for $labels {
            type Batch = Labels<B>;

            fn lend(&self, size: B) -> Self::Batch {
                size.samples(0)
            }

            fn draw(&self, picks: &[usize], batch: &mut Self::Batch) {
                let picks = picks.iter().filter_map(|&i| self.get(i));
                for (label, &picked) in batch.as_mut().iter_mut().zip(picks) {
                    *label = picked;
                }
            }
        }
    };
}

samples!(&'a [[T; N]], 'a; len |all| all);
labels!(&[usize]);
#[cfg(feature = "alloc")]
samples!(Vec<[T; N]>; len |all| all);
#[cfg(feature = "alloc")]
samples!(Columns<T, N, Dyn>; ncols |all| all.as_slice().as_chunks::<N>().0);
#[cfg(feature = "alloc")]
labels!(Vec<usize>);

/// Grey images of `N` pixels, kept as bytes and drawn as numbers from 0 to 1.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels<const N: usize>(pub Vec<[u8; N]>);

#[cfg(feature = "alloc")]
impl<const N: usize> Samples for Pixels<N> {
    fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(feature = "alloc")]
impl<T: Scalar, const N: usize, B: BatchSize> Draw<T, B> for Pixels<N> {
    type Batch = Columns<T, N, B>;

    fn lend(&self, size: B) -> Self::Batch {
        size.columns()
    }

    fn draw(&self, picks: &[usize], batch: &mut Self::Batch) {
        let image = |&i: &usize| self.0.get(i);
        // Picked at random, an image is in no cache; on its way while others are drawn, it is there.
        let ahead = picks.iter().skip(4).map(image).chain(core::iter::repeat(None));
        let batch = batch.as_mut_slice().chunks_exact_mut(N.max(1));
        for ((x, image), next) in batch.zip(picks.iter().filter_map(image)).zip(ahead) {
            kernel::prefetch(next.map_or(&[], |next| next));
            kernel::brightness(image, x);
        }
    }
}

/// Inputs and their targets, as many of one as of the other, and at least one.
///
/// ```
/// use chainrule::data::{DataError, Dataset};
///
/// let inputs = vec![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// assert!(Dataset::labelled(inputs.clone(), vec![0, 1, 1, 0], 2).is_ok());
///
/// let error = Dataset::labelled(inputs, vec![0, 1, 1, 2], 2).unwrap_err();
/// assert_eq!(error, DataError::Label { sample: 3, found: 2, classes: 2 });
/// assert_eq!(error.to_string(), "expected labels below 2, found 2 at sample 3");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset<X, Y> {
    inputs: X,
    targets: Y,
}

impl<X: Samples, Y: Samples> Dataset<X, Y> {
    /// Inputs with targets of any kind.
    ///
    /// # Errors
    /// Not as many of one as of the other, or none.
    pub fn new(inputs: X, targets: Y) -> Result<Self, DataError> {
        match (inputs.count(), targets.count()) {
            (0, 0) => Err(DataError::Empty),
            (a, b) if a != b => Err(DataError::Counts { inputs: a, targets: b }),
            _ => Ok(Dataset { inputs, targets }),
        }
    }

    /// Inputs with class numbers below `classes`.
    ///
    /// # Errors
    /// As [`new`](Self::new), or a label that is no class.
    pub fn labelled(inputs: X, labels: Y, classes: usize) -> Result<Self, DataError>
    where
        Y: AsRef<[usize]>,
    {
        check_labels(labels.as_ref(), classes)?;
        Self::new(inputs, labels)
    }

    /// The number of samples.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.inputs.count()
    }

    /// The inputs.
    pub const fn inputs(&self) -> &X {
        &self.inputs
    }

    /// The targets.
    pub const fn targets(&self) -> &Y {
        &self.targets
    }
}

/// What is wrong with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataError {
    /// No sample.
    Empty,
    /// Not as many inputs as targets.
    Counts {
        /// The number of inputs.
        inputs: usize,
        /// The number of targets.
        targets: usize,
    },
    /// A label that is no class.
    Label {
        /// The sample's number, from 0.
        sample: usize,
        /// Its label.
        found: usize,
        /// The number of classes.
        classes: usize,
    },
    /// Samples of another size than the net takes.
    Features {
        /// What the net takes.
        expected: usize,
        /// What a sample has.
        found: usize,
    },
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            DataError::Empty => write!(f, "expected at least one sample, found none"),
            DataError::Counts { inputs, targets } => {
                write!(
                    f,
                    "expected one target per input, found {inputs} inputs and {targets} targets"
                )
            }
            DataError::Label { sample, found, classes } => {
                write!(f, "expected labels below {classes}, found {found} at sample {sample}")
            }
            DataError::Features { expected, found } => {
                write!(f, "expected {expected} features per sample, found {found}")
            }
        }
    }
}

impl core::error::Error for DataError {}

fn check_labels(labels: &[usize], classes: usize) -> Result<(), DataError> {
    match labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
        Some((sample, &found)) => Err(DataError::Label { sample, found, classes }),
        None => Ok(()),
    }
}

/// A matrix of run-time size as a batch of samples with `N` features, one a column. Nothing is
/// copied.
///
/// # Errors
/// The matrix has another number of rows.
///
/// ```
/// use chainrule::data::{DataError, from_dmatrix};
/// use nalgebra::DMatrix;
///
/// let batch = from_dmatrix::<f32, 784>(DMatrix::zeros(784, 100)).unwrap();
/// assert_eq!(batch.shape(), (784, 100));
///
/// let error = from_dmatrix::<f32, 784>(DMatrix::zeros(100, 784)).unwrap_err();
/// assert_eq!(error, DataError::Features { expected: 784, found: 100 });
/// ```
#[cfg(feature = "alloc")]
pub fn from_dmatrix<T: Scalar, const N: usize>(
    matrix: DMatrix<T>,
) -> Result<Columns<T, N, Dyn>, DataError> {
    let (rows, columns) = matrix.shape();
    if rows != N {
        return Err(DataError::Features { expected: N, found: rows });
    }
    Ok(matrix.reshape_generic(Const, Dyn(columns)))
}
