//! Whether a forward pass trains or predicts, and the source of its random numbers.

use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};

/// Whether a forward pass trains or predicts. The caller passes in all randomness through this value, so the same pass
/// over the same input gives the same output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Layers draw no random numbers.
    Predict,
    /// Layers draw random numbers that depend on the key. [`Pass::train`] makes the key.
    Train {
        /// It differs for each step and each part of a batch.
        key: u64,
    },
}

impl Pass {
    /// A training pass over part `part` of the batch of step `step`, in the run with this seed. Passes that
    /// differ in one of the three draw independent random numbers.
    #[inline(always)]
    pub const fn train(seed: u64, step: u64, part: u64) -> Self {
        Pass::Train { key: hash([seed, step, part]) }
    }

    /// In training: a seed for one layer, different at each call. `None` in a prediction.
    #[inline(always)]
    pub const fn seed(&mut self) -> Option<u64> {
        match self {
            Pass::Predict => None,
            Pass::Train { key } => {
                *key = hash([*key, 0, 0]);
                // Not the key itself: the next seed is made from it.
                Some(mix(*key ^ LAYER))
            }
        }
    }

    /// In training: a generator for one layer, different at each call. `None` in a prediction.
    #[inline]
    pub fn rng(&mut self) -> Option<Xoshiro128PlusPlus> {
        self.seed().map(Xoshiro128PlusPlus::seed_from_u64)
    }
}

/// Makes the seeds of layers different from the keys of passes.
const LAYER: u64 = 0xa076_1d64_78bd_642f;

/// Hashes three words to one. If they differ in one bit, the results are unrelated.
#[inline(always)]
pub(crate) const fn hash([a, b, c]: [u64; 3]) -> u64 {
    mix(mix(mix(a).wrapping_add(b)).wrapping_add(c))
}

/// The bijection of SplitMix64. (Steele, Lea and Flood, 2014.)
#[inline(always)]
pub(crate) const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
