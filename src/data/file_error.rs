//! Errors of data files: IDX, gzip and NumPy's.

use super::error::DataError;
use crate::errors::errors;
use alloc::string::String;
use core::fmt;
use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

/// The magic number of IDX images.
pub(super) const IMAGES: u32 = 2051;

/// An error in a file, with the name of the file.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub kind: FileErrorKind,
}

errors! {
    /// What can be wrong with a file.
    #[derive(Debug)]
    pub enum FileErrorKind {
        /// The file cannot be read, or its gzip data is damaged.
        Read(error: io::Error) => "expected a readable file, found: {error}";
        /// The file does not exist, neither plain nor as `.gz`.
        Missing {
            /// The name of the `.gz` file that was tried.
            gzip: PathBuf,
        } => "expected this file or {}, found neither", gzip.display();
        /// The file is gzip, and the crate was built without the feature `gzip`.
        Gzip => "expected a plain file, found gzip, which needs the feature `gzip`";
        /// The file is of another kind.
        Magic {
            /// The magic number of the kind: 2051 for IDX images, 2049 for IDX labels.
            expected: u32,
            /// The first four bytes.
            found: u32,
        } => "expected the magic number {expected} of IDX {}, found {found}", kind(*expected);
        /// The file ends too early.
        Truncated {
            /// The bytes that its header promises, unpacked.
            expected: u64,
            /// The bytes in the file, unpacked.
            found: u64,
        } => "expected {expected} bytes, found only {found}";
        /// The gzip file ends before its data or its checksum does.
        TruncatedGzip {
            /// The bytes in the file, packed.
            at: u64,
        } => "expected more gzip data, found the end at byte {at}";
        /// Something other than zeros or another gzip member follows the gzip data.
        AfterGzip {
            /// The position in the packed file, from 0.
            at: u64,
            /// The byte there.
            found: u8,
        } =>
            "expected zeros or the end of the file after the gzip data, found {found:#04x} at byte {at}";
        /// The file has more bytes than its header promises.
        Trailing {
            /// The bytes that its header promises, unpacked.
            expected: u64,
        } => "expected {expected} bytes, found more";
        /// The header promises more bytes than a file can have.
        Overflow {
            /// Images.
            count: u32,
            /// Rows of an image.
            rows: u32,
            /// Columns of an image.
            columns: u32,
        } => "expected a size below 2⁶⁴ bytes, found {count} images of {rows} × {columns} pixels";
        /// The header promises images without pixels.
        NoPixels {
            /// Rows of an image.
            rows: u32,
            /// Columns of an image.
            columns: u32,
        } => "expected at least one pixel per image, found {rows} × {columns}";
        /// The file is not such an array of NumPy.
        Npy {
            /// What was expected.
            expected: String,
            /// What was found.
            found: String,
        } => "expected {expected}, found {found}";
        /// The format of the file is right, but its data is not.
        Data(error: DataError) => "{error}";
    }
}

impl FileErrorKind {
    pub(super) fn of(self, file: impl AsRef<Path>) -> FileError {
        FileError { file: file.as_ref().into(), kind: self }
    }
}

impl From<io::Error> for FileErrorKind {
    /// A kind that came through a [`Read`](io::Read) is unwrapped.
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(FileErrorKind::Read)
    }
}

impl From<DataError> for FileErrorKind {
    fn from(error: DataError) -> Self {
        FileErrorKind::Data(error)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.kind)
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

/// The kind of file with this magic number.
const fn kind(magic: u32) -> &'static str {
    if magic == IMAGES { "images" } else { "labels" }
}
