//! Converts data whose size is known at run time to samples whose size is a type. These functions check the size
//! once.

use super::error::DataError;
#[cfg(feature = "alloc")]
use {
    super::dataset::check_labels,
    crate::shape::{Columns, Number},
    alloc::vec::Vec,
    nalgebra::{Const, Dyn, Matrix, Storage},
};

/// Values that lie sample after sample, as samples of `N` values each. Nothing is copied. This is
/// the order of a NumPy array of shape (samples, features); with `N = 1` every value is a sample.
///
/// # Errors
/// The number of values is not a multiple of `N`, or `N` is 0.
///
/// ```
/// use chainrule::data::from_slice;
///
/// let values = vec![0.0, 0.1, 1.0, 1.1];
/// assert_eq!(from_slice::<f64, 2>(&values)?, [[0.0, 0.1], [1.0, 1.1]]);
///
/// let error = from_slice::<f64, 3>(&values).unwrap_err();
/// assert_eq!(error.to_string(), "expected samples of 3 values each, found 4 values in all");
/// # Ok::<_, chainrule::data::DataError>(())
/// ```
pub fn from_slice<T, const N: usize>(values: &[T]) -> Result<&[[T; N]], DataError> {
    let error = DataError::Values { features: N, found: values.len() };
    if N == 0 {
        return Err(error);
    }
    match values.as_chunks() {
        (samples, []) => Ok(samples),
        _ => Err(error),
    }
}

/// Rows of run-time length as samples of `N` features each. `rows` is a `Vec<Vec<T>>`, a
/// `&[Vec<T>]`, an iterator over rows of a table, or the like. The values are copied.
///
/// # Errors
/// A row has not `N` values.
///
/// ```
/// use chainrule::data::{DataError, from_rows};
///
/// let table = vec![vec![5.1, 3.5], vec![4.9, 3.0], vec![4.7]];
/// assert_eq!(from_rows::<f64, 2>(&table[..2])?, [[5.1, 3.5], [4.9, 3.0]]);
///
/// let error = from_rows::<f64, 2>(&table).unwrap_err();
/// assert_eq!(error, DataError::Row { row: 2, expected: 2, found: 1 });
/// assert_eq!(error.to_string(), "expected 2 features per sample, found 1 in row 2");
/// # Ok::<_, DataError>(())
/// ```
#[cfg(feature = "alloc")]
pub fn from_rows<T: Number, const N: usize>(
    rows: impl IntoIterator<Item: AsRef<[T]>>,
) -> Result<Vec<[T; N]>, DataError> {
    let sample = |(row, values): (usize, &[T])| {
        let error = DataError::Row { row, expected: N, found: values.len() };
        values.try_into().map_err(|_| error)
    };
    rows.into_iter().enumerate().map(|(row, values)| sample((row, values.as_ref()))).collect()
}

/// Class numbers as targets of `N` outputs: 1 for the class, 0 for the others.
///
/// # Errors
/// A label is not below `N`.
///
/// ```
/// use chainrule::data::one_hot;
///
/// assert_eq!(one_hot::<f32, 3>(&[2, 0])?, [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
/// # Ok::<_, chainrule::data::DataError>(())
/// ```
#[cfg(feature = "alloc")]
pub fn one_hot<T: Number, const N: usize>(labels: &[usize]) -> Result<Vec<[T; N]>, DataError> {
    check_labels(labels, N)?;
    let is = |same| if same { T::one() } else { T::zero() };
    Ok(labels.iter().map(|&label| core::array::from_fn(|class| is(class == label))).collect())
}

/// A matrix of run-time size as a batch of samples with `N` features each, one sample per column. This
/// is how such a matrix enters a net: as the input of [`predict`](crate::Network::predict), or as
/// inputs of a [`Dataset`](super::Dataset).
///
/// A `DMatrix` is not copied. Columns of one (`matrix.columns(0, 100)`) are. For a matrix with
/// one sample per row, pass its `transpose()`; to keep the matrix, pass its `clone()`.
///
/// # Errors
/// The matrix does not have `N` rows.
///
/// ```
/// use chainrule::{TwoLayerNet, data};
/// use nalgebra::DMatrix;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// let rng = &mut Xoshiro128PlusPlus::seed_from_u64(0);
/// let net = TwoLayerNet::<f32, 3, 8, 2>::init(rng);
///
/// let matrix = DMatrix::<f32>::zeros(3, 5); // five samples
/// let first = net.predict(&data::from_dmatrix(matrix.columns(0, 2))?);
/// assert_eq!(first.shape(), (2, 2));
/// let all = net.predict(&data::from_dmatrix(matrix)?);
/// assert_eq!(all.shape(), (2, 5));
///
/// let error = data::from_dmatrix::<f32, 3>(DMatrix::zeros(5, 3)).unwrap_err();
/// assert_eq!(error.to_string(), "expected 3 features per sample, found 5");
/// # Ok::<_, data::DataError>(())
/// ```
#[cfg(feature = "alloc")]
pub fn from_dmatrix<T: Number, const N: usize>(
    matrix: Matrix<T, Dyn, Dyn, impl Storage<T, Dyn, Dyn>>,
) -> Result<Columns<T, N, Dyn>, DataError> {
    let (rows, columns) = matrix.shape();
    if rows != N {
        return Err(DataError::Features { expected: N, found: rows });
    }
    Ok(matrix.into_owned().reshape_generic(Const, Dyn(columns)))
}
