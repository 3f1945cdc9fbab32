//! The result of a check, as a value and as a table.

use super::GradCheck;
use alloc::{borrow::ToOwned, boxed::Box, format, string::String, vec::Vec};
use core::{cmp::Ordering, fmt};

/// The result of a gradient check.
///
/// `Display` and `Debug` print the same table, so that `unwrap` on a failed check shows it.
#[derive(Clone, PartialEq)]
pub struct Report {
    /// What was checked: the layer's type, and the scalar.
    pub subject: String,
    /// Each check that was made, in order.
    pub checks: Vec<Check>,
    /// The check itself; its `Display` is a line of Rust that repeats it.
    pub check: Box<GradCheck>,
    /// The number of cases. If it is above 1, all of them passed; the report of a failure is about one case.
    pub cases: u64,
    /// The unit in the last place of 1, of the scalar that is checked.
    pub ulp: f64,
}

/// One property of one leaf.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Check {
    /// The property: `dual numbers`, `linearity` …
    pub property: &'static str,
    /// The leaf: `x`, `y`, the name of a parameter, or `all`.
    pub leaf: String,
    /// How many numbers were compared.
    pub compared: usize,
    /// How many were not compared, and why.
    pub unchecked: (usize, String),
    /// The mean of the absolute differences, as the book prints it.
    pub mean: f64,
    /// The entry with the largest error relative to its tolerance.
    pub worst: Option<Worst>,
    /// The cause, if numbers do not show it.
    pub cause: String,
    /// Whether something is wrong.
    pub failed: bool,
}

/// The result of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All compared numbers are right.
    Passed,
    /// Something is wrong.
    Failed,
    /// Nothing could be compared; `unchecked` has the reason.
    Unchecked,
}

/// That something holds; or the leaf, and the cause.
pub(super) type Holds = Result<(), (String, String)>;

/// The entry of a leaf that is worst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worst {
    /// Its row and column; of an input, the feature and the sample.
    pub entry: (usize, usize),
    /// The number that the layer gave.
    pub found: f64,
    /// The expected number.
    pub expected: f64,
    /// The size that rounding is measured by, see [the module](super).
    pub scale: f64,
    /// The largest difference allowed there.
    pub allowed: f64,
}

impl Worst {
    /// |found - expected|.
    pub fn absolute(&self) -> f64 {
        if self.found == self.expected { 0.0 } else { (self.found - self.expected).abs() }
    }

    /// The absolute error over the scale.
    pub fn relative(&self) -> f64 {
        if self.absolute() == 0.0 { 0.0 } else { self.absolute() / self.scale }
    }

    /// How much of its tolerance the error takes.
    fn share(&self) -> f64 {
        self.absolute() / self.allowed.max(f64::MIN_POSITIVE)
    }

    /// Whether it is within its tolerance; NaN is not.
    pub(super) fn right(&self) -> bool {
        self.absolute() <= self.allowed
    }
}

impl Report {
    pub(super) fn new(subject: String, check: GradCheck, ulp: f64) -> Self {
        Report { subject, checks: Vec::new(), check: Box::new(check), cases: 1, ulp }
    }

    /// Whether nothing is wrong. [`unchecked`](Self::unchecked) returns what was not compared.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The checks that did not pass.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.failed)
    }

    /// The checks that left out numbers, with the reason.
    pub fn unchecked(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.unchecked.0 > 0)
    }

    /// The largest error over its scale that `property` found, over all leaves; NaN if one is NaN.
    pub fn worst_relative(&self, property: &str) -> f64 {
        let checks = self.checks.iter().filter(|check| check.property == property);
        let errors = checks.filter_map(|check| check.worst).map(|worst| worst.relative());
        errors.fold(0.0, |top, error| if top >= error || top.is_nan() { top } else { error })
    }

    /// Whether another leaf that passed this property is worse, or comes first of equals.
    fn worse_leaf(&self, check: &Check) -> bool {
        let passed = |c: &&Check| c.property == check.property && c.verdict() == Verdict::Passed;
        let passed = self.checks.iter().filter(passed).rev();
        let worst = passed.max_by(|a, b| a.share().total_cmp(&b.share()));
        worst.is_some_and(|worst| worst.leaf != check.leaf)
    }

    pub(super) fn entry(&mut self, property: &'static str, leaf: &str) -> &mut Check {
        let at = self.checks.iter().position(|c| c.property == property && c.leaf == leaf);
        let at = at.unwrap_or_else(|| {
            self.checks.push(Check { property, leaf: leaf.to_owned(), ..Check::default() });
            self.checks.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed above")]
        &mut self.checks[at]
    }

    /// A property that holds as a whole, or does not for this cause.
    pub(super) fn holds(&mut self, property: &'static str, result: Holds) {
        match result {
            Ok(()) => self.entry(property, "all").compared += 1,
            Err((leaf, cause)) => {
                let check = self.entry(property, &leaf);
                (check.failed, check.cause) = (true, cause);
            }
        }
    }

    /// Adds what another case has found.
    pub(super) fn merge(&mut self, other: Report) {
        self.cases += other.cases;
        for from in other.checks {
            let to = self.entry(from.property, &from.leaf);
            let all = to.compared + from.compared;
            to.mean += (from.mean - to.mean) * from.compared as f64 / all.max(1) as f64;
            (to.compared, to.failed) = (all, to.failed || from.failed);
            to.worst(from.worst);
            if from.unchecked.0 > 0 {
                to.unchecked = (to.unchecked.0 + from.unchecked.0, from.unchecked.1);
            }
        }
    }
}

impl Check {
    /// The result.
    pub fn verdict(&self) -> Verdict {
        match self.compared {
            _ if self.failed => Verdict::Failed,
            0 if self.unchecked.0 > 0 => Verdict::Unchecked,
            _ => Verdict::Passed,
        }
    }

    /// Adds one comparison.
    pub(super) fn compare(&mut self, worst: Worst) {
        self.mean += (worst.absolute() - self.mean) / (self.compared + 1) as f64;
        self.compared += 1;
        self.failed |= !worst.right();
        self.worst(Some(worst));
    }

    /// How much of its tolerance the worst entry takes.
    fn share(&self) -> f64 {
        self.worst.map_or(-1.0, |worst| worst.share())
    }

    fn worst(&mut self, worst: Option<Worst>) {
        let old = self.share();
        // NaN is worse than all numbers.
        let worse = |new: &Worst| new.share().partial_cmp(&old).is_none_or(Ordering::is_gt);
        self.worst = worst.filter(worse).or(self.worst);
    }

    /// Leaves one out.
    pub(super) fn skip(&mut self, reason: &str) {
        self.unchecked = (self.unchecked.0 + 1, reason.to_owned());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Report { subject, checks, check, cases, ulp } = self;
        let verdict = if self.passed() { "passed" } else { "FAILED" };
        write!(f, "gradient check of {subject}: {verdict}")?;
        if *cases > 1 {
            write!(f, " in {cases} cases")?;
        }
        match self.unchecked().map(|check| check.unchecked.0).sum::<usize>() {
            0 => writeln!(f)?,
            count => writeln!(f, ", {count} comparisons unchecked")?,
        }
        let [property, entry, found, expected] = ["property", "worst entry", "found", "expected"];
        write!(f, "     {property:15} {entry:26} {found:>12} {expected:>12}")?;
        writeln!(f, "  absolute  relative      ulps      mean")?;
        // Errors come first.
        use Verdict::{Failed, Passed, Unchecked};
        for (verdict, mark) in [(Failed, "FAIL"), (Unchecked, "--"), (Passed, "ok")] {
            for check in checks.iter().filter(|check| check.verdict() == verdict) {
                // For a property that holds, print only its worst leaf.
                if verdict != Passed || !self.worse_leaf(check) {
                    write!(f, "{mark:4} {:15} ", check.property)?;
                    check.row(f, *ulp)?;
                }
            }
        }
        let (ulps, reason) = check.ulps;
        writeln!(f, "tolerance: {ulps} units in the last place of the scale; {reason}")?;
        write!(f, "reproduce: {check}")
    }
}

impl Check {
    fn row(&self, f: &mut fmt::Formatter, ulp: f64) -> fmt::Result {
        match self.worst {
            Some(worst) => {
                let ((row, column), relative) = (worst.entry, worst.relative());
                let entry = format!("{}[{row},{column}]", self.leaf);
                write!(f, "{entry:26} {:12.5e} {:12.5e} ", worst.found, worst.expected)?;
                write!(f, "{:9.1e} {relative:9.1e} ", worst.absolute())?;
                write!(f, "{:9.1e} {:9.1e}", relative / ulp, self.mean)?;
            }
            None => write!(f, "{:26}", self.leaf)?,
        }
        if !self.cause.is_empty() {
            write!(f, "  {}", self.cause)?;
        }
        match self.unchecked {
            (0, _) => writeln!(f),
            (count, ref reason) => writeln!(f, "  {count} unchecked: {reason}"),
        }
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl core::error::Error for Report {}
