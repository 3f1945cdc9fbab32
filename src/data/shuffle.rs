//! A random order of samples that takes no memory.

use crate::pass::{hash, mix};

/// A random order of the numbers below `len`: each occurs once. The order follows from the seed, and it is the
/// same on every target.
///
/// It is a Feistel network (Luby and Rackoff, 1988), which computes the number in any place of the order without a
/// list. So an epoch needs no memory for its order, and a training can continue in the middle of one.
///
/// ```
/// use chainrule::data::Shuffle;
///
/// let mut order: Vec<_> = Shuffle::new(10, 0).iter().collect();
/// assert_ne!(order, (0..10).collect::<Vec<_>>());
/// order.sort();
/// assert_eq!(order, (0..10).collect::<Vec<_>>());
/// ```
#[doc(alias("permutation", "randperm", "RandomSampler"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shuffle {
    len: usize,
    key: u64,
}

impl Shuffle {
    /// A random order of the numbers below `len`.
    pub const fn new(len: usize, seed: u64) -> Self {
        Shuffle { len, key: hash([seed, ORDER, 0]) }
    }

    /// The number in this place of the order. `place` must be below `len`; if not, so is the result.
    pub const fn get(&self, place: usize) -> usize {
        if place >= self.len {
            return place;
        }
        // The network permutes all numbers of this many bits. Numbers that are not below `len` are mixed again.
        let bits = usize::BITS - (self.len - 1).leading_zeros();
        let widths = [bits / 2, bits - bits / 2];
        // Short numbers mix slowly. The count is even, so that both halves have their own width again.
        let rounds = 8 + 2 * (24 / if bits == 0 { 1 } else { bits as u64 });
        let mut number = place as u64;
        loop {
            let [mut high_bits, mut low_bits] = widths;
            let (mut high, mut low) = (number >> low_bits, number & mask(low_bits));
            let mut round = 0;
            while round < rounds {
                let mixed = mix(self.key ^ (round << 56) ^ low);
                (high, low) = (low, high ^ (mixed & mask(high_bits)));
                (high_bits, low_bits) = (low_bits, high_bits);
                round += 1;
            }
            number = (high << low_bits) | low;
            if number < self.len as u64 {
                return number as usize;
            }
        }
    }

    /// The whole order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let order = *self;
        (0..self.len).map(move |place| order.get(place))
    }
}

/// Makes the seeds of orders different from other uses of the same seed.
const ORDER: u64 = 0x6f72_6465_7273_7365;

/// The lowest `bits` bits.
const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}
