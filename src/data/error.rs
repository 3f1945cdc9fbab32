//! Errors of data in memory.

use crate::errors::errors;

errors! {
    /// What is wrong with data.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum DataError {
        /// There is no sample.
        Empty => "expected at least one sample, found none";
        /// The number of inputs is not the number of targets.
        Counts {
            /// The number of inputs.
            inputs: usize,
            /// The number of targets.
            targets: usize,
        } => "expected one target per input, found {inputs} inputs and {targets} targets";
        /// A label is not below the number of classes.
        Label {
            /// The sample's index, from 0.
            sample: usize,
            /// Its label.
            found: usize,
            /// The number of classes.
            classes: usize,
        } => "expected labels below {classes}, found {found} at sample {sample}";
        /// All samples have another number of features than the net takes.
        Features {
            /// What the net takes.
            expected: usize,
            /// What a sample has.
            found: usize,
        } => "expected {expected} features per sample, found {found}";
        /// One row has another number of features than the net takes.
        Row {
            /// The row's index, from 0.
            row: usize,
            /// What the net takes.
            expected: usize,
            /// What the row has.
            found: usize,
        } => "expected {expected} features per sample, found {found} in row {row}";
        /// A slice cannot be divided into samples.
        Values {
            /// The features of a sample.
            features: usize,
            /// The values in the slice.
            found: usize,
        } => "expected samples of {features} values each, found {found} values in all";
        /// An index is not below the number of samples.
        Index {
            /// The position in the list of indices, from 0.
            position: usize,
            /// The index there.
            found: usize,
            /// The number of samples.
            samples: usize,
        } => "expected indices below {samples}, found {found} at position {position}";
        /// The number of indices is not the size of the batch.
        Indices {
            /// The size of the batch.
            expected: usize,
            /// The number of indices.
            found: usize,
        } => "expected {expected} indices for a batch of {expected}, found {found}";
        /// A batch has no samples.
        EmptyBatch => "expected batches of at least one sample, found 0";
        /// All samples are of one class.
        OneClass {
            /// That class.
            class: usize,
        } => "expected samples of two or more classes, found only class {class}";
        /// A class has too few samples.
        Class {
            /// The class.
            class: usize,
            /// The number that is needed.
            expected: usize,
            /// The number of its samples.
            found: usize,
        } => "expected at least {expected} samples of class {class}, found {found}";
        /// No sample is to be held out, or none is left to train on.
        HeldOut {
            /// The number of samples.
            samples: usize,
            /// The number to hold out.
            found: usize,
        } =>
            "expected to hold out 1 to {} of {samples} samples, found {found}", samples.saturating_sub(1);
        /// The number of folds is below 2 or above the number of samples.
        Folds {
            /// The number of samples.
            samples: usize,
            /// The number of folds.
            found: usize,
        } => "expected 2 to {samples} folds of {samples} samples, found {found}";
    }
}
