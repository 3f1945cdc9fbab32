//! Losses on outputs and their derivatives.

use super::{
    jet::Jet,
    per_sample::SampleGradients,
    residuals::{LeastSquares, Objective, copy_weights, set_weights},
};
use crate::{
    layer::Layer,
    network::Network,
    params::Parameters,
    shape::{BatchSize, Columns, D1, Number},
    zeros::Zeros,
};
use nalgebra::{SMatrix, SVector};
use num_traits::Zero;

/// A number with its first and second derivative along one input.
type Second<T> = Jet<Jet<T, 1>, 1>;

/// Layers that run over jets too.
#[doc(hidden)]
pub trait OverJets<T: Number, const I: usize, const O: usize>:
    Parameters<T, With<Second<T>>: Layer<Second<T>, D1<I>, Out = D1<O>>>
{
}

impl<T: Number, L, const I: usize, const O: usize> OverJets<T, I, O> for L where
    L: Parameters<T, With<Second<T>>: Layer<Second<T>, D1<I>, Out = D1<O>>>
{
}

/// The outputs for one sample and their derivatives with respect to each input.
#[derive(Clone, Copy, Debug)]
pub struct Derivatives<T, const I: usize, const O: usize> {
    /// The outputs.
    pub value: SVector<T, O>,
    /// ∂yₒ/∂xᵢ.
    pub first: SMatrix<T, O, I>,
    /// ∂²yₒ/∂xᵢ².
    pub second: SMatrix<T, O, I>,
}

/// A loss on the outputs of a net and on their derivatives, as a sum of squares: a differential equation
/// (physics-informed nets, Raissi and others, 2019), or targets for the derivatives too (Sobolev training, Czarnecki and
/// others, 2017). [`Network::physics`] makes one.
///
/// The gradient with respect to the weights comes from a backward pass over [`Jet`]s.
///
/// ```
/// use chainrule::{Affine, D1, LevenbergMarquardt, Network, SumSquaredError, Tanh};
/// use nalgebra::SMatrix;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Net = Network<f64, D1<1>, (Affine<f64, 1, 8>, Tanh, Affine<f64, 8, 1>), SumSquaredError>;
/// const WEIGHTS: usize = Net::weight_count();
///
/// // u' = -u and u(0) = 1: two residuals at each of 11 points.
/// let x = SMatrix::<f64, 1, 11>::from_fn(|_, i| i as f64 / 10.0);
/// let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
/// let mut decay = net.physics::<2, WEIGHTS, 8, _, _, _>(&x, |sample, _, u| {
///     let at_zero = if sample == 0 { u.value[0] - 1.0.into() } else { 0.0.into() };
///     [u.first[0] + u.value[0], at_zero]
/// });
/// let outcome = LevenbergMarquardt::<f64, WEIGHTS>::new().solve(&mut decay, 30);
/// assert!(outcome.loss < 1e-9);
/// assert!((net.predict(&nalgebra::Vector1::new(0.5))[0] - (-0.5f64).exp()).abs() < 1e-5);
/// ```
pub struct Physics<
    'a,
    T,
    L,
    E,
    F,
    B,
    const I: usize,
    const O: usize,
    const R: usize,
    const P: usize,
    const C: usize,
> where
    T: Number,
    L: OverJets<T, I, O>,
    B: BatchSize,
{
    net: &'a mut Network<T, D1<I>, L, E>,
    x: &'a Columns<T, I, B>,
    residuals: F,
    /// The layers over jets.
    lifted: L::With<Second<T>>,
    memory: SampleGradients<Second<T>, D1<I>, L::With<Second<T>>, P, C>,
    rows: SMatrix<T, P, C>,
}

impl<T: Number, L, E, const I: usize> Network<T, D1<I>, L, E> {
    /// A loss on the outputs and their derivatives at the samples `x`. `residuals` takes the number of a sample, its
    /// inputs, and the outputs there with their derivatives. It returns `R` residuals, and training makes the sum
    /// of their squares small. `P` is [`weight_count`](Self::weight_count), and `C` samples are computed at a time.
    ///
    /// The outputs are [`Jet`]s, so that the crate can differentiate `residuals`.
    pub fn physics<'a, const R: usize, const P: usize, const C: usize, const O: usize, B, F>(
        &'a mut self,
        x: &'a Columns<T, I, B>,
        residuals: F,
    ) -> Physics<'a, T, L, E, F, B, I, O, R, P, C>
    where
        L: OverJets<T, I, O>,
        B: BatchSize,
        F: Fn(usize, &SVector<T, I>, &Derivatives<Jet<T, 1>, I, O>) -> [Jet<T, 1>; R],
    {
        let (lifted, memory) = (lift(&self.layers), SampleGradients::new());
        Physics { net: self, x, residuals, lifted, memory, rows: Zeros::zeros() }
    }
}

fn lift<T: Number, L: Parameters<T>>(layers: &L) -> L::With<Second<T>> {
    layers.map_scalar(&mut |w| Jet::from(Jet::from(w)))
}

impl<T, L, E, F, B, const I: usize, const O: usize, const R: usize, const P: usize, const C: usize>
    Physics<'_, T, L, E, F, B, I, O, R, P, C>
where
    T: Number,
    L: OverJets<T, I, O>,
    B: BatchSize,
    F: Fn(usize, &SVector<T, I>, &Derivatives<Jet<T, 1>, I, O>) -> [Jet<T, 1>; R],
{
    /// The forward pass of some samples from `first` on, along one input. Returns how many they are.
    fn forward(&mut self, first: usize, along: usize) -> usize {
        let numbers = self.x.as_slice().iter().enumerate().skip(first * I);
        let jets = numbers.map(|(i, &x)| {
            let slope = if i % I.max(1) == along { T::one() } else { T::zero() };
            Jet::along(Jet::along(x, [slope]), [Jet::from(slope)])
        });
        self.memory.forward(&self.lifted, jets)
    }

    /// The outputs of some samples from `first` on with all derivatives, and how many they are.
    #[expect(clippy::indexing_slicing, reason = "matrices of O rows and I columns")]
    fn derivatives(&mut self, first: usize) -> ([Derivatives<T, I, O>; C], usize) {
        let (value, slopes) = (SVector::zeros(), SMatrix::zeros());
        let zero = Derivatives::<T, I, O> { value, first: slopes, second: slopes };
        let mut all = [zero; C];
        let mut count = 0;
        for i in 0..I {
            count = self.forward(first, i);
            for (at, y) in all.iter_mut().zip(self.memory.outputs().chunks_exact(O.max(1))) {
                for (o, y) in y.iter().enumerate() {
                    let [Jet { value: slope, slopes: [curvature] }] = y.slopes;
                    at.value[o] = y.value.value;
                    at.first[(o, i)] = slope;
                    at.second[(o, i)] = curvature;
                }
            }
        }
        (all, count)
    }

    /// The residuals at a sample, with their derivative by one of the numbers that they depend on.
    #[expect(clippy::indexing_slicing, reason = "matrices of O rows and I columns")]
    fn equations(
        &self,
        sample: usize,
        at: &Derivatives<T, I, O>,
        by: Option<usize>,
    ) -> [Jet<T, 1>; R] {
        let jets = |from: usize| {
            move |i: usize, number: T| {
                Jet::along(number, [if by == Some(from + i) { T::one() } else { T::zero() }])
            }
        };
        let (value, first, second) = (jets(0), jets(O), jets(O + O * I));
        let at = Derivatives {
            value: SVector::from_fn(|o, _| value(o, at.value[o])),
            first: SMatrix::from_fn(|o, i| first(i * O + o, at.first[(o, i)])),
            second: SMatrix::from_fn(|o, i| second(i * O + o, at.second[(o, i)])),
        };
        let x = SVector::from_iterator(self.x.as_slice().iter().skip(sample * I).copied());
        (self.residuals)(sample, &x, &at)
    }
}

impl<T, L, E, F, B, const I: usize, const O: usize, const R: usize, const P: usize, const C: usize>
    Objective<T, P> for Physics<'_, T, L, E, F, B, I, O, R, P, C>
where
    T: Number,
    L: OverJets<T, I, O>,
    B: BatchSize,
    F: Fn(usize, &SVector<T, I>, &Derivatives<Jet<T, 1>, I, O>) -> [Jet<T, 1>; R],
{
    fn weights(&self, to: &mut SVector<T, P>) {
        copy_weights(&self.net.layers, to.as_mut_slice());
    }

    fn set(&mut self, weights: &SVector<T, P>) {
        set_weights(&mut self.net.layers, weights.as_slice());
        self.lifted = lift(&self.net.layers);
    }

    fn evaluate(&mut self, gradient: &mut SVector<T, P>) -> T {
        self.sum_and_gradient(gradient)
    }
}

impl<T, L, E, F, B, const I: usize, const O: usize, const R: usize, const P: usize, const C: usize>
    LeastSquares<T, P> for Physics<'_, T, L, E, F, B, I, O, R, P, C>
where
    T: Number,
    L: OverJets<T, I, O>,
    B: BatchSize,
    F: Fn(usize, &SVector<T, I>, &Derivatives<Jet<T, 1>, I, O>) -> [Jet<T, 1>; R],
{
    #[expect(clippy::indexing_slicing, reason = "matrices of O rows and I columns")]
    fn residuals(&mut self, gradients: bool, take: &mut dyn FnMut(&[T], &[T])) {
        let mut first = 0;
        while first < self.x.ncols() {
            let (all, count) = self.derivatives(first);
            for number in 0..R {
                let (mut values, mut partials) = ([T::zero(); C], all);
                let samples = (first..).zip(all.iter().zip(&mut partials)).zip(&mut values);
                for ((sample, (at, partials)), value) in samples.take(count) {
                    let at_sample = |by| self.equations(sample, at, by).into_iter().nth(number);
                    *value = at_sample(None).map_or_else(T::zero, |r| r.value);
                    if gradients {
                        let parts = partials.value.iter_mut().chain(&mut partials.first);
                        for (by, to) in parts.chain(&mut partials.second).enumerate() {
                            *to = at_sample(Some(by)).map_or_else(T::zero, |r| r.slopes[0]);
                        }
                    }
                }
                self.rows.fill(T::zero());
                for along in (0..I).filter(|_| gradients) {
                    if I > 1 {
                        self.forward(first, along);
                    }
                    // (a + b·ε + c·εε')·(y + y'·ε + y'·ε' + y"·εε') has a·y" + b·y' + c·y as its part of εε'.
                    self.memory.seed(|sample, o| {
                        let part = |matrix: &SMatrix<T, O, I>| matrix[(o, along)];
                        let Some(at) = partials.get(sample) else { return Jet::zero() };
                        let value = if along == 0 { at.value[o] } else { T::zero() };
                        Jet::along(
                            Jet::along(part(&at.second), [part(&at.first)]),
                            [Jet::along(T::zero(), [value])],
                        )
                    });
                    let rows = self.memory.backward(&self.lifted);
                    for (to, from) in self.rows.iter_mut().zip(rows) {
                        *to += from.slopes[0].slopes[0];
                    }
                }
                let rows = self.rows.as_slice().get(..count * P).unwrap_or_default();
                take(rows, values.get(..count).unwrap_or_default());
            }
            first += count.max(1);
        }
    }
}
