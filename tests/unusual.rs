//! Correct layers of unusual kinds, as users may write them. The gradient check must accept all of them.
//!
//! `GRADCHECK_CASES=10000 cargo test --release --test unusual` is a long run.

use chainrule::{gradcheck::*, *};
use nalgebra::{SMatrix, SVector, convert};

/// Converts a number to any scalar.
fn number<T: Number>(value: f64) -> T {
    convert(value)
}

/// Layers of one number, applied to each: y, and dy/dx.
macro_rules! elementwise {
    ($($(#[$doc:meta])* $name:ident $module:ident: |$x:ident| $y:expr, $slope:expr;)*) => { $(
        $(#[$doc])*
        struct $name;
        parameters!($name {});

        impl<T: Number, const N: usize> Layer<T, D1<N>> for $name {
            type Out = D1<N>;
            type Cache<B: BatchSize, P: Purpose> = ();
            type Scratch = ();

            fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
                for (y, &$x) in at.y.iter_mut().zip(at.x) {
                    *y = $y;
                }
            }

            #[allow(unused_variables, reason = "some slopes are the same everywhere")]
            fn backward<B: BatchSize, D: Destination<T>>(
                _: Grad<T, Self, D>,
                at: Backward<T, D1<N>, Self, B>,
            ) {
                let Some(dx) = at.dx else { return };
                for ((dx, &dy), &$x) in dx.iter_mut().zip(at.dy).zip(at.x) {
                    *dx = dy * $slope;
                }
            }
        }

        gradcheck_layer!($module<T>: $name, D1<3>);
    )* };
}

elementwise! {
    /// Its kinks are at small integers.
    HardTanh hard_tanh: |x| x.clamp(-T::one(), T::one()),
        if x.abs() < T::one() { T::one() } else { T::zero() };
    /// Kinks at ±3.
    HardSigmoid hard_sigmoid: |x| (x / number(6.0) + number(0.5)).clamp(T::zero(), T::one()),
        if x.abs() < number(3.0) { number(1.0 / 6.0) } else { T::zero() };
    Absolute absolute: |x| x.abs(), if x < T::zero() { -T::one() } else { T::one() };
    /// sin x / x, which is 0/0 at 0.
    Sinc sinc: |x| if x.abs() < number(1e-4) { T::one() } else { x.sin() / x },
        if x.abs() < number(1e-4) { T::zero() } else { (x.cos() - x.sin() / x) / x };
    /// Dual numbers have no `floor`.
    Fraction fraction: |x| x - x.floor(), T::one();
    /// Constant between its steps.
    Rounded rounded: |x| x.round(), T::zero();
    Step step: |x| if x > T::zero() { T::one() } else { x * T::zero() }, T::zero();
    Square square: |x| x * x, x + x;
    Cube cube: |x| x.powi(3), number::<T>(3.0) * x * x;
    Exponential exponential: |x| x.exp(), x.exp();
    Softsign softsign: |x| x / (T::one() + x.abs()), (T::one() + x.abs()).powi(-2);
    Elu elu: |x| if x > T::zero() { x } else { x.exp_m1() }, if x > T::zero() { T::one() } else { x.exp() };
    Swish swish: |x| x / (T::one() + (-x).exp()), {
        let sigmoid = T::one() / (T::one() + (-x).exp());
        sigmoid * (T::one() + x * (T::one() - sigmoid))
    };
    Root root: |x| (x * x + T::one()).sqrt(), x / (x * x + T::one()).sqrt();
    Wave wave: |x| x.sin(), x.cos();
    /// Moves numbers towards zero, and is constant in the middle.
    Shrink shrink: |x| if x.abs() > number(0.5) { x - x.signum() * number(0.5) } else { x * T::zero() },
        if x.abs() > number(0.5) { T::one() } else { T::zero() };
}

/// The larger of each pair of numbers. Equal numbers share the gradient.
struct SharedPool;
parameters!(SharedPool {});

impl<T: Number> Layer<T, D1<4>> for SharedPool {
    type Out = D1<2>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<4>, Self, B, P>) {
        for (mut y, x) in at.y.column_iter_mut().zip(at.x.column_iter()) {
            for i in 0..2 {
                let (a, b) = (x[2 * i], x[2 * i + 1]);
                y[i] = if a > b || a.partial_cmp(&a).is_none() { a } else { b };
            }
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        _: Grad<T, Self, D>,
        at: Backward<T, D1<4>, Self, B>,
    ) {
        let Some(dx) = at.dx else { return };
        for s in 0..at.x.ncols() {
            for i in 0..4 {
                let (own, other) = (at.x[(i, s)], at.x[(i ^ 1, s)]);
                let part = if own == other { 0.5 } else { f64::from(u8::from(own > other)) };
                dx[(i, s)] = at.dy[(i / 2, s)] * number(part);
            }
        }
    }
}
gradcheck_layer!(shared_pool<T>: SharedPool, D1<4>);

/// Every second number. The layer does not read the others.
struct Stride;
parameters!(Stride {});

impl<T: Number> Layer<T, D1<5>> for Stride {
    type Out = D1<3>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<5>, Self, B, P>) {
        for s in 0..at.x.ncols() {
            for i in 0..3 {
                at.y[(i, s)] = at.x[(2 * i, s)];
            }
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        _: Grad<T, Self, D>,
        at: Backward<T, D1<5>, Self, B>,
    ) {
        let Some(dx) = at.dx else { return };
        dx.fill(T::zero());
        for s in 0..at.x.ncols() {
            for i in 0..3 {
                dx[(2 * i, s)] = at.dy[(i, s)];
            }
        }
    }
}
gradcheck_layer!(stride<T>: Stride, D1<5>);

/// (x - mean)/std of each sample, with `eps` = 10⁻ᴱ in the root. The cache holds 1/std.
struct LayerNorm<const E: i32>;
parameters!(LayerNorm<const E: i32> {});

impl<T: Number, const N: usize, const E: i32> Layer<T, D1<N>> for LayerNorm<E> {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = P::InTraining<B, Columns<T, 1, B>>;
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        let n = number::<T>(N as f64);
        let mut kept = P::kept::<B, Columns<T, 1, B>>(at.cache);
        for (s, x) in at.x.column_iter().enumerate() {
            let mean = x.sum() / n;
            let variance = x.iter().fold(T::zero(), |sum, &x| sum + (x - mean) * (x - mean)) / n;
            let scale = (variance + number(10_f64.powi(-E))).sqrt().recip();
            at.y.column_mut(s).iter_mut().zip(&x).for_each(|(y, &x)| *y = (x - mean) * scale);
            if let Some(kept) = &mut kept {
                kept[s] = scale;
            }
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        _: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let Some(dx) = at.dx else { return };
        let n = number::<T>(N as f64);
        for (s, (y, dy)) in at.y.column_iter().zip(at.dy.column_iter()).enumerate() {
            let (mean, along) = (dy.sum() / n, dy.dot(&y) / n);
            for i in 0..N {
                dx[(i, s)] = (dy[i] - mean - y[i] * along) * at.cache[s];
            }
        }
    }
}
gradcheck_layer!(layer_norm<T>: LayerNorm<5>, D1<6>);
gradcheck_layer!(layer_norm_of_two<T>: LayerNorm<5>, D1<2>);
gradcheck_layer!(layer_norm_small_eps<T>: LayerNorm<12>, D1<2>);

buffer! {
    /// What batch normalisation keeps.
    struct Moments<T: Number, B: BatchSize, const N: usize> {
        /// The steps of mean and variance.
        steps: [Vec2<T, N>; 2],
        /// 1/std of each feature.
        scale: Vec2<T, N>,
        /// The normalised inputs.
        normal: Columns<T, N, B>,
        /// Whether it is a training pass.
        trains: bool,
    }
}

/// One number a feature, whatever the batch.
#[derive(Clone)]
struct Vec2<T: Number, const N: usize>(SVector<T, N>);

impl<T: Number, B: BatchSize, const N: usize> Buffer<B> for Vec2<T, N> {
    fn new(_: B) -> Self {
        Vec2(SVector::zeros())
    }
}

/// Batch normalisation with running statistics.
struct BatchNorm<T, const N: usize> {
    weight: SVector<T, N>,
    bias: SVector<T, N>,
    mean: Statistic<T, N>,
    variance: Statistic<T, N>,
}
parameters!(BatchNorm<T: scalar, const N: usize> { weight, bias, mean, variance });

impl<T: Number, const N: usize> BatchNorm<T, N> {
    fn new() -> Self {
        let variance = Statistic(SVector::repeat(T::one()));
        BatchNorm { variance, ..Zeros::zeros() }
    }
}

impl<T: Number, const N: usize> Layer<T, D1<N>> for BatchNorm<T, N> {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = Moments<T, B, N>;
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        let count = number::<T>(at.x.ncols() as f64);
        at.cache.trains = at.pass.seed().is_some();
        for i in 0..N {
            let (mut mean, mut variance) = (self.mean.0[i], self.variance.0[i]);
            if at.cache.trains {
                mean = at.x.row(i).iter().fold(T::zero(), |sum, &x| sum + x) / count;
                let square = |sum, &x| sum + (x - mean) * (x - mean);
                variance = at.x.row(i).iter().fold(T::zero(), square) / count;
            }
            at.cache.steps[0].0[i] = (mean - self.mean.0[i]) * number(0.1);
            at.cache.steps[1].0[i] = (variance - self.variance.0[i]) * number(0.1);
            let scale = (variance + number(1e-5)).sqrt().recip();
            at.cache.scale.0[i] = scale;
            for s in 0..at.x.ncols() {
                let normal = (at.x[(i, s)] - mean) * scale;
                at.cache.normal[(i, s)] = normal;
                at.y[(i, s)] = normal * self.weight[i] + self.bias[i];
            }
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let count = number::<T>(at.x.ncols() as f64);
        let (dy, normal) = (at.dy, &at.cache.normal);
        let sum = |i: usize| dy.row(i).iter().fold(T::zero(), |sum, &dy| sum + dy);
        let along =
            |i: usize| (0..dy.ncols()).fold(T::zero(), |a, s| a + dy[(i, s)] * normal[(i, s)]);
        if let Some(dx) = at.dx {
            for i in 0..N {
                for s in 0..dy.ncols() {
                    let mut d = dy[(i, s)];
                    if at.cache.trains {
                        d -= sum(i) / count + normal[(i, s)] * along(i) / count;
                    }
                    dx[(i, s)] = d * this.weight[i] * at.cache.scale.0[i];
                }
            }
        }
        part!(this.weight).add(|dw| (0..N).for_each(|i| dw[i] += along(i)));
        part!(this.bias).add(|db| (0..N).for_each(|i| db[i] += sum(i)));
        let [mean, variance] = &at.cache.steps;
        part!(this.mean).add(|step| step.0 += mean.0);
        part!(this.variance).add(|step| step.0 += variance.0);
    }
}
gradcheck_layer!(batch_norm<T>: BatchNorm<T, 3>, D1<3>,
    GradCheck::new().per_sample(false).pass(Pass::train(0, 0, 0)), start: BatchNorm::new());
gradcheck_layer!(batch_norm_of_two<T>: BatchNorm<T, 3>, D1<3>,
    GradCheck::new().per_sample(false).pass(Pass::train(0, 0, 0)).batch(2), start: BatchNorm::new());
gradcheck_layer!(batch_norm_predicting<T>: BatchNorm<T, 3>, D1<3>, start: BatchNorm::new());
gradcheck_layer!(batch_norm_in_a_net<T>: (Affine<T, 3, 4>, BatchNorm<T, 4>, Tanh, Affine<T, 4, 2>), D1<3>,
    GradCheck::new().per_sample(false).pass(Pass::train(0, 0, 0)),
    start: (Zeros::zeros(), BatchNorm::new(), Tanh, Zeros::zeros()));

/// Drops each number with probability ½ in training.
struct Dropout;
parameters!(Dropout {});

impl<T: Number, S: Flat> Layer<T, S> for Dropout {
    type Out = S;
    /// What each number was multiplied by.
    type Cache<B: BatchSize, P: Purpose> = S::Batch<T, B>;
    type Scratch = ();
    const GAIN: Option<init::Gain> = None;

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        let mut rng = at.pass.rng();
        let numbers = S::flat::<T, B>(at.x).iter().zip(S::flat_mut::<T, B>(at.cache));
        for (y, (&x, scale)) in S::flat_mut::<T, B>(at.y).iter_mut().zip(numbers) {
            let bit = rng.as_mut().map(|rng| rand::Rng::next_u32(rng) & 1);
            *scale = number(bit.map_or(1.0, |bit| 2.0 * f64::from(bit)));
            *y = x * *scale;
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(_: Grad<T, Self, D>, at: Backward<T, S, Self, B>) {
        let Some(dx) = at.dx else { return };
        let numbers = S::flat::<T, B>(at.dy).iter().zip(S::flat::<T, B>(at.cache));
        for (dx, (&dy, &scale)) in S::flat_mut::<T, B>(dx).iter_mut().zip(numbers) {
            *dx = dy * scale;
        }
    }
}
gradcheck_layer!(dropout<T>: Dropout, D1<6>, GradCheck::new().pass(Pass::train(1, 2, 3)));

/// y = x + inner(x).
struct Residual<L> {
    inner: L,
}
parameters!(Residual<L: part> { inner });

impl<T: Number, S: Flat, L: Layer<T, S, Out = S>> Layer<T, S> for Residual<L> {
    type Out = S;
    type Cache<B: BatchSize, P: Purpose> = (L::Cache<B, P>, S::Batch<T, B>);
    type Scratch = L::Scratch;

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        let Forward { x, y, cache: (cache, inner), scratch, pass } = at;
        self.inner.forward::<B, P>(Forward { x, y: inner, cache, scratch, pass });
        let sum = S::flat::<T, B>(x).iter().zip(S::flat::<T, B>(inner));
        S::flat_mut::<T, B>(y).iter_mut().zip(sum).for_each(|(y, (&x, &h))| *y = x + h);
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        let Backward { x, cache: (cache, y), scratch, dy, mut dx, .. } = at;
        let inner = Backward { x, y, cache, scratch, dy, dx: dx.as_deref_mut() };
        L::backward::<B, D>(part!(this.inner), inner);
        if let Some(dx) = dx {
            let dy = S::flat::<T, B>(dy);
            S::flat_mut::<T, B>(dx).iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy);
        }
    }
}
gradcheck_layer!(residual<T>: Residual<(Affine<T, 3, 4>, Tanh, Affine<T, 4, 3>)>, D1<3>);

/// y = Wᵀ·W·x: one matrix, used twice.
struct Tied<T, const N: usize, const H: usize> {
    weight: SMatrix<T, H, N>,
}
parameters!(Tied<T: scalar, const N: usize, const H: usize> { weight });

impl<T: Number, const N: usize, const H: usize> Layer<T, D1<N>> for Tied<T, N, H> {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = Columns<T, H, B>;
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        for (s, x) in at.x.column_iter().enumerate() {
            let hidden = self.weight * x;
            at.cache.set_column(s, &hidden);
            at.y.set_column(s, &(self.weight.transpose() * hidden));
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let weight = this.weight;
        if let Some(dx) = at.dx {
            for (s, dy) in at.dy.column_iter().enumerate() {
                dx.set_column(s, &(weight.transpose() * (weight * dy)));
            }
        }
        part!(this.weight).add(|dw| {
            for (s, (x, dy)) in at.x.column_iter().zip(at.dy.column_iter()).enumerate() {
                *dw += at.cache.column(s) * dy.transpose() + (weight * dy) * x.transpose();
            }
        });
    }
}
gradcheck_layer!(tied<T>: Tied<T, 4, 2>, D1<4>);

/// y = b. The layer does not read its input.
struct Constant<T, const N: usize> {
    bias: SVector<T, N>,
}
parameters!(Constant<T: scalar, const N: usize> { bias });

impl<T: Number, const N: usize> Layer<T, D1<2>> for Constant<T, N> {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<2>, Self, B, P>) {
        at.y.column_iter_mut().for_each(|mut y| y.copy_from(&self.bias));
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<2>, Self, B>,
    ) {
        if let Some(dx) = at.dx {
            dx.fill(T::zero());
        }
        part!(this.bias).sum(at.dy.as_slice());
    }
}
gradcheck_layer!(constant<T>: Constant<T, 3>, D1<2>);

/// y = a·x for x > 0, and a learned slope below. It delivers the gradient column by column, and uses working
/// memory.
struct Prelu<T, const N: usize> {
    slope: SMatrix<T, 1, N>,
}
parameters!(Prelu<T: scalar, const N: usize> { slope });

impl<T: Number, const N: usize> Layer<T, D1<N>> for Prelu<T, N> {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = Sums<T, N>;

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        for s in 0..at.x.ncols() {
            for i in 0..N {
                let x = at.x[(i, s)];
                at.y[(i, s)] = if x > T::zero() { x } else { x * self.slope[i] };
            }
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let sums = at.scratch.zeroed();
        for s in 0..at.x.ncols() {
            for i in 0..N {
                let (x, dy) = (at.x[(i, s)], at.dy[(i, s)]);
                sums.0[i] += if x > T::zero() { T::zero() } else { x * dy };
            }
        }
        if let Some(dx) = at.dx {
            for s in 0..at.x.ncols() {
                for i in 0..N {
                    let slope = if at.x[(i, s)] > T::zero() { T::one() } else { this.slope[i] };
                    dx[(i, s)] = at.dy[(i, s)] * slope;
                }
            }
        }
        part!(this.slope).columns(|range, numbers| {
            numbers.iter_mut().zip(&sums.0[range]).for_each(|(to, &sum)| *to += sum);
        });
    }
}
gradcheck_layer!(prelu<T>: Prelu<T, 4>, D1<4>);

/// One sum a feature.
#[derive(Clone, Copy)]
struct Sums<T, const N: usize>([T; N]);

impl<T: Number, const N: usize> Zeros for Sums<T, N> {
    fn zeros() -> Self {
        Sums([T::zero(); N])
    }

    fn set_zero(&mut self) {
        self.0.fill(T::zero());
    }
}

/// The products of neighbours: second derivatives between numbers.
struct Products;
parameters!(Products {});

impl<T: Number> Layer<T, D1<4>> for Products {
    type Out = D1<4>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<4>, Self, B, P>) {
        for s in 0..at.x.ncols() {
            for i in 0..4 {
                at.y[(i, s)] = at.x[(i, s)] * at.x[((i + 1) % 4, s)];
            }
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        _: Grad<T, Self, D>,
        at: Backward<T, D1<4>, Self, B>,
    ) {
        let Some(dx) = at.dx else { return };
        for s in 0..at.x.ncols() {
            for i in 0..4 {
                let (next, last) = ((i + 1) % 4, (i + 3) % 4);
                dx[(i, s)] = at.dy[(i, s)] * at.x[(next, s)] + at.dy[(last, s)] * at.x[(last, s)];
            }
        }
    }
}
gradcheck_layer!(products<T>: Products, D1<4>);

/// Subtracts the mean of the batch: samples depend on each other.
struct Centred;
parameters!(Centred {});

fn centre<T: Number, const N: usize, B: BatchSize>(x: &Columns<T, N, B>, y: &mut Columns<T, N, B>) {
    let count = number::<T>(x.ncols() as f64);
    for i in 0..N {
        let mean = x.row(i).iter().fold(T::zero(), |sum, &x| sum + x) / count;
        (0..x.ncols()).for_each(|s| y[(i, s)] = x[(i, s)] - mean);
    }
}

impl<T: Number, const N: usize> Layer<T, D1<N>> for Centred {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        centre::<T, N, B>(at.x, at.y);
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        _: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        if let Some(dx) = at.dx {
            centre::<T, N, B>(at.dy, dx);
        }
    }
}
gradcheck_layer!(centred<T>: Centred, D1<3>, GradCheck::new().per_sample(false));

gradcheck_layer!(no_outputs<T>: Affine<T, 3, 0>, D1<3>);
gradcheck_layer!(no_inputs<T>: Affine<T, 0, 3>, D1<0>);
gradcheck_layer!(frozen<T>: (Frozen<Affine<T, 2, 2>>, Tanh, Affine<T, 2, 1>), D1<2>, start: (
    Frozen(Affine::new(nalgebra::Matrix2::identity(), nalgebra::Vector2::zeros())),
    Tanh,
    Zeros::zeros(),
));
