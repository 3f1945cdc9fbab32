//! serde for nets of any layers: a list of leaves, each with its name, its sizes and its numbers.

use super::{
    error::{DifferenceKind, Mismatch},
    weights,
};
use crate::{
    layer::Layer,
    network::Network,
    params::{Leaf, LeafMut, Parameters},
    path::Path,
    shape::{Number, Shape},
    zeros::Zeros,
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error},
};

/// Writes all parameters, as the page [`files`](crate::files) says. The numbers are copied first.
impl<T: Number + Serialize, In, L: Parameters<T>, E> Serialize for Network<T, In, L, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut leaves = Vec::new();
        self.layers.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
            let numbers: Vec<T> = weights::by_rows(leaf.values, leaf.shape).copied().collect();
            leaves.push((leaf.path.to_string(), leaf.dims.to_vec(), numbers));
        });
        leaves.serialize(serializer)
    }
}

/// Loads into this net: `(&mut net).deserialize(..)`. It checks everything first. If it returns an error, nothing has
/// changed; the text of the error lists all differences.
impl<'de, T: Number + Deserialize<'de>, In, L: Parameters<T>, E> DeserializeSeed<'de>
    for &mut Network<T, In, L, E>
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let leaves = Vec::<(String, Vec<usize>, Vec<T>)>::deserialize(deserializer)?;
        let (mut wanted, mut unexpected) = (weights::wanted(&self.layers), Vec::new());
        for (name, dims, numbers) in leaves {
            if !weights::put(&mut wanted, &name, (dims, numbers)) {
                unexpected.push(name);
            }
        }
        let differences = weights::differences(&mut wanted, |leaf, (dims, numbers)| {
            let (expected, found) = (leaf.dims.iter().product(), numbers.len());
            if *dims != leaf.dims {
                let expected = leaf.dims.clone();
                return Some(DifferenceKind::Shape { expected, found: dims.clone() });
            }
            (expected != found).then_some(DifferenceKind::Count { expected, found })
        });
        let mismatch = Mismatch { differences, unexpected };
        if !mismatch.is_empty() {
            return Err(D::Error::custom(mismatch));
        }
        let mut found = wanted.into_iter().map(|leaf| leaf.found);
        self.layers.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
            if let Some((_, numbers)) = found.next().flatten() {
                weights::set_rows(leaf.values, leaf.shape, numbers.into_iter());
            }
        });
        Ok(())
    }
}

/// A new net. Settings of layers and of the loss are not in a file; they have their defaults.
impl<'de, T, In, L, E> Deserialize<'de> for Network<T, In, L, E>
where
    T: Number + Deserialize<'de>,
    In: Shape,
    L: Layer<T, In> + Zeros,
    E: Default,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut net = Network::new(L::zeros(), E::default());
        (&mut net).deserialize(deserializer)?;
        Ok(net)
    }
}
