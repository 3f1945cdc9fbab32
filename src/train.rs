//! The training loop: draw a mini-batch, compute its gradient, update, repeat.

use crate::{
    data::{DataError, Dataset, Gather, Inputs},
    kernel::Sum,
    layer::Layer,
    loss::{Classes, Loss},
    network::{Network, ratio},
    optim::Optimizer,
    pass::hash,
    shape::{BatchSize, Number, Scores, Shape, nan},
    step::StepError,
};
use core::{fmt, ops::ControlFlow};
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};

/// The book's training: the size of a mini-batch, the number of mini-batches, and the seed. It draws samples with
/// replacement. The same seed gives the same bits on the same machine and build, and elsewhere the same numbers up to
/// rounding. (Chapter 5.7.4.) To train by epochs, with a validation set and early stopping, use
/// [`Trainer`](crate::Trainer).
///
/// ```
/// use chainrule::{Sgd, Training, TwoLayerNet, data::Dataset};
/// use nalgebra::Const;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// let mut net = TwoLayerNet::<f32, 2, 16, 2>::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
/// let inputs = vec![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// let data = Dataset::labelled(inputs, vec![0, 1, 1, 0], 2)?;
///
/// let training = Training { batch: Const::<4>, iterations: 1000, seed: 0 };
/// training.run(&mut net, &mut Sgd::new(0.5), &data, |progress| {
///     if progress.iteration % 100 == 0 {
///         println!("{}", progress.loss);
///     }
/// })?;
/// assert_eq!(net.accuracy_on(&data, Const::<4>), 1.0);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Training<B> {
    /// The number of samples in a mini-batch: `Const::<100>`, or `Dyn(100)` for batches on the heap.
    pub batch: B,
    /// The number of mini-batches.
    pub iterations: usize,
    /// The seed. The choice of samples and the random numbers of the layers depend only on it and the
    /// iteration.
    pub seed: u64,
}

/// What the training passes to its observer after each update.
#[derive(Debug)]
pub struct Progress<'a, N, T> {
    /// The net.
    pub net: &'a N,
    /// The number of the mini-batch. The first is 0.
    pub iteration: usize,
    /// Its loss before the update.
    pub loss: T,
    /// The number of the epoch that begins with this mini-batch, if one does. The first is 0. An epoch is the number of
    /// mini-batches that would cover the data set once if no sample were drawn twice.
    pub epoch: Option<usize>,
}

/// Why a training stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingError {
    /// The iteration that failed, from 0. [`Training::run_from`] can continue from it.
    pub iteration: usize,
    /// The reason.
    pub cause: TrainingCause,
}

/// The reason why a training stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrainingCause {
    /// A step failed.
    Step(StepError),
    /// Samples could not be gathered. A [`Gather`] of another crate may report this.
    Data(DataError),
    /// The loss of the validation set is not finite.
    Validation,
    /// A [`Trainer`](crate::Trainer) with patience has no validation set.
    NoValidation,
}

impl fmt::Display for TrainingError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "iteration {}: ", self.iteration)?;
        match self.cause {
            TrainingCause::Step(error) => error.fmt(f),
            TrainingCause::Data(error) => error.fmt(f),
            TrainingCause::Validation => {
                f.write_str("the loss of the validation set is not finite")
            }
            TrainingCause::NoValidation => {
                f.write_str("expected a validation set, because `patience` is set, found none")
            }
        }
    }
}

impl core::error::Error for TrainingError {}

/// What an observer returns: `()` to continue, or a `ControlFlow<()>`.
#[diagnostic::on_unimplemented(
    message = "an observer returns `()` to go on, or a `ControlFlow<()>`, not `{Self}`",
    label = "returned by the observer"
)]
pub trait Observation {
    /// Whether the training stops.
    fn ends(self) -> bool;
}

impl Observation for () {
    fn ends(self) -> bool {
        false
    }
}

impl Observation for ControlFlow<()> {
    fn ends(self) -> bool {
        self.is_break()
    }
}

// The bound on `B` is on each method, so that a plain number in its place gets the message of `BatchSize`.
impl<B> Training<B> {
    /// Trains, and calls `observer` after each update. It stops when the observer returns
    /// `ControlFlow::Break(())` or when all iterations are done.
    ///
    /// # Errors
    /// The training stops if a step fails (see [`Optimizer::train_step`]) or if a batch has no samples.
    pub fn run<T, In, L, E, X, Y, O, V: Observation>(
        &self,
        net: &mut Network<T, In, L, E>,
        optimizer: &mut O,
        data: &Dataset<X, Y>,
        observer: impl FnMut(Progress<Network<T, In, L, E>, T>) -> V,
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
        self.run_from(0, net, optimizer, data, observer)
    }

    /// Trains from iteration `first` on. If the net and the optimizer are as they were before that iteration, the
    /// result is that of an uninterrupted training, bit for bit.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_from<T, In, L, E, X, Y, O, V: Observation>(
        &self,
        first: usize,
        net: &mut Network<T, In, L, E>,
        optimizer: &mut O,
        data: &Dataset<X, Y>,
        mut observer: impl FnMut(Progress<Network<T, In, L, E>, T>) -> V,
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
        let mut work = Network::<T, In, L, E>::workspace(self.batch);
        work.seed = self.seed;
        let mut indices = self.batch.samples(0);
        let mut x = data.inputs().batch(self.batch);
        let mut t = data.targets().batch(self.batch);
        let epoch = (data.len() / self.batch.value().max(1)).max(1);
        for iteration in first..self.iterations {
            let seed = hash([self.seed, DRAW, iteration as u64]);
            let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
            indices.as_mut().fill_with(|| below(data.len(), &mut rng));
            let stop = |cause| TrainingError { iteration, cause };
            let drawn = data.gather::<T, B>(indices.as_ref(), &mut x, &mut t);
            drawn.map_err(|error| stop(TrainingCause::Data(error)))?;

            work.step = iteration as u64;
            let loss = optimizer.train_step(net, &x, &t, &mut work);
            let loss = loss.map_err(|error| stop(TrainingCause::Step(error)))?;

            let epoch = (iteration % epoch == 0).then_some(iteration / epoch);
            if observer(Progress { net, iteration, loss, epoch }).ends() {
                break;
            }
        }
        Ok(())
    }
}

impl<T: Number, In: Shape, L, E> Network<T, In, L, E> {
    /// The [`accuracy`](Self::accuracy) on a whole data set, computed batch by batch. NaN if the batch size is
    /// 0 or the net has one output.
    pub fn accuracy_on<B: BatchSize, X, Y, const N: usize>(
        &self,
        data: &Dataset<X, Y>,
        batch: B,
    ) -> T
    where
        L: Layer<T, In, Out: Scores<N>>,
        X: Inputs<T, B, In>,
        Y: Gather<T, B>,
        Y::Batch: Classes<T, N, B>,
    {
        let mut correct = 0;
        let complete = each_batch(data, batch, |x, t, count| {
            correct += self.correct(x, t).take(count).filter(|&correct| correct).count();
        });
        if complete.is_ok() && N != 1 { ratio(correct, data.len()) } else { nan() }
    }

    /// The mean [`loss`](Self::loss) of the samples of a whole data set, computed batch by batch. NaN if the
    /// batch size is 0.
    #[doc(alias("log_loss"))]
    pub fn loss_on<B: BatchSize, X, Y>(&self, data: &Dataset<X, Y>, batch: B) -> T
    where
        L: Layer<T, In>,
        X: Inputs<T, B, In>,
        Y: Gather<T, B>,
        E: Loss<T, L::Out, B, Y::Batch>,
    {
        let [mut losses, mut weights] = [Sum::new(), Sum::new()];
        let mut add = |x: &In::Batch<T, B>, t: &Y::Batch, weight: T| {
            // Without weight the mean is 0/0.
            if weight != T::zero() {
                losses.add(weight * self.loss(x, t));
                weights.add(weight);
            }
        };
        let mut copies = T::zero();
        let complete = each_batch(data, batch, |x, t, count| {
            let weight = |count| Loss::<T, L::Out, B, Y::Batch>::weight(&self.criterion, t, count);
            let all = weight(In::size::<T, B>(x).value());
            copies = all - weight(count);
            add(x, t, all);
        });
        if copies != T::zero() {
            // Copies of the last sample filled the last batch, so the sum contains its loss too often. A batch of
            // copies of this sample gives its loss.
            let mut indices = batch.samples(data.len() - 1);
            let (mut x, mut t) = (data.inputs().batch(batch), data.targets().batch(batch));
            if data.gather::<T, B>(indices.as_mut(), &mut x, &mut t).is_err() {
                return nan();
            }
            add(&x, &t, -copies);
        }
        if complete.is_ok() { losses.total() / weights.total() } else { nan() }
    }
}

/// The size of a batch, or that of all data if that is smaller and the size is no constant.
pub(crate) fn most<B: BatchSize>(batch: B, samples: usize) -> B {
    match B::try_to_usize() {
        Some(_) => batch,
        None => B::from_usize(batch.value().min(samples)),
    }
}

/// Calls `f` with each batch of a data set in order, and with the number of its samples that count. The last batch is
/// shorter, or, if the size of a batch is a constant, copies of the last sample fill it.
pub(crate) fn each_batch<T: Number, B: BatchSize, X: Gather<T, B>, Y: Gather<T, B>>(
    data: &Dataset<X, Y>,
    batch: B,
    mut f: impl FnMut(&X::Batch, &Y::Batch, usize),
) -> Result<(), DataError> {
    if batch.value() == 0 {
        return Err(DataError::EmptyBatch);
    }
    let size = most(batch, data.len());
    let mut indices = size.samples(0);
    let (mut x, mut t) = (data.inputs().batch(size), data.targets().batch(size));
    for first in (0..data.len()).step_by(batch.value()) {
        let count = batch.value().min(data.len() - first);
        if B::try_to_usize().is_none() && indices.as_ref().len() != count {
            let size = B::from_usize(count);
            indices = size.samples(0);
            (x, t) = (data.inputs().batch(size), data.targets().batch(size));
        }
        for (i, index) in indices.as_mut().iter_mut().enumerate() {
            *index = first + i.min(count - 1);
        }
        data.gather::<T, B>(indices.as_ref(), &mut x, &mut t)?;
        f(&x, &t, count);
    }
    Ok(())
}

/// Makes the seeds of mini-batches different from other uses of the same seed.
const DRAW: u64 = 0x6d69_6e69_6261_7463;

/// A random number below `n`, the same on 32 and 64 bits. It is the upper half of a product, because some chips have no
/// division.
fn below(n: usize, rng: &mut impl Rng) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}
