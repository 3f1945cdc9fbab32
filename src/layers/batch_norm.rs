//! Batch normalisation.

use super::{activation::setting, layer_norm::inverse};
use crate::shape::{Buffer, Inline, nan, number};
use crate::{
    Backward, BatchSize, Channels, Destination, Forward, Grad, Layer, Number, Pass, Purpose,
    Statistic, init::Gain, part,
};
use nalgebra::SVector;
use rand::Rng;

/// y = w·x̂ + b with x̂ = (x - μ) / √(σ² + ε) for each feature of a vector, or for each channel of an image. In training μ
/// and σ² are the mean and the variance of the feature or channel over the batch. In a prediction they are the running
/// statistics. (Chapter 6.3; Ioffe and Szegedy, 2015; PyTorch's `BatchNorm1d` and `BatchNorm2d`.)
///
/// In training, with g = w ⊙ dy: dx = (g - mean(g) - x̂ ⊙ mean(g ⊙ x̂)) / √(σ² + ε), where the means are over the batch and,
/// for images, over the pixels. In a prediction dx = g / √(σ² + ε). dw = Σ dy ⊙ x̂, db = Σ dy.
///
/// # Shapes
/// From `D1<N>` to `D1<N>`, or from `Image<N, H, W>` to the same shape; each parameter has N entries.
///
/// # Statistics
/// As in PyTorch: B numbers of a feature or channel are normalised by Σ (x - μ)² / B, and the running variance takes the
/// unbiased Σ (x - μ)² / (B - 1). Each training step moves the running statistics by `momentum` of the difference. (The book and
/// Keras call 1 - 0.1 = 0.9 the momentum.) They are leaves of role [`Statistic`]: the crate adds the step that the
/// layer delivers, and no rule of an optimizer sees them. `num_batches_tracked` counts the batches. The crate does not use
/// it; PyTorch uses it if `momentum` is `None`. In f32 it stays at 2²⁴.
///
/// The steps of micro-batches ([`accumulate`](crate::Network::accumulate)) add up, so `momentum` times their number should
/// stay below 1.
///
/// If a batch is trained in parts, each part is normalised by its own mean and variance.
///
/// # Numbers
/// A batch of one vector has no variance: in training its output is NaN. (PyTorch reports an error.) A feature that
/// is the same in all samples gives b. A NaN or ±∞ makes its feature NaN in the whole batch, and so do numbers whose
/// squares overflow; ±1000 do not.
///
/// ```
/// use chainrule::{Affine, BatchNorm, D1, Network, Optimizer, Relu, Sgd, SumSquaredError};
/// use nalgebra::{Const, Matrix1x2};
/// # use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Net = Network<f64, D1<1>, BatchNorm<f64, 1>, SumSquaredError>;
/// # let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
/// let mut net = Net::init(&mut rng);
/// let mut work = Net::workspace(Const::<2>);
/// Sgd::new(0.1).train_step(&mut net, &Matrix1x2::new(10.0, 30.0), &Matrix1x2::zeros(), &mut work)?;
/// assert_eq!(net.layers.running_mean.0[0], 0.1 * 20.0);
/// assert_eq!(net.layers.running_var.0[0], 1.0 + 0.1 * (200.0 - 1.0));
/// # Ok::<_, chainrule::StepError>(())
/// ```
#[doc(alias("BatchNorm1d", "BatchNorm2d", "BatchNormalization"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm<T, const N: usize> {
    /// w.
    pub weight: SVector<T, N>,
    /// b.
    pub bias: SVector<T, N>,
    /// The mean for predictions.
    pub running_mean: Statistic<T, N>,
    /// The variance for predictions.
    pub running_var: Statistic<T, N>,
    /// The number of batches that moved the two.
    pub num_batches_tracked: Statistic<T, 1>,
    /// ε. `None` means 10⁻⁵.
    pub eps: Option<f64>,
    /// The weight of a new batch in the running statistics. `None` means 0.1.
    pub momentum: Option<f64>,
}

parameters!(BatchNorm<T: scalar, const N: usize> {
    weight, bias, running_mean, running_var,
    num_batches_tracked: [0; 0], // a tensor without sizes
    keep eps, keep momentum
});

impl<T: Number, const N: usize> Default for BatchNorm<T, N> {
    fn default() -> Self {
        let (zeros, ones) = (SVector::zeros(), SVector::repeat(T::one()));
        BatchNorm {
            weight: ones,
            bias: zeros,
            running_mean: Statistic(zeros),
            running_var: Statistic(ones),
            num_batches_tracked: Statistic(SVector::zeros()),
            eps: None,
            momentum: None,
        }
    }
}

/// The mean and the variance by which the last pass normalised, and whether they are those of the batch.
type Moments<T, const N: usize> = (Inline<SVector<T, N>>, Inline<SVector<T, N>>, bool);

impl<T: Number, const N: usize, S: Channels<N>> Layer<T, S> for BatchNorm<T, N> {
    type Out = S;
    type Cache<B: BatchSize, P: Purpose> = P::InTraining<B, Moments<T, N>>;
    type Scratch = ();
    const GAIN: Option<Gain> = None;

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "all are arrays of N")]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        let mut lent = Buffer::<B>::new(S::size::<T, B>(at.x));
        let (x, y) = (S::flat::<T, B>(at.x), S::flat_mut::<T, B>(at.y));
        if x.len() != y.len() {
            return y.fill(nan());
        }
        let moments = P::kept::<B, Moments<T, N>>(at.cache).unwrap_or(&mut lent);
        let (Inline(mean), Inline(variance), of_batch) = moments;
        *of_batch = matches!(at.pass, Pass::Train { .. });
        if *of_batch {
            // One number has no variance.
            let count = if x.len() > N { count::<T, N>(x) } else { nan() };
            let [sum] = sums::<T, S, N, 1>([x, x], &SVector::zeros(), |x, _| [x]);
            *mean = sum / count;
            let [squares] = sums::<T, S, N, 1>([x, x], mean, |error, _| [error * error]);
            *variance = squares / count;
        } else {
            (*mean, *variance) = (self.running_mean.0, self.running_var.0);
        }
        let scale = self.scale(variance);
        let [mean, scale, w, b] = [mean, &scale, &self.weight, &self.bias].map(array);
        each_channel::<T, S, N>([x, x], y, |i, x, _| (x - mean[i]) * scale[i] * w[i] + b[i]);
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "all are arrays of N")]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        let (Inline(mean), Inline(variance), of_batch) = &*at.cache;
        let (x, dy) = (S::flat::<T, B>(at.x), S::flat::<T, B>(at.dy));
        let (scale, count) = (this.scale(variance), count::<T, N>(x));
        let [db, dw] = sums::<T, S, N, 2>([x, dy], mean, |error, dy| [dy, dy * error]);
        let dw = dw.component_mul(&scale);
        if let Some(dx) = at.dx {
            let dx = S::flat_mut::<T, B>(dx);
            dx.fill(nan());
            let part = if *of_batch { count.recip() } else { T::zero() };
            let [mean, scale, w] = [mean, &scale, &this.weight].map(array);
            let [db, dw] = [&db, &dw].map(array);
            each_channel::<T, S, N>([x, dy], dx, |i, x, dy| {
                (dy - (db[i] + (x - mean[i]) * scale[i] * dw[i]) * part) * scale[i] * w[i]
            });
        }
        let momentum = if *of_batch { setting(this.momentum, 0.1) } else { T::zero() };
        let unbiased = if *of_batch { count / (count - T::one()) } else { T::one() };
        let batches = if *of_batch { T::one() } else { T::zero() };
        let mean_step = (mean - this.running_mean.0) * momentum;
        let var_step = (variance * unbiased - this.running_var.0) * momentum;
        part!(this.weight).add(|gradient| *gradient += dw);
        part!(this.bias).add(|gradient| *gradient += db);
        part!(this.running_mean).add(|step| step.0 += mean_step);
        part!(this.running_var).add(|step| step.0 += var_step);
        part!(this.num_batches_tracked).add(|step| step.0.add_scalar_mut(batches));
    }

    fn init<R: Rng + ?Sized>(&mut self, _: Gain, _: &mut R) {
        self.weight.fill(T::one());
        self.running_var.0.fill(T::one());
    }
}

impl<T: Number, const N: usize> BatchNorm<T, N> {
    #[inline(always)]
    fn scale(&self, variance: &SVector<T, N>) -> SVector<T, N> {
        let eps = setting(self.eps, 1e-5);
        variance.map(|variance| inverse(variance, eps))
    }
}

/// The number of values of each channel in a batch.
#[inline(always)]
fn count<T: Number, const N: usize>(x: &[T]) -> T {
    number(x.len().checked_div(N).unwrap_or(0))
}

/// The numbers of a vector.
#[inline(always)]
fn array<T, const N: usize>(vector: &SVector<T, N>) -> &[T; N] {
    let [numbers] = &vector.data.0;
    numbers
}

/// to = f(channel, x, dy). In a vector the channels are contiguous, so that SIMD takes several at a time.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "all are arrays of N")]
fn each_channel<T: Number, S: Channels<N>, const N: usize>(
    [x, dy]: [&[T]; 2],
    to: &mut [T],
    f: impl Fn(usize, T, T) -> T,
) {
    let (len, places) = (S::LEN.max(1), S::PLACES.max(1));
    for (to, (x, dy)) in to.chunks_exact_mut(len).zip(x.chunks_exact(len).zip(dy.chunks_exact(len)))
    {
        if let (Ok(to), Ok(x), Ok(dy)) = (to.try_into(), x.try_into(), dy.try_into()) {
            let (to, x, dy): (&mut [T; N], &[T; N], &[T; N]) = (to, x, dy);
            for i in 0..N {
                to[i] = f(i, x[i], dy[i]);
            }
            continue;
        }
        let planes = x.chunks_exact(places).zip(dy.chunks_exact(places));
        for (i, (to, (x, dy))) in (0..N).zip(to.chunks_exact_mut(places).zip(planes)) {
            for (to, (&x, &dy)) in to.iter_mut().zip(x.iter().zip(dy)) {
                *to = f(i, x, dy);
            }
        }
    }
}

/// For each channel the sums over a batch of what `f` gives for x - mean and dy. The sums of each 64 samples are added up,
/// so that an error does not grow with the batch.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "all are arrays of N or K")]
fn sums<T: Number, S: Channels<N>, const N: usize, const K: usize>(
    [x, dy]: [&[T]; 2],
    mean: &SVector<T, N>,
    f: impl Fn(T, T) -> [T; K],
) -> [SVector<T, N>; K] {
    let (len, places) = (S::LEN.max(1), S::PLACES.max(1));
    let mut totals = [SVector::zeros(); K];
    for (x, dy) in x.chunks(64 * len).zip(dy.chunks(64 * len)) {
        let mut of_group = [SVector::<T, N>::zeros(); K];
        for (x, dy) in x.chunks_exact(len).zip(dy.chunks_exact(len)) {
            if let (Ok(x), Ok(dy)) = (x.try_into(), dy.try_into()) {
                let (x, dy, mean): (&[T; N], &[T; N], _) = (x, dy, array(mean));
                for i in 0..N {
                    let terms = f(x[i] - mean[i], dy[i]);
                    for k in 0..K {
                        of_group[k][i] += terms[k];
                    }
                }
                continue;
            }
            let planes = x.chunks_exact(places).zip(dy.chunks_exact(places)).zip(mean);
            for (channel, ((x, dy), &mean)) in planes.enumerate() {
                let mut sums = [T::zero(); K];
                for (&x, &dy) in x.iter().zip(dy) {
                    sums.iter_mut().zip(f(x - mean, dy)).for_each(|(sum, term)| *sum += term);
                }
                for (of_group, sum) in of_group.iter_mut().zip(sums) {
                    of_group.get_mut(channel).into_iter().for_each(|of_group| *of_group += sum);
                }
            }
        }
        totals.iter_mut().zip(of_group).for_each(|(total, sums)| *total += sums);
    }
    totals
}
