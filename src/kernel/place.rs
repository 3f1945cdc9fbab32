//! Zeros written where they are to stay, so that a layer larger than the stack can live in a box.
#![allow(unsafe_code)]

use crate::{
    shape::Number,
    zeros::{ConstZeros, Zeros},
};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::mem::{MaybeUninit, transmute_copy};
use nalgebra::{ArrayStorage, Matrix, SMatrix, SVector};
use num_traits::ConstZero;

/// Writes `value` into every entry of a matrix that holds nothing yet.
fn fill<T: Copy, const R: usize, const C: usize>(
    place: &mut MaybeUninit<SMatrix<T, R, C>>,
    value: T,
) -> &mut SMatrix<T, R, C> {
    const { assert!(size_of::<SMatrix<T, R, C>>() == R * C * size_of::<T>()) };
    let first: *mut T = place.as_mut_ptr().cast();
    for i in 0..R * C {
        // SAFETY: an `SMatrix` is its `R * C` entries and nothing else: `repr(C)` around a
        // `repr(transparent)` array, the size as asserted above.
        unsafe { first.add(i).write(value) };
    }
    // SAFETY: every entry was written.
    unsafe { place.assume_init_mut() }
}

/// The numbers of some vectors, one after the other.
#[inline(always)]
pub const fn numbers<T, const N: usize>(vectors: &[SVector<T, N>]) -> &[T] {
    const { assert!(size_of::<SVector<T, N>>() == N * size_of::<T>()) };
    // SAFETY: an `SVector` is its `N` entries and nothing else, as in `fill`; no number is of a larger alignment.
    unsafe { core::slice::from_raw_parts(vectors.as_ptr().cast(), vectors.len() * N) }
}

/// The numbers of some vectors, one after the other, to write to.
#[inline(always)]
pub const fn numbers_mut<T, const N: usize>(vectors: &mut [SVector<T, N>]) -> &mut [T] {
    const { assert!(size_of::<SVector<T, N>>() == N * size_of::<T>()) };
    // SAFETY: as in `numbers`; the vectors are borrowed as long as the numbers.
    unsafe { core::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast(), vectors.len() * N) }
}

/// Initialises `place`. `Zeros::zeros_in` is safe to implement, so it is not trusted. If it returns a `&mut Z` at this
/// address, a `Z` is there (unless `Z` has no size).
fn zero<Z: Zeros>(place: &mut MaybeUninit<Z>) {
    let there: *const Z = place.as_ptr();
    let proof: *const Z = Z::zeros_in(place);
    if size_of::<Z>() == 0 || !core::ptr::eq(proof, there) {
        by_value(place);
    }
}

/// A separate function: otherwise the caller would reserve the stack for a `Z` even if this does not run.
#[cold]
#[inline(never)]
fn by_value<Z: Zeros>(place: &mut MaybeUninit<Z>) {
    place.write(Z::zeros());
}

/// Initialises one field of a value that holds nothing yet.
///
/// # Safety
/// `field` points to memory of a `Z` that nothing else has borrowed.
#[doc(hidden)]
pub unsafe fn zero_field<Z: Zeros>(field: *mut Z) {
    // SAFETY: as the caller promises; `MaybeUninit` asks nothing of what is there.
    zero(unsafe { &mut *field.cast::<MaybeUninit<Z>>() });
}

/// The same part of each tree. `trees.each_mut().map(part)` does the same, but is compiled for each field of each
/// layer, and was a fifth of the code of a test.
#[doc(hidden)]
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "both are arrays of N")]
pub fn parts<'a, G, P: ?Sized + 'a, const N: usize>(
    trees: &'a mut [&mut G; N],
    part: impl Fn(&'a mut G) -> &'a mut P,
) -> [&'a mut P; N] {
    let mut parts = [const { MaybeUninit::uninit() }; N];
    let mut i = 0;
    while i < N {
        let tree: *mut G = trees[i];
        // SAFETY: `trees` is borrowed for `'a`, and each tree is used once.
        parts[i].write(part(unsafe { &mut *tree }));
        i += 1;
    }
    // SAFETY: all are written, and a `MaybeUninit` is as its contents.
    unsafe { transmute_copy::<[MaybeUninit<&'a mut P>; N], [&'a mut P; N]>(&parts) }
}

impl<T: Number, const R: usize, const C: usize> Zeros for SMatrix<T, R, C> {
    #[inline]
    fn zeros() -> Self {
        SMatrix::zeros()
    }

    #[inline]
    fn set_zero(&mut self) {
        self.fill(T::zero());
    }

    fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
        fill(place, T::zero())
    }
}

impl<T: Number + ConstZero, const R: usize, const C: usize> ConstZeros for SMatrix<T, R, C> {
    const ZEROS: Self = Matrix::from_array_storage(ArrayStorage([[T::ZERO; R]; C]));
}

impl<Z: Zeros, const N: usize> Zeros for [Z; N] {
    #[inline]
    fn zeros() -> Self {
        core::array::from_fn(|_| Z::zeros())
    }

    #[inline]
    fn set_zero(&mut self) {
        self.iter_mut().for_each(Z::set_zero);
    }

    fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
        let first: *mut Z = place.as_mut_ptr().cast();
        for i in 0..N {
            // SAFETY: an array is its elements; each lies in `place` and is borrowed by nobody else.
            unsafe { zero_field(first.add(i)) };
        }
        // SAFETY: every element was initialised.
        unsafe { place.assume_init_mut() }
    }
}

impl<Z: ConstZeros, const N: usize> ConstZeros for [Z; N] {
    const ZEROS: Self = [const { Z::ZEROS }; N];
}

#[cfg(feature = "alloc")]
impl<Z: Zeros> Zeros for Box<Z> {
    fn zeros() -> Self {
        let mut place = Box::<Z>::new_uninit();
        zero(&mut place);
        // SAFETY: `zero` has initialised it.
        unsafe { place.assume_init() }
    }

    fn set_zero(&mut self) {
        (**self).set_zero();
    }
}

/// The larger of two: the [`Scratch`](crate::Layer::Scratch) of a container of two layers.
#[derive(Clone, Copy)]
#[repr(C)]
pub union Larger<A: Copy, B: Copy> {
    first: A,
    second: B,
}

impl<A: Zeros + Copy, B: Copy> Zeros for Larger<A, B> {
    fn zeros() -> Self {
        Larger { first: A::zeros() }
    }

    fn set_zero(&mut self) {
        self.first = A::zeros();
    }
}

/// Room for an `S`, which holds nothing.
#[doc(hidden)]
#[repr(transparent)]
pub struct Room<S>(MaybeUninit<S>);

impl<S> Zeros for Room<S> {
    fn zeros() -> Self {
        Self::ZEROS
    }

    fn set_zero(&mut self) {}

    fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
        // SAFETY: there is nothing to initialise: any bytes are a `MaybeUninit`.
        unsafe { place.assume_init_mut() }
    }
}

impl<S> ConstZeros for Room<S> {
    const ZEROS: Self = Room(MaybeUninit::uninit());
}

/// Working memory that is lent for one call. It holds nothing until it is [`zeroed`](Self::zeroed).
pub struct Scratch<'a, S>(&'a mut MaybeUninit<S>);

impl<'a, S> Scratch<'a, S> {
    /// Lends the room.
    #[inline(always)]
    pub(crate) const fn new(room: &'a mut Room<S>) -> Self {
        Scratch(&mut room.0)
    }

    /// Lends memory of the caller's, to call a layer without a net. It may be uninitialised.
    #[inline(always)]
    pub const fn lent(place: &'a mut MaybeUninit<S>) -> Self {
        Scratch(place)
    }

    /// Lends it on.
    #[inline(always)]
    pub const fn again(&mut self) -> Scratch<'_, S> {
        Scratch(self.0)
    }

    /// The memory, all zeros.
    #[inline(always)]
    pub fn zeroed(self) -> &'a mut S
    where
        S: Zeros,
    {
        let Scratch(place) = self;
        zero(place);
        // SAFETY: `zero` has initialised it.
        unsafe { place.assume_init_mut() }
    }
}

impl<'a, A: Copy, B: Copy> Scratch<'a, Larger<A, B>> {
    /// The memory for the first.
    #[inline(always)]
    pub const fn first(self) -> Scratch<'a, A> {
        // SAFETY: the fields of a `repr(C)` union begin where it does, and it is as large as the larger.
        Scratch(unsafe { &mut *core::ptr::from_mut(self.0).cast() })
    }

    /// The memory for the second.
    #[inline(always)]
    pub const fn second(self) -> Scratch<'a, B> {
        // SAFETY: as in `first`.
        Scratch(unsafe { &mut *core::ptr::from_mut(self.0).cast() })
    }
}

/// The body of a `Zeros::zeros_in` that goes field by field: `place: weight, bias`, or for a tuple
/// `place: (0, 1)`. The pattern names the same fields, so a missing field does not compile.
#[doc(hidden)]
#[macro_export]
macro_rules! __zeros_in {
    (@any $field:tt) => { _ };
    ($place:ident: ($($field:tt),+)) => {
        $crate::__zeros_in!(@checked $place, ($($crate::__zeros_in!(@any $field),)+), $($field),+)
    };
    ($place:ident:) => {
        $place.write($crate::Zeros::zeros())
    };
    ($place:ident: $($field:tt),+ $(,)?) => {
        $crate::__zeros_in!(@checked $place, Self { $($field: _),* }, $($field),*)
    };
    (@checked $place:ident, $all:pat, $($field:tt),*) => {{
        let _all_named = |whole: &Self| {
            let $all = whole;
            // Of a packed struct there are none: its fields may lie where no `&mut` may point.
            $(let _ = &whole.$field;)+
        };
        let place: &mut ::core::mem::MaybeUninit<Self> = $place;
        let whole: *mut Self = place.as_mut_ptr();
        // SAFETY: each field lies in `place`, is borrowed by nobody else, and none is left out.
        unsafe {
            $($crate::__private::zero_field(&raw mut (*whole).$field);)*
            place.assume_init_mut()
        }
    }};
}
