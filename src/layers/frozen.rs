//! A layer that does not learn.

#![allow(unsafe_code)] // of `__zeros_in!`, which stands in `kernel::place`

use crate::{
    layer::{Layer, Pass},
    params::{ConstZeros, Grad, Leaf, LeafMut, Parameters, Path, Role, Zeros},
    shape::{Batch, BatchSize, Scalar, Shape},
};
use core::mem::MaybeUninit;

/// Keeps a layer as it is: its parameters have no gradient, which takes neither memory nor time,
/// and it predicts even in training. The gradient on its input is that of the layer.
///
/// # Shapes
/// The inner layer's.
///
/// ```
/// use chainrule::{Affine, Frozen, Parameters};
///
/// type Tuned = (Frozen<Affine<f32, 64, 32>>, Affine<f32, 32, 4>);
/// assert_eq!(<Tuned as Parameters<f32>>::COUNT, 64 * 32 + 32 + 32 * 4 + 4);
/// assert_eq!(size_of::<<Tuned as Parameters<f32>>::Gradient>(), 4 * (32 * 4 + 4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frozen<L>(pub L);

impl<T: Scalar, L: Parameters<T>> Parameters<T> for Frozen<L> {
    type Gradient = ();
    type With<U: Scalar> = Frozen<L::With<U>>;
    const COUNT: usize = L::COUNT;

    fn map_scalar<U: Scalar>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U> {
        Frozen(self.0.map_scalar(f))
    }

    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        self.0.visit(path, &mut |leaf: Leaf<T>| f(Leaf { role: Role::Frozen, ..leaf }));
    }

    fn visit_mut<const N: usize>(
        &mut self,
        _: [&mut (); N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    ) {
        self.0.visit_mut([], path, &mut |leaf: LeafMut<T, 0>| {
            let LeafMut { path, shape, values, .. } = leaf;
            let trees = [(); N].map(|()| &mut [][..]);
            f(LeafMut { path, role: Role::Frozen, shape, values, trees });
        });
    }
}

impl<L: Zeros> Zeros for Frozen<L> {
    fn zeros() -> Self {
        Frozen(L::zeros())
    }

    fn set_zero(&mut self) {
        self.0.set_zero();
    }

    fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
        crate::__zeros_in!(place: 0)
    }
}

impl<L: ConstZeros> ConstZeros for Frozen<L> {
    const ZEROS: Self = Frozen(L::ZEROS);
}

impl<T: Scalar, S: Shape, L: Layer<T, S>> Layer<T, S> for Frozen<L> {
    type Out = L::Out;
    type Cache<B: BatchSize> = L::Cache<B>;

    #[inline(always)]
    fn forward<B: BatchSize>(
        &self,
        x: &S::Batch<T, B>,
        y: &mut Batch<T, L::Out, B>,
        cache: &mut L::Cache<B>,
        _: &mut Pass,
    ) {
        self.0.forward::<B>(x, y, cache, &mut Pass::Predict);
    }

    #[inline(always)]
    fn predict<B: BatchSize>(&self, x: &S::Batch<T, B>, y: &mut Batch<T, L::Out, B>) {
        self.0.predict::<B>(x, y);
    }

    #[inline(always)]
    fn backward<B: BatchSize>(
        &self,
        x: &S::Batch<T, B>,
        y: &Batch<T, L::Out, B>,
        cache: &mut L::Cache<B>,
        dy: &Batch<T, L::Out, B>,
        dx: Option<&mut S::Batch<T, B>>,
        _: Grad<()>,
    ) {
        self.0.backward::<B>(x, y, cache, dy, dx, Grad::none());
    }
}
