//! Who is connected, and who of them is in the run.
//!
//! ```text
//!   connected ------ subscribed to the run's topic ------> up
//!       ^                                                   |
//!       +---------- unsubscribed, or the last link lost ----+
//! ```
//! A peer goes up once, however many connections there are, and down once. Entries exist only for
//! connected peers, so the connection bounds are this table's bounds.

use std::collections::HashMap;
use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use shoal_protocol::id::NodeId;

use super::address::{Prefix, TransportKind, transport_of};
use crate::identity::node_of;

/// Longest agent name kept, in characters. It is a stranger's text.
const AGENT_CHARS_MAX: usize = 64;

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer did.
    Inbound,
    /// We did.
    Outbound,
}

/// One connected peer, as of now.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// The peer.
    pub node: NodeId,
    /// The far end of the first direct connection or, without one, our way to the relay.
    pub address: Multiaddr,
    /// Whether no connection is direct.
    pub relayed: bool,
    /// What the peer says it listens on: at most 8, dialable, unproved.
    pub listens: Vec<Multiaddr>,
    /// Who dialled it.
    pub direction: Direction,
    /// Of the same connection; of a relayed one, its way to the relay.
    pub transport: TransportKind,
    /// The last ping's round trip.
    pub rtt: Option<Duration>,
    /// What program the peer says it runs: at most 64 printable characters, a stranger's text.
    pub agent: String,
    /// Whether the peer is in our run.
    pub in_run: bool,
    /// Gossip's opinion: 0 is neutral, below -500 the peer gets no gossip, below -2,500 it is not heard.
    pub score: Option<f64>,
}

struct Link {
    connection: ConnectionId,
    address: Multiaddr,
    direction: Direction,
    relayed: bool,
}

struct Peer {
    node: NodeId,
    /// Never empty, but for the moment between two calls.
    links: Vec<Link>,
    listens: Vec<Multiaddr>,
    rtt: Option<Duration>,
    agent: String,
    up: bool,
}

/// A peer that has just gone up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Up(NodeId, Option<Prefix>),
    Down(NodeId),
}

/// All connected peers.
#[derive(Default)]
pub(super) struct Peers {
    table: HashMap<PeerId, Peer>,
    up: usize,
}

impl Peers {
    /// Connected peers.
    pub(super) fn connected(&self) -> usize {
        self.table.len()
    }

    /// Connected peers of the run.
    pub(super) const fn up(&self) -> usize {
        self.up
    }

    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.table.contains_key(peer)
    }

    /// Where we dialled this peer, if a direct connection is ours.
    pub(super) fn dialled_at(&self, peer: &PeerId) -> Option<Multiaddr> {
        let mut links = self.table.get(peer)?.links.iter();
        links.find(|link| link.direction == Direction::Outbound && !link.relayed).map(|link| link.address.clone())
    }

    /// Whether this peer is connected directly by QUIC.
    pub(super) fn has_quic(&self, peer: &PeerId) -> bool {
        let quic = |link: &Link| !link.relayed && transport_of(&link.address) == TransportKind::Quic;
        self.table.get(peer).is_some_and(|peer| peer.links.iter().any(quic))
    }

    /// Whether this peer is in the run.
    pub(super) fn is_up(&self, peer: &PeerId) -> bool {
        self.table.get(peer).is_some_and(|peer| peer.up)
    }

    /// Connections with this peer that lead through a relay, but for this one.
    pub(super) fn relayed_links(&self, peer: &PeerId, but: ConnectionId) -> Vec<ConnectionId> {
        let links = self.table.get(peer).map_or(&[][..], |peer| &peer.links);
        links.iter().filter(|link| link.connection != but && link.relayed).map(|link| link.connection).collect()
    }

    /// Whether some connection's far end is this address.
    pub(super) fn is_linked(&self, address: &Multiaddr) -> bool {
        self.table.values().flat_map(|peer| &peer.links).any(|link| link.address == *address)
    }

    pub(super) fn on_connected(&mut self, peer: PeerId, connection: ConnectionId, point: &ConnectedPoint) {
        // The gate lets no other key in.
        let Some(node) = node_of(&peer) else { return };
        let direction = if point.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        let entry = self.table.entry(peer).or_insert_with(|| Peer {
            node,
            links: Vec::new(),
            listens: Vec::new(),
            rtt: None,
            agent: String::new(),
            up: false,
        });
        // Who called us through a relay is named, but only our own end says through which.
        let mut address = match point {
            ConnectedPoint::Listener { local_addr, .. } if point.is_relayed() => local_addr.clone(),
            _ => point.get_remote_address().clone(),
        };
        if matches!(address.iter().last(), Some(libp2p::multiaddr::Protocol::P2p(_))) {
            address.pop();
        }
        entry.links.push(Link { connection, address, direction, relayed: point.is_relayed() });
    }

    pub(super) fn on_closed(&mut self, peer: &PeerId, connection: ConnectionId) -> Option<Change> {
        let entry = self.table.get_mut(peer)?;
        entry.links.retain(|link| link.connection != connection);
        if !entry.links.is_empty() {
            return None;
        }
        let entry = self.table.remove(peer)?;
        if !entry.up {
            return None;
        }
        self.up -= 1;
        Some(Change::Down(entry.node))
    }

    pub(super) fn on_subscribed(&mut self, peer: &PeerId, subscribed: bool) -> Option<Change> {
        let entry = self.table.get_mut(peer)?;
        if entry.up == subscribed {
            return None;
        }
        entry.up = subscribed;
        if subscribed {
            self.up += 1;
            return Some(Change::Up(entry.node, entry.links.first().and_then(|link| Prefix::of(&link.address))));
        }
        self.up -= 1;
        Some(Change::Down(entry.node))
    }

    pub(super) fn on_ping(&mut self, peer: &PeerId, rtt: Duration) {
        if let Some(entry) = self.table.get_mut(peer) {
            entry.rtt = Some(rtt);
        }
    }

    pub(super) fn on_identified(&mut self, peer: &PeerId, agent: &str, listens: Vec<Multiaddr>) {
        if let Some(entry) = self.table.get_mut(peer) {
            entry.agent = agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect();
            entry.listens = listens;
        }
    }

    /// Everybody, sorted by name.
    pub(super) fn snapshot(&self, score: impl Fn(&PeerId) -> Option<f64>) -> Vec<PeerInfo> {
        let info = |(id, peer): (&PeerId, &Peer)| {
            let first = peer.links.iter().find(|link| !link.relayed).or(peer.links.first())?;
            Some(PeerInfo {
                node: peer.node,
                address: first.address.clone(),
                relayed: first.relayed,
                listens: peer.listens.clone(),
                direction: first.direction,
                transport: transport_of(&first.address),
                rtt: peer.rtt,
                agent: peer.agent.clone(),
                in_run: peer.up,
                score: score(id),
            })
        };
        let mut all: Vec<_> = self.table.iter().filter_map(info).collect();
        all.sort_by_key(|peer| peer.node);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    fn dialed(address: &str) -> ConnectedPoint {
        ConnectedPoint::Dialer { address: address.parse().unwrap(), role_override: Endpoint::Dialer, port_use: PortUse::New }
    }

    #[test]
    fn a_peer_goes_up_once_and_down_once() {
        let identity = Identity::from_seed(&[1; 32]);
        let (node, peer) = (identity.node_id(), identity.keypair().public().to_peer_id());
        let (one, two) = (ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2));
        let mut peers = Peers::default();
        assert_eq!(peers.on_subscribed(&peer, true), None, "not connected");
        peers.on_connected(peer, one, &dialed(&format!("/ip4/192.0.2.9/tcp/7/p2p/{peer}")));
        peers.on_connected(peer, two, &dialed("/ip4/192.0.2.9/udp/7/quic-v1"));
        assert!(peers.is_linked(&"/ip4/192.0.2.9/tcp/7".parse().unwrap()));
        assert_eq!((peers.connected(), peers.up()), (1, 0));
        assert_eq!(peers.on_subscribed(&peer, true), Some(Change::Up(node, Some(Prefix::V4([192, 0, 2])))));
        assert_eq!(peers.on_subscribed(&peer, true), None);
        assert_eq!(peers.on_closed(&peer, one), None);
        assert_eq!(peers.up(), 1);
        assert_eq!(peers.on_closed(&peer, two), Some(Change::Down(node)));
        assert_eq!((peers.connected(), peers.up()), (0, 0));
        assert_eq!(peers.on_closed(&peer, two), None);
    }

    #[test]
    fn a_direct_way_is_shown_before_a_relayed_one() {
        let peer = Identity::from_seed(&[3; 32]).keypair().public().to_peer_id();
        let relay = "/ip4/203.0.113.1/tcp/7/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit";
        let called = ConnectedPoint::Listener {
            local_addr: relay.parse().unwrap(),
            send_back_addr: format!("/p2p/{peer}").parse().unwrap(),
        };
        let (one, two) = (ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2));
        let mut peers = Peers::default();
        peers.on_connected(peer, one, &called);
        let info = &peers.snapshot(|_| None)[0];
        assert!(info.relayed && info.address.to_string() == relay && !peers.has_quic(&peer));
        peers.on_connected(peer, two, &dialed("/ip4/198.51.100.7/udp/7/quic-v1"));
        let info = &peers.snapshot(|_| None)[0];
        assert_eq!((info.relayed, info.transport), (false, TransportKind::Quic));
        assert_eq!((peers.relayed_links(&peer, two), peers.has_quic(&peer)), (vec![one], true));
        assert_eq!(peers.dialled_at(&peer), Some("/ip4/198.51.100.7/udp/7/quic-v1".parse().unwrap()));
    }

    #[test]
    fn leaving_the_run_is_going_down() {
        let identity = Identity::from_seed(&[2; 32]);
        let peer = identity.keypair().public().to_peer_id();
        let mut peers = Peers::default();
        peers.on_connected(peer, ConnectionId::new_unchecked(1), &dialed("/ip4/127.0.0.1/tcp/7"));
        assert_eq!(peers.on_subscribed(&peer, true), Some(Change::Up(identity.node_id(), None)));
        assert_eq!(peers.on_subscribed(&peer, false), Some(Change::Down(identity.node_id())));
        assert_eq!((peers.connected(), peers.up()), (1, 0));
        peers.on_identified(&peer, &format!("evil\n\u{1b}[31m{}", "x".repeat(1_000)), Vec::new());
        let info = &peers.snapshot(|_| None)[0];
        assert_eq!(info.agent.chars().count(), AGENT_CHARS_MAX);
        assert!(info.agent.starts_with("evil[31m"));
    }
}
