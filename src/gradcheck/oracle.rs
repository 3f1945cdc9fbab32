//! What a gradient is held against: dual numbers, differences, and the gradient's own derivative.

use super::{
    GradCheck, Mode, Report, Worst,
    case::Case,
    subject::{Along, Subject, Variable},
};
use alloc::{vec, vec::Vec};

/// From this part of the slope on, a slope's error is no rounding and no curvature, but a kink.
const BENT: f64 = 1e-3;

/// Compares the gradient of Σ dy·y, and returns the scale of each of its entries.
pub(super) fn compare(
    subject: &mut impl Subject,
    dy: &[f64],
    check: &GradCheck,
    ulp: f64,
    report: &mut Report,
) -> Vec<f64> {
    let gradient = subject.gradient(dy);
    let (point, variables) = subject.point();
    let (point, variables) = (point.to_vec(), variables.to_vec());
    let floor = dy.iter().fold(0.0, |top: f64, dy| top.max(dy.abs()));
    // Without the exact derivative of each entry its scale is estimated by its size.
    let estimate: Vec<f64> = gradient.iter().map(|g| g.abs() + floor).collect();
    let mut all = Comparison { subject, point, variables, dy, gradient, check, ulp, report };
    let scale = match check.mode {
        Mode::Directional if all.directional(&estimate) => estimate,
        _ => all.every_entry(floor),
    };
    if check.differences && check.mode == Mode::Full {
        all.differences(&scale);
    }
    all.second_order(&scale);
    scale
}

/// A gradient, and all that it takes to judge it.
struct Comparison<'a, S> {
    subject: &'a mut S,
    point: Vec<f64>,
    variables: Vec<Variable>,
    dy: &'a [f64],
    gradient: Vec<f64>,
    check: &'a GradCheck,
    ulp: f64,
    report: &'a mut Report,
}

impl<S: Subject> Comparison<'_, S> {
    /// Whether the gradient along one random direction is right; reported if it is.
    fn directional(&mut self, scale: &[f64]) -> bool {
        let along = direction(&self.check.case, 3, self.gradient.len());
        let exact = self.subject.derivative(Along::All(&along));
        let found: f64 = self.gradient.iter().zip(&along).map(|(g, d)| g * d).sum();
        let expected: f64 = exact.iter().zip(self.dy).map(|(y, dy)| dy * y.eps).sum();
        // The errors of the entries are independent: their squares add up.
        let squares: f64 = scale.iter().zip(&along).map(|(s, d)| (s * d) * (s * d)).sum();
        let scale = squares.sqrt();
        let allowed = self.check.ulps.0 * self.ulp * scale;
        let worst = Worst { entry: (0, 0), found, expected, scale, allowed };
        let right = worst.absolute() <= allowed;
        if right {
            self.report.entry("dual numbers", "one direction").compare(worst);
        }
        right
    }

    /// Every entry against the exact derivative; returns the scales.
    fn every_entry(&mut self, floor: f64) -> Vec<f64> {
        let tolerance = self.check.ulps.0 * self.ulp;
        let mut scales = Vec::with_capacity(self.gradient.len());
        for (variable, entry, at, &found) in entries(&self.variables, &self.gradient) {
            let exact = self.subject.derivative(Along::Entry(at));
            let terms = exact.iter().zip(self.dy).map(|(y, dy)| dy * y.eps);
            let expected: f64 = terms.clone().sum();
            let scale = terms.map(f64::abs).sum::<f64>() + floor;
            let worst = Worst { entry, found, expected, scale, allowed: tolerance * scale };
            self.report.entry("dual numbers", &variable.name).compare(worst);
            scales.push(scale);
        }
        scales
    }

    /// Every entry against central differences, but where a kink lies within the step.
    fn differences(&mut self, scales: &[f64]) {
        let tolerance = self.check.ulps.0 * self.ulp;
        let entries = entries(&self.variables, &self.gradient);
        for ((variable, entry, at, &found), &value) in entries.zip(&self.point) {
            let check = self.report.entry("differences", &variable.name);
            let (h, steps) = Stencil::steps(value);
            let outputs = steps.map(|step| self.subject.outputs(Along::Entry(at), step));
            let slopes = self.dy.iter().enumerate().map(|(j, &dy)| {
                let values = outputs.each_ref().map(|y| y.get(j).copied().unwrap_or(f64::NAN));
                let size = values.iter().fold(1.0, |top: f64, y| top.max(y.abs()));
                let (slope, error) = Stencil { values, h }.slope(size)?;
                Some((dy * slope, dy.abs() * error))
            });
            let total =
                slopes.reduce(|sum, next| Some((sum?.0 + next?.0, sum?.1 + next?.1))).flatten();
            let Some((expected, error)) = total else {
                check.skip(KINK);
                continue;
            };
            let scale = scales.get(at).copied().unwrap_or(1.0);
            let allowed = tolerance * scale + error;
            check.compare(Worst { entry, found, expected, scale, allowed });
        }
    }

    /// The gradient's derivative in a random direction: by the backward pass over dual numbers against
    /// differences of gradients; and as the second derivatives are symmetric, u·Hv is v·Hu.
    fn second_order(&mut self, scales: &[f64]) {
        let [u, v] = [4, 5].map(|salt| direction(&self.check.case, salt, scales.len()));
        let (hu, hv) = (self.subject.curvature(self.dy, &u), self.subject.curvature(self.dy, &v));
        let (h, steps) = Stencil::steps(1.0);
        let gradients = steps.map(|step| self.subject.gradient_near(self.dy, &v, step));
        for (variable, entry, at, &found) in entries(&self.variables, &hv) {
            let values = gradients.each_ref().map(|g| g.get(at).copied().unwrap_or(f64::NAN));
            let line = Stencil { values, h };
            let scale = scales.get(at).copied().unwrap_or(1.0);
            let check = self.report.entry("second order", &variable.name);
            let Some((expected, error)) = line.slope(scale) else {
                check.skip(KINK);
                continue;
            };
            let allowed = error + 64.0 * f64::EPSILON * scale / h;
            check.compare(Worst { entry, found, expected, scale: scale + found.abs(), allowed });
        }
        let dot =
            |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
        let (left, right) = (dot(&u, &hv), dot(&v, &hu));
        let (found, expected) = (left.iter().sum(), right.iter().sum());
        let terms: f64 = left.iter().chain(&right).map(|term| term.abs()).sum();
        let scale = terms + dot(&u, scales).iter().map(|s| s.abs()).fold(0.0, f64::max);
        let allowed = self.check.ulps.0 * f64::EPSILON * scale;
        let worst = Worst { entry: (0, 0), found, expected, scale, allowed };
        self.report.entry("symmetry", "all").compare(worst);
    }
}

const KINK: &str = "a branch changes inside the step";

/// A function along a line: its values at -2h, -h, 0, h and 2h.
struct Stencil {
    values: [f64; 5],
    h: f64,
}

impl Stencil {
    /// The steps, of the size ∛ε where a formula's error of h² meets ε/h of rounding; a power of two,
    /// so that adding it is exact for numbers of the size of `value`.
    fn steps(value: f64) -> (f64, [f64; 5]) {
        let h = (f64::EPSILON.cbrt() * value.abs().max(1.0)).log2().round().exp2();
        (h, [-2.0 * h, -h, 0.0, h, 2.0 * h])
    }

    /// The slope, by Richardson from the inner and the outer two, and what it may be off by: what
    /// these differ by, and how unevenly the slopes of the four steps change, which a smooth function's
    /// do to h² and a kink's do by half its jump. `None` where that is so much that a branch must
    /// have changed; `size` is that of the numbers subtracted.
    fn slope(&self, size: f64) -> Option<(f64, f64)> {
        let [far_below, below, center, above, far_above] = self.values;
        let slope = |a: f64, b: f64, steps: f64| (b - a) / (steps * self.h);
        let (near, far) = (slope(below, above, 2.0), slope(far_below, far_above, 4.0));
        let [s1, s2] = [slope(far_below, below, 1.0), slope(below, center, 1.0)];
        let [s3, s4] = [slope(center, above, 1.0), slope(above, far_above, 1.0)];
        let uneven = (s1 - 2.0 * s2 + s3).abs() + (s2 - 2.0 * s3 + s4).abs();
        let error = (near - far).abs() + uneven + 16.0 * f64::EPSILON * size / self.h;
        let steepest = [s1, s2, s3, s4].into_iter().fold(size, |top, s| top.max(s.abs()));
        // Not `<=`: NaN is no kink, and fails where it is compared.
        if error > BENT * steepest { None } else { Some((near + (near - far) / 3.0, error)) }
    }
}

/// Numbers from -1 to 1.
pub(super) fn direction(case: &Case, salt: u64, len: usize) -> Vec<f64> {
    let mut along = vec![0.0; len];
    let values = super::Values::Uniform(1.0);
    Case { values, margin: 0.0, ..*case }.fill(salt, &mut along);
    along
}

/// Each number with its leaf, its row and column there, and its place among all.
pub(super) fn entries<'a>(
    variables: &'a [Variable],
    numbers: &'a [f64],
) -> impl Iterator<Item = (&'a Variable, (usize, usize), usize, &'a f64)> {
    variables.iter().flat_map(move |variable| {
        let rows = variable.rows.max(1);
        let here = numbers.get(variable.range.clone()).unwrap_or_default();
        here.iter().enumerate().map(move |(i, number)| {
            (variable, (i % rows, i / rows), variable.range.start + i, number)
        })
    })
}
