//! How this node can be reached, and what follows from it.
//!
//! ```text
//!   listens on loopback, or in a network of one house ──> local: what is listened on is told as it is
//!   otherwise nothing is told until it is proved:
//!     a stranger called us at a public address of ours ─┐
//!     an AutoNAT server called back ────────────────────┼──> public: Kademlia server, relay for others
//!     the configuration names an address ───────────────┘
//!     the router forwards a port (UPnP) ───────────────────> mapped: the same
//!     a relay keeps a place for us ────────────────────────> relayed
//!     tests failed, or time passed with peers and without proof ──> private
//! ```
//! Addresses of private ranges are never told to a network of strangers: they name somebody's living
//! room, every dial to them is wasted, and some reach a neighbour's device. Neighbours find each other
//! by multicast DNS. The relay sees only that two names talk; when both have punched a hole the circuit
//! is closed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, autonat, dcutr, identify, kad, relay, upnp};
use shoal_protocol::id::NodeId;

use super::Network;
use super::address::{Kept, TransportKind, ip_of, is_loopback, is_public, is_relayed, port_of, transport_of};
use super::behaviour::BehaviourEvent;
use super::config::NetworkConfig;
use super::discovery::LONELY;
use super::members::is_member;
use super::near::Near;
use super::relays::{Relays, WAYS_MAX};
use super::rendezvous::Rendezvous;
use super::ways::{Way, WayStatus, Ways};
use crate::identity::{node_of, peer_of};
use crate::networks::Scope;

/// How often relays, long-known peers and the rendezvous are looked after.
const TICK: Duration = Duration::from_secs(1);
/// How long a node with peers waits for proof before it calls itself private.
const PROOF_PATIENCE: Duration = Duration::from_secs(15);
/// How long a circuit stays open beside a direct way. Closed at once it may end at the other side before
/// that side has noticed the direct way; it then forgets what we are subscribed to, and we never repeat it.
const CIRCUIT_LINGERS: Duration = Duration::from_secs(8);
/// Circuits that wait to be closed; one beyond that ends by its own bounds.
const UPGRADED_MAX: usize = 64;
/// Long-known peers of which two are kept connected.
const LONG_KNOWN_MAX: usize = 64;
/// Long-known peers that are kept connected.
pub(super) const LONG_KNOWN_WANTED: usize = 2;

/// How a node can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// By everybody, at an address of its own.
    Public,
    /// By everybody, at a port that the router forwards.
    Mapped,
    /// Through a relay.
    Relayed,
    /// By nobody: it only calls.
    Private,
    /// By every node of a network that does not reach beyond a host or a house.
    Local,
    /// It is not yet clear.
    #[default]
    Unknown,
}

impl Reach {
    /// Its name in answers and on the screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Mapped => "mapped",
            Self::Relayed => "relayed",
            Self::Private => "private",
            Self::Local => "local",
            Self::Unknown => "unknown",
        }
    }
}

/// Which addresses are proved, and by what.
#[derive(Debug)]
pub(super) struct Proofs {
    /// Nothing has to be proved.
    local: bool,
    start: Instant,
    proved: BTreeSet<Multiaddr>,
    mapped: BTreeSet<Multiaddr>,
    failed: bool,
}

impl Proofs {
    const fn new(local: bool, start: Instant) -> Self {
        Self { local, start, proved: BTreeSet::new(), mapped: BTreeSet::new(), failed: false }
    }

    fn reach(&self, relays: usize, peers: usize, now: Instant) -> Reach {
        if self.local {
            return Reach::Local;
        }
        let direct = |address: &&Multiaddr| !is_relayed(address);
        match self.proved.iter().filter(direct).find(|address| !self.mapped.contains(address)) {
            Some(_) => Reach::Public,
            None if self.proved.iter().any(|address| direct(&address)) => Reach::Mapped,
            None if relays > 0 => Reach::Relayed,
            None if self.failed || (peers > 0 && now >= self.start + PROOF_PATIENCE) => Reach::Private,
            None => Reach::Unknown,
        }
    }
}

/// What a node knows of its own place in the network.
pub(super) struct Place {
    scope: Scope,
    bits: u8,
    pub(super) kept: Kept,
    pub(super) near: Near,
    pub(super) ways: Ways,
    pub(super) rendezvous: Option<Rendezvous>,
    proofs: Proofs,
    relays: Relays,
    long_known: Vec<NodeId>,
    /// Addresses that the network did not start with: of an earlier life, or from a ticket.
    remembered: Vec<Multiaddr>,
    /// Connected peers whose name could be a member's and who speak none of our protocols.
    foreign: BTreeSet<NodeId>,
    /// Direct ways that were found beside a circuit, and when the circuit is closed.
    upgraded: Vec<(Instant, PeerId, ConnectionId)>,
    mdns: bool,
    next_at: Instant,
    /// What was last told to Kademlia and to the relay.
    serving: Option<bool>,
}

impl Place {
    pub(super) fn new(config: &NetworkConfig, near: Near, now: Instant) -> Self {
        let here = !config.listen.is_empty() && config.listen.iter().all(is_loopback);
        let mut ways = Ways::default();
        ways.note_addresses(Way::Ticket, &config.ticket);
        ways.note_addresses(Way::Bootstrap, &config.bootstrap);
        for address in config.bootstrap.iter().chain(&config.ticket) {
            near.learn(address);
        }
        let rendezvous = config.rendezvous.as_ref().filter(|_| config.secret.is_none());
        Self {
            scope: config.scope,
            bits: config.identity_bits,
            kept: Kept::new(calls_itself(config), config.scope),
            near,
            ways,
            rendezvous: rendezvous.map(|rendezvous| Rendezvous::new(&config.network, rendezvous, now)),
            proofs: Proofs {
                proved: config.external.iter().cloned().collect(),
                ..Proofs::new(here || config.scope == Scope::Lan, now)
            },
            relays: Relays::new(now),
            long_known: Vec::new(),
            remembered: Vec::new(),
            foreign: BTreeSet::new(),
            upgraded: Vec::new(),
            mdns: config.mdns,
            next_at: now,
            serving: None,
        }
    }

    pub(super) const fn next_at(&self) -> Instant {
        self.next_at
    }

    /// Something may be due sooner than the next tick.
    pub(super) const fn hurry(&mut self, now: Instant) {
        self.next_at = now;
    }

    /// Whether an address that is listened on is told to others as it is.
    pub(super) fn tells_listened(&self, address: &Multiaddr) -> bool {
        self.proofs.local && !is_relayed(address) && (self.kept.loopback || !is_loopback(address))
    }

    /// Notes addresses that the network did not start with, and who is known long.
    pub(super) fn remember(&mut self, way: Way, addresses: Vec<Multiaddr>, long_known: Vec<NodeId>) {
        self.ways.note_addresses(way, &addresses);
        for address in &addresses {
            self.near.learn(address);
        }
        self.remembered.extend(addresses);
        let room = LONG_KNOWN_MAX.saturating_sub(self.long_known.len());
        self.long_known.extend(long_known.into_iter().take(room));
    }

    /// There is something to do for which others are needed. With nobody to call, strangers are looked for
    /// at once; otherwise those who are known have a few seconds first.
    pub(super) fn want_others(&mut self, now: Instant) {
        let friends = [Way::Remembered, Way::Bootstrap, Way::Ticket].iter().any(|&way| self.ways.address_count(way) > 0);
        if let (false, Some(rendezvous)) = (friends, &mut self.rendezvous) {
            rendezvous.begin(now);
            self.hurry(now);
        }
    }

    /// Whether this peer is here for something else than our network.
    pub(super) fn is_foreign(&self, node: &NodeId) -> bool {
        self.foreign.contains(node)
    }

    /// Whether this peer keeps a place for us, or is asked to.
    pub(super) fn is_our_relay(&self, peer: &PeerId) -> bool {
        self.relays.is_ours(peer)
    }

    /// Who is known long, the longest first.
    pub(super) fn long_known(&self) -> &[NodeId] {
        &self.long_known
    }

    /// Whether this name is a member's.
    pub(super) fn is_member(&self, peer: &PeerId) -> bool {
        is_member(peer, self.bits)
    }
}

impl Network {
    /// How this node can be reached, and the addresses that others are told.
    #[must_use]
    pub fn reach(&self) -> (Reach, Vec<Multiaddr>) {
        let mut addresses: Vec<_> = self.swarm.external_addresses().cloned().collect();
        addresses.sort();
        (self.reach_now(Instant::now()), addresses)
    }

    /// Connected members of our network; whoever has not said yet what it speaks counts as one.
    pub(super) fn member_count(&self) -> usize {
        self.peers.connected().saturating_sub(self.place.foreign.len())
    }

    fn reach_now(&self, now: Instant) -> Reach {
        self.place.proofs.reach(self.place.relays.agreed(), self.member_count(), now)
    }

    /// How each way of finding peers is doing.
    #[must_use]
    pub fn ways(&self) -> Vec<WayStatus> {
        Way::ALL.map(|way| WayStatus { way, state: self.way_state(way), found: self.place.ways.found(way) }).into()
    }

    fn way_state(&self, way: Way) -> String {
        let addresses = |none: &str| match self.place.ways.address_count(way) {
            0 => none.to_owned(),
            1 => "1 address".to_owned(),
            count => format!("{count} addresses"),
        };
        match way {
            Way::Remembered => addresses("nobody yet"),
            Way::Bootstrap => addresses("no addresses"),
            Way::Ticket => addresses("none"),
            Way::Mdns => if self.place.mdns { "listening" } else { "off" }.to_owned(),
            Way::Rendezvous => match &self.place.rendezvous {
                None => "off".to_owned(),
                Some(rendezvous) => rendezvous.state(self.swarm.external_addresses().next().is_some(), Instant::now()),
            },
            Way::Kademlia => match self.member_count() {
                0 => "waiting for a first peer".to_owned(),
                _ => "looking".to_owned(),
            },
        }
    }

    /// Does what is due, beside discovery: the rendezvous, relays, long-known peers.
    pub(super) fn look_around(&mut self, now: Instant) {
        if now < self.place.next_at {
            return;
        }
        self.place.next_at = now + TICK;
        self.follow_reach(now);
        self.ask_relays(now);
        self.close_circuits(now);
        self.call_long_known(now);
        self.let_go(now);
        self.meet(now);
    }

    /// Serves Kademlia and relays exactly while others can reach us.
    fn follow_reach(&mut self, now: Instant) {
        let reach = self.reach_now(now);
        let serves = matches!(reach, Reach::Public | Reach::Mapped | Reach::Local);
        if self.place.serving == Some(serves) {
            return;
        }
        self.place.serving = Some(serves);
        tracing::info!(reach = reach.name(), "how others can reach this node");
        let server = serves && self.config.server;
        let behaviour = self.swarm.behaviour_mut();
        behaviour.kad.set_mode(Some(if server { kad::Mode::Server } else { kad::Mode::Client }));
        if let Some(relay) = behaviour.relay.as_mut() {
            relay.set_status(Some(if serves { relay::Status::Enable } else { relay::Status::Disable }));
        }
    }

    fn ask_relays(&mut self, now: Instant) {
        let reachable = self.place.serving.unwrap_or(false);
        for listener in self.place.relays.needless(reachable) {
            self.swarm.remove_listener(listener);
        }
        for (relay, address) in self.place.relays.wanted(reachable, now) {
            let circuit = address.with(Protocol::P2p(relay)).with(Protocol::P2pCircuit);
            tracing::debug!(%circuit, "asking a relay for a place");
            match self.swarm.listen_on(circuit) {
                Ok(listener) => self.place.relays.on_asked(listener, relay),
                Err(error) => {
                    tracing::debug!(%relay, %error, "not asked");
                    self.place.relays.on_refused(relay, now);
                }
            }
        }
    }

    /// Closes circuits beside which a direct way has stood for a while.
    fn close_circuits(&mut self, now: Instant) {
        let (due, later) = self.place.upgraded.drain(..).partition(|(at, ..)| *at <= now);
        self.place.upgraded = later;
        let due: Vec<(Instant, PeerId, ConnectionId)> = due;
        for (_, peer, direct) in due {
            if !self.peers.has_link(&peer, direct) {
                continue;
            }
            for circuit in self.peers.relayed_links(&peer, direct) {
                self.swarm.close_connection(circuit);
            }
        }
    }

    /// Two connections with peers known long, whoever else there is.
    fn call_long_known(&mut self, now: Instant) {
        let ids: Vec<PeerId> = self.place.long_known.iter().filter_map(peer_of).collect();
        let connected = ids.iter().filter(|peer| self.peers.is_connected(peer)).count();
        // Each of them may have enough others, and then lets go of us again and again.
        let lonely = self.member_count() < LONELY;
        let missing: Vec<_> = ids.into_iter().filter(|peer| !self.peers.is_connected(peer)).collect();
        let wanted = LONG_KNOWN_WANTED.saturating_sub(connected);
        for peer in self.discovery.callable(missing, wanted, lonely, now) {
            let addresses = self.place_of(&peer);
            if !addresses.is_empty() {
                self.place.ways.note_call(peer, Way::Remembered);
                self.call_peer(peer, addresses);
            }
        }
    }

    /// Remembered addresses that name this peer.
    fn place_of(&self, peer: &PeerId) -> Vec<Multiaddr> {
        let names = |address: &&Multiaddr| matches!(address.iter().last(), Some(Protocol::P2p(named)) if named == *peer);
        self.place.remembered.iter().filter(names).cloned().collect()
    }

    /// Looks at an event before anybody else does; false if it is of no further interest.
    pub(super) fn on_reach_event(&mut self, event: &SwarmEvent<BehaviourEvent>, now: Instant) -> bool {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                let member = self.place.is_member(peer_id);
                match endpoint {
                    _ if !member => {}
                    ConnectedPoint::Dialer { address, .. } => self.place.ways.on_answered(*peer_id, address),
                    ConnectedPoint::Listener { .. } if endpoint.is_relayed() => {}
                    ConnectedPoint::Listener { local_addr, send_back_addr } => self.on_called(local_addr, send_back_addr, now),
                }
                return member;
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                if !self.place.relays.is_ours(peer_id) {
                    self.place.relays.on_gone(peer_id);
                }
                if let Some(node) = node_of(peer_id) {
                    self.place.foreign.remove(&node);
                }
                if self.place.is_member(peer_id) {
                    let members = self.member_count().saturating_sub(1);
                    if let Some(rendezvous) = &mut self.place.rendezvous {
                        rendezvous.on_lost(members, now);
                    }
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                self.place.ways.on_failed(peer);
                self.on_meeting_failed(*peer, error, now);
            }
            SwarmEvent::ExternalAddrConfirmed { address } => self.on_proved(address, now),
            SwarmEvent::ExternalAddrExpired { address } => {
                self.place.proofs.proved.remove(address);
                self.place.proofs.mapped.remove(address);
                self.tell_addresses(now);
            }
            SwarmEvent::ListenerClosed { listener_id, .. } => {
                if let Some(relay) = self.place.relays.on_closed(*listener_id, now) {
                    self.forget_relay(&relay, now);
                    return false;
                }
            }
            _ => {}
        }
        true
    }

    /// A connection that somebody opened at a public address of ours proves that address.
    fn on_called(&mut self, at: &Multiaddr, from: &Multiaddr, now: Instant) {
        if self.place.proofs.local || !is_public(from) {
            return;
        }
        // QUIC says where it listens, which may be everywhere: with one public address it was that one.
        let same = |own: &&Multiaddr| transport_of(own) == transport_of(at) && port_of(own) == port_of(at) && is_public(own);
        let anywhere = transport_of(at) == TransportKind::Quic && ip_of(at).is_some_and(|ip| ip.is_unspecified());
        let there = |own: &&Multiaddr| anywhere || ip_of(at) == ip_of(own);
        let own: Vec<Multiaddr> = self.swarm.listeners().filter(same).filter(there).cloned().collect();
        if let [address] = &own[..] {
            self.prove(address.clone(), now);
        }
    }

    /// Tells everybody of an address that is proved.
    fn prove(&mut self, address: Multiaddr, now: Instant) {
        self.swarm.add_external_address(address.clone());
        self.on_proved(&address, now);
    }

    fn on_proved(&mut self, address: &Multiaddr, now: Instant) {
        if !self.place.kept.is_useful(address) {
            return self.swarm.remove_external_address(address);
        }
        if self.place.proofs.proved.insert(address.clone()) {
            tracing::info!(%address, "others can reach this node here");
            self.tell_addresses(now);
        }
    }

    /// What others know of our addresses is out of date.
    fn tell_addresses(&mut self, now: Instant) {
        self.place.next_at = now;
        self.discovery.announce_soon(now);
        if let Some(rendezvous) = &mut self.place.rendezvous {
            rendezvous.on_addresses(now);
        }
        self.set_alarm();
    }

    /// The addresses through a relay that holds our place no longer are no addresses any more.
    fn forget_relay(&mut self, relay: &PeerId, now: Instant) {
        if !self.peers.is_up(relay) {
            self.swarm.behaviour_mut().requests.keep(*relay, false);
        }
        let through = |address: &&Multiaddr| is_relayed(address) && address.iter().any(|part| part == Protocol::P2p(*relay));
        let gone: Vec<_> = self.swarm.external_addresses().filter(through).cloned().collect();
        for address in gone {
            self.swarm.remove_external_address(&address);
            self.place.proofs.proved.remove(&address);
        }
        self.tell_addresses(now);
    }

    /// What the protocols for reaching each other say.
    pub(super) fn on_reach_behaviour(&mut self, event: BehaviourEvent, now: Instant) {
        match event {
            BehaviourEvent::Rendezvous(event) => self.on_rendezvous(event, now),
            BehaviourEvent::Autonat(autonat::v2::client::Event { tested_addr, result: Err(error), .. }) => {
                tracing::debug!(address = %tested_addr, %error, "cannot be reached there");
                self.place.proofs.failed = true;
            }
            BehaviourEvent::Upnp(upnp::Event::NewExternalAddr { external_addr, .. }) => {
                self.place.proofs.mapped.insert(external_addr);
            }
            BehaviourEvent::RelayClient(relay::client::Event::ReservationReqAccepted { relay_peer_id, .. }) => {
                self.on_place_kept(relay_peer_id, now);
            }
            BehaviourEvent::Dcutr(dcutr::Event { remote_peer_id, result }) => match result {
                Ok(connection) => {
                    tracing::info!(peer = %remote_peer_id, "a direct way was found");
                    if self.place.upgraded.len() < UPGRADED_MAX {
                        self.place.upgraded.push((now + CIRCUIT_LINGERS, remote_peer_id, connection));
                    }
                }
                Err(error) => tracing::debug!(peer = %remote_peer_id, %error, "no direct way"),
            },
            _ => {}
        }
    }

    /// A relay keeps a place for us: we can be called at each of its addresses, not only at the one that
    /// we ourselves use. Who cannot send UDP may still reach it by TCP.
    fn on_place_kept(&mut self, relay: PeerId, now: Instant) {
        let me = *self.swarm.local_peer_id();
        let addresses = self.place.relays.on_agreed(&relay).to_vec();
        // Holes are punched where a relay has seen us, and UDP's far more often than TCP's: so it sees us
        // by QUIC, too, and goes on seeing us.
        self.swarm.behaviour_mut().requests.keep(relay, true);
        let quic = addresses.iter().find(|address| transport_of(address) == TransportKind::Quic);
        if let Some(quic) = quic.filter(|_| !self.peers.has_quic(&relay)) {
            self.call_also(relay, quic.clone());
        }
        for address in addresses {
            let circuit = address.with(Protocol::P2p(relay)).with(Protocol::P2pCircuit).with(Protocol::P2p(me));
            if self.place.kept.is_useful(&circuit) {
                self.prove(circuit, now);
            }
        }
        self.place.next_at = now;
        self.set_alarm();
    }

    /// A peer has said what it speaks and where it listens.
    pub(super) fn on_reach_identified(&mut self, peer: PeerId, info: &identify::Info, now: Instant) {
        // Not Kademlia: a member that nobody can reach does not speak it.
        let member = self.place.is_member(&peer) && info.protocols.contains(&self.config.network.protocol("sync"));
        self.on_met(peer, member, now);
        match node_of(&peer) {
            Some(node) if member => drop(self.place.foreign.remove(&node)),
            Some(node) => drop(self.place.foreign.insert(node)),
            None => {}
        }
        if self.place.scope == Scope::Lan || !info.protocols.contains(&relay::HOP_PROTOCOL_NAME) {
            return self.place.relays.on_gone(&peer);
        }
        let direct = |address: &Multiaddr| !is_relayed(address);
        let used = self.peers.dialled_at(&peer).into_iter();
        let mut all: Vec<Multiaddr> = used.chain(info.listen_addrs.iter().cloned()).filter(direct).collect();
        all.sort_by_key(|address| transport_of(address) != TransportKind::Quic);
        let mut addresses: Vec<Multiaddr> = Vec::new();
        for address in all {
            let address = without_name(address);
            if addresses.len() < WAYS_MAX && self.place.kept.is_useful(&address) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        self.place.relays.on_relay(peer, addresses, member, now);
    }

    /// A neighbour was heard on the local network.
    pub(super) fn on_neighbour(&mut self, peer: PeerId, address: &Multiaddr) {
        self.place.near.learn(address);
        if self.place.is_member(&peer) {
            self.place.ways.note_call(peer, Way::Mdns);
        }
    }
}

/// Whether this node has to do with loopback addresses: it listens on nothing else, or was told to call
/// one. Then those that others tell are believed, too.
pub(super) fn calls_itself(config: &NetworkConfig) -> bool {
    let here = !config.listen.is_empty() && config.listen.iter().all(is_loopback);
    let meets = config.rendezvous.iter().flat_map(|rendezvous| &rendezvous.bootstrap).map(|(_, address)| address);
    here || config.bootstrap.iter().chain(&config.ticket).chain(meets).any(is_loopback)
}

fn without_name(mut address: Multiaddr) -> Multiaddr {
    if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        address.pop();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn reach_is_what_was_proved() {
        let now = Instant::now();
        let mut proofs = Proofs::new(false, now);
        assert_eq!(proofs.reach(0, 0, now + 10 * PROOF_PATIENCE), Reach::Unknown, "alone one cannot know");
        assert_eq!(proofs.reach(0, 1, now), Reach::Unknown);
        assert_eq!(proofs.reach(0, 1, now + PROOF_PATIENCE), Reach::Private);
        proofs.failed = true;
        assert_eq!(proofs.reach(0, 0, now), Reach::Private);
        let relay = PeerId::random();
        proofs.proved.insert(address(&format!("/ip4/203.0.113.1/tcp/1/p2p/{relay}/p2p-circuit")));
        assert_eq!(proofs.reach(0, 1, now), Reach::Private, "the place is lost");
        assert_eq!(proofs.reach(1, 1, now), Reach::Relayed);
        let mapped = address("/ip4/203.0.113.9/tcp/2");
        proofs.mapped.insert(mapped.clone());
        assert_eq!(proofs.reach(1, 1, now), Reach::Relayed, "mapped but not confirmed");
        proofs.proved.insert(mapped);
        assert_eq!(proofs.reach(1, 1, now), Reach::Mapped);
        proofs.proved.insert(address("/ip4/203.0.113.9/udp/2/quic-v1"));
        assert_eq!(proofs.reach(1, 1, now), Reach::Public);
        assert_eq!(Proofs::new(true, now).reach(0, 0, now), Reach::Local);
    }
}
