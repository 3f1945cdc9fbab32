//! The macros for authors of layers: `parameters!` makes a struct a tree of parameters, `buffer!` writes a struct of
//! memory.

/// Makes a struct a tree of parameters. List every field in one of three ways:
///
/// - `weight`: a matrix, a layer, an array of layers, or any other type with [`Parameters`](crate::Parameters);
/// - `weight: [O, C, 3, 3]`: the same, with the sizes of this tensor in PyTorch ([`Leaf::dims`](crate::Leaf::dims)).
///   Without them a matrix of one column is a vector in files, and any other matrix has its rows and columns;
/// - `keep eps`: a setting of a plain type (`f64`, `u8`, `bool`, `Option<f64>`, `PhantomData<S>`). The crate copies it
///   and does not train it. [`Zeros::zeros`](crate::Zeros::zeros) makes it zero, and so does
///   [`Network::init`](crate::Network::init). So a setting that has another default is an `Option`, and `None` means
///   the default. `set_zero` does not change it.
///
/// Write the generics as in the struct. Mark the type of the numbers with `scalar`, and a layer in a container with
/// `part`:
///
/// - `parameters!(Square {})`
/// - `parameters!(Affine<T: scalar, const I: usize, const O: usize> { weight: [O, I], bias })`
/// - `parameters!(Residual<L: part> { inner })`
/// - `parameters!(Blend<P: part, Q: part, const PERCENT: u8> { left, right })`
/// - `parameters!(Dense<T: scalar, S: Shape, const O: usize> { weight, bias, keep shape, keep eps })`
///
/// The gradient of a struct is the same struct with the gradients of its parts. A frozen part has no gradient. For a
/// struct without parameters the gradient is `()`. The macro also implements
/// [`Zeros`](crate::Zeros), [`ConstZeros`](crate::ConstZeros) and
/// [`Export`](crate::export::Export).
///
/// ```
/// use chainrule::{parameters, Parameters, Path};
/// use nalgebra::SVector;
///
/// struct Scale<T, const N: usize> {
///     weight: SVector<T, N>,
/// }
/// parameters!(Scale<T: scalar, const N: usize> { weight });
///
/// let scale = Scale { weight: SVector::<f32, 3>::repeat(2.0) };
/// scale.visit(&Path::ROOT, &mut |leaf| {
///     assert_eq!(leaf.path.to_string(), "weight");
///     assert_eq!(leaf.values, [2.0; 3]);
/// });
/// ```
#[macro_export]
macro_rules! parameters {
    ($name:ident { $($fields:tt)* }) => {
        $crate::parameters!(@generics $name ScalarOfTree
            [] [ScalarOfTree: $crate::Number,] [] [] [] [] [] [] > { $($fields)* });
    };
    ($name:ident < $t:ident : scalar $($rest:tt)*) => {
        $crate::parameters!(@generics $name $t
            [$t: $crate::Number,] [$t: $crate::Number,]
            [$t: $crate::Number + $crate::__private::ConstZero,] [$t: $crate::Number + $crate::export::Export,]
            [$t,] [OtherScalar,] [$t,] [&$crate::export::Source::<$t>(None),] $($rest)*);
    };
    ($name:ident < $($rest:tt)+) => {
        $crate::parameters!(@generics $name ScalarOfTree
            [] [ScalarOfTree: $crate::Number,] [] [] [] [] [] [] $($rest)+);
    };
    // Reads the generics one after the other. Collects them as bounds for `Zeros`, `Parameters`, `ConstZeros` and
    // `Export`, and as arguments of the struct, of the struct over another scalar, and of its gradient.
    (@generics $name:ident $t:ident [$($z:tt)*] [$($p:tt)*] [$($c:tt)*] [$($e:tt)*] [$($a:tt)*] [$($w:tt)*] [$($g:tt)*] [$($x:tt)*]
        , $($rest:tt)+) => {
        $crate::parameters!(@generics $name $t [$($z)*] [$($p)*] [$($c)*] [$($e)*] [$($a)*] [$($w)*] [$($g)*] [$($x)*] $($rest)+);
    };
    (@generics $name:ident $t:ident [$($z:tt)*] [$($p:tt)*] [$($c:tt)*] [$($e:tt)*] [$($a:tt)*] [$($w:tt)*] [$($g:tt)*] [$($x:tt)*]
        const $n:ident : $ty:ty, $($rest:tt)+) => {
        $crate::parameters!(@generics $name $t
            [$($z)* const $n: $ty,] [$($p)* const $n: $ty,] [$($c)* const $n: $ty,] [$($e)* const $n: $ty,]
            [$($a)* $n,] [$($w)* $n,] [$($g)* $n,] [$($x)* &$n,] $($rest)+);
    };
    (@generics $name:ident $t:ident [$($z:tt)*] [$($p:tt)*] [$($c:tt)*] [$($e:tt)*] [$($a:tt)*] [$($w:tt)*] [$($g:tt)*] [$($x:tt)*]
        const $n:ident : $ty:ty > $($rest:tt)+) => {
        $crate::parameters!(@generics $name $t [$($z)*] [$($p)*] [$($c)*] [$($e)*] [$($a)*] [$($w)*] [$($g)*] [$($x)*]
            const $n: $ty, > $($rest)+);
    };
    (@generics $name:ident $t:ident [$($z:tt)*] [$($p:tt)*] [$($c:tt)*] [$($e:tt)*] [$($a:tt)*] [$($w:tt)*] [$($g:tt)*] [$($x:tt)*]
        $l:ident : part $($rest:tt)+) => {
        $crate::parameters!(@generics $name $t
            [$($z)* $l: $crate::Zeros,] [$($p)* $l: $crate::Parameters<$t>,]
            [$($c)* $l: $crate::ConstZeros,] [$($e)* $l: $crate::export::Export,]
            [$($a)* $l,] [$($w)* $l::With<OtherScalar>,] [$($g)* $l::Gradient,]
            [$($x)* &$crate::export::Source::<$l>(None),] $($rest)+);
    };
    (@generics $name:ident $t:ident [$($z:tt)*] [$($p:tt)*] [$($c:tt)*] [$($e:tt)*] [$($a:tt)*] [$($w:tt)*] [$($g:tt)*] [$($x:tt)*]
        $s:ident : $bound:path, $($rest:tt)+) => {
        $crate::parameters!(@generics $name $t
            [$($z)* $s: $bound,] [$($p)* $s: $bound,] [$($c)* $s: $bound,] [$($e)* $s: $bound + $crate::export::Export,]
            [$($a)* $s,] [$($w)* $s,] [$($g)* $s,]
            [$($x)* &$crate::export::Source::<$s>(None),] $($rest)+);
    };
    (@generics $name:ident $t:ident [$($z:tt)*] [$($p:tt)*] [$($c:tt)*] [$($e:tt)*] [$($a:tt)*] [$($w:tt)*] [$($g:tt)*] [$($x:tt)*]
        $s:ident : $bound:path > $($rest:tt)+) => {
        $crate::parameters!(@generics $name $t [$($z)*] [$($p)*] [$($c)*] [$($e)*] [$($a)*] [$($w)*] [$($g)*] [$($x)*]
            $s: $bound, > $($rest)+);
    };
    (@generics $name:ident $t:ident $z:tt $p:tt $c:tt [$($e:tt)*] [$($a:tt)*] [$($w:tt)*] [$($g:tt)*] [$($x:tt)*] > { $($fields:tt)* }) => {
        $crate::parameters!(@fields $name $t $z $p $c [$($e)*] ($name<$($a)*>) ($name<$($w)*>) ($name<$($g)*>)
            [] [] $($fields)*);
        $crate::parameters!(@export $name [$($e)*] ($name<$($a)*>) [$($x)*] [] $($fields)*);
    };
    // Puts the fields into two lists: those of the tree, each with its sizes in PyTorch or `[]`, and those with `keep`.
    (@fields $name:ident $t:ident $z:tt $p:tt $c:tt $e:tt $self:tt $with:tt $gradient:tt
        [$($f:tt)*] [$($k:ident)*] keep $next:ident $(, $($rest:tt)*)?) => {
        $crate::parameters!(@fields $name $t $z $p $c $e $self $with $gradient [$($f)*] [$($k)* $next] $($($rest)*)?);
    };
    (@fields $name:ident $t:ident $z:tt $p:tt $c:tt $e:tt $self:tt $with:tt $gradient:tt
        [$($f:tt)*] [$($k:ident)*] $next:ident : $dims:tt $(, $($rest:tt)*)?) => {
        $crate::parameters!(@fields $name $t $z $p $c $e $self $with $gradient
            [$($f)* $next $dims] [$($k)*] $($($rest)*)?);
    };
    (@fields $name:ident $t:ident $z:tt $p:tt $c:tt $e:tt $self:tt $with:tt $gradient:tt
        [$($f:tt)*] [$($k:ident)*] $next:ident $(, $($rest:tt)*)?) => {
        $crate::parameters!(@fields $name $t $z $p $c $e $self $with $gradient
            [$($f)* $next []] [$($k)*] $($($rest)*)?);
    };
    // Without parameters: the gradient is `()`, and the struct does not depend on the scalar.
    (@fields $name:ident $t:ident $z:tt $p:tt $c:tt $e:tt $self:tt $with:tt $gradient:tt [] $k:tt) => {
        $crate::parameters!(@tree ($name) $z $p $c $e $self (()) $t [] $k);
    };
    (@fields $name:ident $t:ident $z:tt $p:tt $c:tt $e:tt $self:tt $with:tt $gradient:tt $f:tt $k:tt) => {
        $crate::parameters!(@tree ($name) $z $p $c $e $self $with $gradient $t $f $k);
    };
    (@tree $name:tt $z:tt $p:tt $c:tt $e:tt $self:tt $gradient:tt $t:ident [] $k:tt) => {
        $crate::parameters!(@tree $name $z $p $c $e $self $self $gradient $t [] $k);
    };
    (@tree ($name:ident) [$($z:tt)*] [$($p:tt)*] [$($c:tt)*] $e:tt ($self:ty) ($with:ty) ($gradient:ty) $t:ident
        [$($f:ident $dims:tt)*] [$($k:ident)*]) => {
        impl<$($p)*> $crate::Parameters<$t> for $self {
            type Gradient = $gradient;
            type With<OtherScalar: $crate::Number> = $with;

            #[inline(always)]
            fn map_scalar<OtherScalar: $crate::Number>(
                &self,
                _f: &mut impl FnMut($t) -> OtherScalar,
            ) -> Self::With<OtherScalar> {
                $name {
                    $($f: $crate::Parameters::map_scalar(&self.$f, _f),)*
                    $($k: ::core::clone::Clone::clone(&self.$k),)*
                }
            }

            $crate::parameters!(@walk $t $($f: field stringify!($f) => $dims),*);
        }

        impl<$($z)*> $crate::Zeros for $self {
            #[inline]
            fn zeros() -> Self {
                $name { $($f: $crate::Zeros::zeros(),)* $($k: $crate::Zeros::zeros(),)* }
            }
            #[inline]
            fn set_zero(&mut self) {
                $($crate::Zeros::set_zero(&mut self.$f);)*
            }
            fn zeros_in(place: &mut ::core::mem::MaybeUninit<Self>) -> &mut Self {
                $crate::__zeros_in!(place: $($f,)* $($k),*)
            }
        }

        impl<$($c)*> $crate::ConstZeros for $self {
            const ZEROS: Self =
                $name { $($f: $crate::ConstZeros::ZEROS,)* $($k: $crate::ConstZeros::ZEROS,)* };
        }
    };
    // The source that `export` writes: the type with its arguments, then the fields.
    (@export $name:ident $e:tt $self:tt $x:tt [$($f:ident)*] keep $next:ident $(, $($rest:tt)*)?) => {
        $crate::parameters!(@export $name $e $self $x [$($f)* $next] $($($rest)*)?);
    };
    (@export $name:ident $e:tt $self:tt $x:tt [$($f:ident)*] $next:ident $(: $dims:tt)? $(, $($rest:tt)*)?) => {
        $crate::parameters!(@export $name $e $self $x [$($f)* $next] $($($rest)*)?);
    };
    (@export $name:ident [$($e:tt)*] ($self:ty) [$($x:tt)*] [$($f:tt)*]) => {
        impl<$($e)*> $crate::export::Export for $self {
            fn source(
                value: Option<&Self>,
                f: &mut ::core::fmt::Formatter,
            ) -> ::core::fmt::Result {
                let path = concat!("::chainrule::", stringify!($name));
                let path = $crate::export::__path(module_path!(), path);
                let Some(_value) = value else {
                    return $crate::export::__type(f, path, &[$($x)*]);
                };
                f.debug_struct(path)
                    $(.field(stringify!($f), &$crate::export::Source(Some(&_value.$f))))*
                    .finish()
            }
        }
    };
    // Each field with its name, `field "weight"` or in a tuple `index 0`, and with its sizes in PyTorch.
    (@walk $t:ident $($field:tt: $step:ident $name:expr => $dims:tt),*) => {
        const COUNT: usize = 0 $(+ $crate::__private::count::<$t, _, _>(|whole: &Self| &whole.$field))*;

        #[inline]
        fn visit(&self, _path: &$crate::Path, _f: &mut impl FnMut($crate::Leaf<$t>)) {
            $($crate::parameters!(@visit &self.$field, &_path.$step($name), _f, $dims);)*
        }

        #[inline(always)]
        fn visit_mut<const STATES: usize>(
            &mut self,
            _gradient: Option<&Self::Gradient>,
            mut _state: [&mut Self::Gradient; STATES],
            _path: &$crate::Path,
            _f: &mut impl FnMut($crate::LeafMut<$t, STATES>),
        ) {
            $(
                let gradient = _gradient.map(|tree| &tree.$field);
                let state = $crate::__private::parts(&mut _state, |tree| &mut tree.$field);
                $crate::Parameters::visit_mut(
                    &mut self.$field, gradient, state, &_path.$step($name), _f,
                );
            )*
        }
    };
    (@visit $part:expr, $path:expr, $f:expr, []) => {
        $crate::Parameters::visit($part, $path, $f);
    };
    (@visit $part:expr, $path:expr, $f:expr, $dims:tt) => {
        $crate::Parameters::visit($part, $path, &mut |leaf: $crate::Leaf<_>| {
            $f($crate::Leaf { dims: const { &$dims }, ..leaf });
        });
    };
}

/// Writes a struct of memory for a batch, such as the cache of a layer. The struct is a
/// [`Buffer`](crate::Buffer). It is also [`ConstZeros`](crate::ConstZeros) if its fields are.
///
/// ```
/// use chainrule::{buffer, BatchSize, Buffer, Columns, Number};
/// use nalgebra::Const;
///
/// buffer! {
///     /// What a normalisation keeps for its backward pass.
///     pub struct Moments<T: Number, B: BatchSize, const N: usize> {
///         /// The normalised inputs.
///         pub inputs: Columns<T, N, B>,
///         /// One over the standard deviation of each sample.
///         pub scale: Columns<T, 1, B>,
///     }
/// }
///
/// let moments: Moments<f32, Const<8>, 3> = Buffer::new(Const::<8>);
/// assert_eq!(moments.inputs.shape(), (3, 8));
/// ```
#[macro_export]
macro_rules! buffer {
    ($(#[$meta:meta])* $vis:vis struct $name:ident < $($rest:tt)+) => {
        $crate::buffer!(@generics [$(#[$meta])* $vis] $name [] [] $($rest)+);
    };
    (@generics $head:tt $name:ident [$($d:tt)*] [$($a:tt)*] const $n:ident : $ty:ty, $($rest:tt)+) => {
        $crate::buffer!(@generics $head $name [$($d)* const $n: $ty,] [$($a)* $n,] $($rest)+);
    };
    (@generics $head:tt $name:ident $d:tt $a:tt const $n:ident : $ty:ty > $($rest:tt)+) => {
        $crate::buffer!(@generics $head $name $d $a const $n: $ty, > $($rest)+);
    };
    (@generics $head:tt $name:ident [$($d:tt)*] [$($a:tt)*] $s:ident : $bound:path, $($rest:tt)+) => {
        $crate::buffer!(@generics $head $name [$($d)* $s: $bound,] [$($a)* $s,] $($rest)+);
    };
    (@generics $head:tt $name:ident $d:tt $a:tt $s:ident : $bound:path > $($rest:tt)+) => {
        $crate::buffer!(@generics $head $name $d $a $s: $bound, > $($rest)+);
    };
    (@generics [$($head:tt)*] $name:ident [$($d:tt)*] [$($a:tt)*]
        > { $($(#[$meta:meta])* $vis:vis $field:ident : $ty:ty),+ $(,)? }) => {
        $($head)* struct $name<$($d)*> {
            $($(#[$meta])* $vis $field: $ty),+
        }

        impl<$($d)*> ::core::clone::Clone for $name<$($a)*>
        where
            $($ty: ::core::clone::Clone),+
        {
            fn clone(&self) -> Self {
                $name { $($field: ::core::clone::Clone::clone(&self.$field)),+ }
            }
        }

        impl<BatchOfBuffer: $crate::BatchSize, $($d)*> $crate::Buffer<BatchOfBuffer> for $name<$($a)*>
        where
            $($ty: $crate::Buffer<BatchOfBuffer>),+
        {
            #[inline]
            fn new(size: BatchOfBuffer) -> Self {
                $name { $($field: $crate::Buffer::new(size)),+ }
            }
        }

        impl<$($d)*> $crate::ConstZeros for $name<$($a)*>
        where
            $($ty: $crate::ConstZeros),+
        {
            const ZEROS: Self = $name { $($field: $crate::ConstZeros::ZEROS),+ };
        }
    };
}
