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
    /// A batch has no samples.
    EmptyBatch,
    /// All samples are of one class.
    OneClass {
        /// That class.
        class: usize,
    },
    /// A class has too few samples.
    Class {
        /// The class.
        class: usize,
        /// The number that is needed.
        expected: usize,
        /// The number of its samples.
        found: usize,
    },
    /// No sample is to be held out, or none is left to train on.
    HeldOut {
        /// The number of samples.
        samples: usize,
        /// The number to hold out.
        found: usize,
    },
    /// The number of folds is below 2 or above the number of samples.
    Folds {
        /// The number of samples.
        samples: usize,
        /// The number of folds.
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
            DataError::EmptyBatch => write!(f, "expected batches of at least one sample, found 0"),
            DataError::OneClass { class } => {
                write!(f, "expected samples of two or more classes, found only class {class}")
            }
            DataError::Class { class, expected, found } => {
                write!(f, "expected at least {expected} samples of class {class}, found {found}")
            }
            DataError::HeldOut { samples, found } => {
                let most = samples.saturating_sub(1);
                write!(f, "expected to hold out 1 to {most} of {samples} samples, found {found}")
            }
            DataError::Folds { samples, found } => {
                write!(f, "expected 2 to {samples} folds of {samples} samples, found {found}")
            }
        }
    }
}

impl core::error::Error for DataError {}
