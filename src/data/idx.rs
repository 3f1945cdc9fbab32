//! IDX, the format of MNIST: a magic number and sizes, big-endian, then bytes.

use super::{
    convert::from_slice,
    dataset::{Dataset, check_labels},
    error::DataError,
    file_error::{FileError, FileErrorKind, IMAGES},
    samples::Pixels,
};
use alloc::vec::Vec;
use std::{
    fs::File,
    io::{self, BufReader, ErrorKind, Read, Take},
    path::{Path, PathBuf},
};

const LABELS: u32 = 2049;

/// Reads an IDX file of images with `N` pixels each. The file is plain, or gzip with the feature
/// `gzip`. Errors name it `file`.
///
/// # Errors
/// [`FileErrorKind`] lists them. The whole file is checked before any image is returned.
///
/// ```
/// use chainrule::data::read_images;
///
/// let file = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 10, 20, 30, 40];
/// assert_eq!(read_images::<4>("two-by-two", &file[..]).unwrap().0, [[10, 20, 30, 40]]);
///
/// let error = read_images::<4>("two-by-two", &file[..18]).unwrap_err();
/// assert_eq!(error.to_string(), "two-by-two: expected 20 bytes, found only 18");
/// ```
pub fn read_images<const N: usize>(
    file: impl AsRef<Path>,
    reader: impl Read,
) -> Result<Pixels<N>, FileError> {
    let images = || {
        let mut idx = Idx::open(reader)?;
        let [count, rows, columns] = idx.header(IMAGES)?;
        // Without pixels a file of 16 bytes could promise 2³² images.
        if rows == 0 || columns == 0 {
            return Err(FileErrorKind::NoPixels { rows, columns });
        }
        let size = u64::from(rows) * u64::from(columns);
        let bytes = size.checked_mul(count.into());
        let expected = bytes.and_then(|bytes| bytes.checked_add(16));
        idx.expected = expected.ok_or(FileErrorKind::Overflow { count, rows, columns })?;
        let found = usize::try_from(size).unwrap_or(usize::MAX);
        if found != N {
            return Err(DataError::Features { expected: N, found }.into());
        }
        Ok(Pixels(idx.records()?))
    };
    images().map_err(|kind: FileErrorKind| kind.of(file))
}

/// Reads an IDX file of labels below `classes`. The file is plain, or gzip with the feature `gzip`.
/// Errors name it `file`.
///
/// # Errors
/// [`FileErrorKind`] lists them. The whole file is checked before any label is returned.
///
/// ```
/// use chainrule::data::read_labels;
///
/// let file = [0, 0, 8, 1, 0, 0, 0, 2, 7, 1];
/// assert_eq!(read_labels("labels", &file[..], 10).unwrap(), [7, 1]);
///
/// let error = read_labels("labels", &file[..], 5).unwrap_err();
/// assert_eq!(error.to_string(), "labels: expected labels below 5, found 7 at sample 0");
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
        let labels = idx.records()?.into_iter().map(|[label]| label.into()).collect::<Vec<_>>();
        check_labels(&labels, classes)?;
        Ok(labels)
    };
    labels().map_err(|kind: FileErrorKind| kind.of(file))
}

/// Reads the four files of MNIST, or of a data set with the same file names, from a folder. Returns
/// the training set and the test set. Each file may be plain or `.gz`; if both exist, the plain one
/// is read.
///
/// # Errors
/// [`FileErrorKind`] lists them.
///
/// ```no_run
/// use chainrule::data::read_mnist;
///
/// let [train, test] = read_mnist::<784, 10>("data/mnist")?;
/// println!("{} images to train on, {} to test on", train.len(), test.len());
/// # Ok::<_, chainrule::data::FileError>(())
/// ```
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

/// Reads images and their labels, each from a reader. Errors use the name beside the reader.
///
/// # Errors
/// [`FileErrorKind`] lists them.
pub fn read_labelled<const N: usize, const CLASSES: usize>(
    (image_file, images): (impl AsRef<Path>, impl Read),
    (label_file, labels): (impl AsRef<Path>, impl Read),
) -> Result<Dataset<Pixels<N>, Vec<usize>>, FileError> {
    let images = read_images(image_file, images)?;
    let labels = read_labels(&label_file, labels, CLASSES)?;
    Dataset::new(images, labels).map_err(|error| FileErrorKind::Data(error).of(label_file))
}

fn open(folder: &Path, name: &str) -> Result<(PathBuf, File), FileError> {
    let (plain, gzip) = (folder.join(name), folder.join(format!("{name}.gz")));
    for path in [&plain, &gzip] {
        match File::open(path) {
            Ok(file) => return Ok((path.clone(), file)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(FileErrorKind::Read(error).of(path)),
        }
    }
    Err(FileErrorKind::Missing { gzip }.of(plain))
}

/// A file that is being read, and the bytes that it should have.
struct Idx<'a> {
    /// Its limit counts the bytes down, after unpacking.
    reader: Take<Box<dyn Read + 'a>>,
    expected: u64,
}

impl<'a> Idx<'a> {
    fn open(reader: impl Read + 'a) -> Result<Self, FileErrorKind> {
        let mut reader = BufReader::new(reader);
        // Do not look into the buffer, because a reader may return one byte at a time.
        let mut magic = Vec::new();
        reader.by_ref().take(2).read_to_end(&mut magic)?;
        let reader: Box<dyn Read> = match magic[..] {
            #[cfg(feature = "gzip")]
            [0x1f, 0x8b] => Box::new(BufReader::new(super::gzip::Gzip::new(reader))),
            #[cfg(not(feature = "gzip"))]
            [0x1f, 0x8b] => return Err(FileErrorKind::Gzip),
            _ => Box::new(io::Cursor::new(magic).chain(reader)),
        };
        Ok(Idx { reader: reader.take(u64::MAX), expected: 0 })
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
        self.reader.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => self.truncated(),
            _ => error.into(),
        })
    }

    /// The records of `N` bytes after the header; nothing may follow them. A gzip file is also checked
    /// against its checksum, which is read at the end.
    fn records<const N: usize>(mut self) -> Result<Vec<[u8; N]>, FileErrorKind> {
        // Do not trust the header: allocate only for bytes that the file contains.
        let mut bytes = Vec::new();
        let rest = self.expected.saturating_sub(self.found());
        self.reader.by_ref().take(rest).read_to_end(&mut bytes)?;
        if self.found() < self.expected {
            return Err(self.truncated());
        }
        match self.reader.by_ref().take(1).read_to_end(&mut Vec::new())? {
            0 => Ok(from_slice(&bytes)?.to_vec()),
            _ => Err(FileErrorKind::Trailing { expected: self.expected }),
        }
    }

    fn found(&self) -> u64 {
        u64::MAX - self.reader.limit()
    }

    fn truncated(&self) -> FileErrorKind {
        FileErrorKind::Truncated { expected: self.expected, found: self.found() }
    }
}
