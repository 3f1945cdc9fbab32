//! The trainer: each sample once in an epoch, short batches, early stopping, continued trainings, parts on threads, and
//! errors.

use chainrule::{
    Adam, Affine, BatchNorm, BatchSize, D1, Epoch, Labels, Network, Number, Optimizer, Parameters,
    Parts, Path, Relu, Sgd, SoftmaxCrossEntropy, StepError, SumSquaredError, Threads, Trainer,
    TrainingCause, TrainingError, TwoLayerNet,
    data::{DataError, Dataset, Gather, Samples},
};
use nalgebra::{Const, Dyn, SMatrix, SVector};
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{cell::RefCell, ops::ControlFlow};

type Net = TwoLayerNet<f64, 2, 8, 2>;
type Layers = (Affine<f64, 2, 8>, Relu, Affine<f64, 8, 2>);
type Points = Dataset<Vec<[f64; 2]>, Vec<usize>>;

fn net(seed: u64) -> Net {
    Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(seed))
}

/// Points within and outside a circle.
fn points(samples: usize, seed: u64) -> Points {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
    let point = |_| [(); 2].map(|()| rng.random_range(-1.0..1.0));
    let points: Vec<[f64; 2]> = (0..samples).map(point).collect();
    let labels = points.iter().map(|[x, y]| usize::from(x * x + y * y < 0.5)).collect();
    Dataset::labelled(points, labels, 2).unwrap()
}

/// All numbers of a tree, as bits.
fn bits(tree: &impl Parameters<f64>) -> Vec<u64> {
    let mut bits = Vec::new();
    tree.visit(&Path::ROOT, &mut |leaf| bits.extend(leaf.values.iter().map(|x| x.to_bits())));
    bits
}

/// Labels that record which of them were gathered.
struct Noting(Vec<usize>, RefCell<Vec<Vec<usize>>>);

impl Samples for Noting {
    fn count(&self) -> usize {
        self.0.len()
    }
}

impl<T: Number, B: BatchSize> Gather<T, B> for Noting {
    type Batch = Labels<B>;

    fn batch(&self, size: B) -> Labels<B> {
        size.samples(0)
    }

    fn gather(&self, indices: &[usize], batch: &mut Labels<B>) -> Result<(), DataError> {
        self.1.borrow_mut().push(indices.to_vec());
        Gather::<T, B>::gather(&self.0, indices, batch)
    }
}

/// The batches of a training on 10 samples.
fn batches<B: BatchSize>(batch: B, epochs: u64) -> Vec<Vec<usize>>
where
    [[f64; 2]; 10]: Gather<f64, B, Batch = <D1<2> as chainrule::Shape>::Batch<f64, B>>,
    SoftmaxCrossEntropy: chainrule::Loss<f64, D1<2>, B, Labels<B>>,
{
    let labels = Noting(vec![0; 10], RefCell::default());
    let data = Dataset::new([[0.1, 0.2]; 10], labels).unwrap();
    let mut trainer = Trainer::new(batch, epochs, 7);
    trainer.fit(&mut net(0), &mut Sgd::new(0.1), &data, None, |_| ()).unwrap();
    data.targets().1.take()
}

#[test]
fn each_sample_once_in_an_epoch() {
    let once = |samples: &[Vec<usize>], times: usize| {
        let mut all = samples.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq((0..10).flat_map(|i| std::iter::repeat_n(i, times))));
    };
    let all = batches(Dyn(4), 3);
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2, 4, 4, 2]);
    all.chunks(3).for_each(|epoch| once(epoch, 1));
    assert_ne!(all[..3].concat(), all[3..6].concat());
    // A batch of constant size takes samples from the next epoch: five batches are two epochs.
    let all = batches(Const::<4>, 2);
    assert_eq!(all.len(), 5);
    once(&all, 2);
    let mut first = all.concat();
    first.truncate(10);
    once(&[first], 1);
    // A batch that is larger than the data set.
    once(&batches(Dyn(64), 2), 2);
    once(&batches(Const::<20>, 2), 2);
}

/// If the weights do not change, the loss of an epoch is the loss of the data set, for any batch size. Each loss is the
/// mean of at most 10 terms, summed over at most 10 batches: 20 roundings.
#[test]
fn short_batches_count_by_their_size() {
    let data = points(10, 1);
    let mut last = Vec::new();
    for batch in [1, 3, 4, 7, 10, 11] {
        let mut net = net(1);
        let mut losses = Vec::new();
        let mut trainer = Trainer::new(Dyn(batch), 2, 0);
        // This rate is too small to change a weight.
        let mut sgd = Sgd::new(1e-300);
        trainer.fit(&mut net, &mut sgd, &data, Some(&data), |at| losses.extend(at.epoch)).unwrap();
        let exact = net.loss_on(&data, Dyn(10));
        assert_eq!(losses.len(), 2);
        for Epoch { loss, validation, .. } in losses {
            assert!((loss - exact).abs() <= 20.0 * f64::EPSILON * exact, "{loss} {exact}");
            assert!((validation.unwrap() - exact).abs() <= 20.0 * f64::EPSILON * exact);
        }
        last.push(trainer.state.updates);
    }
    assert_eq!(last, [20, 8, 6, 4, 2, 2]);
}

/// A training that stops after any update, also in the middle of an epoch, and continues with the saved state, net and
/// optimizer, gives the same bits.
#[test]
fn a_training_continues_to_the_bit() {
    let (data, valid) = (points(20, 2), points(9, 3));
    let fresh = || {
        let mut trainer = Trainer::new(Dyn(8), 6, 5);
        trainer.patience = Some(3);
        trainer
    };
    let (mut whole, mut adam, mut trainer) = (net(2), Adam::new(0.05), fresh());
    trainer.fit(&mut whole, &mut adam, &data, Some(&valid), |_| ()).unwrap();
    // The patience ends it after 15 of 18 updates.
    assert_eq!(trainer.state.updates, 15);
    for stop in 1..15 {
        let (mut part, mut first, mut begun) = (net(2), Adam::new(0.05), fresh());
        let mut saved = None;
        begun
            .fit(&mut part, &mut first, &data, Some(&valid), |at| {
                if at.state.updates < stop {
                    return ControlFlow::Continue(());
                }
                let mut state = Vec::new();
                Optimizer::<f64, Layers>::visit_state(at.optimizer, &mut |_, leaf| {
                    state.push(leaf.values.to_vec());
                });
                saved = Some((at.net.clone(), at.optimizer.steps(), state, at.state.clone()));
                ControlFlow::Break(())
            })
            .unwrap();
        let (mut net, steps, state, at) = saved.unwrap();
        let mut optimizer = Adam::new(0.05);
        let mut leaves = state.into_iter();
        Optimizer::<f64, Layers>::restore(&mut optimizer, steps, &mut |_, leaf| {
            leaf.values.copy_from_slice(&leaves.next().unwrap());
        });
        let mut resumed = Trainer { state: at, ..fresh() };
        resumed.fit(&mut net, &mut optimizer, &data, Some(&valid), |_| ()).unwrap();
        assert_eq!(bits(&net.layers), bits(&whole.layers), "{stop}");
        assert_eq!(resumed.state, trainer.state);
    }
}

#[test]
fn the_best_weights_are_kept() {
    // The net overfits so few samples, and the validation loss rises again.
    let (data, valid) = (points(12, 4), points(40, 5));
    let (mut net, mut trainer, mut epochs) = (net(4), Trainer::new(Dyn(4), 500, 0), Vec::new());
    trainer.patience = Some(15);
    trainer
        .fit(&mut net, &mut Adam::new(0.05), &data, Some(&valid), |at| epochs.extend(at.epoch))
        .unwrap();
    let best = trainer.state.best.unwrap();
    assert_eq!(epochs.len() as u64, best.number + 15);
    let lowest = epochs.iter().filter_map(|epoch| epoch.validation).fold(f64::INFINITY, f64::min);
    assert_eq!(best.validation, Some(lowest));
    assert_eq!(net.loss_on(&valid, Dyn(4)), lowest);
    assert!(epochs.last().unwrap().validation.unwrap() > lowest);
    let line =
        format!("epoch {}: loss {:.6}, validation {:.6} (lowest)", best.number, best.loss, lowest);
    assert_eq!(best.to_string(), line);
    // A second call after the end changes nothing.
    let before = bits(&net.layers);
    trainer.fit(&mut net, &mut Adam::new(0.05), &data, Some(&valid), |_| ()).unwrap();
    assert_eq!(before, bits(&net.layers));
}

/// The bits do not depend on the number of threads, and equal those of a loop over the parts by hand.
#[test]
fn threads_give_the_same_bits() {
    let data = points(50, 6);
    let train = |count, threads| {
        let (mut net, mut trainer) = (net(6), Trainer::new(Dyn(5), 4, 1));
        let mut losses = Vec::new();
        let parts = Parts { count, threads };
        trainer
            .fit_in_parts(parts, &mut net, &mut Adam::new(0.01), &data, None, |at| {
                losses.push(at.loss)
            })
            .unwrap();
        (bits(&net.layers), losses)
    };
    let one = train(3, Threads::Scoped(1));
    // Updates of 15, 15, 15 and 5 samples.
    assert_eq!(one.1.len(), 16);
    for threads in [0, 2, 3, 8] {
        assert_eq!(train(3, Threads::Scoped(threads)), one);
    }
    assert_eq!(train(3, Threads::Rayon), one);
    // One part gives the same as `fit`.
    let (mut net, mut trainer) = (net(6), Trainer::new(Dyn(5), 4, 1));
    trainer.fit(&mut net, &mut Adam::new(0.01), &data, None, |_| ()).unwrap();
    assert_eq!(train(1, Threads::Scoped(2)).0, bits(&net.layers));
}

/// Parts of 5 and a batch of 15 have the same gradient up to rounding: sums of 15 terms, 16 roundings for each number
/// of the gradient. SGD is linear in the gradient, and this short training does not amplify the errors.
#[test]
fn parts_add_up_to_the_batch() {
    let data = points(45, 7);
    let mut whole = net(7);
    Trainer::new(Dyn(15), 1, 1).fit(&mut whole, &mut Sgd::new(0.1), &data, None, |_| ()).unwrap();
    let mut parts = net(7);
    let three = Parts { count: 3, threads: Threads::Scoped(2) };
    let mut trainer = Trainer::new(Dyn(5), 1, 1);
    trainer.fit_in_parts(three, &mut parts, &mut Sgd::new(0.1), &data, None, |_| ()).unwrap();
    let mut found = parts.layers.0.weight - whole.layers.0.weight;
    found.apply(|x| *x = x.abs());
    assert!(found.max() < 1e-14, "{found}");
}

/// An error says why the training failed and after which update. The net does not change.
#[test]
fn what_is_refused() {
    let good = points(20, 8);
    let refuse =
        |data: &Points, valid: Option<&Points>, batch, patience, iteration, cause, said: &str| {
            let (mut net, before) = (net(8), bits(&net(8).layers));
            let mut trainer = Trainer::new(Dyn(batch), 3, 0);
            trainer.patience = patience;
            let error = trainer.fit(&mut net, &mut Sgd::new(0.1), data, valid, |_| ()).unwrap_err();
            assert_eq!(error, TrainingError { iteration, cause });
            assert_eq!(error.to_string(), said);
            if iteration == 0 {
                assert_eq!(bits(&net.layers), before);
            }
            let two = Parts { count: 2, threads: Threads::Scoped(2) };
            let mut trainer = Trainer::new(Dyn(batch), 3, 0);
            trainer.patience = patience;
            let mut net = self::net(8);
            let again =
                trainer.fit_in_parts(two, &mut net, &mut Sgd::new(0.1), data, valid, |_| ());
            assert_eq!(again.unwrap_err().cause, cause);
            if iteration == 0 {
                assert_eq!(bits(&net.layers), before);
            }
        };
    let none = "iteration 0: expected a validation set, because `patience` is set, found none";
    refuse(&good, None, 4, Some(3), 0, TrainingCause::NoValidation, none);
    let empty = TrainingCause::Step(StepError::EmptyBatch);
    refuse(
        &good,
        None,
        0,
        None,
        0,
        empty,
        "iteration 0: the batch has no samples; nothing was changed",
    );

    let loss = TrainingCause::Step(StepError::Loss);
    let said = "iteration 0: the loss is not finite; nothing was changed";
    let nan = Dataset::labelled(vec![[0.0, f64::NAN]; 4], vec![0; 4], 2).unwrap();
    refuse(&nan, None, 4, None, 0, loss, said);
    let beyond = Dataset::new(vec![[0.0, 1.0]; 4], vec![0, 1, 2, 1]).unwrap();
    refuse(&beyond, None, 4, None, 0, loss, said);
    let said = "iteration 4: the loss of the validation set is not finite";
    let (data, one) = (points(16, 0), Some(&nan));
    let mut trainer = Trainer::new(Dyn(4), 3, 0);
    let error = trainer.fit(&mut net(8), &mut Sgd::new(0.1), &data, one, |_| ()).unwrap_err();
    assert_eq!((error.cause, &error.to_string()[..]), (TrainingCause::Validation, said));
    assert_eq!(trainer.state.best, None);

    // It diverges: an error, not NaN.
    let line: Vec<f64> = (0..8).map(f64::from).collect();
    let data = Dataset::new(line.clone(), line).unwrap();
    let layer = Affine::new(SMatrix::<f64, 1, 1>::new(0.5), SVector::zeros());
    let mut net = Network::<f64, D1<1>, _, _>::new(layer, SumSquaredError);
    let error =
        Trainer::new(Dyn(8), 100_000, 0).fit(&mut net, &mut Sgd::new(10.0), &data, None, |_| ());
    assert!(matches!(error.unwrap_err().cause, TrainingCause::Step(_)));
}

fn with_patience(epochs: u64) -> Trainer<Dyn, f64> {
    Trainer { patience: Some(3), ..Trainer::new(Dyn(10), epochs, 0) }
}

/// A state that continues on more data is at an earlier epoch of them.
#[test]
fn more_data_than_before() {
    let (few, many, mut net) = (points(100, 0), points(200, 1), net(0));
    let mut trainer = with_patience(10);
    let mut adam = Adam::new(0.05);
    trainer.fit(&mut net, &mut adam, &few, Some(&few), |_| ()).unwrap();
    trainer.epochs = 20;
    let mut updates = 0;
    trainer.fit(&mut net, &mut adam, &many, Some(&few), |_| updates += 1).unwrap();
    assert!(updates > 0);
}

/// The best epoch of a call without patience, or of another net, has no parameters to go back to.
#[test]
fn best_epochs_without_parameters_do_not_count() {
    let (train, valid) = (points(40, 0), points(40, 1));
    let mut trainer = with_patience(4);
    trainer.patience = None;
    let mut first = net(0);
    let mut sgd = Sgd::new(0.5);
    trainer.fit(&mut first, &mut sgd, &train, Some(&valid), |_| ()).unwrap();
    assert!(trainer.state.best.is_some() && trainer.state.best_parameters.is_empty());
    (trainer.patience, trainer.epochs) = (Some(100), 8);
    let mut losses = Vec::new();
    trainer
        .fit(&mut first, &mut sgd, &train, Some(&valid), |now| {
            losses.extend(now.epoch.and_then(|epoch| epoch.validation));
        })
        .unwrap();
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(first.loss_on(&valid, Dyn(10)), lowest);

    type Small = Network<f64, D1<2>, Affine<f64, 2, 2>, SoftmaxCrossEntropy>;
    let mut other = Small::init(&mut Xoshiro128PlusPlus::seed_from_u64(1));
    let before = bits(&other.layers);
    trainer.fit(&mut other, &mut Sgd::new(0.5), &train, Some(&valid), |_| ()).unwrap();
    assert_eq!(bits(&other.layers), before, "all epochs are done");
}

/// The shares of the parts add up to 1, so that a number of batches stays a whole number.
#[test]
fn parts_count_whole_batches() {
    type Normed = Network<f64, D1<2>, (BatchNorm<f64, 2>, Affine<f64, 2, 2>), SoftmaxCrossEntropy>;
    for (samples, count) in [(12, 6), (18, 9), (20, 7), (14, 7)] {
        let mut net = Normed::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
        let mut trainer = Trainer::new(Dyn(2), 5, 0);
        let parts = Parts { count, threads: Threads::Scoped(2) };
        let (data, mut updates) = (points(samples, 0), 0.0);
        trainer
            .fit_in_parts(parts, &mut net, &mut Sgd::new(0.1), &data, None, |_| updates += 1.0)
            .unwrap();
        assert_eq!(net.layers.0.num_batches_tracked.0[0], updates, "{samples} in {count}");
    }
}
