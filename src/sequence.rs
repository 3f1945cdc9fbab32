//! Layers in sequence: `named!` writes a net of named layers, `__sequence!` makes it or a tuple a layer.

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
                $crate::__sequence!(@backward this x y cache scratch dy dx $first $l $($field $more)*);
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
    (@starts $l:ident $next:ident $($more:ident)*) => { $l::BY_SAMPLE && $next::BY_SAMPLE };
    (@some $self:ident $block:ident $x:ident $y:ident $cache:ident $scratch:ident $f:tt $l:ident) => {
        let _ = $cache;
        $block.next(false);
        $self.$f.forward_some::<B>(&$block, $x, $y, $scratch);
    };
    (@some $self:ident $block:ident $x:ident $y:ident $cache:ident $scratch:ident $f:tt $l:ident $g:tt $next:ident $($more:tt)*) => {
        let (_, h, _, $cache) = &mut *$cache;
        let mut lent = $scratch;
        $block.next($next::BY_SAMPLE && !(P::TRAINS && ($l::READS[1] || $next::READS[0])));
        $self.$f.forward_some::<B>(&$block, $x, h, lent.again().first());
        if const { $next::BY_SAMPLE } {
            let ($x, $scratch) = (&*h, lent.second());
            $crate::__sequence!(@some $self $block $x $y $cache $scratch $g $next $($more)*);
        }
    };
    (@forward $self:ident $some:ident $x:ident $y:ident $cache:ident $scratch:ident $pass:ident $f:tt $l:ident) => {
        if !($some && $l::BY_SAMPLE) {
            $self.$f.forward::<B, P>($crate::Forward {
                x: $x, y: $y, cache: $cache, scratch: $scratch, pass: $pass,
            });
        }
    };
    (@forward $self:ident $some:ident $x:ident $y:ident $cache:ident $scratch:ident $pass:ident $f:tt $l:ident $($more:tt)+) => {
        let (kept, h, _, $cache) = $cache;
        let mut lent = $scratch;
        let $some = $some && $l::BY_SAMPLE;
        if !$some {
            $self.$f.forward::<B, P>($crate::Forward {
                x: $x, y: h, cache: kept, scratch: lent.again().first(), pass: $pass,
            });
        }
        let ($x, $scratch) = (&*h, lent.second());
        $crate::__sequence!(@forward $self $some $x $y $cache $scratch $pass $($more)+);
    };
    (@backward $this:ident $x:ident $y:ident $cache:ident $scratch:ident $dy:ident $dx:ident $f:tt $l:ident) => {
        $l::backward::<B, D>($crate::part!($this.$f), $crate::Backward {
            x: $x, y: $y, cache: $cache, scratch: $scratch, dy: $dy, dx: $dx,
        });
    };
    (@backward $this:ident $x:ident $y:ident $cache:ident $scratch:ident $dy:ident $dx:ident $f:tt $l:ident $($more:tt)+) => {
        // The backward pass stops as soon as nobody needs a gradient.
        let runs = $dx.is_some() || <$l::Gradient as $crate::Parameters<T>>::COUNT > 0;
        let (kept, h, dh, next) = $cache;
        let mut lent = $scratch;
        {
            let ($x, $cache, $scratch) = (&*h, next, lent.again().second());
            let $dx = if runs { Some(&mut *dh) } else { None };
            $crate::__sequence!(@backward $this $x $y $cache $scratch $dy $dx $($more)+);
        }
        if runs {
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
