//! Optimizers: a rule with its state, the steps that it takes, and the trait through which an optimizer can
//! be chosen at run time. Each rule has its own file.

mod adagrad;
mod adam;
mod amsgrad;
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
pub use amsgrad::AmsGrad;
pub use clip::{ClipNorm, ClipValue};
pub use decay::Decay;
pub use groups::Groups;
pub use momentum::{Momentum, Nesterov};
pub use nadam::NAdam;
pub use rmsprop::RmsProp;
pub use schedule::{Rate, Schedule, Scheduled};
pub use sgd::Sgd;

use crate::{
    grad::{Grad, Look},
    kernel::{self, Work},
    layer::Layer,
    loss::Loss,
    network::Network,
    params::{self, Leaf, LeafMut, Parameters, Role},
    pass::Pass,
    path::Path,
    rule::{Piece, Rule},
    shape::{BatchSize, Number, Shape},
    step::{Fused, Step, StepError, Way, Whole, Workspace},
    zeros::{ConstZeros, Zeros},
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
    /// How the optimizer takes a gradient: [`Fused`] or [`Whole`].
    type Way: Way
    where
        Self: Sized;

    /// Takes one step by a gradient.
    ///
    /// # Errors
    /// [`StepError::Gradient`] if a number of the gradient is not finite, [`StepError::Setting`] if a setting
    /// cannot be right. Then nothing changes.
    fn step(&mut self, layers: &mut L, gradient: &L::Gradient) -> Result<(), StepError>;

    /// The number of steps taken.
    fn steps(&self) -> u64;

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
        E: Loss<T, L::Out, B, Y>;
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

    /// As [`Optimizer::visit_state`], which needs to know the type of the layers.
    pub fn visit_state<T: Number>(&self, f: &mut dyn FnMut(usize, Leaf<T>))
    where
        G: Parameters<T>,
    {
        for (tree, state) in self.state.iter().enumerate() {
            state.visit(&Path::ROOT, &mut |leaf| f(tree, leaf));
        }
    }

    /// As [`Optimizer::restore`], which needs to know the type of the layers.
    pub fn restore<T: Number>(&mut self, steps: u64, f: &mut dyn FnMut(usize, LeafMut<T, 0>))
    where
        G: Parameters<T>,
    {
        self.steps = steps;
        for (tree, state) in self.state.iter_mut().enumerate() {
            state.visit_mut(None, [], &Path::ROOT, &mut |leaf| f(tree, leaf));
        }
    }
}

impl<T, L, R, const N: usize> Optimizer<T, L> for Descent<R, L::Gradient, N>
where
    T: Number,
    L: Parameters<T>,
    R: Rule<T, N>,
    R::Way: Train<T, N>,
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
                    rule.update(Piece {
                        path,
                        role,
                        shape,
                        first: 0,
                        step,
                        values,
                        gradient,
                        state,
                    });
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

    fn visit_state(&self, f: &mut dyn FnMut(usize, Leaf<T>)) {
        self.visit_state::<T>(f);
    }

    fn restore(&mut self, steps: u64, f: &mut dyn FnMut(usize, LeafMut<T, 0>)) {
        self.restore::<T>(steps, f);
    }

    #[inline]
    fn train_step<In, E, B, Y>(
        &mut self,
        net: &mut Network<T, In, L, E>,
        x: &In::Batch<T, B>,
        target: &Y,
        work: &mut Workspace<T, In, L, B, R::Way>,
    ) -> Result<T, StepError>
    where
        In: Shape,
        B: BatchSize,
        Y: ?Sized,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        R::Way::train(self, net, x, target, work)
    }
}

macro_rules! rates {
    ($($rule:ty: $($field:ident).+ $(, $n:ident)?;)*) => { $(
        impl<T: Clone $(, const $n: usize)?> Rate<T> for $rule {
            #[inline(always)]
            fn rate(&mut self) -> &mut T {
                &mut self.$($field).+
            }
        }
    )* };
}
rates! {
    AdaGrad<T>: rate;
    Adam<T>: rate;
    AmsGrad<T>: adam.rate;
    Momentum<T>: rate;
    NAdam<T>: rate;
    RmsProp<T, N>: rate, N;
    Sgd<T>: rate;
}

/// How a way trains.
#[doc(hidden)]
pub trait Train<T: Number, const N: usize>: Way {
    fn train<R, In, L, E, B, Y>(
        optimizer: &mut Descent<R, L::Gradient, N>,
        net: &mut Network<T, In, L, E>,
        x: &In::Batch<T, B>,
        target: &Y,
        work: &mut Workspace<T, In, L, B, Self>,
    ) -> Result<T, StepError>
    where
        Self: Sized,
        R: Rule<T, N, Way = Self>,
        In: Shape,
        B: BatchSize,
        Y: ?Sized,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>;
}

impl<T: Number, const N: usize> Train<T, N> for Fused {
    #[inline(always)]
    fn train<R, In, L, E, B, Y>(
        optimizer: &mut Descent<R, L::Gradient, N>,
        net: &mut Network<T, In, L, E>,
        x: &In::Batch<T, B>,
        target: &Y,
        work: &mut Workspace<T, In, L, B, Fused>,
    ) -> Result<T, StepError>
    where
        R: Rule<T, N, Way = Fused>,
        In: Shape,
        B: BatchSize,
        Y: ?Sized,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        let size = In::size::<T, B>(x);
        if size.value() == 0 {
            return Err(StepError::EmptyBatch);
        }
        work.activations.resize(size);
        kernel::run::<T, _>(FusedStep { optimizer, net, x, target, work })
    }
}

impl<T: Number, const N: usize> Train<T, N> for Whole {
    #[inline]
    fn train<R, In, L, E, B, Y>(
        optimizer: &mut Descent<R, L::Gradient, N>,
        net: &mut Network<T, In, L, E>,
        x: &In::Batch<T, B>,
        target: &Y,
        work: &mut Workspace<T, In, L, B, Whole>,
    ) -> Result<T, StepError>
    where
        R: Rule<T, N, Way = Whole>,
        In: Shape,
        B: BatchSize,
        Y: ?Sized,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        by_gradient(optimizer, net, x, target, work)
    }
}

/// Forward, loss, and a backward pass that passes the gradient to the rule.
struct FusedStep<
    'a,
    T: Number,
    R,
    In: Shape,
    L: Layer<T, In>,
    E,
    B: BatchSize,
    Y: ?Sized,
    const N: usize,
> {
    optimizer: &'a mut Descent<R, L::Gradient, N>,
    net: &'a mut Network<T, In, L, E>,
    x: &'a In::Batch<T, B>,
    target: &'a Y,
    work: &'a mut Workspace<T, In, L, B, Fused>,
}

impl<T, R, In, L, E, B, Y, const N: usize> Work for FusedStep<'_, T, R, In, L, E, B, Y, N>
where
    T: Number,
    R: Rule<T, N>,
    In: Shape,
    L: Layer<T, In>,
    E: Loss<T, L::Out, B, Y>,
    B: BatchSize,
    Y: ?Sized,
{
    type Output = Result<T, StepError>;

    #[inline(always)]
    fn run(self) -> Result<T, StepError> {
        let (x, Network { layers, criterion, .. }) = (self.x, self.net);
        let Workspace { activations, seed, step, .. } = self.work;
        activations.forward(layers, x, &mut Pass::train(*seed, *step, 0));
        let loss = activations.loss(criterion, self.target);
        if !loss.is_finite() {
            return Err(StepError::Loss);
        }
        let Descent { rule, state, steps } = self.optimizer;
        rule.begin(*steps + 1)?;
        *steps += 1;
        *step = step.wrapping_add(1);
        let mut look = Look::new();
        let this = Grad::update(layers, state.each_mut(), rule, *steps, &mut look);
        activations.backward(this, x, None);
        if look.finite { Ok(loss) } else { Err(StepError::Gradient { leaf: None, name: None }) }
    }
}

/// Computes the gradient into the workspace, then takes a step by it.
fn by_gradient<T, In, L, E, B, Y>(
    optimizer: &mut (impl Optimizer<T, L> + ?Sized),
    net: &mut Network<T, In, L, E>,
    x: &In::Batch<T, B>,
    target: &Y,
    work: &mut Workspace<T, In, L, B, Whole>,
) -> Result<T, StepError>
where
    T: Number,
    In: Shape,
    B: BatchSize,
    Y: ?Sized,
    L: Layer<T, In>,
    E: Loss<T, L::Out, B, Y>,
{
    let size = In::size::<T, B>(x);
    if size.value() == 0 {
        return Err(StepError::EmptyBatch);
    }
    let pass = work.pass(size);
    let loss = kernel::run::<T, _>(Step {
        criterion: &net.criterion,
        x,
        target,
        activations: &mut work.activations,
        pass,
        dx: None,
        this: Grad::set(&net.layers, &mut work.grad),
        always: false,
    });
    if !loss.is_finite() {
        return Err(StepError::Loss);
    }
    optimizer.step(&mut net.layers, &work.grad)?;
    work.step = work.step.wrapping_add(1);
    Ok(loss)
}

/// An optimizer that is chosen at run time is [`Whole`].
#[cfg(feature = "alloc")]
impl<T: Number, L: Parameters<T>> Optimizer<T, L> for Box<dyn Optimizer<T, L> + '_> {
    type Way = Whole;

    fn step(&mut self, layers: &mut L, gradient: &L::Gradient) -> Result<(), StepError> {
        (**self).step(layers, gradient)
    }

    fn steps(&self) -> u64 {
        (**self).steps()
    }

    fn visit_state(&self, f: &mut dyn FnMut(usize, Leaf<T>)) {
        (**self).visit_state(f);
    }

    fn restore(&mut self, steps: u64, f: &mut dyn FnMut(usize, LeafMut<T, 0>)) {
        (**self).restore(steps, f);
    }

    fn train_step<In, E, B, Y>(
        &mut self,
        net: &mut Network<T, In, L, E>,
        x: &In::Batch<T, B>,
        target: &Y,
        work: &mut Workspace<T, In, L, B, Whole>,
    ) -> Result<T, StepError>
    where
        In: Shape,
        B: BatchSize,
        Y: ?Sized,
        L: Layer<T, In>,
        E: Loss<T, L::Out, B, Y>,
    {
        by_gradient(&mut **self, net, x, target, work)
    }
}
