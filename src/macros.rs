//! The macros for authors: `parameters!` makes a struct a tree of parameters, `buffer!` writes a struct of memory,
//! `named!` writes a net of named layers.

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

/// Writes a struct of named layers that is a layer: each inner layer takes the output of the one before it. It can
/// have any number of layers. The parameters are named as in a PyTorch module: `first.weight`.
///
/// ```
/// use chainrule::{Affine, D1, Frozen, Network, Relu, SoftmaxCrossEntropy, named};
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// named!(pub Mlp { first: Affine<f32, 2, 16>, act: Relu, last: Affine<f32, 16, 2> });
/// type Net = Network<f32, D1<2>, Mlp, SoftmaxCrossEntropy>;
///
/// let net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
/// assert!(net.to_string().contains("first.weight"));
///
/// // The types of the layers are type parameters. Those in the declaration are the defaults.
/// let Mlp { first, act, last } = net.layers;
/// let tuned = Mlp { first: Frozen(first), act, last };
/// ```
#[macro_export]
macro_rules! named {
    ($(#[$meta:meta])* $vis:vis $name:ident { $($field:ident: $layer:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[allow(non_camel_case_types)]
        #[derive(Clone, Debug)]
        $vis struct $name<$($field = $layer),+> {
            $(#[doc = concat!("The layer `", stringify!($field), "`.")] pub $field: $field),+
        }

        #[allow(non_camel_case_types)]
        const _: () = {
            $crate::parameters!($name<$($field: part),+> { $($field),+ });
            $crate::__sequence!(@bounds [$name<$($field),+>] [$($field $field)+] [] In, $($field)+);
        };
    };
    ($($other:tt)*) => {
        compile_error!("write `named!(Net { first: Affine<f32, 2, 16>, act: Relu })`: \
            a name, then each layer's name and type");
    };
}

/// Implements `Layer` for layers in sequence: a tuple, or a struct by `named!`. The macro takes each layer as its field
/// and its type parameter.
#[doc(hidden)]
#[macro_export]
macro_rules! __sequence {
    // The bounds, one layer after the other, then the impl.
    (@bounds $self:tt $all:tt [$($bounds:tt)*] $in:ty, $first:ident $($more:ident)*) => {
        $crate::__sequence!(@bounds $self $all [$($bounds)* $first: $crate::Layer<T, $in>,]
            $first::Out, $($more)*);
    };
    (@bounds [$self:ty] [$first:tt $l:ident $($field:tt $more:ident)*] [$($bounds:tt)*] $out:ty,) => {
        impl<T: $crate::Number, In: $crate::Shape, $($bounds)*> $crate::Layer<T, In> for $self {
            type Out = $out;
            /// For each layer its cache, its output and the gradient on its output. For the last layer only its
            /// cache.
            type Cache<B: $crate::BatchSize, P: $crate::Purpose> =
                $crate::__sequence!(@cache B P $l $($more)*);
            type Scratch = $crate::__sequence!(@scratch $l $($more)*);
            const GAIN: Option<$crate::init::Gain> =
                $crate::__private::first([$l::GAIN $(, $more::GAIN)*]);

            #[inline(always)]
            fn forward<B: $crate::BatchSize, P: $crate::Purpose>(
                &self,
                at: $crate::Forward<T, In, Self, B, P>,
            ) {
                let $crate::Forward { x, y, cache, mut scratch, pass } = at;
                let some = const { $crate::__sequence!(@starts $l $($more)*) };
                if some {
                    let size = $crate::nalgebra::Dim::value(&In::size::<T, B>(x));
                    let most = const { $crate::__sequence!(@most T $l) };
                    for first in (0..size.max(1)).step_by(most) {
                        let mut block = $crate::__private::Block::from(first, size, most);
                        let (y, scratch) = (&mut *y, scratch.again());
                        $crate::__sequence!(@some self block x y cache scratch $first $l $($field $more)*);
                    }
                }
                $crate::__sequence!(@forward self some x y cache scratch pass $first $l $($field $more)*);
            }

            #[inline(always)]
            fn backward<B: $crate::BatchSize, D: $crate::Destination<T>>(
                mut this: $crate::Grad<T, Self, D>,
                at: $crate::Backward<T, In, Self, B>,
            ) {
                let $crate::Backward { x, y, cache, scratch, dy, dx } = at;
                let done = false;
                $crate::__sequence!(@backward this done x y cache scratch dy dx $first $l $($field $more)*);
            }

            fn init<R: $crate::__private::Rng + ?Sized>(
                &mut self,
                next: $crate::init::Gain,
                rng: &mut R,
            ) {
                $crate::__sequence!(@init self next rng $first $l $($field $more)*);
            }

            fn parts(&self, path: &$crate::Path, f: &mut dyn FnMut($crate::Part)) {
                $crate::Layer::parts(&self.$first, &path.field(stringify!($first)), f);
                $($crate::Layer::parts(&self.$field, &path.field(stringify!($field)), f);)*
            }
        }

        $crate::__sequence!(@c [$self] [$first $($field)*] [] In, $l $($more)*);
    };
    // The same for `ExportC`.
    (@c $self:tt $fields:tt [$($bounds:tt)*] $in:ty, $first:ident $($more:ident)*) => {
        $crate::__sequence!(@c $self $fields [$($bounds)* $first: $crate::export_c::ExportC<T, $in>,]
            $first::Out, $($more)*);
    };
    (@c [$self:ty] [$($field:tt)*] [$($bounds:tt)*] $out:ty,) => {
        impl<T: $crate::export_c::Real, In: $crate::Shape, $($bounds)*> $crate::export_c::ExportC<T, In> for $self {
            fn c(&self, to: &mut $crate::export_c::Writer) -> ::core::fmt::Result {
                $($crate::export_c::ExportC::<T, _>::c(&self.$field, to)?;)*
                Ok(())
            }
        }
    };
    (@cache $b:ident $p:ident $last:ident) => { $last::Cache<$b, $p> };
    (@cache $b:ident $p:ident $l:ident $($more:ident)+) => {
        (
            $l::Cache<$b, $p>,
            $crate::Batch<T, $l::Out, $b>,
            $p::InTraining<$b, $crate::Batch<T, $l::Out, $b>>,
            $crate::__sequence!(@cache $b $p $($more)+),
        )
    };
    (@scratch $last:ident) => { $last::Scratch };
    (@scratch $l:ident $($more:ident)+) => {
        $crate::__private::Larger<$l::Scratch, $crate::__sequence!(@scratch $($more)+)>
    };
    (@most $t:ident $l:ident) => {
        $crate::__private::Block::most(size_of::<$crate::Batch<$t, $l::Out, $crate::nalgebra::Const<1>>>())
    };
    // Whether the first layers compute some samples at a time, one layer after the other.
    (@starts $last:ident) => { false };
    (@starts $l:ident $next:ident $($more:ident)*) => { $l::BY_SAMPLE[0] && $next::BY_SAMPLE[0] };
    (@some $self:ident $block:ident $x:ident $y:ident $cache:ident $scratch:ident $f:tt $l:ident) => {
        let _ = $cache;
        $block.next(false);
        $self.$f.forward_some::<B>(&$block, $x, $y, $scratch);
    };
    (@some $self:ident $block:ident $x:ident $y:ident $cache:ident $scratch:ident $f:tt $l:ident $g:tt $next:ident $($more:tt)*) => {
        let (_, h, _, $cache) = &mut *$cache;
        let mut lent = $scratch;
        $block.next($next::BY_SAMPLE[0] && !(P::TRAINS && ($l::READS[1] || $next::READS[0])));
        $self.$f.forward_some::<B>(&$block, $x, h, lent.again().first());
        if const { $next::BY_SAMPLE[0] } {
            let ($x, $scratch) = (&*h, lent.second());
            $crate::__sequence!(@some $self $block $x $y $cache $scratch $g $next $($more)*);
        }
    };
    // The way back through layers without parameters, from the last one on.
    (@back $this:ident $block:ident $shared:literal $x:ident $y:ident $cache:ident $dy:ident $dx:ident $f:tt $l:ident) => {
        let _ = $cache;
        $block.next($shared);
        (*$this).$f.backward_some::<B>(&$block, $x, [$y, $dy], $dx);
    };
    (@back $this:ident $block:ident $shared:literal $x:ident $y:ident $cache:ident $dy:ident $dx:ident $f:tt $l:ident $g:tt $next:ident $($more:tt)*) => {
        let (_, h, dh, $cache) = &mut *$cache;
        if const { $next::BY_SAMPLE[1] } {
            let ($x, $dx) = (&*h, &mut *dh);
            $crate::__sequence!(@back $this $block true $x $y $cache $dy $dx $g $next $($more)*);
        }
        $block.next($shared);
        (*$this).$f.backward_some::<B>(&$block, $x, [&*h, &*dh], $dx);
    };
    (@forward $self:ident $some:ident $x:ident $y:ident $cache:ident $scratch:ident $pass:ident $f:tt $l:ident) => {
        if !($some && $l::BY_SAMPLE[0]) {
            $self.$f.forward::<B, P>($crate::Forward {
                x: $x, y: $y, cache: $cache, scratch: $scratch, pass: $pass,
            });
        }
    };
    (@forward $self:ident $some:ident $x:ident $y:ident $cache:ident $scratch:ident $pass:ident $f:tt $l:ident $($more:tt)+) => {
        let (kept, h, _, $cache) = $cache;
        let mut lent = $scratch;
        let $some = $some && $l::BY_SAMPLE[0];
        if !$some {
            $self.$f.forward::<B, P>($crate::Forward {
                x: $x, y: h, cache: kept, scratch: lent.again().first(), pass: $pass,
            });
        }
        let ($x, $scratch) = (&*h, lent.second());
        $crate::__sequence!(@forward $self $some $x $y $cache $scratch $pass $($more)+);
    };
    // `done`: the layer before has done it.
    (@backward $this:ident $done:ident $x:ident $y:ident $cache:ident $scratch:ident $dy:ident $dx:ident $f:tt $l:ident) => {
        if !$done {
            $l::backward::<B, D>($crate::part!($this.$f), $crate::Backward {
                x: $x, y: $y, cache: $cache, scratch: $scratch, dy: $dy, dx: $dx,
            });
        }
    };
    (@backward $this:ident $done:ident $x:ident $y:ident $cache:ident $scratch:ident $dy:ident $dx:ident $f:tt $l:ident $g:tt $next:ident $($more:tt)*) => {
        let mut $dx = $dx;
        // The backward pass stops as soon as nobody needs a gradient.
        let runs = $dx.is_some() || <$l::Gradient as $crate::Parameters<T>>::COUNT > 0;
        let some = const { $l::BY_SAMPLE[1] && $next::BY_SAMPLE[1] };
        let mut lent = $scratch;
        {
            let (_, h, dh, next) = &mut *$cache;
            let ($done, $x, $cache, $scratch) = (some, &*h, next, lent.again().second());
            let $dx = if runs { Some(&mut *dh) } else { None };
            $crate::__sequence!(@backward $this $done $x $y $cache $scratch $dy $dx $g $next $($more)*);
        }
        if !runs || $done {
        } else if let (true, Some(dx)) = (some, $dx.as_deref_mut()) {
            let size = $crate::nalgebra::Dim::value(&<$l::Out as $crate::Shape>::size::<T, B>(&$cache.1));
            let most = const { $crate::__sequence!(@most T $l) };
            for first in (0..size.max(1)).step_by(most) {
                let mut block = $crate::__private::Block::from(first, size, most);
                let ($cache, dx) = (&mut *$cache, &mut *dx);
                $crate::__sequence!(@back $this block false $x $y $cache $dy dx $f $l $g $next $($more)*);
            }
        } else {
            let (kept, h, dh, _) = $cache;
            $l::backward::<B, D>($crate::part!($this.$f), $crate::Backward {
                x: $x, y: h, cache: kept, scratch: lent.first(), dy: dh, dx: $dx,
            });
        }
    };
    (@init $self:ident $next:ident $rng:ident $f:tt $l:ident $($field:tt $more:ident)*) => {
        let follows = $crate::__private::first([$($more::GAIN),*]).unwrap_or($next);
        $self.$f.init(follows, $rng);
        $crate::__sequence!(@init $self $next $rng $($field $more)*);
    };
    (@init $self:ident $next:ident $rng:ident) => {};
}
