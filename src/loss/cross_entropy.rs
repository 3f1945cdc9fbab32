//! Softmax and cross entropy with settings.

use super::{Classes, MeanLoss, Weights, softmax_cross_entropy::cross_entropy};
use crate::shape::{nan, number};
use crate::{BatchSize, Columns, D1, Number, kernel::Sum};

/// [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy) with class weights, label smoothing and an ignored label.
/// (PyTorch's `CrossEntropyLoss` with `weight`, `label_smoothing`, `ignore_index`; smoothing by Szegedy and others,
/// 2015.)
///
/// L = -Σₖ cₖ·((1 - ε)·tₖ + ε/N)·ln softmax(y)ₖ for the class weights c and the smoothing ε. The mean over the batch is
/// ΣL / Σ cₖ·tₖ, as PyTorch's for labels. (For columns of probabilities PyTorch divides by the number of samples.
/// Here a label and its one-hot column give the same loss.)
///
/// # Shapes
/// The outputs are `D1<N>`. The target is [`Classes`].
///
/// # Numbers
/// As [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy). A sample with the ignored label does not count, and its
/// gradient is 0. A batch in which no sample counts has the loss NaN. So has a smoothing that is not in 0..=1, and a
/// class weight that is negative or not finite.
///
/// ```
/// use chainrule::{CrossEntropy, Loss};
/// use nalgebra::Matrix2;
///
/// let loss = CrossEntropy { ignore: Some(9), ..CrossEntropy::default() };
/// let (y, mut dy) = (Matrix2::new(0.0, 5.0, 0.0, 7.0), Matrix2::zeros());
/// assert_eq!(loss.loss(&y, &[1, 9], Some(&mut dy)), 2_f64.ln());
/// assert_eq!(dy, Matrix2::new(0.5, 0.0, -0.5, 0.0));
/// ```
#[doc(alias("CrossEntropyLoss", "label_smoothing", "ignore_index", "class_weight"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy<const N: usize> {
    /// ε, from 0 to 1; the default is 0. This share of each target is spread evenly over all classes.
    pub smoothing: f64,
    /// c: how much each class counts. The default is 1 for all.
    pub weights: [f64; N],
    /// Samples with this label do not count. It need not be one of the N classes.
    pub ignore: Option<usize>,
}

parameters!(@export CrossEntropy [const N: usize] (CrossEntropy<N>) [&N] [smoothing weights ignore]);

impl<const N: usize> Default for CrossEntropy<N> {
    fn default() -> Self {
        CrossEntropy { smoothing: 0.0, weights: [1.0; N], ignore: None }
    }
}

impl<T: Number, const N: usize, B: BatchSize, Y: Classes<T, N, B> + ?Sized> MeanLoss<T, D1<N>, B, Y>
    for CrossEntropy<N>
{
    #[inline(always)]
    fn weighted(
        &self,
        y: &Columns<T, N, B>,
        target: &Y,
        weights: Option<&[T]>,
        dy: Option<&mut Columns<T, N, B>>,
    ) -> T {
        let fits = target.samples() == y.ncols()
            && N != 1
            && (0.0..=1.0).contains(&self.smoothing)
            && self.weights.iter().all(|&c| c >= 0.0 && c.is_finite());
        let weights = Weights::new(weights, y.ncols(), fits);
        let total = self.sum::<T, B, Y>(target, &weights, y.ncols());
        let [keep, spread] =
            [1.0 - self.smoothing, self.smoothing].map(nalgebra::convert::<f64, T>);
        let spread = spread / number(N);
        let weight = |sample| self.of::<T, B, Y>(target, &weights, sample);
        let t = |sample, k| self.class::<T>(k) * (keep * target.probability(sample, k) + spread);
        cross_entropy(y, t, weight, total, dy)
    }

    fn weight(&self, target: &Y, weights: Option<&[T]>, samples: usize) -> T {
        let weights = weights.map(|all| all.get(..samples).unwrap_or_default());
        self.sum::<T, B, Y>(target, &Weights::new(weights, samples, true), samples)
    }
}

impl<const N: usize> CrossEntropy<N> {
    #[inline(always)]
    fn class<T: Number>(&self, k: usize) -> T {
        self.weights.get(k).map_or_else(nan, |&c| nalgebra::convert::<f64, T>(c))
    }

    /// The weight of a sample.
    #[inline(always)]
    fn of<T: Number, B: BatchSize, Y: Classes<T, N, B> + ?Sized>(
        &self,
        target: &Y,
        weights: &Weights<T>,
        sample: usize,
    ) -> T {
        match self.ignore {
            Some(ignored) if target.label(sample) == Some(ignored) => T::zero(),
            _ => weights.of(sample),
        }
    }

    /// The sum of the weights of the first samples, each times the weight of its class. NaN if the weights are.
    #[inline(always)]
    fn sum<T: Number, B: BatchSize, Y: Classes<T, N, B> + ?Sized>(
        &self,
        target: &Y,
        weights: &Weights<T>,
        samples: usize,
    ) -> T {
        const { assert!(!Y::WEIGHTED, "a target with weights takes the loss in `Weighted`") };
        let mut total = Sum::new();
        for sample in 0..samples {
            let weight = self.of::<T, B, Y>(target, weights, sample);
            if weight != T::zero() {
                let part = |k| weight * self.class::<T>(k) * target.probability(sample, k);
                (0..N).for_each(|k| total.add(part(k)));
            }
        }
        if weights.total.is_finite() { total.total() } else { nan() }
    }
}
