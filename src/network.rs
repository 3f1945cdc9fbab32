//! What people hold and call: layers, the shape that they take, and the loss that they learn by.

use crate::{
    Affine, Relu, SoftmaxCrossEntropy,
    export::{Export, File},
    kernel,
    layer::{Layer, Pass},
    loss::{Classes, Loss, argmax},
    memory::Memory,
    params::{Grad, Parameters, Path, Zeros},
    shape::{Batch, BatchSize, Buffer, D1, Scalar, Shape, nan, number},
    step::{Flow, Prediction, Step, Workspace},
};
use core::{fmt, marker::PhantomData};
use nalgebra::Const;
use rand::Rng;

/// A net: `layers`, one of them or a tuple, on inputs of shape `In`, and the loss `E`.
///
/// ```
/// use chainrule::{Affine, D1, Network, Optimizer, Relu, Sgd, SoftmaxCrossEntropy};
/// use nalgebra::{Const, SMatrix};
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Layers = (Affine<f32, 2, 16>, Relu, Affine<f32, 16, 2>);
/// type Net = Network<f32, D1<2>, Layers, SoftmaxCrossEntropy>;
///
/// let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
/// let layers = (Affine::he(&mut rng), Relu, Affine::he(&mut rng));
/// let mut net = Net::new(layers, SoftmaxCrossEntropy);
///
/// // Exclusive or: four samples, one a column.
/// let x = SMatrix::<f32, 2, 4>::from_column_slice(&[0., 0., 0., 1., 1., 0., 1., 1.]);
/// let labels = [0, 1, 1, 0];
/// let (mut work, mut sgd) = (Net::workspace(Const::<4>), Sgd::new(0.5));
/// for _ in 0..500 {
///     sgd.train_step(&mut net, &x, &labels, &mut work);
/// }
/// assert_eq!(net.accuracy(&x, &labels), 1.0);
/// ```
// SIMD loads of the parameters should not cross cache lines; on a chip alignment only costs RAM.
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
/// let net = TwoLayerNet::<f64, 64, 20, 10>::init(0.01, &mut rng);
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

impl<T: Scalar, const IN: usize, const HIDDEN: usize, const OUT: usize>
    TwoLayerNet<T, IN, HIDDEN, OUT>
{
    /// Weights from a normal distribution of standard deviation `std` (the book's 0.01), biases 0.
    pub fn init(std: T, rng: &mut (impl Rng + ?Sized)) -> Self {
        let layers = (Affine::normal(std, rng), Relu, Affine::normal(std, rng));
        Network::new(layers, SoftmaxCrossEntropy)
    }
}

// The bound `L: Layer` stands on each method and not on the block: only so does a net that is named
// by a type alias get the message with the layer that does not fit, and not "the function exists,
// but its trait bounds were not satisfied".
impl<T: Scalar, In: Shape, L, E> Network<T, In, L, E> {
    /// A net of these layers, with this loss.
    pub const fn new(layers: L, criterion: E) -> Self
    where
        L: Layer<T, In>,
    {
        Network { layers, criterion, shape: PhantomData }
    }

    /// The outputs for a batch.
    #[inline]
    pub fn predict<B: BatchSize>(&self, x: &In::Batch<T, B>) -> Batch<T, L::Out, B>
    where
        L: Layer<T, In>,
    {
        kernel::run::<T, _>(Prediction { layers: &self.layers, x })
    }

    /// The mean loss of a batch, in a predicting pass.
    pub fn loss<B: BatchSize, Y: ?Sized>(&self, x: &In::Batch<T, B>, target: &Y) -> T
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        self.criterion.loss(&self.predict::<B>(x), target, None)
    }

    /// The part of a batch for which the largest output is that of the right class, from 0 to 1. The
    /// first of equal outputs counts; outputs with a NaN are wrong. NaN if the target has another
    /// number of samples.
    pub fn accuracy<B: BatchSize, Y, const N: usize>(&self, x: &In::Batch<T, B>, target: &Y) -> T
    where
        L: Layer<T, In, Out = D1<N>>,
        Y: Classes<T, N, B> + ?Sized,
    {
        let samples = In::size::<T, B>(x).value();
        if target.samples() != samples {
            return nan();
        }
        ratio(self.right(x, target).filter(|&right| right).count(), samples)
    }

    /// For each sample of a batch, whether its class is predicted.
    pub(crate) fn right<B: BatchSize, Y, const N: usize>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
    ) -> impl Iterator<Item = bool>
    where
        L: Layer<T, In, Out = D1<N>>,
        Y: Classes<T, N, B> + ?Sized,
    {
        let y = self.predict::<B>(x);
        (0..In::size::<T, B>(x).value()).map(move |sample| {
            let outputs = y.as_slice().chunks_exact(N.max(1)).nth(sample);
            outputs.and_then(argmax).is_some_and(|class| target.class(sample) == Some(class))
        })
    }

    /// The gradient of the [`loss`](Self::loss) by backpropagation, shaped like the layers.
    pub fn gradient<B: BatchSize, Y: ?Sized>(&self, x: &In::Batch<T, B>, target: &Y) -> L::Gradient
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let mut flow = Flow::lend(In::size::<T, B>(x));
        let mut grad = L::Gradient::zeros();
        self.pass(x, target, &mut flow, Pass::Predict, None, Grad::set(&mut grad));
        grad
    }

    /// The gradient of the [`loss`](Self::loss) on the input, by backpropagation.
    pub fn input_gradient<B: BatchSize, Y: ?Sized>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
    ) -> In::Batch<T, B>
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let mut flow = Flow::lend(In::size::<T, B>(x));
        let mut dx = Buffer::lend(In::size::<T, B>(x));
        self.pass(x, target, &mut flow, Pass::Predict, Some(&mut dx), Grad::none());
        dx
    }

    /// Memory for training steps on batches of `size`.
    pub fn workspace<B: BatchSize>(size: B) -> Workspace<T, In, L, B>
    where
        L: Layer<T, In>,
    {
        Workspace { grad: L::Gradient::zeros(), seed: 0, flow: Flow::lend(size) }
    }

    /// The loss of a batch in training; `work.grad` becomes its gradient. The memory for it
    /// is `work`, and new only if the batch is of another size than the last.
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
        let pass = work.next_pass(In::size::<T, B>(x));
        self.pass(x, target, &mut work.flow, pass, None, Grad::set(&mut work.grad))
    }

    /// As [`backprop`](Self::backprop), but adds the gradient to what is in `work.grad`.
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
        let pass = work.next_pass(In::size::<T, B>(x));
        self.pass(x, target, &mut work.flow, pass, None, Grad::add(&mut work.grad))
    }

    #[inline]
    fn pass<B: BatchSize, Y: ?Sized>(
        &self,
        x: &In::Batch<T, B>,
        target: &Y,
        flow: &mut Flow<T, In, L, B>,
        pass: Pass,
        dx: Option<&mut In::Batch<T, B>>,
        grad: Grad<L::Gradient>,
    ) -> T
    where
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        kernel::run::<T, _>(Step {
            layers: &self.layers,
            criterion: &self.criterion,
            x,
            target,
            flow,
            pass,
            dx,
            grad,
        })
    }

    /// The same net over another scalar: `net.map(f64::from)`.
    pub fn map<U: Scalar>(&self, mut f: impl FnMut(T) -> U) -> Network<U, In, L::With<U>, E>
    where
        L: Layer<T, In>,
        L::With<U>: Layer<U, In, Out = L::Out>,
        E: Clone,
    {
        Network::new(self.layers.map_scalar(&mut f), self.criterion.clone())
    }

    /// This net as a Rust source file, in which it is a `static` of that `name`: see
    /// [`export`](crate::export). Whether `name` is an identifier, rustc will tell.
    pub fn export<'a>(&'a self, name: &'a str) -> impl fmt::Display
    where
        Self: Export,
        L: Parameters<T>,
    {
        File(self, L::COUNT, name)
    }

    /// The number of parameters.
    pub const fn parameters() -> usize
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

    /// The bytes that training on batches of `B` takes: the net and a [`Workspace`]. What lies in
    /// boxes is on the heap and not counted. An optimizer's memory comes on top;
    /// [`Sgd`](crate::Sgd) has none.
    ///
    /// ```
    /// use chainrule::TwoLayerNet;
    /// const _: () = assert!(TwoLayerNet::<f32, 8, 16, 4>::train_bytes::<8>() <= 4096, "too large");
    /// ```
    pub const fn train_bytes<const B: usize>() -> usize
    where
        L: Layer<T, In>,
    {
        Self::memory::<B>().total()
    }

    /// The same, part by part; it prints as a table.
    pub const fn memory<const B: usize>() -> Memory
    where
        L: Layer<T, In>,
    {
        let all = size_of::<Self>() + size_of::<Workspace<T, In, L, Const<B>>>();
        let (parameters, gradient) = (size_of::<L>(), size_of::<L::Gradient>());
        let activations = size_of::<Flow<T, In, L, Const<B>>>();
        let rest = all - parameters - gradient - activations;
        Memory { parameters, gradient, optimizer: 0, activations, rest }
    }

    /// The bytes that predicting a batch of `B` takes at most: parameters, outputs, and what flows
    /// between the layers, for which `predict` uses the stack. What lies in boxes is not counted.
    pub const fn predict_bytes<const B: usize>() -> usize
    where
        L: Layer<T, In>,
    {
        let outputs = size_of::<Batch<T, L::Out, Const<B>>>();
        size_of::<Self>() + size_of::<L::Cache<Const<B>>>() + outputs
    }
}

impl<T: Clone, In, L: Clone, E: Clone> Clone for Network<T, In, L, E> {
    fn clone(&self) -> Self {
        let (layers, criterion) = (self.layers.clone(), self.criterion.clone());
        Network { layers, criterion, shape: PhantomData }
    }
}

impl<T, In, L: fmt::Debug, E: fmt::Debug> fmt::Debug for Network<T, In, L, E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut net = f.debug_struct("Network");
        net.field("layers", &self.layers).field("criterion", &self.criterion).finish()
    }
}

/// A table of the parameters: rows × columns, count, name.
///
/// ```
/// use chainrule::{TwoLayerNet, Zeros};
/// # use chainrule::{Affine, Network, Relu, SoftmaxCrossEntropy};
/// let layers = (Affine::zeros(), Relu, Affine::zeros());
/// let net: TwoLayerNet<f32, 8, 16, 4> = Network::new(layers, SoftmaxCrossEntropy);
/// assert_eq!(net.to_string(), "  16 ×     8       128  0.weight
///   16 ×     1        16  0.bias
///    4 ×    16        64  2.weight
///    4 ×     1         4  2.bias
///                    212  in all, 848 bytes");
/// ```
impl<T: Scalar, In, L: Parameters<T>, E> fmt::Display for Network<T, In, L, E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut written = Ok(());
        self.layers.visit(&Path::ROOT, &mut |leaf| {
            let (path, (rows, columns), count) = (leaf.path, leaf.shape, leaf.values.len());
            written =
                written.and_then(|()| writeln!(f, "{rows:>4} × {columns:>5} {count:>9}  {path}"));
        });
        written?;
        write!(f, "{:>22}  in all, {} bytes", L::COUNT, L::COUNT * size_of::<T>())
    }
}

/// `part` of `whole`, from 0 to 1.
pub(crate) fn ratio<T: Scalar>(part: usize, whole: usize) -> T {
    number::<T>(part) / number(whole)
}
