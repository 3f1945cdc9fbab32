//! Batch normalisation.

use super::{activation::setting, layer_norm::inverse};
use crate::{
    grad::{Destination, Grad},
    init::Gain,
    layer::{Backward, Forward, Layer},
    params::Statistic,
    part,
    pass::Pass,
    shape::{BatchSize, Buffer, Columns, D1, Number, Purpose, nan, number},
    zeros::ConstZeros,
};
use nalgebra::SVector;
use num_traits::ConstZero;
use rand::Rng;

/// y = w ⊙ x̂ + b with x̂ = (x - μ) / √(σ² + ε) for each feature. In training μ and σ² are mean and variance of the batch,
/// in a prediction they are running ones. (Chapter 6.3; Ioffe and Szegedy, 2015; PyTorch's `BatchNorm1d`.)
///
/// In training, with g = w ⊙ dy: dx = (g - mean(g) - x̂ ⊙ mean(g ⊙ x̂)) / √(σ² + ε), where the means are over the batch. In
/// a prediction dx = g / √(σ² + ε). dw = Σ dy ⊙ x̂, db = Σ dy.
///
/// # Shapes
/// From `D1<N>` to `D1<N>`; each parameter has N entries.
///
/// # Statistics
/// As in PyTorch: a batch of B samples is normalised by Σ (x - μ)² / B, and the running variance takes the unbiased
/// Σ (x - μ)² / (B - 1). Each training step moves the running statistics by `momentum` of the difference. (The book and
/// Keras call 1 - 0.1 = 0.9 the momentum.) They are leaves of role [`Statistic`], which the optimizer only steps. There is
/// no `num_batches_tracked`; PyTorch needs it only without a momentum.
///
/// If a batch is trained in parts, each part is normalised by its own mean and variance.
///
/// # Numbers
/// A batch of one sample has no variance: in training its output is NaN. (PyTorch reports an error.) A feature that
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
#[doc(alias("BatchNorm1d", "BatchNormalization"))]
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
    /// ε. `None` means 10⁻⁵.
    pub eps: Option<f64>,
    /// How much of a batch goes into the running statistics. `None` means 0.1.
    pub momentum: Option<f64>,
}

parameters!(BatchNorm<T: scalar, const N: usize> {
    weight, bias, running_mean, running_var, keep eps, keep momentum
});

impl<T: Number, const N: usize> Default for BatchNorm<T, N> {
    fn default() -> Self {
        let (zeros, ones) = (SVector::zeros(), SVector::repeat(T::one()));
        let (running_mean, running_var) = (Statistic(zeros), Statistic(ones));
        BatchNorm {
            weight: ones,
            bias: zeros,
            running_mean,
            running_var,
            eps: None,
            momentum: None,
        }
    }
}

/// What the last pass normalised by.
#[derive(Clone, Copy, Debug)]
pub struct Moments<T, const N: usize> {
    mean: SVector<T, N>,
    variance: SVector<T, N>,
    /// Whether they are those of the batch.
    of_batch: bool,
}

impl<T: Number, const N: usize, B: BatchSize> Buffer<B> for Moments<T, N> {
    fn new(_: B) -> Self {
        Moments { mean: SVector::zeros(), variance: SVector::zeros(), of_batch: false }
    }
}

impl<T: Number + ConstZero, const N: usize> ConstZeros for Moments<T, N> {
    const ZEROS: Self =
        Moments { mean: ConstZeros::ZEROS, variance: ConstZeros::ZEROS, of_batch: false };
}

impl<T: Number, const N: usize> Moments<T, N> {
    /// Those of a batch. The sums of each 64 samples are added up, so that an error does not grow with the batch.
    #[inline(always)]
    fn measure<B: BatchSize>(&mut self, x: &Columns<T, N, B>) {
        // One sample has no variance.
        let samples = if x.ncols() > 1 { number(x.ncols()) } else { nan::<T>() };
        let group = || x.as_slice().chunks(64 * N.max(1)).map(|group| group.chunks_exact(N.max(1)));
        self.mean.fill(T::zero());
        for group in group() {
            let mut sum = SVector::<T, N>::zeros();
            group.for_each(|x| sum.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x));
            self.mean += sum;
        }
        self.mean /= samples;
        self.variance.fill(T::zero());
        for group in group() {
            let mut sum = SVector::<T, N>::zeros();
            for x in group {
                let errors = x.iter().zip(&self.mean).map(|(&x, &mean)| x - mean);
                sum.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error * error);
            }
            self.variance += sum;
        }
        self.variance /= samples;
    }
}

impl<T: Number, const N: usize> Layer<T, D1<N>> for BatchNorm<T, N> {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = P::InTraining<B, Moments<T, N>>;
    type Scratch = ();
    const GAIN: Option<Gain> = None;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        if at.x.len() != at.y.len() {
            return at.y.fill(nan());
        }
        let mut lent = Moments::<T, N>::new(at.x.shape_generic().1);
        let moments = P::kept::<B, Moments<T, N>>(at.cache).unwrap_or(&mut lent);
        moments.of_batch = matches!(at.pass, Pass::Train { .. });
        if moments.of_batch {
            moments.measure::<B>(at.x);
        } else {
            (moments.mean, moments.variance) = (self.running_mean.0, self.running_var.0);
        }
        let (mean, factor) = (&moments.mean, self.factor(&moments.variance));
        let x = at.x.as_slice().chunks_exact(N.max(1));
        for (y, x) in at.y.as_mut_slice().chunks_exact_mut(N.max(1)).zip(x) {
            let features = mean.iter().zip(&factor).zip(self.weight.iter().zip(&self.bias));
            for ((y, &x), ((&mean, &factor), (&w, &b))) in y.iter_mut().zip(x).zip(features) {
                *y = (x - mean) * factor * w + b;
            }
        }
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let (moments, samples) = (&*at.cache, number::<T>(at.x.ncols()));
        let (mean, factor) = (&moments.mean, this.factor(&moments.variance));
        let pairs = || {
            let x = at.x.as_slice().chunks_exact(N.max(1));
            x.zip(at.dy.as_slice().chunks_exact(N.max(1)))
        };
        // Σ dy and Σ dy ⊙ x̂.
        let (mut db, mut dw) = (SVector::<T, N>::zeros(), SVector::<T, N>::zeros());
        for (x, dy) in pairs() {
            let sums = db.iter_mut().zip(dw.iter_mut()).zip(mean.iter().zip(&factor));
            for (((db, dw), (&mean, &factor)), (&x, &dy)) in sums.zip(x.iter().zip(dy)) {
                *db += dy;
                *dw += dy * ((x - mean) * factor);
            }
        }
        if let Some(dx) = at.dx {
            let part = if moments.of_batch { samples.recip() } else { T::zero() };
            for (dx, (x, dy)) in dx.as_mut_slice().chunks_exact_mut(N.max(1)).zip(pairs()) {
                let sums = db.iter().zip(&dw).zip(mean.iter().zip(factor.iter().zip(&this.weight)));
                let numbers = dx.iter_mut().zip(x.iter().zip(dy));
                for ((dx, (&x, &dy)), ((&db, &dw), (&mean, (&factor, &w)))) in numbers.zip(sums) {
                    *dx = (dy - (db + (x - mean) * factor * dw) * part) * factor * w;
                }
            }
        }
        let momentum: T = match moments.of_batch {
            true => setting(this.momentum, 0.1),
            false => T::zero(),
        };
        let mean_step = (moments.mean - this.running_mean.0) * momentum;
        let unbiased = match moments.of_batch {
            true => moments.variance * (samples / (samples - T::one())),
            false => moments.variance,
        };
        let var_step = (unbiased - this.running_var.0) * momentum;
        part!(this.weight).add(|gradient| *gradient += dw);
        part!(this.bias).add(|gradient| *gradient += db);
        part!(this.running_mean).add(|step| step.0 += mean_step);
        part!(this.running_var).add(|step| step.0 += var_step);
    }

    fn init<R: Rng + ?Sized>(&mut self, _: Gain, _: &mut R) {
        self.weight.fill(T::one());
        self.running_var.0.fill(T::one());
    }
}

impl<T: Number, const N: usize> BatchNorm<T, N> {
    #[inline(always)]
    fn factor(&self, variance: &SVector<T, N>) -> SVector<T, N> {
        let eps = setting(self.eps, 1e-5);
        variance.map(|variance| inverse(variance, eps))
    }
}
