//! Which examples come next: an endless walk through a data set in shuffled epochs.
//!
//! Each epoch's order is a shuffle of its own seed, so a place in the walk is two numbers and a
//! checkpoint need not hold the order. Every example is visited once an epoch; a batch may begin in
//! one epoch and end in the next. Of more examples than [`LISTED_MAX`] the order is not kept but computed,
//! example by example.

use std::ops::Range;

use crate::permutation::Permutation;
use crate::seed::{self, Purpose};

/// Most examples whose order is kept as a list: 4 MiB of it (a guess).
const LISTED_MAX: u32 = 1 << 20;

/// A place in the walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Epochs completed.
    pub(crate) epoch: u64,
    /// Examples visited in this epoch; below the number of examples.
    pub(crate) position: usize,
}

/// The walk through `len` examples.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    seed: u64,
    place: Place,
    /// Examples in an epoch.
    len: u32,
    /// The current epoch's order.
    epoch: Epoch,
}

#[derive(Clone, Debug)]
enum Epoch {
    Listed(Vec<u32>),
    Computed(Permutation),
}

impl Order {
    /// At the beginning. Of no example there is no next one: `len` is at least 1.
    pub(crate) fn new(seed: u64, len: u32) -> Self {
        let place = Place::default();
        Self { seed, place, len, epoch: Epoch::draw(len, seed, place.epoch) }
    }

    /// The next `count` examples.
    pub(crate) fn next_batch(&mut self, count: usize) -> Vec<u32> {
        let mut batch = Vec::with_capacity(count);
        while batch.len() < count && self.len > 0 {
            let end = (self.len as usize).min(self.place.position + count - batch.len());
            self.epoch.append(self.place.position..end, &mut batch);
            self.place.position = end;
            if end == self.len as usize {
                self.place = Place { epoch: self.place.epoch.wrapping_add(1), position: 0 };
                self.draw();
            }
        }
        batch
    }

    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// Goes to a place whose position is below the number of examples.
    pub(crate) fn go_to(&mut self, place: Place) {
        let stays = place.epoch == self.place.epoch;
        self.place = place;
        if !stays {
            self.draw();
        }
    }

    fn draw(&mut self) {
        self.epoch = Epoch::draw(self.len, self.seed, self.place.epoch);
    }
}

impl Epoch {
    /// The order of an epoch: the same for the same arguments.
    fn draw(len: u32, seed: u64, epoch: u64) -> Self {
        let mut rng = seed::stream(seed, Purpose::Epoch, epoch);
        if len > LISTED_MAX {
            return Self::Computed(Permutation::new(len, &mut rng));
        }
        let mut examples: Vec<u32> = (0..len).collect();
        seed::shuffle(&mut examples, &mut rng);
        Self::Listed(examples)
    }

    /// Adds what stands at these places, all of them below the number of examples.
    fn append(&self, places: Range<usize>, batch: &mut Vec<u32>) {
        match self {
            Self::Listed(examples) => batch.extend_from_slice(&examples[places]),
            // Below `len`, which is a u32.
            Self::Computed(permutation) => batch.extend(places.map(|place| permutation.at(place as u32))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_epoch_visits_every_example_once(len in 1_u32..40, count in 1_usize..40, seed: u64) {
            let mut order = Order::new(seed, len);
            let walk: Vec<u32> = (0..3 * len).flat_map(|_| order.next_batch(count)).collect();
            prop_assert_eq!(walk.len(), 3 * len as usize * count);
            for epoch in walk.chunks_exact(len as usize) {
                let mut epoch = epoch.to_vec();
                epoch.sort_unstable();
                prop_assert_eq!(epoch, (0..len).collect::<Vec<_>>());
            }
        }

        #[test]
        fn a_place_is_all_there_is_to_remember(len in 1_u32..40, before in 0_usize..9, seed: u64) {
            let mut order = Order::new(seed, len);
            (0..before).for_each(|_| drop(order.next_batch(7)));
            let mut other = Order::new(seed, len);
            other.go_to(order.place());
            prop_assert_eq!(order.next_batch(50), other.next_batch(50));
        }
    }

    #[test]
    fn epochs_and_seeds_differ() {
        let mut order = Order::new(1, 50);
        let first = order.next_batch(50);
        assert_ne!(first, order.next_batch(50));
        assert_ne!(first, Order::new(2, 50).next_batch(50));
    }

    #[test]
    fn a_long_epoch_is_computed_and_still_visits_all() {
        let len = LISTED_MAX + 1;
        let mut order = Order::new(4, len);
        assert!(matches!(order.epoch, Epoch::Computed(_)));
        let mut seen = vec![false; len as usize];
        order.next_batch(len as usize).into_iter().for_each(|example| seen[example as usize] = true);
        assert!(seen.into_iter().all(|seen| seen) && order.place() == Place { epoch: 1, position: 0 });
        let ahead = order.clone().next_batch(9);
        let mut other = Order::new(4, len);
        other.go_to(Place { epoch: 1, position: 5 });
        assert_eq!(other.next_batch(4), ahead[5..]);
    }
}
