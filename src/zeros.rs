//! Values that can be all zeros, at run time and at compile time.

use core::{marker::PhantomData, mem::MaybeUninit};

/// A value whose numbers can all be zero: a gradient, optimizer state, a layer before it has weights.
///
/// ```
/// use chainrule::{Affine, Zeros};
/// // 64 MB, made on the heap. They are never on the stack.
/// let layer = Box::<Affine<f32, 4096, 4096>>::zeros();
/// assert_eq!(layer.weight[(4095, 4095)], 0.0);
/// ```
pub trait Zeros: Sized {
    /// All zeros.
    fn zeros() -> Self;

    /// Sets all numbers to zero. The settings of a layer do not change.
    fn set_zero(&mut self);

    /// Writes zeros into `place` and returns the value there. The default builds one `Self` on the stack.
    fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
        place.write(Self::zeros())
    }
}

/// A value of zeros that is known at compile time. A `static` can start with it: layers, gradients, a
/// [`Workspace`](crate::Workspace) for batches of constant size.
///
/// ```
/// use chainrule::{Affine, ConstZeros};
/// static LAYER: Affine<f32, 8, 4> = Affine::ZEROS;
/// ```
pub trait ConstZeros {
    /// All zeros.
    const ZEROS: Self;
}

/// The types of `keep` fields, and `()`.
macro_rules! zeros {
    ($($t:ty = $zero:expr $(, $of:ident)?;)*) => { $(
        impl $(<$of>)? Zeros for $t {
            #[inline]
            fn zeros() -> Self {
                $zero
            }

            #[inline]
            fn set_zero(&mut self) {
                *self = $zero;
            }
        }

        impl $(<$of>)? ConstZeros for $t {
            const ZEROS: Self = $zero;
        }
    )* };
}
zeros! {
    () = (); f32 = 0.0; f64 = 0.0; bool = false;
    u8 = 0; u16 = 0; u32 = 0; u64 = 0; usize = 0; i32 = 0; i64 = 0;
    Option<V> = None, V; PhantomData<V> = PhantomData, V;
}
