//! The weight of a convolution, and of a dense layer on images.
#![allow(unsafe_code)] // of `__zeros_in!`, which is in `kernel::place`

use crate::export::{Export, Source, tuple};
use crate::{
    ConstZeros, Grid, Leaf, LeafMut, Number, OneLeaf, Parameters, Path, Role, Zeros, kernel,
    params::Run,
};
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

impl<T: Number, S: Grid, const O: usize> Parameters<T> for Filters<T, S, O> {
    type Gradient = Self;
    type With<U: Number> = Filters<U, S, O>;
    const COUNT: usize = O * Self::TAPS;

    fn map_scalar<U: Number>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U> {
        let mut to = Filters::zeros();
        to.as_mut_slice().iter_mut().zip(self.as_slice()).for_each(|(to, &from)| *to = f(from));
        to
    }

    #[inline]
    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        let (role, shape, values) = (Role::Weight, Self::SHAPE, self.as_slice());
        f(Leaf { path, role, shape, dims: &[], values });
    }

    #[inline(always)]
    fn visit_mut<const N: usize>(
        &mut self,
        gradient: Option<&Self>,
        mut state: [&mut Self; N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    ) {
        let (role, shape, values) = (Role::Weight, Self::SHAPE, self.as_mut_slice());
        let gradient = gradient.map_or(&[][..], |gradient| gradient.as_slice());
        let state = kernel::parts(&mut state, |tree| tree.as_mut_slice());
        f(LeafMut { path, role, shape, values, gradient, state });
    }
}

impl<T: Number, S: Grid, const O: usize> OneLeaf<T> for Filters<T, S, O> {
    type Columns<const K: usize> = Run<T, O, K>;
    const SHAPE: (usize, usize) = (O, Self::TAPS);
    const ROLE: Role = Role::Weight;

    #[inline(always)]
    fn columns<const K: usize>() -> Run<T, O, K> {
        Run::zeros()
    }

    #[inline(always)]
    fn numbers(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

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
