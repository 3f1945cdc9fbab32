//! Parameters as a tree of named leaves, with trees of the same shape for gradients and optimizer state.

use crate::{
    kernel::{self, parts},
    path::Path,
    shape::Number,
    zeros::{ConstZeros, Zeros},
};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use nalgebra::{SMatrix, SVector};
use num_traits::ConstZero;

/// A tree whose leaves are matrices of parameters: a matrix, a layer, a tuple of layers.
///
/// [`parameters!`](crate::parameters) implements it for a struct. All methods visit the leaves in the same
/// order.
#[doc(alias("state_dict", "named_parameters"))]
pub trait Parameters<T: Number>: Sized + 'static {
    /// The tree of gradients: the same leaves, without frozen ones. The state of an optimizer has this type
    /// too. It is `()` if the layer has no parameters or is [`Frozen`](crate::Frozen).
    type Gradient: Parameters<T, Gradient = Self::Gradient> + Zeros;

    /// The same tree over another scalar.
    type With<U: Number>: Parameters<U, With<T> = Self, Gradient = <Self::Gradient as Parameters<T>>::With<U>>;

    /// How many numbers all leaves hold together.
    const COUNT: usize;

    /// The same tree with `f` applied to each number.
    fn map_scalar<U: Number>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U>;

    /// Calls `f` with each leaf. Its name begins with `path`.
    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>));

    /// Calls `f` with each leaf, and with the same leaf of the gradient and of `N` trees of state. `f` may change
    /// the leaf and its state.
    fn visit_mut<const N: usize>(
        &mut self,
        gradient: Option<&Self::Gradient>,
        state: [&mut Self::Gradient; N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    );
}

/// A tree of one leaf: a matrix, or a [`Statistic`].
pub trait OneLeaf<T: Number>: Parameters<T, Gradient = Self> + Zeros {
    /// `K` columns of the leaf.
    type Columns<const K: usize>: AsMut<[T]>;
    /// The rows and columns.
    const SHAPE: (usize, usize);
    /// Who changes the leaf.
    const ROLE: Role;
    /// `K` columns of zeros.
    fn columns<const K: usize>() -> Self::Columns<K>;
    /// The numbers, column after column.
    fn numbers(&mut self) -> &mut [T];
}

/// Who changes a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The optimizer.
    Weight,
    /// The layer itself, in training. The gradient holds the step to add in the place of this leaf.
    Statistic,
    /// Nobody: it has no gradient.
    Frozen,
}

/// One named matrix of parameters.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a, T> {
    /// Its name, as PyTorch's `Sequential` gives it: `0.weight`.
    pub path: &'a Path<'a>,
    /// Who changes it.
    pub role: Role,
    /// Its rows and columns.
    pub shape: (usize, usize),
    /// The sizes of this tensor in PyTorch and in files, such as `[out, in, height, width]`. PyTorch stores the rows of
    /// this matrix one after the other. A macro sets the sizes: `parameters!(.. { weight: [O, I] })`.
    pub dims: &'a [usize],
    /// Its numbers, column after column.
    pub values: &'a [T],
}

/// One named matrix of parameters that can be changed, with the same leaf of other trees.
#[derive(Debug)]
pub struct LeafMut<'a, T, const N: usize> {
    /// Its name, as PyTorch's `Sequential` gives it: `0.weight`.
    pub path: &'a Path<'a>,
    /// Who changes it.
    pub role: Role,
    /// Its rows and columns.
    pub shape: (usize, usize),
    /// Its numbers, column after column.
    pub values: &'a mut [T],
    /// Its gradient; empty if no gradient was given or the role is [`Role::Frozen`].
    pub gradient: &'a [T],
    /// The leaf of each tree of state; empty if the role is [`Role::Frozen`].
    pub state: [&'a mut [T]; N],
}

/// Numbers that the layer itself changes in training, such as a running mean.
///
/// In place of a gradient, the backward pass delivers the step to add to these numbers. So the steps of several
/// batches add up. Rules of optimizers never see these numbers: in every step the crate adds that part of
/// the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistic<T, const N: usize>(pub SVector<T, N>);

/// Sets all numbers of a tree.
pub(crate) fn fill<T: Number, L: Parameters<T>>(tree: &mut L, value: T) {
    tree.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| leaf.values.fill(value));
}

/// The first leaf with a number that is not finite.
pub(crate) fn not_finite<T: Number, L: Parameters<T>>(tree: &L) -> Option<LeafName> {
    let (mut found, mut number) = (None, 0);
    tree.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        if found.is_none() && !kernel::finite(leaf.values) {
            found = Some(LeafName { number, name: leaf.path.name() });
        }
        number += 1;
    });
    found
}

/// A leaf of a tree, by its number and the last part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafName {
    /// How many leaves of the gradient come before it.
    pub number: usize,
    /// The name of its field: `weight` of `0.weight`.
    pub name: Option<&'static str>,
}

/// The number of parameters in one field of a struct whose field types a macro does not know.
#[doc(hidden)]
pub const fn count<T: Number, S, F: Parameters<T>>(_: fn(&S) -> &F) -> usize {
    F::COUNT
}

/// Makes a matrix a leaf: with its sizes, its role, and where in the type its numbers are, column after column.
macro_rules! leaf {
    ([$($generics:tt)*] $type:ty, $with:ty, ($rows:expr, $columns:expr), $role:expr, [$($at:tt)*],
        |$this:ident, $f:ident| $map:expr) => {
        impl<T: $crate::Number, $($generics)*> $crate::Parameters<T> for $type {
            type Gradient = Self;
            type With<U: $crate::Number> = $with;
            const COUNT: usize = $rows * $columns;

            #[inline(always)]
            fn map_scalar<U: $crate::Number>(&self, $f: &mut impl FnMut(T) -> U) -> $with {
                let $this = self;
                $map
            }

            #[inline]
            fn visit(&self, path: &$crate::Path, f: &mut impl FnMut($crate::Leaf<T>)) {
                let dims = if $columns == 1 { &[$rows][..] } else { const { &[$rows, $columns] } };
                let values = self$($at)*.as_slice();
                f($crate::Leaf { path, role: $role, shape: ($rows, $columns), dims, values });
            }

            #[inline(always)]
            fn visit_mut<const N: usize>(
                &mut self,
                gradient: Option<&Self>,
                mut state: [&mut Self; N],
                path: &$crate::Path,
                f: &mut impl FnMut($crate::LeafMut<T, N>),
            ) {
                let (role, shape) = ($role, ($rows, $columns));
                let gradient = gradient.map_or(&[][..], |tree| tree$($at)*.as_slice());
                let state = $crate::kernel::parts(&mut state, |tree| tree$($at)*.as_mut_slice());
                let values = self$($at)*.as_mut_slice();
                f($crate::LeafMut { path, role, shape, values, gradient, state });
            }
        }

        impl<T: $crate::Number, $($generics)*> $crate::OneLeaf<T> for $type {
            type Columns<const K: usize> = $crate::params::Run<T, { $rows }, K>;
            const SHAPE: (usize, usize) = ($rows, $columns);
            const ROLE: $crate::Role = $role;

            #[inline(always)]
            fn columns<const K: usize>() -> Self::Columns<K> {
                $crate::params::Run::zeros()
            }

            #[inline(always)]
            fn numbers(&mut self) -> &mut [T] {
                self$($at)*.as_mut_slice()
            }
        }
    };
}
pub(crate) use leaf;

leaf!([const R: usize, const C: usize] SMatrix<T, R, C>, SMatrix<U, R, C>, (R, C), Role::Weight, [],
    |this, f| this.map(f));
leaf!([const M: usize] Statistic<T, M>, Statistic<U, M>, (M, 1), Role::Statistic, [.0],
    |this, f| Statistic(this.0.map(f)));

/// Columns one after the other.
#[doc(hidden)]
pub struct Run<T, const R: usize, const K: usize>([[T; R]; K]);

impl<T: Number, const R: usize, const K: usize> Run<T, R, K> {
    #[inline(always)]
    pub(crate) fn zeros() -> Self {
        Run([[T::zero(); R]; K])
    }
}

impl<T, const R: usize, const K: usize> AsMut<[T]> for Run<T, R, K> {
    #[inline(always)]
    fn as_mut(&mut self) -> &mut [T] {
        self.0.as_flattened_mut()
    }
}

impl<T: Number, const N: usize> Zeros for Statistic<T, N> {
    #[inline]
    fn zeros() -> Self {
        Statistic(SVector::zeros())
    }

    #[inline]
    fn set_zero(&mut self) {
        self.0.fill(T::zero());
    }
}

impl<T: Number + ConstZero, const N: usize> ConstZeros for Statistic<T, N> {
    const ZEROS: Self = Statistic(ConstZeros::ZEROS);
}

/// `M` trees, named by their index.
impl<T: Number, L: Parameters<T>, const M: usize> Parameters<T> for [L; M] {
    type Gradient = [L::Gradient; M];
    type With<U: Number> = [L::With<U>; M];
    const COUNT: usize = M * L::COUNT;

    fn map_scalar<U: Number>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U> {
        self.each_ref().map(|part| part.map_scalar(f))
    }

    #[inline]
    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        for (i, part) in self.iter().enumerate() {
            part.visit(&path.index(i), f);
        }
    }

    #[inline(always)]
    fn visit_mut<const N: usize>(
        &mut self,
        gradient: Option<&Self::Gradient>,
        mut state: [&mut Self::Gradient; N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    ) {
        for (i, part) in self.iter_mut().enumerate() {
            let gradient = gradient.and_then(|tree| tree.get(i));
            #[expect(clippy::indexing_slicing, reason = "all are arrays of M")]
            let state = parts(&mut state, |tree| &mut tree[i]);
            part.visit_mut(gradient, state, &path.index(i), f);
        }
    }
}

#[cfg(feature = "alloc")]
impl<T: Number, L: Parameters<T>> Parameters<T> for Box<L> {
    type Gradient = Box<L::Gradient>;
    type With<U: Number> = Box<L::With<U>>;
    const COUNT: usize = L::COUNT;

    /// Builds the new tree on the stack first.
    fn map_scalar<U: Number>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U> {
        Box::new((**self).map_scalar(f))
    }

    #[inline]
    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        (**self).visit(path, f);
    }

    #[inline(always)]
    fn visit_mut<const N: usize>(
        &mut self,
        gradient: Option<&Self::Gradient>,
        mut state: [&mut Self::Gradient; N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    ) {
        let (gradient, state) =
            (gradient.map(|tree| &**tree), parts(&mut state, |tree| &mut **tree));
        (**self).visit_mut(gradient, state, path, f);
    }
}

/// No parameters.
impl<T: Number> Parameters<T> for () {
    type Gradient = ();
    type With<U: Number> = ();
    const COUNT: usize = 0;

    fn map_scalar<U: Number>(&self, _: &mut impl FnMut(T) -> U) {}

    fn visit(&self, _: &Path, _: &mut impl FnMut(Leaf<T>)) {}

    #[inline(always)]
    fn visit_mut<const N: usize>(
        &mut self,
        _: Option<&()>,
        _: [&mut (); N],
        _: &Path,
        _: &mut impl FnMut(LeafMut<T, N>),
    ) {
    }
}
