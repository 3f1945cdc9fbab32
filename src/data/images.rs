//! Converts samples that are vectors to images.

use super::{
    error::DataError,
    samples::{Gather, Samples, check},
};
use crate::{
    image::{Images, Img, Size},
    shape::{BatchSize, Buffer, Columns, Flat, Number},
};
use core::marker::PhantomData;
use nalgebra::Const;

/// Samples of C·H·W numbers as images of the shape `S`: channel after channel, row after row. [`as_images`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct AsImages<S, X>(X, PhantomData<S>);

/// Samples of C·H·W numbers each, such as the images of an IDX file, as images of the shape `S`. Nothing is copied
/// before a batch is drawn. If a sample has another number of values, the first batch is an error.
///
/// ```
/// use chainrule::{Image, data::{Dataset, Pixels, as_images}};
/// use nalgebra::Const;
///
/// let digits = Pixels(vec![[0, 51, 102, 255]]);
/// let data = Dataset::labelled(as_images::<Image<1, 2, 2>, _>(&digits), vec![7], 10)?;
/// let (x, _) = data.batch::<f64, _>(&[0], Const::<1>)?;
/// assert_eq!(x.as_slice(), [0.0, 0.2, 0.4, 1.0]);
///
/// let wrong = Dataset::labelled(as_images::<Image<1, 3, 2>, _>(&digits), vec![7], 10)?;
/// let error = wrong.batch::<f64, _>(&[0], Const::<1>).unwrap_err();
/// assert_eq!(error.to_string(), "expected samples of 6 values each, found 4 values in all");
/// # Ok::<_, chainrule::data::DataError>(())
/// ```
pub const fn as_images<S, X>(samples: X) -> AsImages<S, X> {
    AsImages(samples, PhantomData)
}

impl<S, X: Samples> Samples for AsImages<S, X> {
    fn count(&self) -> usize {
        self.0.count()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Number, const N: usize, const C: usize, H: Size, W: Size, B: BatchSize, X> Gather<T, B>
    for AsImages<Img<C, H, W>, X>
where
    X: Gather<T, Const<1>, Batch = Columns<T, N, Const<1>>>,
{
    type Batch = Images<T, Img<C, H, W>, B>;

    fn batch(&self, size: B) -> Self::Batch {
        Buffer::new(size)
    }

    fn gather(&self, indices: &[usize], batch: &mut Self::Batch) -> Result<(), DataError> {
        let features = Img::<C, H, W>::LEN;
        check(indices, self.count(), batch.as_slice().len().checked_div(features).unwrap_or(0))?;
        if N != features {
            return Err(DataError::Values { features, found: N });
        }
        let mut sample = self.0.batch(Const);
        let images = batch.as_mut_slice().chunks_exact_mut(features.max(1));
        for (image, &index) in images.zip(indices) {
            self.0.gather(&[index], &mut sample)?;
            image.copy_from_slice(sample.as_slice());
        }
        Ok(())
    }
}
