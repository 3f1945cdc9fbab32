//! A net as Rust source: weights that live in flash.
//!
//! [`Network::export`](crate::Network::export) prints a file with one `static`. Where that is compiled,
//! the net predicts from read-only memory: its parameters take no RAM, and nothing is loaded or parsed.
//! Every number comes back bit for bit: -0.0, subnormal numbers, infinities and the payload of a NaN.
//!
//! ```
//! use chainrule::{Affine, D1, Network, SumSquaredError};
//! use nalgebra::{Matrix1x2, Vector1};
//!
//! let layer = Affine::new(Matrix1x2::new(2.0, -0.0), Vector1::new(0.1));
//! let net = Network::<f32, D1<2>, _, _>::new(layer, SumSquaredError);
//! let source = net.export("NET").to_string(); // `std::fs::write("net.rs", source)`
//! # let expected =
//! # "pub static NET: ::chainrule::Network<f32, ::chainrule::D1<2>, ::chainrule::Affine<f32, 2, 1>, \
//! # ::chainrule::SumSquaredError> =";
//! # assert!(source.contains(expected), "{source}");
//! assert!(source.contains("[2.0],\n") && source.contains("[-0.0],\n"));
//! ```
//!
//! A file `net.rs` becomes a part of a program by `mod net;`, and is called by `net::NET.predict(&x)`.
//! chainrule's own items stand in it with their paths. Layers and losses of other crates stand with
//! their bare names, and are found by `use super::*`: they, and their fields, must be in sight of the
//! module in which `mod net;` stands.
//!
//! [`parameters!`](crate::parameters) makes a layer that can be exported; a loss or a shape without
//! fields too, `parameters!(Huber {})`. A box is exported as what is in it, since a `static` has none.

use crate::{D1, Frozen, Network, Scalar, SoftmaxCrossEntropy, SumSquaredError};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::{fmt, marker::PhantomData};
use nalgebra::{ArrayStorage, Matrix, SMatrix};

/// What Rust source can be written of: a scalar, a layer, a loss, a shape.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be exported as source",
    note = "`parameters!` makes a layer that can"
)]
pub trait Export {
    /// Writes the type.
    fn fmt_type(f: &mut fmt::Formatter) -> fmt::Result;

    /// Writes an expression of that type, one that a constant may have.
    fn fmt_value(&self, f: &mut fmt::Formatter) -> fmt::Result;
}

/// The type of an `E`; its `{:?}` is source.
pub struct Type<E>(pub PhantomData<E>);

/// The value of an `E`; its `{:?}` is source.
pub struct Value<'a, E>(pub &'a E);

impl<E: Export> fmt::Debug for Type<E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        E::fmt_type(f)
    }
}

impl<E: Export> fmt::Debug for Value<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt_value(f)
    }
}

/// A matrix of these columns, at compile time.
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
            fn fmt_type(f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(stringify!($t))
            }

            fn fmt_value(&self, f: &mut fmt::Formatter) -> fmt::Result {
                if self.is_finite() {
                    // The shortest decimal that is read as the same number.
                    write!(f, "{self:?}")
                } else {
                    write!(f, "{}::from_bits({:#x})", stringify!($t), self.to_bits())
                }
            }
        }
    )+};
}

float!(f32 f64);

impl<T: Scalar + Export, const R: usize, const C: usize> Export for SMatrix<T, R, C> {
    fn fmt_type(f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "::nalgebra::SMatrix<{:?}, {R}, {C}>", Type::<T>(PhantomData))
    }

    fn fmt_value(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("::chainrule::export::matrix(")?;
        f.debug_list().entries(self.data.0.iter().map(|column| Column(column))).finish()?;
        f.write_str(")")
    }
}

/// A column on a line, or on as many as it needs.
struct Column<'a, T>(&'a [T]);

impl<T: Export> fmt::Debug for Column<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("[")?;
        for (i, number) in self.0.iter().enumerate() {
            f.write_str(match i {
                0 => "",
                _ if i % 8 == 0 => ",\n ",
                _ => ", ",
            })?;
            number.fmt_value(f)?;
        }
        f.write_str("]")
    }
}

#[cfg(feature = "alloc")]
impl<L: Export> Export for Box<L> {
    fn fmt_type(f: &mut fmt::Formatter) -> fmt::Result {
        L::fmt_type(f)
    }

    fn fmt_value(&self, f: &mut fmt::Formatter) -> fmt::Result {
        (**self).fmt_value(f)
    }
}

parameters!(@export Frozen (L: Export) [L] [] (0));
parameters!(@export D1 (const N: usize) [] [N] ());
parameters!(@export SoftmaxCrossEntropy () [] [] ());
parameters!(@export SumSquaredError () [] [] ());

impl<T: Export, In: Export, L: Export, E: Export> Export for Network<T, In, L, E> {
    fn fmt_type(f: &mut fmt::Formatter) -> fmt::Result {
        let (scalar, shape) = (&Type::<T>(PhantomData), &Type::<In>(PhantomData));
        let (layers, criterion) = (&Type::<L>(PhantomData), &Type::<E>(PhantomData));
        __fmt_type(f, "::chainrule::Network", &[scalar, shape, layers, criterion])
    }

    fn fmt_value(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (layers, criterion) = (Value(&self.layers), Value(&self.criterion));
        f.debug_tuple("::chainrule::Network::new").field(&layers).field(&criterion).finish()
    }
}

/// A file that declares a net, of so many parameters, as a `static` of this name.
pub(crate) struct Source<'a, E>(pub &'a E, pub usize, pub &'a str);

impl<E: Export> fmt::Display for Source<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Source(net, parameters, name) = *self;
        let (ty, value, version) = (Type::<E>(PhantomData), Value(net), env!("CARGO_PKG_VERSION"));
        write!(
            f,
            "// Written by chainrule {version}.
#[allow(unused_imports, clippy::wildcard_imports)]
use super::*; // layers and losses that are not chainrule's own

/// A net of {parameters} parameters.
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic)]
pub static {name}: {ty:#?} = {value:#?};
"
        )
    }
}

/// `path` for what is made in this crate, its last name for what is made elsewhere.
#[doc(hidden)]
pub fn __path(module: &str, path: &'static str) -> &'static str {
    let here = module.split("::").next() == module_path!().split("::").next();
    if here { path } else { path.trim_start_matches("::chainrule::") }
}

/// A type with its arguments.
#[doc(hidden)]
pub fn __fmt_type(
    f: &mut fmt::Formatter,
    name: &str,
    arguments: &[&dyn fmt::Debug],
) -> fmt::Result {
    f.write_str(name)?;
    for (i, argument) in arguments.iter().enumerate() {
        f.write_str(if i == 0 { "<" } else { ", " })?;
        argument.fmt(f)?;
    }
    f.write_str(if arguments.is_empty() { "" } else { ">" })
}
