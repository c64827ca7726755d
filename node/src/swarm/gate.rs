//! Who is let in at all: nobody whose key is not ed25519, and nobody who is banned.
//!
//! A ban is a time; when it is over the peer may come again. The gate stands before every other
//! behaviour, so a refused connection costs a handshake and nothing more.

use std::collections::{HashMap, VecDeque};
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

use crate::identity::node_of;

/// Most bans held at a time; the one that ends first makes room. A key costs its owner nothing, so
/// a longer list would only be memory.
const BANS_MAX: usize = 1_024;

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The peer's key is not ed25519, so it cannot be a node.
    ForeignKey,
    /// The peer is banned.
    Banned,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForeignKey => "not an ed25519 key",
            Self::Banned => "banned",
        })
    }
}

impl std::error::Error for Refused {}

/// The behaviour that refuses.
#[derive(Default)]
pub(super) struct Gate {
    /// Until when each peer is banned.
    banned: HashMap<PeerId, Instant>,
    /// Connections to close.
    closing: VecDeque<PeerId>,
}

impl Gate {
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

    /// Whether this peer may be connected now.
    fn check(&self, peer: &PeerId, now: Instant) -> Result<(), Refused> {
        if self.banned.get(peer).is_some_and(|end| *end > now) {
            return Err(Refused::Banned);
        }
        if node_of(peer).is_none() { Err(Refused::ForeignKey) } else { Ok(()) }
    }

    fn admit(&self, peer: &PeerId) -> Result<(), ConnectionDenied> {
        self.check(peer, Instant::now()).map_err(ConnectionDenied::new)
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer).map(|()| dummy::ConnectionHandler)
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
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer).map(|()| dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

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
    use std::time::Duration;

    fn peer() -> PeerId {
        Identity::generate().keypair().public().to_peer_id()
    }

    #[test]
    fn a_ban_ends() {
        let (mut gate, peer, now) = (Gate::default(), peer(), Instant::now());
        let end = now + Duration::from_secs(60);
        assert_eq!(gate.check(&peer, now), Ok(()));
        gate.ban(peer, end, now);
        assert_eq!(gate.check(&peer, end - Duration::from_nanos(1)), Err(Refused::Banned));
        assert_eq!(gate.check(&peer, end), Ok(()));
    }

    #[test]
    fn foreign_keys_are_refused() {
        assert_eq!(Gate::default().check(&PeerId::random(), Instant::now()), Err(Refused::ForeignKey));
    }

    #[test]
    fn bans_are_bounded_and_the_longest_stay() {
        let (mut gate, now, longest) = (Gate::default(), Instant::now(), peer());
        gate.ban(longest, now + Duration::from_secs(1_000_000), now);
        for second in 1..=BANS_MAX as u64 + 10 {
            gate.ban(PeerId::random(), now + Duration::from_secs(second), now);
        }
        assert_eq!(gate.banned.len(), BANS_MAX);
        assert_eq!(gate.check(&longest, now), Err(Refused::Banned));
    }
}
