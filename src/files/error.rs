//! Why a file cannot be loaded.

use super::safetensors::FormatError;
use crate::errors::errors;
use alloc::{string::String, vec::Vec};
use core::fmt;

/// Why a file cannot be loaded, with the name of the file.
#[derive(Debug)]
pub struct LoadError {
    /// The name of the file.
    pub file: String,
    /// What is wrong.
    pub kind: LoadErrorKind,
}

errors! {
    /// Why a file cannot be loaded.
    #[derive(Debug)]
    pub enum LoadErrorKind {
        /// The file cannot be read.
        #[cfg(feature = "std")]
        Io(error: std::io::Error) => "{error}";
        /// It is not a safetensors file.
        Format(error: FormatError) => "{error}";
        /// It holds another net.
        Mismatch(mismatch: Mismatch) => "{mismatch}";
        /// It holds the state of an optimizer with another rule: [`Rule::NAME`](crate::Rule::NAME).
        #[cfg(feature = "std")]
        Optimizer {
            /// The rule of the optimizer.
            expected: &'static str,
            /// The rule in the file.
            found: String,
        } => "expected the state of `{expected}`, found that of `{found}`";
        /// It is not a checkpoint of this kind of training, or a later version of the crate wrote it.
        #[cfg(feature = "std")]
        Version {
            /// The version of checkpoints in the file, if there is one.
            found: Option<u64>,
        } => "expected a checkpoint{}", version(*found);
    }
}

#[cfg(feature = "std")]
fn version(found: Option<u64>) -> String {
    match found {
        None => String::new(),
        Some(1) => " of this kind of training".into(),
        Some(found) => format!(" of version 1, found version {found}"),
    }
}

/// All differences between a net and a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// The leaves of the net that the file does not have, or not like this.
    pub differences: Vec<Difference>,
    /// The names of the tensors in the file that the net does not have.
    pub unexpected: Vec<String>,
}

impl Mismatch {
    /// Whether all of the file was loaded into all of the net.
    pub const fn is_empty(&self) -> bool {
        self.differences.is_empty() && self.unexpected.is_empty()
    }
}

/// A leaf that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name in the net.
    pub name: String,
    /// Why it was not loaded.
    pub kind: DifferenceKind,
}

/// Why a leaf was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// The file does not have it. These are its sizes.
    Missing(Vec<usize>),
    /// The file has it in another shape.
    Shape {
        /// Its sizes in the net.
        expected: Vec<usize>,
        /// Its sizes in the file.
        found: Vec<usize>,
    },
    /// The file does not hold as many numbers as its sizes say.
    Count {
        /// The product of the sizes.
        expected: usize,
        /// The numbers in the file.
        found: usize,
    },
    /// The file has it with another type of numbers.
    Type {
        /// The type in the net.
        expected: &'static str,
        /// The type in the file.
        found: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.kind)
    }
}

/// One line for each difference.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let count = self.differences.len() + self.unexpected.len();
        write!(f, "{count} differences between the net and the file")?;
        for Difference { name, kind } in &self.differences {
            write!(f, "\n  {name}: ")?;
            match kind {
                DifferenceKind::Missing(dims) => write!(f, "expected {dims:?}, found nothing")?,
                DifferenceKind::Shape { expected, found } => {
                    write!(f, "expected {expected:?}, found {found:?}")?;
                }
                DifferenceKind::Count { expected, found } => {
                    write!(f, "expected {expected} numbers, found {found}")?;
                }
                DifferenceKind::Type { expected, found } => {
                    write!(f, "expected {expected}, found {found}")?;
                    let narrow = *expected == "F32" && found == "F64";
                    f.write_str(if narrow { " (`narrow` rounds it)" } else { "" })?;
                }
            }
        }
        self.unexpected.iter().try_for_each(|name| write!(f, "\n  {name}: not in the net"))
    }
}

impl core::error::Error for Mismatch {}
impl core::error::Error for LoadError {}

impl From<FormatError> for LoadErrorKind {
    fn from(error: FormatError) -> Self {
        LoadErrorKind::Format(error)
    }
}
