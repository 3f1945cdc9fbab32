//! IDX, the format of MNIST: a magic number and sizes, big-endian, then bytes.

use super::{DataError, Dataset, Pixels, check_labels};
use alloc::vec::Vec;
use core::fmt;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

const IMAGES: u32 = 2051;
const LABELS: u32 = 2049;

/// Reads a file of images with `N` pixels each; plain, or with the feature `gzip` compressed.
/// `file` names it in errors.
///
/// # Errors
/// [`FileErrorKind`] has them all. No image is returned unless the whole file is right.
///
/// ```
/// use chainrule::data::read_images;
///
/// let file = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 10, 20, 30, 40];
/// assert_eq!(read_images::<4>("two-by-two", &file[..]).unwrap().0, [[10, 20, 30, 40]]);
///
/// let error = read_images::<4>("two-by-two", &file[..18]).unwrap_err();
/// assert_eq!(error.to_string(), "two-by-two: cut short: 20 bytes expected, 18 found");
/// ```
pub fn read_images<const N: usize>(
    file: impl AsRef<Path>,
    reader: impl Read,
) -> Result<Pixels<N>, FileError> {
    let images = || {
        let mut idx = Idx::open(reader)?;
        let [count, rows, columns] = idx.header(IMAGES)?;
        let size = u64::from(rows) * u64::from(columns);
        let bytes = size.checked_mul(count.into());
        let expected = bytes.and_then(|bytes| bytes.checked_add(16));
        idx.expected = expected.ok_or(FileErrorKind::Overflow { count, rows, columns })?;
        let found = usize::try_from(size).unwrap_or(usize::MAX);
        if found != N {
            return Err(DataError::Features { expected: N, found }.into());
        }
        Ok(Pixels(idx.records(count)?))
    };
    images().map_err(|kind: FileErrorKind| kind.of(file))
}

/// Reads a file of labels below `classes`; plain, or with the feature `gzip` compressed. `file`
/// names it in errors.
///
/// # Errors
/// [`FileErrorKind`] has them all. No label is returned unless the whole file is right.
///
/// ```
/// use chainrule::data::read_labels;
///
/// let file = [0, 0, 8, 1, 0, 0, 0, 2, 7, 1];
/// assert_eq!(read_labels("labels", &file[..], 10).unwrap(), [7, 1]);
///
/// let error = read_labels("labels", &file[..], 5).unwrap_err();
/// assert_eq!(error.to_string(), "labels: sample 0: label 7, expected one below 5");
/// ```
pub fn read_labels(
    file: impl AsRef<Path>,
    reader: impl Read,
    classes: usize,
) -> Result<Vec<usize>, FileError> {
    let labels = || {
        let mut idx = Idx::open(reader)?;
        let [count] = idx.header(LABELS)?;
        idx.expected = 8 + u64::from(count);
        let labels =
            idx.records(count)?.into_iter().map(|[label]| label.into()).collect::<Vec<_>>();
        check_labels(&labels, classes)?;
        Ok(labels)
    };
    labels().map_err(|kind: FileErrorKind| kind.of(file))
}

/// Reads the four files of MNIST, or of any set under the same names, from a folder: what to train
/// on, and what to test on. Each file may be there plain or as `.gz`.
///
/// # Errors
/// [`FileErrorKind`] has them all.
pub fn read_mnist<const N: usize, const CLASSES: usize>(
    folder: impl AsRef<Path>,
) -> Result<[Dataset<Pixels<N>, Vec<usize>>; 2], FileError> {
    let part = |name: &str| {
        let images = open(folder.as_ref(), &format!("{name}-images-idx3-ubyte"))?;
        let labels = open(folder.as_ref(), &format!("{name}-labels-idx1-ubyte"))?;
        read_labelled::<N, CLASSES>(images, labels)
    };
    Ok([part("train")?, part("t10k")?])
}

/// Reads images and their labels, each from a reader with the name that it has in errors.
///
/// # Errors
/// [`FileErrorKind`] has them all.
pub fn read_labelled<const N: usize, const CLASSES: usize>(
    (image_file, images): (impl AsRef<Path>, impl Read),
    (label_file, labels): (impl AsRef<Path>, impl Read),
) -> Result<Dataset<Pixels<N>, Vec<usize>>, FileError> {
    let images = read_images(image_file, images)?;
    let labels = read_labels(&label_file, labels, CLASSES)?;
    Dataset::new(images, labels).map_err(|error| FileErrorKind::Data(error).of(label_file))
}

fn open(folder: &Path, name: &str) -> Result<(PathBuf, File), FileError> {
    let plain = folder.join(name);
    let path = if plain.exists() { plain } else { folder.join(format!("{name}.gz")) };
    let file = File::open(&path).map_err(|error| FileErrorKind::Read(error).of(&path))?;
    Ok((path, file))
}

/// A file that is being read, and how many bytes of it have been.
struct Idx<'a> {
    reader: Box<dyn Read + 'a>,
    found: u64,
    expected: u64,
}

impl Read for Idx<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(bytes)?;
        self.found += read as u64;
        Ok(read)
    }
}

impl<'a> Idx<'a> {
    fn open(reader: impl Read + 'a) -> Result<Self, FileErrorKind> {
        let mut reader = BufReader::new(reader);
        let gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = match gzip {
            false => Box::new(reader),
            #[cfg(feature = "gzip")]
            true => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(reader))),
            #[cfg(not(feature = "gzip"))]
            true => return Err(FileErrorKind::Gzip),
        };
        Ok(Idx { reader, found: 0, expected: 0 })
    }

    /// The sizes after the magic number.
    fn header<const D: usize>(&mut self, magic: u32) -> Result<[u32; D], FileErrorKind> {
        self.expected = 4 + 4 * D as u64;
        let found = self.number()?;
        if found != magic {
            return Err(FileErrorKind::Magic { expected: magic, found });
        }
        let mut sizes = [0; D];
        for size in &mut sizes {
            *size = self.number()?;
        }
        Ok(sizes)
    }

    fn number(&mut self) -> Result<u32, FileErrorKind> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), FileErrorKind> {
        self.read_exact(bytes).map_err(|error| self.failed(error))
    }

    /// A compressed file that is cut short, in its checksum too, says so as the end of any file does.
    fn failed(&self, error: io::Error) -> FileErrorKind {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                FileErrorKind::Truncated { expected: self.expected, found: self.found }
            }
            _ => error.into(),
        }
    }

    /// So many records of `N` bytes, after which nothing may follow. At its end a compressed file is
    /// held against its checksum too.
    fn records<const N: usize>(mut self, count: u32) -> Result<Vec<[u8; N]>, FileErrorKind> {
        let mut records = Vec::new();
        for _ in 0..count {
            let mut record = [0; N];
            self.fill(&mut record)?;
            records.push(record);
        }
        match self.by_ref().take(1).read_to_end(&mut Vec::new()) {
            Ok(0) => Ok(records),
            Ok(_) => Err(FileErrorKind::Trailing { expected: self.expected }),
            Err(error) => Err(self.failed(error)),
        }
    }
}

/// What is wrong with a file.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub kind: FileErrorKind,
}

/// What can be wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// It cannot be read, or is no gzip file although it begins like one.
    Read(io::Error),
    /// It is compressed, and the crate was built without the feature `gzip`.
    Gzip,
    /// It is another kind of file: 2051 are IDX images, 2049 are IDX labels.
    Magic {
        /// The right one.
        expected: u32,
        /// The first four bytes.
        found: u32,
    },
    /// It ends too early; a compressed file perhaps only in its checksum.
    Truncated {
        /// The bytes that its header promises, unpacked.
        expected: u64,
        /// The bytes there are, unpacked.
        found: u64,
    },
    /// It goes on after its end.
    Trailing {
        /// The bytes that its header promises, unpacked.
        expected: u64,
    },
    /// Its sizes are those of no file.
    Overflow {
        /// Images.
        count: u32,
        /// Rows of an image.
        rows: u32,
        /// Columns of an image.
        columns: u32,
    },
    /// What it holds is not what the net takes.
    Data(DataError),
}

impl FileErrorKind {
    fn of(self, file: impl AsRef<Path>) -> FileError {
        FileError { file: file.as_ref().into(), kind: self }
    }
}

impl From<io::Error> for FileErrorKind {
    fn from(error: io::Error) -> Self {
        FileErrorKind::Read(error)
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

impl fmt::Display for FileErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            FileErrorKind::Read(error) => write!(f, "{error}"),
            FileErrorKind::Gzip => write!(f, "compressed; unpack it, or use the feature `gzip`"),
            FileErrorKind::Magic { expected, found } => {
                let kind = if *expected == IMAGES { "images" } else { "labels" };
                write!(f, "no IDX {kind}: magic number {expected} expected, {found} found")
            }
            FileErrorKind::Truncated { expected, found } => {
                write!(f, "cut short: {expected} bytes expected, {found} found")
            }
            FileErrorKind::Trailing { expected } => {
                write!(f, "too long: {expected} bytes expected, more found")
            }
            FileErrorKind::Overflow { count, rows, columns } => {
                write!(f, "{count} × {rows} × {columns} pixels are more than a file can hold")
            }
            FileErrorKind::Data(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            FileErrorKind::Read(error) => Some(error),
            FileErrorKind::Data(error) => Some(error),
            _ => None,
        }
    }
}
