//! By which way each peer was found: for people who want to know why they are alone.
//!
//! Keeps names, bounded, and decides nothing. A peer counts for the way by which we called it first;
//! one that called us was found by none of ours.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use libp2p::{Multiaddr, PeerId};

/// Peers counted for one way; beyond that the count stands still.
const FOUND_MAX: usize = 1_024;
/// Calls under way whose reason is known.
const CALLING_MAX: usize = 512;

/// How peers are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Addresses kept from an earlier life.
    Remembered,
    /// Addresses of the network and of the configuration.
    Bootstrap,
    /// Multicast DNS on the local network.
    Mdns,
    /// Addresses in a ticket.
    Ticket,
    /// The public network where strangers meet.
    Rendezvous,
    /// This network's own Kademlia.
    Kademlia,
}

impl Way {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::Remembered, Self::Bootstrap, Self::Mdns, Self::Ticket, Self::Rendezvous, Self::Kademlia];

    /// Its name in answers and on the screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Remembered => "remembered",
            Self::Bootstrap => "bootstrap",
            Self::Mdns => "mdns",
            Self::Ticket => "ticket",
            Self::Rendezvous => "rendezvous",
            Self::Kademlia => "kademlia",
        }
    }
}

/// How one way is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayStatus {
    /// Which.
    pub way: Way,
    /// What it is doing or why it is not: a few words.
    pub state: String,
    /// Peers that were found by it since the start.
    pub found: usize,
}

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Ways {
    addresses: HashMap<Multiaddr, Way>,
    calling: HashMap<PeerId, Way>,
    found: BTreeMap<Way, BTreeSet<PeerId>>,
}

impl Ways {
    /// These addresses, without their names, came by this way.
    pub(super) fn note_addresses<'a>(&mut self, way: Way, addresses: impl IntoIterator<Item = &'a Multiaddr>) {
        for address in addresses {
            self.addresses.entry(bare(address)).or_insert(way);
        }
    }

    /// Addresses that came by a way.
    pub(super) fn address_count(&self, way: Way) -> usize {
        self.addresses.values().filter(|of| **of == way).count()
    }

    /// This peer is being called because of this way.
    pub(super) fn note_call(&mut self, peer: PeerId, way: Way) {
        if self.calling.len() < CALLING_MAX {
            self.calling.entry(peer).or_insert(way);
        }
    }

    /// The call came to nothing.
    pub(super) fn on_failed(&mut self, peer: &PeerId) {
        self.calling.remove(peer);
    }

    /// A member answered our call at this address. Kademlia calls whom it meets without asking us, so
    /// what nobody else wanted was found by it.
    pub(super) fn on_answered(&mut self, peer: PeerId, address: &Multiaddr) {
        let called = self.calling.remove(&peer);
        if self.found.values().any(|found| found.contains(&peer)) {
            return;
        }
        let way = self.addresses.get(&bare(address)).copied().or(called).unwrap_or(Way::Kademlia);
        let found = self.found.entry(way).or_default();
        if found.len() < FOUND_MAX {
            found.insert(peer);
        }
    }

    pub(super) fn found(&self, way: Way) -> usize {
        self.found.get(&way).map_or(0, BTreeSet::len)
    }
}

/// An address without the name at its end.
fn bare(address: &Multiaddr) -> Multiaddr {
    let mut bare = address.clone();
    if matches!(bare.iter().last(), Some(libp2p::multiaddr::Protocol::P2p(_))) {
        bare.pop();
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_counts_once_and_for_the_way_it_was_called_by() {
        let (one, two, three) = (PeerId::random(), PeerId::random(), PeerId::random());
        let plain: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        let named: Multiaddr = format!("{plain}/p2p/{one}").parse().unwrap();
        let elsewhere: Multiaddr = "/ip4/192.0.2.2/tcp/1".parse().unwrap();
        let mut ways = Ways::default();
        ways.note_addresses(Way::Bootstrap, [&named]);
        ways.note_addresses(Way::Remembered, [&plain]);
        assert_eq!((ways.address_count(Way::Bootstrap), ways.address_count(Way::Remembered)), (1, 0));
        ways.note_call(two, Way::Rendezvous);
        ways.on_answered(one, &plain);
        ways.on_answered(two, &elsewhere);
        ways.on_answered(three, &elsewhere);
        ways.on_answered(one, &elsewhere);
        let counts = Way::ALL.map(|way| ways.found(way));
        assert_eq!(counts, [0, 1, 0, 0, 1, 1]);
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let mut ways = Ways::default();
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        for _ in 0..2 * FOUND_MAX {
            ways.note_call(PeerId::random(), Way::Mdns);
            ways.on_answered(PeerId::random(), &address);
        }
        assert_eq!(ways.calling.len(), CALLING_MAX);
        assert_eq!(ways.found(Way::Kademlia), FOUND_MAX);
    }
}
