//! Inputs of mean 0 and standard deviation 1.

use super::{Frozen, softmax::each_sample};
use crate::shape::{nan, number};
use crate::{D1, Number, init::Gain, kernel::Sum};
use core::fmt;
use nalgebra::SVector;
use rand::Rng;

/// y = (x - μ) / σ for each feature, with the mean μ and the standard deviation σ of the training data. dx = dy / σ.
/// (scikit-learn's `StandardScaler`.)
///
/// It is the first layer of a net that takes raw inputs, so the same numbers are used in training and in prediction, and
/// they are saved and exported with the net. [`fit`](Standardized::fit) computes them from data. They are
/// [`Frozen`] leaves: no optimizer changes them.
///
/// # Shapes
/// From `D1<N>` to `D1<N>`; μ and σ have N entries.
///
/// σ² is Σ (x - μ)² over the number of samples, as scikit-learn's. A NaN input gives a NaN output. After
/// [`Network::init`](crate::Network::init), and until it is fitted, all outputs are NaN.
///
/// ```
/// use chainrule::{Affine, D1, Network, Standardize, SumSquaredError};
/// # use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
/// type Net = Network<f64, D1<2>, (Standardize<f64, 2>, Affine<f64, 2, 1>), SumSquaredError>;
///
/// let rows = vec![[1.0, 100.0], [3.0, 300.0]];
/// # let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
/// let mut net = Net::init(&mut rng);
/// net.layers.0 = Standardize::fit(&rows)?;
/// assert_eq!(net.layers.0.mean.0.as_slice(), [2.0, 200.0]);
/// assert_eq!(net.layers.0.std.0.as_slice(), [1.0, 100.0]);
///
/// let error = Standardize::fit(&[[1.0, 5.0], [3.0, 5.0]]).unwrap_err();
/// assert_eq!(error.to_string(), "feature 1: expected two different values, found one in all samples");
/// # Ok::<_, chainrule::StandardizeError>(())
/// ```
#[doc(alias("StandardScaler", "Normalization"))]
pub type Standardize<T, const N: usize> = Standardized<Frozen<SVector<T, N>>>;

/// The layer [`Standardize`]: `M` is a frozen vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standardized<M> {
    /// μ.
    pub mean: M,
    /// σ.
    pub std: M,
}

parameters!(Standardized<M: part> { mean, std });

/// Why a layer cannot be fitted to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StandardizeError {
    /// There are no samples.
    Empty,
    /// A number is NaN or infinite.
    NotFinite {
        /// The index of the sample.
        sample: usize,
        /// The index of the feature.
        feature: usize,
    },
    /// A feature is the same in all samples.
    Constant {
        /// The index of the feature.
        feature: usize,
    },
    /// A feature spans more than the scalar can represent.
    Range {
        /// The index of the feature.
        feature: usize,
    },
}

impl fmt::Display for StandardizeError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (feature, problem) = match self {
            StandardizeError::Empty => return f.write_str("expected samples, found none"),
            StandardizeError::NotFinite { sample, feature } => {
                write!(f, "sample {sample}, ")?;
                (feature, "expected a number, found NaN or infinity")
            }
            StandardizeError::Constant { feature } => {
                (feature, "expected two different values, found one in all samples")
            }
            StandardizeError::Range { feature } => {
                (feature, "the values lie further apart than the scalar can represent")
            }
        };
        write!(f, "feature {feature}: {problem}")
    }
}

impl core::error::Error for StandardizeError {}

impl<T: Number, const N: usize> Standardize<T, N> {
    /// Mean and standard deviation of these samples: a `Vec<[T; N]>`, or the columns of a matrix by
    /// `&x.as_slice().as_chunks().0`.
    ///
    /// # Errors
    /// There are no samples; a number is not finite; a feature is constant, or its range overflows.
    pub fn fit(samples: &[[T; N]]) -> Result<Self, StandardizeError> {
        if samples.is_empty() {
            return Err(StandardizeError::Empty);
        }
        for (sample, numbers) in samples.iter().enumerate() {
            if let Some(feature) = numbers.iter().position(|x| !x.is_finite()) {
                return Err(StandardizeError::NotFinite { sample, feature });
            }
        }
        let (mut mean, mut std) = (SVector::<T, N>::zeros(), SVector::<T, N>::zeros());
        for (feature, (mean, std)) in mean.iter_mut().zip(std.iter_mut()).enumerate() {
            let values = || samples.iter().filter_map(|sample| sample.get(feature).copied());
            let average = |f: &dyn Fn(T) -> T| {
                let mut sum = Sum::new();
                values().for_each(|x| sum.add(f(x) / number(samples.len())));
                sum.total()
            };
            let first = values().next().unwrap_or_else(nan);
            if values().all(|x| x == first) {
                return Err(StandardizeError::Constant { feature });
            }
            *mean = average(&|x| x);
            // The squares of tiny or huge numbers would not be representable.
            let largest = values().fold(T::zero(), |top, x| top.max((x - *mean).abs()));
            // The mean is rounded, and so the differences have a mean too.
            let off = average(&|x| (x - *mean) / largest);
            let square = average(&|x| ((x - *mean) / largest) * ((x - *mean) / largest));
            *std = largest * (square - off * off).sqrt();
            if !std.is_finite() || *std <= T::zero() {
                return Err(StandardizeError::Range { feature });
            }
        }
        Ok(Standardized { mean: Frozen(mean), std: Frozen(std) })
    }
}

function!([const N: usize] Standardize<T, N>, D1<N> => D1<N>, Some(Gain::Linear), (this, x, y, dy, dx)
    each_sample::<T, N>(y, x, |y, x| {
        let moments = this.mean.0.iter().zip(&this.std.0);
        for ((y, &x), (&mean, &std)) in y.iter_mut().zip(x).zip(moments) {
            *y = (x - mean) / std;
        }
    }),
    each_sample::<T, N>(dx, dy, |dx, dy| {
        for ((dx, &dy), &std) in dx.iter_mut().zip(dy).zip(&this.std.0) {
            *dx = dy / std;
        }
    });
    fn init<R: Rng + ?Sized>(&mut self, _: Gain, _: &mut R) {
        self.std.0.fill(nan());
    }
);
