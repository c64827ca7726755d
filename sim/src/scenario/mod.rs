//! What is simulated: everything a simulation depends on, in one value, written as TOML.
//!
//! Two equal scenarios give the same events, byte for byte; nothing else (clock, threads,
//! environment) has a say. Every key has a default, stated at its field, so that a scenario says only
//! what is special about it; a key that does not exist is refused. `name.toml` of `sim/scenarios/` are
//! built in ([`Scenario::named`]); [`Scenario::set`] changes one key by its dotted path.

mod check;
mod file;
mod presets;
mod run;

use serde::{Deserialize, Serialize};
use shoal_ml::{DataError, PartitionError, TaskError};
use shoal_protocol::replica::ReplicaError;
use shoal_protocol::spec::SpecError;
use shoal_protocol::time::Span;

pub use presets::PRESETS;

use crate::adversary::Attack;

/// Most nodes of a scenario. A guess: memory ends before it does.
pub const NODES_MAX: usize = 100_000;

/// Samples taken within the tail: enough for a mean, few enough to be quick.
const TAIL_SAMPLES: u64 = 5;

const SEED_DOMAIN: &str = "shoal 2026 simulation seed v1";

/// Everything a simulation depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// For people: what the scenario is called.
    pub name: String,
    /// For people: what it shows, in one sentence.
    pub about: String,
    /// Nodes: 1 to [`NODES_MAX`].
    pub nodes: usize,
    /// Rounds after which a node is done.
    pub rounds: u64,
    /// Decides keys, shards, local choices, links, who goes and who lies. The initial weights are the
    /// spec's, whose seed this is too unless `run` says another.
    pub seed: u64,
    /// What is learned: `digits`, `idx:FOLDER` (MNIST and its kin), `hamlet`, `quadratic`.
    pub data: String,
    /// How the training examples are divided: `iid`, `dirichlet:0.5`, ...
    pub partition: String,
    /// The run spec without `version`, `name` and `seed`; what it leaves out is `data`'s default.
    pub run: toml::Table,
    /// Largest body sent along with its announce, bytes; 0 to have every body pulled.
    pub inline_bytes_max: usize,
    /// Virtual seconds at which the simulation ends, finished or not.
    pub time_max_s: u64,
    /// The links between nodes.
    pub link: LinkSpec,
    /// How gossip spreads.
    pub gossip: GossipSpec,
    /// Who can dial whom.
    pub nat: NatSpec,
    /// How fast nodes compute, and how wrong their clocks are.
    pub device: DeviceSpec,
    /// Nodes going and coming at random.
    pub churn: ChurnSpec,
    /// Nodes going and coming as written.
    pub change: Vec<Change>,
    /// Times at which the network falls apart and heals.
    pub split: Vec<SplitSpec>,
    /// Who lies, and how.
    pub attack: Vec<AttackSpec>,
    /// When replicas are tried.
    pub evaluate: EvaluateSpec,
}

/// The links between nodes. The time a delivery takes: the pair's latency, jitter, sometimes a delay
/// that lets others overtake, and what its bytes take at the pair's bandwidth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkSpec {
    /// Each pair's latency one way is drawn once from this range, milliseconds.
    pub latency_ms: [f64; 2],
    /// Mean of what is added to each delivery, exponentially distributed, milliseconds.
    pub jitter_ms: f64,
    /// Part of the deliveries that are lost.
    pub loss: f64,
    /// Part of the gossip deliveries that arrive twice at the machine's door.
    pub duplicate: f64,
    /// Part of the deliveries that are held back ...
    pub reorder: f64,
    /// ... for up to so long, milliseconds.
    pub reorder_ms: f64,
    /// What a node can send, kilobits a second, drawn for each node from this range; 0: no limit.
    pub up_kbit: [f64; 2],
    /// What it can receive.
    pub down_kbit: [f64; 2],
}

/// How gossip spreads: the node's own settings of gossipsub, and the connections it makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GossipSpec {
    /// Peers that a node dials until it has; 0: everybody is connected with everybody.
    pub connections: usize,
    /// Mesh degree: what a heartbeat fills up to when it is below `mesh_low`.
    pub mesh: usize,
    /// See `mesh`.
    pub mesh_low: usize,
    /// Above it a heartbeat prunes to `mesh`.
    pub mesh_high: usize,
    /// Peers outside of the mesh that are told at a heartbeat which messages one has.
    pub lazy: usize,
    /// Milliseconds.
    pub heartbeat_ms: u64,
    /// Whether an author sends to all its peers and not only to its mesh.
    pub flood_publish: bool,
}

/// Which part of the nodes sits behind what. Open nodes can be dialled by everybody; two behind cones
/// reach each other by punching holes; one behind a symmetric NAT reaches open nodes alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NatSpec {
    /// Part of the nodes behind a cone.
    pub cone: f64,
    /// Part behind a symmetric NAT. The rest are open.
    pub symmetric: f64,
}

/// How fast nodes compute, and how wrong their clocks are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceSpec {
    /// Virtual time of one local step on the fastest device, milliseconds.
    pub step_ms: f64,
    /// Devices are so many times slower, in turn; 1 is the fastest.
    pub slowness: Vec<f64>,
    /// Each clock is ahead by up to so much, milliseconds ...
    pub skew_ms: u64,
    /// ... and faster or slower by up to so many parts in a million.
    pub drift_ppm: u64,
}

/// Nodes going and coming at random: in each round anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChurnSpec {
    /// Part of the nodes that are off in a round; they come back from their disk.
    pub offline: f64,
    /// Part of the nodes that are replaced in a round by newcomers with new identities and empty disks.
    pub replaced: f64,
    /// First round.
    pub from_round: u64,
    /// First round without it; 0: never.
    pub until_round: u64,
}

/// A node goes down (a crash: what it had not saved is lost) or up (from its last checkpoint, or for
/// the first time). A node whose first change is up is not there at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// As soon as the median round of the nodes that are up is this or more.
    pub round: u64,
    /// Which node, from 0.
    pub node: usize,
    /// Up or down.
    pub up: bool,
}

/// The network falls into groups between which nothing passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitSpec {
    /// From this median round ...
    pub from_round: u64,
    /// ... until this one.
    pub until_round: u64,
    /// Into so many groups: node `i` is in group `i mod groups`.
    pub groups: usize,
}

/// Some nodes lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackSpec {
    /// How, by name: see [`Attack`].
    pub kind: String,
    /// Which part of the nodes: the last ones by number.
    pub fraction: f64,
}

/// When replicas are tried on data that nobody trained on, and how many of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateSpec {
    /// Whenever the median round has risen by so much; 0: at the end alone.
    pub every: u64,
    /// Honest nodes tried, evenly over all.
    pub nodes: usize,
    /// Rounds at the end over which the final figures are averaged; 1: the last state alone.
    pub tail: u64,
}

/// A scenario that cannot be simulated: what is wrong and what would be right.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// There is no scenario of this name.
    #[error("there is no scenario {0:?}; there are {known}", known = PRESETS.map(|preset| preset.0).join(", "))]
    NoPreset(String),
    /// A value outside its bounds.
    #[error("`{key}` is {value}, but must be {expected}")]
    Bound {
        /// The key, with its section.
        key: &'static str,
        /// What the scenario says.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// The run spec is refused.
    #[error("`run`: {0}")]
    Spec(#[from] SpecError),
    /// The run spec's task section is refused.
    #[error("`run.task`: {0}")]
    Task(#[from] TaskError),
    /// The model has no parameters, or too many.
    #[error("`run.task`: the model has no layout")]
    Layout,
    /// The data cannot be read, or do not fit the task.
    #[error("`data`: {0}")]
    Data(#[from] DataError),
    /// The data cannot be divided like that.
    #[error("`partition`: {0}")]
    Partition(#[from] PartitionError),
    /// The initial weights are refused.
    #[error("the initial weights: {0}")]
    Replica(#[from] ReplicaError),
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "unnamed".to_owned(),
            about: String::new(),
            nodes: 16,
            rounds: 30,
            seed: 1,
            data: "digits".to_owned(),
            partition: "dirichlet:0.5".to_owned(),
            run: toml::Table::new(),
            inline_bytes_max: shoal_protocol::wire::INLINE_BYTES_MAX,
            time_max_s: 86_400,
            link: LinkSpec::default(),
            gossip: GossipSpec::default(),
            nat: NatSpec::default(),
            device: DeviceSpec::default(),
            churn: ChurnSpec::default(),
            change: Vec::new(),
            split: Vec::new(),
            attack: Vec::new(),
            evaluate: EvaluateSpec::default(),
        }
    }
}

impl Default for LinkSpec {
    /// Homes on one continent, all of them with more bandwidth than they need. Guess.
    fn default() -> Self {
        Self {
            latency_ms: [20.0, 60.0],
            jitter_ms: 5.0,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_ms: 0.0,
            up_kbit: [0.0, 0.0],
            down_kbit: [0.0, 0.0],
        }
    }
}

impl Default for GossipSpec {
    /// What a node sets (`node/src/swarm`): peers 12, mesh 4 of 3 to 6, lazy 1, a heartbeat a second.
    fn default() -> Self {
        Self { connections: 12, mesh: 4, mesh_low: 3, mesh_high: 6, lazy: 1, heartbeat_ms: 1_000, flood_publish: true }
    }
}

impl Default for NatSpec {
    /// Everybody is open: loopback, or one LAN.
    fn default() -> Self {
        Self { cone: 0.0, symmetric: 0.0 }
    }
}

impl Default for DeviceSpec {
    /// 20 ms a step: a small model on a slow device. Guess.
    fn default() -> Self {
        Self { step_ms: 20.0, slowness: vec![1.0], skew_ms: 0, drift_ppm: 0 }
    }
}

impl Default for ChurnSpec {
    /// None. It begins in round 3, when there is something to copy.
    fn default() -> Self {
        Self { offline: 0.0, replaced: 0.0, from_round: 3, until_round: 0 }
    }
}

impl Default for EvaluateSpec {
    /// Every tenth round, up to 64 nodes, the last state alone.
    fn default() -> Self {
        Self { every: 10, nodes: 64, tail: 1 }
    }
}

impl Scenario {
    /// A secret of one purpose and index: distinct arguments give unrelated bytes.
    pub(crate) fn secret(&self, purpose: &str, index: u64) -> [u8; 32] {
        let material = [&self.seed.to_le_bytes()[..], &index.to_le_bytes(), purpose.as_bytes()].concat();
        blake3::derive_key(SEED_DOMAIN, &material)
    }

    /// Decides the order of a node's examples, in the network as in a baseline.
    pub(crate) fn order_seed(&self, node: usize) -> u64 {
        self.secret("order", node as u64).first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The rounds at the end that the final figures are the mean of, rising.
    pub(crate) fn tail_rounds(&self) -> Vec<u64> {
        let tail = self.evaluate.tail.min(self.rounds);
        let step = (tail / TAIL_SAMPLES).max(1);
        let mut rounds: Vec<u64> = (0..tail).step_by(step as usize).map(|back| self.rounds - back).collect();
        rounds.reverse();
        rounds
    }

    /// Who lies, and how, by node: the last nodes by number, the first attack's last of all.
    pub(crate) fn liars(&self) -> Vec<Option<Attack>> {
        let mut liars = vec![None; self.nodes];
        let mut end = self.nodes;
        for spec in &self.attack {
            let count = (spec.fraction * self.nodes as f64).round() as usize;
            let start = end.saturating_sub(count);
            liars[start..end].fill(spec.kind.parse().ok());
            end = start;
        }
        liars
    }

    /// Whether this node is there at the beginning.
    pub(crate) fn starts_up(&self, node: usize) -> bool {
        self.change.iter().find(|change| change.node == node).is_none_or(|change| !change.up)
    }

    /// The virtual time at which it ends.
    pub(crate) const fn time_max(&self) -> Span {
        Span::from_secs(self.time_max_s)
    }
}
