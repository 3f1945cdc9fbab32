//! The memory that training and predicting take, part by part.

use crate::{
    layer::Layer,
    network::Network,
    optim::Descent,
    rule::Rule,
    shape::{Number, Shape, ToTrain},
    step::{Activations, Predictor, Way, Workspace},
};
use core::fmt;
use nalgebra::Const;

/// The bytes that training takes, part by part: see [`Network::memory`].
///
/// It does not count the heap (the contents of boxes), the stack, or what the caller keeps: the batch and its
/// targets.
///
/// ```
/// use chainrule::{Memory, Sgd, TwoLayerNet};
/// type Net = TwoLayerNet<f32, 8, 16, 4>;
/// const NEED: Memory = Net::memory::<Sgd<f32>, _, 8>();
/// const _: () = assert!(NEED.total() <= 4 * 1024, "too large");
/// // The rule of `Sgd` is applied during the backward pass.
/// assert_eq!(NEED.gradient, 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The layers.
    pub parameters: usize,
    /// The gradient, without frozen parameters. 0 if the optimizer is [`Fused`](crate::Fused).
    pub gradient: usize,
    /// The optimizer with its state.
    pub optimizer: usize,
    /// The values between the layers, the outputs, the gradients on both, and the caches and scratch of the
    /// layers.
    pub activations: usize,
    /// The loss, the seed, the number of the step, and padding.
    pub rest: usize,
}

impl Memory {
    /// The sum.
    pub const fn total(&self) -> usize {
        let Memory { parameters, gradient, optimizer, activations, rest } = *self;
        parameters + gradient + optimizer + activations + rest
    }
}

impl<T: Number, In: Shape, L, E> Network<T, In, L, E> {
    /// The bytes that training takes on batches of `B` with the rule `R`, part by part: the net, the
    /// optimizer and a [`Workspace`]. The result prints as a table. Write `_` for the number of state trees, which the
    /// compiler infers: `Net::memory::<Sgd<f32>, _, 8>()`.
    pub const fn memory<R: Rule<T, N>, const N: usize, const B: usize>() -> Memory
    where
        L: Layer<T, In>,
        R::Way: Way,
    {
        let optimizer = size_of::<Descent<R, L::Gradient, N>>();
        let net_and_work = size_of::<Self>() + size_of::<Workspace<T, In, L, Const<B>, R::Way>>();
        let parameters = size_of::<L>();
        let gradient = size_of::<<R::Way as Way>::Gradient<L::Gradient>>();
        let activations = size_of::<Activations<T, In, L, Const<B>, ToTrain>>();
        let rest = net_and_work - parameters - gradient - activations;
        Memory { parameters, gradient, optimizer, activations, rest }
    }

    /// The same for [`Trainer::fit_in_parts`](crate::Trainer::fit_in_parts): `parts` parts of `B` samples, each with
    /// its own gradient and activations.
    ///
    /// ```
    /// use chainrule::{Memory, Sgd, TwoLayerNet};
    /// type Net = TwoLayerNet<f32, 8, 16, 4>;
    /// const NEED: Memory = Net::memory_in_parts::<Sgd<f32>, _, 8>(4);
    /// assert_eq!(NEED.gradient, 4 * NEED.parameters);
    /// ```
    #[cfg(feature = "std")]
    pub const fn memory_in_parts<R: Rule<T, N>, const N: usize, const B: usize>(
        parts: usize,
    ) -> Memory
    where
        L: Layer<T, In>,
    {
        let work = size_of::<Workspace<T, In, L, Const<B>>>();
        let gradient = size_of::<L::Gradient>();
        let activations = size_of::<Activations<T, In, L, Const<B>, ToTrain>>();
        Memory {
            parameters: size_of::<L>(),
            gradient: parts * gradient,
            optimizer: size_of::<Descent<R, L::Gradient, N>>(),
            activations: parts * activations,
            rest: size_of::<Self>() - size_of::<L>() + parts * (work - gradient - activations),
        }
    }

    /// The sum of [`memory`](Self::memory).
    ///
    /// ```
    /// use chainrule::{Sgd, TwoLayerNet};
    /// type Net = TwoLayerNet<f32, 8, 16, 4>;
    /// const _: () = assert!(Net::train_bytes::<Sgd<f32>, _, 8>() <= 4096, "too large");
    /// ```
    pub const fn train_bytes<R: Rule<T, N>, const N: usize, const B: usize>() -> usize
    where
        L: Layer<T, In>,
        R::Way: Way,
    {
        Self::memory::<R, N, B>().total()
    }

    /// The most bytes that predicting a batch of `B` takes: parameters, outputs, and the values between the
    /// layers, which [`predict`](Self::predict) keeps on the stack. The contents of boxes are not counted.
    pub const fn predict_bytes<const B: usize>() -> usize
    where
        L: Layer<T, In>,
    {
        size_of::<Self>() + size_of::<Predictor<T, In, L, Const<B>>>()
    }
}

/// A table, in bytes.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Memory { parameters, gradient, optimizer, activations, rest } = self;
        writeln!(f, "parameters  {parameters:>9} bytes\ngradient    {gradient:>9}")?;
        writeln!(f, "optimizer   {optimizer:>9}\nactivations {activations:>9}")?;
        write!(f, "rest        {rest:>9}\nin all      {:>9}", self.total())
    }
}
