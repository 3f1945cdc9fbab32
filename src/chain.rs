//! Tuples of layers are layers: each takes what the one before it gives.
#![allow(unsafe_code)] // of `__zeros_in!`, which stands in `kernel::place`

use crate::{
    export::{Export, Source},
    grad::{Destination, Grad},
    init::Gain,
    kernel::Larger,
    layer::{Backward, Forward, Layer},
    params::Parameters,
    shape::{Batch, BatchSize, Buffer, Purpose, Scalar, Shape},
    zeros::{ConstZeros, Zeros},
};
use core::{fmt, mem::MaybeUninit};
use rand::Rng;

macro_rules! chain {
    // One tuple: all its layers; the first and the last; the others in order, each with its number, the
    // layer before it, and the way to its scratch; and the others in reverse.
    (@one $($all:ident $k:tt),*; $first:ident $last:ident $scratch:tt;
     $($l:ident $i:tt $before:ident [$($way:ident)*]),*; $($r:ident $j:tt [$($back:ident)*]),*) => {
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
            fn new(size: Z) -> Self {
                ($($all::new(size),)*)
            }
        }

        impl<T: Scalar, In: Shape, $first: Layer<T, In>, $($l: Layer<T, $before::Out>),*>
            Layer<T, In> for ($first, $($l,)*)
        {
            type Out = $last::Out;
            /// The first layer's cache; for each other one its input, the gradient on it, its cache.
            type Cache<B: BatchSize, P: Purpose> = (
                $first::Cache<B, P>,
                $((
                    Batch<T, $before::Out, B>,
                    P::InTraining<B, Batch<T, $before::Out, B>>,
                    $l::Cache<B, P>,
                ),)*
            );
            type Scratch = chain!(@larger $($all)*);
            const GAIN: Option<Gain> = {
                let gain = None;
                $(let gain = if gain.is_some() { gain } else { $all::GAIN };)*
                gain
            };

            #[inline(always)]
            fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, In, Self, B, P>) {
                let Forward { x, y, cache, mut scratch, pass } = at;
                let (layer, kept, lent) = (&self.0, &mut cache.0, scratch.again().first());
                $(
                    let (h, _, next) = &mut cache.$i;
                    layer.forward::<B, P>(Forward { x, y: h, cache: kept, scratch: lent, pass });
                    let (layer, kept, x) = (&self.$i, next, &*h);
                    let lent = scratch.again()$(.$way())*.first();
                )*
                layer.forward::<B, P>(Forward { x, y, cache: kept, scratch: lent, pass });
            }

            #[allow(unused_mut, reason = "of one layer")]
            #[inline(always)]
            fn backward<B: BatchSize, D: Destination<T>>(
                mut this: Grad<T, Self, D>,
                at: Backward<T, In, Self, B>,
            ) {
                let Backward { x, y, cache, mut scratch, dy, dx } = at;
                // The first layer that anything is wanted of: what lies before it need not run.
                let mut end = if dx.is_some() { 0 } else { usize::MAX };
                $(
                    if <$all::Gradient as Parameters<T>>::COUNT > 0 {
                        end = end.min($k);
                    }
                )*
                $(
                    let (h, dh, kept) = &mut cache.$j;
                    if $j >= end {
                        let dx = if $j > end { Some(&mut *dh) } else { None };
                        $r::backward::<B, D>($crate::part!(this.$j), Backward {
                            x: h, y, cache: kept, scratch: scratch.again()$(.$back())*.first(), dy, dx,
                        });
                    }
                    let (y, dy) = (&*h, &*dh);
                )*
                if end == 0 {
                    let (cache, scratch) = (&mut cache.0, scratch.first());
                    $first::backward::<B, D>($crate::part!(this.0), Backward {
                        x, y, cache, scratch, dy, dx,
                    });
                }
            }

            fn init<R: Rng + ?Sized>(&mut self, next: Gain, rng: &mut R) {
                let gains = [$($all::GAIN),*];
                $(
                    let follows = gains.iter().skip($k + 1).find_map(|gain| *gain);
                    self.$k.init(follows.unwrap_or(next), rng);
                )*
            }
        }
    };
    (@larger $l:ident) => { Larger<$l::Scratch, ()> };
    (@larger $l:ident $($more:ident)+) => { Larger<$l::Scratch, chain!(@larger $($more)+)> };
    // Every tuple from here on: this one, then with the next layer added.
    ($first:ident $last:ident [$($way:ident)*]; $($l:ident $i:tt $b:ident $w:tt),*; $($r:ident $j:tt $v:tt),*;) => {
        chain!(@one $first 0 $(, $l $i)*; $first $last []; $($l $i $b $w),*; $($r $j $v),*);
    };
    ($first:ident $last:ident [$($way:ident)*]; $($l:ident $i:tt $b:ident $w:tt),*; $($r:ident $j:tt $v:tt),*;
        $next:ident $n:tt $($more:tt)*) => {
        chain!(@one $first 0 $(, $l $i)*; $first $last []; $($l $i $b $w),*; $($r $j $v),*);
        chain!($first $next [$($way)* second];
            $($l $i $b $w,)* $next $n $last [$($way)* second];
            $next $n [$($way)* second] $(, $r $j $v)*; $($more)*);
    };
}

chain!(L0 L0 []; ; ; L1 1 L2 2 L3 3 L4 4 L5 5 L6 6 L7 7 L8 8 L9 9 L10 10 L11 11);
