//! A behaviour that only members of the network ever meet.
//!
//! A node of a network with a rendezvous is connected to peers that have nothing to do with Shoal.
//! They get no handler of ours: to them the protocol is not there, and whatever they send as if it
//! were is refused in negotiation. Who is a member is a function of the name alone: an ed25519 key
//! with as much work in it as the network asks for. That is a price, not a proof of good will.

use std::ops::{Deref, DerefMut};
use std::task::{Context, Poll};

use either::Either;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::identity::{node_of, work_bits};

/// Whether this name may take part in a network that asks for so many bits of work.
pub(super) fn is_member(peer: &PeerId, bits: u8) -> bool {
    node_of(peer).is_some_and(|node| bits == 0 || work_bits(&node) >= bits)
}

/// `inner`, hidden from everybody else.
pub(super) struct Members<B> {
    inner: B,
    bits: u8,
}

impl<B> Members<B> {
    pub(super) const fn new(inner: B, bits: u8) -> Self {
        Self { inner, bits }
    }

    fn is_member(&self, peer: &PeerId) -> bool {
        is_member(peer, self.bits)
    }
}

impl<B> Deref for Members<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.inner
    }
}

impl<B> DerefMut for Members<B> {
    fn deref_mut(&mut self) -> &mut B {
        &mut self.inner
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Members<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.is_member(&peer) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner.handle_established_inbound_connection(id, peer, local, remote).map(Either::Left)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if peer.is_some_and(|peer| !self.is_member(&peer)) {
            return Ok(Vec::new());
        }
        self.inner.handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.is_member(&peer) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner.handle_established_outbound_connection(id, peer, address, role, port).map(Either::Left)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        let about = match &event {
            FromSwarm::ConnectionEstablished(event) => Some(event.peer_id),
            FromSwarm::ConnectionClosed(event) => Some(event.peer_id),
            FromSwarm::AddressChange(event) => Some(event.peer_id),
            FromSwarm::DialFailure(event) => event.peer_id,
            FromSwarm::ListenFailure(event) => event.peer_id,
            FromSwarm::NewExternalAddrOfPeer(event) => Some(event.peer_id),
            _ => None,
        };
        if about.is_none_or(|peer| self.is_member(&peer)) {
            self.inner.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            Either::Left(event) => self.inner.on_connection_handler_event(peer, id, event),
            Either::Right(never) => match never {},
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx).map(|action| action.map_in(Either::Left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use libp2p::ping;

    fn peer(identity: &Identity) -> PeerId {
        identity.keypair().public().to_peer_id()
    }

    #[test]
    fn members_have_our_kind_of_key_and_enough_work_in_it() {
        let worked = Identity::generate_with_work(5);
        let idle = loop {
            let identity = Identity::generate();
            if work_bits(&identity.node_id()) == 0 {
                break identity;
            }
        };
        assert!(is_member(&peer(&worked), 5) && is_member(&peer(&idle), 0));
        assert!(!is_member(&peer(&idle), 1));
        assert!(!is_member(&PeerId::random(), 0), "a hashed key, as RSA has");
    }

    #[test]
    fn others_get_no_handler() {
        let mut hidden = Members::new(ping::Behaviour::default(), 0);
        let (id, here, there) = (ConnectionId::new_unchecked(1), Multiaddr::empty(), Multiaddr::empty());
        let member = peer(&Identity::generate());
        let met = hidden.handle_established_inbound_connection(id, member, &here, &there).unwrap();
        assert!(matches!(met, Either::Left(_)));
        let foreign = hidden.handle_established_inbound_connection(id, PeerId::random(), &here, &there).unwrap();
        assert!(matches!(foreign, Either::Right(_)));
        let (role, port) = (Endpoint::Dialer, PortUse::New);
        let foreign = hidden.handle_established_outbound_connection(id, PeerId::random(), &there, role, port).unwrap();
        assert!(matches!(foreign, Either::Right(_)));
    }
}
