//! Where a backward pass delivers the gradient of the parameters: nowhere, or to a tree. `update.rs` delivers it to the
//! rule of an optimizer.

use crate::{
    kernel,
    params::{OneLeaf, Parameters},
    path::Path,
    shape::Number,
};
use core::ops::{Deref, Range};

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

/// Where gradients go: [`Nowhere`], [`Tree`], [`Update`](crate::Update), or one gradient for each sample. Other crates cannot add more.
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

impl sealed::Sealed for Nowhere {}
impl sealed::Sealed for Tree {}

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
