//! Nets and gradients compared number by number, by the traits of the crate approx.

use crate::{
    params::{Leaf, Parameters},
    path::Path,
    shape::Number,
};
use approx::{AbsDiffEq, RelativeEq, UlpsEq};
use core::{fmt, marker::PhantomData};

/// All numbers of a tree, to compare: the layers of a net, a gradient, one layer. The macros of the crate
/// [approx](https://docs.rs/approx) take it. Settings of layers are not compared.
///
/// ```
/// use approx::{assert_relative_eq, assert_relative_ne};
/// use chainrule::{Leaves, TwoLayerNet};
/// use nalgebra::SMatrix;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// let net = TwoLayerNet::<f64, 3, 4, 2>::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
/// let (x, labels) = (SMatrix::<f64, 3, 5>::repeat(0.5), [0, 1, 1, 0, 1]);
/// let (gradient, numerical) = (net.gradient(&x, &labels), net.numerical_gradient(&x, &labels));
/// assert_relative_eq!(Leaves::of(&gradient), Leaves::of(&numerical), epsilon = 1e-8, max_relative = 1e-6);
///
/// let mut other = net.clone();
/// other.layers.2.bias[1] += 1e-3;
/// assert_relative_ne!(Leaves::of(&net.layers), Leaves::of(&other.layers));
/// ```
pub struct Leaves<'a, T, L>(&'a L, PhantomData<T>);

impl<'a, T: Number, L: Parameters<T>> Leaves<'a, T, L> {
    /// The numbers of this tree.
    pub const fn of(tree: &'a L) -> Self {
        Leaves(tree, PhantomData)
    }

    /// Whether `close` holds for each number and the one in the same place.
    fn all(&self, other: &Self, close: impl Fn(&T, &T) -> bool) -> bool {
        let (mut all, mut number) = (true, 0);
        self.0.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
            let mut of_other = 0;
            other.0.visit(&Path::ROOT, &mut |other: Leaf<T>| {
                let mut pairs = leaf.values.iter().zip(other.values);
                all &= of_other != number || pairs.all(|(a, b)| close(a, b));
                of_other += 1;
            });
            number += 1;
        });
        all
    }
}

impl<T: Number, L: Parameters<T>> PartialEq for Leaves<'_, T, L> {
    fn eq(&self, other: &Self) -> bool {
        self.all(other, T::eq)
    }
}

impl<T: Number, L: Parameters<T>> AbsDiffEq for Leaves<'_, T, L> {
    type Epsilon = T;

    fn default_epsilon() -> T {
        T::default_epsilon()
    }

    fn abs_diff_eq(&self, other: &Self, epsilon: T) -> bool {
        self.all(other, |a, b| a.abs_diff_eq(b, epsilon))
    }
}

impl<T: Number, L: Parameters<T>> RelativeEq for Leaves<'_, T, L> {
    fn default_max_relative() -> T {
        T::default_max_relative()
    }

    fn relative_eq(&self, other: &Self, epsilon: T, max_relative: T) -> bool {
        self.all(other, |a, b| a.relative_eq(b, epsilon, max_relative))
    }
}

impl<T: Number, L: Parameters<T>> UlpsEq for Leaves<'_, T, L> {
    fn default_max_ulps() -> u32 {
        T::default_max_ulps()
    }

    fn ulps_eq(&self, other: &Self, epsilon: T, max_ulps: u32) -> bool {
        self.all(other, |a, b| a.ulps_eq(b, epsilon, max_ulps))
    }
}

/// Each name, with the first eight numbers, column after column.
impl<T: Number, L: Parameters<T>> fmt::Debug for Leaves<'_, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut map = f.debug_map();
        self.0.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
            let first = leaf.values.get(..8).unwrap_or(leaf.values);
            map.entry(&format_args!("{}", leaf.path), &first);
        });
        map.finish_non_exhaustive()
    }
}
