//! The check of an optimizer.

use super::tree::seen;
use crate::{
    layers::{Affine, BatchNorm, Frozen},
    loss::SumSquaredError,
    network::Network,
    optim::{Optimizer, Sgd},
    params::{Parameters, Role},
    shape::{D1, Number},
    step::StepError,
    zeros::Zeros,
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;
use nalgebra::{Const, SMatrix, convert};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};

/// The first property of an optimizer that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptimizerFault {
    /// The property.
    pub property: &'static str,
    /// What was found instead.
    pub found: String,
}

impl fmt::Display for OptimizerFault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "expected: {}; found: {}", self.property, self.found)
    }
}

impl core::error::Error for OptimizerFault {}

/// Checks what must hold for every optimizer, on a net with frozen parameters, statistics and a parameter of
/// several pieces:
///
/// - frozen parameters do not change, and statistics change by the steps of their layer alone;
/// - [`train_step`](Optimizer::train_step) gives the same bits as a gradient and a [`step`](Optimizer::step) by it;
/// - the leaves of the state have the names of their parameters, and each of them once in its tree;
/// - a new optimizer with the number of steps and the state restored continues with the same bits;
/// - a gradient that is not finite is refused, and changes nothing;
/// - each of the optimizers in `bad` is refused, with the name of the setting that is wrong, and changes nothing.
///
/// `make` makes the optimizer with good settings. That a step does not change the gradient follows from its type.
///
/// ```
/// use chainrule::{Adam, gradcheck::check_optimizer};
///
/// check_optimizer(|| Adam::new(0.01), [("rate", Adam::new(-1.0)), ("rate", Adam::new(f64::NAN))])?;
/// # Ok::<_, chainrule::gradcheck::OptimizerFault>(())
/// ```
///
/// # Errors
/// The first property that does not hold.
pub fn check_optimizer<T, O>(
    make: impl Fn() -> O,
    bad: impl IntoIterator<Item = (&'static str, O)>,
) -> Result<(), OptimizerFault>
where
    T: Number,
    O: Optimizer<T, Probe<T>>,
{
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
    let mut start = Net::<T>::init(&mut rng);
    // So small that a rate of 1 does not diverge in a few steps.
    start.layers.0.weight.fill(convert(0.01));
    let mut batch = || {
        let (mut x, mut t) = (SMatrix::<T, WIDE, 3>::zeros(), SMatrix::<T, 2, 3>::zeros());
        crate::init::normal(T::one(), &mut x, &mut rng);
        crate::init::normal(T::one(), &mut t, &mut rng);
        (x, t)
    };
    let refused = |error: StepError| fault("a good step is taken", error.to_string());
    let [mut net, mut by_gradient, mut plain, mut resumed] = [(); 4].map(|()| start.clone());
    let (mut optimizer, mut other, mut sgd) = (make(), make(), Sgd::new(convert(0.01)));
    let mut continued = None;
    let mut work = Net::<T>::workspace::<_, O::Way>(Const::<3>);
    let (mut whole, mut fused) = (Net::workspace(Const::<3>), Net::workspace(Const::<3>));
    for step in 0..6 {
        let (x, t) = batch();
        if step == 3 {
            let (saved, mut new) = (state(&optimizer)?, make());
            let mut saved = saved.into_iter();
            new.restore(optimizer.steps(), &mut |_, leaf| {
                if let Some(values) = saved.next() {
                    leaf.values.copy_from_slice(&values);
                }
            });
            resumed.clone_from(&net);
            continued = Some(new);
        }
        optimizer.train_step(&mut net, &x, &t, &mut work).map_err(refused)?;
        sgd.train_step(&mut plain, &x, &t, &mut fused).map_err(refused)?;
        by_gradient.backprop(&x, &t, &mut whole);
        other.step(&mut by_gradient.layers, &whole.grad).map_err(refused)?;
        same("train_step has the bits of backprop and step", &net, &by_gradient, |_| true)?;
        if let Some(continued) = &mut continued {
            resumed.backprop(&x, &t, &mut whole);
            continued.step(&mut resumed.layers, &whole.grad).map_err(refused)?;
            same("a restored optimizer continues with the same bits", &net, &resumed, |_| true)?;
        }
        same("frozen parameters do not change", &net, &start, |role| role == Role::Frozen)?;
        let property = "statistics change by the steps of their layer alone";
        same(property, &net, &plain, |role| role == Role::Statistic)?;
    }

    let (x, t) = batch();
    let property = "a gradient that is not finite is refused and changes nothing";
    whole.grad.3.bias.fill(T::zero() / T::zero());
    let refused = other.step(&mut by_gradient.layers, &whole.grad).is_err();
    same(property, &net, &by_gradient, |_| true)?;
    if !refused || other.steps() != optimizer.steps() {
        return Err(fault(property, "a step was taken".to_string()));
    }
    for (name, mut bad) in bad {
        let property = "a bad setting is refused and changes nothing";
        let found = bad.train_step(&mut net, &x, &t, &mut work);
        same(property, &net, &by_gradient, |_| true)?;
        if !matches!(found, Err(StepError::Setting(setting)) if setting.name == name) {
            return Err(fault(property, format!("with a bad `{name}`: {found:?}")));
        }
    }
    Ok(())
}

fn fault(property: &'static str, found: String) -> OptimizerFault {
    OptimizerFault { property, found }
}

/// An error if the leaves of these roles differ.
fn same<T: Number>(
    property: &'static str,
    a: &Net<T>,
    b: &Net<T>,
    which: impl Fn(Role) -> bool,
) -> Result<(), OptimizerFault> {
    let (a, b) = (seen(&a.layers), seen(&b.layers));
    for (a, b) in a.iter().zip(&b).filter(|(a, _)| which(a.role)) {
        let different = a.values.iter().zip(&b.values).position(|(a, b)| a != b);
        if let Some(at) = different {
            return Err(fault(property, format!("number {at} of {} differs", a.name)));
        }
    }
    Ok(())
}

/// The numbers of the state, leaf after leaf.
fn state<T: Number>(
    optimizer: &impl Optimizer<T, Probe<T>>,
) -> Result<Vec<Vec<T>>, OptimizerFault> {
    let names = seen(&<Probe<T> as Parameters<T>>::Gradient::zeros());
    let (mut all, mut wrong) = (Vec::new(), None);
    optimizer.visit_state(&mut |tree, leaf| {
        let expected = names.get(all.len().wrapping_sub(tree * names.len()));
        let name = leaf.path.to_string();
        if wrong.is_none() && expected.is_none_or(|expected| expected.name != name) {
            wrong = Some(format!("tree {tree} has `{name}`"));
        }
        all.push(leaf.values.to_vec());
    });
    let property = "the leaves of the state are those of the gradient, in their order";
    wrong.map_or(Ok(all), |found| Err(fault(property, found)))
}

/// Inputs of the net: enough that the weight of the first `Affine` in f64 has several pieces.
const WIDE: usize = 600;

type Net<T> = Network<T, D1<WIDE>, Probe<T>, SumSquaredError>;

/// The layers of the net.
#[doc(hidden)]
pub type Probe<T> =
    (BatchNorm<T, WIDE>, Box<Affine<T, WIDE, 8>>, Frozen<Affine<T, 8, 4>>, Affine<T, 4, 2>);
