//! Peers that were of no use, and when each may be tried again: a pause that doubles each time.
//!
//! Bounded: of too many, the one that may be tried first makes room.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

#[derive(Clone, Copy, Debug)]
struct Pause {
    count: u32,
    again_at: Instant,
}

/// Who is left alone for now.
#[derive(Debug)]
pub(super) struct Pauses {
    first: Duration,
    doublings_max: u32,
    peers_max: usize,
    peers: HashMap<PeerId, Pause>,
}

impl Pauses {
    /// The `first` pause is doubled at most so often; so many peers are remembered.
    pub(super) fn new(first: Duration, doublings_max: u32, peers_max: usize) -> Self {
        Self { first, doublings_max, peers_max, peers: HashMap::new() }
    }

    /// Whether this peer may be tried now.
    pub(super) fn may(&self, peer: &PeerId, now: Instant) -> bool {
        self.peers.get(peer).is_none_or(|pause| pause.again_at <= now)
    }

    /// It was tried in vain.
    pub(super) fn on_vain(&mut self, peer: PeerId, now: Instant) {
        if !self.peers.contains_key(&peer)
            && self.peers.len() >= self.peers_max
            && let Some(first) = self.peers.iter().min_by_key(|(_, pause)| pause.again_at).map(|(peer, _)| *peer)
        {
            self.peers.remove(&first);
        }
        let pause = self.peers.entry(peer).or_insert(Pause { count: 0, again_at: now });
        pause.again_at = now + self.first * (1 << pause.count);
        pause.count = (pause.count + 1).min(self.doublings_max);
    }

    /// It was of use.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_end_with_success() {
        let (now, peer) = (Instant::now(), PeerId::random());
        let mut pauses = Pauses::new(Duration::from_secs(1), 3, 8);
        assert!(pauses.may(&peer, now));
        let mut seconds = Vec::new();
        for _ in 0..6 {
            pauses.on_vain(peer, now);
            seconds.push((pauses.peers[&peer].again_at - now).as_secs());
        }
        assert_eq!(seconds, [1, 2, 4, 8, 8, 8]);
        assert!(!pauses.may(&peer, now + Duration::from_millis(7_999)) && pauses.may(&peer, now + Duration::from_secs(8)));
        pauses.forget(&peer);
        assert!(pauses.may(&peer, now));
    }

    #[test]
    fn whoever_may_be_tried_first_makes_room() {
        let now = Instant::now();
        let mut pauses = Pauses::new(Duration::from_secs(1), 3, 4);
        let worst = PeerId::random();
        for _ in 0..3 {
            pauses.on_vain(worst, now);
        }
        for _ in 0..20 {
            pauses.on_vain(PeerId::random(), now);
        }
        assert_eq!(pauses.peers.len(), 4);
        assert!(!pauses.may(&worst, now));
    }
}
