//! The libp2p behaviours of a node and how each is bounded. THREATS.md lists the defaults that are
//! changed here and why; rust-libp2p ships most of them open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, TopicHash,
    TopicScoreParams, TopicSubscriptionFilter, ValidationMode,
};
use libp2p::identity::{Keypair, PeerId};
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{autonat, dcutr, identify, kad, mdns, memory_connection_limits, ping, relay, upnp};

use super::config::{AGENT, ConnectionBounds, NetworkConfig, RelayBounds};
use super::discovery::{ANNOUNCE_PERIOD, RECORD_LIFE};
use super::gate::Gate;
use super::members::Members;
use super::{NetworkError, RUNS_MAX};
use super::{rendezvous, requests};
use crate::networks::Scope;

/// Longest gossip frame, bytes. Bodies that would not fit travel by digest.
pub const GOSSIP_BYTES_MAX: usize = 64 * 1_024;
/// Bytes of a message id.
const MESSAGE_ID_BYTES: usize = 20;
/// Longest Kademlia packet: [`PROVIDERS_MAX`] records with their addresses fit, so nobody can make
/// an answer too long to be read by filling a key's list.
const KAD_PACKET_BYTES: usize = 64 * 1_024;
/// Provider records kept for one run.
const PROVIDERS_MAX: usize = 64;
/// Runs whose provider records are kept: 64 x 64 records of at most 1 kB are 4 MB at the worst.
const PROVIDED_KEYS_MAX: usize = 64;
/// A single Kademlia query; a peer that is silent must not hold up a lookup for a minute.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages that wait for one slow peer (libp2p: 5,000, which are 320 MB of full frames).
const QUEUE_MAX: usize = 64;
/// From one AutoNAT test to the next while addresses are untested (libp2p: 5 s). A test is one small
/// message and one dial; a person waits for the outcome.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// Addresses tested at a time.
const PROBES_MAX: usize = 8;
/// How long a relay keeps a place unless it is renewed (libp2p's own).
const RESERVATION_TIME: Duration = Duration::from_secs(3_600);

type Gossipsub = gossipsub::Behaviour<gossipsub::IdentityTransform, MaxCountSubscriptionFilter<RunTopics>>;

/// Lets in the topics that can be a run's. Those of runs that we are not in count as well: peers say
/// what they are subscribed to when they connect, and we may join such a run later.
pub(super) struct RunTopics {
    /// What a run's topic starts with; its id in hexadecimal follows.
    prefix: String,
}

impl TopicSubscriptionFilter for RunTopics {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        topic.as_str().strip_prefix(&self.prefix).is_some_and(|run| run.len() == 64 && run.bytes().all(digit))
    }
}

/// Everything a node does on its connections. The order matters: who is refused by an earlier field
/// is never seen by a later one.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) gate: Gate,
    limits: connection_limits::Behaviour,
    memory: Toggle<memory_connection_limits::Behaviour>,
    pub(super) requests: Members<requests::Behaviour>,
    pub(super) catalogue: Members<requests::Behaviour>,
    pub(super) gossip: Members<Gossipsub>,
    pub(super) kad: Members<kad::Behaviour<MemoryStore>>,
    autonat_server: Members<Toggle<autonat::v2::server::Behaviour>>,
    pub(super) relay: Members<Toggle<relay::Behaviour>>,
    // From here on foreign peers are met as well: they test our addresses, and may relay for us.
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    autonat: Toggle<autonat::v2::client::Behaviour>,
    relay_client: relay::client::Behaviour,
    dcutr: Toggle<dcutr::Behaviour>,
    upnp: Toggle<upnp::tokio::Behaviour>,
    mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) rendezvous: Toggle<kad::Behaviour<MemoryStore>>,
}

impl Behaviour {
    pub(super) fn new(
        config: &NetworkConfig,
        key: &Keypair,
        relay_client: relay::client::Behaviour,
    ) -> Result<Self, NetworkError> {
        let public = key.public();
        let peer = public.to_peer_id();
        let identify = identify::Config::new(config.network.protocol("id").to_string(), public)
            .with_agent_version(AGENT.to_owned())
            .with_push_listen_addr_updates(true)
            // Strangers are told where we proved to be reachable, not what our network at home looks like.
            .with_hide_listen_addrs(config.scope == Scope::Internet)
            .with_cache_size(0);
        let memory = config.connections.process_bytes_max.map(memory_connection_limits::Behaviour::with_max_bytes);
        let mdns = if config.mdns {
            Some(mdns::tokio::Behaviour::new(mdns::Config::default(), peer).map_err(NetworkError::Mdns)?)
        } else {
            None
        };
        let bits = config.identity_bits;
        let internet = config.scope == Scope::Internet;
        let probes = autonat::v2::client::Config::default().with_probe_interval(PROBE_EVERY).with_max_candidates(PROBES_MAX);
        let foreign = config.rendezvous.as_ref().filter(|_| config.secret.is_none());
        let relayed = config.relay.filter(|_| internet);
        Ok(Self {
            gate: Gate::new(config),
            limits: connection_limits::Behaviour::new(limits(&config.connections)),
            memory: memory.into(),
            requests: Members::new(requests::Behaviour::new(config.network.protocol("sync"), config.requests.clone()), bits),
            catalogue: Members::new(requests::Behaviour::new(config.network.protocol("runs"), config.catalogue.clone()), bits),
            gossip: Members::new(gossip(config)?, bits),
            kad: Members::new(kademlia(config, peer), bits),
            autonat_server: Members::new(internet.then(autonat::v2::server::Behaviour::default).into(), bits),
            relay: Members::new(relayed.map(|bounds| relay(peer, &bounds)).into(), bits),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::default(),
            autonat: internet.then(|| autonat::v2::client::Behaviour::new(rand::make_rng(), probes)).into(),
            relay_client,
            dcutr: internet.then(|| dcutr::Behaviour::new(peer)).into(),
            upnp: (internet && config.upnp).then(upnp::tokio::Behaviour::default).into(),
            mdns: mdns.into(),
            rendezvous: foreign.map(|foreign| rendezvous::behaviour(foreign, peer)).into(),
        })
    }
}

/// The bounds over members and foreign peers together; `gate` has those of each kind.
fn limits(bounds: &ConnectionBounds) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(bounds.pending_in))
        .with_max_pending_outgoing(Some(bounds.pending_out))
        .with_max_established_incoming(Some(bounds.established_in + bounds.foreign_in))
        .with_max_established_outgoing(Some(bounds.established_out + bounds.foreign_out))
        .with_max_established_per_peer(Some(bounds.per_peer))
        .with_max_established(Some(bounds.total + bounds.foreign_in + bounds.foreign_out))
}

/// The relay that this node is for others, with libp2p's limits on how often one peer or one address
/// may ask: 30 places and circuits an hour for a name, 60 for an address.
fn relay(peer: PeerId, bounds: &RelayBounds) -> relay::Behaviour {
    let config = relay::Config {
        max_reservations: bounds.reservations,
        max_reservations_per_peer: 2,
        reservation_duration: RESERVATION_TIME,
        max_circuits: bounds.circuits,
        max_circuits_per_peer: bounds.circuits_per_peer,
        max_circuit_duration: bounds.circuit_time,
        max_circuit_bytes: bounds.circuit_bytes,
        ..relay::Config::default()
    };
    relay::Behaviour::new(peer, config)
}

fn kademlia(config: &NetworkConfig, peer: PeerId) -> kad::Behaviour<MemoryStore> {
    let store = MemoryStoreConfig {
        max_records: 0,
        max_value_bytes: 0,
        max_providers_per_key: PROVIDERS_MAX,
        max_provided_keys: PROVIDED_KEYS_MAX,
    };
    let mut kad = kad::Config::new(config.network.protocol("kad"));
    kad.set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .disjoint_query_paths(true)
        .set_query_timeout(QUERY_TIMEOUT)
        .set_max_packet_size(KAD_PACKET_BYTES)
        .set_caching(kad::Caching::Disabled)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_record_ttl(Some(RECORD_LIFE))
        .set_provider_publication_interval(Some(ANNOUNCE_PERIOD));
    let mut behaviour = kad::Behaviour::with_config(peer, MemoryStore::with_config(peer, store), kad);
    // Said outright: left alone, it would change its mind whenever an address is confirmed or lost, a
    // relay's too. `reach` makes a server of it while others can reach us.
    behaviour.set_mode(Some(if config.server && config.scope == Scope::Lan { kad::Mode::Server } else { kad::Mode::Client }));
    behaviour
}

fn gossip(config: &NetworkConfig) -> Result<Gossipsub, NetworkError> {
    let failed = |error: String| NetworkError::Gossip(error);
    let settings = gossipsub::ConfigBuilder::default()
        // Our messages carry their author's signature inside, over run and type as well.
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        // The same bytes are the same message, whoever sends them: nothing to forge or to vary.
        .message_id_fn(|message| MessageId::new(&blake3::hash(&message.data).as_bytes()[..MESSAGE_ID_BYTES]))
        .max_transmit_size(GOSSIP_BYTES_MAX)
        .heartbeat_initial_delay(config.heartbeat / 4)
        .heartbeat_interval(config.heartbeat)
        // An author sends to all its peers, so the mesh only has to reach those that are not. Smaller
        // than libp2p's 6 of 5 to 12: in a full mesh of 32 that saves 28 % of gossip's bytes.
        .flood_publish(true)
        .mesh_n(4)
        .mesh_n_low(3)
        .mesh_n_high(6)
        .mesh_outbound_min(1)
        // Announces are of use for a round or so: told of a heartbeat later, most come too late, and in a
        // network too large to hear whole they doubled what a node hears (simulated: 168 authors for 84).
        .gossip_lazy(1)
        .gossip_factor(0.0)
        .history_length(3)
        .history_gossip(1)
        .connection_handler_queue_len(QUEUE_MAX)
        .max_publish_messages(128)
        .max_control_messages_sent(512)
        // A pruned peer may be grafted again within a few heartbeats: in a small run there is nobody else.
        .prune_backoff(Duration::from_secs(15))
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: RunTopics { prefix: config.network.topics() },
        max_subscribed_topics: RUNS_MAX,
        max_subscriptions_per_request: 64,
    };
    let mut gossip = Gossipsub::new_with_subscription_filter(MessageAuthenticity::Anonymous, settings, filter)
        .map_err(|e| failed(e.to_owned()))?;
    let (params, thresholds) = score();
    gossip.with_peer_score(params, thresholds).map_err(failed)?;
    Ok(gossip)
}

/// How what a peer does in one run counts.
///
/// A rejected message costs 100 times the square of how many there were of late: one is a remark
/// (-100), three cut the peer off from gossip (-900), five are enough not to be heard (-2,500). What
/// a peer can earn is small beside that, so nobody saves up for an attack. Failing to deliver enough
/// is not punished: in a run of six peers with one message a minute nobody delivers "enough".
pub(super) fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 600.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_decay: gossipsub::score_parameter_decay(Duration::from_secs(600)),
        first_message_deliveries_cap: 100.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -100.0,
        invalid_message_deliveries_decay: gossipsub::score_parameter_decay(Duration::from_secs(600)),
        ..TopicScoreParams::default()
    }
}

/// Peer scores for a small network (THREATS.md); [`topic_score`] says what counts in each run. What is
/// earned in all runs together is capped, what is lost is not.
fn score() -> (PeerScoreParams, PeerScoreThresholds) {
    let params = PeerScoreParams {
        topic_score_cap: 20.0,
        ip_colocation_factor_weight: -10.0,
        ip_colocation_factor_threshold: 8.0,
        ip_colocation_factor_whitelist: [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].into(),
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: gossipsub::score_parameter_decay(Duration::from_secs(600)),
        decay_to_zero: 0.01,
        retain_score: Duration::from_secs(3_600),
        ..PeerScoreParams::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -500.0,
        publish_threshold: -1_000.0,
        graylist_threshold: -2_500.0,
        accept_px_threshold: 10.0,
        opportunistic_graft_threshold: 1.0,
    };
    (params, thresholds)
}
