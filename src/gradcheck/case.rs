//! The values at which a check runs. All come from one seed, and simple values come first.

use super::Real;
use crate::shape::{Buffer, Columns, Flat};
use alloc::{vec, vec::Vec};
use core::fmt;
use nalgebra::Dyn;
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};

/// The point of a check: the seed of all values, the number of samples, and the kind of values.
/// The same case gives the same values on every machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// The seed of all values.
    pub seed: u64,
    /// Samples in the batch.
    pub batch: usize,
    /// The kind of values.
    pub values: Values,
    /// The smallest distance of a value from 0, where most kinks are.
    pub margin: f64,
}

/// The kinds of values, from simple to extreme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// ±0.25, ±0.75, ±1.25 and ±1.75: a counterexample that can be followed by hand, on none of the
    /// usual kinks.
    Quarters,
    /// -2, -1, 1, 2, and 0 if no margin forbids it: where many layers have kinks.
    Integers,
    /// Uniform between -m and m, for this number m.
    Uniform(f64),
    /// A random sign times 10ᵖ, with p uniform between -m and m.
    Magnitudes(f64),
}

impl Case {
    /// Case number `n` of an endless list that begins with the simplest cases, so that the first failure is a small one.
    /// The first eight use quarters, the first of them with one sample. Later cases use uniform values up to 2; in every
    /// eighth case up to 30, in every eighth below 10⁻⁶. Most batches have 1, 2, 3 or 7 samples, some 33 or 129.
    pub fn numbered(n: u64) -> Self {
        let (values, margin) = match (n, n % 8) {
            (..8, _) => (Values::Quarters, 0.01),
            (_, 5) => (Values::Uniform(30.0), 0.01),
            (_, 6) => (Values::Uniform(1e-6), 1e-9),
            _ => (Values::Uniform(2.0), 0.01),
        };
        let batch = match (n, n / 2 % 4) {
            (..4, _) => 1,
            (n, _) if n % 64 == 63 => 129,
            (n, _) if n % 16 == 15 => 33,
            (_, 0) => 1,
            (_, 1) => 2,
            (_, 2) => 3,
            _ => 7,
        };
        Case { seed: n, batch, values, margin }
    }

    /// The same for parameters and for the gradient on the output, which are of ordinary size whatever
    /// the inputs are.
    pub(super) fn ordinary(&self) -> Self {
        let values = match self.values {
            Values::Uniform(most) => Values::Uniform(most.clamp(0.1, 2.0)),
            other => other,
        };
        Case { values, ..*self }
    }

    /// Fills `to`; another `salt` gives other values.
    pub fn fill<T: Real>(&self, salt: u64, to: &mut [T]) {
        let mut rng = self.rng(salt);
        for to in to {
            *to = T::narrow(self.draw(&mut rng));
        }
    }

    pub(super) fn numbers<T: Real>(&self, salt: u64, count: usize) -> Vec<T> {
        let mut numbers = vec![T::zero(); count];
        self.fill(salt, &mut numbers);
        numbers
    }

    /// A batch of inputs, or of targets.
    pub fn batch<T: Real, S: Flat>(&self, salt: u64) -> S::Batch<T, Dyn> {
        let mut x = Buffer::new(Dyn(self.batch));
        self.fill(salt, S::flat_mut::<T, Dyn>(&mut x));
        x
    }

    /// A label below `N` for each sample.
    pub fn labels<const N: usize>(&self, salt: u64) -> Vec<usize> {
        let mut rng = self.rng(salt);
        let draw = |_| ((u64::from(rng.next_u32()) * N as u64) >> 32) as usize;
        (0..self.batch).map(draw).collect()
    }

    /// A column of `N` probabilities for each sample.
    pub fn probabilities<T: Real, const N: usize>(&self, salt: u64) -> Columns<T, N, Dyn> {
        let mut rng = self.rng(salt);
        let mut t: Columns<T, N, Dyn> = Buffer::new(Dyn(self.batch));
        for column in t.as_mut_slice().chunks_exact_mut(N.max(1)) {
            let sizes: [f64; N] = core::array::from_fn(|_| unit(&mut rng));
            let sum: f64 = sizes.iter().sum();
            for (t, size) in column.iter_mut().zip(sizes) {
                *t = T::narrow(size / sum);
            }
        }
        t
    }

    pub(super) fn rng(&self, salt: u64) -> Xoshiro128PlusPlus {
        Xoshiro128PlusPlus::seed_from_u64(self.seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn draw(&self, rng: &mut impl Rng) -> f64 {
        let (u, sign) = (unit(rng), if rng.next_u32() & 1 == 0 { 1.0 } else { -1.0 });
        let size = match self.values {
            Values::Quarters => 0.25 + 0.5 * (4.0 * u).floor(),
            Values::Integers if self.margin <= 0.0 => (3.0 * u).floor(),
            Values::Integers => 1.0 + (2.0 * u).floor(),
            Values::Uniform(most) => self.margin + (most - self.margin) * u,
            Values::Magnitudes(most) => 10_f64.powf(most * (2.0 * u - 1.0)).max(self.margin),
        };
        sign * size
    }
}

/// Prints a line of Rust that repeats the case.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Case { seed, batch, values, margin } = self;
        write!(
            f,
            "Case {{ seed: {seed}, batch: {batch}, values: Values::{values:?}, margin: {margin:?} }}"
        )
    }
}

/// In [0, 1).
pub(super) fn unit(rng: &mut impl Rng) -> f64 {
    f64::from(rng.next_u32()) / 2_f64.powi(32)
}
