//! Shapes of one sample, sizes of a batch, and the memory that a batch of samples lies in.

use nalgebra::{ArrayStorage, Const, Dim, IsContiguous, Matrix, RawStorageMut, RealField, SMatrix};
#[cfg(feature = "alloc")]
use {
    alloc::{vec, vec::Vec},
    nalgebra::{Dyn, OMatrix, VecStorage},
};

/// What a layer computes with: any [`RealField`] that is `Copy`, such as `f32`, `f64` or a dual
/// number.
///
/// simba's fixed-point numbers are `RealField` too, but their `tanh`, `ln` and some others panic:
/// with them keep to `Affine`, `Relu` and the squared error.
pub trait Scalar: RealField + Copy {}

impl<T: RealField + Copy> Scalar for T {}

/// A count as a number; NaN if `T` cannot say it.
pub(crate) fn number<T: Scalar>(count: usize) -> T {
    num_traits::FromPrimitive::from_usize(count).unwrap_or_else(nan)
}

/// Not a number, in any scalar.
pub(crate) fn nan<T: Scalar>() -> T {
    T::zero() / T::zero()
}

/// The number of samples in a batch: [`Const<B>`](Const), known at compile time and stored inline,
/// or [`Dyn`](nalgebra::Dyn), known at run time and stored on the heap.
pub trait BatchSize: Dim {
    /// The storage of `Self` columns of `N` features.
    type Storage<T: Scalar, const N: usize>: RawStorageMut<T, Const<N>, Self>
        + IsContiguous
        + Clone
        + core::fmt::Debug;
    /// `Self` values of any other kind: `[S; B]` or a `Vec<S>`.
    type Samples<S: Copy>: AsRef<[S]> + AsMut<[S]> + Clone;

    /// `Self` columns of zeros.
    fn columns<T: Scalar, const N: usize>(self) -> Columns<T, N, Self>;

    /// `Self` times the same value.
    fn samples<S: Copy>(self, value: S) -> Self::Samples<S>;
}

/// A batch of vectors, one sample a column: an `SMatrix<T, N, B>`, or for `Dyn` an
/// `OMatrix<T, Const<N>, Dyn>`.
pub type Columns<T, const N: usize, B> = Matrix<T, Const<N>, B, <B as BatchSize>::Storage<T, N>>;

/// The class of each sample of a batch: `[usize; B]`, or for `Dyn` a `Vec<usize>`.
pub type Labels<B> = <B as BatchSize>::Samples<usize>;

impl<const B: usize> BatchSize for Const<B> {
    type Storage<T: Scalar, const N: usize> = ArrayStorage<T, N, B>;
    type Samples<S: Copy> = [S; B];

    #[inline]
    fn columns<T: Scalar, const N: usize>(self) -> Columns<T, N, Self> {
        SMatrix::from_array_storage(ArrayStorage([[T::zero(); N]; B]))
    }

    #[inline]
    fn samples<S: Copy>(self, value: S) -> [S; B] {
        [value; B]
    }
}

#[cfg(feature = "alloc")]
impl BatchSize for Dyn {
    type Storage<T: Scalar, const N: usize> = VecStorage<T, Const<N>, Dyn>;
    type Samples<S: Copy> = Vec<S>;

    fn columns<T: Scalar, const N: usize>(self) -> Columns<T, N, Self> {
        // Zeros that nobody need write: memory comes as such where there is much of it.
        OMatrix::from_vec_generic(Const::<N>, self, vec![T::zero(); N * self.0])
    }

    fn samples<S: Copy>(self, value: S) -> Vec<S> {
        vec![value; self.0]
    }
}

/// Memory that a caller lends for a batch of `B`: caches, and what flows between layers.
pub trait Buffer<B: BatchSize>: Clone {
    /// Memory for a batch of `size`.
    fn lend(size: B) -> Self;
}

impl<B: BatchSize> Buffer<B> for () {
    #[inline]
    fn lend(_: B) {}
}

impl<T: Scalar, const N: usize, B: BatchSize> Buffer<B> for Columns<T, N, B> {
    #[inline]
    fn lend(size: B) -> Self {
        size.columns()
    }
}

/// The shape of one sample, as a type; a batch of such samples is an associated type.
pub trait Shape: 'static {
    /// A batch of `B` samples.
    type Batch<T: Scalar, B: BatchSize>: Buffer<B>;

    /// The number of samples in a batch.
    fn size<T: Scalar, B: BatchSize>(x: &Self::Batch<T, B>) -> B;
}

/// A shape whose batches are one run of numbers, sample after sample.
pub trait Flat: Shape {
    /// The numbers of one sample.
    const LEN: usize;

    /// All numbers of a batch.
    fn flat<T: Scalar, B: BatchSize>(x: &Self::Batch<T, B>) -> &[T];

    /// All numbers of a batch, to write to.
    fn flat_mut<T: Scalar, B: BatchSize>(x: &mut Self::Batch<T, B>) -> &mut [T];
}

/// A batch of `B` samples of shape `S`.
pub type Batch<T, S, B> = <S as Shape>::Batch<T, B>;

/// A vector of `N` features. Its batches are [`Columns`].
#[derive(Clone, Copy, Debug)]
pub struct D1<const N: usize>;

impl<const N: usize> Shape for D1<N> {
    type Batch<T: Scalar, B: BatchSize> = Columns<T, N, B>;

    #[inline]
    fn size<T: Scalar, B: BatchSize>(x: &Columns<T, N, B>) -> B {
        x.shape_generic().1
    }
}

impl<const N: usize> Flat for D1<N> {
    const LEN: usize = N;

    #[inline]
    fn flat<T: Scalar, B: BatchSize>(x: &Columns<T, N, B>) -> &[T] {
        x.as_slice()
    }

    #[inline]
    fn flat_mut<T: Scalar, B: BatchSize>(x: &mut Columns<T, N, B>) -> &mut [T] {
        x.as_mut_slice()
    }
}
