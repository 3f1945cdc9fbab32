//! NumPy's files of one array, `.npy`: a header in Python's syntax, then the numbers.

use super::{
    convert::from_slice,
    dataset::check_labels,
    file_error::{FileError, FileErrorKind},
};
use alloc::{format, string::String, vec::Vec};
use std::{
    io::{self, Read, Write},
    path::Path,
};

/// The bytes of a number, and how to read it.
#[doc(hidden)]
pub type Reader<T> = (usize, fn(&[u8]) -> Option<T>);

/// A number of a NumPy array: f32, f64, u8, or usize for integers that are not negative, such as labels.
pub trait NpyNumber: Copy {
    /// The names of the types in NumPy that are read as this one. The first one is written.
    #[doc(hidden)]
    const TYPES: &'static [&'static str];

    /// How to read numbers of a type of NumPy. A number that does not fit is `None`.
    #[doc(hidden)]
    fn reader(of: &str) -> Option<Reader<Self>>;

    #[doc(hidden)]
    fn push(self, bytes: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($t:ident: $first:ident $($name:literal $from:ident)+;)*) => { $(
        impl NpyNumber for $t {
            const TYPES: &'static [&'static str] = &[$($name),+];

            fn reader(of: &str) -> Option<Reader<Self>> {
                Some(match of {
                    $($name => (size_of::<$from>(), |bytes| {
                        $from::from_le_bytes(*bytes.first_chunk()?).try_into().ok()
                    }),)+
                    _ => return None,
                })
            }

            fn push(self, bytes: &mut Vec<u8>) {
                bytes.extend((self as $first).to_le_bytes());
            }
        }
    )* };
}
numbers! {
    f32: f32 "<f4" f32;
    f64: f64 "<f8" f64 "<f4" f32;
    u8: u8 "|u1" u8;
    usize: i64 "<i8" i64 "<i4" i32 "<i2" i16 "|i1" i8 "<u8" u64 "<u4" u32 "<u2" u16 "|u1" u8;
}

/// Reads an array of shape (samples, ..), in which a sample has `N` numbers, from a `.npy` file. Errors name it `file`.
/// An array of shape (samples,) has samples of one number.
///
/// f32 and f64 numbers are read as they are, and f32 as f64. `u8` is for [`Pixels`](super::Pixels).
///
/// # Errors
/// The array has another type or shape, Fortran order, or another byte order than `<`; or the file is longer or
/// shorter than its header says. The header is not trusted: memory is allocated only for what the file contains.
///
/// ```
/// use chainrule::data::{Dataset, read_npy, read_npy_labels, write_npy};
/// use std::fs::File;
/// # let folder = tempfile::tempdir()?;
/// # std::env::set_current_dir(&folder)?;
/// # write_npy(File::create("x.npy")?, &[[0.5_f32, 2.0], [1.0, -1.0]])?;
/// # write_npy(File::create("t.npy")?, &[[1_usize], [0]])?;
/// // In Python: np.save("x.npy", x.astype(np.float32)); np.save("t.npy", t)
/// let x = read_npy::<f32, 2>("x.npy", File::open("x.npy")?)?;
/// let labels = read_npy_labels("t.npy", File::open("t.npy")?, 10)?;
/// let data = Dataset::labelled(x, labels, 10)?;
///
/// let error = read_npy::<f32, 3>("x.npy", File::open("x.npy")?).unwrap_err();
/// assert_eq!(error.to_string(), "x.npy: expected samples of 3 numbers, found an array of shape [2, 2]");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub fn read_npy<T: NpyNumber, const N: usize>(
    file: impl AsRef<Path>,
    mut reader: impl Read,
) -> Result<Vec<[T; N]>, FileError> {
    let mut samples = || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let found = String::from_utf8_lossy(bytes.get(..80).unwrap_or(&bytes));
        let (start, header) = header(&bytes).ok_or(other("an array of NumPy", &found))?;
        let of = Header::read(header).ok_or(other("a header as NumPy writes it", header))?;
        let expected = format!("numbers of type {}", T::TYPES.join(" or "));
        let (size, read) = T::reader(of.numbers).ok_or(other(&expected, of.numbers))?;
        if of.fortran {
            let found = "Fortran order; `numpy.ascontiguousarray` changes it";
            return Err(other("samples one after the other", found));
        }
        let found = || format!("an array of shape {:?}", of.shape);
        let times = |product: usize, size: &usize| product.checked_mul(*size);
        if of.shape.iter().skip(1).try_fold(1, times) != Some(N) || of.shape.is_empty() {
            return Err(other(&format!("samples of {N} numbers"), &found()));
        }
        let length = of.shape.iter().try_fold(size, times);
        let length = length.ok_or(other("a size that fits the memory", &found()))?;
        let data = bytes.get(start..).unwrap_or_default();
        let [expected, found] =
            [length, data.len()].map(|length| (start as u64).saturating_add(length as u64));
        if found < expected {
            return Err(FileErrorKind::Truncated { expected, found });
        } else if found > expected {
            return Err(FileErrorKind::Trailing { expected });
        }
        let numbers: Option<Vec<T>> = data.chunks_exact(size).map(read).collect();
        let numbers = numbers.ok_or(other("numbers from 0 on that fit the memory", "another"))?;
        Ok(from_slice(&numbers)?.to_vec())
    };
    samples().map_err(|kind: FileErrorKind| kind.of(file))
}

/// Reads labels below `classes` from a `.npy` file: integers, one for each sample. Errors name it `file`.
///
/// # Errors
/// As [`read_npy`], or a label is not below `classes`.
pub fn read_npy_labels(
    file: impl AsRef<Path>,
    reader: impl Read,
    classes: usize,
) -> Result<Vec<usize>, FileError> {
    let labels = read_npy::<usize, 1>(&file, reader)?.into_flattened();
    match check_labels(&labels, classes) {
        Ok(()) => Ok(labels),
        Err(error) => Err(FileErrorKind::Data(error).of(file)),
    }
}

/// Writes samples of `N` numbers as an array of shape (samples, `N`), or (samples,) if `N` is 1. `usize` becomes
/// int64. For outputs of a net, pass `from_slice::<T, N>(y.as_slice())?`.
///
/// # Errors
/// Those of the writer; or a `usize` does not fit int64.
pub fn write_npy<T: NpyNumber, const N: usize>(
    mut writer: impl Write,
    samples: &[[T; N]],
) -> io::Result<()> {
    let (count, numbers) = (samples.len(), T::TYPES.first().copied().unwrap_or_default());
    let shape = if N == 1 { format!("({count},)") } else { format!("({count}, {N})") };
    let header = format!("{{'descr': '{numbers}', 'fortran_order': False, 'shape': {shape}, }}");
    // The numbers begin at byte 128: the header has 118 bytes and ends in a new line.
    let mut bytes = format!("NUMPY\x01\0\x76\0{header:<117}\n").into_bytes();
    bytes.insert(0, 0x93);
    samples.as_flattened().iter().for_each(|number| number.push(&mut bytes));
    if let Some((size, read)) = T::reader(numbers)
        && let Some(data) = bytes.get(128..)
        && data.chunks_exact(size).any(|bytes| read(bytes).is_none())
    {
        let error = format!("a number does not fit the type {numbers}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    writer.write_all(&bytes)
}

fn other(expected: &str, found: &str) -> FileErrorKind {
    FileErrorKind::Npy { expected: expected.into(), found: format!("{found:.80}") }
}

/// The header of a file, and where the numbers begin.
fn header(file: &[u8]) -> Option<(usize, &str)> {
    let rest = file.strip_prefix(b"\x93NUMPY")?;
    let (version, rest) = rest.split_first_chunk()?;
    let (length, before) = match version {
        [1, 0] => (usize::from(u16::from_le_bytes(*rest.first_chunk()?)), 10),
        [2 | 3, 0] => (usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?, 12),
        _ => return None,
    };
    let end = length.checked_add(before)?;
    Some((end, core::str::from_utf8(file.get(before..end)?).ok()?))
}

/// What a header says.
struct Header<'a> {
    numbers: &'a str,
    fortran: bool,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    /// NumPy always writes the three entries in this order.
    fn read(text: &'a str) -> Option<Self> {
        let text = text.trim().strip_prefix("{'descr': '")?;
        let text = text.trim_end_matches([' ', ',', '}']).strip_suffix(')')?;
        let (numbers, rest) = text.split_once("', 'fortran_order': ")?;
        let (order, shape) = rest.split_once(", 'shape': (")?;
        let fortran = match order {
            "True" => true,
            "False" => false,
            _ => return None,
        };
        let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape = sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?;
        Some(Header { numbers, fortran, shape })
    }
}
