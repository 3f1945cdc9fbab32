//! The format safetensors: the length of a header in 8 bytes, the header in JSON, then the numbers of all tensors.
//!
//! The reader accepts only this header and no other JSON. No allocation is larger than the file, and nothing recurses.

use alloc::{format, string::String, vec::Vec};
use core::{fmt, fmt::Write};

/// Why a file is not a safetensors file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The byte of the file, counted from 0.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "byte {}: expected {}", self.at, self.expected)
    }
}

impl core::error::Error for FormatError {}

type Result<T> = core::result::Result<T, FormatError>;

/// The bits of a number of this type.
fn bits(dtype: &str) -> Option<usize> {
    Some(match dtype {
        "F64" | "I64" | "U64" | "C64" => 64,
        "F32" | "I32" | "U32" => 32,
        "F16" | "BF16" | "I16" | "U16" => 16,
        "I8" | "U8" | "BOOL" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" => 8,
        "F6_E2M3" | "F6_E3M2" => 6,
        "F4" => 4,
        _ => return None,
    })
}

/// The largest number of sizes of a tensor.
const RANK: usize = 8;

/// A tensor in a file.
pub(super) struct Tensor<'a> {
    /// The name as it stands in JSON: an escape in it is not decoded.
    pub name: &'a str,
    pub dtype: &'a str,
    dims: ([usize; RANK], usize),
    pub data: &'a [u8],
}

impl Tensor<'_> {
    pub fn dims(&self) -> &[usize] {
        self.dims.0.get(..self.dims.1).unwrap_or_default()
    }
}

/// An item of a file.
pub(super) enum Item<'a> {
    Tensor(Tensor<'a>),
    /// An entry of the metadata.
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "checkpoints read it"))]
    Text(&'a str, &'a str),
}

/// Calls `f` with each item of the file, after it has checked the whole header.
pub(super) fn read<'a>(file: &'a [u8], f: &mut dyn FnMut(Item<'a>)) -> Result<()> {
    let (mut names, mut texts, mut places) = (Vec::new(), Vec::new(), Vec::new());
    let data = walk(file, &mut |item, start| match item {
        Item::Tensor(tensor) => {
            names.push(tensor.name);
            places.push((start, start + tensor.data.len()));
        }
        Item::Text(key, _) => texts.push(key),
    })?;
    for names in [&mut names, &mut texts] {
        names.sort_unstable();
        let twice = names.iter().zip(names.iter().skip(1)).any(|(a, b)| a == b);
        check(!twice, 8, "a header in which no two names are the same")?;
    }
    places.sort_unstable();
    let mut end = 0;
    for (from, to) in places {
        check(from == end, data + end, "a tensor that begins where the one before it ends")?;
        end = to;
    }
    check(data + end == file.len(), data + end, "the end of the file after its last tensor")?;
    walk(file, &mut |item, _| f(item)).map(|_| ())
}

/// Calls `f` with each item, and with the place of its numbers. Returns where the numbers begin.
fn walk<'a>(file: &'a [u8], f: &mut dyn FnMut(Item<'a>, usize)) -> Result<usize> {
    let length = file.first_chunk().copied().map(u64::from_le_bytes);
    let end = length.and_then(|length| usize::try_from(length).ok()?.checked_add(8));
    let parts = end.and_then(|end| file.split_at_checked(end));
    let Some((header, data)) = parts else {
        return Err(FormatError { at: 0, expected: "the length of a header within this file" });
    };
    let text = core::str::from_utf8(header.get(8..).unwrap_or_default());
    let text = text.map_err(|error| FormatError {
        at: 8 + error.valid_up_to(),
        expected: "a header in UTF-8",
    })?;
    let (mut json, mut metadata) = (Json { text, at: 0 }, false);
    json.object(&mut |json, name| {
        let at = json.place();
        if name == "__metadata__" {
            check(!metadata, at, "one `__metadata__`")?;
            metadata = true;
            return json.object(&mut |json, key| {
                json.space();
                f(Item::Text(key, json.string()?), 0);
                Ok(())
            });
        }
        let (tensor, start) = json.tensor(name, data)?;
        f(Item::Tensor(tensor), start);
        Ok(())
    })?;
    json.space();
    check(json.at == text.len(), json.place(), "the end of the header")?;
    Ok(header.len())
}

fn check(holds: bool, at: usize, expected: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(FormatError { at, expected }) }
}

/// A header, read up to a place.
struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Json<'a> {
    fn place(&self) -> usize {
        8 + self.at
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at += self.rest().bytes().take_while(|byte| b" \n\r\t".contains(byte)).count();
    }

    /// Whether this character comes next, after any space.
    fn has(&mut self, c: char) -> bool {
        self.space();
        let has = self.rest().starts_with(c);
        self.at += usize::from(has);
        has
    }

    fn need(&mut self, c: char, expected: &'static str) -> Result<()> {
        let has = self.has(c);
        check(has, self.place(), expected)
    }

    /// Calls `f` with each key, to read its value.
    fn object(&mut self, f: &mut dyn FnMut(&mut Self, &'a str) -> Result<()>) -> Result<()> {
        self.need('{', "`{`")?;
        if self.has('}') {
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            self.need(':', "`:`")?;
            f(self, key)?;
            if !self.has(',') {
                return self.need('}', "`,` or `}`");
            }
        }
    }

    /// An array of natural numbers, at most as many as fit. Returns how many there are.
    fn numbers(&mut self, numbers: &mut [usize]) -> Result<usize> {
        self.need('[', "`[`")?;
        if self.has(']') {
            return Ok(0);
        }
        let mut count = 0;
        loop {
            self.space();
            let (at, number) = (self.place(), self.number()?);
            let place =
                numbers.get_mut(count).ok_or(FormatError { at, expected: "fewer sizes" })?;
            (*place, count) = (number, count + 1);
            if !self.has(',') {
                return self.need(']', "`,` or `]`").map(|()| count);
            }
        }
    }

    fn number(&mut self) -> Result<usize> {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let digits = self.rest().get(..length).unwrap_or_default();
        let number = digits.parse().ok().filter(|_| length == 1 || !digits.starts_with('0'));
        let expected = "a natural number that fits the memory";
        let number = number.ok_or(FormatError { at: self.place(), expected })?;
        self.at += length;
        Ok(number)
    }

    fn string(&mut self) -> Result<&'a str> {
        let (text, mut escape) = (self.rest().strip_prefix('"').unwrap_or_default(), false);
        for (length, c) in text.char_indices() {
            match c {
                '"' if !escape => {
                    self.at += length + 2;
                    return Ok(text.get(..length).unwrap_or_default());
                }
                _ if c < ' ' || escape && !"\"\\/bfnrtu".contains(c) => break,
                _ => escape = c == '\\' && !escape,
            }
        }
        Err(FormatError { at: self.place(), expected: "a text in quotes" })
    }

    /// A tensor, and the place of its numbers.
    fn tensor(&mut self, name: &'a str, data: &'a [u8]) -> Result<(Tensor<'a>, usize)> {
        let (mut dtype, mut dims, mut ends) = (None, None, None);
        let at = self.place();
        self.object(&mut |json, key| {
            json.space();
            let at = json.place();
            let first = match key {
                "dtype" => {
                    let found = json.string()?;
                    let bits =
                        bits(found).ok_or(FormatError { at, expected: "a type of numbers" })?;
                    dtype.replace((found, bits)).is_none()
                }
                "shape" => {
                    let mut sizes = [0; RANK];
                    let rank = json.numbers(&mut sizes)?;
                    dims.replace((sizes, rank)).is_none()
                }
                "data_offsets" => {
                    let mut offsets = [0; 2];
                    let count = json.numbers(&mut offsets)?;
                    check(count == 2, at, "two offsets")?;
                    ends.replace(offsets).is_none()
                }
                _ => false,
            };
            check(first, at, "`dtype`, `shape` and `data_offsets`, each once")
        })?;
        let (Some((dtype, bits)), Some(dims), Some([from, to])) = (dtype, dims, ends) else {
            return Err(FormatError { at, expected: "`dtype`, `shape` and `data_offsets`" });
        };
        let mut sizes = dims.0.iter().take(dims.1);
        let bits = sizes.try_fold(bits, |bits, size| bits.checked_mul(*size));
        let (data, expected) = (data.get(from..to), "offsets as far apart as type and shape say");
        let data = data.filter(|data| data.len().checked_mul(8) == bits);
        let data = data.ok_or(FormatError { at, expected })?;
        Ok((Tensor { name, dtype, dims, data }, from))
    }
}

/// A file that is being written.
#[derive(Default)]
pub(super) struct Writer {
    header: String,
    data: Vec<u8>,
}

impl Writer {
    /// Adds a tensor, whose numbers `data` appends. Nothing in the names must be escaped in JSON.
    pub fn tensor(
        &mut self,
        name: fmt::Arguments,
        dtype: &str,
        dims: &[usize],
        data: impl FnOnce(&mut Vec<u8>),
    ) {
        let from = self.data.len();
        data(&mut self.data);
        let comma = if self.header.is_empty() { "" } else { "," };
        let to = self.data.len();
        let info =
            format_args!(r#"{{"dtype":"{dtype}","shape":{dims:?},"data_offsets":[{from},{to}]}}"#);
        // A `String` takes everything.
        let _ = write!(self.header, r#"{comma}"{name}":{info}"#);
    }

    /// The file, with these metadata.
    pub fn finish(self, metadata: &[(&str, u64)]) -> Vec<u8> {
        let mut header = String::new();
        for (key, number) in metadata {
            let comma = if header.is_empty() { "" } else { "," };
            let _ = write!(header, r#"{comma}"{key}":"{number}""#);
        }
        let comma = if self.header.is_empty() { "" } else { "," };
        let mut header = match metadata {
            [] => format!("{{{}}}", self.header),
            _ => format!(r#"{{"__metadata__":{{{header}}}{comma}{}}}"#, self.header),
        };
        // The numbers begin at a multiple of 8.
        while header.len() % 8 != 0 {
            header.push(' ');
        }
        let mut file = Vec::with_capacity(8 + header.len() + self.data.len());
        file.extend((header.len() as u64).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(self.data);
        file
    }
}
