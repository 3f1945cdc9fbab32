//! Loading and saving the parameters of any tree by the names of its leaves.

use super::{
    error::{Difference, DifferenceKind, LoadErrorKind, Mismatch},
    safetensors::{self, Item, Tensor, Writer},
    stored::Stored,
};
use crate::{
    params::{Leaf, LeafMut, Parameters, Role},
    path::Path,
};
use alloc::{
    borrow::Cow,
    string::{String, ToString},
    vec::Vec,
};
use core::iter;

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
    /// Round numbers of F64 to a net of f32. Without this they are refused.
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

/// A leaf that is to be loaded.
pub(super) struct Wanted<'a> {
    name: String,
    dims: Vec<usize>,
    found: Option<Tensor<'a>>,
}

impl Wanted<'_> {
    pub fn new(name: String, dims: &[usize]) -> Self {
        Wanted { name, dims: dims.to_vec(), found: None }
    }
}

/// Finds each wanted leaf in the file, and all differences.
pub(super) fn find<'a, T: Stored>(
    wanted: &mut [Wanted<'a>],
    file: &'a [u8],
    loading: &Loading,
) -> Result<Mismatch, LoadErrorKind> {
    let mut unexpected = Vec::new();
    safetensors::read(file, &mut |item| {
        let Item::Tensor(tensor) = item else { return };
        let Some(name) = loading.name(tensor.name) else { return };
        let leaf = wanted.iter_mut().find(|leaf| leaf.name == *name);
        // By renaming, two tensors may have one name.
        if let Some(leaf) = leaf.filter(|leaf| leaf.found.is_none()) {
            leaf.found = Some(tensor);
        } else if !is_count(wanted, &name, &tensor) {
            unexpected.push(tensor.name.into());
        }
    })?;
    let mut differences = Vec::new();
    for leaf in wanted {
        let kind = match &leaf.found {
            None => DifferenceKind::Missing(leaf.dims.clone()),
            Some(tensor) if tensor.dims() != leaf.dims => {
                DifferenceKind::Shape { expected: leaf.dims.clone(), found: tensor.dims().to_vec() }
            }
            Some(tensor) if T::reader(tensor.dtype, loading.narrow).is_none() => {
                DifferenceKind::Type { expected: T::DTYPE, found: tensor.dtype.into() }
            }
            Some(_) => continue,
        };
        leaf.found = None;
        differences.push(Difference { name: leaf.name.clone(), kind });
    }
    let mismatch = Mismatch { differences, unexpected };
    if loading.partial || mismatch.is_empty() {
        Ok(mismatch)
    } else {
        Err(LoadErrorKind::Mismatch(mismatch))
    }
}

/// Whether this is the number of batches that PyTorch's normalisations count. The crate's do not need it.
fn is_count(wanted: &[Wanted], name: &str, tensor: &Tensor) -> bool {
    let Some(layer) = name.strip_suffix("num_batches_tracked") else { return false };
    let is_mean = |leaf: &Wanted| leaf.name.strip_suffix("running_mean") == Some(layer);
    tensor.dtype == "I64" && tensor.dims().is_empty() && wanted.iter().any(is_mean)
}

/// Sets a matrix to what was found for it.
pub(super) fn fill<T: Stored>(
    values: &mut [T],
    (rows, columns): (usize, usize),
    wanted: Option<Wanted>,
    narrow: bool,
) {
    let Some(tensor) = wanted.and_then(|wanted| wanted.found) else { return };
    let Some((size, read)) = T::reader(tensor.dtype, narrow) else { return };
    // The file has row after row, the leaf column after column.
    let mut numbers = tensor.data.chunks_exact(size).map(read);
    for row in 0..rows {
        let row = values.iter_mut().skip(row).step_by(rows.max(1)).take(columns);
        row.zip(&mut numbers).for_each(|(value, number)| *value = number);
    }
}

/// Adds a leaf to a file.
pub(super) fn add<T: Stored>(writer: &mut Writer, name: core::fmt::Arguments, leaf: &Leaf<T>) {
    writer.tensor(name, T::DTYPE, leaf.dims, |data| {
        let rows = leaf.shape.0;
        for row in 0..rows {
            let row = leaf.values.iter().skip(row).step_by(rows.max(1));
            row.for_each(|number| number.push(data));
        }
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
    let mut wanted = Vec::new();
    tree.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        wanted.push(Wanted::new(leaf.path.to_string(), leaf.dims));
    });
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
    tree.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        let statistic = leaf.path.name() == Some("running_var") && leaf.role != Role::Weight;
        let name = leaf.path.to_string();
        if let Some(layer) = name.strip_suffix("running_var").filter(|_| statistic) {
            let name = format_args!("{prefix}{layer}num_batches_tracked");
            writer.tensor(name, "I64", &[], |data| data.extend(iter::repeat_n(0, 8)));
        }
    });
    tree.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        add(writer, format_args!("{prefix}{}", leaf.path), &leaf);
    });
}
