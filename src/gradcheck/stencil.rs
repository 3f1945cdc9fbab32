//! Central differences, and what they may be off by.

/// An error above this part of the size cannot be rounding or curvature.
pub(super) const BENT: f64 = 1e-3;

pub(super) const STEPS: [f64; 5] = [-2.0, -1.0, 0.0, 1.0, 2.0];

/// How much finer the second try is.
pub(super) const FINE: f64 = 64.0;

/// The step h, of the size ∛ε where a formula's error of h² meets ε/h of rounding; a power of two, so that
/// adding it is exact for numbers of the size of `value`.
pub(super) fn step(value: Option<&f64>) -> f64 {
    let size = value.map_or(1.0, |value| value.abs().max(1.0));
    (f64::EPSILON.cbrt() * size).log2().round().exp2()
}

/// A function along a line: its values at -2h, -h, 0, h and 2h.
pub(super) struct Stencil {
    pub values: [f64; 5],
    pub h: f64,
}

impl Stencil {
    /// Along number `at` of five outputs.
    pub fn of(outputs: &[Vec<f64>; 5], at: usize, h: f64) -> Self {
        Stencil { values: outputs.each_ref().map(|y| y.get(at).copied().unwrap_or(f64::NAN)), h }
    }

    /// The slope from one of the five to another.
    pub fn between(&self, from: usize, to: usize) -> f64 {
        let value = |at: usize| self.values.get(at).copied().unwrap_or(f64::NAN);
        (value(to) - value(from)) / ((to as f64 - from as f64) * self.h)
    }

    /// The slope by Richardson extrapolation from the inner and the outer two points, with an error bound. The bound is
    /// their difference plus the unevenness of the four slopes, which is about h² for a smooth function and half the
    /// jump at a kink. `None` if the unevenness is so large that a branch must have changed. `size` is that of the numbers
    /// subtracted.
    pub fn slope(&self, size: f64) -> Option<(f64, f64)> {
        let (near, far) = (self.between(1, 3), self.between(0, 4));
        let slopes @ [s1, s2, s3, s4] = [0, 1, 2, 3].map(|i| self.between(i, i + 1));
        let uneven = (s1 - 2.0 * s2 + s3).abs() + (s2 - 2.0 * s3 + s4).abs();
        let error = (near - far).abs() + uneven + 16.0 * f64::EPSILON * size / self.h;
        let steepest = slopes.into_iter().fold(size, |top, s| top.max(s.abs()));
        // Not `<=`: NaN is no kink, and fails where it is compared.
        if error > BENT * steepest { None } else { Some((near + (near - far) / 3.0, error)) }
    }
}
