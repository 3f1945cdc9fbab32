//! What must hold of a layer whatever it computes.

use super::{
    GradCheck, Real,
    case::Case,
    guarded,
    oracle::Tolerance,
    report::Report,
    run::{Run, batch, by_rule, forward, predict, run},
    subject::{Along, OfLayer, Subject},
};
use crate::{
    layer::Layer,
    params::Parameters,
    pass::Pass,
    shape::{Batch, Flat, ToPredict, ToTrain, nan},
};
use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use nalgebra::{Const, Dyn};
use num_dual::Dual64;

/// The most memory that a batch of constant size may take of the stack.
const STACK: usize = 128 << 10;

pub(super) fn check<T: Real, In: Flat, L>(
    subject: &mut OfLayer<T, In, L>,
    dy: &[f64],
    tolerance: &Tolerance,
    check: &GradCheck,
    case: Case,
    report: &mut Report,
) where
    L: Layer<T, In> + Parameters<T, With<T> = L> + Sync,
    L::Out: Flat,
    L::With<f64>: Layer<f64, In, Out = L::Out>,
    L::With<Dual64>: Layer<Dual64, In, Out = L::Out>,
{
    let (layer, pass, inputs) = (subject.layer, subject.pass.clone(), subject.inputs());
    let (x, size, learned) = (&subject.x, subject.size, subject.point.len());
    let steps_end = subject.variables.last().map_or(0, |y| y.range.start);
    let plain = Run::plain(&pass);
    let dy: Vec<T> = dy.iter().map(|&dy| T::narrow(dy)).collect();
    let go = |dy: &[T], how: Run<T>| run::<T, In, L, Dyn>(layer, x, dy, how);
    let all = go(&dy, plain);
    let wide = |numbers: &[T]| -> Vec<f64> { numbers.iter().map(|v| v.widen()).collect() };
    let expected = wide(&all);
    let mut same = |property, factor, found: &[T]| {
        tolerance.compare(report, property, factor, &wide(found), &expected, 0);
    };

    // What must be the same to the last bit, as nothing may be computed otherwise.
    let poisoned = Run { before: nan(), ..plain };
    same("used memory", 0.0, &go(&dy, Run { used: true, ..poisoned }));
    same("twice", 0.0, &go(&dy, Run { times: 2, overwrite: true, ..plain }));
    // Each half of what is asked for, alone.
    let without_dw = go(&dy, Run { wanted: [true, false], ..plain });
    let without_dx = go(&dy, Run { wanted: [false, true], ..plain });
    let dx_alone = without_dw.get(..inputs).unwrap_or_default();
    let rest_alone = without_dx.get(inputs..).unwrap_or_default();
    same("parts", 0.0, &[dx_alone, rest_alone].concat());

    same("overwriting", 1.0, &go(&dy, Run { overwrite: true, ..poisoned }));
    let mut moved = layer.map_scalar(&mut |w| w);
    let rule = by_rule::<T, In, L>(&mut moved, x, &dy, &pass);
    same("rule", 1.0, &rule.all);
    let separate = check.per_sample && pass == Pass::Predict;
    if separate {
        let mut alone = one_by_one(subject, &dy);
        // A statistic is one of the whole batch.
        let steps = learned.min(alone.len())..steps_end.min(alone.len());
        let own = all.get(steps.clone()).unwrap_or_default().to_vec();
        alone.splice(steps, own);
        same("batch", 1.0, &alone);
    }
    let constant = match size.0 {
        1 => constant::<T, In, L, 1>(subject, &dy),
        2 => constant::<T, In, L, 2>(subject, &dy),
        3 => constant::<T, In, L, 3>(subject, &dy),
        7 => constant::<T, In, L, 7>(subject, &dy),
        _ => Err("only 1, 2, 3 and 7 samples are tried at a constant size"),
    };
    if let Ok((trained, _)) = &constant {
        same("constant batch", 1.0, trained);
    }

    if let Err(reason) = &constant {
        report.entry("constant batch", "all").skip(reason);
    }
    if check.per_sample && !separate {
        report.entry("batch", "all").skip("what is drawn for a sample depends on its batch");
    }

    let counts: Vec<T> = [vec![T::one(); inputs], rule.counts].concat();
    tolerance.compare(report, "delivered once", 0.0, &wide(&counts), &vec![1.0; learned], inputs);
    report.holds("names", names(subject, &rule.names));

    // Twice added is twice as much; dx and y are not added to.
    let twice = go(&dy, Run { times: 2, ..plain });
    let doubled = |(i, &g): (usize, &f64)| if (inputs..steps_end).contains(&i) { g + g } else { g };
    let doubled: Vec<f64> = expected.iter().enumerate().map(doubled).collect();
    tolerance.compare(report, "accumulation", 2.0, &wide(&twice), &doubled, 0);

    // For dy and another one: 2 and -½ times a number are exact. Steps and outputs do not depend on dy.
    let gradient = |all: Vec<T>| wide(all.get(..learned).unwrap_or_default());
    let nothing = gradient(go(&vec![T::zero(); dy.len()], plain));
    tolerance.compare(report, "zero", 0.0, &nothing, &vec![0.0; learned], 0);
    let mut other = vec![T::zero(); dy.len()];
    case.ordinary().fill(6, &mut other);
    let [two, half] = [2.0, -0.5].map(T::narrow);
    let both: Vec<T> = dy.iter().zip(&other).map(|(&u, &v)| two * u + half * v).collect();
    let of_other = gradient(go(&other, plain));
    let sum: Vec<f64> = expected.iter().zip(&of_other).map(|(u, v)| 2.0 * u - 0.5 * v).collect();
    tolerance.compare(report, "linearity", 8.0, &gradient(go(&both, plain)), &sum, 0);

    // A prediction is what a predicting pass for training gives. Outputs come behind all others.
    let outputs = |y: &[T]| [vec![0.0; steps_end], wide(y)].concat();
    let expected = outputs(&forward::<T, In, L>(layer, x, &Pass::Predict));
    let predicted = [Some(predict::<T, In, L, Dyn>(layer, x)), constant.ok().map(|(_, y)| y)];
    for found in predicted.into_iter().flatten() {
        tolerance.compare(report, "prediction", 1.0, &outputs(&found), &expected, steps_end);
    }
    report.holds("determinism", determinism(subject, &dy, &all));
    nan_arrives(subject, report);
}

/// As [`run`] returns it, of each sample alone; the gradients of the parameters added up.
fn one_by_one<T: Real, In: Flat, L: Layer<T, In>>(subject: &OfLayer<T, In, L>, dy: &[T]) -> Vec<T>
where
    L::Out: Flat,
{
    let (mut dx, mut dw, mut y) = (Vec::new(), Vec::<T>::new(), Vec::new());
    for sample in 0..subject.size.0 {
        let part = |numbers: &[T], len: usize| -> Vec<T> {
            numbers.iter().skip(sample * len).take(len).copied().collect()
        };
        let x = part(In::flat::<T, Dyn>(&subject.x), In::LEN);
        let x = batch::<T, In, _>(Dyn(1), x.into_iter());
        let dy = part(dy, L::Out::LEN);
        let mut all = run::<T, In, L, Dyn>(subject.layer, &x, &dy, Run::plain(&Pass::Predict));
        y.extend(all.split_off(all.len() - L::Out::LEN));
        let of_sample = all.split_off(In::LEN);
        dx.append(&mut all);
        dw.resize(of_sample.len(), T::zero());
        dw.iter_mut().zip(of_sample).for_each(|(sum, dw)| *sum += dw);
    }
    [dx, dw, y].concat()
}

/// As [`run`] and [`predict`] return it, in memory for `B` samples, unless that is too much for the stack.
fn constant<T: Real, In: Flat, L: Layer<T, In>, const B: usize>(
    subject: &OfLayer<T, In, L>,
    dy: &[T],
) -> Result<(Vec<T>, Vec<T>), &'static str>
where
    L::Out: Flat,
{
    let batches = 3 * size_of::<In::Batch<T, Const<B>>>()
        + 3 * size_of::<Batch<T, L::Out, Const<B>>>();
    let caches = size_of::<L::Cache<Const<B>, ToTrain>>() + size_of::<L::Cache<Const<B>, ToPredict>>();
    if batches + caches + size_of::<L::Scratch>() > STACK {
        return Err("memory for a batch of constant size is too large for the stack");
    }
    let numbers = In::flat::<T, Dyn>(&subject.x).iter().copied();
    let x = batch::<T, In, _>(Const::<B>, numbers);
    let trained = run::<T, In, L, _>(subject.layer, &x, dy, Run::plain(&subject.pass));
    Ok((trained, predict::<T, In, L, _>(subject.layer, &x)))
}

type Holds = Result<(), (String, String)>;

/// Whether the backward pass calls the parameters what `visit` calls them.
fn names<T: Real, In: Flat, L: Layer<T, In>>(subject: &OfLayer<T, In, L>, found: &[String]) -> Holds {
    let missing = subject.weights().find(|name| !found.iter().any(|found| found == name));
    missing.map_or(Ok(()), |name| {
        let cause = format!("the backward pass does not deliver it by this name, but {found:?}");
        Err((name.to_owned(), cause))
    })
}

/// Whether two runs, and two threads at once, agree bit for bit.
fn determinism<T: Real, In: Flat, L: Layer<T, In> + Sync>(
    subject: &OfLayer<T, In, L>,
    dy: &[T],
    all: &[T],
) -> Holds
where
    L::Out: Flat,
{
    let bits = |all: &[T]| -> Vec<u64> { all.iter().map(|v| v.widen().to_bits()).collect() };
    let (layer, pass, size) = (subject.layer, &subject.pass, subject.size);
    let numbers: Vec<T> = In::flat::<T, Dyn>(&subject.x).to_vec();
    let again = || {
        let x = batch::<T, In, _>(size, numbers.iter().copied());
        bits(&run::<T, In, L, Dyn>(layer, &x, dy, Run::plain(pass)))
    };
    let here = bits(all);
    let threads = std::thread::scope(|scope| {
        let both = [scope.spawn(again), scope.spawn(again)];
        both.map(|thread| thread.join().ok())
    });
    let wrong = |cause: &str| Err((String::from("all"), String::from(cause)));
    match () {
        () if again() != here => wrong("two runs give other numbers"),
        () if threads.iter().any(|t| t.as_ref() != Some(&here)) => {
            wrong("two threads at once give other numbers")
        }
        () => Ok(()),
    }
}

/// Whether NaN in a number of the input is NaN somewhere in the output: in each number in turn that the
/// output depends on, or if there are more than 64, in as many that are spread over all.
fn nan_arrives<T: Real, In: Flat, L>(subject: &mut OfLayer<T, In, L>, report: &mut Report)
where
    L: Layer<T, In> + Parameters<T, With<T> = L>,
    L::Out: Flat,
    L::With<f64>: Layer<f64, In, Out = L::Out>,
    L::With<Dual64>: Layer<Dual64, In, Out = L::Out>,
{
    let numbers = In::flat::<T, Dyn>(&subject.x).to_vec();
    if subject.pass != Pass::Predict {
        return report.entry("NaN", "all").skip("what a layer that draws drops cannot arrive");
    }
    for at in (0..numbers.len()).step_by(numbers.len().div_ceil(64).max(1)) {
        let of = |(i, &x)| if i == at { nan() } else { x };
        let x = batch::<T, In, _>(subject.size, numbers.iter().enumerate().map(of));
        let y = forward::<T, In, L>(subject.layer, &x, &subject.pass);
        if y.iter().any(|y| y.partial_cmp(y).is_none()) {
            report.holds("NaN", Ok(()));
            continue;
        }
        // A layer may ignore an input: then its slope is zero.
        match guarded(|| subject.derivative(Along::Entry(at))) {
            Ok(slopes) if slopes.iter().all(|y| y.eps == 0.0) => {}
            Ok(_) => {
                let (row, column) = (at % In::LEN.max(1), at / In::LEN.max(1));
                let cause = format!("NaN in x[{row},{column}] is nowhere in the output");
                return report.holds("NaN", Err((String::from("all"), cause)));
            }
            Err(reason) => report.entry("NaN", "all").skip(&reason),
        }
    }
}
