//! Where a backward pass delivers the gradient of the parameters: nowhere, to a tree, or directly to the
//! rule of an optimizer.

use crate::{
    kernel,
    params::{OneLeaf, Parameters, Role},
    path::Path,
    rule::{Piece, Rule},
    shape::Number,
};
use core::{
    marker::PhantomData,
    ops::{Deref, Range},
};

/// A layer in a backward pass: its parameters, which can be read, and the destination of their gradient.
///
/// It dereferences to the layer. `backward` selects each parameter with [`part!`](crate::part) and delivers
/// its gradient: with [`product`](Self::product) if it is a matrix product, with [`sum`](Self::sum) if it is
/// a sum over the samples, else with [`add`](Self::add) or [`columns`](Self::columns). A container passes
/// `part!(this.inner)` to the `backward` of each inner layer.
///
/// Compute `dx` before you deliver a gradient: an optimizer may change the parameter at that moment.
///
/// ```
/// use chainrule::{Affine, Backward, Forward, ByValue, Grad, Zeros, parameters, part};
/// use chainrule::{BatchSize, Columns, D1, Destination, Layer, Purpose, Number};
/// use nalgebra::SVector;
///
/// /// y = w ⊙ x, dx = w ⊙ dy, dw = Σ x ⊙ dy over the batch.
/// struct Scale<T, const N: usize> {
///     weight: SVector<T, N>,
/// }
/// parameters!(Scale<T: scalar, const N: usize> { weight });
///
/// impl<T: Number, const N: usize> Layer<T, D1<N>> for Scale<T, N> {
///     type Out = D1<N>;
///     type Cache<B: BatchSize, P: Purpose> = ();
///     type Scratch = ();
///
///     #[inline(always)]
///     fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
///         for (mut y, x) in at.y.column_iter_mut().zip(at.x.column_iter()) {
///             y.copy_from(&x);
///             y.component_mul_assign(&self.weight);
///         }
///     }
///
///     #[inline(always)]
///     fn backward<B: BatchSize, D: Destination<T>>(
///         mut this: Grad<T, Self, D>,
///         at: Backward<T, D1<N>, Self, B>,
///     ) {
///         if let Some(dx) = at.dx {
///             for (mut dx, dy) in dx.column_iter_mut().zip(at.dy.column_iter()) {
///                 dx.copy_from(&dy);
///                 dx.component_mul_assign(&this.weight);
///             }
///         }
///         part!(this.weight).add(|dw| {
///             for (x, dy) in at.x.column_iter().zip(at.dy.column_iter()) {
///                 dw.cmpy(T::one(), &x, &dy, T::one());
///             }
///         });
///     }
/// }
///
/// let scale = Scale { weight: SVector::<f64, 2>::new(2.0, 3.0) };
/// let x = SVector::<f64, 2>::new(5.0, 7.0);
/// let (dx, grad) = scale.trace(&x).backward(&SVector::<f64, 2>::new(1.0, 10.0));
/// assert_eq!((dx[1], grad.weight[1]), (30.0, 70.0));
/// ```
pub struct Grad<'a, T: Number, L: Parameters<T>, D: Destination<T>> {
    pub(crate) held: D::Held<'a, L>,
    pub(crate) path: Path<'a>,
}

/// Where gradients go: [`Nowhere`], [`Tree`], [`Update`], or one gradient for each sample. Other crates cannot add more.
pub trait Destination<T: Number>: sealed::Sealed + 'static {
    /// What the destination holds for a layer.
    #[doc(hidden)]
    type Held<'a, L: Parameters<T>>;

    #[doc(hidden)]
    fn layer<'b, L: Parameters<T>>(held: &'b Self::Held<'_, L>) -> &'b L;

    #[doc(hidden)]
    fn part<'b, L: Parameters<T>, P: Parameters<T>>(
        held: &'b mut Self::Held<'_, L>,
        shared: impl FnOnce(&L) -> &P,
        layer: impl FnOnce(&mut L) -> &mut P,
        tree: impl Fn(&mut L::Gradient) -> &mut P::Gradient,
    ) -> Self::Held<'b, P>;

    /// Calls `f` with a matrix. `f` adds the gradient to it.
    #[doc(hidden)]
    fn whole<M: OneLeaf<T>>(held: Self::Held<'_, M>, path: &Path, f: impl FnOnce(&mut M));

    /// Adds `dy·xᵀ` to the leaf directly, if the destination can do that (without `x` it adds a `dy` of one sample).
    /// Otherwise it returns the leaf.
    #[doc(hidden)]
    #[inline(always)]
    fn add_product<'b, M: OneLeaf<T>>(
        held: Self::Held<'b, M>,
        dy: &[T],
        x: Option<&[T]>,
    ) -> Option<Self::Held<'b, M>> {
        let _ = (dy, x);
        Some(held)
    }

    /// Whether [`deliver`](Self::deliver) takes more than one call for this leaf.
    #[doc(hidden)]
    fn in_parts<M: OneLeaf<T>>() -> bool {
        false
    }

    /// Calls `f` with memory for some columns of the leaf, until all columns are done. The last argument says whether
    /// `f` must overwrite the memory or add to it.
    #[doc(hidden)]
    fn deliver<M: OneLeaf<T>>(
        held: Self::Held<'_, M>,
        path: &Path,
        f: impl FnMut(Range<usize>, &mut [T], bool),
    );
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

impl<T: Number, L: Parameters<T>, D: Destination<T>> Deref for Grad<'_, T, L, D> {
    type Target = L;

    #[inline(always)]
    fn deref(&self) -> &L {
        D::layer(&self.held)
    }
}

/// One field of a [`Grad`](crate::Grad), with its name: `part!(this.weight)`.
#[macro_export]
macro_rules! part {
    ($this:ident . $field:tt) => {
        $this.part(
            stringify!($field),
            |layer| &layer.$field,
            |layer| &mut layer.$field,
            |gradient| &mut gradient.$field,
        )
    };
}

impl<T: Number, L: Parameters<T>, D: Destination<T>> Grad<'_, T, L, D> {
    /// The part with this name. [`part!`](crate::part) writes the three closures for you.
    #[inline(always)]
    pub fn part<P: Parameters<T>>(
        &mut self,
        name: &'static str,
        shared: impl FnOnce(&L) -> &P,
        layer: impl FnOnce(&mut L) -> &mut P,
        gradient: impl Fn(&mut L::Gradient) -> &mut P::Gradient,
    ) -> Grad<'_, T, P, D> {
        let Grad { held, path } = self;
        Grad { held: D::part(held, shared, layer, gradient), path: path.field(name) }
    }

    /// The contents of a wrapper that adds nothing to the name, such as a box.
    #[inline(always)]
    pub fn inside<P: Parameters<T>>(
        &mut self,
        shared: impl FnOnce(&L) -> &P,
        layer: impl FnOnce(&mut L) -> &mut P,
        gradient: impl Fn(&mut L::Gradient) -> &mut P::Gradient,
    ) -> Grad<'_, T, P, D> {
        Grad { held: D::part(&mut self.held, shared, layer, gradient), path: self.path }
    }
}

/// An array of layers or of parameters.
impl<T: Number, L: Parameters<T>, D: Destination<T>, const M: usize> Grad<'_, T, [L; M], D> {
    /// Calls `f` with each element in order.
    #[inline(always)]
    pub fn each(self, f: impl FnMut(Grad<T, L, D>)) {
        self.in_order(0..M, f);
    }

    /// Calls `f` with each element, the last one first.
    #[inline(always)]
    pub fn each_back(self, f: impl FnMut(Grad<T, L, D>)) {
        self.in_order((0..M).rev(), f);
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "all are arrays of M")]
    fn in_order(self, order: impl Iterator<Item = usize>, mut f: impl FnMut(Grad<T, L, D>)) {
        let Grad { mut held, path } = self;
        for i in order {
            let part = D::part(&mut held, |all| &all[i], |all| &mut all[i], |all| &mut all[i]);
            f(Grad { held: part, path: path.index(i) });
        }
    }
}

/// For one parameter.
impl<T: Number, M: OneLeaf<T>, D: Destination<T>> Grad<'_, T, M, D> {
    /// Delivers a gradient of any kind: `f` adds it to a matrix with the shape of the parameter. That matrix
    /// may be on the stack. For large parameters use [`columns`](Self::columns).
    #[inline(always)]
    pub fn add(self, f: impl FnOnce(&mut M)) {
        D::whole(self.held, &self.path, f);
    }

    /// Delivers a gradient some columns at a time. It calls `f` once or more. Each time `f` adds the gradient
    /// of the columns in the range to the slice, which holds these columns one after the other.
    #[inline(always)]
    pub fn columns(self, mut f: impl FnMut(Range<usize>, &mut [T])) {
        D::deliver::<M>(self.held, &self.path, |columns, numbers, overwrite| {
            if overwrite {
                numbers.fill(T::zero());
            }
            f(columns, numbers);
        });
    }

    /// Delivers `dy·xᵀ`, summed over the samples: the gradient of W in W·x. `dy` and `x` are batches, one
    /// sample after the other. A sample of `dy` has as many numbers as W has rows, a sample of `x` as many
    /// as W has columns.
    #[inline(always)]
    pub fn product(self, dy: &[T], x: &[T]) {
        let (rows, columns) = M::SHAPE;
        let Some(held) = D::add_product(self.held, dy, Some(x)) else { return };
        // Two closures, so that a chip whose leaves are small has no code for parts.
        if !D::in_parts::<M>() {
            return D::deliver::<M>(held, &self.path, |_, numbers, overwrite| {
                kernel::product_nt((rows, columns), dy, x, numbers, overwrite);
            });
        }
        D::deliver::<M>(held, &self.path, |part, numbers, overwrite| {
            kernel::product_nt_part((rows, columns), dy, x, part, numbers, overwrite);
        });
    }

    /// Delivers the sum of `dy` over the samples: the gradient of b in x + b.
    #[inline(always)]
    pub fn sum(self, dy: &[T]) {
        let (rows, columns) = M::SHAPE;
        let Some(held) = D::add_product(self.held, dy, None) else { return };
        if !D::in_parts::<M>() {
            return D::deliver::<M>(held, &self.path, |_, numbers, overwrite| {
                kernel::sum_columns(dy, numbers, overwrite);
            });
        }
        D::deliver::<M>(held, &self.path, |part, numbers, overwrite| {
            if overwrite {
                numbers.fill(T::zero());
            }
            for dy in dy.chunks_exact((rows * columns).max(1)) {
                let dy = dy.get(rows * part.start..rows * part.end).unwrap_or_default();
                kernel::add_scaled(T::one(), dy, numbers);
            }
        });
    }
}

/// Nobody needs the gradient of the parameters.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

/// The gradient goes to a tree with the shape of the layer. The backward pass adds to the tree or overwrites it.
#[derive(Clone, Copy, Debug)]
pub struct Tree;

/// The gradient goes to a rule, piece by piece. There is no tree of gradients.
#[derive(Clone, Copy, Debug)]
pub struct Update<R, const N: usize>(PhantomData<R>);

impl sealed::Sealed for Nowhere {}
impl sealed::Sealed for Tree {}
impl<R, const N: usize> sealed::Sealed for Update<R, N> {}

impl<'a, T: Number, L: Parameters<T>> Grad<'a, T, L, Nowhere> {
    /// Discards the gradient of the parameters.
    #[inline(always)]
    pub const fn nowhere(layer: &'a L) -> Self {
        Grad { held: layer, path: Path::ROOT }
    }
}

impl<'a, T: Number, L: Parameters<T>> Grad<'a, T, L, Tree> {
    /// Adds the gradient to `tree`.
    #[inline(always)]
    pub const fn add_to(layer: &'a L, tree: &'a mut L::Gradient) -> Self {
        Grad { held: (layer, tree, false), path: Path::ROOT }
    }

    /// Overwrites `tree` with the gradient.
    #[inline(always)]
    pub const fn set(layer: &'a L, tree: &'a mut L::Gradient) -> Self {
        Grad { held: (layer, tree, true), path: Path::ROOT }
    }
}

impl<'a, T: Number, L: Parameters<T>, R: Rule<T, N>, const N: usize> Grad<'a, T, L, Update<R, N>> {
    /// Gives the gradient to `rule`, which changes the layer.
    #[inline(always)]
    pub(crate) const fn update(
        layer: &'a mut L,
        state: [&'a mut L::Gradient; N],
        rule: &'a R,
        step: u64,
        look: &'a mut Look,
    ) -> Self {
        let held = Held { layer, state, rule, step, look, product: false };
        Grad { held, path: Path::ROOT }
    }
}

impl<T: Number> Destination<T> for Nowhere {
    type Held<'a, L: Parameters<T>> = &'a L;

    #[inline(always)]
    fn layer<'b, L: Parameters<T>>(held: &'b &L) -> &'b L {
        held
    }

    #[inline(always)]
    fn part<'b, L: Parameters<T>, P: Parameters<T>>(
        held: &'b mut &L,
        shared: impl FnOnce(&L) -> &P,
        _: impl FnOnce(&mut L) -> &mut P,
        _: impl Fn(&mut L::Gradient) -> &mut P::Gradient,
    ) -> &'b P {
        shared(held)
    }

    #[inline(always)]
    fn whole<M: OneLeaf<T>>(_: &M, _: &Path, _: impl FnOnce(&mut M)) {}

    #[inline(always)]
    fn deliver<M: OneLeaf<T>>(_: &M, _: &Path, _: impl FnMut(Range<usize>, &mut [T], bool)) {}
}

impl<T: Number> Destination<T> for Tree {
    type Held<'a, L: Parameters<T>> = (&'a L, &'a mut L::Gradient, bool);

    #[inline(always)]
    fn layer<'b, L: Parameters<T>>((layer, ..): &'b Self::Held<'_, L>) -> &'b L {
        layer
    }

    #[inline(always)]
    fn part<'b, L: Parameters<T>, P: Parameters<T>>(
        (layer, gradient, overwrite): &'b mut Self::Held<'_, L>,
        shared: impl FnOnce(&L) -> &P,
        _: impl FnOnce(&mut L) -> &mut P,
        tree: impl Fn(&mut L::Gradient) -> &mut P::Gradient,
    ) -> Self::Held<'b, P> {
        (shared(layer), tree(gradient), *overwrite)
    }

    #[inline(always)]
    fn whole<M: OneLeaf<T>>(
        (_, gradient, overwrite): Self::Held<'_, M>,
        _: &Path,
        f: impl FnOnce(&mut M),
    ) {
        if overwrite {
            gradient.set_zero();
        }
        f(gradient);
    }

    #[inline(always)]
    fn deliver<M: OneLeaf<T>>(
        (_, gradient, overwrite): Self::Held<'_, M>,
        _: &Path,
        mut f: impl FnMut(Range<usize>, &mut [T], bool),
    ) {
        f(0..M::SHAPE.1, gradient.numbers(), overwrite);
    }
}

/// Whether the gradient is finite, as far as it was checked.
#[doc(hidden)]
pub struct Look {
    pub finite: bool,
    /// The address of the `dy` that was checked last.
    seen: usize,
}

impl Look {
    pub(crate) const fn new() -> Self {
        Look { finite: true, seen: 0 }
    }

    #[inline(always)]
    fn at<T: Number>(&mut self, numbers: &[T]) {
        self.finite &= kernel::finite(numbers);
    }
}

/// A layer that a rule changes, with the state of its parameters.
#[doc(hidden)]
pub struct Held<'a, L, G, R, const N: usize> {
    layer: &'a mut L,
    state: [&'a mut G; N],
    rule: &'a R,
    step: u64,
    look: &'a mut Look,
    /// Whether the gradient is a product dy·xᵀ. Every number of `dy` is a factor of its first column, so a
    /// `dy` that is not finite shows there.
    product: bool,
}

/// How many bytes of a gradient the backward pass computes at most before it gives them to the rule. With std the size
/// is large enough that the product is worth its preparation, and small enough for the first-level cache. Without std
/// it is small enough for the stack of a chip.
const PIECE: usize = if cfg!(feature = "std") { 32 * 1024 } else { 2 * 1024 };

impl<T: Number, R: Rule<T, N>, const N: usize> Destination<T> for Update<R, N> {
    type Held<'a, L: Parameters<T>> = Held<'a, L, L::Gradient, R, N>;

    #[inline(always)]
    fn layer<'b, L: Parameters<T>>(held: &'b Self::Held<'_, L>) -> &'b L {
        held.layer
    }

    #[inline(always)]
    fn part<'b, L: Parameters<T>, P: Parameters<T>>(
        held: &'b mut Self::Held<'_, L>,
        _: impl FnOnce(&L) -> &P,
        layer: impl FnOnce(&mut L) -> &mut P,
        tree: impl Fn(&mut L::Gradient) -> &mut P::Gradient,
    ) -> Self::Held<'b, P> {
        let Held { layer: whole, state, rule, step, look, product } = held;
        let state = kernel::parts(state, |state| tree(state));
        Held { layer: layer(whole), state, rule, step: *step, look, product: *product }
    }

    #[inline(always)]
    fn whole<M: OneLeaf<T>>(mut held: Self::Held<'_, M>, path: &Path, f: impl FnOnce(&mut M)) {
        let mut gradient = M::zeros();
        f(&mut gradient);
        held.apply(path, 0, gradient.numbers());
    }

    #[inline(always)]
    fn add_product<'b, M: OneLeaf<T>>(
        mut held: Self::Held<'b, M>,
        dy: &[T],
        x: Option<&[T]>,
    ) -> Option<Self::Held<'b, M>> {
        held.product = x.is_some();
        let factor = held.rule.factor().filter(|_| M::ROLE == Role::Weight);
        let Some(factor) = factor else { return Some(held) };
        let w = held.layer.numbers();
        match x {
            Some(x) if kernel::add_product(factor, M::SHAPE, dy, x, w) => {}
            None if dy.len() == w.len() => kernel::add_scaled(factor, dy, w),
            _ => return Some(held),
        }
        // The bias gets the same `dy` as the weight before it, which was checked already.
        if x.is_some() || held.look.seen != dy.as_ptr().addr() {
            held.look.at(w.get(..M::SHAPE.0).unwrap_or_default());
        }
        held.look.seen = dy.as_ptr().addr();
        None
    }

    #[inline(always)]
    fn in_parts<M: OneLeaf<T>>() -> bool {
        const { size_of::<M>() > PIECE && M::SHAPE.1 > 1 }
    }

    #[inline(always)]
    fn deliver<M: OneLeaf<T>>(
        mut held: Self::Held<'_, M>,
        path: &Path,
        mut f: impl FnMut(Range<usize>, &mut [T], bool),
    ) {
        if const { size_of::<M>() <= PIECE } {
            let mut gradient = M::zeros();
            f(0..M::SHAPE.1, gradient.numbers(), true);
            held.apply(path, 0, gradient.numbers());
        } else if const { size_of::<M::Columns<64>>() <= PIECE } {
            held.by_columns::<T, 64>(path, f);
        } else if const { size_of::<M::Columns<16>>() <= PIECE } {
            held.by_columns::<T, 16>(path, f);
        } else if const { size_of::<M::Columns<8>>() <= PIECE } {
            held.by_columns::<T, 8>(path, f);
        } else {
            held.by_columns::<T, 1>(path, f);
        }
    }
}

impl<M, R, const N: usize> Held<'_, M, M, R, N> {
    #[inline(always)]
    fn by_columns<T: Number, const K: usize>(
        &mut self,
        path: &Path,
        mut f: impl FnMut(Range<usize>, &mut [T], bool),
    ) where
        M: OneLeaf<T>,
        R: Rule<T, N>,
    {
        let (rows, columns) = M::SHAPE;
        let mut memory = M::columns::<K>();
        let mut first = 0;
        while first < columns {
            let last = first + kernel::next_part(columns - first, K);
            if let Some(gradient) = memory.as_mut().get_mut(..rows * (last - first)) {
                f(first..last, gradient, true);
                self.apply(path, rows * first, gradient);
            }
            first = last;
        }
    }

    /// Passes the gradient of the numbers from `first` on to the rule, or adds it to a statistic.
    #[inline(always)]
    fn apply<T: Number>(&mut self, path: &Path, first: usize, gradient: &[T])
    where
        M: OneLeaf<T>,
        R: Rule<T, N>,
    {
        let end = first + gradient.len();
        let here = self.layer.numbers().get_mut(first..end);
        let values = here.unwrap_or_default();
        let look = match (self.product, first) {
            (false, _) => gradient,
            (true, 0) => gradient.get(..M::SHAPE.0).unwrap_or_default(),
            (true, _) => &[],
        };
        self.look.at(look);
        if M::ROLE != Role::Weight {
            return kernel::add_scaled(T::one(), gradient, values);
        }
        let state = kernel::parts(&mut self.state, |tree| {
            tree.numbers().get_mut(first..end).unwrap_or_default()
        });
        let (shape, step) = (M::SHAPE, self.step);
        let role = Role::Weight;
        self.rule.update(Piece { path, role, shape, first, step, values, gradient, state });
    }
}
