//! The four steps of learning: draw a mini-batch, find its gradient, update, repeat.

use crate::{
    data::{Dataset, Gather},
    layer::Layer,
    loss::{Classes, Loss},
    network::{Network, ratio},
    optim::Optimizer,
    shape::{BatchSize, D1, Scalar, Shape, nan},
};
use core::ops::ControlFlow;
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};

/// A training to come: how large its mini-batches are, how many, and the seed by which they are
/// drawn, with replacement. The same seed gives the same bits on the same machine and build, elsewhere
/// the same up to rounding. (Chapter 5.7.4.)
///
/// ```
/// use chainrule::{Sgd, Training, TwoLayerNet, data::Dataset};
/// use core::ops::ControlFlow::Continue;
/// use nalgebra::Const;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// let mut net = TwoLayerNet::<f32, 2, 16, 2>::init(0.5, &mut Xoshiro128PlusPlus::seed_from_u64(0));
/// let inputs = vec![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// let data = Dataset::labelled(inputs, vec![0, 1, 1, 0], 2)?;
///
/// let training = Training { batch: Const::<4>, iterations: 1000, seed: 0 };
/// training.run(&mut net, &mut Sgd::new(0.5), &data, |progress| {
///     if progress.iteration % 100 == 0 {
///         println!("{}", progress.loss);
///     }
///     Continue(())
/// });
/// assert_eq!(net.accuracy_on(&data, Const::<4>), 1.0);
/// # Ok::<_, chainrule::data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Training<B> {
    /// Samples in a mini-batch: `Const::<100>`, or `Dyn(100)` on the heap.
    pub batch: B,
    /// Mini-batches.
    pub iterations: usize,
    /// What they are drawn by, and what layers draw by.
    pub seed: u64,
}

/// What a training tells its observer after each update.
#[derive(Debug)]
pub struct Progress<'a, N, T> {
    /// The net.
    pub net: &'a N,
    /// The mini-batch, from 0.
    pub iteration: usize,
    /// Its loss, before the update.
    pub loss: T,
    /// The epoch that begins with this mini-batch, from 0: as many of them as would cover the data
    /// set once if none were drawn twice.
    pub epoch: Option<usize>,
}

impl<B: BatchSize> Training<B> {
    /// Trains, and calls `observer` after each update, until it says `Break` or all iterations are
    /// done.
    pub fn run<T, In, L, E, X, Y>(
        &self,
        net: &mut Network<T, In, L, E>,
        optimizer: &mut impl Optimizer<T, L>,
        data: &Dataset<X, Y>,
        mut observer: impl FnMut(Progress<Network<T, In, L, E>, T>) -> ControlFlow<()>,
    ) where
        T: Scalar,
        In: Shape,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y::Batch>,
        X: Gather<T, B, Batch = In::Batch<T, B>>,
        Y: Gather<T, B>,
    {
        let mut work = Network::<T, In, L, E>::workspace(self.batch);
        work.seed = self.seed;
        // Not the generator of the first layer that draws, nor of weights from the same seed.
        let mut rng = Xoshiro128PlusPlus::seed_from_u64(self.seed ^ DRAW);
        let mut picks = self.batch.samples(0);
        let mut x = data.inputs().batch(self.batch);
        let mut t = data.targets().batch(self.batch);
        let epoch = (data.len() / self.batch.value().max(1)).max(1);
        for iteration in 0..self.iterations {
            picks.as_mut().fill_with(|| below(data.len(), &mut rng));
            if data.gather::<T, B>(picks.as_ref(), &mut x, &mut t).is_err() {
                break; // Not reached: every index is below the number of samples.
            }

            let loss = optimizer.train_step(net, &x, &t, &mut work);

            let epoch = (iteration % epoch == 0).then_some(iteration / epoch);
            if observer(Progress { net, iteration, loss, epoch }).is_break() {
                break;
            }
        }
    }
}

impl<T: Scalar, In: Shape, L, E> Network<T, In, L, E> {
    /// The [`accuracy`](Self::accuracy) on a whole data set, batch after batch; NaN for batches
    /// of none.
    pub fn accuracy_on<B: BatchSize, X, Y, const N: usize>(
        &self,
        data: &Dataset<X, Y>,
        batch: B,
    ) -> T
    where
        L: Layer<T, In, Out = D1<N>>,
        X: Gather<T, B, Batch = In::Batch<T, B>>,
        Y: Gather<T, B>,
        Y::Batch: Classes<T, N, B>,
    {
        if batch.value() == 0 {
            return nan();
        }
        let mut picks = batch.samples(0);
        let (mut x, mut t) = (data.inputs().batch(batch), data.targets().batch(batch));
        let mut right = 0;
        for first in (0..data.len()).step_by(batch.value()) {
            let there = batch.value().min(data.len() - first);
            // The last batch is filled up with its last sample, which is then not counted.
            for (i, pick) in picks.as_mut().iter_mut().enumerate() {
                *pick = first + i.min(there - 1);
            }
            if data.gather::<T, B>(picks.as_ref(), &mut x, &mut t).is_err() {
                return nan(); // Not reached: every index is below the number of samples.
            }
            right += self.right(&x, &t).take(there).filter(|&right| right).count();
        }
        ratio(right, data.len())
    }
}

/// Sets the draw of mini-batches apart from what else a seed is used for.
const DRAW: u64 = 0x6d69_6e69_6261_7463;

/// A number below `n` < 2³²: the same on 32 and 64 bits, and without a division.
fn below(n: usize, rng: &mut impl Rng) -> usize {
    ((u64::from(rng.next_u32()) * n as u64) >> 32) as usize
}
