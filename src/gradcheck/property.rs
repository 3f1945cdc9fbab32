//! What must hold of a layer whatever it computes.

use super::{
    GradCheck,
    case::{Case, unit},
    guarded,
    oracle::Tolerance,
    report::{Holds, Report},
    run::{How, PLAIN},
    subject::{Along, Passes},
};
use crate::pass::Pass;
use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};

pub(super) fn check(
    layer: &mut dyn Passes,
    dy: &[f64],
    tolerance: &Tolerance,
    check: &GradCheck,
    case: Case,
    report: &mut Report,
) {
    let at = layer.layout();
    let plain = layer.run(dy, PLAIN);
    let mut same = |property, factor, found: &[f64]| {
        tolerance.compare(report, property, factor, found, &plain, 0);
    };

    // What must be the same to the last bit, as nothing may be computed otherwise.
    let poisoned = How { poisoned: true, ..PLAIN };
    same("used memory", 0.0, &layer.run(dy, How { used: true, ..poisoned }));
    same("twice", 0.0, &layer.run(dy, How { times: 2, overwrite: true, ..PLAIN }));
    // Each half of what is asked for, alone.
    let without_dx = layer.run(dy, How { dx: false, ..PLAIN });
    let rest_alone = without_dx.get(at.inputs..).unwrap_or_default();
    same("parts", 0.0, &[&layer.dx_alone(dy), rest_alone].concat());

    same("overwriting", 1.0, &layer.run(dy, How { overwrite: true, ..poisoned }));
    let rule = layer.by_rule(dy);
    same("rule", 1.0, &rule.all);
    let separate = check.per_sample && *layer.pass() == Pass::Predict;
    if separate {
        let mut alone = one_by_one(layer, dy);
        // A statistic is one of the whole batch.
        alone.splice(at.learned..at.steps, plain.iter().take(at.steps).skip(at.learned).copied());
        same("batch", 1.0, &alone);
    }
    let constant = layer.constant(dy);
    match &constant {
        Ok([trained, _]) => same("constant batch", 1.0, trained),
        Err(reason) => report.entry("constant batch", "all").skip(reason),
    }
    if check.per_sample && !separate {
        report.entry("batch", "all").skip("what is drawn for a sample depends on its batch");
    }

    let counts = [vec![1.0; at.inputs], rule.counts].concat();
    tolerance.compare(report, "delivered once", 0.0, &counts, &vec![1.0; at.learned], at.inputs);
    let unnamed = layer.variables().iter().find(|variable| {
        let weight = (at.inputs..at.learned).contains(&variable.range.start);
        weight && !variable.range.is_empty() && !rule.names.contains(&variable.name)
    });
    let named = unnamed.map_or(Ok(()), |variable| {
        let names = &rule.names;
        Err((
            variable.name.clone(),
            format!("the backward pass delivers it by another of {names:?}"),
        ))
    });
    report.holds("names", named);

    // Twice added is twice as much; dx and y are not added to.
    let twice = layer.run(dy, How { times: 2, ..PLAIN });
    let added = at.inputs..at.steps;
    let doubled = |(i, &g): (usize, &f64)| if added.contains(&i) { g + g } else { g };
    let doubled: Vec<f64> = plain.iter().enumerate().map(doubled).collect();
    tolerance.compare(report, "accumulation", 2.0, &twice, &doubled, 0);

    // For dy and another one: 2 and -½ times a number are exact. Steps and outputs do not depend on dy.
    let gradient = |mut all: Vec<f64>| {
        all.truncate(at.learned);
        all
    };
    let nothing = gradient(layer.run(&vec![0.0; dy.len()], PLAIN));
    tolerance.compare(report, "zero", 0.0, &nothing, &vec![0.0; at.learned], 0);
    // No number of the other is larger, so that the scale holds for both.
    let mut rng = case.rng(6);
    let other: Vec<f64> = dy.iter().map(|dy| dy * (2.0 * unit(&mut rng) - 1.0)).collect();
    let sum = |u: &[f64], v: &[f64]| -> Vec<f64> {
        u.iter().zip(v).map(|(u, v)| 2.0 * u - 0.5 * v).collect()
    };
    let of_both = gradient(layer.run(&sum(dy, &other), PLAIN));
    let of_other = gradient(layer.run(&other, PLAIN));
    tolerance.compare(report, "linearity", 8.0, &of_both, &sum(&plain, &of_other), 0);

    // A prediction is what a predicting pass for training gives. Outputs come behind all others.
    let outputs = |y: Vec<f64>| [vec![0.0; at.steps], y].concat();
    let expected = outputs(layer.output(None));
    let predicted = [Some(layer.predict()), constant.ok().map(|[_, y]| y)];
    for found in predicted.into_iter().flatten() {
        tolerance.compare(report, "prediction", 1.0, &outputs(found), &expected, at.steps);
    }
    report.holds("determinism", determinism(layer, dy, &plain));
    nan_arrives(layer, report);
}

/// As a plain run, of each sample alone; the gradients of the parameters added up.
fn one_by_one(layer: &dyn Passes, dy: &[f64]) -> Vec<f64> {
    let at = layer.layout();
    let [inputs, outputs] = at.sample;
    let (mut dx, mut dw, mut y) = (Vec::new(), vec![0.0; at.steps - at.inputs], Vec::new());
    for sample in 0..at.samples {
        let dy = dy.get(sample * outputs..(sample + 1) * outputs).unwrap_or_default();
        let mut all = layer.sample(sample, dy);
        y.extend(all.split_off(all.len() - outputs));
        dw.iter_mut().zip(all.split_off(inputs)).for_each(|(sum, dw)| *sum += dw);
        dx.append(&mut all);
    }
    [dx, dw, y].concat()
}

/// Whether two runs, and two threads at once, agree bit for bit.
fn determinism(layer: &dyn Passes, dy: &[f64], plain: &[f64]) -> Holds {
    let bits = |all: &[f64]| -> Vec<u64> { all.iter().map(|v| v.to_bits()).collect() };
    let agrees = |other: &[f64]| bits(other) == bits(plain);
    let wrong = |cause: &str| Err((String::from("all"), cause.to_owned()));
    if !agrees(&layer.run(dy, PLAIN)) {
        return wrong("two runs give other numbers");
    }
    if layer.in_threads(dy).iter().flatten().filter(|all| agrees(all)).count() < 2 {
        return wrong("two threads at once give other numbers");
    }
    Ok(())
}

/// Whether NaN in a number of the input is NaN somewhere in the output: in each number in turn that the
/// output depends on, or if there are more than 64, in as many that are spread over all.
fn nan_arrives(layer: &mut dyn Passes, report: &mut Report) {
    if *layer.pass() != Pass::Predict {
        return report.entry("NaN", "all").skip("what a layer that draws drops cannot arrive");
    }
    let at = layer.layout();
    for input in (0..at.inputs).step_by(at.inputs.div_ceil(64).max(1)) {
        if layer.output(Some(input)).iter().any(|y| y.is_nan()) {
            report.holds("NaN", Ok(()));
            continue;
        }
        // A layer may ignore an input: then its slope is zero.
        match guarded(|| layer.derivative(Along::Entry(input), &[])) {
            Ok(slopes) if slopes.iter().all(|y| y.eps == 0.0) => {}
            Ok(_) => {
                let rows = at.sample[0].max(1);
                let (row, column) = (input % rows, input / rows);
                let cause = format!("NaN in x[{row},{column}] is nowhere in the output");
                return report.holds("NaN", Err((String::from("all"), cause)));
            }
            Err(reason) => report.entry("NaN", "all").skip(&reason),
        }
    }
}
