//! Layers of one type, one after the other.

use crate::{
    Backward, Batch, BatchSize, Destination, Forward, Grad, Layer, Number, Purpose, Shape,
    init::Gain, part,
};
use rand::Rng;

/// M layers of one type, one after the other. Each takes the output of the one before it. Each has its own parameters,
/// with the names `layers.0`, `layers.1` and so on. (PyTorch's `Sequential` of a list.)
///
/// # Shapes
/// Any, if the layer returns the shape that it takes.
///
/// ```
/// use chainrule::{Affine, D1, Network, Relu, Repeat, SumSquaredError};
/// # use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// // Twenty hidden layers.
/// type Hidden = Repeat<(Affine<f32, 16, 16>, Relu), 20>;
/// type Net = Network<f32, D1<2>, (Affine<f32, 2, 16>, Relu, Hidden, Affine<f32, 16, 1>), SumSquaredError>;
///
/// # let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
/// assert!(Net::init(&mut rng).to_string().contains("2.layers.19.0.weight"));
/// ```
#[doc(alias("Sequential", "ModuleList"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat<L, const M: usize> {
    /// The layers.
    pub layers: [L; M],
}

parameters!(Repeat<L: part, const M: usize> { layers });

impl<T: Number, S: Shape, L: Layer<T, S, Out = S>, const M: usize> Layer<T, S> for Repeat<L, M> {
    type Out = S;
    /// Of each layer its cache, its output and the gradient on it.
    type Cache<B: BatchSize, P: Purpose> =
        [(L::Cache<B, P>, Batch<T, S, B>, P::InTraining<B, Batch<T, S, B>>); M];
    type Scratch = L::Scratch;
    const GAIN: Option<Gain> = L::GAIN;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        let Forward { mut x, y, cache, mut scratch, pass } = at;
        for (layer, (cache, y, _)) in self.layers.iter().zip(cache) {
            layer.forward::<B, P>(Forward { x, y, cache, scratch: scratch.again(), pass });
            x = y;
        }
        y.clone_from(x);
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        let Backward { x, cache, mut scratch, dy, mut dx, .. } = at;
        if let Some((_, _, last)) = cache.last_mut() {
            last.clone_from(dy);
        } else if let Some(dx) = &mut dx {
            dx.clone_from(dy);
        }
        let mut rest = cache.as_mut_slice();
        part!(this.layers).each_back(|layer| {
            let Some(((cache, y, dy), before)) = core::mem::take(&mut rest).split_last_mut() else {
                return;
            };
            let (x, dx) = match before.last_mut() {
                Some((_, x, dx)) => (&*x, Some(dx)),
                None => (x, dx.as_deref_mut()),
            };
            let scratch = scratch.again();
            L::backward::<B, D>(layer, Backward { x, y, cache, scratch, dy, dx });
            rest = before;
        });
    }

    fn init<R: Rng + ?Sized>(&mut self, next: Gain, rng: &mut R) {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            layer.init(if i + 1 < M { L::GAIN.unwrap_or(next) } else { next }, rng);
        }
    }
}
