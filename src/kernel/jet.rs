//! The scalar with derivatives, and its kernels: products by weights that are constants, and functions whose values come
//! from the SIMD kernels.
#![allow(unsafe_code)]

use super::{Size, is_product, same_batch};
use crate::shape::Number;
use core::any::TypeId;
use nalgebra::SimdValue;

/// A number and its derivatives along `K` directions: u + Σ uₖ·εₖ, where each product of two ε is 0.
///
/// A layer runs on it as on any scalar, and its outputs then contain exact derivatives. For second derivatives the
/// parts are jets too: `Jet<Jet<f64, 1>, 1>`. Comparisons use only the value.
///
/// ```
/// use chainrule::Jet;
/// use nalgebra::ComplexField;
///
/// let x = Jet::along(3.0, [1.0]);
/// let y = x * x * x;
/// assert_eq!((y.value, y.slopes), (27.0, [27.0]));
///
/// // The second derivative of the sine.
/// let x = Jet::along(Jet::along(0.5, [1.0]), [Jet::from(1.0)]);
/// let y: Jet<Jet<f64, 1>, 1> = x.sin();
/// assert!((y.slopes[0].slopes[0] + 0.5f64.sin()).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Jet<T, const K: usize> {
    /// u.
    pub value: T,
    /// The derivatives of u.
    pub slopes: [T; K],
}

/// A jet is its own only lane.
// Two functions are unsafe because a lane may be out of range. Here any lane is the number itself.
impl<T: Number, const K: usize> SimdValue for Jet<T, K> {
    const LANES: usize = 1;
    type Element = Self;
    type SimdBool = bool;

    fn splat(value: Self) -> Self {
        value
    }

    fn extract(&self, _: usize) -> Self {
        *self
    }

    unsafe fn extract_unchecked(&self, _: usize) -> Self {
        *self
    }

    fn replace(&mut self, _: usize, value: Self) {
        *self = value;
    }

    unsafe fn replace_unchecked(&mut self, _: usize, value: Self) {
        *self = value;
    }

    fn select(self, condition: bool, other: Self) -> Self {
        if condition { self } else { other }
    }
}

/// A function over slices of any scalar that calls a function over slices of jets, if the scalar is a jet of f32 or f64
/// with up to 16 derivatives. It returns false if it did nothing. All other scalars compile to nothing.
macro_rules! for_jets {
    ($($name:ident($($plain:ident: $type:ty,)* [$($x:ident),*] $y:ident) = $jets:ident;)*) => { $(
        #[inline(always)]
        pub fn $name<T: Number>($($plain: $type,)* $($x: &[T],)* $y: &mut [T]) -> bool {
            for_jets!(@each T $jets ($($plain)*) ($($x)*) $y f32 f64);
            false
        }
    )* };
    (@each $t:ident $jets:ident $plain:tt $x:tt $y:ident $($e:ident)*) => {
        $(for_jets!(@of $e $t $jets $plain $x $y 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);)*
    };
    (@of $e:ident $t:ident $jets:ident $plain:tt $x:tt $y:ident $($k:literal)*) => {
        $(for_jets!(@one $e $k $t $jets $plain $x $y);)*
    };
    (@one $e:ident $k:literal $t:ident $jets:ident ($($plain:ident)*) ($($x:ident)*) $y:ident) => {
        // The sizes are constants to rustc, which then does not compile the other 31 functions.
        if const { size_of::<$t>() == size_of::<Jet<$e, $k>>() && align_of::<$t>() == align_of::<$e>() }
            && TypeId::of::<$t>() == TypeId::of::<Jet<$e, $k>>()
        {
            // SAFETY: the types are the same.
            let $y = unsafe { core::slice::from_raw_parts_mut($y.as_mut_ptr().cast(), $y.len()) };
            $(let $x = unsafe { core::slice::from_raw_parts($x.as_ptr().cast(), $x.len()) };)*
            return $jets::<$e, $k>($($plain,)* $($x,)* $y);
        }
    };
}
for_jets! {
    affine(inputs: usize, [w, b, x] y) = affine_of_jets;
    product_tn(size: Size, [w, dy] dx) = product_tn_of_jets;
    tanh([x] y) = tanh_of_jets;
    sigmoid([x] y) = sigmoid_of_jets;
}

#[inline(always)]
fn affine_of_jets<E: Number, const K: usize>(
    inputs: usize,
    w: &[Jet<E, K>],
    b: &[Jet<E, K>],
    x: &[Jet<E, K>],
    y: &mut [Jet<E, K>],
) -> bool {
    let outputs = b.len();
    let fits = is_product(outputs, inputs, w) && same_batch((inputs, x), (outputs, y));
    fits && product((outputs, inputs), w, (1, outputs), x, y, Some(b))
}

#[inline(always)]
fn product_tn_of_jets<E: Number, const K: usize>(
    (outputs, inputs): Size,
    w: &[Jet<E, K>],
    dy: &[Jet<E, K>],
    dx: &mut [Jet<E, K>],
) -> bool {
    let fits = is_product(outputs, inputs, w) && same_batch((inputs, dx), (outputs, dy));
    fits && product((inputs, outputs), w, (outputs, 1), dy, dx, None)
}

/// y = A·x, or b + A·x, sample by sample, if A is constant: its numbers have no derivatives. Then each derivative
/// of y is A times that of x.
#[inline(always)]
fn product<E: Number, const K: usize>(
    (rows, columns): Size,
    a: &[Jet<E, K>],
    strides: (usize, usize),
    x: &[Jet<E, K>],
    y: &mut [Jet<E, K>],
    b: Option<&[Jet<E, K>]>,
) -> bool {
    if rows == 0 || columns == 0 || !constant(a) {
        return false;
    }
    for (y, x) in super::pairs(y.chunks_exact_mut(rows), x.chunks_exact(columns)) {
        let mut row = 0;
        while row < rows {
            // SAFETY: the caller has checked that A has `rows` times `columns` numbers, in one order or the other.
            row += unsafe {
                match rows - row {
                    8.. => tile::<E, K, 8>(row, a, strides, x, y, b),
                    4.. => tile::<E, K, 4>(row, a, strides, x, y, b),
                    _ => tile::<E, K, 1>(row, a, strides, x, y, b),
                }
            };
        }
    }
    true
}

/// Whether all derivatives are 0.
#[inline(always)]
fn constant<E: Number, const K: usize>(numbers: &[Jet<E, K>]) -> bool {
    let none = |jet: &Jet<E, K>| jet.slopes.iter().fold(true, |all, slope| all & slope.is_zero());
    match K {
        1 | 2 => numbers.iter().fold(true, |all, jet| all & none(jet)),
        // Jet by jet: with AVX-512 the compiler gathers if it can take many jets at once.
        _ => numbers.iter().all(none),
    }
}

/// `R` rows of y. Returns `R`.
///
/// # Safety
/// A has these rows, with as many columns as x has numbers.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "all are arrays of R or K")]
#[expect(clippy::needless_range_loop, reason = "zipped, a Hessian takes 1.6 times as long")]
unsafe fn tile<E: Number, const K: usize, const R: usize>(
    row: usize,
    a: &[Jet<E, K>],
    (down, right): (usize, usize),
    x: &[Jet<E, K>],
    y: &mut [Jet<E, K>],
    b: Option<&[Jet<E, K>]>,
) -> usize {
    let (mut values, mut slopes, mut column) =
        ([E::zero(); R], [[E::zero(); K]; R], [E::zero(); R]);
    // Not `zip`: the compiler would compute several k at a time, and gather.
    for (k, x) in super::pairs(0..x.len(), x) {
        for r in 0..R {
            // SAFETY: as the caller promises.
            column[r] = unsafe { a.get_unchecked((row + r) * down + k * right) }.value;
            values[r] += column[r] * x.value;
        }
        for r in 0..R {
            for s in 0..K {
                slopes[r][s] += column[r] * x.slopes[s];
            }
        }
    }
    for (r, y) in y.iter_mut().skip(row).take(R).enumerate() {
        *y = Jet { value: values[r], slopes: slopes[r] };
    }
    if let Some(b) = b {
        for (y, &b) in y.iter_mut().zip(b).skip(row).take(R) {
            *y += b;
        }
    }
    R
}

/// y = F(x) by the kernel for numbers, with F' from y.
macro_rules! functions {
    ($($name:ident $of_jets:ident |$y:ident| $slope:expr;)*) => { $(
        #[inline(always)]
        fn $of_jets<E: Number, const K: usize>(x: &[Jet<E, K>], y: &mut [Jet<E, K>]) -> bool {
            for (x, y) in super::pairs(x.chunks(BLOCK), y.chunks_mut(BLOCK)) {
                let (mut from, mut to) = ([E::zero(); BLOCK], [E::zero(); BLOCK]);
                from.iter_mut().zip(x).for_each(|(from, x)| *from = x.value);
                if let (Some(from), Some(to)) = (from.get(..x.len()), to.get_mut(..x.len())) {
                    super::$name(from, to);
                }
                for ((y, x), $y) in y.iter_mut().zip(x).zip(to) {
                    let slope = $slope;
                    y.value = $y;
                    y.slopes.iter_mut().zip(x.slopes).for_each(|(to, x)| *to = x * slope);
                }
            }
            true
        }
    )* };
}
functions! {
    tanh tanh_of_jets |y| E::one() - y * y;
    sigmoid sigmoid_of_jets |y| y * (E::one() - y);
}

/// How many values a function computes at a time.
const BLOCK: usize = 64;
