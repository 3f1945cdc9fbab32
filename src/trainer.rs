//! Training by epochs, with a validation set and early stopping.

use crate::{
    data::{DataError, Dataset, Gather, Inputs, Shuffle},
    layer::Layer,
    loss::Loss,
    metrics::as_f64,
    network::Network,
    optim::Optimizer,
    pass::hash,
    shape::{BatchSize, Number, Shape},
    train::{Observation, TrainingCause, TrainingError, most},
};
#[cfg(feature = "alloc")]
use crate::{
    params::{Leaf, LeafMut},
    path::Path,
};
#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use core::fmt;

/// Trains by epochs. In each epoch it takes each sample once, in a new random order.
///
/// After each epoch it computes the loss of a validation set. When this loss has not fallen for
/// [`patience`](Self::patience) epochs, the trainer stops and gives the net the weights of the best epoch. It calls an
/// observer after each update. Its [`state`](Self::state) is plain data. If you save the state, the net and the optimizer,
/// you can continue the training with the same bits, also in the middle of an epoch.
///
/// ```
/// use chainrule::{Adam, Trainer, TwoLayerNet, data::{Dataset, split}};
/// use nalgebra::Dyn;
/// use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// // Is a point within a circle?
/// let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
/// let points: Vec<[f32; 2]> = (0..200).map(|_| [(); 2].map(|()| rng.random_range(-1.0..1.0))).collect();
/// let labels = points.iter().map(|[x, y]| usize::from(x * x + y * y < 0.5)).collect::<Vec<_>>();
/// let data = Dataset::labelled(points, labels, 2)?;
/// let halves = split(data.len(), 50, 0)?;
/// let (train, valid) = (data.select(&halves.train)?, data.select(&halves.test)?);
///
/// let mut net = TwoLayerNet::<f32, 2, 16, 2>::init(&mut rng);
/// let mut trainer = Trainer::new(Dyn(32), 300, 0);
/// trainer.patience = Some(20);
/// // An observer is a closure, so observers combine as statements do.
/// let (mut curve, mut log) = (Vec::new(), String::from("epoch,loss,validation\n"));
/// trainer.fit(&mut net, &mut Adam::new(0.01), &train, Some(&valid), |at| {
///     if let Some(epoch) = at.epoch {
///         println!("{epoch}, accuracy {}", at.net.accuracy_on(&valid, Dyn(50)));
///         curve.push(epoch);
///         log += &format!("{},{},{}\n", epoch.number, epoch.loss, epoch.validation.unwrap_or(f64::NAN));
///     }
/// })?;
/// assert!(net.accuracy_on(&valid, Dyn(50)) > 0.9);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Batches
/// With a batch size of [`Dyn`](nalgebra::Dyn), the last batch of an epoch is shorter if the samples do not fill it.
/// It is an update like the others, and the mean loss of the epoch weights it by its size. With `Const<B>` a batch
/// cannot be shorter. Then the last batch takes its missing samples from the next epoch. The trainer drops no sample,
/// and takes none more often than others.
///
/// # Several nets
/// A net is a value, so nets with different settings train on different threads. The results do not depend on the
/// number of threads:
///
/// ```
/// # use chainrule::{Sgd, Trainer, TrainingError, TwoLayerNet, data::Dataset};
/// # use nalgebra::Const;
/// # use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
/// # let inputs = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// # let data = Dataset::labelled(inputs, [0, 1, 1, 0], 2).unwrap();
/// let train = |(rate, seed)| {
///     let mut net = TwoLayerNet::<f64, 2, 16, 2>::init(&mut Xoshiro128PlusPlus::seed_from_u64(seed));
///     let mut trainer = Trainer::new(Const::<4>, 100, seed);
///     trainer.fit(&mut net, &mut Sgd::new(rate), &data, None, |_| ())?;
///     Ok::<f64, TrainingError>(net.loss_on(&data, Const::<4>))
/// };
/// let mut runs: Vec<_> = [0.1, 0.3, 1.0, 3.0].into_iter().zip(0..).map(|run| (run, None)).collect();
/// let share = runs.len().div_ceil(2);
/// std::thread::scope(|threads| {
///     for part in runs.chunks_mut(share) {
///         threads.spawn(|| part.iter_mut().for_each(|(run, result)| *result = Some(train(*run))));
///     }
/// });
/// # assert!(runs.iter().all(|(_, result)| matches!(result, Some(Ok(_)))));
/// ```
#[doc(alias("fit", "DataLoader", "EarlyStopping"))]
#[derive(Clone, Debug, PartialEq)]
pub struct Trainer<B, T> {
    /// The number of samples in a batch: `Dyn(32)`, or `Const::<32>` for batches of constant size.
    pub batch: B,
    /// The number of epochs.
    pub epochs: u64,
    /// How many epochs in a row may pass without a new lowest loss of the validation set. `Some(0)` means `Some(1)`.
    /// With `None` the trainer trains all epochs and keeps the last weights. (Feature `alloc`.)
    #[cfg(feature = "alloc")]
    pub patience: Option<u64>,
    /// How far the training is.
    pub state: TrainerState<T>,
}

/// How far a training is. The rest of the training depends only on this, the settings, the net and the optimizer.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerState<T> {
    /// The seed. The order of the samples and the random numbers of the layers depend on it.
    pub seed: u64,
    /// The number of updates.
    pub updates: u64,
    /// The number of samples drawn so far, in all epochs. The epoch and the place in its order follow from it.
    pub samples: u64,
    /// The sum of the losses in this epoch, each times the size of its batch.
    pub loss_sum: f64,
    /// The number of samples in that sum.
    pub loss_samples: u64,
    /// The epoch with the lowest loss of the validation set.
    pub best: Option<Epoch>,
    /// The parameters after that epoch, leaf after leaf, if `patience` is set.
    #[cfg(feature = "alloc")]
    pub best_parameters: Vec<T>,
    #[cfg(not(feature = "alloc"))]
    scalar: core::marker::PhantomData<T>,
}

/// An epoch that has ended. It prints as a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// The number of the epoch. The first is 1.
    pub number: u64,
    /// The mean loss of its batches, each before its update.
    pub loss: f64,
    /// The loss of the validation set after it.
    pub validation: Option<f64>,
    /// Whether that is the lowest so far.
    pub best: bool,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "epoch {}: loss {:.6}", self.number, self.loss)?;
        if let Some(validation) = self.validation {
            write!(f, ", validation {validation:.6}")?;
        }
        if self.best { f.write_str(" (lowest)") } else { Ok(()) }
    }
}

/// What a trainer passes to its observer after each update.
#[derive(Debug)]
pub struct Trained<'a, N, O, T> {
    /// The net.
    pub net: &'a N,
    /// The optimizer.
    pub optimizer: &'a O,
    /// How far the training is. If you save these three, the training can continue from here.
    pub state: &'a TrainerState<T>,
    /// The loss of the batch before the update.
    pub loss: T,
    /// The epoch that has ended with this update, if one has.
    pub epoch: Option<Epoch>,
}

impl<T> TrainerState<T> {
    /// Before the first update.
    pub const fn new(seed: u64) -> Self {
        TrainerState {
            seed,
            updates: 0,
            samples: 0,
            loss_sum: 0.0,
            loss_samples: 0,
            best: None,
            #[cfg(feature = "alloc")]
            best_parameters: Vec::new(),
            #[cfg(not(feature = "alloc"))]
            scalar: core::marker::PhantomData,
        }
    }
}

// The bounds are on the methods, so that a plain number as the batch gets the message of `BatchSize`.
impl<B, T> Trainer<B, T> {
    /// A training from the beginning, without patience.
    pub const fn new(batch: B, epochs: u64, seed: u64) -> Self {
        Trainer {
            batch,
            epochs,
            #[cfg(feature = "alloc")]
            patience: None,
            state: TrainerState::new(seed),
        }
    }

    /// Trains from the [`state`](Self::state) on, until all epochs are done, the patience has ended, or the
    /// observer returns `ControlFlow::Break(())`.
    ///
    /// With patience, the net has the parameters of the best epoch at the end. (An earlier call without patience kept none,
    /// so its best epoch does not count.) If the observer ends the training, the net keeps its last parameters, so that a
    /// second call continues.
    ///
    /// # Errors
    /// - [`TrainingCause::Step`]: a step failed, for example because its loss is not finite. See
    ///   [`Optimizer::train_step`] for what it has changed.
    /// - [`TrainingCause::Validation`]: the loss of the validation set is not finite.
    /// - [`TrainingCause::NoValidation`]: `patience` is set, but there is no validation set. Nothing has changed.
    /// - [`TrainingCause::Data`]: samples could not be gathered.
    ///
    /// After an error the net keeps its parameters, and the state still has those of the best epoch.
    pub fn fit<In, L, E, X, Y, O, V: Observation>(
        &mut self,
        net: &mut Network<T, In, L, E>,
        optimizer: &mut O,
        data: &Dataset<X, Y>,
        validation: Option<&Dataset<X, Y>>,
        observer: impl FnMut(Trained<Network<T, In, L, E>, O, T>) -> V,
    ) -> Result<(), TrainingError>
    where
        B: BatchSize,
        T: Number,
        In: Shape,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y::Batch>,
        X: Inputs<T, B, In>,
        Y: Gather<T, B>,
        O: Optimizer<T, L>,
    {
        let size = most(self.batch, data.len());
        let mut work = Network::<T, In, L, E>::workspace(size);
        work.seed = self.state.seed;
        let mut samples = Drawn::new(data, size);
        self.run(1, net, optimizer, data, validation, observer, |net, optimizer, draw| {
            samples.draw(data, draw, 0, draw.count).map_err(TrainingCause::Data)?;
            work.step = draw.update;
            let loss = optimizer.train_step(net, &samples.x, &samples.t, &mut work);
            loss.map_err(TrainingCause::Step)
        })
    }

    /// The loop. `step` trains on the samples of a draw: `parts` batches, or the rest of an epoch if that is shorter.
    #[expect(clippy::too_many_arguments, reason = "what `fit` has, and how a step is done")]
    pub(crate) fn run<In, L, E, X, Y, O, V: Observation>(
        &mut self,
        parts: usize,
        net: &mut Network<T, In, L, E>,
        optimizer: &mut O,
        data: &Dataset<X, Y>,
        validation: Option<&Dataset<X, Y>>,
        mut observer: impl FnMut(Trained<Network<T, In, L, E>, O, T>) -> V,
        mut step: impl FnMut(&mut Network<T, In, L, E>, &mut O, &Draw) -> Result<T, TrainingCause>,
    ) -> Result<(), TrainingError>
    where
        B: BatchSize,
        T: Number,
        In: Shape,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y::Batch>,
        X: Inputs<T, B, In>,
        Y: Gather<T, B>,
    {
        let len = data.len();
        #[cfg(feature = "alloc")]
        if self.patience.is_some() && validation.is_none() {
            return Err(self.stopped(TrainingCause::NoValidation));
        }
        // A best epoch counts only with its parameters. They may be missing, or be those of another net.
        #[cfg(feature = "alloc")]
        if self.patience.is_some() && self.state.best_parameters.len() != L::COUNT {
            self.state.best = None;
            self.state.best_parameters.clear();
        }
        let mut ended = self.state.samples / len as u64;
        while ended < self.epochs && !self.waited(ended) {
            let (epoch, place) = (ended, (self.state.samples % len as u64) as usize);
            let full = parts.saturating_mul(self.batch.value());
            // A batch of constant size goes on into the next epoch.
            let count = if B::try_to_usize().is_some() { full } else { full.min(len - place) };
            let (seed, update) = (self.state.seed, self.state.updates);
            let draw = Draw { seed, len, epoch, place, count, update };
            let loss = step(net, optimizer, &draw).map_err(|cause| self.stopped(cause))?;

            self.state.updates += 1;
            self.state.samples += count as u64;
            self.state.loss_sum += as_f64(loss) * count as f64;
            self.state.loss_samples += count as u64;
            ended = self.state.samples / len as u64;
            let epoch = if ended > epoch {
                let validation = validation.map(|data| as_f64(net.loss_on(data, self.batch)));
                Some(self.end(ended, validation)?)
            } else {
                None
            };
            #[cfg(feature = "alloc")]
            if self.patience.is_some() && epoch.is_some_and(|epoch| epoch.best) {
                let kept = &mut self.state.best_parameters;
                kept.clear();
                kept.reserve_exact(L::COUNT);
                let keep = &mut |leaf: Leaf<T>| kept.extend_from_slice(leaf.values);
                net.layers.visit(&Path::ROOT, keep);
            }
            if observer(Trained { net, optimizer, state: &self.state, loss, epoch }).ends() {
                return Ok(());
            }
        }
        #[cfg(feature = "alloc")]
        if self.patience.is_some() {
            let mut best = &self.state.best_parameters[..];
            net.layers.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
                if let Some((values, rest)) = best.split_at_checked(leaf.values.len()) {
                    leaf.values.copy_from_slice(values);
                    best = rest;
                }
            });
        }
        Ok(())
    }

    /// Ends an epoch whose validation loss is given.
    fn end(&mut self, number: u64, validation: Option<f64>) -> Result<Epoch, TrainingError> {
        let loss = self.state.loss_sum / self.state.loss_samples as f64;
        (self.state.loss_sum, self.state.loss_samples) = (0.0, 0);
        let lowest = self.state.best.and_then(|epoch| epoch.validation);
        let best = match validation {
            Some(now) if !now.is_finite() => return Err(self.stopped(TrainingCause::Validation)),
            Some(now) => lowest.is_none_or(|lowest| now < lowest),
            None => false,
        };
        let epoch = Epoch { number, loss, validation, best };
        if best {
            self.state.best = Some(epoch);
        }
        Ok(epoch)
    }

    /// Whether the patience has ended.
    fn waited(&self, ended: u64) -> bool {
        #[cfg(feature = "alloc")]
        if let (Some(patience), Some(best)) = (self.patience, self.state.best) {
            return ended.saturating_sub(best.number) >= patience.max(1);
        }
        let _ = ended;
        false
    }

    fn stopped(&self, cause: TrainingCause) -> TrainingError {
        TrainingError { iteration: self.state.updates as usize, cause }
    }
}

/// Which samples an update takes.
pub(crate) struct Draw {
    pub seed: u64,
    /// The number of samples in the data set.
    len: usize,
    epoch: u64,
    /// The place in the order of the epoch.
    place: usize,
    /// How many samples it takes.
    pub count: usize,
    /// The number of the update, from 0.
    pub update: u64,
}

/// Memory for a batch of samples.
pub(crate) struct Drawn<B: BatchSize, X, Y> {
    indices: B::Samples<usize>,
    pub x: X,
    pub t: Y,
}

impl<B: BatchSize, X, Y> Drawn<B, X, Y> {
    pub fn new<T: Number>(
        data: &Dataset<impl Gather<T, B, Batch = X>, impl Gather<T, B, Batch = Y>>,
        size: B,
    ) -> Self {
        let (x, t) = (data.inputs().batch(size), data.targets().batch(size));
        Drawn { indices: size.samples(0), x, t }
    }

    /// Copies `count` samples of a draw, from its sample number `first` on.
    pub fn draw<T: Number>(
        &mut self,
        data: &Dataset<impl Gather<T, B, Batch = X>, impl Gather<T, B, Batch = Y>>,
        draw: &Draw,
        first: usize,
        count: usize,
    ) -> Result<(), DataError> {
        if self.indices.as_ref().len() != count {
            *self = Drawn::new(data, B::from_usize(count));
        }
        let shuffle = |epoch| Shuffle::new(draw.len, hash([draw.seed, SHUFFLE, epoch]));
        let mut epoch = draw.epoch;
        let (mut order, mut place) = (shuffle(epoch), draw.place + first);
        for index in self.indices.as_mut() {
            while place >= draw.len {
                (epoch, place) = (epoch + 1, place - draw.len);
                order = shuffle(epoch);
            }
            *index = order.get(place);
            place += 1;
        }
        data.gather::<T, B>(self.indices.as_ref(), &mut self.x, &mut self.t)
    }
}

/// Makes the seeds of orders different from other uses of the same seed.
const SHUFFLE: u64 = 0x6570_6f63_6873_6565;
