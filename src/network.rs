//! A net: its layers, the shape of its inputs, and its loss.

use crate::{
    Affine, Relu, SoftmaxCrossEntropy,
    export::{self, Export, Source},
    grad::{Destination, Grad},
    init::Gain,
    kernel,
    layer::Layer,
    loss::{Classes, Loss, argmax},
    params::{self, Parameters},
    pass::Pass,
    shape::{
        AsBatch, Batch, BatchSize, Buffer, D1, Flat, Number, Scores, Shape, ToTrain, nan, number,
    },
    step::{
        Activations, LossOf, Prediction, PredictionInto, Predictor, Step, VectorJacobian, Way,
        Workspace,
    },
    zeros::Zeros,
};
use core::{fmt, marker::PhantomData};
use rand::Rng;

/// A net: `layers` (one layer, a tuple, or a struct by [`named!`](crate::named)) on inputs of shape `In`, with
/// the loss `E`.
///
/// ```
/// use chainrule::{Affine, D1, Network, Optimizer, Relu, Sgd, SoftmaxCrossEntropy};
/// use nalgebra::{Const, SMatrix};
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Layers = (Affine<f32, 2, 16>, Relu, Affine<f32, 16, 2>);
/// type Net = Network<f32, D1<2>, Layers, SoftmaxCrossEntropy>;
///
/// let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
///
/// // Exclusive or: four samples, one per column.
/// let x = SMatrix::<f32, 2, 4>::from_column_slice(&[0., 0., 0., 1., 1., 0., 1., 1.]);
/// let labels = [0, 1, 1, 0];
/// let (mut work, mut sgd) = (Net::workspace(Const::<4>), Sgd::new(0.5));
/// for _ in 0..500 {
///     sgd.train_step(&mut net, &x, &labels, &mut work)?;
/// }
/// assert_eq!(net.accuracy(&x, &labels), 1.0);
/// # Ok::<_, chainrule::StepError>(())
/// ```
// SIMD loads of the parameters should not cross cache lines. On a chip alignment only costs RAM.
#[doc(alias("Sequential", "Module", "state_dict"))]
#[cfg_attr(target_arch = "x86_64", repr(align(64)))]
pub struct Network<T, In, L, E> {
    /// The parameters.
    pub layers: L,
    /// The loss.
    pub criterion: E,
    shape: PhantomData<fn(In) -> T>,
}

/// The book's two-layer net: affine, ReLU, affine, with softmax and cross entropy as its loss.
///
/// ```
/// use chainrule::TwoLayerNet;
/// use nalgebra::SMatrix;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
/// let net = TwoLayerNet::<f64, 64, 20, 10>::normal(0.01, &mut rng);
/// let x = SMatrix::<f64, 64, 3>::repeat(0.5);
/// let t = [1, 0, 9];
///
/// assert_eq!(net.predict(&x).shape(), (10, 3));
/// assert!((net.loss(&x, &t) - 10f64.ln()).abs() < 0.01);
/// let (affine1, (), affine2) = net.gradient(&x, &t);
/// assert_eq!(affine1.weight.shape(), (20, 64));
/// assert!((affine2.bias.sum()).abs() < 1e-12);
/// ```
pub type TwoLayerNet<T, const IN: usize, const HIDDEN: usize, const OUT: usize> =
    Network<T, D1<IN>, (Affine<T, IN, HIDDEN>, Relu, Affine<T, HIDDEN, OUT>), SoftmaxCrossEntropy>;

impl<T: Number, const IN: usize, const HIDDEN: usize, const OUT: usize>
    TwoLayerNet<T, IN, HIDDEN, OUT>
{
    /// Weights from a normal distribution of standard deviation `std` (the book's 0.01), biases 0.
    pub fn normal(std: T, rng: &mut (impl Rng + ?Sized)) -> Self {
        let layers = (Affine::normal(std, rng), Relu, Affine::normal(std, rng));
        Network::new(layers, SoftmaxCrossEntropy)
    }
}

// The bound `L: Layer` is on each method and not on the block. With the bound on the block, a net that is named by
// a type alias gets the message "the function exists, but its trait bounds were not satisfied", which does not
// say which layer does not fit.
impl<T: Number, In: Shape, L, E> Network<T, In, L, E> {
    /// A net of these layers, with this loss.
    pub const fn new(layers: L, criterion: E) -> Self
    where
        L: Layer<T, In>,
    {
        Network { layers, criterion, shape: PhantomData }
    }

    /// A net with first weights: He before ReLU and similar activations, Xavier elsewhere, biases 0
    /// ([`Layer::init`] has the details). This builds the net on the stack. If the net is large, or in a
    /// `static`, use [`init_weights`](Self::init_weights), which sets the weights in place.
    ///
    /// ```
    /// use chainrule::{Affine, D1, Network, Relu, SoftmaxCrossEntropy};
    /// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
    /// type Net = Network<f32, D1<2>, (Affine<f32, 2, 16>, Relu, Affine<f32, 16, 2>), SoftmaxCrossEntropy>;
    ///
    /// let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
    /// let mut net = Net::init(&mut rng);
    /// // Another choice for one layer:
    /// chainrule::init::normal(0.01, &mut net.layers.2.weight, &mut rng);
    /// ```
    pub fn init(rng: &mut (impl Rng + ?Sized)) -> Self
    where
        L: Layer<T, In> + Zeros,
        E: Default,
    {
        let mut net = Network::new(L::zeros(), E::default());
        net.init_weights(rng);
        net
    }

    /// Sets all parameters of this net to their first values, in place.
    pub fn init_weights(&mut self, rng: &mut (impl Rng + ?Sized))
    where
        L: Layer<T, In> + Zeros,
    {
        self.layers.set_zero();
        self.layers.init(Gain::Linear, rng);
    }

    /// The outputs for a batch, in new memory. [`predict_into`](Self::predict_into) reuses memory.
    #[inline]
    pub fn predict<X: AsBatch<T, In>>(&self, x: &X) -> Batch<T, L::Out, X::Size>
    where
        L: Layer<T, In>,
    {
        kernel::run::<T, _>(Prediction { layers: &self.layers, x: x.as_batch() })
    }

    /// Memory for predicting batches of `size`.
    pub fn predictor<B: BatchSize>(size: B) -> Predictor<T, In, L, B>
    where
        L: Layer<T, In>,
    {
        Predictor { activations: Activations::new(size) }
    }

    /// The outputs for a batch, in the memory of `predictor`. This allocates only if the size of the batch
    /// differs from that of the last batch.
    ///
    /// ```
    /// use chainrule::TwoLayerNet;
    /// use nalgebra::{Const, SMatrix};
    /// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
    /// type Net = TwoLayerNet<f64, 64, 20, 10>;
    ///
    /// let net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    /// let mut predictor = Net::predictor(Const::<3>);
    /// let x = SMatrix::<f64, 64, 3>::repeat(0.5);
    /// assert_eq!(*net.predict_into(&x, &mut predictor), net.predict(&x));
    /// ```
    #[inline]
    pub fn predict_into<'p, B: BatchSize>(
        &self,
        x: &In::Batch<T, B>,
        predictor: &'p mut Predictor<T, In, L, B>,
    ) -> &'p Batch<T, L::Out, B>
    where
        L: Layer<T, In>,
    {
        predictor.activations.resize(In::size::<T, B>(x));
        let (layers, activations) = (&self.layers, &mut predictor.activations);
        kernel::run::<T, _>(PredictionInto { layers, x, activations });
        &predictor.activations.y
    }

    /// The mean loss of a batch. The layers run as in a prediction.
    pub fn loss<B: BatchSize, Y: ?Sized>(&self, x: &In::Batch<T, B>, target: &Y) -> T
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let Network { layers, criterion, .. } = self;
        let prediction = Prediction { layers, x };
        kernel::run::<T, _>(LossOf { prediction, criterion, target })
    }

    /// The fraction of the samples whose largest output is that of the correct class. Of several equal largest outputs
    /// the first counts. A sample with a NaN output counts as wrong. The result is NaN if the target has another number
    /// of samples, or if the net has one output, which would always be the largest.
    pub fn accuracy<B: BatchSize, Y, const N: usize>(&self, x: &In::Batch<T, B>, target: &Y) -> T
    where
        L: Layer<T, In, Out: Scores<N>>,
        Y: Classes<T, N, B> + ?Sized,
    {
        let samples = In::size::<T, B>(x).value();
        if target.samples() != samples || N == 1 {
            return nan();
        }
        ratio(self.correct(x, target).filter(|&correct| correct).count(), samples)
    }

    /// For each sample of a batch, whether the net predicts its class.
    pub(crate) fn correct<B: BatchSize, Y, const N: usize>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
    ) -> impl Iterator<Item = bool>
    where
        L: Layer<T, In, Out: Scores<N>>,
        Y: Classes<T, N, B> + ?Sized,
    {
        let y = self.predict(x);
        (0..In::size::<T, B>(x).value()).map(move |sample| {
            let outputs = L::Out::flat::<T, B>(&y).chunks_exact(N.max(1)).nth(sample);
            outputs.and_then(argmax).is_some_and(|class| target.class(sample) == Some(class))
        })
    }

    /// The gradient of the [`loss`](Self::loss) by backpropagation, in the shape of the layers. The layers run
    /// as in a prediction. For the gradient of a training step see [`backprop`](Self::backprop).
    pub fn gradient<B: BatchSize, Y: ?Sized>(&self, x: &In::Batch<T, B>, target: &Y) -> L::Gradient
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let mut activations = Activations::new(In::size::<T, B>(x));
        let mut gradient = L::Gradient::zeros();
        let this = Grad::set(&self.layers, &mut gradient);
        self.pass(x, target, &mut activations, Pass::Predict, None, this);
        gradient
    }

    /// The gradient of the [`loss`](Self::loss) with respect to the input, by backpropagation.
    pub fn input_gradient<B: BatchSize, Y: ?Sized>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
    ) -> In::Batch<T, B>
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let mut activations = Activations::new(In::size::<T, B>(x));
        let mut dx = Buffer::new(In::size::<T, B>(x));
        let this = Grad::nowhere(&self.layers);
        self.pass(x, target, &mut activations, Pass::Predict, Some(&mut dx), this);
        dx
    }

    /// The vector-Jacobian product. `dy` is a gradient on the outputs. Returns the outputs, the gradient
    /// on the input, and the gradient of the parameters. Both gradients are NaN if `dy` and `x` have
    /// different numbers of samples.
    ///
    /// ```
    /// use chainrule::{Affine, D1, Network, SumSquaredError};
    /// use nalgebra::{Matrix1x2, Vector1, Vector2};
    ///
    /// let layer = Affine::new(Matrix1x2::new(2.0, 3.0), Vector1::new(1.0));
    /// let net = Network::<f64, D1<2>, _, _>::new(layer, SumSquaredError);
    /// let (y, dx, gradient) = net.vjp(&Vector2::new(10.0, 100.0), &Vector1::new(-1.0));
    /// assert_eq!((y[0], dx), (321.0, Vector2::new(-2.0, -3.0)));
    /// assert_eq!(gradient.weight, Matrix1x2::new(-10.0, -100.0));
    /// ```
    #[expect(clippy::type_complexity, reason = "three things, each of its type")]
    pub fn vjp<B: BatchSize>(
        &self,
        x: &In::Batch<T, B>,
        dy: &Batch<T, L::Out, B>,
    ) -> (Batch<T, L::Out, B>, In::Batch<T, B>, L::Gradient)
    where
        In: Flat,
        L: Layer<T, In>,
    {
        let size = In::size::<T, B>(x);
        let mut activations = Activations::<T, In, L, B, ToTrain>::new(size);
        let (mut dx, mut gradient) = (Buffer::new(size), L::Gradient::zeros());
        activations.dy.clone_from(dy);
        let this = Grad::set(&self.layers, &mut gradient);
        let (lent, out) = (&mut activations, Some(&mut dx));
        kernel::run::<T, _>(VectorJacobian { x, activations: lent, dx: out, this, forward: true });
        if L::Out::size::<T, B>(dy) != size {
            In::flat_mut::<T, B>(&mut dx).fill(nan());
            params::fill(&mut gradient, nan::<T>());
        }
        (activations.y, dx, gradient)
    }

    /// Memory for training steps on batches of `size`. The compiler infers from the optimizer whether the memory holds
    /// a gradient: see [`Way`].
    pub fn workspace<B: BatchSize, W: Way>(size: B) -> Workspace<T, In, L, B, W>
    where
        L: Layer<T, In>,
    {
        Workspace { grad: Zeros::zeros(), seed: 0, step: 0, activations: Activations::new(size) }
    }

    /// Returns the loss of a batch in training, and sets `work.grad` to its gradient. This allocates only if the size
    /// of the batch differs from that of the last batch.
    pub fn backprop<B: BatchSize, Y: ?Sized>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
        work: &mut Workspace<T, In, L, B>,
    ) -> T
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let pass = work.pass(In::size::<T, B>(x));
        work.step = work.step.wrapping_add(1);
        let this = Grad::set(&self.layers, &mut work.grad);
        self.pass(x, target, &mut work.activations, pass, None, this)
    }

    /// Like [`backprop`](Self::backprop), but adds the gradient to `work.grad`.
    pub fn accumulate<B: BatchSize, Y: ?Sized>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
        work: &mut Workspace<T, In, L, B>,
    ) -> T
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let pass = work.pass(In::size::<T, B>(x));
        work.step = work.step.wrapping_add(1);
        let this = Grad::add_to(&self.layers, &mut work.grad);
        self.pass(x, target, &mut work.activations, pass, None, this)
    }

    #[inline]
    pub(crate) fn pass<B: BatchSize, Y: ?Sized, D: Destination<T>>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
        activations: &mut Activations<T, In, L, B, ToTrain>,
        pass: Pass,
        dx: Option<&mut In::Batch<T, B>>,
        this: Grad<T, L, D>,
    ) -> T
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let (criterion, always) = (&self.criterion, true);
        kernel::run::<T, _>((Step { criterion, x, target, activations, pass, dx, always }, this))
    }

    /// The same net over another scalar: `net.map(f64::from)`.
    pub fn map<U: Number>(&self, mut f: impl FnMut(T) -> U) -> Network<U, In, L::With<U>, E>
    where
        L: Layer<T, In>,
        L::With<U>: Layer<U, In, Out = L::Out>,
        E: Clone,
    {
        Network::new(self.layers.map_scalar(&mut f), self.criterion.clone())
    }

    /// The number of parameters.
    pub const fn parameter_count() -> usize
    where
        L: Layer<T, In>,
    {
        L::COUNT
    }

    /// The bytes that the parameters take.
    ///
    /// ```
    /// use chainrule::TwoLayerNet;
    /// const _: () = assert!(TwoLayerNet::<f32, 8, 16, 4>::parameter_bytes() <= 1024, "too large");
    /// ```
    pub const fn parameter_bytes() -> usize
    where
        L: Layer<T, In>,
    {
        L::COUNT * size_of::<T>()
    }
}

impl<T: Clone, In, L: Clone, E: Clone> Clone for Network<T, In, L, E> {
    fn clone(&self) -> Self {
        let (layers, criterion) = (self.layers.clone(), self.criterion.clone());
        Network { layers, criterion, shape: PhantomData }
    }
}

impl<T: Export, In: Export, L: Export, E: Export> Export for Network<T, In, L, E> {
    fn source(value: Option<&Self>, f: &mut fmt::Formatter) -> fmt::Result {
        let layers = Source(value.map(|net| &net.layers));
        let criterion = Source(value.map(|net| &net.criterion));
        if value.is_some() {
            f.debug_tuple("::chainrule::Network::new").field(&layers).field(&criterion).finish()
        } else {
            let (scalar, shape) = (Source::<T>(None), Source::<In>(None));
            export::__type(f, "::chainrule::Network", &[&scalar, &shape, &layers, &criterion])
        }
    }
}

impl<T: Number, In: Shape, L, E> Network<T, In, L, E> {
    /// This net as a Rust source file that declares it as a `static` with this `name`: see
    /// [`export`](crate::export). `name` must be a Rust identifier; it is not checked here.
    pub fn export<'a>(&'a self, name: &'a str) -> impl fmt::Display
    where
        Self: Export,
        L: Parameters<T>,
    {
        File(self, L::COUNT, name)
    }
}

/// A file that declares a net as a `static` of this name. Its head states the number of parameters.
struct File<'a, E>(&'a E, usize, &'a str);

impl<E: Export> fmt::Display for File<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (&File(net, parameters, name), version) = (self, env!("CARGO_PKG_VERSION"));
        write!(
            f,
            "// Written by chainrule {version}.
#[allow(unused_imports, clippy::wildcard_imports)]
use super::*; // layers and losses that are not chainrule's own

/// A net of {parameters} parameters.
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic)]
pub static {name}: {:#?} = {:#?};
",
            Source::<E>(None),
            Source(Some(net))
        )
    }
}

/// `part` divided by `whole`.
pub(crate) fn ratio<T: Number>(part: usize, whole: usize) -> T {
    number::<T>(part) / number(whole)
}
