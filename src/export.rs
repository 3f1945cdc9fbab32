//! Exports a net as Rust source, so that its weights are in flash.
//!
//! [`Network::export`](crate::Network::export) prints a file with one `static`. A program that contains the file
//! predicts from read-only memory: the parameters take no RAM, and nothing is loaded or parsed. Every number keeps
//! its bits: -0.0, subnormal numbers, infinities and the payload of a NaN.
//!
//! ```
//! use chainrule::{Affine, D1, Network, SumSquaredError};
//! use nalgebra::{Matrix1x2, Vector1};
//!
//! let layer = Affine::new(Matrix1x2::new(2.0, -0.0), Vector1::new(0.1));
//! let net = Network::<f32, D1<2>, _, _>::new(layer, SumSquaredError);
//! let source = net.export("NET").to_string(); // `std::fs::write("net.rs", source)`
//! assert!(source.contains("pub static NET: ::chainrule::Network<f32, ::chainrule::D1<2>, "));
//! assert!(source.contains("[2.0],\n") && source.contains("[-0.0],\n"));
//! ```
//!
//! To use a file `net.rs`, write `mod net;` and call `net::NET.predict(&x)`. The file names the items of chainrule by
//! their full paths. It names layers and losses of other crates by their last names and finds them by
//! `use super::*`. So the module that contains `mod net;` must be able to see them and their fields.
//!
//! [`parameters!`](crate::parameters) makes a layer exportable, and also a loss or a shape without fields:
//! `parameters!(Huber {})`. A box is exported as its contents, because a `static` cannot hold a box.

use crate::{
    image::{Extent, Img},
    params::Statistic,
    shape::{D1, Number, Probabilities},
};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::{fmt, marker::PhantomData};
use nalgebra::{ArrayStorage, Matrix, SMatrix};

/// A type that can be written as Rust source: a scalar, a layer, a loss, a shape.
pub trait Export: Sized {
    /// Writes `value` as a constant expression. Without a value, writes the type.
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result;
}

/// A value, or without a value the type `E`. Its `{:?}` output is source code.
pub struct Source<'a, E>(pub Option<&'a E>);

impl<E: Export> fmt::Debug for Source<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        E::source(self.0, f)
    }
}

/// A matrix with these columns, at compile time.
///
/// ```
/// use chainrule::export::matrix;
/// use nalgebra::Matrix2x3;
/// static M: Matrix2x3<f32> = matrix([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
/// assert_eq!(M, Matrix2x3::new(1.0, 2.0, 3.0, 4.0, 5.0, 6.0));
/// ```
pub const fn matrix<T, const R: usize, const C: usize>(columns: [[T; R]; C]) -> SMatrix<T, R, C> {
    Matrix::from_array_storage(ArrayStorage(columns))
}

macro_rules! float {
    ($($t:ident)+) => {$(
        impl Export for $t {
            fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
                match value {
                    None => f.write_str(stringify!($t)),
                    // The shortest decimal that reads back as the same number.
                    Some(x) if x.is_finite() => write!(f, "{x:?}"),
                    Some(x) => write!(f, "{}::from_bits({:#x})", stringify!($t), x.to_bits()),
                }
            }
        }
    )+};
}

float!(f32 f64);

impl<T: Number + Export, const R: usize, const C: usize> Export for SMatrix<T, R, C> {
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
        let Some(matrix) = value else {
            return __type(f, "::nalgebra::SMatrix", &[&Source::<T>(None), &R, &C]);
        };
        f.write_str("::chainrule::export::matrix([\n")?;
        for column in &matrix.data.0 {
            f.write_str("    [")?;
            for (i, number) in column.iter().enumerate() {
                // Eight numbers per line.
                let gap = if i % 8 == 0 { ",\n     " } else { ", " };
                f.write_str(if i == 0 { "" } else { gap })?;
                write!(f, "{:?}", Source(Some(number)))?;
            }
            f.write_str("],\n")?;
        }
        f.write_str("])")
    }
}

#[cfg(feature = "alloc")]
impl<L: Export> Export for Box<L> {
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
        L::source(value.map(|boxed| &**boxed), f)
    }
}

/// Shapes, which are only types.
macro_rules! shapes {
    ($([$($generics:tt)*] $shape:ty => $path:literal $($argument:expr)*;)*) => { $(
        impl<$($generics)*> Export for $shape {
            fn source(_: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
                __type(f, $path, &[$(&$argument),*])
            }
        }
    )* };
}
shapes! {
    [const N: usize] D1<N> => "::chainrule::D1" N;
    [const N: usize] Probabilities<N> => "::chainrule::Probabilities" N;
    [const C: usize, H: Extent, W: Extent] Img<C, H, W> => "::chainrule::Image" C H::N W::N;
    [S: 'static] PhantomData<S> => "::core::marker::PhantomData";
}

impl<S: Export> Export for Option<S> {
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
        match value {
            None => __type(f, "::core::option::Option", &[&Source::<S>(None)]),
            Some(None) => f.write_str("None"),
            Some(Some(value)) => f.debug_tuple("Some").field(&Source(Some(value))).finish(),
        }
    }
}

impl<T: Number + Export, const N: usize> Export for Statistic<T, N> {
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
        let arguments: [&dyn fmt::Debug; 2] = [&Source::<T>(None), &N];
        tuple(f, "::chainrule::Statistic", &arguments, value.map(|statistic| &statistic.0))
    }
}

impl<L: Export, const N: usize> Export for [L; N] {
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
        match value {
            None => write!(f, "[{:?}; {N}]", Source::<L>(None)),
            Some(parts) => {
                f.debug_list().entries(parts.iter().map(|part| Source(Some(part)))).finish()
            }
        }
    }
}

/// Settings of a layer.
macro_rules! plain {
    ($($t:ident)+) => { $(
        impl Export for $t {
            fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
                match value {
                    None => f.write_str(stringify!($t)),
                    Some(value) => write!(f, "{value:?}"),
                }
            }
        }
    )+ };
}
plain!(bool u8 u16 u32 u64 usize i32 i64);

/// `path` for an item of this crate, its last name for an item of another crate.
#[doc(hidden)]
pub fn __path(module: &str, path: &'static str) -> &'static str {
    let here = module.split("::").next() == module_path!().split("::").next();
    if here { path } else { path.trim_start_matches("::chainrule::") }
}

/// A struct with one field and no names: its type without a value.
pub(crate) fn tuple<S: Export>(
    f: &mut fmt::Formatter,
    name: &str,
    arguments: &[&dyn fmt::Debug],
    field: Option<&S>,
) -> fmt::Result {
    match field {
        None => __type(f, name, arguments),
        Some(_) => f.debug_tuple(name).field(&Source(field)).finish(),
    }
}

/// A type with its arguments.
#[doc(hidden)]
pub fn __type(f: &mut fmt::Formatter, name: &str, arguments: &[&dyn fmt::Debug]) -> fmt::Result {
    f.write_str(name)?;
    for (i, argument) in arguments.iter().enumerate() {
        f.write_str(if i == 0 { "<" } else { ", " })?;
        argument.fmt(f)?;
    }
    f.write_str(if arguments.is_empty() { "" } else { ">" })
}
