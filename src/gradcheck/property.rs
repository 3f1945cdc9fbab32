//! The properties that every layer must have.

use super::{
    GradCheck,
    case::unit,
    guarded,
    layer::{How, LayerPasses, Layout, PLAIN},
    oracle::Tolerance,
    report::{Holds, Report},
    subject::Subject,
};
use crate::pass::Pass;
use alloc::{borrow::ToOwned, format, string::ToString, vec, vec::Vec};

/// A layer with the data to check its passes.
pub(super) struct Properties<'a> {
    pub layer: &'a dyn LayerPasses,
    pub layout: Layout,
    pub subject: Subject<'a>,
    pub dy: &'a [f64],
    pub tolerance: Tolerance,
    pub check: &'a GradCheck,
    pub report: &'a mut Report,
}

impl Properties<'_> {
    /// As [`LayerPasses::run`].
    fn run(&self, dy: &[f64], how: How) -> Vec<f64> {
        self.layer.run(self.layout.samples, self.x(), dy, how)
    }

    fn x(&self) -> &[f64] {
        self.subject.point.get(..self.layout.inputs).unwrap_or_default()
    }

    fn same(&mut self, property: &'static str, factor: f64, found: &[f64], expected: &[f64]) {
        self.tolerance.compare(self.report, property, factor, found, expected, 0);
    }

    pub fn check(&mut self) {
        let (layer, at, dy, check) = (self.layer, self.layout, self.dy, self.check);
        let x = self.x().to_vec();
        let plain = self.run(dy, PLAIN);

        // These must be the same to the last bit, because the computation is the same.
        let poisoned = How { poisoned: true, ..PLAIN };
        self.same("used memory", 0.0, &self.run(dy, How { used: true, ..poisoned }), &plain);
        let overwrite = How { times: 2, overwrite: true, ..PLAIN };
        self.same("twice", 0.0, &self.run(dy, overwrite), &plain);
        // dx without the gradient of the parameters, and the reverse.
        let without_dx = self.run(dy, How { dx: false, ..PLAIN });
        let rest_alone = without_dx.get(at.inputs..).unwrap_or_default();
        let dx_alone = layer.dx_alone(&x, dy);
        self.same("parts", 0.0, &[&dx_alone, rest_alone].concat(), &plain);

        self.same("overwriting", 1.0, &self.run(dy, How { overwrite: true, ..poisoned }), &plain);
        let rule = layer.by_rule(&x, dy);
        self.same("rule", 1.0, &rule.all, &plain);
        if check.per_sample && check.pass == Pass::Predict {
            let alone = self.one_by_one(&plain);
            self.same("batch", 1.0, &alone, &plain);
        } else if check.per_sample {
            let reason = "what is drawn for a sample depends on its batch";
            self.report.entry("batch", "all").skip(reason);
        }
        let [expected, y] = layer.predict(&x);
        let mut predicted = vec![y];
        match layer.constant(&x, dy) {
            Ok([trained, y]) => {
                self.same("constant batch", 1.0, &trained, &plain);
                predicted.push(y);
            }
            Err(reason) => self.report.entry("constant batch", "all").skip(reason),
        }

        let counts = [vec![1.0; at.inputs], rule.counts].concat();
        let ones = vec![1.0; at.learned];
        self.tolerance.compare(self.report, "delivered once", 0.0, &counts, &ones, at.inputs);
        let weights = self.subject.places.get(at.inputs..at.learned).unwrap_or_default();
        let unnamed = weights.iter().find(|place| !rule.names.iter().any(|n| **n == *place.leaf));
        let named = unnamed.map_or(Ok(()), |place| {
            let cause = format!("the backward pass delivers it by another of {:?}", rule.names);
            Err((place.leaf.to_string(), cause))
        });
        self.report.holds("names", named);

        // Twice added is twice as much; dx and y are not added to.
        let twice = self.run(dy, How { times: 2, ..PLAIN });
        let added = at.inputs..at.steps;
        let doubled = |(i, &g): (usize, &f64)| if added.contains(&i) { g + g } else { g };
        let doubled: Vec<f64> = plain.iter().enumerate().map(doubled).collect();
        self.same("accumulation", 2.0, &twice, &doubled);

        // For dy and another one: 2 and -½ times a number are exact. Steps and outputs do not depend on dy.
        let gradient = |dy: &[f64]| {
            let mut all = self.run(dy, PLAIN);
            all.truncate(at.learned);
            all
        };
        // No number of the other is larger, so that the scale holds for both.
        let mut rng = check.case().rng(6);
        let other: Vec<f64> = dy.iter().map(|dy| dy * (2.0 * unit(&mut rng) - 1.0)).collect();
        let sum = |u: &[f64], v: &[f64]| -> Vec<f64> {
            u.iter().zip(v).map(|(u, v)| 2.0 * u - 0.5 * v).collect()
        };
        let nothing = gradient(&vec![0.0; dy.len()]);
        let (of_both, of_other) = (gradient(&sum(dy, &other)), gradient(&other));
        self.same("zero", 0.0, &nothing, &vec![0.0; at.learned]);
        self.same("linearity", 8.0, &of_both, &sum(&plain, &of_other));

        // A prediction is what a predicting pass for training gives. Outputs come behind all others.
        let outputs = |y: Vec<f64>| [vec![0.0; at.steps], y].concat();
        let expected = outputs(expected);
        for found in predicted {
            let found = outputs(found);
            self.tolerance.compare(self.report, "prediction", 1.0, &found, &expected, at.steps);
        }
        self.report.holds("determinism", self.determinism(&plain));
        self.nan_arrives(x);
    }

    /// As a plain run, of each sample alone; the gradients of the parameters added up.
    fn one_by_one(&self, plain: &[f64]) -> Vec<f64> {
        let Layout { inputs, learned, steps, samples } = self.layout;
        let (mut dx, mut dw, mut y) = (Vec::new(), vec![0.0; steps - inputs], Vec::new());
        for sample in 0..samples {
            let part = |all: &[f64]| {
                let len = all.len() / samples;
                all.get(sample * len..(sample + 1) * len).unwrap_or_default().to_vec()
            };
            let (x, dy) = (part(self.x()), part(self.dy));
            let mut all = self.layer.run(1, &x, &dy, PLAIN);
            y.extend(all.split_off(all.len() - dy.len()));
            dw.iter_mut().zip(all.split_off(x.len())).for_each(|(sum, dw)| *sum += dw);
            dx.append(&mut all);
        }
        // A statistic is one of the whole batch.
        dw.truncate(learned - inputs);
        [&dx, &dw, plain.get(learned..steps).unwrap_or_default(), &y].concat()
    }

    /// Whether two runs, and two threads at once, agree bit for bit.
    fn determinism(&self, plain: &[f64]) -> Holds {
        let (layer, samples, x, dy) = (self.layer, self.layout.samples, self.x(), self.dy);
        let agrees = || {
            let again = layer.run(samples, x, dy, PLAIN);
            again.iter().map(|v| v.to_bits()).eq(plain.iter().map(|v| v.to_bits()))
        };
        let wrong = |cause: &str| Err(("all".to_owned(), cause.to_owned()));
        if !agrees() {
            return wrong("two runs give other numbers");
        }
        let both = std::thread::scope(|scope| {
            [scope.spawn(agrees), scope.spawn(agrees)].map(|thread| thread.join().ok())
        });
        if both == [Some(true); 2] {
            Ok(())
        } else {
            wrong("two threads at once give other numbers")
        }
    }

    /// Whether NaN in a number of the input is NaN somewhere in the output: in each number in turn that the
    /// output depends on, or if there are more than 64, in as many that are spread over all.
    fn nan_arrives(&mut self, mut x: Vec<f64>) {
        if self.check.pass != Pass::Predict {
            let reason = "what a layer that draws drops cannot arrive";
            return self.report.entry("NaN", "all").skip(reason);
        }
        for input in (0..x.len()).step_by(x.len().div_ceil(64).max(1)) {
            let finite = x.get_mut(input).map_or(0.0, |x| core::mem::replace(x, f64::NAN));
            let [y, _] = self.layer.predict(&x);
            x.get_mut(input).into_iter().for_each(|x| *x = finite);
            if y.iter().any(|y| y.is_nan()) {
                self.report.holds("NaN", Ok(()));
                continue;
            }
            // A layer may ignore an input: then its slope is zero.
            match guarded(|| self.subject.derivative(&self.subject.axis(input), &[])) {
                Ok(slopes) if slopes.iter().all(|y| y.eps == 0.0) => {}
                Ok(_) => {
                    let place = self.subject.places.get(input);
                    let (row, column) = place.map_or((0, 0), |place| place.entry);
                    let cause = format!("NaN in x[{row},{column}] is nowhere in the output");
                    return self.report.holds("NaN", Err(("all".to_owned(), cause)));
                }
                Err(reason) => self.report.entry("NaN", "all").skip(&reason),
            }
        }
    }
}
