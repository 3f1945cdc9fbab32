//! Tuples of layers are layers: each takes what the one before it gives.
#![allow(unsafe_code)] // of `__zeros_in!`, which stands in `kernel::place`

use crate::{
    export::{Export, Source},
    layer::{Layer, Pass},
    params::{ConstZeros, Grad, Parameters, Zeros},
    shape::{Batch, BatchSize, Buffer, Scalar, Shape},
};
use core::{fmt, mem::MaybeUninit};

macro_rules! chain {
    // One tuple: all its layers; the first and the last, the others in order with the one before
    // each, and the others in reverse.
    (@one $($all:ident $k:tt),*; $first:ident $last:ident; $($l:ident $i:tt $before:ident),*;
     $($r:ident $j:tt),*) => {
        impl<T: Scalar, $($all: Parameters<T>),*> Parameters<T> for ($($all,)*) {
            type Gradient = ($($all::Gradient,)*);
            type With<U: Scalar> = ($($all::With<U>,)*);

            fn map_scalar<U: Scalar>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U> {
                ($(self.$k.map_scalar(f),)*)
            }

            parameters!(@walk T $($k: index $k),*);
        }

        impl<$($all: Zeros),*> Zeros for ($($all,)*) {
            #[inline]
            fn zeros() -> Self {
                ($($all::zeros(),)*)
            }

            #[inline]
            fn set_zero(&mut self) {
                $(self.$k.set_zero();)*
            }

            fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
                $crate::__zeros_in!(place: ($($k),*))
            }
        }

        impl<$($all: ConstZeros),*> ConstZeros for ($($all,)*) {
            const ZEROS: Self = ($($all::ZEROS,)*);
        }

        impl<$($all: Export),*> Export for ($($all,)*) {
            fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
                f.debug_tuple("")
                    $(.field(&Source(value.map(|chain| &chain.$k))))*
                    .finish()
            }
        }

        impl<Z: BatchSize, $($all: Buffer<Z>),*> Buffer<Z> for ($($all,)*) {
            #[inline]
            fn lend(size: Z) -> Self {
                ($($all::lend(size),)*)
            }
        }

        impl<T: Scalar, In: Shape, $first: Layer<T, In>, $($l: Layer<T, $before::Out>),*>
            Layer<T, In> for ($first, $($l,)*)
        {
            type Out = $last::Out;
            /// The first layer's cache; for each other one its input, the gradient on it, its cache.
            type Cache<B: BatchSize> = (
                $first::Cache<B>,
                $((Batch<T, $before::Out, B>, Batch<T, $before::Out, B>, $l::Cache<B>),)*
            );

            #[inline(always)]
            fn forward<B: BatchSize>(
                &self,
                x: &In::Batch<T, B>,
                y: &mut Batch<T, Self::Out, B>,
                cache: &mut Self::Cache<B>,
                pass: &mut Pass,
            ) {
                let (layer, lent) = (&self.0, &mut cache.0);
                $(
                    let (h, _, next) = &mut cache.$i;
                    layer.forward::<B>(x, h, lent, pass);
                    let (layer, lent, x) = (&self.$i, next, &*h);
                )*
                layer.forward::<B>(x, y, lent, pass);
            }

            #[inline(always)]
            fn predict<B: BatchSize>(&self, x: &In::Batch<T, B>, y: &mut Batch<T, Self::Out, B>) {
                let _size = In::size::<T, B>(x);
                let layer = &self.0;
                $(
                    let mut h: Batch<T, $before::Out, B> = Buffer::lend(_size);
                    layer.predict::<B>(x, &mut h);
                    let (layer, x) = (&self.$i, &h);
                )*
                layer.predict::<B>(x, y);
            }

            #[inline(always)]
            fn backward<B: BatchSize>(
                &self,
                x: &In::Batch<T, B>,
                y: &Batch<T, Self::Out, B>,
                cache: &mut Self::Cache<B>,
                dy: &Batch<T, Self::Out, B>,
                dx: Option<&mut In::Batch<T, B>>,
                mut grad: Grad<Self::Gradient>,
            ) {
                $(
                    let (h, dh, lent) = &mut cache.$j;
                    let part = grad.part(|grad| &mut grad.$j);
                    self.$j.backward::<B>(h, y, lent, dy, Some(dh), part);
                    let (y, dy) = (&*h, &*dh);
                )*
                let part = grad.part(|grad| &mut grad.0);
                self.0.backward::<B>(x, y, &mut cache.0, dy, dx, part);
            }

            #[inline(always)]
            fn descend<B: BatchSize>(
                &mut self,
                x: &In::Batch<T, B>,
                y: &Batch<T, Self::Out, B>,
                cache: &mut Self::Cache<B>,
                dy: &Batch<T, Self::Out, B>,
                dx: Option<&mut In::Batch<T, B>>,
                grad: &mut Self::Gradient,
                rate: T,
            ) {
                $(
                    let (h, dh, lent) = &mut cache.$j;
                    self.$j.descend::<B>(h, y, lent, dy, Some(dh), &mut grad.$j, rate);
                    let (y, dy) = (&*h, &*dh);
                )*
                self.0.descend::<B>(x, y, &mut cache.0, dy, dx, &mut grad.0, rate);
            }
        }
    };
    // Every tuple from here on: this one, then with the next layer added.
    ($first:ident $last:ident; $($l:ident $i:tt $b:ident),*; $($r:ident $j:tt),*;) => {
        chain!(@one $first 0 $(, $l $i)*; $first $last; $($l $i $b),*; $($r $j),*);
    };
    ($first:ident $last:ident; $($l:ident $i:tt $b:ident),*; $($r:ident $j:tt),*;
        $next:ident $n:tt $($more:tt)*) => {
        chain!(@one $first 0 $(, $l $i)*; $first $last; $($l $i $b),*; $($r $j),*);
        chain!($first $next; $($l $i $b,)* $next $n $last; $next $n $(, $r $j)*; $($more)*);
    };
}

chain!(L0 L0; ; ; L1 1 L2 2 L3 3 L4 4 L5 5 L6 6 L7 7 L8 8 L9 9 L10 10 L11 11);
