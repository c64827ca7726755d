//! Who is connected, and who of them is in which of our runs.
//!
//! ```text
//!   connected ------ subscribed to a run's topic --------> up in that run
//!       ^                                                   |
//!       +---------- unsubscribed, or the last link lost ----+
//! ```
//! A peer goes up once in a run, however many connections there are, and down once. Entries exist only
//! for connected peers, and only runs that we are in are noted, so the bounds on connections and on
//! runs are this table's bounds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use shoal_protocol::id::{NodeId, RunId};

use super::address::{Prefix, TransportKind, is_relayed, transport_of};
use super::parting::Tie;
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
    /// The runs that we share with the peer.
    pub runs: Vec<RunId>,
    /// Gossip's opinion: 0 is neutral, below -500 the peer gets no gossip, below -2,500 it is not heard.
    pub score: Option<f64>,
}

impl PeerInfo {
    /// Whether the peer is in this run of ours.
    #[must_use]
    pub fn is_in(&self, run: &RunId) -> bool {
        self.runs.contains(run)
    }
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
    /// When the first of them was made.
    since: Instant,
    listens: Vec<Multiaddr>,
    rtt: Option<Duration>,
    agent: String,
    up_in: BTreeSet<RunId>,
}

/// A peer that has just gone up or down in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Up(RunId, NodeId, Option<Prefix>),
    Down(RunId, NodeId),
}

/// All connected peers.
#[derive(Default)]
pub(super) struct Peers {
    table: HashMap<PeerId, Peer>,
    /// How many are up in each run.
    up: BTreeMap<RunId, usize>,
}

impl Peers {
    /// Connected peers.
    pub(super) fn connected(&self) -> usize {
        self.table.len()
    }

    /// Connected peers of this run.
    pub(super) fn up(&self, run: &RunId) -> usize {
        self.up.get(run).copied().unwrap_or(0)
    }

    /// Whether this peer is up in some run.
    pub(super) fn is_up(&self, peer: &PeerId) -> bool {
        self.table.get(peer).is_some_and(|entry| !entry.up_in.is_empty())
    }

    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.table.contains_key(peer)
    }

    /// Where we dialled this peer, if a direct connection is ours.
    pub(super) fn dialled_at(&self, peer: &PeerId) -> Option<Multiaddr> {
        let mut links = self.table.get(peer)?.links.iter();
        links.find(|link| link.direction == Direction::Outbound && !link.relayed).map(|link| link.address.clone())
    }

    /// Whether this connection with this peer stands.
    pub(super) fn has_link(&self, peer: &PeerId, connection: ConnectionId) -> bool {
        self.table.get(peer).is_some_and(|peer| peer.links.iter().any(|link| link.connection == connection))
    }

    /// Whether this peer is connected directly by QUIC.
    pub(super) fn has_quic(&self, peer: &PeerId) -> bool {
        let quic = |link: &Link| !link.relayed && transport_of(&link.address) == TransportKind::Quic;
        self.table.get(peer).is_some_and(|peer| peer.links.iter().any(quic))
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
            since: Instant::now(),
            listens: Vec::new(),
            rtt: None,
            agent: String::new(),
            up_in: BTreeSet::new(),
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

    /// What the end of a connection changes; nothing while there is another with the same peer.
    pub(super) fn on_closed(&mut self, peer: &PeerId, connection: ConnectionId) -> Vec<Change> {
        let Some(entry) = self.table.get_mut(peer) else { return Vec::new() };
        entry.links.retain(|link| link.connection != connection);
        if !entry.links.is_empty() {
            return Vec::new();
        }
        let Some(entry) = self.table.remove(peer) else { return Vec::new() };
        for run in &entry.up_in {
            self.count_down(run);
        }
        entry.up_in.iter().map(|&run| Change::Down(run, entry.node)).collect()
    }

    /// The peer says that it is in `run`, which is ours, or no longer.
    pub(super) fn on_subscribed(&mut self, peer: &PeerId, run: RunId, subscribed: bool) -> Option<Change> {
        let entry = self.table.get_mut(peer)?;
        if subscribed {
            if !entry.up_in.insert(run) {
                return None;
            }
            *self.up.entry(run).or_default() += 1;
            return Some(Change::Up(run, entry.node, entry.links.first().and_then(|link| Prefix::of(&link.address))));
        }
        if !entry.up_in.remove(&run) {
            return None;
        }
        let node = entry.node;
        self.count_down(&run);
        Some(Change::Down(run, node))
    }

    /// We are no longer in `run`: returns who was up in it. Nobody is told.
    pub(super) fn forget_run(&mut self, run: &RunId) -> Vec<PeerId> {
        self.up.remove(run);
        self.table.iter_mut().filter_map(|(id, entry)| entry.up_in.remove(run).then_some(*id)).collect()
    }

    fn count_down(&mut self, run: &RunId) {
        if let Some(count) = self.up.get_mut(run) {
            *count = count.saturating_sub(1);
        }
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

    /// The connections with peers that are up in some run, as far as this table knows them: nothing is held,
    /// and all are in use.
    pub(super) fn ties(&self) -> impl Iterator<Item = Tie> + '_ {
        let up = self.table.iter().filter(|(_, peer)| !peer.up_in.is_empty());
        up.map(|(id, peer)| Tie {
            peer: *id,
            since: peer.since,
            quiet_since: None,
            outgoing: peer.links.iter().any(|link| link.direction == Direction::Outbound),
            // Whom nobody can call at an address of its own is reached through a relay or not at all.
            dear: peer.links.iter().all(|link| link.relayed) || peer.listens.iter().all(is_relayed),
            held: false,
            prefix: peer.links.first().and_then(|link| Prefix::of(&link.address)),
            runs: peer.up_in.iter().copied().collect(),
        })
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
                runs: peer.up_in.iter().copied().collect(),
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

    const RUN: RunId = RunId([1; 32]);
    const OTHER: RunId = RunId([2; 32]);

    fn dialed(address: &str) -> ConnectedPoint {
        ConnectedPoint::Dialer { address: address.parse().unwrap(), role_override: Endpoint::Dialer, port_use: PortUse::New }
    }

    #[test]
    fn a_peer_goes_up_once_and_down_once() {
        let identity = Identity::from_seed(&[1; 32]);
        let (node, peer) = (identity.node_id(), identity.keypair().public().to_peer_id());
        let (one, two) = (ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2));
        let mut peers = Peers::default();
        assert_eq!(peers.on_subscribed(&peer, RUN, true), None, "not connected");
        peers.on_connected(peer, one, &dialed(&format!("/ip4/192.0.2.9/tcp/7/p2p/{peer}")));
        peers.on_connected(peer, two, &dialed("/ip4/192.0.2.9/udp/7/quic-v1"));
        assert!(peers.is_linked(&"/ip4/192.0.2.9/tcp/7".parse().unwrap()));
        assert_eq!((peers.connected(), peers.up(&RUN)), (1, 0));
        assert_eq!(peers.on_subscribed(&peer, RUN, true), Some(Change::Up(RUN, node, Some(Prefix::V4([192, 0, 2])))));
        assert_eq!(peers.on_subscribed(&peer, RUN, true), None);
        assert_eq!(peers.on_closed(&peer, one), []);
        assert_eq!(peers.up(&RUN), 1);
        assert_eq!(peers.on_closed(&peer, two), [Change::Down(RUN, node)]);
        assert_eq!((peers.connected(), peers.up(&RUN)), (0, 0));
        assert_eq!(peers.on_closed(&peer, two), []);
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
        assert_eq!(peers.on_subscribed(&peer, RUN, true), Some(Change::Up(RUN, identity.node_id(), None)));
        assert_eq!(peers.on_subscribed(&peer, RUN, false), Some(Change::Down(RUN, identity.node_id())));
        assert_eq!((peers.connected(), peers.up(&RUN)), (1, 0));
        peers.on_identified(&peer, &format!("evil\n\u{1b}[31m{}", "x".repeat(1_000)), Vec::new());
        let info = &peers.snapshot(|_| None)[0];
        assert_eq!(info.agent.chars().count(), AGENT_CHARS_MAX);
        assert!(info.agent.starts_with("evil[31m"));
    }
    #[test]
    fn runs_are_kept_apart() {
        let identity = Identity::from_seed(&[3; 32]);
        let (node, peer) = (identity.node_id(), identity.keypair().public().to_peer_id());
        let one = ConnectionId::new_unchecked(1);
        let mut peers = Peers::default();
        peers.on_connected(peer, one, &dialed("/ip4/127.0.0.1/tcp/7"));
        for run in [RUN, OTHER] {
            assert_eq!(peers.on_subscribed(&peer, run, true), Some(Change::Up(run, node, None)));
        }
        let info = &peers.snapshot(|_| None)[0];
        assert!(info.is_in(&RUN) && info.is_in(&OTHER));
        assert_eq!((peers.forget_run(&RUN), peers.up(&RUN), peers.up(&OTHER)), (vec![peer], 0, 1));
        assert!(peers.is_up(&peer));
        assert_eq!(peers.on_closed(&peer, one), [Change::Down(OTHER, node)], "the forgotten run is told of no more");
        assert!(!peers.is_up(&peer));
    }
}
