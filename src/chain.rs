//! Tuples of layers are layers: each layer takes the output of the one before it.
#![allow(unsafe_code)] // of `__zeros_in!`, which is in `kernel::place`

use crate::{
    export::{Export, Source},
    params::Parameters,
    shape::{BatchSize, Buffer, Number},
    zeros::{ConstZeros, Zeros},
};
use core::{fmt, mem::MaybeUninit};

macro_rules! chain {
    (@one $($l:ident $k:tt)+) => {
        impl<T: Number, $($l: Parameters<T>),+> Parameters<T> for ($($l,)+) {
            type Gradient = ($($l::Gradient,)+);
            type With<U: Number> = ($($l::With<U>,)+);

            #[inline(always)]
            fn map_scalar<U: Number>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U> {
                ($(self.$k.map_scalar(f),)+)
            }

            parameters!(@walk T $($k: index $k => []),+);
        }

        impl<$($l: Zeros),+> Zeros for ($($l,)+) {
            #[inline]
            fn zeros() -> Self {
                ($($l::zeros(),)+)
            }

            #[inline]
            fn set_zero(&mut self) {
                $(self.$k.set_zero();)+
            }

            fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
                $crate::__zeros_in!(place: ($($k),+))
            }
        }

        impl<$($l: ConstZeros),+> ConstZeros for ($($l,)+) {
            const ZEROS: Self = ($($l::ZEROS,)+);
        }

        impl<$($l: Export),+> Export for ($($l,)+) {
            fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
                f.debug_tuple("")
                    $(.field(&Source(value.map(|chain| &chain.$k))))+
                    .finish()
            }
        }

        impl<Z: BatchSize, $($l: Buffer<Z>),+> Buffer<Z> for ($($l,)+) {
            #[inline]
            fn new(size: Z) -> Self {
                ($($l::new(size),)+)
            }
        }

        $crate::__sequence!(@bounds [($($l,)+)] [$($k $l)+] [] In, $($l)+);
    };
    // Every tuple: this one, then with the next layer added.
    ($($l:ident $k:tt)+;) => {
        chain!(@one $($l $k)+);
    };
    ($($l:ident $k:tt)+; $next:ident $n:tt $($more:tt)*) => {
        chain!(@one $($l $k)+);
        chain!($($l $k)+ $next $n; $($more)*);
    };
}

chain!(L0 0; L1 1 L2 2 L3 3 L4 4 L5 5 L6 6 L7 7 L8 8 L9 9 L10 10 L11 11);
