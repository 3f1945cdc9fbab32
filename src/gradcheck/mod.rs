//! Checks the gradients of your own layers and losses: exactly, also in f32, at kinks, and with second derivatives.
//!
//! ```
//! use chainrule::{Affine, D1, Tanh, Zeros, gradcheck::GradCheck};
//!
//! let layers = (Affine::<f32, 4, 3>::zeros(), Tanh);
//! let report = GradCheck::new().check::<f32, D1<4>, _>(&layers)?;
//! println!("{report}");
//! # Ok::<_, chainrule::gradcheck::Report>(())
//! ```
//!
//! In your tests one line checks a layer in f32 and f64, in many random cases, the simplest first:
//!
//! ```
//! chainrule::gradcheck_layer!(affine<T>: chainrule::Affine<T, 4, 3>, chainrule::D1<4>);
//! ```
//!
//! # What the check compares with
//!
//! | | what it is | what it cannot find |
//! |---|---|---|
//! | dual numbers | the layer's own forward pass over dual numbers: exact, without a step size | an error in the forward pass itself |
//! | differences | central differences, with a Richardson step that estimates their error | errors at a kink: if a kink is within the step, the entry is unchecked |
//! | second order | the backward pass over dual numbers, against differences of gradients, and for symmetry | the same |
//! | value | the output in f64 | an error that f64 has too |
//! | properties | rules that hold for every layer, see [`GradCheck::check`] | |
//!
//! An f32 layer is compared with f64 dual numbers at the same f32 values, in units of f32. Checks that compare f32 with
//! f32 differences fail, because such differences lose all but two digits.
//!
//! # Scale and tolerance
//!
//! A gradient is a sum, dL/dw = Σ dyⱼ·∂yⱼ/∂w, and its terms may cancel. So rounding errors depend on the size of
//! the terms and not on the size of the result. The *scale* of an entry is
//! Σ |dyⱼ·∂yⱼ/∂w| with the exact ∂yⱼ/∂w of the dual numbers, plus max |dyⱼ|. The second part is for slopes that are
//! computed from outputs of size 1, such as sigmoid's y·(1 - y): their error is a rounding of 1. The tolerance is 64
//! units in the last place (ε) of `T` times the scale. For differences their own estimated error is
//! added.
//!
//! Some layers amplify rounding: a normalisation divides by a standard deviation that may be small. So the check also
//! allows 16 times the *measured* rounding. To measure it, the check changes all inputs and parameters in the last
//! place, and takes the change of the result. It also changes them by √ε of themselves to both sides, and takes how
//! unevenly the error changes: the error of a fault changes smoothly, but rounding errors are random.
//! If the measured rounding is more than a thousandth of the scale, the entry is unchecked.
//!
//! At a kink or a tie a layer may have any slope between those on both sides. The check accepts it, and counts the
//! entry as unchecked.
//!
//! # Unchecked
//!
//! A number passes, fails, or is *unchecked*. The report counts the unchecked numbers by their reason: a branch changes
//! inside the step; rounding is amplified too much; the exact number is too large for the scalar; dual
//! numbers do not have a function that the layer calls (`floor`, `round`).
//!
//! # Compared with PyTorch
//!
//! | `torch.autograd.gradcheck` | here |
//! |---|---|
//! | `eps` | none for dual numbers; ∛ε·max(1, \|w\|) for differences |
//! | `atol`, `rtol` | [`GradCheck::tolerance`], in units in the last place of the scale, with a written reason |
//! | `fast_mode=True` | [`Mode::Directional`]; if it fails, all entries are compared to name the fault |
//! | `nondet_tol` | none: two runs and two threads must agree bit for bit |
//! | `check_batched_grad` | property `batch`: a batch gives the same as its samples one by one |
//! | `gradgradcheck` | always: `second order` and `symmetry`; [`hessian_vector_product`] for use |
//! | `raise_exception` | a `Result`: `unwrap` prints the table |
//! | inputs that require grad | the input and every parameter, always |
//! | – | [values, prediction, rules, memory, the tree of parameters, NaN](GradCheck::check) |

mod case;
mod layer;
mod loss;
mod optimizer;
mod oracle;
mod property;
mod report;
mod second_order;
mod settings;
mod stencil;
#[cfg(feature = "proptest")]
pub mod strategy;
mod subject;
mod tree;

pub use case::{Case, Values};
pub use loss::Target;
pub use optimizer::{OptimizerFault, check_optimizer};
pub use report::{Check, Report, Verdict, Worst};
pub use settings::{GradCheck, Mode};

use crate::{
    layer::Layer,
    loss::Loss,
    network::Network,
    params::{LeafMut, Parameters, Role},
    path::Path,
    shape::{BatchSize, Flat, Number},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::marker::PhantomData;
use layer::OfLayer;
use loss::OfLoss;
use nalgebra::Dyn;
use num_dual::Dual64;
use property::Properties;
use subject::Subject;

/// The scalars that can be checked: f32 and f64.
pub trait Real: Number + Into<f64> {
    /// The nearest there is.
    fn narrow(value: f64) -> Self;
}

impl Real for f32 {
    fn narrow(value: f64) -> Self {
        value as f32
    }
}

impl Real for f64 {
    fn narrow(value: f64) -> Self {
        value
    }
}

impl GradCheck {
    /// Checks a layer: a single one, a tuple, or a net's `layers`.
    ///
    /// Of the input and of every parameter, by these names in the report:
    /// - `dual numbers`, `differences`, `second order`, `symmetry`: the gradient is right;
    /// - `value`: the output is that of the same layer in f64;
    /// - `finite`: finite inputs give finite outputs and gradients;
    /// - `linearity`: the gradient for a·u + b·v is a times that for u plus b times that for v;
    /// - `zero`: the gradient for dy = 0 is 0;
    /// - `accumulation`: two backward passes add the gradient twice;
    /// - `twice`: a second backward pass gives the same result;
    /// - `overwriting`: if the gradient is overwritten, its old contents have no effect;
    /// - `used memory`: the old contents of y, dx, the cache and the working memory have no effect;
    /// - `parts`: dx is the same if only dx is computed, and the gradient of the parameters if only that is computed;
    /// - `rule`: a gradient that goes to the rule of an optimizer, which changes the parameter at once,
    ///   is the same; `delivered once`: each number goes there once; `names`: by its name;
    /// - `prediction`: a pass that only predicts gives the same output;
    /// - `constant batch`: a batch whose size is a constant, of 1 or 3 samples, gives the same;
    /// - `batch`: in a predicting pass a batch gives the same as its samples one by one;
    /// - `parameters`: all methods of [`Parameters`] show the same leaves, with their own gradients;
    /// - `determinism`: two runs and two threads agree bit for bit;
    /// - `NaN`: NaN in an input that the output depends on is NaN in the output;
    /// - `panic`: the layer does not panic.
    ///
    /// The steps of statistics are no gradients: of them only the properties are checked. What cannot
    /// be compared is counted as [unchecked](Report::unchecked), with the reason.
    ///
    /// # Errors
    /// The report, if anything is wrong.
    pub fn check<T: Real, In: Flat, L>(&self, layer: &L) -> Result<Report, Report>
    where
        L: Layer<T, In> + Parameters<T, With<T> = L> + Sync,
        L::Out: Flat,
        L::With<f64>: Layer<f64, In, Out = L::Out>,
        L::With<Dual64>: Layer<Dual64, In, Out = L::Out>,
    {
        self.guarded(self.report::<T, L>(), &mut |report| {
            let parameters = tree::check(layer);
            let sound = parameters.is_ok();
            report.holds("parameters", parameters);
            // Where leaves are mixed up no number can be named.
            if sound {
                let case = self.case();
                let mut point = case.numbers::<T>(0, In::LEN * case.batch);
                let mut drawn = layer.map_scalar(&mut |w| w);
                if !self.keep {
                    layer::set_weights(&mut drawn, &case.ordinary().numbers::<T>(1, L::COUNT));
                }
                point.extend(layer::numbers(&drawn, Role::Weight));
                let dy = case.ordinary().numbers::<T>(2, L::Out::LEN * case.batch);
                let wide = drawn.map_scalar(&mut |w| w.into());
                let dual = drawn.map_scalar(&mut |w| Dual64::from(w.into()));
                let moved = drawn.map_scalar(&mut |w| w);
                let (batch, pass) = (case.batch, &self.pass);
                let layer = OfLayer::<T, In, L>::new(drawn, batch, pass);
                let (layout, places) = layer.places();
                let mut subject = Subject::new(
                    &point,
                    places,
                    OfLayer::<T, In, L>::new(moved, batch, pass),
                    OfLayer::<f64, In, L::With<f64>>::new(wide, batch, pass),
                    OfLayer::<Dual64, In, L::With<Dual64>>::new(dual, batch, pass),
                );
                let dy = subject::wide(&dy);
                if let Some(tolerance) = oracle::compare(&mut subject, &dy, self, report) {
                    let (layer, dy, check) = (&layer, &dy[..], self);
                    Properties { layer, layout, subject, dy, tolerance, check, report }.check();
                }
            }
        })
    }

    fn guarded(
        &self,
        mut report: Report,
        f: &mut dyn FnMut(&mut Report),
    ) -> Result<Report, Report> {
        if let Err(message) = guarded(|| f(&mut report)) {
            report.holds("panic", Err(("all".into(), format!("the layer panics: {message}"))));
        }
        if report.passed() { Ok(report) } else { Err(report) }
    }

    /// Checks a loss at outputs of shape `S`: `value`, `dual numbers`, `differences`, `second order` and
    /// `symmetry`, as [`check`](Self::check).
    ///
    /// # Errors
    /// The report, if anything is wrong.
    pub fn check_loss<T: Real, S: Flat, E, Y>(
        &self,
        criterion: &E,
        target: &Y,
    ) -> Result<Report, Report>
    where
        Y: Target<T> + Target<f64> + Target<Dual64>,
        E: Loss<T, S, Dyn, <Y as Target<T>>::As>
            + Loss<f64, S, Dyn, <Y as Target<f64>>::As>
            + Loss<Dual64, S, Dyn, <Y as Target<Dual64>>::As>,
    {
        self.guarded(self.report::<T, E>(), &mut |report| {
            let case = self.case();
            let (point, size) = (case.numbers::<T>(0, S::LEN * case.batch), Dyn(case.batch));
            let mut places = Vec::new();
            subject::name(&mut places, "y", S::LEN, point.len());
            subject::name(&mut places, "loss", 1, 1);
            let of = PhantomData::<S>;
            let narrow = OfLoss { criterion, target: Target::<T>::over(target), size, of };
            let wide = OfLoss { criterion, target: Target::<f64>::over(target), size, of };
            let dual = OfLoss { criterion, target: Target::<Dual64>::over(target), size, of };
            let mut subject = Subject::new(&point, places, narrow, wide, dual);
            oracle::compare(&mut subject, &[1.0], self, report);
        })
    }

    /// Checks a layer in many cases, the simplest first: those of [`Case::numbered`], with the seed,
    /// batch and values that were set. Large batches are compared along one direction.
    ///
    /// # Errors
    /// The report of the first case in which something is wrong.
    pub fn check_cases<T: Real, In: Flat, L>(&self, layer: &L, cases: u64) -> Result<Report, Report>
    where
        L: Layer<T, In> + Parameters<T, With<T> = L> + Sync,
        L::Out: Flat,
        L::With<f64>: Layer<f64, In, Out = L::Out>,
        L::With<Dual64>: Layer<Dual64, In, Out = L::Out>,
    {
        let all = Report { cases: 0, ..self.report::<T, L>() };
        self.each_case(all, cases, &mut |check| check.check::<T, In, L>(layer))
    }

    /// Not generic, so it is compiled once.
    fn each_case(
        &self,
        mut all: Report,
        cases: u64,
        check: &mut dyn FnMut(&GradCheck) -> Result<Report, Report>,
    ) -> Result<Report, Report> {
        for n in 0..cases {
            let at = self.clone().at(self.set(Case::numbered(n)));
            let mode = if at.case().batch > 7 { Mode::Directional } else { self.mode };
            all.merge(check(&at.mode(mode))?);
        }
        Ok(all)
    }

    fn report<T: Real, L>(&self) -> Report {
        let subject =
            format!("{}, {}", short(core::any::type_name::<L>()), core::any::type_name::<T>());
        Report::new(subject, self.clone(), T::default_epsilon().into())
    }
}

/// The result, or the message of the panic in `f`: layers of strangers may panic, and so do dual numbers
/// where they have no function such as `floor`.
fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "a panic without a message".into())
    })
}

/// The number of cases in which `gradcheck_layer!` checks a layer: 64, or the value of the environment variable
/// `GRADCHECK_CASES`.
pub fn cases() -> u64 {
    std::env::var("GRADCHECK_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

/// A type's name without the paths in it.
fn short(name: &str) -> String {
    let mut short = String::new();
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    for part in name.split_inclusive(|c| !in_name(c)) {
        short.push_str(part);
        if part.ends_with(':') {
            short.truncate(short.trim_end_matches(|c| in_name(c) || c == ':').len());
        }
    }
    short
}

/// H·v, exactly: the derivative of the gradient of a net's loss in the direction `v`, by one forward
/// and one backward pass over dual numbers. (Pearlmutter, 1994.)
///
/// ```
/// use chainrule::{SumSquaredError, Affine, D1, Network, Zeros, gradcheck::hessian_vector_product};
/// use nalgebra::{Matrix1x2, Vector1, Vector2};
///
/// // L = ½·(w·x + b - t)², so that H = (x, 1)·(x, 1)ᵀ.
/// let affine = Affine::<f64, 2, 1>::zeros();
/// let net = Network::<f64, D1<2>, _, _>::new(affine, SumSquaredError);
/// let v = Affine::new(Matrix1x2::new(1.0, 0.0), Vector1::new(0.0));
/// let hv = hessian_vector_product(&net, &Vector2::new(3.0, 5.0), &Vector1::new(7.0), &v);
/// assert_eq!(hv, Affine::new(Matrix1x2::new(9.0, 15.0), Vector1::new(3.0)));
/// ```
pub fn hessian_vector_product<In: Flat, L, E, B: BatchSize, Y>(
    net: &Network<f64, In, L, E>,
    x: &In::Batch<f64, B>,
    target: &Y,
    v: &L::Gradient,
) -> L::Gradient
where
    L: Layer<f64, In>,
    L::With<Dual64>: Layer<Dual64, In, Out = L::Out>,
    Y: Target<Dual64>,
    E: Loss<Dual64, L::Out, B, Y::As> + Clone,
{
    let mut dual = net.map(Dual64::from);
    let along = v.map_scalar(&mut |v| Dual64::new(0.0, v));
    dual.layers.visit_mut(Some(&along), [], &Path::ROOT, &mut |leaf: LeafMut<Dual64, 0>| {
        if leaf.role == Role::Weight {
            leaf.values.iter_mut().zip(leaf.gradient).for_each(|(w, &along)| *w += along);
        }
    });
    let numbers: Vec<_> = In::flat::<f64, B>(x).iter().map(|&x| Dual64::from(x)).collect();
    let at = layer::batch::<Dual64, In, B>(In::size::<f64, B>(x), &numbers);
    dual.gradient(&at, &target.over()).map_scalar(&mut |g| g.eps)
}

/// Writes the whole gradient check of a layer as a module with two tests, `f32` and `f64`:
///
/// ```
/// # use chainrule::{gradcheck_layer, gradcheck::GradCheck, Affine, D1, Frozen, Relu};
/// gradcheck_layer!(affine<T>: Affine<T, 4, 3>, D1<4>);
/// gradcheck_layer!(large<T>: Affine<T, 4, 3>, D1<4>, GradCheck::new().batch(40));
/// gradcheck_layer!(frozen<T>: Frozen<Affine<T, 2, 2>>, D1<2>, start: Frozen(Affine::new(
///     nalgebra::Matrix2::identity(),
///     nalgebra::Vector2::zeros(),
/// )));
/// ```
///
/// The arguments are a name, the scalar, the type of the layer, and the shape of its input. Two optional arguments follow:
/// a [`GradCheck`](crate::gradcheck::GradCheck) with other settings, and after `start:` a layer to start from. Give one if
/// the layer has settings, statistics or frozen parameters, because the check does not draw these. Without it the layer
/// starts from [`Zeros`](crate::Zeros). [`cases`](crate::gradcheck::cases) says how many cases are checked.
#[macro_export]
macro_rules! gradcheck_layer {
    ($name:ident<$t:ident>: $layer:ty, $in:ty $(,)?) => {
        $crate::gradcheck_layer!($name<$t>: $layer, $in, $crate::gradcheck::GradCheck::new());
    };
    ($name:ident<$t:ident>: $layer:ty, $in:ty, start: $start:expr $(,)?) => {
        $crate::gradcheck_layer!(
            $name<$t>: $layer, $in, $crate::gradcheck::GradCheck::new(), start: $start);
    };
    ($name:ident<$t:ident>: $layer:ty, $in:ty, $check:expr $(,)?) => {
        $crate::gradcheck_layer!(
            $name<$t>: $layer, $in, $check, start: <$layer as $crate::Zeros>::zeros());
    };
    ($name:ident<$t:ident>: $layer:ty, $in:ty, $check:expr, start: $start:expr $(,)?) => {
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn layer<$t: $crate::gradcheck::Real>() -> $layer {
                $start
            }

            #[test]
            fn f32() -> ::core::result::Result<(), $crate::gradcheck::Report> {
                let cases = $crate::gradcheck::cases();
                let report = $check.check_cases::<f32, $in, _>(&layer::<f32>(), cases)?;
                ::std::println!("{report}");
                Ok(())
            }

            #[test]
            fn f64() -> ::core::result::Result<(), $crate::gradcheck::Report> {
                let cases = $crate::gradcheck::cases();
                let report = $check.check_cases::<f64, $in, _>(&layer::<f64>(), cases)?;
                ::std::println!("{report}");
                Ok(())
            }
        }
    };
}
