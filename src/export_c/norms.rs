//! Normalisations, and functions with settings or parameters, as C.

use super::{ExportC, Real, Writer};
use crate::{
    image::Channels,
    layer::Layer,
    layers::{BatchNorm, Elu, LayerNorm, LeakyRelu, PRelu, Repeat, RmsNorm, Standardize},
    shape::{D1, Flat, Shape},
};
use core::fmt;
use nalgebra::convert;

impl<T: Real, const N: usize, S: Channels<N>> ExportC<T, S> for BatchNorm<T, N> {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        // The variance and the weight are one factor.
        let eps: T = convert(self.eps.unwrap_or(1e-5));
        let factor = self.running_var.0.map(|variance| (variance + eps).sqrt().recip());
        to.line(format_args!("{{"))?;
        to.constants("mean", self.running_mean.0.as_slice())?;
        to.constants("factor", factor.component_mul(&self.weight).as_slice())?;
        to.constants("bias", self.bias.as_slice())?;
        match S::PLACES {
            1 => to.each::<T>(N, format_args!("(v - mean[i]) * factor[i] + bias[i]")),
            // The pixels of a channel lie together.
            n => {
                let scaled = format_args!("(v - mean[i / {n}]) * factor[i / {n}]");
                to.each::<T>(S::LEN, format_args!("{scaled} + bias[i / {n}]"))
            }
        }?;
        to.line(format_args!("}}"))
    }
}

impl<T: Real, const N: usize> ExportC<T, D1<N>> for Standardize<T, N> {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        to.line(format_args!("{{"))?;
        to.constants("mean", self.mean.0.as_slice())?;
        to.constants("deviation", self.std.0.as_slice())?;
        to.each::<T>(N, format_args!("(v - mean[i]) / deviation[i]"))?;
        to.line(format_args!("}}"))
    }
}

impl<T: Real, const N: usize> ExportC<T, D1<N>> for LayerNorm<T, N> {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let (x, real) = (to.input(), T::NAME);
        to.line(format_args!("{{"))?;
        to.constants("weight", self.weight.as_slice())?;
        to.constants("bias", self.bias.as_slice())?;
        to.line(format_args!("{real} mean = 0, square = 0;"))?;
        to.line(format_args!("for (int i = 0; i < {N}; i++) mean += {x}[i];"))?;
        to.line(format_args!("mean /= {N};"))?;
        let square = format_args!("square += ({x}[i] - mean) * ({x}[i] - mean);");
        to.line(format_args!("for (int i = 0; i < {N}; i++) {square}"))?;
        factor::<T>(to, N, convert(self.eps.unwrap_or(1e-5)))?;
        to.each::<T>(N, format_args!("(v - mean) * factor * weight[i] + bias[i]"))?;
        to.line(format_args!("}}"))
    }
}

impl<T: Real, const N: usize> ExportC<T, D1<N>> for RmsNorm<T, N> {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let (x, real) = (to.input(), T::NAME);
        to.line(format_args!("{{"))?;
        to.constants("weight", self.weight.as_slice())?;
        to.line(format_args!("{real} square = 0;"))?;
        to.line(format_args!("for (int i = 0; i < {N}; i++) square += {x}[i] * {x}[i];"))?;
        factor::<T>(to, N, self.eps.map_or_else(T::default_epsilon, convert))?;
        to.each::<T>(N, format_args!("v * factor * weight[i]"))?;
        to.line(format_args!("}}"))
    }
}

/// 1 over the root of the mean square and ε.
fn factor<T: Real>(to: &mut Writer, size: usize, eps: T) -> fmt::Result {
    let (real, suffix) = (T::NAME, T::SUFFIX);
    to.constants("eps", &[eps])?;
    let root = format_args!("sqrt{suffix}(square / {size} + eps[0])");
    to.line(format_args!("const {real} factor = 1.0{suffix} / {root};"))
}

/// A function of `v` with one constant.
fn with_constant<T: Real>(
    to: &mut Writer,
    size: usize,
    constant: T,
    expression: fmt::Arguments,
) -> fmt::Result {
    to.line(format_args!("{{"))?;
    to.constants("constant", &[constant])?;
    to.each::<T>(size, expression)?;
    to.line(format_args!("}}"))
}

impl<T: Real, S: Flat> ExportC<T, S> for LeakyRelu {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let slope = convert(self.slope.unwrap_or(0.01));
        with_constant::<T>(to, S::LEN, slope, format_args!("v > 0 ? v : v * constant[0]"))
    }
}

impl<T: Real, S: Flat> ExportC<T, S> for PRelu<T> {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let slope = self.weight.sum();
        with_constant::<T>(to, S::LEN, slope, format_args!("v > 0 ? v : v * constant[0]"))
    }
}

impl<T: Real, S: Flat> ExportC<T, S> for Elu {
    fn c(&self, to: &mut Writer) -> fmt::Result {
        let (alpha, suffix) = (convert(self.alpha.unwrap_or(1.0)), T::SUFFIX);
        let expression = format_args!("v > 0 ? v : constant[0] * expm1{suffix}(v)");
        with_constant::<T>(to, S::LEN, alpha, expression)
    }
}

impl<T: Real, S: Shape, L: ExportC<T, S> + Layer<T, S, Out = S>, const M: usize> ExportC<T, S>
    for Repeat<L, M>
{
    fn c(&self, to: &mut Writer) -> fmt::Result {
        self.layers.iter().try_for_each(|layer| layer.c(to))
    }
}
