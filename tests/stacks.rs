//! The gradient check on each layer, and on random stacks of all layers. The tests choose the kind of a layer at run
//! time. So a stack is a value and not a type, and rustc compiles few types.

use chainrule::{gradcheck::*, *};
use core::mem::MaybeUninit;
use nalgebra::convert;
use proptest::{prelude::*, test_runner::FileFailurePersistence};

/// A layer on `N` numbers, of one of the [`KINDS`].
type Any<T, const N: usize> = OfKind<T, Standardize<T, N>, N>;

struct OfKind<T, S, const N: usize> {
    affine: Affine<T, N, N>,
    batch: BatchNorm<T, N>,
    layer: LayerNorm<T, N>,
    rms: RmsNorm<T, N>,
    rectifier: PRelu<T>,
    scale: S,
    kind: u8,
}
parameters!(OfKind<T: scalar, S: part, const N: usize> {
    affine, batch, layer, rms, rectifier, scale, keep kind
});

const KINDS: u8 = 21;

fn any<T: Number, const N: usize>(kind: u8) -> Any<T, N> {
    let mut any = <Any<T, N> as Zeros>::zeros();
    (any.kind, any.batch, any.rms.eps) = (kind % KINDS, BatchNorm::default(), Some(1e-5));
    any.scale.mean.0.fill(convert(0.5));
    any.scale.std.0.fill(convert(2.0));
    any
}

/// Calls `$call` with the layer of a kind that has no parameters.
macro_rules! without_parameters {
    ($kind:expr, $layer:ident => $call:expr) => {
        without_parameters!(@match $kind, $layer, $call, 7 LeakyRelu { slope: Some(0.25) },
            8 Elu { alpha: Some(0.5) }, 9 Selu, 10 Silu, 11 GeluTanh, 12 HardSigmoid, 13 HardTanh, 14 LogSoftmax,
            15 Relu, 16 Sigmoid, 17 Tanh, 18 Gelu, 19 Softplus, 20 Identity)
    };
    (@match $kind:expr, $layer:ident, $call:expr, $($n:literal $is:expr),+) => {
        match $kind {
            $($n => { let $layer = &$is; $call })+
            _ => {}
        }
    };
}

type CacheOf<L, T, const N: usize, B, P> = <L as Layer<T, D1<N>>>::Cache<B, P>;

impl<T: Number, const N: usize> Layer<T, D1<N>> for Any<T, N> {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = (
        CacheOf<BatchNorm<T, N>, T, N, B, P>,
        CacheOf<LayerNorm<T, N>, T, N, B, P>,
        CacheOf<RmsNorm<T, N>, T, N, B, P>,
        CacheOf<Dropout, T, N, B, P>,
    );
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        let Forward { x, y, cache: (batch, layer, rms, dropout), pass, .. } = at;
        match self.kind {
            0 => forward::<T, D1<N>, B, P, _>(&self.affine, x, y, &mut (), pass),
            1 => forward::<T, D1<N>, B, P, _>(&self.batch, x, y, batch, pass),
            2 => forward::<T, D1<N>, B, P, _>(&self.layer, x, y, layer, pass),
            3 => forward::<T, D1<N>, B, P, _>(&self.rms, x, y, rms, pass),
            4 => forward::<T, D1<N>, B, P, _>(&self.rectifier, x, y, &mut (), pass),
            5 => forward::<T, D1<N>, B, P, _>(&self.scale, x, y, &mut (), pass),
            6 => forward::<T, D1<N>, B, P, _>(&Dropout::new(0.25), x, y, dropout, pass),
            kind => without_parameters!(kind, layer => {
                forward::<T, D1<N>, B, P, _>(layer, x, y, &mut (), pass);
            }),
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let kind = this.kind;
        let Backward { x, y, cache: (batch, layer, rms, dropout), dy, mut dx, .. } = at;
        let numbers = [x, y, dy];
        // The parts that this kind does not use have the gradient 0.
        macro_rules! parts {
            ($($n:literal $part:ident { $($leaf:ident)* } $cache:expr;)*) => { $(
                {
                    let mut part = part!(this.$part);
                    if kind == $n {
                        backward::<T, D1<N>, B, _, D>(part, numbers, $cache, dx.as_deref_mut());
                    } else {
                        $(part!(part.$leaf).add(|_| {});)*
                    }
                }
            )* };
        }
        parts! {
            0 affine { weight bias } &mut ();
            1 batch { weight bias running_mean running_var num_batches_tracked } batch;
            2 layer { weight bias } layer;
            3 rms { weight } rms;
            4 rectifier { weight } &mut ();
        }
        match kind {
            0..=4 => {}
            5 => {
                let scale = Grad::nowhere(&this.scale);
                backward::<T, D1<N>, B, _, Nowhere>(scale, numbers, &mut (), dx);
            }
            6 => {
                let layer = Dropout::new(0.25);
                backward::<T, D1<N>, B, _, Nowhere>(Grad::nowhere(&layer), numbers, dropout, dx);
            }
            _ => without_parameters!(kind, layer => {
                backward::<T, D1<N>, B, _, Nowhere>(Grad::nowhere(layer), numbers, &mut (), dx);
            }),
        }
    }
}

/// Compiled once for each layer, whatever stack it is in.
#[inline(never)]
fn forward<T: Number, S: Shape, B: BatchSize, P: Purpose, L: Layer<T, S, Out = S>>(
    layer: &L,
    x: &Batch<T, S, B>,
    y: &mut Batch<T, S, B>,
    cache: &mut L::Cache<B, P>,
    pass: &mut Pass,
) {
    let mut place = MaybeUninit::uninit();
    let scratch = Scratch::lent(&mut place);
    layer.forward::<B, P>(Forward { x, y, cache, scratch, pass });
}

#[inline(never)]
fn backward<T: Number, S: Shape, B: BatchSize, L: Layer<T, S, Out = S>, D: Destination<T>>(
    this: Grad<T, L, D>,
    [x, y, dy]: [&Batch<T, S, B>; 3],
    cache: &mut L::Cache<B, ToTrain>,
    dx: Option<&mut Batch<T, S, B>>,
) {
    let mut place = MaybeUninit::uninit();
    let scratch = Scratch::lent(&mut place);
    L::backward::<B, D>(this, Backward { x, y, cache, scratch, dy, dx });
}

/// Six layers of any kind, of 2, 4 and 5 numbers, in all containers. A layer of kind `Identity` is none.
type Stack<T> = (
    Repeat<Any<T, 2>, 2>,
    Concat<Residual<Any<T, 2>>, Any<T, 2>, 4>,
    Affine<T, 4, 5>,
    Repeat<Any<T, 5>, 2>,
);

fn stack<T: Number>([a, b, c, d, e, f]: [u8; 6]) -> Stack<T> {
    (
        Repeat { layers: [any(a), any(b)] },
        Concat { left: Residual { inner: any(c) }, right: any(d) },
        Affine::zeros(),
        Repeat { layers: [any(e), any(f)] },
    )
}

type Small = Image<2, 5, 4>;

/// A layer that keeps the size of small images, of one of the [`IMAGE_KINDS`].
struct OnImages<T: Number> {
    conv: Conv2d<T, 2, 2, 3, 1, 1>,
    dilated: Conv2d<T, 2, 2, 3, 1, 2, 2>,
    depthwise: DepthwiseConv2d<T, 2, 3, 1, 1>,
    batch: BatchNorm<T, 2>,
    kind: u8,
}
parameters!(OnImages<T: scalar> { conv, dilated, depthwise, batch, keep kind });

const IMAGE_KINDS: u8 = 10;

fn on_images<T: Number>(kind: u8) -> OnImages<T> {
    let mut any = OnImages::<T>::zeros();
    (any.kind, any.batch) = (kind % IMAGE_KINDS, BatchNorm::default());
    any
}

/// Calls `$call` with the layer and the cache of a kind that has no parameters.
macro_rules! on_images_without_parameters {
    ($kind:expr, $seed:ident, |$layer:ident, $cache:ident| $call:expr) => {
        on_images_without_parameters!(@match $kind, $layer, $cache, $call, 4 Dropout2d { rate: Some(0.25) }, $seed;
            5 Augment { shift: 1, flip: true }, $seed; 6 MaxPool2d::<3, 1, 1>, &mut ();
            7 AvgPool2d::<3, 1, 1>, &mut (); 8 Relu, &mut (); 9 Identity, &mut ();)
    };
    (@match $kind:expr, $layer:ident, $cache:ident, $call:expr, $($n:literal $is:expr, $of:expr;)+) => {
        match $kind {
            $($n => { let ($layer, $cache) = (&$is, $of); $call })+
            _ => {}
        }
    };
}

impl<T: Number> Layer<T, Small> for OnImages<T> {
    type Out = Small;
    type Cache<B: BatchSize, P: Purpose> =
        (<BatchNorm<T, 2> as Layer<T, Small>>::Cache<B, P>, Option<u64>);
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, Small, Self, B, P>) {
        let Forward { x, y, cache: (batch, seed), pass, .. } = at;
        match self.kind {
            0 => forward::<T, Small, B, P, _>(&self.conv, x, y, &mut (), pass),
            1 => forward::<T, Small, B, P, _>(&self.dilated, x, y, &mut (), pass),
            2 => forward::<T, Small, B, P, _>(&self.depthwise, x, y, &mut (), pass),
            3 => forward::<T, Small, B, P, _>(&self.batch, x, y, batch, pass),
            kind => on_images_without_parameters!(kind, seed, |layer, cache| {
                forward::<T, Small, B, P, _>(layer, x, y, cache, pass);
            }),
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, Small, Self, B>,
    ) {
        let kind = this.kind;
        let Backward { x, y, cache: (batch, seed), dy, mut dx, .. } = at;
        let numbers = [x, y, dy];
        macro_rules! parts {
            ($($n:literal $part:ident { $($leaf:ident)* } $cache:expr;)*) => { $(
                {
                    let mut part = part!(this.$part);
                    if kind == $n {
                        backward::<T, Small, B, _, D>(part, numbers, $cache, dx.as_deref_mut());
                    } else {
                        $(part!(part.$leaf).add(|_| {});)*
                    }
                }
            )* };
        }
        parts! {
            0 conv { weight bias } &mut ();
            1 dilated { weight bias } &mut ();
            2 depthwise { weight bias } &mut ();
            3 batch { weight bias running_mean running_var num_batches_tracked } batch;
        }
        on_images_without_parameters!(kind, seed, |layer, cache| {
            backward::<T, Small, B, _, Nowhere>(Grad::nowhere(layer), numbers, cache, dx);
        });
    }
}

/// Four layers of any kind on images, then one that makes them smaller, and one that makes vectors of them.
type ImageStack<T> = (Repeat<OnImages<T>, 4>, Conv2d<T, 2, 2, 2, 2>, Dense<T, Image<2, 2, 2>, 3>);

fn image_stack<T: Number>(kinds: [u8; 4]) -> ImageStack<T> {
    (Repeat { layers: kinds.map(on_images) }, Conv2d::zeros(), Dense::zeros())
}

/// In training batch normalisation mixes the samples, and one sample has no variance.
fn at(case: Case, trains: bool) -> GradCheck {
    let check =
        GradCheck::new().at(Case { batch: case.batch.max(1 + usize::from(trains)), ..case });
    match trains {
        true => check.pass(Pass::train(case.seed, 0, 0)).per_sample(false),
        false => check,
    }
}

fn unwrap(kinds: &[u8], report: Result<Report, Report>) {
    if let Err(report) = report {
        panic!("kinds {kinds:?}: {report}");
    }
}

/// Each kind alone, in training and in a prediction, the simplest cases first.
#[test]
fn layers() {
    for kind in 0..KINDS {
        for n in 0..40 {
            let check = at(Case::numbered(n), n % 3 != 0).differences(n < 10);
            unwrap(&[kind], check.check::<f32, D1<5>, _>(&any::<f32, 5>(kind)));
            unwrap(&[kind], check.check::<f64, D1<5>, _>(&any::<f64, 5>(kind)));
        }
    }
}

/// At kinks and ties, and where slopes vanish.
#[test]
fn kinks_and_saturation() {
    for kind in (0..KINDS).filter(|kind| !(1..=3).contains(kind)) {
        let values = [1e-30, 1e-8, 30.0, 90.0, 1000.0, 1e30].map(Values::Uniform);
        for values in values.into_iter().chain([Values::Integers]) {
            let check = at(Case { seed: 1, batch: 2, values, margin: 0.0 }, false);
            unwrap(&[kind], check.check::<f32, D1<5>, _>(&any::<f32, 5>(kind)));
            unwrap(&[kind], check.check::<f64, D1<5>, _>(&any::<f64, 5>(kind)));
        }
    }
}

fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::Direct("proptest-regressions/stacks.txt");
    ProptestConfig { failure_persistence: Some(Box::new(seeds)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// From one layer to seven.
    #[test]
    fn random_stacks(case in strategy::cases(1..6), trains: bool, mut kinds: [u8; 6], layers in 0..=6_usize) {
        kinds.iter_mut().skip(layers).for_each(|kind| *kind = KINDS - 1);
        let check = at(case, trains).mode(Mode::Directional);
        unwrap(&kinds, check.check::<f32, D1<2>, _>(&stack::<f32>(kinds)));
        unwrap(&kinds, check.check::<f64, D1<2>, _>(&stack::<f64>(kinds)));
    }

    /// The same on images.
    #[test]
    fn random_stacks_on_images(case in strategy::cases(1..4), trains: bool, mut kinds: [u8; 4], layers in 0..=4_usize) {
        kinds.iter_mut().skip(layers).for_each(|kind| *kind = IMAGE_KINDS - 1);
        let check = at(case, trains).mode(Mode::Directional);
        unwrap(&kinds, check.check::<f32, Small, _>(&image_stack::<f32>(kinds)));
        unwrap(&kinds, check.check::<f64, Small, _>(&image_stack::<f64>(kinds)));
    }
}
