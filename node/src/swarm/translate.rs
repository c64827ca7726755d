//! libp2p's events into ours, and discovery's steps into libp2p's calls.
//!
//! What a stranger says is cut to size here before it is kept: addresses in identify and in provider
//! records, agent names, record keys. Nothing from a peer is an error of ours.

use std::time::Instant;

use libp2p::core::multihash::Multihash;
use libp2p::gossipsub;
use libp2p::kad::store::RecordStore;
use libp2p::kad::{self, GetClosestPeersError, GetProvidersOk, InboundRequest, ProviderRecord, QueryResult, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, identify, mdns, ping};
use rand::seq::SliceRandom;
use shoal_protocol::id::RunId;

use super::behaviour::BehaviourEvent;
use super::config::NetworkName;
use super::discovery::{Key, RECORD_LIFE, Step};
use super::peers::Change;
use super::{GossipTicket, Network, NetworkEvent, requests};
use crate::identity::node_of;

/// The multihash code of BLAKE3 with 32 bytes.
const BLAKE3: u64 = 0x1e;
/// Longest provider key that is kept, bytes. Ours have 34.
const KEY_BYTES_MAX: usize = 64;
/// Addresses kept in one provider record: with 64 records an answer stays under its packet bound.
const RECORD_ADDRESSES_MAX: usize = 4;
/// Peers that are looked for at a time, because somebody has a request for them.
const FINDING_MAX: usize = 32;
/// Bootstrap addresses called at one tick; the others have their turn at the next.
const CALLS_MAX: usize = 8;

/// The domain of the key under which a network's catalogue is found (PROTOCOL 2.5).
const CATALOGUE_DOMAIN: &str = "shoal 2026 catalogue key v1";

/// The key under which peers are found: a BLAKE3 multihash of the run's id, or of the network's name.
pub(super) fn record_key(network: &NetworkName, key: &Key) -> RecordKey {
    let hash = match key {
        Key::Run(run) => run.0,
        Key::Catalogue => blake3::derive_key(CATALOGUE_DOMAIN, network.as_str().as_bytes()),
    };
    RecordKey::from(Multihash::<32>::wrap(BLAKE3, &hash).unwrap_or_else(|_| unreachable!("32 bytes fit")))
}

/// An address and the `/p2p/...` at its end, if there is one.
fn split(address: &Multiaddr) -> (Multiaddr, Option<PeerId>) {
    let mut rest = address.clone();
    match rest.pop() {
        Some(Protocol::P2p(peer)) => (rest, Some(peer)),
        _ => (address.clone(), None),
    }
}

impl Network {
    /// Does what discovery wants done now.
    pub(super) fn discover(&mut self, now: Instant) {
        let steps = self.discovery.tick(now, self.peers.connected(), |run| self.peers.up(run));
        for step in steps {
            let kad = &mut self.swarm.behaviour_mut().kad;
            match step {
                Step::Call => self.call_bootstrap(),
                Step::Announce(key) => {
                    if let Err(error) = kad.start_providing(record_key(&self.config.network, &key)) {
                        tracing::debug!(%error, ?key, "not announced");
                    }
                }
                Step::Look(key) => {
                    let query = kad.get_providers(record_key(&self.config.network, &key));
                    self.looking.insert(query, (key, false));
                }
                Step::Walk => drop(kad.get_closest_peers(PeerId::random())),
            }
        }
    }

    /// Dials bootstrap addresses that no connection leads to.
    fn call_bootstrap(&mut self) {
        let count = self.config.bootstrap.len();
        for turn in 0..count.min(CALLS_MAX) {
            let (address, peer) = split(&self.config.bootstrap[(self.call_from + turn) % count]);
            let connected = peer.is_some_and(|peer| self.peers.is_connected(&peer) || peer == *self.swarm.local_peer_id());
            if connected || self.peers.is_linked(&address) || self.swarm.listeners().any(|own| *own == address) {
                continue;
            }
            let opts = match peer {
                Some(peer) => {
                    DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing).addresses(vec![address]).build()
                }
                None => DialOpts::unknown_peer_id().address(address).build(),
            };
            self.dial(opts);
        }
        self.call_from = if count == 0 { 0 } else { (self.call_from + CALLS_MAX) % count };
    }

    /// Dials a peer, at these addresses or, if there are none, wherever a query has it.
    pub(super) fn call_peer(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        let opts = DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing);
        self.dial(if addresses.is_empty() { opts.build() } else { opts.addresses(addresses).build() });
    }

    /// Dials a peer at this address even if it is connected.
    pub(super) fn call_also(&mut self, peer: PeerId, address: Multiaddr) {
        self.dial(DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(vec![address]).build());
    }

    fn dial(&mut self, opts: DialOpts) {
        // What cannot be dialled at once (banned, no place, already dialling) has its turn later.
        if let Err(error) = self.swarm.dial(opts) {
            tracing::debug!(%error, "not dialled");
        }
    }

    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        let now = Instant::now();
        if !self.on_reach_event(&event, now) {
            return;
        }
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event, now),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.discovery.on_connected(&peer_id);
                self.peers.on_connected(peer_id, connection_id, &endpoint);
                if self.peers.connected() == 1 {
                    self.discovery.hurry(now);
                    self.set_alarm();
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                let changes = self.peers.on_closed(&peer_id, connection_id);
                if !changes.is_empty() {
                    self.discovery.on_parted(peer_id, now);
                }
                for change in changes {
                    self.on_change(peer_id, Some(change), now);
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                tracing::debug!(%peer, %error, "dial failed");
                self.discovery.on_failed(peer, now);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                // Kademlia tells others only what counts as an external address.
                if self.place.tells_listened(&address) {
                    self.swarm.add_external_address(address.clone());
                    self.discovery.announce_soon(now);
                    self.set_alarm();
                }
                self.events.push_back(NetworkEvent::Listening { address });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.swarm.remove_external_address(&address),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                let reason = reason.err().map_or_else(|| "closed".to_owned(), |error| error.to_string());
                self.events.push_back(NetworkEvent::ListenFailed { addresses, reason });
            }
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent, now: Instant) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event, now),
            BehaviourEvent::Requests(event) => self.on_request(event),
            BehaviourEvent::Catalogue(event) => self.on_catalogue(event),
            BehaviourEvent::Kad(event) => self.on_kad(event, now),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_reach_identified(peer_id, &info, now);
                self.on_identified(peer_id, info);
            }
            BehaviourEvent::Ping(ping::Event { peer, result: Ok(rtt), .. }) => self.peers.on_ping(&peer, rtt),
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                let found = found.into_iter().filter(|(peer, _)| !self.peers.is_connected(peer)).collect::<Vec<_>>();
                for (peer, address) in found.into_iter().take(CALLS_MAX) {
                    self.on_neighbour(peer, &address);
                    let condition = PeerCondition::DisconnectedAndNotDialing;
                    self.dial(DialOpts::peer_id(peer).condition(condition).addresses(vec![address]).build());
                }
            }
            event => self.on_reach_behaviour(event, now),
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event, now: Instant) {
        match event {
            gossipsub::Event::Message { propagation_source: from, message_id, message } => {
                let (Some(source), Some(run)) = (node_of(&from), self.run_of(&message.topic)) else { return };
                let ticket = GossipTicket { message: message_id, from };
                self.events.push_back(NetworkEvent::Gossip { run, ticket, source, data: message.data });
            }
            gossipsub::Event::Subscribed { peer_id, topic } => self.on_subscription(peer_id, &topic, true, now),
            gossipsub::Event::Unsubscribed { peer_id, topic } => self.on_subscription(peer_id, &topic, false, now),
            _ => {}
        }
    }

    fn on_subscription(&mut self, peer: PeerId, topic: &gossipsub::TopicHash, subscribed: bool, now: Instant) {
        if let Some(run) = self.run_of(topic) {
            let change = self.peers.on_subscribed(&peer, run, subscribed);
            self.on_change(peer, change, now);
        }
    }

    fn on_catalogue(&mut self, event: requests::Event) {
        match event {
            requests::Event::Request { peer, request, reply } => {
                let Some(peer) = node_of(&peer) else { return };
                self.events.push_back(NetworkEvent::RunsAsked { peer, bytes: request, reply });
            }
            requests::Event::Lost { peer } => self.find(peer),
            requests::Event::Response { ticket, peer, result } => {
                let Some(peer) = node_of(&peer) else { return };
                self.events.push_back(NetworkEvent::RunsAnswered { ticket, peer, result });
            }
        }
    }

    fn on_request(&mut self, event: requests::Event) {
        match event {
            requests::Event::Request { peer, request, reply } => {
                let Some(peer) = node_of(&peer) else { return };
                self.events.push_back(NetworkEvent::Request { peer, bytes: request, reply });
            }
            requests::Event::Lost { peer } => self.find(peer),
            requests::Event::Response { ticket, peer, result } => {
                let Some(peer) = node_of(&peer) else { return };
                self.events.push_back(NetworkEvent::Response { ticket, peer, result });
            }
        }
    }

    /// Asks the nodes nearest to a peer where it is.
    fn find(&mut self, peer: PeerId) {
        if self.finding.len() >= FINDING_MAX {
            return self.unreachable(peer, "too many peers are being looked for");
        }
        self.finding.insert(self.swarm.behaviour_mut().kad.get_closest_peers(peer), peer);
    }

    /// Dials a peer that was looked for. If the lookup itself came across it, it is connected by now.
    fn on_found(&mut self, peer: PeerId, nearest: Vec<kad::PeerInfo>) {
        if self.peers.is_connected(&peer) {
            return;
        }
        let addresses = nearest.into_iter().find(|near| near.peer_id == peer).map(|near| near.addrs);
        let addresses = self.place.kept.useful(addresses.unwrap_or_default());
        if addresses.is_empty() {
            return self.unreachable(peer, "nobody knows where it is");
        }
        // Should this fail at once, the requests behaviour hears of it as of any failed dial.
        self.dial(DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing).addresses(addresses).build());
    }

    /// Whoever waits for this peer waits no longer.
    fn unreachable(&mut self, peer: PeerId, reason: &str) {
        let behaviour = self.swarm.behaviour_mut();
        behaviour.requests.unreachable(peer, reason.to_owned());
        behaviour.catalogue.unreachable(peer, reason.to_owned());
    }

    /// Tells our owner, and keeps the connections of those who are in a run of ours.
    pub(super) fn on_change(&mut self, id: PeerId, change: Option<Change>, now: Instant) {
        match change {
            Some(Change::Up(run, peer, prefix)) => {
                self.swarm.behaviour_mut().requests.keep(id, true);
                self.events.push_back(NetworkEvent::PeerUp { run, peer, prefix });
            }
            Some(Change::Down(run, peer)) => {
                if !self.peers.is_up(&id) {
                    self.swarm.behaviour_mut().requests.keep(id, false);
                }
                self.discovery.on_lost(run, self.peers.up(&run), now);
                self.set_alarm();
                self.events.push_back(NetworkEvent::PeerDown { run, peer });
            }
            None => {}
        }
    }

    /// Lets a peer into the routing table if it speaks our Kademlia, under the addresses it names.
    /// That is hygiene and proves nothing: whoever lies here is a dead entry.
    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        let listens = self.place.kept.useful(info.listen_addrs);
        let member = self.place.is_member(&peer);
        if member {
            self.swarm.behaviour_mut().requests.note_whereabouts(peer, listens.clone());
        }
        let kad = &mut self.swarm.behaviour_mut().kad;
        if member && kad.protocol_names().iter().any(|ours| info.protocols.contains(ours)) {
            for address in &listens {
                kad.add_address(&peer, address.clone());
            }
        }
        self.peers.on_identified(&peer, &info.agent_version, listens);
    }

    fn on_kad(&mut self, event: kad::Event, now: Instant) {
        match event {
            kad::Event::InboundRequest { request: InboundRequest::AddProvider { record: Some(record) } } => {
                self.on_provider(record, now);
            }
            kad::Event::OutboundQueryProgressed { id, result, step, .. } => match result {
                QueryResult::GetClosestPeers(nearest) if step.last => {
                    let nearest = match nearest {
                        Ok(found) => found.peers,
                        Err(GetClosestPeersError::Timeout { peers, .. }) => peers,
                    };
                    if let Some(peer) = self.finding.remove(&id) {
                        self.on_found(peer, nearest);
                    }
                }
                QueryResult::GetProviders(found) => {
                    let Some(&(key, asked)) = self.looking.get(&id) else { return };
                    if step.last {
                        self.looking.remove(&id);
                    }
                    let found = match found {
                        Ok(GetProvidersOk::FoundProviders { providers, .. }) => providers.into_iter().collect(),
                        _ => Vec::new(),
                    };
                    self.on_providers(key, asked, found, step.last, now);
                }
                QueryResult::StartProviding(done) => tracing::debug!(?done, "announced"),
                _ => {}
            },
            _ => {}
        }
    }

    fn on_providers(&mut self, key: Key, asked: bool, mut found: Vec<PeerId>, last: bool, now: Instant) {
        if asked {
            found.retain(|peer| peer != self.swarm.local_peer_id());
            let peers = found.iter().filter_map(node_of).collect();
            return self.events.push_back(NetworkEvent::Providers { key, peers, last });
        }
        if last {
            self.discovery.on_looked(&key);
        }
        if let Key::Run(run) = key {
            self.dial_found(run, found, now);
        }
    }

    /// Dials found peers of a run. The query that found them still knows their addresses, so this cannot wait.
    fn dial_found(&mut self, run: RunId, mut found: Vec<PeerId>, now: Instant) {
        found.retain(|peer| !self.peers.is_connected(peer) && peer != self.swarm.local_peer_id());
        found.shuffle(&mut rand::rng());
        for peer in self.discovery.candidates(found, self.peers.up(&run), now) {
            self.dial(DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing).build());
        }
    }

    /// Keeps a provider record that a peer sent of itself (libp2p has checked that), cut to size.
    fn on_provider(&mut self, record: ProviderRecord, now: Instant) {
        if record.key.as_ref().len() > KEY_BYTES_MAX || !self.place.is_member(&record.provider) {
            return;
        }
        let addresses = record.addresses.into_iter().filter(|address| self.place.kept.is_useful(address));
        let addresses: Vec<_> = addresses.take(RECORD_ADDRESSES_MAX).collect();
        if addresses.is_empty() {
            return;
        }
        let expires = Some(now + RECORD_LIFE);
        let record = ProviderRecord { key: record.key, provider: record.provider, expires, addresses };
        // A full store keeps what it has: a flood must not push out who was there before.
        let _ = self.swarm.behaviour_mut().kad.store_mut().add_provider(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_key_is_a_multihash() {
        let name = |name| NetworkName::new(name).unwrap();
        let key = record_key(&name("local"), &Key::Run(RunId([7; 32]))).to_vec();
        assert_eq!(key[..2], [0x1e, 32]);
        assert_eq!(key[2..], [7; 32]);
        assert!(key.len() <= KEY_BYTES_MAX);
        let catalogue = |network| record_key(&name(network), &Key::Catalogue).to_vec();
        assert_eq!(catalogue("local").len(), 34);
        assert_ne!(catalogue("local"), catalogue("other"));
    }

    #[test]
    fn addresses_are_split_from_names() {
        let peer = PeerId::random();
        let plain: Multiaddr = "/ip4/192.0.2.1/tcp/7".parse().unwrap();
        let named: Multiaddr = format!("{plain}/p2p/{peer}").parse().unwrap();
        assert_eq!(split(&named), (plain.clone(), Some(peer)));
        assert_eq!(split(&plain), (plain, None));
    }
}
