//! Where a check is made, how much it compares, and how exactly.

use super::case::{Case, Values};
use crate::pass::Pass;
use alloc::format;
use core::fmt;

/// How much is compared with the dual numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One random direction: one pass, whatever the size. If it fails, all entries.
    Directional,
    /// Every entry: a pass for each.
    Full,
}

/// The settings of a gradient check: the point, what is compared, and the tolerance.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct GradCheck {
    seed: Option<u64>,
    batch: Option<usize>,
    values: Option<(Values, f64)>,
    pub(super) mode: Mode,
    pub(super) pass: Pass,
    pub(super) ulps: (f64, &'static str),
    pub(super) per_sample: bool,
    pub(super) differences: bool,
    pub(super) keep: bool,
}

impl Default for GradCheck {
    fn default() -> Self {
        Self::new()
    }
}

const TOLERANCE: (f64, &str) = (64.0, "a few dozen roundings of what is summed up");

impl GradCheck {
    /// All entries at random values between -2 and 2, three samples, 64 units of tolerance.
    pub const fn new() -> Self {
        GradCheck {
            seed: None,
            batch: None,
            values: None,
            mode: Mode::Full,
            pass: Pass::Predict,
            ulps: TOLERANCE,
            per_sample: true,
            differences: true,
            keep: false,
        }
    }

    /// At these values. The last line of a report names its case. If a check has many cases, this is the first
    /// one, and the others have other seeds.
    pub const fn at(mut self, case: Case) -> Self {
        let Case { seed, batch, values, margin } = case;
        (self.seed, self.batch, self.values) = (Some(seed), Some(batch), Some((values, margin)));
        self
    }

    /// At the values of this seed. If a check has many cases, this is the first one.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The number of samples.
    pub const fn batch(mut self, batch: usize) -> Self {
        self.batch = Some(batch);
        self
    }

    /// All entries, or one direction.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The pass. For a layer that draws random numbers use `Pass::Train`, so that the check includes them.
    pub fn pass(mut self, pass: Pass) -> Self {
        self.pass = pass;
        self
    }

    /// Another tolerance, in units in the last place of the scale, and why it is right.
    pub const fn tolerance(mut self, ulps: f64, reason: &'static str) -> Self {
        self.ulps = (ulps, reason);
        self
    }

    /// Whether the output of a sample depends on that sample alone. For batch normalisation it does not.
    pub const fn per_sample(mut self, per_sample: bool) -> Self {
        self.per_sample = per_sample;
        self
    }

    /// Whether the check also computes differences. They take five forward passes for each entry.
    pub const fn differences(mut self, differences: bool) -> Self {
        self.differences = differences;
        self
    }

    /// Checks a layer with the parameters that it has. Without this, the check draws the weights at random, as it draws
    /// the inputs. It always keeps statistics and frozen parameters.
    pub const fn keep_parameters(mut self) -> Self {
        self.keep = true;
        self
    }

    /// Where the check is made.
    pub fn case(&self) -> Case {
        self.set(Case { seed: 0, batch: 3, values: Values::Uniform(2.0), margin: 0.01 })
    }

    /// A case with what was set.
    pub(super) fn set(&self, case: Case) -> Case {
        let (values, margin) = self.values.unwrap_or((case.values, case.margin));
        let seed = self.seed.unwrap_or(0).wrapping_add(case.seed);
        Case { seed, batch: self.batch.unwrap_or(case.batch), values, margin }
    }
}

/// As a line of Rust that makes the same check.
impl fmt::Display for GradCheck {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let GradCheck { mode, pass, ulps: (ulps, reason), per_sample, differences, keep, .. } =
            self;
        write!(f, "GradCheck::new().at({})", self.case())?;
        let settings = [
            (*mode != Mode::Full, format!("mode(Mode::{mode:?})")),
            (*pass != Pass::Predict, format!("pass(Pass::{pass:?})")),
            ((*ulps, *reason) != TOLERANCE, format!("tolerance({ulps:?}, {reason:?})")),
            (!per_sample, "per_sample(false)".into()),
            (!differences, "differences(false)".into()),
            (*keep, "keep_parameters()".into()),
        ];
        let mut made = settings.iter().filter(|(made, _)| *made);
        made.try_for_each(|(_, setting)| write!(f, ".{setting}"))
    }
}
