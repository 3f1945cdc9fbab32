//! What a forward pass is for, and all randomness in it.

use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};

/// Whether a forward pass trains or predicts. It is the only source of randomness in a pass, and the
/// caller's: the same pass over the same input gives the same output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Nothing is drawn.
    Predict,
    /// What layers draw follows from the key; [`Pass::train`] makes one.
    Train {
        /// Another one for each step and each part of a batch.
        key: u64,
    },
}

impl Pass {
    /// A training pass: step `step` of the run `seed`, over part `part` of its batch. Two that differ in
    /// one of the three share no random numbers.
    #[inline(always)]
    pub const fn train(seed: u64, step: u64, part: u64) -> Self {
        Pass::Train { key: hash([seed, step, part]) }
    }

    /// A seed for one layer in training, another one at each call; `None` when predicting.
    #[inline(always)]
    pub const fn seed(&mut self) -> Option<u64> {
        match self {
            Pass::Predict => None,
            Pass::Train { key } => {
                *key = hash([*key, 0, 0]);
                // Not the key itself, from which the next seed is made.
                Some(mix(*key ^ LAYER))
            }
        }
    }

    /// A generator for one layer in training, another one at each call; `None` when predicting.
    #[inline]
    pub fn rng(&mut self) -> Option<Xoshiro128PlusPlus> {
        self.seed().map(Xoshiro128PlusPlus::seed_from_u64)
    }
}

/// Sets the seeds of layers apart from the keys of passes.
const LAYER: u64 = 0xa076_1d64_78bd_642f;

/// Words to one, so that words which differ in one bit give results that share nothing.
#[inline(always)]
pub(crate) const fn hash([a, b, c]: [u64; 3]) -> u64 {
    mix(mix(mix(a).wrapping_add(b)).wrapping_add(c))
}

/// A bijection, SplitMix64's. (Steele, Lea and Flood, 2014.)
#[inline(always)]
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
