//! The traits of losses and targets. Each loss has its own file.

#[macro_use]
mod elementwise;
mod absolute_error;
mod binary_cross_entropy;
mod cross_entropy;
mod huber;
mod mean_squared_error;
mod softmax_cross_entropy;
mod sum_squared_error;
mod weighted;

pub use absolute_error::AbsoluteError;
pub use binary_cross_entropy::BinaryCrossEntropy;
pub use cross_entropy::CrossEntropy;
pub use huber::Huber;
pub use mean_squared_error::MeanSquaredError;
pub use softmax_cross_entropy::SoftmaxCrossEntropy;
pub use sum_squared_error::SumSquaredError;
pub use weighted::Weighted;

use crate::{
    kernel::Sum,
    shape::{BatchSize, Columns, D1, Number, Shape, nan, number},
};
use nalgebra::Const;
#[cfg(feature = "alloc")]
use {alloc::vec::Vec, nalgebra::Dyn};

/// A loss function: how far the outputs of a batch are from the target.
///
/// If output and target have different numbers of samples, which is possible for batches of run-time size, loss
/// and gradient are NaN. If `dy` has another size than the outputs, its surplus entries become NaN.
#[diagnostic::on_unimplemented(
    message = "`{Y}` is not a target of `{Self}` for a batch of `{B}` outputs of shape `{S}`",
    label = "not a target for this batch",
    note = "`SoftmaxCrossEntropy` contains the softmax: a net that it trains ends without a `Softmax` layer"
)]
pub trait Loss<T: Number, S: Shape, B: BatchSize, Y: ?Sized> {
    /// The mean loss of the samples. If `dy` is given, overwrites it with the gradient on the outputs.
    fn loss(&self, y: &S::Batch<T, B>, target: &Y, dy: Option<&mut S::Batch<T, B>>) -> T;

    /// Σ wᵢ over the first `samples` samples of the target, the divisor of the mean. Without weights it is their number,
    /// the default. The loss of several batches is Σ weight·loss / Σ weight.
    fn weight(&self, _target: &Y, samples: usize) -> T {
        number(samples)
    }
}

/// A loss that is a mean over the samples, so that each sample can have a weight: see [`Weighted`]. Every loss of
/// this crate is one.
#[diagnostic::on_unimplemented(
    message = "`{Y}` is not a target of `{Self}` for a batch of `{B}` outputs of shape `{S}`",
    label = "not a target for this batch",
    note = "`SoftmaxCrossEntropy` contains the softmax: a net that it trains ends without a `Softmax` layer"
)]
pub trait MeanLoss<T: Number, S: Shape, B: BatchSize, Y: ?Sized> {
    /// Σ wᵢ·Lᵢ / Σ wᵢ for the weights w and the losses L of the samples. Without weights each weight is 1. If `dy`
    /// is given, overwrites it with the gradient on the outputs.
    fn weighted(
        &self,
        y: &S::Batch<T, B>,
        target: &Y,
        weights: Option<&[T]>,
        dy: Option<&mut S::Batch<T, B>>,
    ) -> T;

    /// [`Loss::weight`] with these weights of the samples.
    fn weight(&self, _target: &Y, weights: Option<&[T]>, samples: usize) -> T {
        Weights::new(weights.map(|all| all.get(..samples).unwrap_or_default()), samples, true).total
    }
}

/// A `MeanLoss` without weights is a `Loss`.
macro_rules! losses {
    // Losses of every shape, whose shape does not follow from a matrix.
    (of_vectors $($name:ident)*) => { losses!($($name)*); $(
        impl $name {
            /// The loss of vectors, by hand: [`Loss::loss`], whose shape does not follow from a matrix.
            #[inline(always)]
            pub fn loss<T: Number, const N: usize, B: BatchSize, Y: ?Sized>(
                &self,
                y: &Columns<T, N, B>,
                target: &Y,
                dy: Option<&mut Columns<T, N, B>>,
            ) -> T
            where
                Self: Loss<T, D1<N>, B, Y>,
            {
                Loss::<T, D1<N>, B, Y>::loss(self, y, target, dy)
            }
        }
    )* };
    ($($name:ident $(<const $n:ident>)?)*) => { $(
        impl<T: Number, S: Shape, B: BatchSize, Y: ?Sized $(, const $n: usize)?> Loss<T, S, B, Y>
            for $name $(<$n>)?
        where
            Self: MeanLoss<T, S, B, Y>,
        {
            #[inline(always)]
            fn loss(&self, y: &S::Batch<T, B>, target: &Y, dy: Option<&mut S::Batch<T, B>>) -> T {
                self.weighted(y, target, None, dy)
            }

            fn weight(&self, target: &Y, samples: usize) -> T {
                MeanLoss::<T, S, B, Y>::weight(self, target, None, samples)
            }
        }
    )* };
}
losses!(CrossEntropy<const N> SoftmaxCrossEntropy);
losses!(of_vectors AbsoluteError BinaryCrossEntropy Huber MeanSquaredError SumSquaredError);

/// The weights of the samples.
#[derive(Clone, Copy)]
struct Weights<'a, T> {
    each: Option<&'a [T]>,
    /// The divisor of the sum over the samples. NaN if something does not fit.
    total: T,
}

impl<'a, T: Number> Weights<'a, T> {
    #[inline(always)]
    fn new(each: Option<&'a [T]>, samples: usize, fits: bool) -> Self {
        let total = match each {
            _ if !fits => nan(),
            None => number(samples),
            Some(each) if each.len() != samples => nan(),
            Some(each) if each.iter().any(|&w| w < T::zero()) => nan(),
            Some(each) => {
                let mut sum = Sum::new();
                each.iter().for_each(|&w| sum.add(w));
                sum.total()
            }
        };
        Weights { each, total }
    }

    #[inline(always)]
    fn of(&self, sample: usize) -> T {
        match self.each {
            None => T::one(),
            Some(each) => each.get(sample).copied().unwrap_or_else(nan),
        }
    }
}

/// A target for `N` classes: for each sample the number of its class (`[usize; B]`; for `Dyn` a `Vec` or slice), or
/// a matrix with one column of probabilities per sample, one-hot or not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not label a batch of `{B}` samples with {N} classes",
    label = "one label or one column for each sample of the batch"
)]
pub trait Classes<T: Number, const N: usize, B: BatchSize> {
    /// The number of samples.
    fn samples(&self) -> usize;

    /// The probability of `class`. NaN if the label of the sample is not one of the `N` classes.
    fn probability(&self, sample: usize, class: usize) -> T;

    /// The class with the largest probability, the first of equals. `None` if there is none.
    fn class(&self, sample: usize) -> Option<usize>;

    /// The unchecked label, if the sample has one: it need not be one of the `N` classes. The default is the
    /// class.
    fn label(&self, sample: usize) -> Option<usize> {
        self.class(sample)
    }

    /// Whether the target has weights for its samples, which only `Weighted` takes.
    #[doc(hidden)]
    const WEIGHTED: bool = false;
}

/// A target with a weight for each sample, as [`Weighted`] takes it.
impl<T: Number, const N: usize, B: BatchSize, Y: Classes<T, N, B>, W> Classes<T, N, B> for (Y, W) {
    fn samples(&self) -> usize {
        self.0.samples()
    }

    #[inline]
    fn probability(&self, sample: usize, class: usize) -> T {
        self.0.probability(sample, class)
    }

    fn class(&self, sample: usize) -> Option<usize> {
        self.0.class(sample)
    }

    fn label(&self, sample: usize) -> Option<usize> {
        self.0.label(sample)
    }

    const WEIGHTED: bool = true;
}

macro_rules! labels {
    ($labels:ty, $size:ty $(, $b:ident)?) => {
        impl<T: Number, const N: usize $(, const $b: usize)?> Classes<T, N, $size> for $labels {
            fn samples(&self) -> usize {
                self.len()
            }

            #[inline]
            fn probability(&self, sample: usize, class: usize) -> T {
                // Without branches, as nobody can guess a label.
                let label = self.get(sample).copied().unwrap_or(N);
                let other = if label < N { T::zero() } else { nan() };
                other + if label == class { T::one() } else { T::zero() }
            }

            #[inline]
            fn class(&self, sample: usize) -> Option<usize> {
                self.get(sample).copied().filter(|&label| label < N)
            }

            fn label(&self, sample: usize) -> Option<usize> {
                self.get(sample).copied()
            }
        }
    };
}

labels!([usize; B], Const<B>, B);
#[cfg(feature = "alloc")]
labels!([usize], Dyn);
#[cfg(feature = "alloc")]
labels!(Vec<usize>, Dyn);

impl<T: Number, const N: usize, B: BatchSize> Classes<T, N, B> for Columns<T, N, B> {
    fn samples(&self) -> usize {
        self.ncols()
    }

    #[inline]
    fn probability(&self, sample: usize, class: usize) -> T {
        self.get((class, sample)).copied().unwrap_or_else(nan)
    }

    fn class(&self, sample: usize) -> Option<usize> {
        argmax(self.as_slice().chunks_exact(N.max(1)).nth(sample)?)
    }
}

/// The index of the largest number, the first of equals. `None` if a number is NaN.
pub(crate) fn argmax<T: Number>(values: &[T]) -> Option<usize> {
    let mut best: Option<(usize, T)> = None;
    for (i, &value) in values.iter().enumerate() {
        match best {
            _ if value.partial_cmp(&value).is_none() => return None,
            Some((_, top)) if value <= top => {}
            _ => best = Some((i, value)),
        }
    }
    best.map(|(i, _)| i)
}
