//! Zeros written where they are to stay, so that a layer larger than the stack can live in a box.
#![allow(unsafe_code)]

use crate::params::Zeros;
use core::mem::MaybeUninit;
use nalgebra::SMatrix;

/// Writes `value` into every entry of a matrix that holds nothing yet.
pub fn fill<T: Copy, const R: usize, const C: usize>(
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

/// Zeros on the heap, whatever their size.
#[cfg(feature = "alloc")]
pub fn boxed<Z: Zeros>() -> alloc::boxed::Box<Z> {
    let mut place = alloc::boxed::Box::<Z>::new_uninit();
    zero(&mut place);
    // SAFETY: `zero` has initialised it.
    unsafe { place.assume_init() }
}

/// Initialises `place`. `Zeros::zeros_in` is safe to implement and so not trusted: that it returns
/// a `&mut Z` to this very address proves that a `Z` is there, unless a `Z` takes no room.
fn zero<Z: Zeros>(place: &mut MaybeUninit<Z>) {
    let there: *const Z = place.as_ptr();
    let proof: *const Z = Z::zeros_in(place);
    if size_of::<Z>() == 0 || !core::ptr::eq(proof, there) {
        by_value(place);
    }
}

/// In a function of its own, as it takes the stack of a `Z` whether that is run or not.
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

/// The body of a `Zeros::zeros_in` that goes field by field: `place: weight, bias`, or for a tuple
/// `place: (0, 1)`. The pattern is made of the same fields, so that to leave one out does not compile.
#[doc(hidden)]
#[macro_export]
macro_rules! __zeros_in {
    (@any $field:tt) => { _ };
    ($place:ident: ($($field:tt),+)) => {
        $crate::__zeros_in!(@checked $place, ($($crate::__zeros_in!(@any $field),)+), $($field),+)
    };
    ($place:ident: $($field:tt),+) => {
        $crate::__zeros_in!(@checked $place, Self { $($field: _),+ }, $($field),+)
    };
    (@checked $place:ident, $all:pat, $($field:tt),+) => {{
        let _all_named = |whole: &Self| {
            let $all = whole;
            // Of a packed struct there are none: its fields may lie where no `&mut` may point.
            $(let _ = &whole.$field;)+
        };
        let place: &mut ::core::mem::MaybeUninit<Self> = $place;
        let whole: *mut Self = place.as_mut_ptr();
        // SAFETY: each field lies in `place`, is borrowed by nobody else, and none is left out.
        unsafe {
            $($crate::kernel::zero_field(&raw mut (*whole).$field);)+
            place.assume_init_mut()
        }
    }};
}
