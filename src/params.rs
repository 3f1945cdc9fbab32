//! Parameters as named leaves of a tree, their gradients, and the trees that go with them.

use crate::{kernel, shape::Scalar};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::{fmt, mem::MaybeUninit};
use nalgebra::{ArrayStorage, Matrix, SMatrix};
use num_traits::ConstZero;

/// A tree whose leaves are parameters: a matrix, a layer, a tuple of layers, a net.
///
/// [`parameters!`](crate::parameters) writes the implementation for a struct. All methods go
/// through the leaves in the same order.
pub trait Parameters<T: Scalar> {
    /// Gradients, and whatever an optimizer keeps: a tree with the same leaves. It is `()` for
    /// what has no parameters or is [`Frozen`](crate::Frozen).
    type Gradient: Parameters<T, Gradient = Self::Gradient> + Zeros;

    /// The same tree over another scalar.
    type With<U: Scalar>: Parameters<U>;

    /// How many numbers the leaves hold together.
    const COUNT: usize;

    /// The same tree with `f` of each number.
    fn map_scalar<U: Scalar>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U>;

    /// Shows each leaf, named from `path` on.
    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>));

    /// Shows each leaf, to be changed, beside the same leaf of `N` gradient trees.
    fn visit_mut<const N: usize>(
        &mut self,
        trees: [&mut Self::Gradient; N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    );
}

/// W ← W - rate·dW, leaf by leaf.
#[inline(always)]
pub(crate) fn descend<T: Scalar, L: Parameters<T> + ?Sized>(
    rate: T,
    layers: &mut L,
    grad: &mut L::Gradient,
) {
    layers.visit_mut([grad], &Path::ROOT, &mut |leaf: LeafMut<T, 1>| {
        let [grad] = leaf.trees;
        kernel::add_scaled(-rate, grad, leaf.values);
    });
}

/// A value whose numbers can all be zero: a gradient, an optimizer's memory, a layer to be filled.
///
/// ```
/// use chainrule::{Affine, Zeros};
/// // 64 MB, straight on the heap: nothing of that size is ever on the stack.
/// let layer = Box::<Affine<f32, 4096, 4096>>::zeros();
/// assert_eq!(layer.weight[(4095, 4095)], 0.0);
/// ```
pub trait Zeros: Sized {
    /// All zeros.
    fn zeros() -> Self;

    /// Sets all to zero.
    fn set_zero(&mut self);

    /// Writes all zeros into `place` and returns what is there now. To forget this method costs
    /// stack and nothing else.
    fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
        place.write(Self::zeros())
    }
}

/// A value of zeros that is known at compile time, so that it can start in a `static`: layers,
/// gradients, the memory between layers, a [`Workspace`](crate::Workspace) for batches of constant
/// size.
///
/// ```
/// use chainrule::{Affine, ConstZeros};
/// static LAYER: Affine<f32, 8, 4> = Affine::ZEROS;
/// ```
pub trait ConstZeros {
    /// All zeros.
    const ZEROS: Self;
}

impl<T: Scalar + ConstZero, const R: usize, const C: usize> ConstZeros for SMatrix<T, R, C> {
    const ZEROS: Self = Matrix::from_array_storage(ArrayStorage([[T::ZERO; R]; C]));
}

/// What may change a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// An optimizer.
    Weight,
    /// Nothing: it has no gradient.
    Frozen,
}

/// One named matrix of parameters.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a, T> {
    /// Its name, as PyTorch's `Sequential` gives it: `0.weight`.
    pub path: &'a Path<'a>,
    /// What may change it.
    pub role: Role,
    /// Its rows and columns.
    pub shape: (usize, usize),
    /// Its numbers, column after column.
    pub values: &'a [T],
}

/// One named matrix of parameters, to be changed, and the same matrix of `N` gradient trees.
#[derive(Debug)]
pub struct LeafMut<'a, T, const N: usize> {
    /// Its name, as PyTorch's `Sequential` gives it: `0.weight`.
    pub path: &'a Path<'a>,
    /// What may change it.
    pub role: Role,
    /// Its rows and columns.
    pub shape: (usize, usize),
    /// Its numbers, column after column.
    pub values: &'a mut [T],
    /// The same leaf of each tree; empty where the role is [`Role::Frozen`].
    pub trees: [&'a mut [T]; N],
}

/// A place in a tree of parameters; it prints as `0.weight`.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a>(Option<(&'a Path<'a>, Key)>);

#[derive(Clone, Copy, Debug)]
enum Key {
    Field(&'static str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The whole tree; it prints as nothing.
    pub const ROOT: Path<'static> = Path(None);

    /// The field `name` of what is here.
    #[inline]
    pub const fn field(&'a self, name: &'static str) -> Path<'a> {
        Path(Some((self, Key::Field(name))))
    }

    /// The part number `index` of what is here.
    #[inline]
    pub const fn index(&'a self, index: usize) -> Path<'a> {
        Path(Some((self, Key::Index(index))))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Some((parent, key)) = self.0 else {
            return Ok(());
        };
        if parent.0.is_some() {
            write!(f, "{parent}.")?;
        }
        match key {
            Key::Field(name) => f.write_str(name),
            Key::Index(index) => write!(f, "{index}"),
        }
    }
}

/// Where a backward pass leaves the gradient of the parameters: nowhere, added to a tree, or in
/// the place of what a tree held.
#[derive(Debug)]
pub struct Grad<'a, G> {
    tree: Option<&'a mut G>,
    overwrite: bool,
}

impl<'a, G> Grad<'a, G> {
    /// Nowhere: it is not wanted.
    #[inline]
    pub const fn none() -> Self {
        Grad { tree: None, overwrite: false }
    }

    /// Added to what `tree` holds.
    #[inline]
    pub const fn add(tree: &'a mut G) -> Self {
        Grad { tree: Some(tree), overwrite: false }
    }

    /// In the place of what `tree` holds, which spares zeroing it first.
    #[inline]
    pub const fn set(tree: &'a mut G) -> Self {
        Grad { tree: Some(tree), overwrite: true }
    }

    /// A part of the tree, for an inner layer. A part that is given out twice in one pass must be
    /// added to the second time: take the [`tree`](Self::tree) first, and [`add`](Self::add).
    #[inline]
    pub fn part<P>(&mut self, part: impl FnOnce(&mut G) -> &mut P) -> Grad<'_, P> {
        Grad { tree: self.tree.as_deref_mut().map(part), overwrite: self.overwrite }
    }

    /// The tree to add to, if the gradient is wanted; set to zero where it is to be overwritten.
    #[inline]
    pub fn tree(self) -> Option<&'a mut G>
    where
        G: Zeros,
    {
        let tree = self.tree?;
        if self.overwrite {
            tree.set_zero();
        }
        Some(tree)
    }

    /// The tree as it is, and whether what it holds is to be overwritten.
    #[inline]
    pub fn raw(self) -> Option<(&'a mut G, bool)> {
        Some((self.tree?, self.overwrite))
    }
}

/// The numbers in one field of a struct whose field types a macro does not know.
#[doc(hidden)]
pub const fn count<T: Scalar, S, F: Parameters<T>>(_: fn(&S) -> &F) -> usize {
    F::COUNT
}

impl<T: Scalar, const R: usize, const C: usize> Parameters<T> for SMatrix<T, R, C> {
    type Gradient = Self;
    type With<U: Scalar> = SMatrix<U, R, C>;
    const COUNT: usize = R * C;

    fn map_scalar<U: Scalar>(&self, f: &mut impl FnMut(T) -> U) -> SMatrix<U, R, C> {
        self.map(f)
    }

    #[inline]
    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        let (role, shape) = (Role::Weight, (R, C));
        f(Leaf { path, role, shape, values: self.as_slice() });
    }

    #[inline(always)]
    fn visit_mut<const N: usize>(
        &mut self,
        trees: [&mut Self; N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    ) {
        let (role, shape, values) = (Role::Weight, (R, C), self.as_mut_slice());
        f(LeafMut { path, role, shape, values, trees: trees.map(|tree| tree.as_mut_slice()) });
    }
}

impl<T: Scalar, const R: usize, const C: usize> Zeros for SMatrix<T, R, C> {
    #[inline]
    fn zeros() -> Self {
        SMatrix::zeros()
    }

    #[inline]
    fn set_zero(&mut self) {
        self.fill(T::zero());
    }

    fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
        kernel::fill(place, T::zero())
    }
}

#[cfg(feature = "alloc")]
impl<T: Scalar, L: Parameters<T>> Parameters<T> for Box<L> {
    type Gradient = Box<L::Gradient>;
    type With<U: Scalar> = Box<L::With<U>>;
    const COUNT: usize = L::COUNT;

    /// By value, over the stack.
    fn map_scalar<U: Scalar>(&self, f: &mut impl FnMut(T) -> U) -> Self::With<U> {
        Box::new((**self).map_scalar(f))
    }

    #[inline]
    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        (**self).visit(path, f);
    }

    #[inline(always)]
    fn visit_mut<const N: usize>(
        &mut self,
        trees: [&mut Self::Gradient; N],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, N>),
    ) {
        (**self).visit_mut(trees.map(|tree| &mut **tree), path, f);
    }
}

#[cfg(feature = "alloc")]
impl<Z: Zeros> Zeros for Box<Z> {
    fn zeros() -> Self {
        kernel::boxed()
    }

    fn set_zero(&mut self) {
        (**self).set_zero();
    }
}

/// Makes a struct a tree of its fields, one line a struct:
///
/// - `parameters!(Square {})`: no parameters;
/// - `parameters!(Dropout<const PERCENT: u8> {})`: none, but constants;
/// - `parameters!(Affine<T; I, O> { weight, bias })`: generic over the scalar and sizes, all fields
///   matrices; its gradient is the same struct;
/// - `parameters!(Residual[L] { inner })`: generic over its parts; its gradient is the same struct
///   of their gradients, so that a frozen part has none.
///
/// Every field must be named. What the macro makes can be [exported](crate::export), too.
///
/// ```
/// use chainrule::{parameters, Parameters, Path};
/// use nalgebra::SVector;
///
/// struct Scale<T, const N: usize> {
///     weight: SVector<T, N>,
/// }
/// parameters!(Scale<T; N> { weight });
///
/// let scale = Scale { weight: SVector::<f32, 3>::repeat(2.0) };
/// scale.visit(&Path::ROOT, &mut |leaf| {
///     assert_eq!(leaf.path.to_string(), "weight");
///     assert_eq!(leaf.values, [2.0; 3]);
/// });
/// ```
#[macro_export]
macro_rules! parameters {
    ($name:ident {}) => {
        $crate::parameters!(@none ($name) ($name) ());
        $crate::parameters!(@export $name () [] [] ());
    };
    ($name:ident < $(const $n:ident : $ty:ty),+ > {}) => {
        $crate::parameters!(@none ($name) ($name<$($n),+>) ($(const $n: $ty),+));
        $crate::parameters!(@export $name ($(const $n: $ty),+) [] [$($n)+] ());
    };
    ($name:ident < $t:ident $(; $($n:ident),+)? > { $($field:ident),+ $(,)? }) => {
        impl<$t: $crate::Scalar $($(, const $n: usize)+)?> $crate::Parameters<$t>
            for $name<$t $($(, $n)+)?>
        {
            type Gradient = Self;
            type With<OtherScalar: $crate::Scalar> = $name<OtherScalar $($(, $n)+)?>;
            $crate::parameters!(@map $name $t ($($field)+));
            $crate::parameters!(@walk $t $($field: field stringify!($field)),+);
        }

        impl<$t: $crate::Scalar $($(, const $n: usize)+)?> $crate::Zeros
            for $name<$t $($(, $n)+)?>
        {
            $crate::parameters!(@zeros $name ($($field)+));
        }

        impl<$t: $crate::Scalar + $crate::__ConstZero $($(, const $n: usize)+)?> $crate::ConstZeros
            for $name<$t $($(, $n)+)?>
        {
            const ZEROS: Self = $name { $($field: $crate::ConstZeros::ZEROS),+ };
        }

        $crate::parameters!(
            @export $name ($t: $crate::Scalar + $crate::export::Export $($(, const $n: usize)+)?)
            [$t] [$($($n)+)?] ($($field)+)
        );
    };
    ($name:ident [ $($l:ident),+ ] { $($field:ident),+ $(,)? }) => {
        impl<ScalarOfTree: $crate::Scalar, $($l: $crate::Parameters<ScalarOfTree>),+>
            $crate::Parameters<ScalarOfTree> for $name<$($l),+>
        {
            type Gradient = $name<$($l::Gradient),+>;
            type With<OtherScalar: $crate::Scalar> = $name<$($l::With<OtherScalar>),+>;
            $crate::parameters!(@map $name ScalarOfTree ($($field)+));
            $crate::parameters!(@walk ScalarOfTree $($field: field stringify!($field)),+);
        }

        impl<$($l: $crate::Zeros),+> $crate::Zeros for $name<$($l),+> {
            $crate::parameters!(@zeros $name ($($field)+));
        }

        impl<$($l: $crate::ConstZeros),+> $crate::ConstZeros for $name<$($l),+> {
            const ZEROS: Self = $name { $($field: $crate::ConstZeros::ZEROS),+ };
        }

        $crate::parameters!(@export $name ($($l: $crate::export::Export),+) [$($l)+] [] ($($field)+));
    };
    // What is written of it as source: its type with the types and constants that it takes, then
    // its fields.
    (@export $name:ident ($($generics:tt)*) [$($t:ident)*] [$($n:ident)*] ($($field:tt)*)) => {
        impl<$($generics)*> $crate::export::Export for $name<$($t,)* $($n),*> {
            fn source(
                value: Option<&Self>,
                f: &mut ::core::fmt::Formatter,
            ) -> ::core::fmt::Result {
                let path = concat!("::chainrule::", stringify!($name));
                let path = $crate::export::__path(module_path!(), path);
                let Some(_value) = value else {
                    return $crate::export::__type(f, path, &[
                        $(&$crate::export::Source::<$t>(None),)* $(&$n),*
                    ]);
                };
                f.debug_struct(path)
                    $(.field(stringify!($field), &$crate::export::Source(Some(&_value.$field))))*
                    .finish()
            }
        }
    };
    (@none ($make:expr) ($name:ty) ($($const:tt)*)) => {
        impl<ScalarOfTree: $crate::Scalar, $($const)*> $crate::Parameters<ScalarOfTree> for $name {
            type Gradient = ();
            type With<OtherScalar: $crate::Scalar> = Self;
            const COUNT: usize = 0;
            #[inline]
            fn map_scalar<OtherScalar: $crate::Scalar>(
                &self,
                _: &mut impl FnMut(ScalarOfTree) -> OtherScalar,
            ) -> Self {
                $make
            }
            #[inline]
            fn visit(&self, _: &$crate::Path, _: &mut impl FnMut($crate::Leaf<ScalarOfTree>)) {}
            #[inline(always)]
            fn visit_mut<const GRADIENT_TREES: usize>(
                &mut self,
                _: [&mut (); GRADIENT_TREES],
                _: &$crate::Path,
                _: &mut impl FnMut($crate::LeafMut<ScalarOfTree, GRADIENT_TREES>),
            ) {
            }
        }

        impl<$($const)*> $crate::Zeros for $name {
            #[inline]
            fn zeros() -> Self {
                $make
            }
            #[inline]
            fn set_zero(&mut self) {}
        }

        impl<$($const)*> $crate::ConstZeros for $name {
            const ZEROS: Self = $make;
        }
    };
    (@map $name:ident $t:ident ($($field:ident)+)) => {
        fn map_scalar<OtherScalar: $crate::Scalar>(
            &self,
            f: &mut impl FnMut($t) -> OtherScalar,
        ) -> Self::With<OtherScalar> {
            $name { $($field: $crate::Parameters::map_scalar(&self.$field, f)),+ }
        }
    };
    // Each field, and by what a path goes on to it: `field "weight"`, or in a tuple `index 0`.
    (@walk $t:ident $($field:tt: $step:ident $name:expr),+) => {
        const COUNT: usize = 0 $(+ $crate::__count::<$t, _, _>(|whole: &Self| &whole.$field))+;

        #[inline]
        fn visit(&self, path: &$crate::Path, f: &mut impl FnMut($crate::Leaf<$t>)) {
            $($crate::Parameters::visit(&self.$field, &path.$step($name), f);)+
        }

        #[inline(always)]
        fn visit_mut<const GRADIENT_TREES: usize>(
            &mut self,
            mut trees: [&mut Self::Gradient; GRADIENT_TREES],
            path: &$crate::Path,
            f: &mut impl FnMut($crate::LeafMut<$t, GRADIENT_TREES>),
        ) {
            $(
                let each = trees.each_mut().map(|tree| &mut tree.$field);
                $crate::Parameters::visit_mut(&mut self.$field, each, &path.$step($name), f);
            )+
        }
    };
    (@zeros $name:ident ($($field:ident)+)) => {
        #[inline]
        fn zeros() -> Self {
            $name { $($field: $crate::Zeros::zeros()),+ }
        }
        #[inline]
        fn set_zero(&mut self) {
            $($crate::Zeros::set_zero(&mut self.$field);)+
        }
        fn zeros_in(place: &mut ::core::mem::MaybeUninit<Self>) -> &mut Self {
            $crate::__zeros_in!(place: $($field),+)
        }
    };
}

parameters!(@none (()) (()) ());
