//! What must hold after every event, whatever the scenario: a violation is a bug of the machine, and
//! ends the simulation with the seed and the time at which it shows.

use core::fmt;
use std::collections::BTreeSet;

use shoal_protocol::id::Digest;
use shoal_protocol::peer::{Entry, Peer};
use shoal_protocol::time::Time;

/// Bounds of [`Peer::queue_lengths`]: inbox, asks, recent digests, served peers (PROTOCOL 9). Asks
/// are those of bodies, 16, beside those of one join: 8 heads, then 3 donors.
const QUEUES_MAX: [usize; 4] = [1_024, 24, 1_024, 256];

/// What one node has done that it must not do twice.
#[derive(Debug, Default)]
pub(crate) struct Record {
    mixed: BTreeSet<Digest>,
}

/// Where and when: for the message of a failed check.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) now: Time,
    pub(crate) node: usize,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, {} us, node {}", self.seed, self.now.0, self.node)
    }
}

impl Scene {
    pub(crate) fn queues(self, peer: &Peer) {
        let lengths = peer.queue_lengths();
        let bounded = lengths.iter().zip(QUEUES_MAX).all(|(&length, max)| length <= max);
        assert!(bounded, "{self}: queues of {lengths:?} are past their bounds {QUEUES_MAX:?}");
    }

    pub(crate) fn mixes_once(self, record: &mut Record, entries: &[Entry]) {
        for entry in entries {
            assert!(record.mixed.insert(entry.digest), "{self}: body {} is mixed twice", entry.digest);
        }
    }

    pub(crate) fn finite(self, weights: &[f32]) {
        let place = weights.iter().position(|weight| !weight.is_finite());
        assert!(place.is_none(), "{self}: weight {place:?} is not finite");
    }
}
