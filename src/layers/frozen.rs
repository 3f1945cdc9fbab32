//! A layer that training does not change.

use crate::export::{self, Export, Source};
use crate::{
    Backward, BatchSize, ConstZeros, Destination, Forward, Grad, Layer, Leaf, LeafMut, Nowhere,
    Number, Parameters, Pass, Path, Purpose, Role, Shape, Zeros, init::Gain,
};
use core::{fmt, mem::MaybeUninit};
use rand::Rng;

/// A layer that does not change in training. Its parameters have no gradient, which saves memory and time. The layer
/// runs as in a prediction, also in training. It passes on the gradient on its input.
///
/// # Shapes
/// Those of the inner layer.
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

impl<T: Number, L: Parameters<T>> Parameters<T> for Frozen<L> {
    type Gradient = ();
    type With<U: Number> = Frozen<L::With<U>>;
    const COUNT: usize = L::COUNT;

    fn map_scalar<U: Number>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U> {
        Frozen(self.0.map_scalar(f))
    }

    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        self.0.visit(path, &mut |leaf: Leaf<T>| f(Leaf { role: Role::Frozen, ..leaf }));
    }

    fn visit_mut<const N: usize>(
        &mut self,
        _: Option<&()>,
        _: [&mut (); N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    ) {
        self.0.visit_mut(None, [], path, &mut |leaf: LeafMut<T, 0>| {
            let LeafMut { path, shape, values, .. } = leaf;
            let (role, state) = (Role::Frozen, [(); N].map(|()| &mut [][..]));
            f(LeafMut { path, role, shape, values, gradient: &[], state });
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

impl<T: Number, S: Shape, L: Layer<T, S>> Layer<T, S> for Frozen<L> {
    type Out = L::Out;
    type Cache<B: BatchSize, P: Purpose> = L::Cache<B, P>;
    type Scratch = L::Scratch;
    const GAIN: Option<Gain> = L::GAIN;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        let Forward { x, y, cache, scratch, .. } = at;
        self.0.forward::<B, P>(Forward { x, y, cache, scratch, pass: &mut Pass::Predict });
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        let Backward { x, y, cache, scratch, dy, dx } = at;
        if dx.is_some() {
            let inner = Grad::nowhere(&this.0);
            L::backward::<B, Nowhere>(inner, Backward { x, y, cache, scratch, dy, dx });
        }
    }

    fn init<R: Rng + ?Sized>(&mut self, next: Gain, rng: &mut R) {
        self.0.init(next, rng);
    }
}

impl<L: Export> Export for Frozen<L> {
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
        export::tuple(f, "::chainrule::Frozen", &[&Source::<L>(None)], value.map(|layer| &layer.0))
    }
}
