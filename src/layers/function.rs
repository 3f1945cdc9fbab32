//! Code for layers without parameters, which are functions of their input.

/// Implements `Layer` by two functions on the numbers of a batch, sample after sample. The second one computes dx and
/// runs only if the caller needs dx. Batches of different sizes give NaN.
///
/// Other functions of the trait may follow.
///
/// A random layer also names its `seed`, which is the only value that it keeps for the backward pass.
macro_rules! function {
    ([$($generics:tt)*] $layer:ty, $in:ty => $out:ty, $gain:expr,
        ($this:ident, $x:ident, $y:ident, $dy:ident, $dx:ident) $forward:expr, $backward:expr
        $(; $($more:item)*)?) => {
        function!(@layer [$($generics)*] $layer, $in => $out, $gain, ((), |_| (), _seed)
            ($this, $x, $y, $dy, $dx) $forward, $backward;
            const BY_SAMPLE: bool = cfg!(feature = "std");

            #[inline(always)]
            #[allow(unused_variables)]
            fn forward_some<B: $crate::BatchSize>(
                &self,
                block: &$crate::block::Block,
                x: &$crate::Batch<T, $in, B>,
                y: &mut $crate::Batch<T, $out, B>,
                _: $crate::Scratch<()>,
            ) {
                let ($this, ($x, $y)) = (self, block.forward::<T, $in, $out, B>(x, y));
                $forward;
            }
            $($($more)*)?);
    };
    ([$($generics:tt)*] $layer:ty, $in:ty => $out:ty, $gain:expr,
        ($this:ident, $seed:ident, $x:ident, $y:ident, $dy:ident, $dx:ident) $forward:expr, $backward:expr
        $(; $($more:item)*)?) => {
        function!(@layer [$($generics)*] $layer, $in => $out, $gain, (Option<u64>, $crate::Pass::seed, $seed)
            ($this, $x, $y, $dy, $dx) $forward, $backward; $($($more)*)?);
    };
    (@layer [$($generics:tt)*] $layer:ty, $in:ty => $out:ty, $gain:expr, ($cache:ty, $draw:expr, $seed:ident)
        ($this:ident, $x:ident, $y:ident, $dy:ident, $dx:ident) $forward:expr, $backward:expr; $($more:item)*) => {
        impl<T: $crate::Number, $($generics)*> $crate::Layer<T, $in> for $layer {
            type Out = $out;
            type Cache<B: $crate::BatchSize, Q: $crate::Purpose> = $cache;
            type Scratch = ();
            const GAIN: Option<$crate::init::Gain> = $gain;

            #[inline(always)]
            #[allow(unused_variables)]
            fn forward<B: $crate::BatchSize, Q: $crate::Purpose>(
                &self,
                at: $crate::Forward<T, $in, Self, B, Q>,
            ) {
                let $this = self;
                let $x = <$in as $crate::Flat>::flat::<T, B>(at.x);
                let $y = <$out as $crate::Flat>::flat_mut::<T, B>(at.y);
                *at.cache = $draw(at.pass);
                let $seed = *at.cache;
                if $crate::layers::function::samples::<T, $in>($x) != $crate::layers::function::samples::<T, $out>($y) {
                    return $y.fill($crate::shape::nan());
                }
                $forward;
            }

            #[inline(always)]
            #[allow(unused_variables)]
            fn backward<B: $crate::BatchSize, D: $crate::Destination<T>>(
                this: $crate::Grad<T, Self, D>,
                at: $crate::Backward<T, $in, Self, B>,
            ) {
                let Some(dx) = at.dx else { return };
                let ($this, $seed) = (&*this, *at.cache);
                let $x = <$in as $crate::Flat>::flat::<T, B>(at.x);
                let $y = <$out as $crate::Flat>::flat::<T, B>(at.y);
                let $dy = <$out as $crate::Flat>::flat::<T, B>(at.dy);
                let $dx = <$in as $crate::Flat>::flat_mut::<T, B>(dx);
                if ($x.len(), $y.len()) != ($dx.len(), $dy.len()) {
                    return $dx.fill($crate::shape::nan());
                }
                $backward;
            }

            $($more)*
        }
    };
}

/// [`function!`] of a struct with settings, from any flat shape to the same shape.
macro_rules! elementwise {
    ($name:ident { $($keep:ident)* } $gain:expr, $arguments:tt $forward:expr, $backward:expr) => {
        parameters!($name { $(keep $keep),* });
        function!([S: $crate::Flat] $name, S => S, $gain, $arguments $forward, $backward);
    };
}

use crate::shape::{Flat, Number};

/// The number of samples of shape S in these numbers. 0 for a shape without numbers.
#[inline(always)]
pub(super) const fn samples<T: Number, S: Flat>(numbers: &[T]) -> Option<usize> {
    numbers.len().checked_div(S::LEN)
}

/// yᵢ = f(xᵢ). A loop, because the closure of a `for_each` may become a function without the features of the CPU.
#[inline(always)]
pub(super) fn each<T: Number>(x: &[T], y: &mut [T], f: impl Fn(T) -> T) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

/// dxᵢ = dyᵢ·slope(xᵢ).
#[inline(always)]
pub(super) fn each_back<T: Number>(x: &[T], dy: &[T], dx: &mut [T], slope: impl Fn(T) -> T) {
    for (dx, (&x, &dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
        *dx = dy * slope(x);
    }
}
