//! Writes zeros in place, so that a box can hold a layer that is larger than the stack. Also scratch memory.
#![allow(unsafe_code)]

use crate::{
    shape::Scalar,
    zeros::{ConstZeros, Zeros},
};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::mem::MaybeUninit;
use nalgebra::{ArrayStorage, Matrix, SMatrix};
use num_traits::ConstZero;

/// Writes `value` into every entry of an uninitialised matrix.
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

/// Initialises `place`. `Zeros::zeros_in` is safe to implement, so it cannot be trusted. If it returns a `&mut Z` to
/// this address, that proves that a `Z` is there, except if the size of `Z` is 0.
fn zero<Z: Zeros>(place: &mut MaybeUninit<Z>) {
    let there: *const Z = place.as_ptr();
    let proof: *const Z = Z::zeros_in(place);
    if size_of::<Z>() == 0 || !core::ptr::eq(proof, there) {
        by_value(place);
    }
}

/// A separate function, because it needs stack for a `Z` even if this line is not reached.
#[cold]
#[inline(never)]
fn by_value<Z: Zeros>(place: &mut MaybeUninit<Z>) {
    place.write(Z::zeros());
}

/// Initialises one field of an uninitialised value.
///
/// # Safety
/// `field` points to memory of a `Z` that nothing else has borrowed.
#[doc(hidden)]
pub unsafe fn zero_field<Z: Zeros>(field: *mut Z) {
    // SAFETY: the caller promises it, and any bytes are a valid `MaybeUninit`.
    zero(unsafe { &mut *field.cast::<MaybeUninit<Z>>() });
}

impl<T: Scalar, const R: usize, const C: usize> Zeros for SMatrix<T, R, C> {
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

impl<T: Scalar + ConstZero, const R: usize, const C: usize> ConstZeros for SMatrix<T, R, C> {
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

/// Memory that is as large as the larger of two types, for one or the other.
#[doc(hidden)]
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

/// Uninitialised memory for an `S`.
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

/// Working memory for one call. It is uninitialised until [`zeroed`](Self::zeroed) is called.
pub struct Scratch<'a, S>(&'a mut MaybeUninit<S>);

impl<'a, S> Scratch<'a, S> {
    /// Lends this memory.
    #[inline(always)]
    pub(crate) const fn new(room: &'a mut Room<S>) -> Self {
        Scratch(&mut room.0)
    }

    /// Lends memory of the caller, to call a layer without a net. It may be uninitialised.
    #[inline(always)]
    pub const fn lent(place: &'a mut MaybeUninit<S>) -> Self {
        Scratch(place)
    }

    /// Lends it to an inner call.
    #[inline(always)]
    pub const fn again(&mut self) -> Scratch<'_, S> {
        Scratch(self.0)
    }

    /// The memory, set to zeros.
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
    /// The memory as the first type.
    #[inline(always)]
    pub const fn first(self) -> Scratch<'a, A> {
        // SAFETY: the fields of a `repr(C)` union begin where it does, and it is as large as the larger.
        Scratch(unsafe { &mut *core::ptr::from_mut(self.0).cast() })
    }

    /// The memory as the second type.
    #[inline(always)]
    pub const fn second(self) -> Scratch<'a, B> {
        // SAFETY: as in `first`.
        Scratch(unsafe { &mut *core::ptr::from_mut(self.0).cast() })
    }
}

/// The body of a `Zeros::zeros_in`, field by field: `place: weight, bias`, or for a tuple `place: (0, 1)`. It builds a
/// pattern from the same fields, so a missing field does not compile.
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
            // This does not compile for a packed struct, whose fields may be unaligned for a `&mut`.
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
