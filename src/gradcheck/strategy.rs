//! Strategies for proptest: cases, which determine parameters, batches and targets.
//!
//! A case is a few small numbers for a net of any size, and shrinks towards
//! quarters, few samples and a small seed.
//!
//! ```
//! use chainrule::{Affine, D1, Zeros, gradcheck::{GradCheck, strategy}};
//! use proptest::prelude::*;
//!
//! proptest! {
//!     fn affine_is_right(case in strategy::cases(1..6)) {
//!         let check = GradCheck::new().at(case).check::<f64, D1<4>, _>(&Affine::<f64, 4, 3>::zeros());
//!         prop_assert!(check.is_ok(), "{}", check.unwrap_err());
//!     }
//! }
//! # affine_is_right();
//! ```

use super::{Case, Values};
use core::ops::Range;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// Cases with these numbers of samples, and with all values at least 0.01 from 0.
pub fn cases(samples: Range<usize>) -> impl Strategy<Value = Case> {
    away_from_kinks(samples, 0.01)
}

/// Cases with these numbers of samples, and with all values at least `margin` from 0.
pub fn away_from_kinks(samples: Range<usize>, margin: f64) -> impl Strategy<Value = Case> {
    let values = prop_oneof![
        Just(Values::Quarters),
        (1u8..=3).prop_map(|most| Values::Uniform(most.into()))
    ];
    let case = move |(seed, batch, values)| Case { seed, batch, values, margin };
    (any::<u64>(), samples, values).prop_map(case)
}

/// Cases with these numbers of samples. The values have either sign and sizes from 10⁻ᵖ to 10ᵖ, with `p` up to
/// `powers`.
pub fn magnitudes(samples: Range<usize>, powers: u8) -> impl Strategy<Value = Case> {
    let values = (1..=powers.max(1)).prop_map(|most| Values::Magnitudes(most.into()));
    let case = |(seed, batch, values)| Case { seed, batch, values, margin: 0.0 };
    (any::<u64>(), samples, values).prop_map(case)
}
