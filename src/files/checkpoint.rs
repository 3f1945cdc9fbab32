//! A training on disk, to continue it later.

use super::{
    disk,
    error::{LoadError, LoadErrorKind},
    safetensors::{self, Item, Writer},
    stored::Stored,
    weights::{self, Loading, Wanted},
};
use crate::{
    network::Network,
    optim::Optimizer,
    params::{Leaf, LeafMut, Parameters, Role},
    path::Path,
    trainer::{Epoch, TrainerState},
};
use alloc::{format, string::String, vec, vec::Vec};
use std::{io, path::Path as File};

/// The version of the files.
const VERSION: u64 = 1;

/// The iteration and the seed of a [`Training`](crate::Training). Saved with the net and the state of its optimizer, they
/// let the training continue, with bit for bit the result of an uninterrupted one. The state of a
/// [`Trainer`](crate::Trainer) has the same two functions.
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
    /// Writes the whole file or nothing: an existing file does not change until the new one is complete on the disk.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn save<T, In, L, E, O>(
        &self,
        path: impl AsRef<File>,
        net: &Network<T, In, L, E>,
        optimizer: &O,
    ) -> io::Result<()>
    where
        T: Stored,
        L: Parameters<T>,
        O: Optimizer<T, L> + ?Sized,
    {
        let numbers = [("iteration", self.iteration as u64), ("seed", self.seed)];
        write(path.as_ref(), net, optimizer, &numbers, &[])
    }

    /// Loads the net and the optimizer from the file. It checks everything first. If it returns an error,
    /// nothing has changed.
    ///
    /// # Errors
    /// [`LoadErrorKind`] lists them. A checkpoint of another net or of another kind of optimizer is refused with all
    /// differences.
    pub fn load<T, In, L, E, O>(
        path: impl AsRef<File>,
        net: &mut Network<T, In, L, E>,
        optimizer: &mut O,
    ) -> Result<Self, LoadError>
    where
        T: Stored,
        L: Parameters<T>,
        O: Optimizer<T, L> + ?Sized,
    {
        read(path.as_ref(), net, optimizer, |number, _, _| {
            let iteration = usize::try_from(number("iteration")?).ok()?;
            Some(Checkpoint { iteration, seed: number("seed")? })
        })
    }
}

impl<T: Stored> TrainerState<T> {
    /// Saves this state with a net and an optimizer, as [`Checkpoint::save`] does.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn save<In, L: Parameters<T>, E, O: Optimizer<T, L> + ?Sized>(
        &self,
        path: impl AsRef<File>,
        net: &Network<T, In, L, E>,
        optimizer: &O,
    ) -> io::Result<()> {
        let mut numbers = vec![
            ("seed", self.seed),
            ("updates", self.updates),
            ("samples", self.samples),
            ("loss_sum", self.loss_sum.to_bits()),
            ("loss_samples", self.loss_samples),
        ];
        if let Some(Epoch { number, loss, validation, best }) = self.best {
            numbers.extend([("epoch", number), ("epoch_loss", loss.to_bits())]);
            numbers.push(("epoch_best", best.into()));
            numbers.extend(validation.map(|loss| ("epoch_validation", loss.to_bits())));
        }
        write(path.as_ref(), net, optimizer, &numbers, &self.best_parameters)
    }

    /// Sets the net and the optimizer to what the file holds, as [`Checkpoint::load`] does, and returns the state:
    /// `trainer.state = TrainerState::load(path, &mut net, &mut optimizer)?`.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn load<In, L: Parameters<T>, E, O: Optimizer<T, L> + ?Sized>(
        path: impl AsRef<File>,
        net: &mut Network<T, In, L, E>,
        optimizer: &mut O,
    ) -> Result<Self, LoadError> {
        read(path.as_ref(), net, optimizer, |number, has, best_parameters| {
            let epoch = |epoch| {
                let validation = number("epoch_validation").map(f64::from_bits);
                let (loss, best) = (number("epoch_loss")?, number("epoch_best")? != 0);
                Some(Epoch { number: epoch, loss: f64::from_bits(loss), validation, best })
            };
            Some(TrainerState {
                updates: number("updates")?,
                samples: number("samples")?,
                loss_sum: f64::from_bits(number("loss_sum")?),
                loss_samples: number("loss_samples")?,
                best: if has("epoch") { Some(epoch(number("epoch")?)?) } else { None },
                best_parameters,
                seed: number("seed")?,
            })
        })
    }
}

const BEST: &str = "trainer.best_parameters";

/// The number of steps of an optimizer stands under this and the name of its rule.
const STEPS: &str = "steps.";

/// A name without characters that JSON would escape.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}

/// Saves a training: its numbers, and other parameters of the same net.
fn write<T: Stored, In, L: Parameters<T>, E, O: Optimizer<T, L> + ?Sized>(
    path: &File,
    net: &Network<T, In, L, E>,
    optimizer: &O,
    numbers: &[(&str, u64)],
    best: &[T],
) -> io::Result<()> {
    let mut writer = Writer::default();
    weights::add_tree(&mut writer, "net.", &net.layers);
    optimizer.visit_state(&mut |tree, leaf| {
        weights::add(&mut writer, format_args!("optimizer.{tree}.{}", leaf.path), &leaf);
    });
    if !best.is_empty() {
        let (path, role) = (&Path::ROOT, Role::Weight);
        let leaf = Leaf { path, role, shape: (best.len(), 1), dims: &[best.len()], values: best };
        weights::add(&mut writer, format_args!("{BEST}"), &leaf);
    }
    let steps = format!("{STEPS}{}", plain(optimizer.name()));
    let own = [("chainrule.checkpoint", VERSION), (&*steps, optimizer.steps())];
    disk::write(path, &writer.finish(&[&own, numbers].concat()))
}

/// Loads a training. `state` makes its state from the numbers by their names, from which names there are, and from the
/// other parameters.
fn read<T: Stored, In, L: Parameters<T>, E, O: Optimizer<T, L> + ?Sized, S>(
    path: &File,
    net: &mut Network<T, In, L, E>,
    optimizer: &mut O,
    state: impl FnOnce(&dyn Fn(&str) -> Option<u64>, &dyn Fn(&str) -> bool, Vec<T>) -> Option<S>,
) -> Result<S, LoadError> {
    let bytes = disk::read(path)?;
    let (mut texts, mut best) = (Vec::new(), Vec::new());
    let read = safetensors::read(&bytes, &mut |item| match item {
        Item::Text(key, text) => texts.push((key, text)),
        Item::Tensor(tensor) if tensor.name == BEST => best = vec![T::zero(); L::COUNT],
        Item::Tensor(_) => {}
    });
    let loaded = || {
        read?;
        let number = |name: &str| texts.iter().find(|(key, _)| *key == name)?.1.parse::<u64>().ok();
        let version = number("chainrule.checkpoint");
        let refused = || LoadErrorKind::Version { found: version };
        let rule = texts.iter().find_map(|(key, _)| key.strip_prefix(STEPS));
        let rule = rule.filter(|_| version == Some(VERSION)).ok_or_else(refused)?;
        let steps = number(&format!("{STEPS}{rule}")).ok_or_else(refused)?;
        let mut wanted = Vec::new();
        net.layers.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
            wanted.push(Wanted::new(format!("net.{}", leaf.path), leaf.dims));
        });
        optimizer.visit_state(&mut |tree, leaf| {
            wanted.push(Wanted::new(format!("optimizer.{tree}.{}", leaf.path), leaf.dims));
        });
        if !best.is_empty() {
            wanted.push(Wanted::new(BEST.into(), &[L::COUNT]));
        }
        weights::find::<T>(&mut wanted, &bytes, &Loading::default())?;
        let expected = optimizer.name();
        if rule != plain(expected) {
            return Err(LoadErrorKind::Optimizer { expected, found: rule.into() });
        }
        if !best.is_empty() {
            weights::fill(&mut best, (L::COUNT, 1), wanted.pop(), false);
        }
        let has = |name: &str| texts.iter().any(|(key, _)| *key == name);
        let state = state(&number, &has, best).ok_or_else(refused)?;
        let mut wanted = wanted.into_iter();
        net.layers.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
            weights::fill(leaf.values, leaf.shape, wanted.next(), false);
        });
        optimizer.restore(steps, &mut |_, leaf| {
            weights::fill(leaf.values, leaf.shape, wanted.next(), false);
        });
        Ok(state)
    };
    loaded().map_err(|kind: LoadErrorKind| kind.of(path))
}
