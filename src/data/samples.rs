//! Samples in memory, and how they are copied into batches.

use super::error::DataError;
#[cfg(feature = "alloc")]
use crate::kernel;
use crate::shape::{BatchSize, Columns, Labels, Number, Shape};
#[cfg(feature = "alloc")]
use {alloc::vec::Vec, nalgebra::Dyn};

/// A list of samples: inputs or targets. The [module's table](super) lists what can be one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of samples: use `Vec<[T; N]>` or `data::from_slice::<T, N>(&values)?`, \
               where `T` is `f32` or `f64` and `N` is the number of features",
    label = "not a list of samples",
    note = "rows of run-time length: `data::from_rows::<T, N>(&rows)?`; a matrix: \
            `data::from_dmatrix::<T, N>(matrix)?`",
    note = "bytes of images: `data::Pixels::<N>`; class numbers: `Vec<usize>`"
)]
pub trait Samples {
    /// The number of samples.
    fn count(&self) -> usize;
}

/// Samples that can be copied into batches of `B`: vectors `[T; N]` into [`Columns`], class numbers
/// into [`Labels`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot fill a batch of `{B}` samples over `{T}`",
    label = "not samples over `{T}` for a batch of `{B}`"
)]
pub trait Gather<T: Number, B: BatchSize>: Samples {
    /// A batch of these samples.
    type Batch;

    /// Memory for a batch of `size` samples.
    fn batch(&self, size: B) -> Self::Batch;

    /// Copies the samples with these indices into `batch`, in this order. An index may occur more
    /// than once.
    ///
    /// # Errors
    /// The number of indices is not the size of the batch, or an index is not below
    /// [`count`](Samples::count). `batch` is unchanged then.
    ///
    /// ```
    /// use chainrule::data::{DataError, Gather};
    /// use nalgebra::Const;
    ///
    /// let samples = vec![[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]];
    /// let mut x = samples.batch(Const::<2>);
    /// samples.gather(&[2, 0], &mut x)?;
    /// assert_eq!(x.as_slice(), [2.0, 2.1, 0.0, 0.1]);
    ///
    /// let error = Gather::<f64, Const<2>>::gather(&samples, &[0, 3], &mut x).unwrap_err();
    /// assert_eq!(error, DataError::Index { position: 1, found: 3, samples: 3 });
    /// assert_eq!(error.to_string(), "expected indices below 3, found 3 at position 1");
    /// # Ok::<_, DataError>(())
    /// ```
    fn gather(&self, indices: &[usize], batch: &mut Self::Batch) -> Result<(), DataError>;
}

/// Samples whose batches are the inputs of a net on shape `S`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not hold inputs of shape `{S}`: use `Vec<[{T}; N]>` or `data::from_slice::<{T}, N>(&values)?` \
               with as many features N",
    label = "these are not inputs of `{T}` of shape `{S}`",
    note = "bytes of images: `data::Pixels::<N>`; inputs of a net on images: `data::as_images::<Image<C, H, W>, _>(samples)`"
)]
pub trait Inputs<T: Number, B: BatchSize, S: Shape>: Gather<T, B, Batch = S::Batch<T, B>> {}

#[diagnostic::do_not_recommend]
impl<T: Number, B: BatchSize, S: Shape, X> Inputs<T, B, S> for X where
    X: Gather<T, B, Batch = S::Batch<T, B>>
{
}

/// Checks that every index has a sample, and every place of the batch an index.
pub(super) fn check(indices: &[usize], samples: usize, batch: usize) -> Result<(), DataError> {
    if indices.len() != batch {
        return Err(DataError::Indices { expected: batch, found: indices.len() });
    }
    check_below(indices, samples)
}

/// Checks that every index has a sample.
pub(super) fn check_below(indices: &[usize], samples: usize) -> Result<(), DataError> {
    match indices.iter().enumerate().find(|&(_, &index)| index >= samples) {
        Some((position, &found)) => Err(DataError::Index { position, found, samples }),
        None => Ok(()),
    }
}

#[diagnostic::do_not_recommend]
impl<T: Number, const N: usize> Samples for [[T; N]] {
    fn count(&self) -> usize {
        self.len()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Number, const N: usize, B: BatchSize> Gather<T, B> for [[T; N]] {
    type Batch = Columns<T, N, B>;

    fn batch(&self, size: B) -> Self::Batch {
        size.columns()
    }

    fn gather(&self, indices: &[usize], batch: &mut Self::Batch) -> Result<(), DataError> {
        check(indices, self.len(), batch.ncols())?;
        let columns = batch.as_mut_slice().chunks_exact_mut(N.max(1));
        for (column, sample) in columns.zip(indices.iter().filter_map(|&i| self.get(i))) {
            column.copy_from_slice(sample);
        }
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl Samples for [usize] {
    fn count(&self) -> usize {
        self.len()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Number, B: BatchSize> Gather<T, B> for [usize] {
    type Batch = Labels<B>;

    fn batch(&self, size: B) -> Self::Batch {
        size.samples(0)
    }

    fn gather(&self, indices: &[usize], batch: &mut Self::Batch) -> Result<(), DataError> {
        let batch = batch.as_mut();
        check(indices, self.len(), batch.len())?;
        for (to, &label) in batch.iter_mut().zip(indices.iter().filter_map(|&i| self.get(i))) {
            *to = label;
        }
        Ok(())
    }
}

/// Types that hold a list of samples.
macro_rules! as_list {
    ($(#[$when:meta])? [$($generics:tt)*] $type:ty => |$all:ident| $value:expr, $list:ty) => {
        $(#[$when])?
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> Samples for $type
        where
            $list: Samples,
        {
            fn count(&self) -> usize {
                let $all = self;
                <$list>::count($value)
            }
        }

        $(#[$when])?
        #[diagnostic::do_not_recommend]
        impl<T: Number, B: BatchSize, $($generics)*> Gather<T, B> for $type
        where
            $list: Gather<T, B>,
        {
            type Batch = <$list as Gather<T, B>>::Batch;

            fn batch(&self, size: B) -> Self::Batch {
                let $all = self;
                <$list>::batch($value, size)
            }

            fn gather(&self, indices: &[usize], batch: &mut Self::Batch) -> Result<(), DataError> {
                let $all = self;
                <$list>::gather($value, indices, batch)
            }
        }
    };
}

as_list!([S: ?Sized] &S => |list| *list, S);
as_list!([S, const M: usize] [S; M] => |list| &list[..], [S]);
as_list!(
    #[cfg(feature = "alloc")]
    [S] Vec<S> => |list| &list[..], [S]
);
// One number for each sample: a target of one output, or an input of one feature.
as_list!([] [f32] => |list| list.as_chunks::<1>().0, [[f32; 1]]);
as_list!([] [f64] => |list| list.as_chunks::<1>().0, [[f64; 1]]);

/// The columns of a matrix; [`from_dmatrix`](super::from_dmatrix) makes one from a `DMatrix`.
#[cfg(feature = "alloc")]
#[diagnostic::do_not_recommend]
impl<T: Number, const N: usize> Samples for Columns<T, N, Dyn> {
    fn count(&self) -> usize {
        self.ncols()
    }
}

#[cfg(feature = "alloc")]
#[diagnostic::do_not_recommend]
impl<T: Number, const N: usize, B: BatchSize> Gather<T, B> for Columns<T, N, Dyn> {
    type Batch = Columns<T, N, B>;

    fn batch(&self, size: B) -> Self::Batch {
        size.columns()
    }

    fn gather(&self, indices: &[usize], batch: &mut Self::Batch) -> Result<(), DataError> {
        check(indices, self.ncols(), batch.ncols())?;
        for (mut to, &index) in batch.column_iter_mut().zip(indices) {
            to.copy_from(&self.column(index));
        }
        Ok(())
    }
}

/// Two lists side by side, such as labels and the weights of samples for [`Weighted`](crate::Weighted). If one is longer
/// than the other, the pair has no samples.
#[diagnostic::do_not_recommend]
impl<Y: Samples, W: Samples> Samples for (Y, W) {
    fn count(&self) -> usize {
        let count = self.0.count();
        if count == self.1.count() { count } else { 0 }
    }
}

#[diagnostic::do_not_recommend]
impl<T: Number, B: BatchSize, Y: Gather<T, B>, W: Gather<T, B>> Gather<T, B> for (Y, W) {
    type Batch = (Y::Batch, W::Batch);

    fn batch(&self, size: B) -> Self::Batch {
        (self.0.batch(size), self.1.batch(size))
    }

    fn gather(&self, indices: &[usize], batch: &mut Self::Batch) -> Result<(), DataError> {
        check_below(indices, self.count())?;
        self.0.gather(indices, &mut batch.0)?;
        self.1.gather(indices, &mut batch.1)
    }
}

/// Some samples of a list, in any order. Nothing is copied.
/// [`Dataset::select`](super::Dataset::select) makes one.
///
/// For batches of [`Dyn`](nalgebra::Dyn) it allocates a list of indices each time samples are gathered.
#[derive(Debug)]
pub struct Subset<'a, S: ?Sized> {
    pub(super) samples: &'a S,
    pub(super) indices: &'a [usize],
}

impl<S: ?Sized> Clone for Subset<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ?Sized> Copy for Subset<'_, S> {}

#[cfg(feature = "alloc")]
impl<S: ?Sized> Subset<'_, S> {
    /// Copies of the samples: rows, class numbers or numbers.
    pub fn to_vec<V: Copy>(&self) -> Vec<V>
    where
        S: AsRef<[V]>,
    {
        let samples = self.samples.as_ref();
        self.indices.iter().filter_map(|&index| samples.get(index).copied()).collect()
    }
}

#[diagnostic::do_not_recommend]
impl<S: ?Sized> Samples for Subset<'_, S> {
    fn count(&self) -> usize {
        self.indices.len()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Number, B: BatchSize, S: Gather<T, B> + ?Sized> Gather<T, B> for Subset<'_, S> {
    type Batch = S::Batch;

    fn batch(&self, size: B) -> Self::Batch {
        self.samples.batch(size)
    }

    fn gather(&self, indices: &[usize], batch: &mut Self::Batch) -> Result<(), DataError> {
        let size = B::try_to_usize().unwrap_or(indices.len());
        check(indices, self.indices.len(), size)?;
        let mut inner = B::from_usize(size).samples(0);
        for (to, index) in inner.as_mut().iter_mut().zip(indices) {
            *to = self.indices.get(*index).copied().unwrap_or(usize::MAX);
        }
        self.samples.gather(inner.as_ref(), batch)
    }
}

/// Grey images of `N` pixels. It stores bytes; the numbers of a batch are the bytes divided by 255, from 0 to 1.
///
/// ```
/// use chainrule::data::{Gather, Pixels};
/// use nalgebra::Const;
///
/// let images = Pixels(vec![[0, 51], [255, 102]]);
/// let mut x = Gather::<f64, _>::batch(&images, Const::<1>);
/// images.gather(&[1], &mut x)?;
/// assert_eq!(x.as_slice(), [1.0, 0.4]);
/// # Ok::<_, chainrule::data::DataError>(())
/// ```
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels<const N: usize>(pub Vec<[u8; N]>);

#[cfg(feature = "alloc")]
#[diagnostic::do_not_recommend]
impl<const N: usize> Samples for Pixels<N> {
    fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(feature = "alloc")]
#[diagnostic::do_not_recommend]
impl<T: Number, const N: usize, B: BatchSize> Gather<T, B> for Pixels<N> {
    type Batch = Columns<T, N, B>;

    fn batch(&self, size: B) -> Self::Batch {
        size.columns()
    }

    fn gather(&self, indices: &[usize], batch: &mut Self::Batch) -> Result<(), DataError> {
        check(indices, self.0.len(), batch.ncols())?;
        let image = |&i: &usize| self.0.get(i);
        // Images at random indices are not in the cache. So the code prefetches them while it copies others.
        let ahead = indices.iter().skip(4).map(image).chain(core::iter::repeat(None));
        let batch = batch.as_mut_slice().chunks_exact_mut(N.max(1));
        for ((x, image), next) in batch.zip(indices.iter().filter_map(image)).zip(ahead) {
            kernel::prefetch(next.map_or(&[], |next| next));
            kernel::from_bytes(image, x);
        }
        Ok(())
    }
}
