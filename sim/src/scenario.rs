//! What is simulated: everything a run of the simulator depends on, in one value.
//!
//! Two equal scenarios give the same events, byte for byte; nothing else (clock, threads,
//! environment) has a say. Defaults are stated at [`Scenario::new`].

use shoal_ml::{DataError, Partition, PartitionError, TaskError};
use shoal_protocol::replica::ReplicaError;
use shoal_protocol::spec::{RunSpec, SpecError};
use shoal_protocol::time::{Span, Time};
use shoal_protocol::view::PEERS_MAX;
use shoal_protocol::wire::INLINE_BYTES_MAX;

use crate::adversary::Conduct;
use crate::link::LinkSpec;

/// Most nodes of a scenario: what one view holds.
pub const NODES_MAX: usize = PEERS_MAX;

const SEED_DOMAIN: &str = "shoal 2026 simulation seed v1";

/// When a [`Change`] happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this virtual time.
    At(Time),
    /// As soon as the median round of the nodes that are up is this or more.
    Round(u64),
}

/// A node goes down (a crash: what it had not saved is lost) or up (from its last checkpoint, or for
/// the first time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub when: When,
    /// Which node, from 0.
    pub node: usize,
    /// Up or down.
    pub up: bool,
}

/// Everything a simulation depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Nodes: 1 to [`NODES_MAX`].
    pub nodes: usize,
    /// Rounds after which a node is done.
    pub rounds: u64,
    /// Decides keys, shards, local choices and the links. The initial weights are the spec's.
    pub seed: u64,
    /// How the training examples are divided.
    pub partition: Partition,
    /// The run.
    pub spec: RunSpec,
    /// The links.
    pub link: LinkSpec,
    /// Virtual time of one local step.
    pub step: Span,
    /// Largest body sent along with its announce, bytes; 0 to have every body pulled.
    pub inline_bytes_max: usize,
    /// Nodes going up and down. A node whose first change is up is not there at the beginning.
    pub changes: Vec<Change>,
    /// How nodes behave; those not named are honest.
    pub conduct: Vec<(usize, Conduct)>,
    /// Virtual time at which the simulation ends, finished or not.
    pub time_max: Span,
}

/// A scenario that cannot be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    /// Too few or too many nodes.
    #[error("{0} nodes; a scenario has between 1 and {NODES_MAX}")]
    Nodes(usize),
    /// A change or a conduct of a node that does not exist.
    #[error("there is no node {0}")]
    NoNode(usize),
    /// The spec's text is refused.
    #[error("the run spec: {0}")]
    Spec(#[from] SpecError),
    /// The spec's task section is refused.
    #[error("the run spec's task: {0}")]
    Task(#[from] TaskError),
    /// The model has no parameters, or too many.
    #[error("the model has no layout")]
    Layout,
    /// The data do not fit the task.
    #[error("the data: {0}")]
    Data(#[from] DataError),
    /// The data cannot be divided like that.
    #[error("the partition: {0}")]
    Partition(#[from] PartitionError),
    /// The initial weights are refused.
    #[error("the initial weights: {0}")]
    Replica(#[from] ReplicaError),
}

/// The run that scenarios use unless told otherwise: the digits MLP of ALGORITHM's first table, 5
/// steps a round, everything else as `sections` or the spec's defaults say.
fn digits_spec(seed: u64, sections: &str) -> String {
    format!(
        "version = 1\nname = \"digits\"\nseed = {seed}\n[round]\nsteps = 5\nperiod_ms = 5000\npeers = 8\n\
         {sections}\n[task]\nkind = \"classify\"\ninputs = [8, 8]\nclasses = 10\nbatch = 16\n\
         model = {{ kind = \"mlp\", hidden = [64] }}\noptimizer = {{ kind = \"sgd\", rate = 0.2 }}\n"
    )
}

impl Scenario {
    /// A scenario of this run. The rest by default: Dirichlet 0.5, links as
    /// [`LinkSpec::default`] says, 20 ms a step (guess: a small model on a slow device), bodies inline
    /// up to [`INLINE_BYTES_MAX`], nobody goes or lies, and at most a virtual day.
    #[must_use]
    pub fn new(spec: RunSpec, nodes: usize, rounds: u64, seed: u64) -> Self {
        Self {
            nodes,
            rounds,
            seed,
            partition: Partition::Dirichlet { alpha: 0.5 },
            spec,
            link: LinkSpec::default(),
            step: Span::from_millis(20),
            inline_bytes_max: INLINE_BYTES_MAX,
            changes: Vec::new(),
            conduct: Vec::new(),
            time_max: Span::from_secs(86_400),
        }
    }

    /// The same from a spec's text.
    ///
    /// # Errors
    /// [`ScenarioError::Spec`].
    pub fn from_text(spec: &str, nodes: usize, rounds: u64, seed: u64) -> Result<Self, ScenarioError> {
        Ok(Self::new(RunSpec::parse(spec)?, nodes, rounds, seed))
    }

    /// The digits run: an MLP of 4,810 parameters, 5 steps of batch 16 a round, `s` = 8.
    ///
    /// # Errors
    /// None: the spec is a constant but for its seed. [`ScenarioError::Spec`] for seeds above
    /// `i64::MAX`, which TOML cannot write.
    pub fn digits(nodes: usize, rounds: u64, seed: u64) -> Result<Self, ScenarioError> {
        Self::digits_with("", nodes, rounds, seed)
    }

    /// The digits run with these sections of a spec (`[codec]`, `[mix]`, `[slice]`) instead of the
    /// defaults.
    ///
    /// # Errors
    /// [`ScenarioError::Spec`].
    pub fn digits_with(sections: &str, nodes: usize, rounds: u64, seed: u64) -> Result<Self, ScenarioError> {
        Self::from_text(&digits_spec(seed, sections), nodes, rounds, seed)
    }

    /// A secret of one purpose and index: distinct arguments give unrelated bytes.
    pub(crate) fn secret(&self, purpose: &str, index: usize) -> [u8; 32] {
        let material = [&self.seed.to_le_bytes()[..], &(index as u64).to_le_bytes(), purpose.as_bytes()].concat();
        blake3::derive_key(SEED_DOMAIN, &material)
    }

    /// Whether this node is there at the beginning.
    pub(crate) fn starts_up(&self, node: usize) -> bool {
        self.changes.iter().find(|change| change.node == node).is_none_or(|change| !change.up)
    }

    /// How this node behaves.
    pub(crate) fn conduct_of(&self, node: usize) -> Conduct {
        self.conduct.iter().find(|(liar, _)| *liar == node).map_or(Conduct::Honest, |&(_, conduct)| conduct)
    }

    pub(crate) fn check(&self) -> Result<(), ScenarioError> {
        if !(1..=NODES_MAX).contains(&self.nodes) {
            return Err(ScenarioError::Nodes(self.nodes));
        }
        let named = self.changes.iter().map(|change| change.node).chain(self.conduct.iter().map(|&(node, _)| node));
        match named.into_iter().find(|&node| node >= self.nodes) {
            Some(node) => Err(ScenarioError::NoNode(node)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_scenarios_are_refused() {
        let scenario = Scenario::digits(4, 1, 1).unwrap();
        assert_eq!(scenario.check(), Ok(()));
        assert_eq!(Scenario { nodes: 0, ..scenario.clone() }.check(), Err(ScenarioError::Nodes(0)));
        let change = Change { when: When::Round(1), node: 4, up: false };
        assert_eq!(Scenario { changes: vec![change], ..scenario.clone() }.check(), Err(ScenarioError::NoNode(4)));
        assert!(matches!(Scenario::from_text("version = 2", 1, 1, 1), Err(ScenarioError::Spec(_))));
    }

    #[test]
    fn who_comes_first_by_a_change_is_not_there_at_the_beginning() {
        let change = |node, up| Change { when: When::Round(1), node, up };
        let changes = vec![change(0, true), change(1, false), change(1, true)];
        let scenario = Scenario { changes, ..Scenario::digits(3, 1, 1).unwrap() };
        assert_eq!([0, 1, 2].map(|node| scenario.starts_up(node)), [false, true, true]);
        assert_ne!(scenario.secret("key", 0), scenario.secret("key", 1));
        assert_ne!(scenario.secret("key", 0), scenario.secret("dice", 0));
    }
}
