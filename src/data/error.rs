//! What can be wrong with data in memory.

use core::fmt;

/// What is wrong with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataError {
    /// There is no sample.
    Empty,
    /// The number of inputs is not the number of targets.
    Counts {
        /// The number of inputs.
        inputs: usize,
        /// The number of targets.
        targets: usize,
    },
    /// A label is not below the number of classes.
    Label {
        /// The sample's index, from 0.
        sample: usize,
        /// Its label.
        found: usize,
        /// The number of classes.
        classes: usize,
    },
    /// All samples have another number of features than the net takes.
    Features {
        /// What the net takes.
        expected: usize,
        /// What a sample has.
        found: usize,
    },
    /// One row has another number of features than the net takes.
    Row {
        /// The row's index, from 0.
        row: usize,
        /// What the net takes.
        expected: usize,
        /// What the row has.
        found: usize,
    },
    /// A slice cannot be divided into samples.
    Values {
        /// The features of a sample.
        features: usize,
        /// The values in the slice.
        found: usize,
    },
    /// An index is not below the number of samples.
    Index {
        /// The position in the list of indices, from 0.
        position: usize,
        /// The index there.
        found: usize,
        /// The number of samples.
        samples: usize,
    },
    /// The number of indices is not the size of the batch.
    Indices {
        /// The size of the batch.
        expected: usize,
        /// The number of indices.
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
            DataError::Row { row, expected, found } => {
                write!(f, "expected {expected} features per sample, found {found} in row {row}")
            }
            DataError::Values { features, found } => {
                write!(f, "expected samples of {features} values each, found {found} values in all")
            }
            DataError::Index { position, found, samples } => {
                write!(f, "expected indices below {samples}, found {found} at position {position}")
            }
            DataError::Indices { expected, found } => {
                write!(f, "expected {expected} indices for a batch of {expected}, found {found}")
            }
        }
    }
}

impl core::error::Error for DataError {}
