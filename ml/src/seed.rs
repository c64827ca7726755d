//! Dice that fall the same on every machine and in every version.
//!
//! Everything random in this crate is drawn from here: ChaCha8, whose stream is a published
//! standard, and arithmetic written out below, so that no change of a dependency's sampling code
//! changes the weights two nodes start from or the split two reports speak of. Nothing here reads
//! an operating system's randomness.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of random numbers is for: two purposes never share a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Initial weights.
    Init,
    /// The order of one epoch.
    Epoch,
    /// Which examples are held out.
    Split,
    /// Which node gets which example.
    Partition,
    /// The tokens of a text.
    Sample,
}

impl Purpose {
    const fn label(self) -> &'static [u8; 16] {
        match self {
            Self::Init => b"shoal ml init v1",
            Self::Epoch => b"shoal ml epochv1",
            Self::Split => b"shoal ml splitv1",
            Self::Partition => b"shoal ml shardv1",
            Self::Sample => b"shoal ml textsv1",
        }
    }
}

/// The random stream of this seed, purpose and index (an epoch, say). The key is these three,
/// little-endian, so distinct arguments give unrelated streams.
pub(crate) fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0_u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    key[16..].copy_from_slice(purpose.label());
    ChaCha8Rng::from_seed(key)
}

/// Uniform in `0..n`; 0 if `n` is 0. The bias of the multiplication is below `n / 2^64`.
pub(crate) fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// Uniform in `[-bound, bound)`, on a grid of 2^24 values: exact in f32 on every machine.
pub(crate) fn symmetric(rng: &mut ChaCha8Rng, bound: f32) -> f32 {
    let unit = (rng.next_u32() >> 8) as f32 / (1_u32 << 24) as f32;
    (2.0 * unit - 1.0) * bound
}

/// Uniform in `[0, 1)`, on a grid of 2^53 values.
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Fisher and Yates: every order equally likely.
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_every_argument() {
        let first = |seed, purpose, index| stream(seed, purpose, index).next_u64();
        let draws = [
            first(1, Purpose::Init, 0),
            first(2, Purpose::Init, 0),
            first(1, Purpose::Epoch, 0),
            first(1, Purpose::Epoch, 1),
            first(1, Purpose::Split, 0),
            first(1, Purpose::Partition, 0),
            first(1, Purpose::Sample, 0),
        ];
        for (i, draw) in draws.iter().enumerate() {
            assert!(!draws[..i].contains(draw), "stream {i} repeats another");
        }
    }

    #[test]
    fn bounds_hold_and_both_ends_are_reached() {
        let mut rng = stream(7, Purpose::Init, 0);
        let draws: Vec<usize> = (0..1_000).map(|_| below(&mut rng, 10)).collect();
        assert!((0..10).all(|value| draws.contains(&value)) && draws.iter().all(|&value| value < 10));
        let draws: Vec<f32> = (0..1_000).map(|_| symmetric(&mut rng, 0.5)).collect();
        assert!(draws.iter().all(|draw| (-0.5..0.5).contains(draw)));
        assert!(draws.iter().any(|&draw| draw < -0.45) && draws.iter().any(|&draw| draw > 0.45));
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_stays_the_same_one() {
        let mut items: Vec<u32> = (0..12).collect();
        shuffle(&mut items, &mut stream(3, Purpose::Epoch, 5));
        let golden = items.clone();
        assert_eq!(golden, [0, 5, 9, 7, 8, 2, 11, 1, 4, 6, 3, 10]);
        items.sort_unstable();
        assert_eq!(items, (0..12).collect::<Vec<_>>());
    }
}
