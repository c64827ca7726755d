//! Where peers were that were connected: whoever was let go is called again without a lookup, which would
//! call twenty others on the way.
//!
//! What is kept is what a peer said of itself, cut to size by who notes it. An address at which nobody
//! answers is forgotten. Bounded: of too many peers, the one noted the longest ago makes room.

use std::collections::{HashMap, VecDeque};

use libp2p::{Multiaddr, PeerId};

/// Peers whose addresses are kept: those of a full view.
const PEERS_MAX: usize = shoal_protocol::view::PEERS_MAX;

/// The addresses of peers by name.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    addresses: HashMap<PeerId, Vec<Multiaddr>>,
    /// Each name once, the one noted the longest ago first.
    order: VecDeque<PeerId>,
}

impl Whereabouts {
    /// This peer says that it is here; with no address it is forgotten.
    pub(super) fn note(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        self.forget(&peer);
        if addresses.is_empty() {
            return;
        }
        if self.order.len() >= PEERS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.addresses.remove(&oldest);
        }
        self.order.push_back(peer);
        self.addresses.insert(peer, addresses);
    }

    /// It is not there.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        if self.addresses.remove(peer).is_some() {
            self.order.retain(|other| other != peer);
        }
    }

    /// Where this peer said it was.
    pub(super) fn of(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.addresses.get(peer).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: usize) -> Vec<Multiaddr> {
        vec![format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()]
    }

    #[test]
    fn the_last_word_counts_and_silence_is_forgotten() {
        let (mut known, peer) = (Whereabouts::default(), PeerId::random());
        known.note(peer, address(1));
        known.note(peer, address(2));
        assert_eq!((known.of(&peer), known.order.len()), (address(2), 1));
        known.forget(&peer);
        assert_eq!((known.of(&peer), known.order.len()), (vec![], 0));
        known.note(peer, address(3));
        known.note(peer, vec![]);
        assert!(known.of(&peer).is_empty() && known.order.is_empty());
    }

    #[test]
    fn a_flood_pushes_out_the_oldest() {
        let mut known = Whereabouts::default();
        let peers: Vec<PeerId> = (0..PEERS_MAX + 10).map(|_| PeerId::random()).collect();
        for (port, peer) in peers.iter().enumerate() {
            known.note(*peer, address(port));
        }
        assert_eq!((known.order.len(), known.addresses.len()), (PEERS_MAX, PEERS_MAX));
        assert!(known.of(&peers[9]).is_empty());
        assert_eq!(known.of(&peers[10]), address(10));
    }
}
