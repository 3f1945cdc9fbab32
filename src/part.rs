//! One row of the table of a net: one layer.

use crate::{
    params::{Leaf, Parameters, Role},
    path::Path,
    shape::Number,
};
use core::any::type_name;

/// A layer in the table of a net.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its place in the net.
    pub path: &'a Path<'a>,
    /// Its type.
    pub name: &'static str,
    /// The type of its output's shape.
    pub out: &'static str,
    /// The number of its weights, frozen parameters and statistics.
    pub counts: [usize; 3],
    /// The multiplications of its matrix products for one sample.
    pub multiplications: usize,
}

impl<'a> Part<'a> {
    /// A layer with everything in it. `Out` is the shape of its output, which has `outputs` numbers.
    pub fn new<T: Number, L: Parameters<T>, Out>(
        layer: &L,
        path: &'a Path,
        outputs: usize,
    ) -> Self {
        let mut multiplications = 0;
        layer.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
            // A matrix with its sizes in PyTorch. Each of its rows gives one output, or one for each place in an image.
            if leaf.dims.len() > 1 {
                let (rows, columns) = leaf.shape;
                multiplications += columns * rows * (outputs / rows.max(1));
            }
        });
        let (name, out) = (type_name::<L>(), type_name::<Out>());
        Part { path, name, out, counts: counts(layer), multiplications }
    }
}

/// The number of weights, frozen parameters and statistics of a tree.
pub(crate) fn counts<T: Number, L: Parameters<T>>(tree: &L) -> [usize; 3] {
    let mut counts = [0; 3];
    tree.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        let [weights, frozen, statistics] = &mut counts;
        *match leaf.role {
            Role::Weight => weights,
            Role::Frozen => frozen,
            Role::Statistic => statistics,
        } += leaf.values.len();
    });
    counts
}
