//! What a check has found, as a value and as a table.

use super::Case;
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::{cmp::Ordering, fmt};

/// What was checked, and what was found.
///
/// `Display` and `Debug` print the same table, so that `unwrap` on a failed check shows it.
#[derive(Clone, PartialEq)]
pub struct Report {
    /// What was checked: the layer's type, and the scalar.
    pub subject: String,
    /// Each check that was made, in order.
    pub checks: Vec<Check>,
    /// Where it was made.
    pub case: Case,
    /// The tolerance, in units in the last place of the scale, and where it comes from.
    pub tolerance: (f64, &'static str),
    /// The unit in the last place of 1, of the scalar that is checked.
    pub ulp: f64,
}

/// One property of one leaf.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was compared: `dual numbers`, `linearity` …
    pub property: &'static str,
    /// Of what: `x`, or the name of a parameter.
    pub leaf: String,
    /// How many numbers were compared.
    pub compared: usize,
    /// How many were not, and why.
    pub skipped: (usize, &'static str),
    /// The mean of the absolute differences, as the chapter prints it.
    pub mean: f64,
    /// The entry that is worst for its tolerance.
    pub worst: Option<Worst>,
    /// Whether all were within tolerance.
    pub passed: bool,
}

/// The entry of a leaf that is worst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worst {
    /// Its row and column; of an input, the feature and the sample.
    pub entry: (usize, usize),
    /// What the backward pass gave.
    pub found: f64,
    /// What was expected.
    pub expected: f64,
    /// The size that rounding is measured by, see [`GradCheck`](super::GradCheck).
    pub scale: f64,
    /// The largest difference allowed there.
    pub allowed: f64,
}

impl Worst {
    /// |found - expected|.
    pub fn absolute(&self) -> f64 {
        (self.found - self.expected).abs()
    }

    /// The absolute error over the scale.
    pub fn relative(&self) -> f64 {
        if self.absolute() == 0.0 { 0.0 } else { self.absolute() / self.scale }
    }
}

impl Report {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    /// The checks that did not pass.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// The largest error over its scale that `property` found, over all leaves; NaN if one is NaN.
    pub fn worst_relative(&self, property: &str) -> f64 {
        let checks = self.checks.iter().filter(|check| check.property == property);
        let errors = checks.filter_map(|check| check.worst).map(|worst| worst.relative());
        errors.fold(0.0, |top, error| if top >= error || top.is_nan() { top } else { error })
    }

    pub(super) fn entry(&mut self, property: &'static str, leaf: &str) -> &mut Check {
        let at = self.checks.iter().position(|c| c.property == property && c.leaf == leaf);
        let at = at.unwrap_or(self.checks.len());
        if at == self.checks.len() {
            self.checks.push(Check {
                property,
                leaf: leaf.to_owned(),
                compared: 0,
                skipped: (0, ""),
                mean: 0.0,
                worst: None,
                passed: true,
            });
        }
        #[expect(clippy::indexing_slicing, reason = "found or pushed above")]
        &mut self.checks[at]
    }
}

impl Check {
    /// Adds one comparison.
    pub(super) fn compare(&mut self, worst: Worst) {
        let error = worst.absolute();
        self.mean += (error - self.mean) / (self.compared + 1) as f64;
        self.compared += 1;
        // Written so that NaN fails.
        self.passed &= error <= worst.allowed;
        let share = |w: &Worst| w.absolute() / w.allowed.max(f64::MIN_POSITIVE);
        let worse = |old: Worst| share(&worst).partial_cmp(&share(&old));
        if self.worst.is_none_or(|old| worse(old).is_none_or(Ordering::is_gt)) {
            self.worst = Some(worst);
        }
    }

    /// Leaves one out.
    pub(super) fn skip(&mut self, reason: &'static str) {
        self.skipped = (self.skipped.0 + 1, reason);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Report { subject, checks, case, tolerance: (ulps, reason), ulp } = self;
        let verdict = if self.passed() { "passed" } else { "FAILED" };
        writeln!(f, "gradient check of {subject}: {verdict}")?;
        let [property, entry, found, expected] = ["property", "worst entry", "found", "expected"];
        write!(f, "     {property:14} {entry:26} {found:>12} {expected:>12}")?;
        writeln!(f, "  absolute  relative      ulps      mean")?;
        // What is wrong comes first.
        for check in checks.iter().filter(|c| !c.passed).chain(checks.iter().filter(|c| c.passed)) {
            let mark = if check.passed { "ok" } else { "FAIL" };
            write!(f, "{mark:4} {:14} ", check.property)?;
            match check.worst {
                Some(worst) => {
                    let (row, column) = worst.entry;
                    let entry = alloc::format!("{}[{row},{column}]", check.leaf);
                    write!(f, "{entry:26} {:12.5e} {:12.5e} ", worst.found, worst.expected)?;
                    let (absolute, relative) = (worst.absolute(), worst.relative());
                    write!(f, "{absolute:9.1e} {relative:9.1e} ")?;
                    write!(f, "{:9.1e} {:9.1e}", relative / ulp, check.mean)?;
                }
                None => write!(f, "{:26}", check.leaf)?,
            }
            if check.skipped.0 > 0 {
                write!(f, "  {} skipped: {}", check.skipped.0, check.skipped.1)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "tolerance: {ulps} units in the last place of the scale; {reason}")?;
        write!(f, "reproduce: GradCheck::new().at({case})")
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl core::error::Error for Report {}
