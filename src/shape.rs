//! Shapes of one sample, sizes of a batch, and the memory of a batch.

use crate::zeros::{ConstZeros, Zeros};
use nalgebra::{ArrayStorage, Const, Dim, IsContiguous, Matrix, RawStorageMut, RealField, SMatrix};
#[cfg(feature = "alloc")]
use {
    alloc::{boxed::Box, vec, vec::Vec},
    nalgebra::{Dyn, OMatrix, VecStorage},
};

/// The numbers that a layer computes with: any [`RealField`] that is `Copy`, such as `f32`, `f64` or a dual
/// number.
///
/// The fixed-point numbers of simba are `RealField` too, but their `tanh`, `ln` and some other functions
/// panic. With them use only `Affine`, `Relu` and the squared error.
pub trait Number: RealField + Copy {}

impl<T: RealField + Copy> Number for T {}

/// Converts a count to a number; NaN if `T` cannot represent it.
pub(crate) fn number<T: Number>(count: usize) -> T {
    num_traits::FromPrimitive::from_usize(count).unwrap_or_else(nan)
}

/// Not a number, in any scalar.
pub(crate) fn nan<T: Number>() -> T {
    T::zero() / T::zero()
}

/// The number of samples in a batch. For [`Const<B>`](Const) it is known at compile time, and the batch is
/// stored inline. For [`Dyn`](nalgebra::Dyn) it is known at run time, and the batch is stored on the heap.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a batch size: write `Const::<32>`, or `Dyn(32)` with the feature `alloc`",
    label = "not a batch size",
    note = "`Const` and `Dyn` are nalgebra's: `use nalgebra::{{Const, Dyn}};`"
)]
pub trait BatchSize: Dim {
    /// The storage of `Self` columns of `N` features.
    type Storage<T: Number, const N: usize>: RawStorageMut<T, Const<N>, Self>
        + IsContiguous
        + Clone
        + core::fmt::Debug;
    /// One value of any type for each sample: `[S; B]` or a `Vec<S>`.
    type Samples<S: Copy>: AsRef<[S]> + AsMut<[S]> + Clone;

    /// Memory for a value whose size does not depend on the batch: an `S` inline, or for `Dyn` a `Box<S>`.
    type Place<S: Zeros>: Zeros + AsMut<S>;

    /// `Self` columns of zeros.
    fn columns<T: Number, const N: usize>(self) -> Columns<T, N, Self>;

    /// The same value for each sample.
    fn samples<S: Copy>(self, value: S) -> Self::Samples<S>;
}

/// A value stored inline.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Inline<S>(pub S);

impl<S> AsMut<S> for Inline<S> {
    #[inline(always)]
    fn as_mut(&mut self) -> &mut S {
        &mut self.0
    }
}

impl<S: Zeros> Zeros for Inline<S> {
    fn zeros() -> Self {
        Inline(S::zeros())
    }

    fn set_zero(&mut self) {
        self.0.set_zero();
    }
}

impl<S: ConstZeros> ConstZeros for Inline<S> {
    const ZEROS: Self = Inline(S::ZEROS);
}

/// A batch of vectors, one sample per column: an `SMatrix<T, N, B>`, or for `Dyn` an
/// `OMatrix<T, Const<N>, Dyn>`.
pub type Columns<T, const N: usize, B> = Matrix<T, Const<N>, B, <B as BatchSize>::Storage<T, N>>;

/// The class of each sample of a batch: `[usize; B]`, or for `Dyn` a `Vec<usize>`.
pub type Labels<B> = <B as BatchSize>::Samples<usize>;

impl<const B: usize> BatchSize for Const<B> {
    type Storage<T: Number, const N: usize> = ArrayStorage<T, N, B>;
    type Samples<S: Copy> = [S; B];
    type Place<S: Zeros> = Inline<S>;

    #[inline]
    fn columns<T: Number, const N: usize>(self) -> Columns<T, N, Self> {
        SMatrix::from_array_storage(ArrayStorage([[T::zero(); N]; B]))
    }

    #[inline]
    fn samples<S: Copy>(self, value: S) -> [S; B] {
        [value; B]
    }
}

#[cfg(feature = "alloc")]
impl BatchSize for Dyn {
    type Storage<T: Number, const N: usize> = VecStorage<T, Const<N>, Dyn>;
    type Samples<S: Copy> = Vec<S>;
    type Place<S: Zeros> = Box<S>;

    fn columns<T: Number, const N: usize>(self) -> Columns<T, N, Self> {
        // The allocator refuses a count that is larger than the address space.
        let count = N.saturating_mul(self.0);
        // For large sizes the system gives memory that is already zero, so this writes nothing.
        OMatrix::from_vec_generic(Const::<N>, self, vec![T::zero(); count])
    }

    fn samples<S: Copy>(self, value: S) -> Vec<S> {
        vec![value; self.0]
    }
}

/// Memory for a batch of `B` samples: a layer's cache, and the values between layers.
///
/// [`buffer!`](crate::buffer) implements it for a struct.
pub trait Buffer<B: BatchSize>: Clone {
    /// Memory for a batch of `size`, all zeros; on the heap if `B` is [`Dyn`](nalgebra::Dyn).
    fn new(size: B) -> Self;
}

impl<T: Number, const N: usize, B: BatchSize> Buffer<B> for Columns<T, N, B> {
    #[inline]
    fn new(size: B) -> Self {
        size.columns()
    }
}

impl<S: Buffer<B>, B: BatchSize, const N: usize> Buffer<B> for [S; N] {
    #[inline]
    fn new(size: B) -> Self {
        core::array::from_fn(|_| S::new(size))
    }
}

macro_rules! plain_buffers {
    ($($t:ty)*) => { $(
        impl<B: BatchSize> Buffer<B> for $t {
            #[inline]
            fn new(_: B) -> Self {
                Zeros::zeros()
            }
        }
    )* };
}
plain_buffers!(() f32 f64 bool u32 u64 usize Option<u64>);

impl<S: Zeros + Clone, B: BatchSize> Buffer<B> for Inline<S> {
    #[inline]
    fn new(_: B) -> Self {
        Inline(S::zeros())
    }
}

/// The purpose of a forward pass, as a type: [`ToTrain`] or [`ToPredict`]. Memory that only a backward pass reads
/// exists only in training.
pub trait Purpose: sealed::Sealed + 'static {
    /// `M` in training, `()` in a prediction.
    type InTraining<B: BatchSize, M: Buffer<B>>: Buffer<B>;
    #[doc(hidden)]
    const TRAINS: bool;

    /// The memory in training; `None` in a prediction.
    fn kept<B: BatchSize, M: Buffer<B>>(memory: &mut Self::InTraining<B, M>) -> Option<&mut M>;
}

mod sealed {
    pub trait Sealed {}
}

/// A backward pass may follow.
#[derive(Clone, Copy, Debug)]
pub struct ToTrain;

/// No backward pass follows.
#[derive(Clone, Copy, Debug)]
pub struct ToPredict;

impl sealed::Sealed for ToTrain {}
impl sealed::Sealed for ToPredict {}

impl Purpose for ToTrain {
    type InTraining<B: BatchSize, M: Buffer<B>> = M;
    const TRAINS: bool = true;

    #[inline(always)]
    fn kept<B: BatchSize, M: Buffer<B>>(memory: &mut M) -> Option<&mut M> {
        Some(memory)
    }
}

impl Purpose for ToPredict {
    type InTraining<B: BatchSize, M: Buffer<B>> = ();
    const TRAINS: bool = false;

    #[inline(always)]
    fn kept<B: BatchSize, M: Buffer<B>>((): &mut ()) -> Option<&mut M> {
        None
    }
}

/// The shape of one sample, as a type. The batch of such samples is an associated type.
pub trait Shape: Sized + 'static {
    /// A batch of `B` samples.
    type Batch<T: Number, B: BatchSize>: Buffer<B> + AsBatch<T, Self, Size = B>;

    /// The number of samples in a batch.
    fn size<T: Number, B: BatchSize>(x: &Self::Batch<T, B>) -> B;
}

/// A batch of samples of shape `S` that knows its size.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a batch of samples of shape `{S}`: a batch is a matrix of `{T}` with one column per sample",
    label = "not a batch",
    note = "of constant size: `SMatrix<T, N, B>`, from an array by `SMatrix::from_column_slice(&array)`",
    note = "of run-time size: `data::from_dmatrix::<T, N>(matrix)?`"
)]
pub trait AsBatch<T: Number, S: Shape> {
    /// The number of samples.
    type Size: BatchSize;

    /// The batch.
    fn as_batch(&self) -> &S::Batch<T, Self::Size>;
}

/// A shape whose batches lie in one contiguous slice, sample after sample.
pub trait Flat: Shape {
    /// The numbers of one sample.
    const LEN: usize;

    /// All numbers of a batch.
    fn flat<T: Number, B: BatchSize>(x: &Self::Batch<T, B>) -> &[T];

    /// All numbers of a batch, to write to.
    fn flat_mut<T: Number, B: BatchSize>(x: &mut Self::Batch<T, B>) -> &mut [T];
}

/// A batch of `B` samples of shape `S`.
pub type Batch<T, S, B> = <S as Shape>::Batch<T, B>;

macro_rules! vectors {
    ($($(#[$doc:meta])* $name:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<const N: usize>;

        impl<const N: usize> Shape for $name<N> {
            type Batch<T: Number, B: BatchSize> = Columns<T, N, B>;

            #[inline(always)]
            fn size<T: Number, B: BatchSize>(x: &Columns<T, N, B>) -> B {
                x.shape_generic().1
            }
        }

        impl<const N: usize> Flat for $name<N> {
            const LEN: usize = N;

            #[inline(always)]
            fn flat<T: Number, B: BatchSize>(x: &Columns<T, N, B>) -> &[T] {
                x.as_slice()
            }

            #[inline(always)]
            fn flat_mut<T: Number, B: BatchSize>(x: &mut Columns<T, N, B>) -> &mut [T] {
                x.as_mut_slice()
            }
        }

        impl<const N: usize> Scores<N> for $name<N> {}

        #[diagnostic::do_not_recommend]
        impl<T: Number, const N: usize, B: BatchSize> AsBatch<T, $name<N>> for Columns<T, N, B> {
            type Size = B;

            #[inline(always)]
            fn as_batch(&self) -> &Self {
                self
            }
        }
    )* };
}

/// One number for each of `N` classes. The class with the largest number is the prediction.
pub trait Scores<const N: usize>: Flat {}

vectors! {
    /// A vector of `N` features. Its batches are [`Columns`].
    D1;
    /// `N` probabilities, the output of a [`Softmax`](crate::Softmax) layer. Its batches are [`Columns`]. This shape
    /// differs from `D1`, so that a loss that contains a softmax cannot follow a `Softmax` layer.
    Probabilities;
}
