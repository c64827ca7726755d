//! A keyed permutation of `0..len` that is computed, not kept: a shuffle of any length in forty bytes.
//!
//! A Feistel network over the smallest even number of bits that holds every index; what falls outside is
//! sent round again until it falls inside (cycle walking: Black and Rogaway 2002), fewer than four times
//! in the mean. Luby and Rackoff (1988) need four rounds of good functions; these are cheap ones, so there
//! are twice as many. It orders examples; it keeps no secret.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// Twice what good functions need.
const ROUNDS: usize = 8;

/// An order of `0..len`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permutation {
    len: u32,
    /// Bits of either half.
    half_bits: u32,
    keys: [u32; ROUNDS],
}

impl Permutation {
    /// Draws one of `0..len`.
    pub(crate) fn new(len: u32, rng: &mut ChaCha8Rng) -> Self {
        let bits = u32::BITS - len.saturating_sub(1).leading_zeros();
        let keys = std::array::from_fn(|_| rng.next_u32());
        Self { len, half_bits: bits.div_ceil(2).max(1), keys }
    }

    /// Where `index` goes. Both are below `len`; an `index` that is not goes nowhere and is given back.
    pub(crate) fn at(&self, index: u32) -> u32 {
        if index >= self.len {
            return index;
        }
        let mut at = self.once(index);
        // Ends: the network is a permutation, so the walk returns to `index` at the latest.
        while at >= self.len {
            at = self.once(at);
        }
        at
    }

    fn once(&self, index: u32) -> u32 {
        let mask = (1_u32 << self.half_bits) - 1;
        let (mut left, mut right) = (index >> self.half_bits, index & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mixed(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// The finaliser of MurmurHash3 (Appleby 2011).
const fn mixed(mut word: u32) -> u32 {
    word ^= word >> 16;
    word = word.wrapping_mul(0x85EB_CA6B);
    word ^= word >> 13;
    word = word.wrapping_mul(0xC2B2_AE35);
    word ^ (word >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{self, Purpose};
    use proptest::prelude::*;

    fn drawn(len: u32, seed: u64) -> Permutation {
        Permutation::new(len, &mut seed::stream(seed, Purpose::Epoch, 0))
    }

    proptest! {
        #[test]
        fn every_index_has_one_place(len in 1_u32..3_000, seed: u64) {
            let permutation = drawn(len, seed);
            let mut places: Vec<u32> = (0..len).map(|index| permutation.at(index)).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..len).collect::<Vec<_>>());
        }

        #[test]
        fn the_longest_stays_within_its_bounds(index: u32, seed: u64) {
            prop_assert!(drawn(u32::MAX, seed).at(index.min(u32::MAX - 1)) < u32::MAX);
            prop_assert_eq!(drawn(7, seed).at(u32::MAX), u32::MAX, "what is outside stays there");
        }
    }

    #[test]
    fn neighbours_are_torn_apart() {
        let len = 100_000_u32;
        let permutation = drawn(len, 1);
        let far = (1..len).filter(|&index| permutation.at(index).abs_diff(permutation.at(index - 1)) > len / 100).count();
        // Of a fair shuffle 98 of 100 neighbours are farther apart than a hundredth.
        assert!((0.975..0.985).contains(&(far as f64 / f64::from(len))), "{far}");
        let fixed = (0..len).filter(|&index| permutation.at(index) == index).count();
        assert!(fixed < 10, "one fixed point is expected: {fixed}");
        assert_ne!(permutation.at(5), drawn(len, 2).at(5));
    }

    #[test]
    fn it_stays_what_it_was() {
        let permutation = drawn(10, 3);
        let golden: Vec<u32> = (0..10).map(|index| permutation.at(index)).collect();
        assert_eq!(golden, [6, 0, 9, 1, 3, 4, 2, 7, 5, 8]);
    }
}
