//! Training on several threads, which compute parts of a batch.

use crate::{
    data::{Dataset, Gather, Inputs},
    grad::Grad,
    kernel,
    layer::Layer,
    loss::Loss,
    network::Network,
    optim::Optimizer,
    params::{LeafMut, Parameters},
    pass::Pass,
    path::Path,
    shape::{BatchSize, Number, Shape, number},
    step::{StepError, Whole, Workspace},
    train::{Observation, TrainingCause, TrainingError, most},
    trainer::{Draw, Drawn, Trained, Trainer},
};
use alloc::vec::Vec;
use std::{sync::Mutex, thread};

/// Into how many parts a batch is cut, and which threads compute the parts.
///
/// The trainer adds the gradients in the order of the parts and weights each by its share of the samples. So the
/// result does not depend on the threads. Layers draw different random numbers in each part. Layers with statistics of
/// the batch normalise within a part.
///
/// With one thread this is gradient accumulation over `count` small batches.
#[doc(alias("DataParallel", "gradient accumulation"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The number of parts. A batch has `count` times the samples of [`Trainer::batch`].
    pub count: usize,
    /// Who computes them.
    pub threads: Threads,
}

/// Who computes the parts of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Threads {
    /// This number of threads. Each update starts them anew. The calling thread is one of them.
    Scoped(usize),
    /// The threads of rayon's pool.
    #[cfg(feature = "rayon")]
    Rayon,
}

impl<B, T> Trainer<B, T> {
    /// As [`fit`](Self::fit), but several threads compute the parts of a batch. The result has the same bits for
    /// any number of threads. Each part has its own gradient: see [`Network::memory_in_parts`].
    ///
    /// ```
    /// use chainrule::{Parts, Sgd, Threads, Trainer, TwoLayerNet, data::Dataset};
    /// use nalgebra::Dyn;
    /// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
    ///
    /// let inputs = vec![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    /// let data = Dataset::labelled(inputs, vec![0, 1, 1, 0], 2)?;
    /// let train = |threads| {
    ///     let mut net = TwoLayerNet::<f32, 2, 16, 2>::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    ///     let mut trainer = Trainer::new(Dyn(2), 500, 0);
    ///     let parts = Parts { count: 2, threads: Threads::Scoped(threads) };
    ///     trainer.fit_in_parts(parts, &mut net, &mut Sgd::new(0.5), &data, None, |_| ())?;
    ///     Ok::<_, chainrule::TrainingError>(net.loss_on(&data, Dyn(4)))
    /// };
    /// assert_eq!(train(1)?, train(2)?);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit). A step that fails changes nothing.
    pub fn fit_in_parts<In, L, E, X, Y, O, V: Observation>(
        &mut self,
        parts: Parts,
        net: &mut Network<T, In, L, E>,
        optimizer: &mut O,
        data: &Dataset<X, Y>,
        validation: Option<&Dataset<X, Y>>,
        observer: impl FnMut(Trained<Network<T, In, L, E>, O, T>) -> V,
    ) -> Result<(), TrainingError>
    where
        B: BatchSize + Send + Sync,
        T: Number,
        In: Shape,
        L: Layer<T, In> + Sync,
        E: Loss<T, L::Out, B, Y::Batch> + Sync,
        X: Inputs<T, B, In> + Sync,
        Y: Gather<T, B> + Sync,
        O: Optimizer<T, L>,
        B::Samples<usize>: Send,
        In::Batch<T, B>: Send,
        Y::Batch: Send,
        Workspace<T, In, L, B>: Send,
    {
        let batch = most(self.batch, data.len());
        let part = |number| Part {
            number,
            work: Network::<T, In, L, E>::workspace(batch),
            samples: Drawn::new(data, batch),
            loss: None,
        };
        let mut all: Vec<_> = (0..parts.count).map(part).collect();
        self.run(parts.count, net, optimizer, data, validation, observer, |net, optimizer, draw| {
            let used = draw.count.div_ceil(batch.value().max(1));
            let Some((first, rest)) = all.get_mut(..used).and_then(|used| {
                parts.threads.each(used, |part| part.pass(net, data, draw, batch.value()));
                used.split_first_mut()
            }) else {
                return Err(TrainingCause::Step(StepError::EmptyBatch));
            };
            let mut loss = first.loss()?;
            let total = &mut first.work.grad;
            for part in rest {
                loss += part.loss()?;
                let gradient = Some(&part.work.grad);
                total.visit_mut(gradient, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
                    kernel::add_scaled(T::one(), leaf.gradient, leaf.values);
                });
            }
            if !loss.is_finite() {
                return Err(TrainingCause::Step(StepError::Loss));
            }
            optimizer.step(&mut net.layers, total).map_err(TrainingCause::Step)?;
            Ok(loss)
        })
    }
}

/// A part of a batch, with all memory that its pass needs.
struct Part<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, Y> {
    number: usize,
    work: Workspace<T, In, L, B, Whole>,
    samples: Drawn<B, In::Batch<T, B>, Y>,
    loss: Option<Result<T, TrainingCause>>,
}

impl<T: Number, In: Shape, L: Layer<T, In>, B: BatchSize, Z> Part<T, In, L, B, Z> {
    /// Computes loss and gradient, times its share of the batch.
    fn pass<E, X, Y>(
        &mut self,
        net: &Network<T, In, L, E>,
        data: &Dataset<X, Y>,
        draw: &Draw,
        size: usize,
    ) where
        E: Loss<T, L::Out, B, Z>,
        X: Inputs<T, B, In>,
        Y: Gather<T, B, Batch = Z>,
    {
        let first = self.number * size;
        let count = size.min(draw.count - first);
        let drawn = self.samples.draw(data, draw, first, count);
        self.loss = Some(drawn.map_err(TrainingCause::Data).map(|()| {
            let (Drawn { x, t, .. }, Workspace { activations, grad, .. }) =
                (&self.samples, &mut self.work);
            activations.resize(In::size::<T, B>(x));
            let pass = Pass::train(draw.seed, draw.update, self.number as u64);
            let loss = net.pass(x, t, activations, pass, None, Grad::set(&net.layers, grad));
            // The last share is the rest to 1, so that a count of batches remains a whole number.
            let full = number::<T>(size) / number(draw.count);
            let before = (0..self.number).fold(T::zero(), |sum, _| sum + full);
            let share = if first + count < draw.count { full } else { T::one() - before };
            grad.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
                leaf.values.iter_mut().for_each(|value| *value *= share);
            });
            loss * share
        }));
    }

    fn loss(&mut self) -> Result<T, TrainingCause> {
        self.loss.take().unwrap_or(Err(TrainingCause::Step(StepError::EmptyBatch)))
    }
}

impl Threads {
    /// Calls `work` with each part.
    fn each<P: Send>(self, parts: &mut [P], work: impl Fn(&mut P) + Send + Sync) {
        #[cfg(feature = "rayon")]
        if let Threads::Rayon = self {
            use rayon::prelude::*;
            return parts.par_iter_mut().for_each(work);
        }
        let threads = match self {
            Threads::Scoped(threads) => threads.min(parts.len()),
            #[cfg(feature = "rayon")]
            Threads::Rayon => 1,
        };
        let queue = Mutex::new(parts.iter_mut());
        let next = || queue.lock().ok().and_then(|mut queue| queue.next());
        let run = || {
            while let Some(part) = next() {
                work(part);
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // If the system refuses a thread, the others do its work.
                let _ = thread::Builder::new().spawn_scoped(scope, run);
            }
            run();
        });
    }
}
