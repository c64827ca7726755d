//! Choices that must be local and unpredictable to others, yet repeatable from a seed.
//!
//! A node picks whom it hears by itself; if a stranger could foresee the picks it could place its
//! messages. The host gives a secret seed once; every draw is BLAKE3 output, so the simulator gets
//! the same draws again from the same seed.

/// A stream of draws.
#[derive(Clone)]
pub struct Dice(blake3::OutputReader);

impl core::fmt::Debug for Dice {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Dice(..)")
    }
}

impl Dice {
    /// Dice that fall the same way for the same seed.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(seed).update(b"shoal dice").finalize_xof())
    }

    fn next(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Uniform in `0..bound`, without modulo bias; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        if bound == 0 {
            return 0;
        }
        // Lemire's multiply-and-reject.
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// Puts the items in a uniformly random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_by_seed_and_cover_the_range() {
        let mut first = Dice::new(&[1; 32]);
        let mut again = Dice::new(&[1; 32]);
        let mut counts = [0_u32; 5];
        for _ in 0..5_000 {
            let draw = first.below(5);
            assert_eq!(draw, again.below(5));
            counts[draw] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1_150).contains(&count)), "{counts:?}");
        let mut items: Vec<u32> = (0..50).collect();
        first.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
        assert_eq!(first.below(0), 0);
    }
}
