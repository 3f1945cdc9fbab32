//! A training on disk, to continue it later.

use super::{
    disk,
    error::{LoadError, LoadErrorKind},
    safetensors::Writer,
    stored::Stored,
    weights::{self, Loading, Wanted},
};
use crate::{
    network::Network,
    optim::Optimizer,
    params::{Leaf, LeafMut, Parameters},
    path::Path,
};
use alloc::{format, vec::Vec};
use std::io;

/// The version of the files.
const VERSION: u64 = 1;

/// A place in a training. Saved together with the net and the state of its optimizer, it continues the training with
/// the bits of an uninterrupted one.
///
/// The file holds the parameters as `net.0.weight`, and the state of the optimizer as `optimizer.0.0.weight`: first
/// the number of its tree, then the name. Settings, such as the learning rate, are not in it: the program that
/// continues builds net and optimizer as before.
///
/// ```
/// use chainrule::{Adam, Training, TwoLayerNet, data::Dataset, files::Checkpoint};
/// use nalgebra::Const;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Net = TwoLayerNet<f32, 2, 16, 2>;
/// let inputs = vec![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// let data = Dataset::labelled(inputs, vec![0, 1, 1, 0], 2)?;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("xor.safetensors");
///
/// // 100 of 200 iterations, then the program ends.
/// let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
/// let mut adam = Adam::new(0.01);
/// Training { batch: Const::<4>, iterations: 100, seed: 7 }.run(&mut net, &mut adam, &data, |_| ())?;
/// Checkpoint { iteration: 100, seed: 7 }.save(&path, &net, &adam)?;
///
/// // Later.
/// let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
/// let mut adam = Adam::new(0.01);
/// let Checkpoint { iteration, seed } = Checkpoint::load(&path, &mut net, &mut adam)?;
/// let training = Training { batch: Const::<4>, iterations: 200, seed };
/// training.run_from(iteration, &mut net, &mut adam, &data, |_| ())?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The number of the next mini-batch.
    pub iteration: usize,
    /// The seed of the training.
    pub seed: u64,
}

impl Checkpoint {
    /// Writes the file at once or not at all: until it is complete on the disk, a file that is there stays as it is.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn save<T, In, L, E, O>(
        &self,
        path: impl AsRef<std::path::Path>,
        net: &Network<T, In, L, E>,
        optimizer: &O,
    ) -> io::Result<()>
    where
        T: Stored,
        L: Parameters<T>,
        O: Optimizer<T, L> + ?Sized,
    {
        let mut writer = Writer::default();
        weights::add_tree(&mut writer, "net.", &net.layers);
        optimizer.visit_state(&mut |tree, leaf| {
            weights::add(&mut writer, format_args!("optimizer.{tree}.{}", leaf.path), &leaf);
        });
        let bytes = writer.finish(&[
            ("chainrule.checkpoint", VERSION),
            ("iteration", self.iteration as u64),
            ("seed", self.seed),
            ("steps", optimizer.steps()),
        ]);
        disk::write(path.as_ref(), &bytes)
    }

    /// Sets the net and the optimizer to what the file holds. It checks everything first. If it returns an error,
    /// nothing has changed.
    ///
    /// # Errors
    /// [`LoadErrorKind`] lists them. A checkpoint of another net or of another kind of optimizer is refused with all
    /// differences.
    pub fn load<T, In, L, E, O>(
        path: impl AsRef<std::path::Path>,
        net: &mut Network<T, In, L, E>,
        optimizer: &mut O,
    ) -> Result<Self, LoadError>
    where
        T: Stored,
        L: Parameters<T>,
        O: Optimizer<T, L> + ?Sized,
    {
        let path = path.as_ref();
        let bytes = disk::read(path)?;
        let mut wanted = Vec::new();
        net.layers.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
            wanted.push(Wanted::new(format!("net.{}", leaf.path), &leaf));
        });
        optimizer.visit_state(&mut |tree, leaf| {
            wanted.push(Wanted::new(format!("optimizer.{tree}.{}", leaf.path), &leaf));
        });
        let mut numbers = [None; 4];
        let found =
            weights::find::<T>(&mut wanted, &bytes, &Loading::default(), &mut |key, value| {
                let keys = ["chainrule.checkpoint", "iteration", "seed", "steps"];
                let place = keys.iter().zip(&mut numbers).find(|(name, _)| **name == key);
                if let Some((_, number)) = place {
                    *number = value.parse::<u64>().ok();
                }
            });
        let [version, iteration, seed, steps] = numbers;
        let iteration = iteration.and_then(|iteration| usize::try_from(iteration).ok());
        let position = match found {
            Err(error @ LoadErrorKind::Format(_)) => Err(error),
            found => match (version, iteration, seed, steps) {
                (Some(VERSION), Some(iteration), Some(seed), Some(steps)) => {
                    found.map(|_| (Checkpoint { iteration, seed }, steps))
                }
                _ => Err(LoadErrorKind::Version { found: version }),
            },
        };
        let (checkpoint, steps) = position.map_err(|kind| kind.of(path))?;
        let mut wanted = wanted.into_iter();
        net.layers.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
            weights::set(leaf, wanted.next(), false);
        });
        optimizer.restore(steps, &mut |_, leaf| weights::set(leaf, wanted.next(), false));
        Ok(checkpoint)
    }
}
