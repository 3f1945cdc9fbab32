//! The gradient check on each layer, and on random stacks of all layers. The kind of a layer is chosen at run time, so
//! that a stack is a value and not a type, and few types are compiled.

use chainrule::{gradcheck::*, *};
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
        let Forward { x, y, cache: (batch, layer, rms, dropout), scratch, pass } = at;
        match self.kind {
            0 => forward::<T, N, B, P, _>(&self.affine, x, y, &mut (), scratch, pass),
            1 => forward::<T, N, B, P, _>(&self.batch, x, y, batch, scratch, pass),
            2 => forward::<T, N, B, P, _>(&self.layer, x, y, layer, scratch, pass),
            3 => forward::<T, N, B, P, _>(&self.rms, x, y, rms, scratch, pass),
            4 => forward::<T, N, B, P, _>(&self.rectifier, x, y, &mut (), scratch, pass),
            5 => forward::<T, N, B, P, _>(&self.scale, x, y, &mut (), scratch, pass),
            6 => forward::<T, N, B, P, _>(&Dropout::new(0.25), x, y, dropout, scratch, pass),
            kind => without_parameters!(kind, layer => {
                forward::<T, N, B, P, _>(layer, x, y, &mut (), scratch, pass);
            }),
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let kind = this.kind;
        let Backward { x, y, cache: (batch, layer, rms, dropout), mut scratch, dy, mut dx } = at;
        // A part that is not in use has the gradient 0.
        macro_rules! parts {
            ($($n:literal $part:ident { $($leaf:ident)* } $cache:expr;)*) => { $(
                {
                    let mut part = part!(this.$part);
                    if kind == $n {
                        let (dx, scratch) = (dx.as_deref_mut(), scratch.again());
                        backward::<T, N, B, _, D>(part, Backward { x, y, cache: $cache, scratch, dy, dx });
                    } else {
                        $(part!(part.$leaf).add(|_| {});)*
                    }
                }
            )* };
        }
        parts! {
            0 affine { weight bias } &mut ();
            1 batch { weight bias running_mean running_var } batch;
            2 layer { weight bias } layer;
            3 rms { weight } rms;
            4 rectifier { weight } &mut ();
        }
        match kind {
            0..=4 => {}
            5 => {
                let (scale, cache) = (Grad::nowhere(&this.scale), &mut ());
                backward::<T, N, B, _, Nowhere>(scale, Backward { x, y, cache, scratch, dy, dx });
            }
            6 => {
                let (layer, cache) = (Dropout::new(0.25), dropout);
                let at = Backward { x, y, cache, scratch, dy, dx };
                backward::<T, N, B, _, Nowhere>(Grad::nowhere(&layer), at);
            }
            _ => without_parameters!(kind, layer => {
                let at = Backward { x, y, cache: &mut (), scratch, dy, dx };
                backward::<T, N, B, _, Nowhere>(Grad::nowhere(layer), at);
            }),
        }
    }
}

/// Compiled once for each layer, whatever stack it is in.
#[inline(never)]
fn forward<T: Number, const N: usize, B: BatchSize, P: Purpose, L>(
    layer: &L,
    x: &Columns<T, N, B>,
    y: &mut Columns<T, N, B>,
    cache: &mut L::Cache<B, P>,
    scratch: Scratch<()>,
    pass: &mut Pass,
) where
    L: Layer<T, D1<N>, Out = D1<N>, Scratch = ()>,
{
    layer.forward::<B, P>(Forward { x, y, cache, scratch, pass });
}

#[inline(never)]
fn backward<T: Number, const N: usize, B: BatchSize, L, D: Destination<T>>(
    this: Grad<T, L, D>,
    at: Backward<T, D1<N>, L, B>,
) where
    L: Layer<T, D1<N>, Out = D1<N>, Scratch = ()>,
{
    L::backward::<B, D>(this, at);
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
}
