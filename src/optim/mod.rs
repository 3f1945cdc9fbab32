//! Optimizers, one file each. They see parameters and gradients, leaf by leaf, and know no layer: how a
//! net goes forth and back is its own, of which a step in one makes use.

mod sgd;

pub use sgd::Sgd;

use crate::{
    kernel,
    layer::Layer,
    loss::Loss,
    network::Network,
    params::Parameters,
    shape::{BatchSize, Scalar, Shape},
    step::{Descent, Workspace},
};

/// A rule that changes parameters by their gradient.
///
/// To write one, go through both trees leaf by leaf; what frozen leaves have for a gradient is empty.
///
/// ```
/// use chainrule::{LeafMut, Optimizer, Parameters, Path, Scalar};
/// use nalgebra::Vector2;
///
/// /// Steps of one size, by the sign of the gradient alone.
/// struct SignDescent<T>(T);
///
/// impl<T: Scalar, L: Parameters<T>> Optimizer<T, L> for SignDescent<T> {
///     fn step(&mut self, layers: &mut L, grad: &mut L::Gradient) {
///         layers.visit_mut([grad], &Path::ROOT, &mut |leaf: LeafMut<T, 1>| {
///             let [grad] = leaf.trees;
///             for (w, dw) in leaf.values.iter_mut().zip(grad) {
///                 *w -= self.0 * dw.signum();
///             }
///         });
///     }
/// }
///
/// let mut weight = Vector2::new(1.0, 2.0);
/// SignDescent(0.5).step(&mut weight, &mut Vector2::new(10.0, -0.1));
/// assert_eq!(weight, Vector2::new(0.5, 2.5));
/// ```
pub trait Optimizer<T: Scalar, L: Parameters<T>> {
    /// One step. The gradient is read only; what was kept of the steps before lies in `self`.
    fn step(&mut self, layers: &mut L, grad: &mut L::Gradient);

    /// η, if all that a step does is W ← W - η·dW.
    fn plain_rate(&self) -> Option<T> {
        None
    }

    /// [`backprop`](Network::backprop) and one step by what it found; the loss is that before the step.
    /// What it leaves in `work.grad` is not said: where a step is [plain](Self::plain_rate), weights
    /// change while their gradient is found, with the same bits in fewer ways through memory.
    /// [`Network`] has an example.
    #[inline]
    fn train_step<In, E, B, Y>(
        &mut self,
        net: &mut Network<T, In, L, E>,
        x: &In::Batch<T, B>,
        target: &Y,
        work: &mut Workspace<T, In, L, B>,
    ) -> T
    where
        In: Shape,
        B: BatchSize,
        Y: ?Sized,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        if let Some(rate) = self.plain_rate() {
            let pass = work.next_pass(In::size::<T, B>(x));
            let Network { layers, criterion, .. } = net;
            return kernel::run::<T, _>(Descent { layers, criterion, x, target, work, pass, rate });
        }
        let loss = net.backprop(x, target, work);
        self.step(&mut net.layers, &mut work.grad);
        loss
    }
}
