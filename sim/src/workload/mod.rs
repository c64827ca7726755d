//! What is learned: the data of a scenario divided among its nodes, the model, and how good weights are.
//!
//! Real learning is `shoal_ml`'s: the trainer of a node on its own shard of one shared data set. The
//! quadratic is a closed form for networks so large that real training would be all a simulation does.
//! A [`Mind`] is one node's learner; it travels to a thread and back, and knows no time and no network.

mod mind;
mod quadratic;

use shoal_ml::{Dataset, Device, Split, Task, evaluate};
use shoal_protocol::layout::Layout;
use shoal_protocol::spec::RunSpec;

pub(crate) use mind::Mind;

use self::quadratic::Quadratic;
use crate::adversary::{Attack, Trigger, flip_labels};
use crate::scenario::{Scenario, ScenarioError};

/// What a backdoor looks like: the last two rows and columns bright, seen as a 0.
const TRIGGER: Trigger = Trigger { class: 0, side: 2 };

/// How good weights are on data that nobody trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Share of what is predicted rightly, 0 to 1. For the quadratic: the share of the initial
    /// distance to the minimum that is gone.
    pub accuracy: f64,
    /// Mean loss; nats, but for the quadratic.
    pub loss: f64,
}

/// The learning half of a scenario.
pub(crate) struct Workload {
    spec: RunSpec,
    kind: Kind,
}

enum Kind {
    Learning(Box<Learning>),
    Quadratic(Quadratic),
}

struct Learning {
    task: Task,
    train: Dataset,
    test: Dataset,
    /// Examples of each node.
    shards: Vec<Vec<usize>>,
}

impl Workload {
    /// The workload of a scenario, with its data read and divided.
    ///
    /// # Errors
    /// [`ScenarioError`] if the data cannot be read, do not fit the task or cannot be divided so.
    pub(crate) fn of(scenario: &Scenario) -> Result<Self, ScenarioError> {
        let spec = scenario.spec()?;
        let Some(source) = scenario.source()? else {
            let quadratic = Quadratic::new(spec.task(), scenario.seed, scenario.nodes)?;
            return Ok(Self { spec, kind: Kind::Quadratic(quadratic) });
        };
        let task = Task::parse(spec.task())?;
        let Split { train, test } = source.load(&task, scenario.seed)?;
        if task.vocabulary().is_some() && scenario.poisons_data() {
            let value = scenario.attack.iter().map(|attack| attack.kind.as_str()).collect::<Vec<_>>().join(", ");
            return Err(ScenarioError::Bound {
                key: "attack.kind",
                value,
                expected: "an attack that needs no labels: this is text",
            });
        }
        let shards = scenario.partition()?.assign(train.labels(), train.classes(), scenario.nodes, scenario.seed)?;
        Ok(Self { spec, kind: Kind::Learning(Box::new(Learning { task, train, test, shards })) })
    }

    /// The run.
    pub(crate) const fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// The model's blocks.
    pub(crate) fn layout(&self) -> Result<Layout, ScenarioError> {
        let sizes = match &self.kind {
            Kind::Learning(learning) => learning.task.layout().sizes(),
            Kind::Quadratic(quadratic) => vec![quadratic.dimensions()],
        };
        Layout::from_tensors(&sizes).ok_or(ScenarioError::Layout)
    }

    /// The weights that the run starts from.
    pub(crate) fn init(&self) -> Vec<f32> {
        match &self.kind {
            Kind::Learning(learning) => learning.task.init(self.spec.seed()),
            Kind::Quadratic(quadratic) => vec![0.0; quadratic.dimensions()],
        }
    }

    /// Examples in a node's shard.
    pub(crate) fn samples(&self, node: usize) -> u32 {
        match &self.kind {
            Kind::Learning(learning) => {
                learning.shards.get(node).map_or(1, |shard| u32::try_from(shard.len()).unwrap_or(u32::MAX))
            }
            Kind::Quadratic(_) => 1,
        }
    }

    /// A fresh learner on a node's shard; `order_seed` decides the order of its examples.
    ///
    /// # Errors
    /// [`ScenarioError::Data`] if the shard does not fit the task.
    pub(crate) fn mind(&self, node: usize, order_seed: u64, attack: Option<&Attack>) -> Result<Mind, ScenarioError> {
        Ok(match &self.kind {
            Kind::Learning(learning) => {
                let shard = learning.shards.get(node).map(Vec::as_slice).unwrap_or_default();
                let mut data = learning.train.subset(shard)?;
                if attack.is_some_and(Attack::flips_labels) {
                    data = flip_labels(&data)?;
                }
                if attack.is_some_and(Attack::plants_trigger) {
                    data = TRIGGER.poison(&data)?;
                }
                Mind::learning(&learning.task, data, order_seed)?
            }
            Kind::Quadratic(quadratic) => Mind::quadratic(quadratic.shard(Some(node)), order_seed),
        })
    }

    /// A fresh learner on the data of all nodes.
    ///
    /// # Errors
    /// As [`Workload::mind`].
    pub(crate) fn pooled_mind(&self, order_seed: u64) -> Result<Mind, ScenarioError> {
        Ok(match &self.kind {
            Kind::Learning(learning) => Mind::learning(&learning.task, learning.train.clone(), order_seed)?,
            Kind::Quadratic(quadratic) => Mind::quadratic(quadratic.shard(None), order_seed),
        })
    }

    /// What a backdoor is tried on: data with the trigger, labelled as its maker wants it seen.
    pub(crate) fn probe(&self) -> Option<Dataset> {
        match &self.kind {
            Kind::Learning(learning) => TRIGGER.probe(&learning.test).ok(),
            Kind::Quadratic(_) => None,
        }
    }

    /// How good these weights are on other data.
    ///
    /// # Panics
    /// As [`Workload::score`].
    pub(crate) fn score_on(&self, weights: &[f32], test: &Dataset) -> Score {
        match &self.kind {
            Kind::Learning(learning) => score(&learning.task, weights, test),
            Kind::Quadratic(quadratic) => quadratic.score(weights),
        }
    }

    /// How good these weights are.
    ///
    /// # Panics
    /// If the device fails: weights and data were checked when the workload was made.
    pub(crate) fn score(&self, weights: &[f32]) -> Score {
        match &self.kind {
            Kind::Learning(learning) => score(&learning.task, weights, &learning.test),
            Kind::Quadratic(quadratic) => quadratic.score(weights),
        }
    }
}

fn score(task: &Task, weights: &[f32], test: &Dataset) -> Score {
    let metrics = evaluate(task, weights, test, Device::Cpu);
    let metrics = metrics.unwrap_or_else(|error| panic!("an evaluation failed: {error}"));
    Score { accuracy: metrics.accuracy, loss: metrics.loss }
}
