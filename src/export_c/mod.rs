//! Exports a net as one C99 header, for firmware.
//!
//! [`Network::export_c`](crate::Network::export_c) prints it. The header has one function, `NAME_predict`, for one sample. It
//! uses no heap and nothing of the C library but `math.h`; the parameters are `const`, so that they lie in flash. The
//! values between the layers are two arrays on the stack.
//!
//! ```
//! use chainrule::{Affine, D1, Network, Relu, SumSquaredError};
//! use nalgebra::{Matrix1x2, Vector1};
//!
//! let layers = (Affine::new(Matrix1x2::new(2.0, -1.0), Vector1::new(0.1)), Relu);
//! let net = Network::<f32, D1<2>, _, _>::new(layers, SumSquaredError);
//! let header = net.export_c("policy").to_string(); // `std::fs::write("policy.h", header)`
//! assert!(header.contains("static inline void policy_predict(const float *x, float *y)"));
//! assert!(header.contains("static const float weight[2] = {\n        2.0f, -1.0f};"));
//! ```
//!
//! The C code adds in the order of the crate's plain loops. So a net of [`Affine`], [`Relu`] and other piecewise linear
//! layers gives the same bits as the crate without SIMD, under two conditions. The C compiler must not fuse
//! multiplications and additions (`-ffp-contract=off`). A window of a convolution must have at most 128 numbers, because
//! above that the crate adds in blocks. Other layers differ by at most 4 units in the last place, because their functions
//! are those of `math.h`. For [`Gelu`] and [`GeluTanh`] these are units of the input, and for normalisations units of the
//! terms of their sum.
//!
//! A layer of your own implements [`ExportC`].

mod images;
mod norms;

use crate::{
    layer::Layer,
    layers::{
        Affine, Concat, Dropout, Flatten, Frozen, Gelu, GeluTanh, HardSigmoid, HardTanh, Identity,
        LogSoftmax, Relu, Residual, Selu, Sigmoid, Silu, Softmax, Softplus, Tanh,
    },
    network::Network,
    shape::{D1, Flat, Number, Shape},
};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::fmt::{self, Write};

/// A scalar of C: f32 or f64.
pub trait Real: Number {
    /// Its name in C.
    const NAME: &'static str;
    /// What follows the names of its functions in `math.h` and its constants.
    const SUFFIX: &'static str;
    /// Writes a constant.
    fn constant(self, f: &mut dyn Write) -> fmt::Result;
}

macro_rules! real {
    ($($t:ident $name:literal $suffix:literal;)*) => { $(
        impl Real for $t {
            const NAME: &'static str = $name;
            const SUFFIX: &'static str = $suffix;

            fn constant(self, f: &mut dyn Write) -> fmt::Result {
                match self {
                    _ if self.is_nan() => f.write_str("NAN"),
                    $t::INFINITY => f.write_str("INFINITY"),
                    $t::NEG_INFINITY => f.write_str("-INFINITY"),
                    // The shortest decimal that reads back as the same number.
                    _ => write!(f, "{self:?}{}", $suffix),
                }
            }
        }
    )* };
}
real! {
    f32 "float" "f";
    f64 "double" "";
}

/// A layer that can be written as C.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written as C for inputs of shape `{In}`",
    label = "not `ExportC`"
)]
pub trait ExportC<T: Real, In: Shape>: Layer<T, In> {
    /// Writes the statements that compute the output of one sample.
    ///
    /// # Errors
    /// Those of the writer.
    fn c(&self, to: &mut Writer) -> fmt::Result;
}

/// A C function that is being written. It knows in which array the values lie.
pub struct Writer<'a> {
    text: &'a mut dyn Write,
    /// The array with the output of the layer before: `x`, `a` or `b`.
    now: &'static str,
    /// The largest number of values in `a` and `b`.
    sizes: [usize; 2],
}

impl Writer<'_> {
    /// The array with the input of this layer.
    pub const fn input(&self) -> &'static str {
        self.now
    }

    /// The array with the input of this layer, and an array for its output of `size` numbers. They differ. The next layer
    /// takes the output.
    pub fn arrays(&mut self, size: usize) -> (&'static str, &'static str) {
        let (from, [a, b]) = (self.now, &mut self.sizes);
        let (to, largest) = if from == "a" { ("b", b) } else { ("a", a) };
        *largest = size.max(*largest);
        self.now = to;
        (from, to)
    }

    /// Writes a statement in a line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn line(&mut self, line: fmt::Arguments) -> fmt::Result {
        writeln!(self.text, "    {line}")
    }

    /// Writes a constant array.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn constants<T: Real>(&mut self, name: &str, values: &[T]) -> fmt::Result {
        write!(self.text, "    static const {} {name}[{}] = {{", T::NAME, values.len())?;
        for (i, value) in values.iter().enumerate() {
            // Eight numbers per line.
            let gap = if i % 8 == 0 { "\n        " } else { " " };
            self.text.write_str(if i == 0 { "" } else { "," })?;
            self.text.write_str(gap)?;
            value.constant(self.text)?;
        }
        self.text.write_str("};\n")
    }

    /// Writes a loop over `size` numbers that sets each to an expression of `v`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn each<T: Real>(&mut self, size: usize, expression: fmt::Arguments) -> fmt::Result {
        let (from, to) = self.arrays(size);
        let value = format_args!("const {} v = {from}[i];", T::NAME);
        self.line(format_args!(
            "for (int i = 0; i < {size}; i++) {{ {value} {to}[i] = {expression}; }}"
        ))
    }
}

impl Writer<'_> {
    /// Writes a new array with the `size` numbers of the input.
    fn copy<T: Real>(&mut self, name: &str, size: usize) -> fmt::Result {
        let from = self.now;
        self.line(format_args!("{} {name}[{size}];", T::NAME))?;
        self.line(format_args!("for (int i = 0; i < {size}; i++) {name}[i] = {from}[i];"))
    }
}

impl<T: Real, const I: usize, const O: usize> ExportC<T, D1<I>> for Affine<T, I, O> {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        affine(to, I, self.weight.as_slice(), self.bias.as_slice())
    }
}

fn affine<T: Real>(to: &mut Writer, inputs: usize, weight: &[T], bias: &[T]) -> fmt::Result {
    let outputs = bias.len();
    let (x, y) = to.arrays(outputs);
    to.line(format_args!("{{"))?;
    to.constants("weight", weight)?;
    to.constants("bias", bias)?;
    to.line(format_args!("for (int i = 0; i < {outputs}; i++) {y}[i] = bias[i];"))?;
    let add = format_args!("{y}[i] += weight[j * {outputs} + i] * {x}[j];");
    let rows = format_args!("for (int i = 0; i < {outputs}; i++) {add}");
    to.line(format_args!("for (int j = 0; j < {inputs}; j++) {rows}"))?;
    to.line(format_args!("}}"))
}

/// Functions of one number `v`: `{0}` is the suffix of functions and constants.
macro_rules! functions {
    ($($layer:ident $expression:literal;)*) => { $(
        impl<T: Real, S: Flat> ExportC<T, S> for $layer {
            fn c(&self, to: &mut Writer) -> fmt::Result {
                to.each::<T>(S::LEN, format_args!($expression, T::SUFFIX))
            }
        }
    )* };
}
functions! {
    Relu "v <= 0.0{0} ? 0.0{0} : v";
    Sigmoid "v >= 0.0{0} ? 1.0{0} / (1.0{0} + exp{0}(-v)) : exp{0}(v) / (1.0{0} + exp{0}(v))";
    Tanh "tanh{0}(v)";
    Gelu "0.5{0} * v * erfc{0}(-0.7071067811865476{0} * v)";
    Silu "v >= 0.0{0} ? v / (1.0{0} + exp{0}(-v)) : v * exp{0}(v) / (1.0{0} + exp{0}(v))";
    GeluTanh "v / (1.0{0} + exp{0}(-1.5957691216057308{0} * (v + 0.044715{0} * v * v * v)))";
    HardTanh "v < -1.0{0} ? -1.0{0} : v > 1.0{0} ? 1.0{0} : v";
    HardSigmoid "v <= -3.0{0} ? 0.0{0} : v >= 3.0{0} ? 1.0{0} : (v + 3.0{0}) / 6.0{0}";
    Selu "v > 0.0{0} ? 1.0507009873554805{0} * v : 1.7580993408473768{0} * expm1{0}(v)";
    Softplus "(v > 0.0{0} ? v : 0.0{0}) + log1p{0}(exp{0}(-fabs{0}(v)))";
}

/// Layers that do nothing in a prediction.
macro_rules! nothing {
    ($($layer:ident)*) => { $(
        impl<T: Real, S: Flat> ExportC<T, S> for $layer {
            fn c(&self, _: &mut Writer) -> fmt::Result {
                Ok(())
            }
        }
    )* };
}
nothing!(Identity Flatten Dropout);

impl<T: Real, const N: usize> ExportC<T, D1<N>> for Softmax {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let (x, y) = to.arrays(N);
        softmax::<T>(to, N, [x, y], format_args!("{y}[i] / (1.0{} + rest)", T::SUFFIX))
    }
}

impl<T: Real, const N: usize> ExportC<T, D1<N>> for LogSoftmax {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let (x, y) = to.arrays(N);
        softmax::<T>(to, N, [x, y], format_args!("{x}[i] - top - log1p{}(rest)", T::SUFFIX))
    }
}

/// `last` sees the largest of the inputs, `top`, and the sum of the other exponentials, `rest`.
fn softmax<T: Real>(
    to: &mut Writer,
    size: usize,
    [x, y]: [&str; 2],
    last: fmt::Arguments,
) -> fmt::Result {
    let (real, suffix, each) =
        (T::NAME, T::SUFFIX, format_args!("for (int i = 0; i < {size}; i++)"));
    to.line(format_args!("{{"))?;
    to.line(format_args!("int at = 0;"))?;
    to.line(format_args!("{each} if ({x}[i] > {x}[at]) at = i;"))?;
    to.line(format_args!("const {real} top = {x}[at];"))?;
    to.line(format_args!("{real} rest = top - top;"))?;
    to.line(format_args!("{each} {y}[i] = exp{suffix}({x}[i] - top);"))?;
    to.line(format_args!("{each} if (i != at) rest += {y}[i];"))?;
    to.line(format_args!("{each} {y}[i] = {last};"))?;
    to.line(format_args!("}}"))
}

impl<T: Real, S: Flat, L: ExportC<T, S, Out = S>> ExportC<T, S> for Residual<L> {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        to.line(format_args!("{{"))?;
        to.copy::<T>("x_of_sum", S::LEN)?;
        self.inner.c(to)?;
        to.each::<T>(S::LEN, format_args!("x_of_sum[i] + v"))?;
        to.line(format_args!("}}"))
    }
}

impl<T: Real, S: Flat, L, R, const N: usize> ExportC<T, S> for Concat<L, R, N>
where
    L: ExportC<T, S, Out: Flat>,
    R: ExportC<T, S, Out: Flat>,
{
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let (inputs, left) = (S::LEN, L::Out::LEN);
        to.line(format_args!("{{"))?;
        to.copy::<T>("x_of_both", inputs)?;
        self.left.c(to)?;
        to.copy::<T>("left", left)?;
        let (_, x) = to.arrays(inputs);
        to.line(format_args!("for (int i = 0; i < {inputs}; i++) {x}[i] = x_of_both[i];"))?;
        self.right.c(to)?;
        let (right, y) = to.arrays(N);
        let value = format_args!("i < {left} ? left[i] : {right}[i - {left}]");
        to.line(format_args!("for (int i = 0; i < {N}; i++) {y}[i] = {value};"))?;
        to.line(format_args!("}}"))
    }
}

impl<T: Real, S: Shape, L: ExportC<T, S>> ExportC<T, S> for Frozen<L> {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        self.0.c(to)
    }
}

#[cfg(feature = "alloc")]
impl<T: Real, S: Shape, L: ExportC<T, S>> ExportC<T, S> for Box<L> {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        (**self).c(to)
    }
}

impl<T: Real, In: Flat, L: ExportC<T, In, Out: Flat>, E> Network<T, In, L, E> {
    /// This net as a C99 header with the function `NAME_predict`: see [`export_c`](crate::export_c). `name` must be an
    /// identifier of C; it is not checked here.
    pub fn export_c<'a>(&'a self, name: &'a str) -> impl fmt::Display {
        Header(self, name)
    }
}

struct Header<'a, N>(&'a N, &'a str);

impl<T: Real, In: Flat, L: ExportC<T, In, Out: Flat>, E> fmt::Display
    for Header<'_, Network<T, In, L, E>>
{
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let &Header(net, name) = self;
        let (inputs, outputs, real) = (In::LEN, L::Out::LEN, T::NAME);
        // The first pass writes nothing and only finds the sizes.
        let mut writer = Writer { text: &mut Nothing, now: "x", sizes: [0; 2] };
        net.layers.c(&mut writer)?;
        let sizes = writer.sizes;
        write!(
            f,
            "/* Written by chainrule {}: a net of {} parameters. */
#ifndef CHAINRULE_{name}
#define CHAINRULE_{name}
#include <math.h>

enum {{ {name}_inputs = {inputs}, {name}_outputs = {outputs} }};

/* From {inputs} inputs x to {outputs} outputs y. */
static inline void {name}_predict(const {real} *x, {real} *y) {{\n",
            env!("CARGO_PKG_VERSION"),
            L::COUNT,
        )?;
        for (array, size) in ["a", "b"].into_iter().zip(sizes).filter(|(_, size)| *size > 0) {
            writeln!(f, "    {real} {array}[{size}];")?;
        }
        let mut writer = Writer { text: f, now: "x", sizes };
        net.layers.c(&mut writer)?;
        let now = writer.now;
        writer.line(format_args!("for (int i = 0; i < {outputs}; i++) y[i] = {now}[i];"))?;
        f.write_str("}\n\n#endif\n")
    }
}

/// Takes text and drops it.
struct Nothing;

impl Write for Nothing {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}
