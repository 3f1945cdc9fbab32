//! What an author outside the crate writes: a layer with chance, containers, statistics, working memory.
#![allow(dead_code)] // each test uses some

use chainrule::{init::Gain, *};
use nalgebra::{SMatrix, SVector, convert};
use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};

/// Drops each number with the chance `rate` in training; scales what stays.
#[derive(Clone)]
pub struct Dropout {
    pub rate: f64,
}

parameters!(Dropout { keep rate });

impl Dropout {
    fn drop<T: Number>(&self, seed: Option<u64>, x: &[T], y: &mut [T]) {
        let Some(seed) = seed else { return y.copy_from_slice(x) };
        let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
        let scale = [T::zero(), convert(1.0 / (1.0 - self.rate))];
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * scale[usize::from(rng.random::<f64>() >= self.rate)];
        }
    }
}

impl<T: Number, S: Flat> Layer<T, S> for Dropout {
    type Out = S;
    /// From the seed the same numbers are drawn on the way back.
    type Cache<B: BatchSize, P: Purpose> = Option<u64>;
    type Scratch = ();
    const GAIN: Option<Gain> = None;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        *at.cache = at.pass.seed();
        self.drop(*at.cache, S::flat::<T, B>(at.x), S::flat_mut::<T, B>(at.y));
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        if let Some(dx) = at.dx {
            this.drop(*at.cache, S::flat::<T, B>(at.dy), S::flat_mut::<T, B>(dx));
        }
    }
}

/// y = x + inner(x).
#[derive(Clone)]
pub struct Residual<L> {
    pub inner: L,
}

parameters!(Residual<L: part> { inner });

impl<T: Number, S: Flat, L: Layer<T, S, Out = S>> Layer<T, S> for Residual<L> {
    type Out = S;
    /// The inner cache and the inner output, which the inner slope may need.
    type Cache<B: BatchSize, P: Purpose> = (L::Cache<B, P>, S::Batch<T, B>);
    type Scratch = L::Scratch;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        let Forward { x, y, cache: (cache, inner), scratch, pass } = at;
        self.inner.forward::<B, P>(Forward { x, y: inner, cache, scratch, pass });
        y.clone_from(inner);
        ops::add_scaled(T::one(), S::flat::<T, B>(x), S::flat_mut::<T, B>(y));
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        let Backward { x, cache: (cache, y), scratch, dy, mut dx, .. } = at;
        let inner = Backward { x, y, cache, scratch, dy, dx: dx.as_deref_mut() };
        L::backward::<B, D>(part!(this.inner), inner);
        if let Some(dx) = dx {
            ops::add_scaled(T::one(), S::flat::<T, B>(dy), S::flat_mut::<T, B>(dx));
        }
    }
}

/// A net as a struct with named fields. (`named!` writes this; here it is by hand.)
#[derive(Clone)]
pub struct AutoEncoder<E, D> {
    pub encoder: E,
    pub decoder: D,
}

parameters!(AutoEncoder<E: part, D: part> { encoder, decoder });

impl<T: Number, In: Shape, E: Layer<T, In>, F: Layer<T, E::Out>> Layer<T, In>
    for AutoEncoder<E, F>
{
    type Out = F::Out;
    /// The parts' caches; between them the code and the gradient on it.
    type Cache<B: BatchSize, P: Purpose> = (
        E::Cache<B, P>,
        Batch<T, E::Out, B>,
        P::InTraining<B, Batch<T, E::Out, B>>,
        F::Cache<B, P>,
    );
    type Scratch = Larger<E::Scratch, F::Scratch>;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, In, Self, B, P>) {
        let Forward { x, y, cache: (e, code, _, d), mut scratch, pass } = at;
        let lent = scratch.again().first();
        self.encoder.forward::<B, P>(Forward { x, y: code, cache: e, scratch: lent, pass });
        let lent = scratch.second();
        self.decoder.forward::<B, P>(Forward { x: code, y, cache: d, scratch: lent, pass });
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, In, Self, B>,
    ) {
        let Backward { x, y, cache: (e, code, d_code, d), mut scratch, dy, dx } = at;
        let (lent, d_in) = (scratch.again().second(), Some(&mut *d_code));
        let decoder = Backward { x: code, y, cache: d, scratch: lent, dy, dx: d_in };
        F::backward::<B, D>(part!(this.decoder), decoder);
        let lent = scratch.first();
        let encoder = Backward { x, y: code, cache: e, scratch: lent, dy: d_code, dx };
        E::backward::<B, D>(part!(this.encoder), encoder);
    }
}

/// y = γ ⊙ (x - μ) / √(σ² + ε) + β: in training by the moments of the batch, of which `rate` goes into the
/// running ones, by which it predicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm<T, const N: usize> {
    pub scale: SVector<T, N>,
    pub shift: SVector<T, N>,
    pub mean: Statistic<T, N>,
    pub variance: Statistic<T, N>,
    pub rate: f64,
}

parameters!(BatchNorm<T: scalar, const N: usize> { scale, shift, mean, variance, keep rate });

impl<T: Number, const N: usize> BatchNorm<T, N> {
    /// Mean and variance, of the batch or the running ones.
    fn moments<B: BatchSize>(&self, trains: bool, x: &Columns<T, N, B>) -> [SVector<T, N>; 2] {
        if !trains {
            return [self.mean.0, self.variance.0];
        }
        let samples: T = convert(x.ncols() as f64);
        let sum = |sum: SVector<T, N>, x: SVector<T, N>| sum + x;
        let mean = x.column_iter().map(|x| x / samples).fold(SVector::zeros(), sum);
        let squares = x.column_iter().map(|x| (x - mean).map(|x| x * x / samples));
        [mean, squares.fold(SVector::zeros(), sum)]
    }

    fn deviation(variance: SVector<T, N>) -> SVector<T, N> {
        variance.map(|variance| (variance + convert(1e-5)).sqrt())
    }
}

impl<T: Number, const N: usize> Layer<T, D1<N>> for BatchNorm<T, N> {
    type Out = D1<N>;
    /// Whether it trained.
    type Cache<B: BatchSize, P: Purpose> = bool;
    type Scratch = ();

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        *at.cache = matches!(at.pass, Pass::Train { .. });
        let [mean, variance] = self.moments(*at.cache, at.x);
        let slope = self.scale.component_div(&Self::deviation(variance));
        for (mut y, x) in at.y.column_iter_mut().zip(at.x.column_iter()) {
            y.copy_from(&((x - mean).component_mul(&slope) + self.shift));
        }
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        Backward { x, cache, dy, dx, .. }: Backward<T, D1<N>, Self, B>,
    ) {
        let [mean, variance] = this.moments(*cache, x);
        let deviation = Self::deviation(variance);
        let pairs =
            || x.column_iter().map(|x| (x - mean).component_div(&deviation)).zip(dy.column_iter());
        let (mut d_scale, mut d_shift) = (SVector::zeros(), SVector::zeros());
        for (normal, dy) in pairs() {
            d_scale += normal.component_mul(&dy);
            d_shift += dy;
        }
        // The moments of the batch change with each of its samples.
        let part: T = if *cache { convert(1.0 / x.ncols() as f64) } else { T::zero() };
        for (mut dx, (normal, dy)) in
            dx.into_iter().flat_map(|dx| dx.column_iter_mut()).zip(pairs())
        {
            let through = (normal.component_mul(&d_scale) + d_shift) * part;
            dx.copy_from(&(dy - through).component_mul(&this.scale).component_div(&deviation));
        }
        part!(this.scale).add(|gradient| *gradient += d_scale);
        part!(this.shift).add(|gradient| *gradient += d_shift);
        let rate: T = if *cache { convert(this.rate) } else { T::zero() };
        let steps = [(mean - this.mean.0) * rate, (variance - this.variance.0) * rate];
        part!(this.mean).add(|step| step.0 += steps[0]);
        part!(this.variance).add(|step| step.0 += steps[1]);
    }

    fn init<R: Rng + ?Sized>(&mut self, _: Gain, _: &mut R) {
        (self.scale, self.variance.0) = (SVector::repeat(T::one()), SVector::repeat(T::one()));
        self.rate = 0.1;
    }
}

/// y = W·(x ⊙ x).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Squares<T, const I: usize, const O: usize> {
    pub weight: SMatrix<T, O, I>,
}

parameters!(Squares<T: scalar, const I: usize, const O: usize> { weight });

impl<T: Number, const I: usize, const O: usize> Layer<T, D1<I>> for Squares<T, I, O> {
    type Out = D1<O>;
    type Cache<B: BatchSize, P: Purpose> = ();
    /// The squares of one sample, or the gradient on them.
    type Scratch = SVector<T, I>;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<I>, Self, B, P>) {
        let squares = at.scratch.zeroed();
        for (mut y, x) in at.y.column_iter_mut().zip(at.x.column_iter()) {
            squares.copy_from(&x);
            squares.component_mul_assign(&x);
            y.gemv(T::one(), &self.weight, squares, T::zero());
        }
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        Backward { x, scratch, dy, dx, .. }: Backward<T, D1<I>, Self, B>,
    ) {
        let squares = scratch.zeroed();
        let samples = || x.column_iter().zip(dy.column_iter());
        for (mut dx, (x, dy)) in dx.into_iter().flat_map(|dx| dx.column_iter_mut()).zip(samples()) {
            squares.gemv_tr(T::one() + T::one(), &this.weight, &dy, T::zero());
            dx.copy_from(&squares.component_mul(&x));
        }
        part!(this.weight).columns(|columns, numbers| {
            for (x, dy) in samples() {
                for (column, dw) in columns.clone().zip(numbers.chunks_exact_mut(O)) {
                    dw.iter_mut().zip(&dy).for_each(|(dw, &dy)| *dw += x[column] * x[column] * dy);
                }
            }
        });
    }
}

/// y = Σ branchᵢ(x), of `M` layers that are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sum<L, const M: usize> {
    pub branches: [L; M],
}

parameters!(Sum<L: part, const M: usize> { branches });

impl<T: Number, In: Flat, L: Layer<T, In>, const M: usize> Layer<T, In> for Sum<L, M>
where
    L::Out: Flat,
{
    type Out = L::Out;
    /// Of each branch its cache, its output and the gradient on its input.
    type Cache<B: BatchSize, P: Purpose> =
        [(L::Cache<B, P>, Batch<T, L::Out, B>, P::InTraining<B, In::Batch<T, B>>); M];
    type Scratch = L::Scratch;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, In, Self, B, P>) {
        let Forward { x, y, cache, mut scratch, pass } = at;
        L::Out::flat_mut::<T, B>(y).fill(T::zero());
        for (branch, (cache, part, _)) in self.branches.iter().zip(cache) {
            branch.forward::<B, P>(Forward { x, y: part, cache, scratch: scratch.again(), pass });
            ops::add_scaled(T::one(), L::Out::flat::<T, B>(part), L::Out::flat_mut::<T, B>(y));
        }
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, In, Self, B>,
    ) {
        let Backward { x, cache, mut scratch, dy, mut dx, .. } = at;
        if let Some(dx) = &mut dx {
            In::flat_mut::<T, B>(dx).fill(T::zero());
        }
        let mut caches = cache.iter_mut();
        part!(this.branches).each(|branch| {
            let Some((cache, y, part)) = caches.next() else { return };
            let (scratch, wanted) = (scratch.again(), dx.is_some().then_some(&mut *part));
            L::backward::<B, D>(branch, Backward { x, y, cache, scratch, dy, dx: wanted });
            if let Some(dx) = &mut dx {
                ops::add_scaled(T::one(), In::flat::<T, B>(part), In::flat_mut::<T, B>(dx));
            }
        });
    }
}
