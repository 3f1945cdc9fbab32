//! The weight of a convolution, and of a dense layer on images.
#![allow(unsafe_code)] // of `__zeros_in!`, which is in `kernel::place`

use crate::export::{Export, Source, tuple};
use crate::{ConstZeros, Grid, Number, Role, Zeros, kernel, params::leaf};
use core::fmt;
use nalgebra::SVector;

/// A weight: `O` filters, each with one number for each pixel of an image of shape `S`.
///
/// It is a matrix with a row for each filter and a column for each pixel (channel, row, column), stored column after
/// column. So, like the weight of [`Affine`](crate::Affine), it is PyTorch's weight transposed: read row after row,
/// the matrix has the bytes of PyTorch's tensor.
#[derive(Clone, Copy)]
pub struct Filters<T: Number, S: Grid, const O: usize>(#[doc(hidden)] pub S::Of<SVector<T, O>>);

impl<T: Number, S: Grid, const O: usize> Filters<T, S, O> {
    pub(crate) const TAPS: usize = {
        let [channels, height, width] = S::SIZE;
        channels * height * width
    };

    /// The numbers: for each pixel one number of each filter.
    #[inline(always)]
    pub fn as_slice(&self) -> &[T] {
        kernel::numbers(S::elements(core::slice::from_ref(&self.0)))
    }

    /// The same, to write to.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        kernel::numbers_mut(S::elements_mut(core::slice::from_mut(&mut self.0)))
    }

    /// The numbers of one filter, pixel after pixel.
    pub fn filter(&self, filter: usize) -> impl Iterator<Item = T> {
        self.as_slice().iter().skip(filter).step_by(O.max(1)).copied()
    }

    /// Filters from numbers in PyTorch's order: filter after filter, in each pixel after pixel. `None` if there are not
    /// as many numbers.
    pub fn from_torch(numbers: &[T]) -> Option<Self> {
        let mut filters = Self::zeros();
        if numbers.len() != O * Self::TAPS {
            return None;
        }
        for (filter, numbers) in numbers.chunks_exact(Self::TAPS.max(1)).enumerate() {
            let to = filters.as_mut_slice().iter_mut().skip(filter).step_by(O.max(1));
            to.zip(numbers).for_each(|(to, &from)| *to = from);
        }
        Some(filters)
    }
}

leaf!([S: Grid, const O: usize] Filters<T, S, O>, Filters<U, S, O>, (O, Self::TAPS), Role::Weight, [], |this, f| {
    let mut to = Filters::zeros();
    to.as_mut_slice().iter_mut().zip(this.as_slice()).for_each(|(to, &from)| *to = f(from));
    to
});

impl<T: Number, S: Grid, const O: usize> Zeros for Filters<T, S, O> {
    fn zeros() -> Self {
        Filters(Zeros::zeros())
    }

    fn set_zero(&mut self) {
        self.as_mut_slice().fill(T::zero());
    }

    fn zeros_in(place: &mut core::mem::MaybeUninit<Self>) -> &mut Self {
        crate::__zeros_in!(place: 0)
    }
}

impl<T: Number, S: Grid, const O: usize> ConstZeros for Filters<T, S, O>
where
    S::Of<SVector<T, O>>: ConstZeros,
{
    const ZEROS: Self = Filters(ConstZeros::ZEROS);
}

impl<T: Number + Export, S: Grid + Export, const O: usize> Export for Filters<T, S, O>
where
    S::Of<SVector<T, O>>: Export,
{
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
        let arguments: [&dyn fmt::Debug; 3] = [&Source::<T>(None), &Source::<S>(None), &O];
        tuple(f, "::chainrule::Filters", &arguments, value.map(|filters| &filters.0))
    }
}

impl<T: Number, S: Grid, const O: usize> PartialEq for Filters<T, S, O> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: Number, S: Grid, const O: usize> fmt::Debug for Filters<T, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}
