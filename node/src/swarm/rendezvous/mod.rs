//! Meeting strangers with nobody's server: one key in somebody else's public Kademlia network.
//!
//! The second Kademlia of a node. It is a client there and never a server, keeps nothing for others,
//! and is used for one key: the SHA-256 of a namespace that holds the network's name. Whoever is found
//! under it is dialled and proves by identify that it speaks our protocols; only then does anything of
//! ours treat it as a peer, and only the run's own handshake makes it one that is listened to.
//! `schedule` decides when; this file does it.
//!
//! A query that ended well may have reached nobody: its statistics are read, not its result alone.

mod schedule;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use libp2p::core::multihash::Multihash;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::kad::{self, GetClosestPeersOk, GetProvidersOk, QueryId, QueryResult, RecordKey};
use libp2p::swarm::DialError;
use libp2p::{Multiaddr, PeerId};
use rand::RngExt;
use rand::seq::SliceRandom;
use sha2::{Digest as _, Sha256};

use super::Network;
use super::config::NetworkName;
use super::ways::Way;
use crate::networks::RendezvousConfig;
use schedule::{Schedule, Situation, Step};

/// The multihash code of SHA-256.
const SHA2_256: u64 = 0x12;
/// Longest packet read there. With libp2p's 16 KiB a few hundred junk records on a key make every answer
/// unreadable; 4 MiB hold some ten thousand.
const PACKET_BYTES: usize = 4 << 20;
/// One query: some forty peers, of which some are always gone.
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);
/// Found peers whose proof is awaited.
const SOUGHT_MAX: usize = 64;

/// The key under which the nodes of a network meet: what go-libp2p's `RoutingDiscovery` and
/// js-libp2p compute of the same namespace, and the only kind of key that their servers keep.
pub(super) fn key(network: &NetworkName) -> RecordKey {
    let namespace = format!("shoal/rendezvous/{}", network.as_str());
    let hash: [u8; 32] = Sha256::digest(namespace.as_bytes()).into();
    RecordKey::from(Multihash::<32>::wrap(SHA2_256, &hash).unwrap_or_else(|_| unreachable!("32 bytes fit")))
}

/// The second Kademlia.
pub(super) fn behaviour(config: &RendezvousConfig, me: PeerId) -> kad::Behaviour<MemoryStore> {
    let store = MemoryStoreConfig { max_records: 0, max_value_bytes: 0, max_providers_per_key: 1, max_provided_keys: 1 };
    let mut settings = kad::Config::new(config.protocol.clone());
    settings
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_query_timeout(QUERY_TIMEOUT)
        .set_max_packet_size(PACKET_BYTES)
        .set_caching(kad::Caching::Disabled)
        .set_replication_interval(None)
        .set_publication_interval(None)
        // `schedule` says when; libp2p's own timers would announce more often and with no address.
        .set_provider_publication_interval(None)
        .set_periodic_bootstrap_interval(None);
    let mut behaviour = kad::Behaviour::with_config(me, MemoryStore::with_config(me, store), settings);
    // Said outright: left alone it becomes a server as soon as an address is confirmed.
    behaviour.set_mode(Some(kad::Mode::Client));
    for (peer, address) in &config.bootstrap {
        behaviour.add_address(peer, address.clone());
    }
    behaviour
}

/// What a query of ours is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Bootstrap,
    Announce,
    /// With the dials that it has led to.
    Look(usize),
    /// Where this found peer is.
    Find(PeerId),
}

/// How the last announcement went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    Never,
    At(Instant),
    InVain,
}

/// What a node does at the rendezvous.
pub(super) struct Rendezvous {
    key: RecordKey,
    schedule: Schedule,
    queries: HashMap<QueryId, Purpose>,
    /// Found peers that were dialled, and whether their address was asked for already.
    sought: HashMap<PeerId, bool>,
    announced: Announced,
    /// Whether the last look reached anybody.
    reached: Option<bool>,
}

impl Rendezvous {
    pub(super) fn new(network: &NetworkName, config: &RendezvousConfig, now: Instant) -> Self {
        Self {
            key: key(network),
            schedule: Schedule::new(config.announce_every, now),
            queries: HashMap::new(),
            sought: HashMap::new(),
            announced: Announced::Never,
            reached: None,
        }
    }

    /// Nobody else can be called: waits no longer.
    pub(super) fn begin(&mut self, now: Instant) {
        self.schedule.begin(now);
    }

    pub(super) fn on_addresses(&mut self, now: Instant) {
        self.schedule.on_addresses(now);
    }

    pub(super) fn on_lost(&mut self, members: usize, now: Instant) {
        self.schedule.on_lost(members, now);
    }

    /// What it is doing, in a few words.
    pub(super) fn state(&self, reachable: bool, now: Instant) -> String {
        let announced = match self.announced {
            _ if !reachable => "not announced: no address is confirmed at which others could reach this node".to_owned(),
            Announced::Never => "not announced yet".to_owned(),
            Announced::InVain => "not announced: nobody there took it".to_owned(),
            Announced::At(at) => format!("announced {} s ago", now.saturating_duration_since(at).as_secs()),
        };
        let looked = match self.reached {
            None => "first look under way",
            Some(true) => "looking",
            Some(false) => "none of its peers answers",
        };
        format!("{announced}; {looked}")
    }
}

impl Network {
    /// Does what the schedule wants done now.
    pub(super) fn meet(&mut self, now: Instant) {
        let situation = self.situation();
        let Some(rendezvous) = &mut self.place.rendezvous else { return };
        let Some(kad) = self.swarm.behaviour_mut().rendezvous.as_mut() else { return };
        for step in rendezvous.schedule.tick(now, situation, rand::rng().random()) {
            let (query, purpose) = match step {
                // Fails only if no peer is known, and the network's own are.
                Step::Bootstrap => (kad.bootstrap().ok(), Purpose::Bootstrap),
                Step::Announce => (kad.start_providing(rendezvous.key.clone()).ok(), Purpose::Announce),
                Step::Look => (Some(kad.get_providers(rendezvous.key.clone())), Purpose::Look(0)),
            };
            match query {
                Some(query) => drop(rendezvous.queries.insert(query, purpose)),
                None if step == Step::Announce => rendezvous.schedule.on_announced(false, now),
                None => {}
            }
        }
    }

    fn situation(&self) -> Situation {
        Situation { members: self.member_count(), reachable: self.swarm.external_addresses().next().is_some() }
    }

    pub(super) fn on_rendezvous(&mut self, event: kad::Event, now: Instant) {
        let kad::Event::OutboundQueryProgressed { id, result, stats, step } = event else { return };
        let Some(rendezvous) = &mut self.place.rendezvous else { return };
        let Some(&purpose) = rendezvous.queries.get(&id) else { return };
        if step.last {
            rendezvous.queries.remove(&id);
        }
        let heard = stats.num_successes() > 0;
        match (purpose, result) {
            (Purpose::Announce, QueryResult::StartProviding(done)) if step.last => {
                let heard = heard && done.is_ok();
                tracing::debug!(heard, ?stats, "announced at the rendezvous");
                rendezvous.announced = if heard { Announced::At(now) } else { Announced::InVain };
                rendezvous.schedule.on_announced(heard, now);
                self.place.hurry(now);
            }
            (Purpose::Look(dialled), QueryResult::GetProviders(found)) => {
                if step.last {
                    tracing::debug!(heard, ?stats, "looked at the rendezvous");
                    rendezvous.reached = Some(heard);
                    rendezvous.schedule.on_looked();
                }
                if let Ok(GetProvidersOk::FoundProviders { providers, .. }) = found {
                    self.dial_sought(id, dialled, providers, now);
                }
            }
            (Purpose::Find(peer), QueryResult::GetClosestPeers(nearest)) if step.last => {
                let peers = nearest.map_or_else(|_| Vec::new(), |GetClosestPeersOk { peers, .. }| peers);
                let addresses = peers.into_iter().find(|near| near.peer_id == peer).map(|near| near.addrs);
                self.on_sought_found(peer, addresses.unwrap_or_default(), now);
            }
            _ => {}
        }
        self.set_alarm();
    }

    /// Dials found peers at once: their addresses live in the query and end with it.
    fn dial_sought(&mut self, query: QueryId, dialled: usize, providers: HashSet<PeerId>, now: Instant) {
        let me = *self.swarm.local_peer_id();
        let mut found: Vec<PeerId> = providers
            .into_iter()
            .filter(|peer| *peer != me && self.place.is_member(peer) && !self.peers.is_connected(peer))
            .collect();
        found.shuffle(&mut rand::rng());
        let Some(rendezvous) = &mut self.place.rendezvous else { return };
        let room = SOUGHT_MAX.saturating_sub(rendezvous.sought.len());
        let chosen: Vec<_> = rendezvous.schedule.candidates(found, dialled, now).into_iter().take(room).collect();
        if let Some(Purpose::Look(count)) = rendezvous.queries.get_mut(&query) {
            *count += chosen.len();
        }
        rendezvous.sought.extend(chosen.iter().map(|peer| (*peer, false)));
        for peer in chosen {
            self.place.ways.note_call(peer, Way::Rendezvous);
            self.call_peer(peer, Vec::new());
        }
    }

    /// Without an address in the query's memory there is one more way to learn it.
    pub(super) fn on_meeting_failed(&mut self, peer: PeerId, error: &DialError, now: Instant) {
        let Some(rendezvous) = &mut self.place.rendezvous else { return };
        let Some(asked) = rendezvous.sought.get_mut(&peer) else { return };
        if matches!(error, DialError::NoAddresses) && !*asked {
            *asked = true;
            if let Some(kad) = self.swarm.behaviour_mut().rendezvous.as_mut() {
                rendezvous.queries.insert(kad.get_closest_peers(peer), Purpose::Find(peer));
            }
            return;
        }
        rendezvous.sought.remove(&peer);
        rendezvous.schedule.on_useless(peer, now);
    }

    fn on_sought_found(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        let addresses = self.place.kept.useful(addresses);
        let Some(rendezvous) = &mut self.place.rendezvous else { return };
        if addresses.is_empty() {
            rendezvous.sought.remove(&peer);
            rendezvous.schedule.on_useless(peer, now);
        } else {
            self.call_peer(peer, addresses);
        }
    }

    /// A connected peer has said what it speaks; `ours` says whether that is our network's protocols.
    pub(super) fn on_met(&mut self, peer: PeerId, ours: bool, now: Instant) {
        let Some(rendezvous) = &mut self.place.rendezvous else { return };
        if rendezvous.sought.remove(&peer).is_none() {
            return;
        }
        if ours {
            rendezvous.schedule.on_useful(&peer);
        } else {
            rendezvous.schedule.on_useless(peer, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_a_sha256_multihash_of_the_namespace() {
        let name = |name| NetworkName::new(name).unwrap();
        let key = key(&name("testnet")).to_vec();
        assert_eq!(key[..2], [0x12, 0x20]);
        // `printf shoal/rendezvous/testnet | sha256sum`
        let digest: String = key[2..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, TESTNET_DIGEST);
        assert_ne!(key, super::key(&name("local")).to_vec());
    }

    const TESTNET_DIGEST: &str = "595dab142515c4fd8ef335e098929f4b422aac1b181cc78d35bccd0127a398ed";

    #[test]
    fn what_was_not_announced_is_said() {
        let now = Instant::now();
        let config = crate::networks::Network::load("testnet").unwrap().rendezvous().unwrap().clone();
        let mut rendezvous = Rendezvous::new(&NetworkName::new("a").unwrap(), &config, now);
        rendezvous.announced = Announced::At(now);
        assert!(rendezvous.state(true, now).starts_with("announced 0 s ago"));
        assert!(rendezvous.state(false, now).starts_with("not announced: no address"));
        rendezvous.announced = Announced::InVain;
        rendezvous.reached = Some(false);
        assert_eq!(rendezvous.state(true, now), "not announced: nobody there took it; none of its peers answers");
    }
}
