//! What a node says of itself and of its peers: plain data, the same on both ends of the API.
//!
//! Fields may be added, never changed in meaning; a reader ignores those it does not know.

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::swarm::PeerInfo;

/// Everything the API answers from: one value, so that status and peers are of the same moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The node.
    pub status: NodeStatus,
    /// Its view, bounded by the driver.
    pub peers: Vec<PeerStatus>,
}

/// What a node is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Opening its store and its sockets.
    #[default]
    Starting,
    /// Fetching the run's weights from peers.
    Joining,
    /// Taking local steps.
    Training,
    /// Waiting for more bodies before it mixes.
    Collecting,
    /// All rounds that were asked for are done; it still serves.
    Done,
    /// Training nothing: helping others to meet.
    Relaying,
    /// Fetching weights again after it fell behind.
    Resyncing,
    /// Saving and saying goodbye.
    Stopping,
    /// In no run: it offers one to others, or waits to be told to join one.
    Idle,
    /// Ended of itself: `trouble` says why.
    Failed,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Joining => "joining",
            Self::Training => "training",
            Self::Collecting => "collecting",
            Self::Done => "done",
            Self::Relaying => "relaying",
            Self::Resyncing => "resyncing",
            Self::Stopping => "stopping",
            Self::Idle => "idle",
            Self::Failed => "failed",
        })
    }
}

/// How a node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The overlay's name.
    pub network: String,
    /// The node's public key, 64 hexadecimal digits.
    pub node: String,
    /// The run's id, 64 hexadecimal digits.
    pub run: String,
    /// The run's name.
    pub name: String,
    /// What it is doing.
    pub state: NodeState,
    /// Its own round.
    pub round: u64,
    /// Local steps since it first joined.
    pub steps: u64,
    /// Share of the test set that its weights get right, if it has one and has looked.
    pub accuracy: Option<f64>,
    /// Training loss of the last round.
    pub loss: Option<f64>,
    /// Peers in its view.
    pub peers_known: u32,
    /// Peers whose bodies went into the last mix.
    pub peers_heard: u32,
    /// Bytes sent since the process started, everything counted.
    pub sent_bytes: u64,
    /// Bytes received since the process started, everything counted.
    pub received_bytes: u64,
    /// Messages refused since the process started, by reason.
    pub rejects: BTreeMap<String, u64>,
    /// Seconds since the process started.
    pub uptime_s: u64,
    /// Digest of the weights after the last mix.
    pub weights: Option<String>,
    /// Addresses it listens on.
    pub listen: Vec<String>,
    /// How others can reach it: public, mapped, relayed, private, local or unknown.
    #[serde(default)]
    pub reach: String,
    /// The addresses that it tells others.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Members of the network that are connected, in the run or not.
    #[serde(default)]
    pub connected: u32,
    /// How each way of finding peers is doing: remembered, bootstrap, mdns, ticket, rendezvous, kademlia.
    #[serde(default)]
    pub ways: BTreeMap<String, WayState>,
    /// What went wrong last, if anything did: one sentence.
    pub trouble: Option<String>,
    /// All runs that the node is in or offers. What is said above of a run is said of the first.
    #[serde(default)]
    pub runs: Vec<RunStatus>,
}

/// How one of a node's runs goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// The run's id, 64 hexadecimal digits.
    pub run: String,
    /// Its name.
    pub name: String,
    /// What the node is doing in it.
    pub state: NodeState,
    /// The node's round in it.
    pub round: u64,
    /// Local steps since the node joined it.
    pub steps: u64,
    /// Share of the test set that the weights get right, if there is one.
    pub accuracy: Option<f64>,
    /// Training loss of the last round.
    pub loss: Option<f64>,
    /// Peers of the run in the node's view.
    pub peers_known: u32,
    /// Peers whose bodies went into the last mix.
    pub peers_heard: u32,
    /// Digest of the weights after the last mix.
    pub weights: Option<String>,
    /// What went wrong last, if anything did: one sentence.
    pub trouble: Option<String>,
}

impl RunStatus {
    /// What a node's status says of its run.
    #[must_use]
    pub fn of(status: &NodeStatus) -> Self {
        Self {
            run: status.run.clone(),
            name: status.name.clone(),
            state: status.state,
            round: status.round,
            steps: status.steps,
            accuracy: status.accuracy,
            loss: status.loss,
            peers_known: status.peers_known,
            peers_heard: status.peers_heard,
            weights: status.weights.clone(),
            trouble: status.trouble.clone(),
        }
    }
}

/// How one way of finding peers is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayState {
    /// What it is doing, or why it is not: a few words.
    pub state: String,
    /// Peers found by it since the process started.
    pub found: u32,
}

/// What a node knows of one peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The peer's public key, 64 hexadecimal digits.
    pub node: String,
    /// Where it is connected from, if it is.
    pub address: Option<String>,
    /// `direct`, or `relayed` if the connection leads through a relay; nothing without one.
    #[serde(default)]
    pub way: Option<String>,
    /// `tcp` or `quic`; of a relayed connection the way to the relay.
    #[serde(default)]
    pub transport: Option<String>,
    /// The last round trip, milliseconds.
    #[serde(default)]
    pub rtt_ms: Option<f64>,
    /// The last round it announced.
    pub round: u64,
    /// Seconds since it was last heard of.
    pub heard_s: Option<u64>,
    /// Weight its deltas get: 0 none, 1 full.
    pub standing: f64,
    /// The last thing it provably did wrong, if anything.
    pub last_fault: Option<String>,
    /// Bytes of its bodies received.
    pub received_bytes: u64,
    /// The run that it is a peer in.
    #[serde(default)]
    pub run: String,
}

impl PeerStatus {
    /// What is known of a peer that is connected, apart from any run.
    #[must_use]
    pub fn connected(info: &PeerInfo) -> Self {
        Self { node: info.node.to_string(), standing: 1.0, ..Self::default() }.linked(Some(info))
    }

    /// With its connection, if it has one.
    #[must_use]
    pub fn linked(self, info: Option<&PeerInfo>) -> Self {
        Self {
            address: info.map(|info| info.address.to_string()),
            way: info.map(|info| if info.relayed { "relayed" } else { "direct" }.to_owned()),
            transport: info.map(|info| info.transport.to_string()),
            rtt_ms: info.and_then(|info| info.rtt).map(|rtt| rtt.as_secs_f64() * 1_000.0),
            ..self
        }
    }
}
