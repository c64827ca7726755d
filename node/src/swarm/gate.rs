//! Who is let in at all, and how many of which kind.
//!
//! Members are those whose name a network accepts (`members`); everybody else is foreign. Foreign
//! peers are refused, unless the network has a rendezvous: then a bounded number of them is borne, on
//! connections where they meet none of our protocols. A ban is a time; when it is over the peer may
//! come again. The gate stands before every other behaviour, so a refused connection costs a
//! handshake and nothing more.
//!
//! Against being surrounded (an attacker who holds every connection of a node decides what it sees):
//! the last outgoing places are only for peers known long, and of one address prefix only a few are
//! called. Incoming connections never use outgoing places.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use shoal_protocol::id::NodeId;

use super::address::{Prefix, is_public, is_relayed};
use super::config::{ConnectionBounds, NetworkConfig};
use super::members::is_member;
use crate::identity::{node_of, peer_of};

/// Most bans held at a time; the one that ends first makes room. A key costs its owner little, so a
/// longer list would only be memory.
const BANS_MAX: usize = 1_024;
/// Outgoing places that only long-known peers may take, where there are at least four times as many.
const KEPT_FOR_LONG_KNOWN: usize = 2;
/// Peers that count as long known.
const LONG_KNOWN_MAX: usize = 64;
/// Of one public prefix (a /24 or /48) at most this part of the outgoing places is taken, and at least
/// [`PREFIX_LEAST`]. Guesses: a firm's or a provider's honest nodes may share one.
const PREFIX_SHARE: usize = 8;
/// See [`PREFIX_SHARE`].
const PREFIX_LEAST: usize = 4;

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The peer's key is not ed25519, so it cannot be a node.
    ForeignKey,
    /// The peer's name has less work in it than the network asks for.
    TooLittleWork,
    /// The peer is banned.
    Banned,
    /// All places for its kind are taken.
    Full,
    /// The last places are for peers known long.
    Kept,
    /// Enough connections lead to its address prefix.
    Crowded,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForeignKey => "not an ed25519 key",
            Self::TooLittleWork => "too little work in the key",
            Self::Banned => "banned",
            Self::Full => "no place left",
            Self::Kept => "the last places are for peers known long",
            Self::Crowded => "enough connections lead to its address prefix",
        })
    }
}

impl std::error::Error for Refused {}

/// What one open connection counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    peer: PeerId,
    member: bool,
    outgoing: bool,
    /// Of a public address that is the peer's own.
    prefix: Option<Prefix>,
}

/// The behaviour that refuses.
pub(super) struct Gate {
    bits: u8,
    /// Whether foreign peers are borne.
    rendezvous: bool,
    bounds: ConnectionBounds,
    long_known: HashSet<PeerId>,
    open: HashMap<ConnectionId, Place>,
    /// Until when each peer is banned.
    banned: HashMap<PeerId, Instant>,
    /// Connections to close.
    closing: VecDeque<PeerId>,
}

impl Gate {
    pub(super) fn new(config: &NetworkConfig) -> Self {
        Self {
            bits: config.identity_bits,
            rendezvous: config.rendezvous.is_some() && config.secret.is_none(),
            bounds: config.connections.clone(),
            long_known: HashSet::new(),
            open: HashMap::new(),
            banned: HashMap::new(),
            closing: VecDeque::new(),
        }
    }

    /// Keeps places for these, too.
    pub(super) fn know_long(&mut self, nodes: &[NodeId]) {
        let room = LONG_KNOWN_MAX.saturating_sub(self.long_known.len());
        self.long_known.extend(nodes.iter().filter_map(peer_of).take(room));
    }

    /// Refuses this peer until then and closes what is open. A later ban replaces an earlier one.
    pub(super) fn ban(&mut self, peer: PeerId, until: Instant, now: Instant) {
        self.banned.retain(|_, end| *end > now);
        if self.banned.len() >= BANS_MAX
            && let Some(first) = self.banned.iter().min_by_key(|(_, end)| **end).map(|(peer, _)| *peer)
        {
            self.banned.remove(&first);
        }
        self.banned.insert(peer, until);
        self.closing.push_back(peer);
    }

    /// Whether this peer may be connected now, whichever way.
    fn check(&self, peer: &PeerId, now: Instant) -> Result<(), Refused> {
        if self.banned.get(peer).is_some_and(|end| *end > now) {
            return Err(Refused::Banned);
        }
        match node_of(peer) {
            _ if self.rendezvous || is_member(peer, self.bits) => Ok(()),
            Some(_) => Err(Refused::TooLittleWork),
            None => Err(Refused::ForeignKey),
        }
    }

    fn count(&self, place: impl Fn(&Place) -> bool) -> usize {
        self.open.values().filter(|open| place(open)).count()
    }

    /// Whether there is a place for one more connection.
    fn place(&self, peer: &PeerId, outgoing: bool, address: &Multiaddr) -> Result<(), Refused> {
        let member = is_member(peer, self.bits);
        let bounds = &self.bounds;
        let max = match (member, outgoing) {
            (true, true) => bounds.established_out,
            (true, false) => bounds.established_in,
            (false, true) => bounds.foreign_out,
            (false, false) => bounds.foreign_in,
        } as usize;
        let taken = self.count(|open| open.member == member && open.outgoing == outgoing);
        if taken >= max {
            return Err(Refused::Full);
        }
        if !(member && outgoing) || self.long_known.contains(peer) {
            return Ok(());
        }
        let kept = KEPT_FOR_LONG_KNOWN.min(max / 4);
        if !self.long_known.is_empty() && taken + kept >= max {
            return Err(Refused::Kept);
        }
        let prefix = own_prefix(address);
        // A peer counts once, however many connections lead to it, and may always have another: a hole is
        // punched beside the way through the relay, QUIC is tried beside TCP.
        let there = |open: &&Place| open.member && open.outgoing && prefix.is_some() && open.prefix == prefix;
        let crowd: HashSet<PeerId> = self.open.values().filter(there).map(|open| open.peer).collect();
        if crowd.contains(peer) {
            return Ok(());
        }
        let crowd = crowd.len();
        if crowd >= PREFIX_LEAST.max(max / PREFIX_SHARE) { Err(Refused::Crowded) } else { Ok(()) }
    }

    fn admit(&self, peer: &PeerId) -> Result<(), ConnectionDenied> {
        self.check(peer, Instant::now()).map_err(|refused| denied(peer, refused))
    }

    fn admit_at(&self, peer: &PeerId, outgoing: bool, address: &Multiaddr) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.admit(peer)?;
        self.place(peer, outgoing, address).map_err(|refused| denied(peer, refused)).map(|()| dummy::ConnectionHandler)
    }
}

fn denied(peer: &PeerId, refused: Refused) -> ConnectionDenied {
    tracing::debug!(%peer, "refused: {refused}");
    ConnectionDenied::new(refused)
}

/// The prefix of a public address that is the peer's own, not its relay's.
fn own_prefix(address: &Multiaddr) -> Option<Prefix> {
    (is_public(address) && !is_relayed(address)).then(|| Prefix::of(address)).flatten()
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        address: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit_at(&peer, false, address)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        peer.map_or(Ok(()), |peer| self.admit(&peer)).map(|()| Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit_at(&peer, true, address)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                let place = Place {
                    peer: event.peer_id,
                    member: is_member(&event.peer_id, self.bits),
                    outgoing: event.endpoint.is_dialer(),
                    prefix: own_prefix(event.endpoint.get_remote_address()),
                };
                self.open.insert(event.connection_id, place);
            }
            FromSwarm::ConnectionClosed(event) => drop(self.open.remove(&event.connection_id)),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.closing
            .pop_front()
            .map_or(Poll::Pending, |peer_id| Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::All }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::networks;
    use crate::swarm::NetworkName;
    use std::time::Duration;

    fn peer() -> PeerId {
        Identity::generate().keypair().public().to_peer_id()
    }

    fn config() -> NetworkConfig {
        NetworkConfig::new(NetworkName::new("local").unwrap())
    }

    /// A gate with so many outgoing connections to members of this prefix.
    fn busy(config: &NetworkConfig, count: usize, prefix: impl Fn(usize) -> Option<Prefix>) -> Gate {
        let mut gate = Gate::new(config);
        for n in 0..count {
            gate.open
                .insert(ConnectionId::new_unchecked(n), Place { peer: peer(), member: true, outgoing: true, prefix: prefix(n) });
        }
        gate
    }

    #[test]
    fn a_ban_ends() {
        let (mut gate, peer, now) = (Gate::new(&config()), peer(), Instant::now());
        let end = now + Duration::from_secs(60);
        assert_eq!(gate.check(&peer, now), Ok(()));
        gate.ban(peer, end, now);
        assert_eq!(gate.check(&peer, end - Duration::from_nanos(1)), Err(Refused::Banned));
        assert_eq!(gate.check(&peer, end), Ok(()));
    }

    #[test]
    fn foreign_keys_are_refused_unless_there_is_a_rendezvous() {
        let now = Instant::now();
        let mut config = config();
        assert_eq!(Gate::new(&config).check(&PeerId::random(), now), Err(Refused::ForeignKey));
        config.identity_bits = 24;
        assert_eq!(Gate::new(&config).check(&peer(), now), Err(Refused::TooLittleWork));
        config.rendezvous = networks::Network::load("testnet").unwrap().rendezvous().cloned();
        assert_eq!(Gate::new(&config).check(&PeerId::random(), now), Ok(()));
        config.secret = Some(super::super::config::Secret([1; 32]));
        assert_eq!(Gate::new(&config).check(&PeerId::random(), now), Err(Refused::ForeignKey), "nobody foreign knows the secret");
    }

    #[test]
    fn foreign_peers_never_take_a_members_place() {
        let mut config = config();
        config.rendezvous = networks::Network::load("testnet").unwrap().rendezvous().cloned();
        config.connections.foreign_in = 1;
        let mut gate = Gate::new(&config);
        let there: Multiaddr = "/ip4/203.0.113.1/tcp/1".parse().unwrap();
        assert_eq!(gate.place(&PeerId::random(), false, &there), Ok(()));
        gate.open.insert(ConnectionId::new_unchecked(1), Place { peer: peer(), member: false, outgoing: false, prefix: None });
        assert_eq!(gate.place(&PeerId::random(), false, &there), Err(Refused::Full));
        assert_eq!(gate.place(&peer(), false, &there), Ok(()));
    }

    #[test]
    fn the_last_two_outgoing_places_are_for_the_long_known() {
        let (config, friend) = (config(), Identity::generate());
        let out = config.connections.established_out as usize;
        let known = |count| {
            let mut gate = busy(&config, count, |_| None);
            gate.know_long(&[friend.node_id()]);
            gate
        };
        let (friend, there) = (friend.keypair().public().to_peer_id(), "/ip4/203.0.113.1/tcp/1".parse().unwrap());
        assert_eq!(known(out - 3).place(&peer(), true, &there), Ok(()));
        assert_eq!(known(out - 2).place(&peer(), true, &there), Err(Refused::Kept));
        assert_eq!(known(out - 2).place(&peer(), false, &there), Ok(()), "incoming is another matter");
        assert_eq!(known(out - 1).place(&friend, true, &there), Ok(()));
        assert_eq!(known(out).place(&friend, true, &there), Err(Refused::Full));
        assert_eq!(busy(&config, out - 1, |_| None).place(&peer(), true, &there), Ok(()), "nobody is known long");
    }

    #[test]
    fn one_prefix_gets_a_part_of_the_outgoing_places() {
        let config = config();
        let crowd = |address: &str, count| {
            let address: Multiaddr = address.parse().unwrap();
            busy(&config, count, |_| own_prefix(&address)).place(&peer(), true, &address)
        };
        assert_eq!(crowd("/ip4/203.0.113.1/tcp/1", 3), Ok(()));
        assert_eq!(crowd("/ip4/203.0.113.1/tcp/1", 4), Err(Refused::Crowded));
        assert_eq!(crowd("/ip4/192.168.1.1/tcp/1", 9), Ok(()), "neighbours");
        assert_eq!(crowd("/ip4/127.0.0.1/tcp/1", 9), Ok(()), "ourselves");
        let relayed = format!("/ip4/203.0.113.1/tcp/1/p2p/{}/p2p-circuit", peer());
        assert_eq!(crowd(&relayed, 9), Ok(()), "the prefix is the relay's");
        let there: Multiaddr = "/ip4/203.0.113.1/udp/1/quic-v1".parse().unwrap();
        let mut gate = busy(&config, 4, |_| own_prefix(&there));
        let known = gate.open.values().next().map(|open| open.peer).unwrap();
        assert_eq!(gate.place(&known, true, &there), Ok(()), "another way to a peer that is there already");
        gate.open.values_mut().for_each(|open| open.peer = known);
        assert_eq!(gate.place(&peer(), true, &there), Ok(()), "four connections, one peer");
        let apart = busy(&config, 9, |n| Some(Prefix::V4([203, 0, n as u8])));
        assert_eq!(apart.place(&peer(), true, &"/ip4/198.51.100.1/tcp/1".parse().unwrap()), Ok(()));
    }

    #[test]
    fn bans_are_bounded_and_the_longest_stay() {
        let (mut gate, now, longest) = (Gate::new(&config()), Instant::now(), peer());
        gate.ban(longest, now + Duration::from_secs(1_000_000), now);
        for second in 1..=BANS_MAX as u64 + 10 {
            gate.ban(PeerId::random(), now + Duration::from_secs(second), now);
        }
        assert_eq!(gate.banned.len(), BANS_MAX);
        assert_eq!(gate.check(&longest, now), Err(Refused::Banned));
    }
}
