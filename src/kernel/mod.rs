//! The loops that decide the speed, over plain slices, and the little memory work that needs
//! `unsafe`. No other module has either.
//!
//! A batch is a slice of samples that lie one behind the other, `W` is the slice of an O×I matrix,
//! column after column. The functions know no shape type: one instance serves every layer and
//! batch of a scalar. Slices whose lengths do not agree are used as far as they do.

#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[allow(dead_code)] // until the dispatch calls them
mod lanes;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[allow(dead_code)] // until the dispatch calls them
mod math;
#[cfg(all(test, feature = "std", target_arch = "x86_64"))]
#[path = "../../tests/unit/math.rs"]
mod math_tests;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[allow(dead_code)] // until the dispatch calls them
mod pack;
mod place;
mod product;
mod softmax;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[allow(dead_code)] // until the dispatch calls them
mod tanh;

#[cfg(feature = "alloc")]
pub(crate) use place::boxed;
pub(crate) use place::fill;
#[doc(hidden)]
pub use place::zero_field;
pub(crate) use product::{add_bias_gradient, affine, outer, pullback};
pub(crate) use softmax::softmax;

/// f32 and f64.
pub trait Float: Copy + core::ops::Add<Output = Self> + 'static {}
impl Float for f32 {}
impl Float for f64 {}
