//! Weights of samples, for any loss.

use super::{Loss, MeanLoss};
use crate::export::{self, Export, Source};
use crate::{BatchSize, Number, Shape};
use core::fmt;

/// Gives each sample a weight: Σ wᵢ·Lᵢ / Σ wᵢ for the losses L of the samples. (scikit-learn's `sample_weight`.)
///
/// The target is a pair: the target of the inner loss, and the weights w, a number for each sample. In a
/// [`Dataset`](crate::data::Dataset) it is a pair of lists, such as `(labels, weights)`.
///
/// For PyTorch's `pos_weight` p with one output, give the samples with label 1 the weight p, and the others 1. PyTorch and
/// Keras divide by the number of samples and not by the sum of the weights, so their loss is a multiple of this one. The
/// micro-batches of one step have their own sums.
///
/// # Shapes
/// Those of the inner loss. The weights are an array, a `Vec`, or a matrix of one row.
///
/// A sample of weight 0 does not count: its gradient is 0, and its target may be anything. The loss is NaN if a weight
/// is negative or not finite, if the numbers of weights and samples differ, or if the sum of the weights is 0.
///
/// ```
/// use chainrule::{Affine, D1, Network, MeanSquaredError, Weighted, Zeros};
/// use nalgebra::{Matrix1x2, Matrix1x3};
///
/// type Net = Network<f64, D1<1>, Affine<f64, 1, 1>, Weighted<MeanSquaredError>>;
/// let net = Net::new(Affine::zeros(), Weighted::default());
/// let targets = Matrix1x3::new(1.0, 2.0, 100.0);
/// let loss = net.loss(&Matrix1x3::zeros(), &(targets, [3.0, 1.0, 0.0]));
/// assert_eq!(loss, (3.0 * 1.0 + 1.0 * 4.0) / 4.0);
/// ```
///
/// A target with weights does not build with [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy) itself, which would ignore
/// them:
///
/// ```compile_fail,E0080
/// use chainrule::{Loss, SoftmaxCrossEntropy};
/// use nalgebra::Matrix2;
///
/// SoftmaxCrossEntropy.loss(&Matrix2::<f64>::identity(), &([0, 1], [1.0, 0.5]), None);
/// ```
#[doc(alias("sample_weight", "pos_weight"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weighted<E>(pub E);

impl<E: Export> Export for Weighted<E> {
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
        export::tuple(f, "::chainrule::Weighted", &[&Source::<E>(None)], value.map(|loss| &loss.0))
    }
}

impl<T: Number, S: Shape, B: BatchSize, Y, W: AsRef<[T]>, E> Loss<T, S, B, (Y, W)> for Weighted<E>
where
    E: MeanLoss<T, S, B, Y>,
{
    #[inline(always)]
    fn loss(
        &self,
        y: &S::Batch<T, B>,
        (target, weights): &(Y, W),
        dy: Option<&mut S::Batch<T, B>>,
    ) -> T {
        self.0.weighted(y, target, Some(weights.as_ref()), dy)
    }

    fn weight(&self, (target, weights): &(Y, W), samples: usize) -> T {
        self.0.weight(target, Some(weights.as_ref()), samples)
    }
}
