//! nalgebra's trait `SimdValue` for a scalar that is its own only lane. Two of the trait's functions are declared unsafe.

/// Implements `SimdValue`: `one_lane!([T: Number, const K: usize] Jet<T, K>)`.
// The functions are unsafe as a lane may be out of range. Here any lane is the number itself.
macro_rules! one_lane {
    ([$($generics:tt)*] $scalar:ty) => {
        impl<$($generics)*> nalgebra::SimdValue for $scalar {
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
    };
}
pub(crate) use one_lane;
