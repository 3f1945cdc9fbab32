//! Compares a layer with its values in f64, dual numbers, differences, and the derivative of its
//! gradient.

use super::{
    GradCheck, Mode, Values,
    case::{Case, unit},
    guarded,
    report::{Report, Worst},
    stencil::{BENT, FINE, STEPS, Stencil, step},
    subject::{Place, Subject},
};
use alloc::{format, rc::Rc, string::String, vec, vec::Vec};

/// How many times the measured rounding is allowed.
pub(super) const NOISE: f64 = 16.0;

/// At how many entries of a case the check measures rounding again.
const LOOKS: usize = 64;

pub(super) const KINK: &str = "a branch changes inside the step";
const NOISY: &str = "rounding is amplified too much here";

/// How much rounding may change each number.
pub(super) struct Tolerance {
    places: Rc<[Place]>,
    /// Units in the last place, as a part of the scale.
    units: f64,
    /// The size of the terms of the sum.
    pub scale: Vec<f64>,
    /// How much it changes when the numbers of the point change in the last place.
    noise: Vec<f64>,
}

impl Tolerance {
    /// Compares all that both have, from number `from` on; `factor` multiplies the tolerance.
    pub fn compare(
        &self,
        report: &mut Report,
        property: &'static str,
        factor: f64,
        found: &[f64],
        expected: &[f64],
        from: usize,
    ) {
        let numbers = self.places.iter().zip(found.iter().zip(expected));
        for (place, (&found, &expected)) in numbers.skip(from) {
            let worst = self.worst(place, factor, found, expected);
            let noise = if factor > 0.0 { self.noise(place.at) } else { 0.0 };
            judge(report, property, place, worst, noise, None);
        }
    }

    /// The number found at a place. Its error is `factor` times the tolerance.
    fn worst(&self, place: &Place, factor: f64, found: f64, expected: f64) -> Worst {
        let scale = self.scale(place.at);
        let allowed = factor * self.units * scale;
        Worst { entry: place.entry, found, expected, scale, allowed }
    }

    pub fn scale(&self, at: usize) -> f64 {
        self.scale.get(at).copied().unwrap_or(1.0)
    }

    fn noise(&self, at: usize) -> f64 {
        NOISE * number(&self.noise, at)
    }
}

/// Counts one comparison: right, wrong, or unchecked where rounding is amplified too much and where a kink
/// gives the layer a choice. `kink` gives the slopes on both sides of one.
fn judge(
    report: &mut Report,
    property: &'static str,
    place: &Place,
    worst: Worst,
    noise: f64,
    kink: Option<[f64; 2]>,
) {
    let noisy = Worst { allowed: worst.allowed + noise, ..worst };
    let chosen = kink.is_some_and(|[below, above]| {
        let slack = noisy.allowed + BENT * (above - below).abs();
        (below.min(above) - slack..=below.max(above) + slack).contains(&worst.found)
    });
    let check = report.entry(property, &place.leaf);
    if noisy.right() && !worst.right() && noise > BENT * worst.scale {
        check.skip(NOISY);
    } else if chosen && !noisy.right() {
        check.skip(KINK);
    } else {
        check.compare(noisy);
    }
}

/// Compares the values, and the gradient of Σ dy·y; `None` if numbers are not finite, so that nothing else
/// can be said.
pub(super) fn compare<'a>(
    subject: &'a mut Subject<'_>,
    dy: &'a [f64],
    check: &GradCheck,
    report: &'a mut Report,
) -> Option<Tolerance> {
    let found = subject.found(dy, &[]);
    let exact = subject.outputs(&[], 0.0);
    let largest =
        |numbers: &[f64], least| numbers.iter().fold(least, |top: f64, n| top.max(n.abs()));
    let (size, floor) = (largest(&subject.point, 1.0), largest(dy, 0.0));
    // Without the exact derivative of each entry its scale is estimated by its size.
    let begin = found.len().saturating_sub(exact.len());
    let scale = found.iter().enumerate().map(|(at, found)| match at {
        at if at < subject.point.len() => found.abs() + floor,
        at if at < begin => found.abs() + 1.0,
        _ => found.abs() + size,
    });
    let (scale, units) = (scale.collect(), check.ulps.0 * subject.ulp);
    let tolerance =
        Tolerance { places: Rc::clone(&subject.places), units, scale, noise: Vec::new() };
    let (case, no_duals, looks) = (check.case(), None, 0);
    let mut all =
        Comparison { subject, dy, found, exact, begin, case, tolerance, report, no_duals, looks };
    if !all.finite() {
        return None;
    }
    all.measure_noise();
    all.values();
    if check.mode == Mode::Full || !all.directional() {
        all.every_entry(floor);
    }
    if check.differences && check.mode == Mode::Full {
        all.differences();
    }
    all.second_order(check.ulps.0);
    Some(all.tolerance)
}

/// The found numbers, and the data to check them.
pub(super) struct Comparison<'a, 's> {
    pub subject: &'a mut Subject<'s>,
    pub dy: &'a [f64],
    found: Vec<f64>,
    /// The outputs in f64.
    exact: Vec<f64>,
    /// Where the outputs begin.
    begin: usize,
    pub case: Case,
    pub tolerance: Tolerance,
    pub report: &'a mut Report,
    /// Why the layer does not run over dual numbers.
    no_duals: Option<String>,
    /// At how many entries rounding was measured once more.
    looks: usize,
}

impl Comparison<'_, '_> {
    /// The exact derivative, and the sizes of its terms; `None` if the layer calls what dual numbers do not
    /// have.
    fn slope(&mut self, along: &[f64], by: &[f64]) -> Option<(f64, f64)> {
        if self.no_duals.is_some() {
            return None;
        }
        let outputs = guarded(|| self.subject.derivative(along, by));
        let outputs = outputs.map_err(|reason| self.no_duals = Some(reason)).ok()?;
        let terms = outputs.iter().zip(self.dy).map(|(y, dy)| dy * y.eps);
        Some((terms.clone().sum(), terms.map(f64::abs).sum()))
    }

    /// Amounts that move every number of the point by up to this part of it.
    pub fn jitter(&self, salt: u64, part: f64) -> Vec<f64> {
        let mut rng = self.case.rng(salt);
        self.subject.point.iter().map(|p| p * part * (2.0 * unit(&mut rng) - 1.0)).collect()
    }

    /// Whether outputs and gradients are finite; the first that is not is reported, with the cause.
    fn finite(&mut self) -> bool {
        let bad = |number: &f64| !number.is_finite();
        let places = Rc::clone(&self.subject.places);
        let numbers = || places.iter().zip(&self.found).filter(|(_, number)| bad(number));
        // If an output is not finite, its gradient proves nothing.
        let outputs = numbers().filter(|(place, _)| place.at >= self.begin);
        let (what, count, first) = match outputs.clone().count() {
            0 => ("the gradient", numbers().count(), numbers().next()),
            count => ("the output", count, outputs.clone().next()),
        };
        let Some((place, &found)) = first else {
            self.report.holds("finite", Ok(()));
            return true;
        };
        let expected = match place.at.checked_sub(self.begin) {
            Some(output) => number(&self.exact, output),
            None if place.at < self.subject.point.len() => {
                self.slope(&self.subject.axis(place.at), &[]).map_or(0.0, |(slope, _)| slope)
            }
            None => 0.0,
        };
        let check = self.report.entry("finite", &place.leaf);
        if expected.abs() > self.subject.most {
            check.skip("the exact number is too large for the scalar");
            return false;
        }
        let so = match expected.is_nan() {
            true => ", and in f64 too: give the check other values or a start layer",
            false => "",
        };
        check.cause =
            format!("{what} is NaN or infinite in {count} places, all it comes from is finite{so}");
        check.compare(Worst { entry: place.entry, found, expected, scale: 1.0, allowed: 0.0 });
        false
    }

    /// How much rounding the layer makes: what changes if all it is given changes in the last place. So
    /// conditioning enters the tolerance: 1/std of a normalisation amplifies what was rounded before.
    fn measure_noise(&mut self) {
        let ulp = self.subject.ulp;
        let mut noise = vec![0.0; self.found.len()];
        for salt in 10..16 {
            let by = self.jitter(salt, 2.0 * ulp);
            let mut rng = self.case.rng(salt + 10);
            let mut dy = self.dy.to_vec();
            dy.iter_mut().for_each(|dy| *dy *= 1.0 + ulp * (2.0 * unit(&mut rng) - 1.0));
            spread(&mut noise, &self.found, &self.subject.found(&dy, &by));
        }
        self.tolerance.noise = noise;
    }

    /// The noise of one number. If that does not excuse it, how unevenly its error changes near the point,
    /// and the rounding of f32.
    fn noise(&mut self, at: usize, worst: &Worst) -> f64 {
        let noise = self.tolerance.noise(at);
        if worst.absolute() <= worst.allowed + noise || self.looks >= LOOKS {
            return noise;
        }
        self.looks += 1;
        let (error, axis) = (worst.found - worst.expected, self.subject.axis(at));
        let uneven = self.uneven(error, self.subject.ulp, |all, by| {
            let by = all.subject.representable(by);
            Some(all.subject.found(all.dy, &by).get(at)? - all.slope(&axis, &by)?.0)
        });
        noise.max(uneven).max(self.narrow(at, worst))
    }

    /// How unevenly an error changes near the point: that of a fault changes smoothly, but rounding is drawn
    /// anew.
    pub fn uneven(
        &mut self,
        error: f64,
        ulp: f64,
        near: impl Fn(&mut Self, &[f64]) -> Option<f64>,
    ) -> f64 {
        let uneven = (30..46).filter_map(|salt| {
            let sides = [1.0, -1.0].map(|sign| {
                let by = self.jitter(salt, sign * ulp.sqrt());
                near(self, &by)
            });
            let [above, below] = sides;
            Some((above? + below? - 2.0 * error).abs() / 2.0)
        });
        NOISE * uneven.fold(0.0, f64::max)
    }

    /// The error allowed in f32 if the same backward pass is right in f64: eight times the tolerance. A
    /// saturated slope is rounded to the same 0 all around, and the weights before it amplify that.
    fn narrow(&mut self, at: usize, worst: &Worst) -> f64 {
        let wide = number(&self.subject.gradient_near(self.dy, &[], 0.0), at);
        let right =
            (wide - worst.expected).abs() <= worst.allowed * f64::EPSILON / self.subject.ulp;
        if right { 8.0 * worst.allowed } else { 0.0 }
    }

    /// The output against that in f64.
    fn values(&mut self) {
        let expected = [vec![0.0; self.begin], self.exact.clone()].concat();
        self.tolerance.compare(self.report, "value", 1.0, &self.found, &expected, self.begin);
    }

    /// Whether the gradient along one random direction is right; reported if it is.
    fn directional(&mut self) -> bool {
        let along = direction(&self.case, 3, self.subject.point.len());
        let Some((expected, _)) = self.slope(&along, &[]) else { return false };
        let found: f64 = self.found.iter().zip(&along).map(|(g, d)| g * d).sum();
        // The errors of the entries are independent: their squares add up.
        let norm = |sizes: &[f64]| -> f64 {
            sizes.iter().zip(&along).map(|(s, d)| (s * d) * (s * d)).sum::<f64>().sqrt()
        };
        let scale = norm(&self.tolerance.scale);
        let noise = NOISE * norm(&self.tolerance.noise);
        let allowed =
            self.tolerance.units * scale + if noise <= BENT * scale { noise } else { 0.0 };
        let worst = Worst { entry: (0, 0), found, expected, scale, allowed };
        if worst.right() {
            self.report.entry("dual numbers", "one direction").compare(worst);
        }
        worst.right()
    }

    /// Every entry against the exact derivative, whose terms become its scale.
    fn every_entry(&mut self, floor: f64) {
        for (place, found) in self.gradient() {
            let Some((expected, terms)) = self.slope(&self.subject.axis(place.at), &[]) else {
                let reason = self.no_duals.clone().unwrap_or_default();
                self.report.entry("dual numbers", &place.leaf).skip(&reason);
                continue;
            };
            if let Some(scale) = self.tolerance.scale.get_mut(place.at) {
                *scale = terms + floor;
            }
            let worst = self.tolerance.worst(&place, 1.0, found, expected);
            let mut noise = self.tolerance.noise(place.at);
            let wrong = worst.absolute() > worst.allowed + noise;
            let kink = if wrong { self.kink(place.at) } else { None };
            if kink.is_none() {
                noise = self.noise(place.at, &worst);
            }
            judge(self.report, "dual numbers", &place, worst, noise, kink);
        }
    }

    /// The gradient as it was found, entry by entry.
    pub fn gradient(&self) -> Vec<(Place, f64)> {
        let gradient = self.found.iter().take(self.subject.point.len());
        self.subject.places.iter().cloned().zip(gradient.copied()).collect()
    }

    /// Σ dy·y along one number, and its slope with what that may be off by; no slope at a kink.
    fn line(&mut self, at: usize, h: f64) -> (Stencil, Option<(f64, f64)>) {
        let axis = self.subject.axis(at);
        let outputs = STEPS.map(|step| self.subject.outputs(&axis, step * h));
        let (mut sum, mut total) = (Stencil { values: [0.0; 5], h }, Some((0.0, 0.0)));
        for (j, &dy) in self.dy.iter().enumerate() {
            let line = Stencil::of(&outputs, j, h);
            let size = line.values.iter().fold(1.0, |top: f64, y| top.max(y.abs()));
            sum.values.iter_mut().zip(line.values).for_each(|(sum, y)| *sum += dy * y);
            total = total
                .zip(line.slope(size))
                .map(|((sum, off), (slope, error))| (sum + dy * slope, off + dy.abs() * error));
        }
        (sum, total)
    }

    /// The slopes on both sides of a kink in one number, if there is one.
    fn kink(&mut self, at: usize) -> Option<[f64; 2]> {
        let (line, slope) = self.line(at, step(self.subject.point.get(at)));
        slope.is_none().then(|| [line.between(1, 2), line.between(2, 3)])
    }

    /// A comparison with differences of step h. If it fails, a finer step may still pass, because two kinks within one
    /// step can hide each other.
    pub fn acquit(
        &mut self,
        h: f64,
        try_at: impl Fn(&mut Self, f64) -> Option<Worst>,
    ) -> Option<Worst> {
        let coarse = try_at(self, h)?;
        let fine = if coarse.right() { None } else { try_at(self, h / FINE) };
        Some(fine.filter(Worst::right).unwrap_or(coarse))
    }

    /// Every entry against central differences, but where a kink lies within the step.
    fn differences(&mut self) {
        for (place, found) in self.gradient() {
            let h = step(self.subject.point.get(place.at));
            let worst = self.acquit(h, |all, h| {
                let (expected, error) = all.line(place.at, h).1?;
                let mut worst = all.tolerance.worst(&place, 1.0, found, expected);
                worst.allowed += error;
                Some(worst)
            });
            let Some(worst) = worst else {
                self.report.entry("differences", &place.leaf).skip(KINK);
                continue;
            };
            let noise = self.noise(place.at, &worst);
            judge(self.report, "differences", &place, worst, noise, None);
        }
    }
}

/// Increases `noise` to the differences of the two.
pub(super) fn spread(noise: &mut [f64], at: &[f64], near: &[f64]) {
    for (noise, (at, near)) in noise.iter_mut().zip(at.iter().zip(near)) {
        // `max` ignores NaN.
        *noise = noise.max((near - at).abs());
    }
}

/// A number, or zero.
pub(super) fn number(numbers: &[f64], at: usize) -> f64 {
    numbers.get(at).copied().unwrap_or(0.0)
}

/// Numbers from -1 to 1.
pub(super) fn direction(case: &Case, salt: u64, len: usize) -> Vec<f64> {
    let mut along = vec![0.0; len];
    let values = Values::Uniform(1.0);
    Case { values, margin: 0.0, ..*case }.fill(salt, &mut along);
    along
}
