//! Optimizers: a rule with its state, the steps that it takes, and the trait through which an optimizer can
//! be chosen at run time. Each rule has its own file.

mod adagrad;
mod adam;
mod clip;
mod decay;
mod groups;
mod momentum;
mod nadam;
mod rmsprop;
pub mod schedule;
mod sgd;

pub use adagrad::AdaGrad;
pub use adam::Adam;
pub use clip::{ClipNorm, ClipValue};
pub use decay::Decay;
pub use groups::Groups;
pub use momentum::{Momentum, Nesterov};
pub use nadam::NAdam;
pub use rmsprop::RmsProp;
pub use schedule::{Rate, Schedule, Scheduled};
pub use sgd::Sgd;

use crate::{
    BatchSize, ConstZeros, Fused, Grad, Layer, Leaf, LeafMut, Loss, Network, Number, Parameters,
    Path, Piece, Role, Rule, Shape, StepError, Way, Whole, Workspace, Zeros,
    kernel::{self, Work},
    params,
    step::{Passes, Step},
    update::Look,
};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;

/// An optimizer: it changes parameters by their gradient.
///
/// To write one, implement [`Rule`]. To choose one at run time, use a `Box<dyn Optimizer<T, Layers>>`:
///
/// ```
/// use chainrule::{Adam, Affine, D1, Network, Optimizer, Sgd, SumSquaredError};
/// use nalgebra::{Const, Matrix1x2};
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Layers = Affine<f64, 1, 1>;
/// let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
/// type Net = Network<f64, D1<1>, Layers, SumSquaredError>;
/// let mut net = Net::init(&mut rng);
/// let name = "sgd";
/// let mut optimizer: Box<dyn Optimizer<f64, Layers>> = match name {
///     "adam" => Box::new(Adam::new(1e-3)),
///     _ => Box::new(Sgd::new(0.5)),
/// };
/// let mut work = Net::workspace(Const::<2>);
/// let (x, t) = (Matrix1x2::new(0.0, 1.0), Matrix1x2::new(1.0, 3.0));
/// for _ in 0..200 {
///     optimizer.train_step(&mut net, &x, &t, &mut work)?;
/// }
/// assert!((net.layers.weight[0] - 2.0).abs() < 1e-6);
/// # Ok::<_, chainrule::StepError>(())
/// ```
pub trait Optimizer<T: Number, L: Parameters<T>> {
    /// When the optimizer gets the gradient: [`Fused`] or [`Whole`].
    type Way: Way
    where
        Self: Sized;

    /// Takes one step with a gradient.
    ///
    /// # Errors
    /// [`StepError::Gradient`] if a number of the gradient is not finite, [`StepError::Setting`] if a setting
    /// cannot be right. Then nothing changes.
    fn step(&mut self, layers: &mut L, gradient: &L::Gradient) -> Result<(), StepError>;

    /// The number of steps taken.
    fn steps(&self) -> u64;

    /// The name of its rule, [`Rule::NAME`], which is empty by default.
    fn name(&self) -> &'static str {
        ""
    }

    /// Calls `f` with each leaf of the state, and with the number of its tree. A leaf has the name of its
    /// parameter.
    fn visit_state(&self, f: &mut dyn FnMut(usize, Leaf<T>));

    /// Sets the number of steps taken, and calls `f` with each leaf of the state, to restore it.
    fn restore(&mut self, steps: u64, f: &mut dyn FnMut(usize, LeafMut<T, 0>));

    /// Trains on one batch: forward, loss, backward, update. Returns the loss before the update.
    /// [`Network`] has an example.
    ///
    /// # Errors
    /// - [`StepError::Loss`] if the loss is not finite. Nothing changes.
    /// - [`StepError::Gradient`] if the loss is finite and the gradient is not. If the optimizer is [`Whole`],
    ///   nothing changes. If it is [`Fused`], parameters may have changed.
    /// - [`StepError::EmptyBatch`] if the batch has no samples. Nothing changes.
    /// - [`StepError::Setting`] if a setting of the optimizer cannot be right. Nothing changes.
    fn train_step<In, E, B, Y>(
        &mut self,
        net: &mut Network<T, In, L, E>,
        x: &In::Batch<T, B>,
        target: &Y,
        work: &mut Workspace<T, In, L, B, Self::Way>,
    ) -> Result<T, StepError>
    where
        Self: Sized,
        In: Shape,
        B: BatchSize,
        Y: ?Sized,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        kernel::run::<T, _>(TrainStep { optimizer: self, net, x, target, work })
    }

    /// The step itself, on a batch that is not empty.
    #[doc(hidden)]
    fn train(
        &mut self,
        layers: &mut L,
        gradient: &mut <Self::Way as Way>::Gradient<L::Gradient>,
        passes: impl Passes<T, L>,
    ) -> Result<T, StepError>
    where
        Self: Sized;
}

/// A whole training step, so that all of it runs in one function with the CPU features.
struct TrainStep<'a, T: Number, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized, O>
where
    O: Optimizer<T, L>,
{
    optimizer: &'a mut O,
    net: &'a mut Network<T, In, L, E>,
    x: &'a In::Batch<T, B>,
    target: &'a Y,
    work: &'a mut Workspace<T, In, L, B, O::Way>,
}

impl<T: Number, In: Shape, L: Layer<T, In>, E, B: BatchSize, Y: ?Sized, O> Work
    for TrainStep<'_, T, In, L, E, B, Y, O>
where
    E: Loss<T, L::Out, B, Y>,
    O: Optimizer<T, L>,
{
    type Output = Result<T, StepError>;

    #[inline(always)]
    fn run(self) -> Result<T, StepError> {
        let TrainStep { optimizer, net, x, target, work } = self;
        let size = In::size::<T, B>(x);
        if size.value() == 0 {
            return Err(StepError::EmptyBatch);
        }
        let (pass, before) = (work.pass(size), optimizer.steps());
        let Workspace { activations, grad, step, .. } = work;
        let Network { layers, criterion, .. } = net;
        let passes = Step { criterion, x, target, activations, pass, dx: None, always: false };
        let loss = optimizer.train(layers, grad, passes);
        *step = step.wrapping_add(optimizer.steps().wrapping_sub(before));
        loss
    }
}

/// An optimizer: a [`Rule`], its state, and the number of steps taken.
///
/// `Sgd::new` and the constructors of the other rules return one. `G` is the gradient of the layers; the
/// compiler infers it from the net. `N` is the number of state trees.
///
/// ```
/// use chainrule::{Descent, Sgd};
/// use nalgebra::Vector2;
///
/// // In a static, all types and settings are written out.
/// static SGD: Descent<Sgd<f32>, Vector2<f32>, 0> = Descent::with(Sgd { rate: 0.5 });
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Descent<R, G, const N: usize> {
    /// The settings.
    pub rule: R,
    state: [G; N],
    steps: u64,
}

impl<R, G, const N: usize> Descent<R, G, N> {
    /// The rule, with a state of zeros.
    pub fn new(rule: R) -> Self
    where
        G: Zeros,
    {
        Descent { rule, state: Zeros::zeros(), steps: 0 }
    }

    /// The same at compile time.
    pub const fn with(rule: R) -> Self
    where
        G: ConstZeros,
    {
        Descent { rule, state: [const { G::ZEROS }; N], steps: 0 }
    }

    /// The same state under another rule.
    fn wrap<Q>(self, rule: impl FnOnce(R) -> Q) -> Descent<Q, G, N> {
        Descent { rule: rule(self.rule), state: self.state, steps: self.steps }
    }

    /// The trees of state. Each has the shape of the gradient.
    pub const fn state(&self) -> &[G; N] {
        &self.state
    }

    /// The number of steps taken.
    pub const fn steps(&self) -> u64 {
        self.steps
    }
}

impl<T: Number, L: Parameters<T>, R: Rule<T, N, Way: Train<T, N>>, const N: usize> Optimizer<T, L>
    for Descent<R, L::Gradient, N>
{
    type Way = R::Way;

    #[inline]
    fn step(&mut self, layers: &mut L, gradient: &L::Gradient) -> Result<(), StepError> {
        if let Some(leaf) = params::not_finite(gradient) {
            return Err(StepError::Gradient { leaf: Some(leaf.number), name: leaf.name });
        }
        let step = self.steps + 1;
        self.rule.begin(step)?;
        self.rule.look(gradient);
        let Descent { rule, state, .. } = self;
        let state = state.each_mut();
        layers.visit_mut(Some(gradient), state, &Path::ROOT, &mut |leaf: LeafMut<T, N>| {
            let LeafMut { path, role, shape, values, gradient, state } = leaf;
            match role {
                Role::Weight => {
                    let first = 0;
                    let piece = Piece { path, role, shape, first, step, values, gradient, state };
                    // With the CPU features, which a closure does not have.
                    kernel::run::<T, _>(LeafUpdate { rule, piece });
                }
                Role::Statistic => kernel::add_scaled(T::one(), gradient, values),
                Role::Frozen => {}
            }
        });
        self.steps = step;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn name(&self) -> &'static str {
        R::NAME
    }

    fn visit_state(&self, f: &mut dyn FnMut(usize, Leaf<T>)) {
        for (tree, state) in self.state.iter().enumerate() {
            state.visit(&Path::ROOT, &mut |leaf| f(tree, leaf));
        }
    }

    fn restore(&mut self, steps: u64, f: &mut dyn FnMut(usize, LeafMut<T, 0>)) {
        // A number from a file, to which steps are added.
        self.steps = steps.min(u64::MAX / 2);
        for (tree, state) in self.state.iter_mut().enumerate() {
            state.visit_mut(None, [], &Path::ROOT, &mut |leaf| f(tree, leaf));
        }
    }

    #[inline(always)]
    fn train(
        &mut self,
        layers: &mut L,
        gradient: &mut <R::Way as Way>::Gradient<L::Gradient>,
        passes: impl Passes<T, L>,
    ) -> Result<T, StepError> {
        R::Way::train(self, layers, gradient, passes)
    }
}

/// The update of one leaf.
struct LeafUpdate<'a, T, R, const N: usize> {
    rule: &'a R,
    piece: Piece<'a, T, N>,
}

impl<T: Number, R: Rule<T, N>, const N: usize> Work for LeafUpdate<'_, T, R, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.rule.update(self.piece);
    }
}

macro_rules! rates {
    ($([$($generics:tt)*] $rule:ty: $rate:ident;)*) => { $(
        impl<T: Number, $($generics)*> Rate<T> for $rule {
            #[inline(always)]
            fn rate(&mut self) -> &mut T {
                rates!(@rate self $rate)
            }
        }
    )* };
    (@rate $self:ident rate) => { &mut $self.rate };
    (@rate $self:ident rule) => { $self.rule.rate() };
}
rates! {
    [] AdaGrad<T>: rate;
    [const N: usize] Adam<T, N>: rate;
    [] Momentum<T>: rate;
    [] NAdam<T>: rate;
    [const N: usize] RmsProp<T, N>: rate;
    [] Sgd<T>: rate;
    [R: Rate<T>] ClipNorm<R, T>: rule;
    [R: Rate<T>] ClipValue<R, T>: rule;
    [R: Rate<T>, F: Clone] Groups<R, F>: rule;
}

/// The training step for each [`Way`].
#[doc(hidden)]
pub trait Train<T: Number, const N: usize>: Way + Sized {
    fn train<R: Rule<T, N, Way = Self>, L: Parameters<T>>(
        optimizer: &mut Descent<R, L::Gradient, N>,
        layers: &mut L,
        gradient: &mut Self::Gradient<L::Gradient>,
        passes: impl Passes<T, L>,
    ) -> Result<T, StepError>;
}

impl<T: Number, const N: usize> Train<T, N> for Fused {
    #[inline(always)]
    fn train<R: Rule<T, N, Way = Fused>, L: Parameters<T>>(
        optimizer: &mut Descent<R, L::Gradient, N>,
        layers: &mut L,
        (): &mut (),
        passes: impl Passes<T, L>,
    ) -> Result<T, StepError> {
        let Descent { rule, state, steps } = optimizer;
        let step = *steps + 1;
        rule.begin(step)?;
        let mut look = Look::new();
        let loss = passes.run(Grad::update(layers, state.each_mut(), rule, step, &mut look))?;
        *steps = step;
        if look.finite { Ok(loss) } else { Err(StepError::Gradient { leaf: None, name: None }) }
    }
}

impl<T: Number, const N: usize> Train<T, N> for Whole {
    #[inline(always)]
    fn train<R: Rule<T, N, Way = Whole>, L: Parameters<T>>(
        optimizer: &mut Descent<R, L::Gradient, N>,
        layers: &mut L,
        gradient: &mut L::Gradient,
        passes: impl Passes<T, L>,
    ) -> Result<T, StepError> {
        by_gradient(optimizer, layers, gradient, passes)
    }
}

/// Inlined, so that both passes run with the CPU features.
#[inline(always)]
fn by_gradient<T: Number, L: Parameters<T>>(
    optimizer: &mut (impl Optimizer<T, L> + ?Sized),
    layers: &mut L,
    gradient: &mut L::Gradient,
    passes: impl Passes<T, L>,
) -> Result<T, StepError> {
    let loss = passes.run(Grad::set(layers, gradient))?;
    optimizer.step(layers, gradient)?;
    Ok(loss)
}

/// An optimizer that is chosen at run time. It takes a whole gradient.
#[cfg(feature = "alloc")]
impl<T: Number, L: Parameters<T>> Optimizer<T, L> for Box<dyn Optimizer<T, L> + '_> {
    type Way = Whole;

    fn step(&mut self, layers: &mut L, gradient: &L::Gradient) -> Result<(), StepError> {
        (**self).step(layers, gradient)
    }

    fn steps(&self) -> u64 {
        (**self).steps()
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn visit_state(&self, f: &mut dyn FnMut(usize, Leaf<T>)) {
        (**self).visit_state(f);
    }

    fn restore(&mut self, steps: u64, f: &mut dyn FnMut(usize, LeafMut<T, 0>)) {
        (**self).restore(steps, f);
    }

    #[inline(always)]
    fn train(
        &mut self,
        layers: &mut L,
        gradient: &mut L::Gradient,
        passes: impl Passes<T, L>,
    ) -> Result<T, StepError> {
        by_gradient(&mut **self, layers, gradient, passes)
    }
}
