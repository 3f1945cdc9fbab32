//! Inputs with their targets.

use super::{
    error::DataError,
    samples::{Gather, Samples, Subset, check_below},
};
use crate::shape::{BatchSize, Number};

/// Inputs and their targets: the same number of both, and at least one.
///
/// ```
/// use chainrule::data::{DataError, Dataset};
///
/// let inputs = vec![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// assert!(Dataset::labelled(inputs.clone(), vec![0, 1, 1, 0], 2).is_ok());
///
/// let error = Dataset::labelled(inputs, vec![0, 1, 1, 2], 2).unwrap_err();
/// assert_eq!(error, DataError::Label { sample: 3, found: 2, classes: 2 });
/// assert_eq!(error.to_string(), "expected labels below 2, found 2 at sample 3");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset<X, Y> {
    inputs: X,
    targets: Y,
}

impl<X: Samples, Y: Samples> Dataset<X, Y> {
    /// Inputs with targets of any kind. Both may be borrowed.
    ///
    /// # Errors
    /// The numbers of inputs and targets differ, or both are zero.
    ///
    /// ```
    /// use chainrule::data::Dataset;
    ///
    /// let rooms_and_area = vec![[2.0, 55.0], [3.0, 70.0], [5.0, 120.0]];
    /// let prices = vec![150.0, 200.0, 340.0];
    /// let data = Dataset::new(rooms_and_area, prices)?;
    /// assert_eq!(data.len(), 3);
    /// # Ok::<_, chainrule::data::DataError>(())
    /// ```
    pub fn new(inputs: X, targets: Y) -> Result<Self, DataError> {
        match (inputs.count(), targets.count()) {
            (0, 0) => Err(DataError::Empty),
            (a, b) if a != b => Err(DataError::Counts { inputs: a, targets: b }),
            _ => Ok(Dataset { inputs, targets }),
        }
    }

    /// Inputs with class numbers below `classes`.
    ///
    /// # Errors
    /// As [`new`](Self::new); or a label is not below `classes`.
    pub fn labelled(inputs: X, labels: Y, classes: usize) -> Result<Self, DataError>
    where
        Y: AsRef<[usize]>,
    {
        check_labels(labels.as_ref(), classes)?;
        Self::new(inputs, labels)
    }

    /// The number of samples.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.inputs.count()
    }

    /// The inputs.
    pub const fn inputs(&self) -> &X {
        &self.inputs
    }

    /// The targets.
    pub const fn targets(&self) -> &Y {
        &self.targets
    }

    /// The samples with these indices, in this order, as a data set. No sample is copied. An index may occur
    /// more than once. [`split`](fn@super::split) and [`folds`](fn@super::folds) choose indices.
    ///
    /// # Errors
    /// There is no index, or an index is not below [`len`](Self::len).
    ///
    /// ```
    /// use chainrule::data::Dataset;
    /// use nalgebra::Const;
    ///
    /// let data = Dataset::labelled([[0.0], [1.0], [2.0]], [0, 1, 2], 3)?;
    /// let part = data.select(&[2, 0])?;
    /// let (x, labels) = part.batch::<f64, _>(&[1, 0], Const::<2>)?;
    /// assert_eq!((x.as_slice(), labels), (&[0.0, 2.0][..], [0, 2]));
    /// # Ok::<_, chainrule::data::DataError>(())
    /// ```
    pub fn select<'a>(
        &'a self,
        indices: &'a [usize],
    ) -> Result<Dataset<Subset<'a, X>, Subset<'a, Y>>, DataError> {
        check_below(indices, self.len())?;
        let inputs = Subset { samples: &self.inputs, indices };
        Dataset::new(inputs, Subset { samples: &self.targets, indices })
    }

    /// A new batch: the inputs and targets with these indices, in this order. `size` is the number
    /// of indices, as `Const::<B>` or as `Dyn(n)`. Vectors become columns (features × batch), class
    /// numbers become [`Labels`](crate::Labels).
    ///
    /// # Errors
    /// The number of indices is not `size`, or an index is not below [`len`](Self::len).
    ///
    /// ```
    /// use chainrule::data::{DataError, Dataset, Pixels};
    /// use nalgebra::{Const, Dyn};
    ///
    /// let inputs = vec![[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]];
    /// let data = Dataset::labelled(inputs, vec![0, 1, 2], 3)?;
    /// let (x, labels) = data.batch(&[2, 0], Const::<2>)?;
    /// assert_eq!(x.as_slice(), [2.0, 2.1, 0.0, 0.1]);
    /// assert_eq!(labels, [2, 0]);
    ///
    /// // The scalar is named where the samples do not have it.
    /// let images = Dataset::labelled(Pixels(vec![[0, 51], [255, 102]]), vec![0, 1], 2)?;
    /// let (x, labels) = images.batch::<f32, _>(&[1], Dyn(1))?;
    /// assert_eq!((x.as_slice(), &labels[..]), (&[1.0, 0.4][..], &[1][..]));
    ///
    /// let error = data.batch(&[0, 1, 2], Const::<2>).unwrap_err();
    /// assert_eq!(error.to_string(), "expected 2 indices for a batch of 2, found 3");
    /// # Ok::<_, DataError>(())
    /// ```
    pub fn batch<T: Number, B: BatchSize>(
        &self,
        indices: &[usize],
        size: B,
    ) -> Result<(X::Batch, Y::Batch), DataError>
    where
        X: Gather<T, B>,
        Y: Gather<T, B>,
    {
        // Checked before memory is allocated, because `size` may be any number.
        if indices.len() != size.value() {
            return Err(DataError::Indices { expected: size.value(), found: indices.len() });
        }
        let (mut inputs, mut targets) = (self.inputs.batch(size), self.targets.batch(size));
        self.gather(indices, &mut inputs, &mut targets)?;
        Ok((inputs, targets))
    }

    /// As [`batch`](Self::batch), but overwrites a batch that the caller has. Nothing is allocated,
    /// so this is the form for loops.
    ///
    /// # Errors
    /// As [`Gather::gather`]; `inputs` may be overwritten then.
    ///
    /// ```
    /// use chainrule::data::{Dataset, Gather};
    /// use nalgebra::Const;
    ///
    /// let inputs = vec![[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]];
    /// let data = Dataset::new(inputs, vec![[0.0], [1.0], [2.0]])?;
    /// let (mut x, mut t) = data.batch(&[0, 1], Const::<2>)?;
    /// for indices in [[0, 1], [2, 0]] {
    ///     data.gather::<f64, Const<2>>(&indices, &mut x, &mut t)?;
    ///     // A training step with `x` and `t`.
    /// }
    /// assert_eq!(t.as_slice(), [2.0, 0.0]);
    /// # Ok::<_, chainrule::data::DataError>(())
    /// ```
    pub fn gather<T: Number, B: BatchSize>(
        &self,
        indices: &[usize],
        inputs: &mut X::Batch,
        targets: &mut Y::Batch,
    ) -> Result<(), DataError>
    where
        X: Gather<T, B>,
        Y: Gather<T, B>,
    {
        self.inputs.gather(indices, inputs)?;
        self.targets.gather(indices, targets)
    }
}

pub(super) fn check_labels(labels: &[usize], classes: usize) -> Result<(), DataError> {
    match labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
        Some((sample, &found)) => Err(DataError::Label { sample, found, classes }),
        None => Ok(()),
    }
}
