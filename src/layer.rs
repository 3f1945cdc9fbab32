//! The one trait that a layer implements, and its use by value.

use crate::{
    params::{self, Grad, Parameters, Zeros},
    shape::{Batch, BatchSize, Buffer, Columns, D1, Scalar, Shape},
};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};

/// A differentiable map from batches of shape `In` to batches of shape `Out`.
///
/// A layer holds its parameters and nothing else: what a forward pass has to remember goes into
/// memory that the caller lends. So one layer serves many threads, and a pass is a pure function.
///
/// # To implement it
///
/// Write [`forward`](Self::forward) and [`backward`](Self::backward), and let
/// [`parameters!`](crate::parameters) write the rest. Three rules hold for containers: a layer owns
/// its `y` (an inner layer's output is never changed in place, its slope may read it), `pass` is
/// handed on, and every part of `grad` is handed on.
///
/// ```
/// use chainrule::{parameters, Batch, BatchSize, Flat, Grad, Layer, Pass, Scalar};
///
/// /// y = x², dx = 2x·dy.
/// struct Square;
/// parameters!(Square {});
///
/// impl<T: Scalar, S: Flat> Layer<T, S> for Square {
///     type Out = S;
///     type Cache<B: BatchSize> = ();
///
///     fn forward<B: BatchSize>(
///         &self,
///         x: &Batch<T, S, B>,
///         y: &mut Batch<T, S, B>,
///         _: &mut (),
///         _: &mut Pass,
///     ) {
///         for (y, &x) in S::flat_mut::<T, B>(y).iter_mut().zip(S::flat::<T, B>(x)) {
///             *y = x * x;
///         }
///     }
///
///     fn backward<B: BatchSize>(
///         &self,
///         x: &Batch<T, S, B>,
///         _: &Batch<T, S, B>,
///         _: &mut (),
///         dy: &Batch<T, S, B>,
///         dx: Option<&mut Batch<T, S, B>>,
///         _: Grad<()>,
///     ) {
///         let Some(dx) = dx else { return };
///         let slopes = S::flat::<T, B>(x).iter().zip(S::flat::<T, B>(dy));
///         for (dx, (&x, &dy)) in S::flat_mut::<T, B>(dx).iter_mut().zip(slopes) {
///             *dx = (x + x) * dy;
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot follow a layer whose output shape is `{In}`",
    label = "does not take `{In}`"
)]
pub trait Layer<T: Scalar, In: Shape>: Parameters<T> {
    /// The shape of the output.
    type Out: Shape;

    /// What `backward` needs besides input and output; the caller lends it.
    type Cache<B: BatchSize>: Buffer<B>;

    /// Writes the output for `x` into `y`, and into `cache` what `backward` will need.
    fn forward<B: BatchSize>(
        &self,
        x: &In::Batch<T, B>,
        y: &mut Batch<T, Self::Out, B>,
        cache: &mut Self::Cache<B>,
        pass: &mut Pass,
    );

    /// `forward` in a predicting pass, with no cache to keep. A container overrides it to lend
    /// less memory; the result is the same, so that to forget it costs memory and nothing else.
    #[inline(always)]
    fn predict<B: BatchSize>(&self, x: &In::Batch<T, B>, y: &mut Batch<T, Self::Out, B>) {
        let mut cache = Buffer::lend(In::size::<T, B>(x));
        self.forward::<B>(x, y, &mut cache, &mut Pass::Predict);
    }

    /// The derivative of the `forward` that filled `y` and `cache`: for `dy`, the gradient on the
    /// output, it overwrites `dx`, the gradient on the input, if wanted, and leaves the gradient
    /// of the parameters where `grad` says.
    fn backward<B: BatchSize>(
        &self,
        x: &In::Batch<T, B>,
        y: &Batch<T, Self::Out, B>,
        cache: &mut Self::Cache<B>,
        dy: &Batch<T, Self::Out, B>,
        dx: Option<&mut In::Batch<T, B>>,
        grad: Grad<Self::Gradient>,
    );

    /// `backward`, then W ← W - `rate`·dW for each parameter, with `grad` for memory. What has large
    /// gradients, and a container of such, overrides it to spare the way of the gradient through
    /// memory; parameters and `dx` are the same to the bit, what is left in `grad` is not said.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "those of `backward`, and the rate")]
    fn descend<B: BatchSize>(
        &mut self,
        x: &In::Batch<T, B>,
        y: &Batch<T, Self::Out, B>,
        cache: &mut Self::Cache<B>,
        dy: &Batch<T, Self::Out, B>,
        dx: Option<&mut In::Batch<T, B>>,
        grad: &mut Self::Gradient,
        rate: T,
    ) {
        self.backward::<B>(x, y, cache, dy, dx, Grad::set(grad));
        params::descend(rate, self, grad);
    }
}

/// What a forward pass is for, and the only source of chance in one. It belongs to the caller: the
/// same pass over the same input gives the same output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Nothing is drawn.
    Predict,
    /// What is drawn follows from the seed.
    Train {
        /// Another one for each step and thread.
        seed: u64,
    },
}

impl Pass {
    /// A generator for one layer in training, another one at each call; `None` when predicting.
    pub fn rng(&mut self) -> Option<Xoshiro128PlusPlus> {
        let Pass::Train { seed } = self else {
            return None;
        };
        let rng = Xoshiro128PlusPlus::seed_from_u64(*seed);
        // An odd number far from 1, so that the layers of one step share no seed with the next.
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Some(rng)
    }
}

/// A layer on vectors by value, for small matrices and for learning: [`trace`](Self::trace) goes
/// forward and remembers, [`Trace::backward`] goes back.
///
/// ```
/// use chainrule::{ByValue, Relu};
/// use nalgebra::Matrix2;
///
/// let x = Matrix2::new(1.0, -0.5, -2.0, 3.0);
/// let mut relu = Relu.trace(&x);
/// assert_eq!(relu.y, Matrix2::new(1.0, 0.0, 0.0, 3.0));
/// let (dx, ()) = relu.backward(&Matrix2::repeat(1.0));
/// assert_eq!(dx, Matrix2::new(1.0, 0.0, 0.0, 1.0));
/// ```
pub trait ByValue {
    /// The output for a batch, with what the way back needs.
    fn trace<'a, T: Scalar, const N: usize, B: BatchSize>(
        &'a self,
        x: &'a Columns<T, N, B>,
    ) -> Trace<'a, T, D1<N>, Self, B>
    where
        Self: Layer<T, D1<N>> + Sized,
    {
        let size = D1::<N>::size::<T, B>(x);
        let (mut y, mut cache) = (Buffer::lend(size), Buffer::lend(size));
        self.forward::<B>(x, &mut y, &mut cache, &mut Pass::Predict);
        Trace { layer: self, x, y, cache }
    }
}

impl<L> ByValue for L {}

/// One forward pass of a layer; it can be gone back any number of times.
pub struct Trace<'a, T: Scalar, In: Shape, L: Layer<T, In>, B: BatchSize> {
    layer: &'a L,
    x: &'a In::Batch<T, B>,
    /// The output.
    pub y: Batch<T, L::Out, B>,
    cache: L::Cache<B>,
}

impl<T: Scalar, In: Shape, L: Layer<T, In>, B: BatchSize> Trace<'_, T, In, L, B> {
    /// For the gradient on the output: the gradient on the input, and that of the parameters.
    pub fn backward(&mut self, dy: &Batch<T, L::Out, B>) -> (In::Batch<T, B>, L::Gradient) {
        let mut dx = Buffer::lend(In::size::<T, B>(self.x));
        let mut grad = L::Gradient::zeros();
        let Trace { layer, x, y, cache } = self;
        layer.backward::<B>(x, y, cache, dy, Some(&mut dx), Grad::add(&mut grad));
        (dx, grad)
    }
}

#[cfg(feature = "alloc")]
impl<T: Scalar, S: Shape, L: Layer<T, S>> Layer<T, S> for Box<L> {
    type Out = L::Out;
    type Cache<B: BatchSize> = L::Cache<B>;

    #[inline(always)]
    fn forward<B: BatchSize>(
        &self,
        x: &S::Batch<T, B>,
        y: &mut Batch<T, L::Out, B>,
        cache: &mut L::Cache<B>,
        pass: &mut Pass,
    ) {
        (**self).forward::<B>(x, y, cache, pass);
    }

    #[inline(always)]
    fn predict<B: BatchSize>(&self, x: &S::Batch<T, B>, y: &mut Batch<T, L::Out, B>) {
        (**self).predict::<B>(x, y);
    }

    #[inline(always)]
    fn backward<B: BatchSize>(
        &self,
        x: &S::Batch<T, B>,
        y: &Batch<T, L::Out, B>,
        cache: &mut L::Cache<B>,
        dy: &Batch<T, L::Out, B>,
        dx: Option<&mut S::Batch<T, B>>,
        mut grad: Grad<Box<L::Gradient>>,
    ) {
        (**self).backward::<B>(x, y, cache, dy, dx, grad.part(|grad| &mut **grad));
    }

    #[inline(always)]
    fn descend<B: BatchSize>(
        &mut self,
        x: &S::Batch<T, B>,
        y: &Batch<T, L::Out, B>,
        cache: &mut L::Cache<B>,
        dy: &Batch<T, L::Out, B>,
        dx: Option<&mut S::Batch<T, B>>,
        grad: &mut Box<L::Gradient>,
        rate: T,
    ) {
        (**self).descend::<B>(x, y, cache, dy, dx, grad, rate);
    }
}
