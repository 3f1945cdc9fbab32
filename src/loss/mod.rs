//! The traits of losses and targets. Each loss has its own file.

mod softmax_cross_entropy;
mod sum_squared_error;

pub use softmax_cross_entropy::SoftmaxCrossEntropy;
pub use sum_squared_error::SumSquaredError;

use crate::shape::{BatchSize, Columns, Number, Shape, nan};
use nalgebra::Const;
#[cfg(feature = "alloc")]
use {alloc::vec::Vec, nalgebra::Dyn};

/// A loss function: how far the outputs of a batch are from the target.
///
/// If output and target have different numbers of samples, which is possible for batches of run-time size, loss
/// and gradient are NaN. If `dy` has another size than the outputs, its surplus entries become NaN.
#[diagnostic::on_unimplemented(
    message = "`{Y}` is no target of `{Self}` for a batch of `{B}` outputs of shape `{S}`",
    label = "not a target for this batch",
    note = "`SoftmaxCrossEntropy` contains the softmax: a net that it trains ends without a `Softmax` layer"
)]
pub trait Loss<T: Number, S: Shape, B: BatchSize, Y: ?Sized> {
    /// The mean loss of the samples. If `dy` is given, overwrites it with the gradient on the outputs.
    fn loss(&self, y: &S::Batch<T, B>, target: &Y, dy: Option<&mut S::Batch<T, B>>) -> T;
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
}

macro_rules! labels {
    ($labels:ty, $size:ty $(, $b:ident)?) => {
        impl<T: Number, const N: usize $(, const $b: usize)?> Classes<T, N, $size> for $labels {
            fn samples(&self) -> usize {
                self.len()
            }

            #[inline]
            fn probability(&self, sample: usize, class: usize) -> T {
                match Classes::<T, N, $size>::class(self, sample) {
                    Some(label) if label == class => T::one(),
                    Some(_) => T::zero(),
                    None => nan(),
                }
            }

            #[inline]
            fn class(&self, sample: usize) -> Option<usize> {
                self.get(sample).copied().filter(|&label| label < N)
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
