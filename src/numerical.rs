//! Numerical gradients of a net by differences, as in the book. They check backpropagation.

use crate::{
    layer::Layer,
    loss::Loss,
    network::Network,
    params::{LeafMut, Parameters, Role},
    path::Path,
    shape::{BatchSize, Flat, Number, Shape},
    zeros::Zeros,
};

impl<T: Number, In: Shape, L, E> Network<T, In, L, E> {
    /// The gradient of the [`loss`](Self::loss) by central differences, with two forward passes for each
    /// parameter. Use it to check [`gradient`](Self::gradient).
    ///
    /// (L(w + h) - L(w - h)) / 2h with h = ∛ε·max(1, |w|). With this h the error of rounding and the error of the
    /// formula are about equal: in f64 a few 10⁻¹¹ of the loss, in f32 a few 10⁻⁵. (Chapters 4.3.3 and
    /// 5.7.3, with h = 10⁻⁴.)
    pub fn numerical_gradient<B: BatchSize, Y: ?Sized>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
    ) -> L::Gradient
    where
        L: Layer<T, In> + Clone,
        E: Loss<T, L::Out, B, Y> + Clone,
    {
        let mut net = self.clone();
        let mut grad = L::Gradient::zeros();
        for index in 0..L::Gradient::COUNT {
            let set = |net: &mut Self, value| learned::<T, L>(&mut net.layers, index, value);
            let value = set(&mut net, None);
            let slope = central(value, |value| {
                set(&mut net, Some(value));
                net.loss(x, target)
            });
            set(&mut net, Some(value));
            learned::<T, L::Gradient>(&mut grad, index, Some(slope));
        }
        grad
    }

    /// The gradient of the [`loss`](Self::loss) with respect to the input, by central differences as in
    /// [`numerical_gradient`](Self::numerical_gradient).
    pub fn numerical_input_gradient<B: BatchSize, Y: ?Sized>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
    ) -> In::Batch<T, B>
    where
        In: Flat,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let (mut probe, mut dx) = (x.clone(), x.clone());
        for (index, dx) in In::flat_mut::<T, B>(&mut dx).iter_mut().enumerate() {
            let set = |probe: &mut In::Batch<T, B>, value| {
                if let Some(entry) = In::flat_mut::<T, B>(probe).get_mut(index) {
                    *entry = value;
                }
            };
            let value = *dx;
            *dx = central(value, |value| {
                set(&mut probe, value);
                self.loss(&probe, target)
            });
            set(&mut probe, value);
        }
        dx
    }
}

/// Sets the trainable parameter number `index` to `value`, if there is one, and returns its value.
fn learned<T: Number, L: Parameters<T>>(layers: &mut L, index: usize, value: Option<T>) -> T {
    let (mut before, mut found) = (0, T::zero());
    layers.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
        if leaf.role == Role::Weight {
            if let Some(entry) = index.checked_sub(before).and_then(|i| leaf.values.get_mut(i)) {
                *entry = value.unwrap_or(*entry);
                found = *entry;
            }
            before += leaf.values.len();
        }
    });
    found
}

/// (f(x + h) - f(x - h)) / 2h, divided by the actual difference of the two arguments after rounding.
fn central<T: Number>(x: T, mut f: impl FnMut(T) -> T) -> T {
    let h = T::default_epsilon().cbrt() * x.abs().max(T::one());
    let (above, below) = (x + h, x - h);
    (f(above) - f(below)) / (above - below)
}
