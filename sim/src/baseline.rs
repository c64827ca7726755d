//! What a run is measured against: the same shards without a network, and all data in one place.
//!
//! Both take as many steps as a node of the scenario does, with the same model, optimizer and batch,
//! from the same initial weights, and are tested on the same held-out digits.

use shoal_ml::data::digits;
use shoal_ml::{Dataset, Device, Task, Trainer, evaluate};

use crate::scenario::{Scenario, ScenarioError};

/// Accuracies, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    /// Mean over nodes that train on their own shard and never speak.
    pub alone: f64,
    /// One node with all the training examples.
    pub pooled: f64,
}

impl Baseline {
    /// The baselines of a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] if it could not be simulated either.
    ///
    /// # Panics
    /// If training diverges.
    pub fn of(scenario: &Scenario) -> Result<Self, ScenarioError> {
        scenario.check()?;
        let task = Task::parse(scenario.spec.task())?;
        let split = digits::seeded(scenario.seed)?;
        let shards = scenario.partition.assign(split.train.labels(), task.classes(), scenario.nodes, scenario.seed)?;
        let mut alone = 0.0;
        for (node, examples) in shards.iter().enumerate() {
            alone += accuracy(scenario, &task, split.train.subset(examples)?, &split.test, node)?;
        }
        let pooled = accuracy(scenario, &task, split.train, &split.test, scenario.nodes)?;
        Ok(Self { alone: alone / scenario.nodes as f64, pooled })
    }
}

fn accuracy(scenario: &Scenario, task: &Task, train: Dataset, test: &Dataset, node: usize) -> Result<f64, ScenarioError> {
    let steps = scenario.rounds.saturating_mul(scenario.spec.round().steps.into());
    let mut trainer = Trainer::new(task, train, node as u64, Device::Cpu)?;
    let mut weights = task.init(scenario.spec.seed());
    let trained = trainer.train(&mut weights, u32::try_from(steps).unwrap_or(u32::MAX), &mut || true);
    trained.unwrap_or_else(|error| panic!("a baseline failed: {error}"));
    let metrics = evaluate(task, &weights, test, Device::Cpu);
    Ok(metrics.unwrap_or_else(|error| panic!("an evaluation failed: {error}")).accuracy)
}
