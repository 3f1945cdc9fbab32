//! Loading and saving the parameters of any tree by the names of its leaves.

use super::{
    error::{Difference, DifferenceKind, LoadErrorKind, Mismatch},
    safetensors::{self, Item, Tensor, Writer},
    stored::{Reader, Stored},
};
use crate::{
    params::{Leaf, LeafMut, Parameters},
    path::Path,
    shape::Number,
};
use alloc::{
    borrow::Cow,
    string::{String, ToString},
    vec::Vec,
};

/// How to load: which names, and what may differ. [`Loading::default`] loads all of a file into all of a net.
///
/// ```
/// use chainrule::files::Loading;
/// // A file of a larger model, whose layers have other names.
/// let encoder = Loading {
///     prefix: "encoder.",
///     rename: &[("fc1", "0"), ("fc2", "2")],
///     ..Loading::default()
/// };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loading<'a> {
    /// Load only the tensors whose names begin with this text, and remove it from the names.
    pub prefix: &'a str,
    /// Pairs (in the file, in the net) of names, or of the first parts of names: `("fc1", "0")` loads `fc1.weight`
    /// into `0.weight`. The first pair that fits counts.
    pub rename: &'a [(&'a str, &'a str)],
    /// Round numbers of F64 to a net of f32; those beyond its range become infinite. Without this they are refused.
    pub narrow: bool,
    /// Load what fits, leave the rest of the net as it is, and return what was not loaded.
    pub partial: bool,
}

impl Loading<'_> {
    /// The name in the net of a tensor in the file. `None` if it is not to be loaded.
    fn name<'n>(&self, name: &'n str) -> Option<Cow<'n, str>> {
        let name = name.strip_prefix(self.prefix)?;
        let renamed = self.rename.iter().find_map(|(from, to)| {
            let rest = name.strip_prefix(from)?;
            let ends = rest.is_empty() || rest.starts_with('.') || from.ends_with('.');
            ends.then(|| [to, rest].concat())
        });
        Some(renamed.map_or(Cow::Borrowed(name), Cow::Owned))
    }
}

/// A leaf that is to be loaded, and what was found for it.
pub(super) struct Wanted<F> {
    pub name: String,
    pub dims: Vec<usize>,
    pub found: Option<F>,
}

impl<F> Wanted<F> {
    pub fn new(name: String, dims: &[usize]) -> Self {
        Wanted { name, dims: dims.to_vec(), found: None }
    }
}

impl Wanted<Tensor<'_>> {
    fn reader<T: Stored>(&self, dtype: &str, narrow: bool) -> Option<Reader<T>> {
        match is_count(&self.name, &self.dims) {
            true if dtype == COUNT => Some((8, |bytes| {
                let bytes = bytes.first_chunk().copied().unwrap_or_default();
                nalgebra::convert(i64::from_le_bytes(bytes) as f64)
            })),
            true => None,
            false => T::reader(dtype, narrow),
        }
    }
}

/// All leaves of a tree, which are to be loaded.
pub(super) fn wanted<T: Number, L: Parameters<T>, F>(tree: &L) -> Vec<Wanted<F>> {
    let mut wanted = Vec::new();
    tree.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        wanted.push(Wanted::new(leaf.path.to_string(), leaf.dims));
    });
    wanted
}

/// Gives what was found to the wanted leaf of this name. Returns false if no leaf has this name, or if it already has
/// something.
pub(super) fn put<F>(wanted: &mut [Wanted<F>], name: &str, found: F) -> bool {
    let leaf = wanted.iter_mut().find(|leaf| leaf.name == name);
    let leaf = leaf.filter(|leaf| leaf.found.is_none());
    leaf.map(|leaf| leaf.found = Some(found)).is_some()
}

/// What is missing, and what `check` finds.
pub(super) fn differences<F>(
    wanted: &mut [Wanted<F>],
    check: impl Fn(&Wanted<F>, &F) -> Option<DifferenceKind>,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for leaf in wanted {
        let kind = match &leaf.found {
            // PyTorch, too, takes a file without it.
            None if is_count(&leaf.name, &leaf.dims) => None,
            None => Some(DifferenceKind::Missing(leaf.dims.clone())),
            Some(found) => check(leaf, found),
        };
        if let Some(kind) = kind {
            leaf.found = None;
            differences.push(Difference { name: leaf.name.clone(), kind });
        }
    }
    differences
}

/// The type of a number of batches.
const COUNT: &str = "I64";

/// Whether a leaf is the number of batches of a normalisation. PyTorch counts them in an integer.
fn is_count(name: &str, dims: &[usize]) -> bool {
    dims.is_empty() && name.ends_with("num_batches_tracked")
}

/// Finds each wanted leaf in the file, and all differences.
pub(super) fn find<'a, T: Stored>(
    wanted: &mut [Wanted<Tensor<'a>>],
    file: &'a [u8],
    loading: &Loading,
) -> Result<Mismatch, LoadErrorKind> {
    let mut unexpected = Vec::new();
    safetensors::read(file, &mut |item| {
        let Item::Tensor(tensor) = item else { return };
        let (Some(name), in_file) = (loading.name(tensor.name), tensor.name) else { return };
        // By renaming, two tensors may have one name.
        if !put(wanted, &name, tensor) {
            unexpected.push(in_file.into());
        }
    })?;
    let differences = differences(wanted, |leaf, tensor| {
        let (dims, dtype) = (tensor.dims().to_vec(), tensor.dtype);
        if dims != leaf.dims {
            return Some(DifferenceKind::Shape { expected: leaf.dims.clone(), found: dims });
        }
        let expected = if is_count(&leaf.name, &leaf.dims) { COUNT } else { T::DTYPE };
        let refused = leaf.reader::<T>(dtype, loading.narrow).is_none();
        refused.then(|| DifferenceKind::Type { expected, found: dtype.into() })
    });
    let mismatch = Mismatch { differences, unexpected };
    if loading.partial || mismatch.is_empty() {
        Ok(mismatch)
    } else {
        Err(LoadErrorKind::Mismatch(mismatch))
    }
}

/// The numbers of a matrix row after row, as files have them.
pub(super) fn by_rows<T>(values: &[T], (rows, _): (usize, usize)) -> impl Iterator<Item = &T> {
    (0..rows).flat_map(move |row| values.iter().skip(row).step_by(rows.max(1)))
}

/// Sets a matrix to these numbers, which come row after row.
pub(super) fn set_rows<T>(
    values: &mut [T],
    (rows, columns): (usize, usize),
    mut numbers: impl Iterator<Item = T>,
) {
    for row in 0..rows {
        let row = values.iter_mut().skip(row).step_by(rows.max(1)).take(columns);
        row.zip(&mut numbers).for_each(|(value, number)| *value = number);
    }
}

/// Sets a matrix to what was found for it.
pub(super) fn fill<T: Stored>(
    values: &mut [T],
    shape: (usize, usize),
    wanted: Option<Wanted<Tensor>>,
    narrow: bool,
) {
    let Some(wanted) = wanted else { return };
    let Some(tensor) = &wanted.found else { return };
    let Some((size, read)) = wanted.reader(tensor.dtype, narrow) else { return };
    set_rows(values, shape, tensor.data.chunks_exact(size).map(read));
}

/// Adds a leaf to a file.
pub(super) fn add<T: Stored>(writer: &mut Writer, name: core::fmt::Arguments, leaf: &Leaf<T>) {
    let is_count = leaf.path.name().is_some_and(|name| is_count(name, leaf.dims));
    let dtype = if is_count { COUNT } else { T::DTYPE };
    writer.tensor(name, dtype, leaf.dims, |data| {
        by_rows(leaf.values, leaf.shape).for_each(|number| {
            match nalgebra::try_convert::<T, f64>(number.round()) {
                Some(count) if is_count => data.extend((count as i64).to_le_bytes()),
                _ => number.push(data),
            }
        });
    });
}

/// Loads all leaves of a tree from the bytes of a safetensors file: the layers of a net, or one layer. It checks
/// everything first. If it returns an error, nothing has changed.
///
/// # Errors
/// [`LoadErrorKind`] lists them.
pub fn load<T: Stored, L: Parameters<T>>(
    tree: &mut L,
    file: &[u8],
    loading: &Loading,
) -> Result<Mismatch, LoadErrorKind> {
    let mut wanted = wanted(tree);
    let mismatch = find::<T>(&mut wanted, file, loading)?;
    let mut wanted = wanted.into_iter();
    tree.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
        fill(leaf.values, leaf.shape, wanted.next(), loading.narrow);
    });
    Ok(mismatch)
}

/// The bytes of a safetensors file with all leaves of a tree.
pub fn save<T: Stored, L: Parameters<T>>(tree: &L) -> Vec<u8> {
    let mut writer = Writer::default();
    add_tree(&mut writer, "", tree);
    writer.finish(&[])
}

/// Adds a tree whose names begin with `prefix`.
pub(super) fn add_tree<T: Stored, L: Parameters<T>>(writer: &mut Writer, prefix: &str, tree: &L) {
    // Numbers of 8 bytes come first, so that all begin at a multiple of their size.
    for counts in [true, false] {
        tree.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
            if leaf.dims.is_empty() == counts {
                add(writer, format_args!("{prefix}{}", leaf.path), &leaf);
            }
        });
    }
}
