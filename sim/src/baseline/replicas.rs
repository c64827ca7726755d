//! The nodes of a baseline: their learners, their weights, and how good these are.

use crate::course::evenly;
use crate::pool::Pool;
use crate::scenario::{Scenario, ScenarioError};
use crate::workload::{Mind, Score, Workload};

/// The learners and their weights, by node.
pub(super) struct Replicas {
    minds: Vec<Mind>,
    /// Of equal length, one vector for each learner.
    pub(super) weights: Vec<Vec<f32>>,
    steps: u32,
}

impl Replicas {
    /// One for each node, on its own shard.
    pub(super) fn of_all(scenario: &Scenario, workload: &Workload) -> Result<Self, ScenarioError> {
        let mind = |node| workload.mind(node, scenario.order_seed(node), None);
        Ok(Self::new((0..scenario.nodes).map(mind).collect::<Result<_, _>>()?, workload))
    }

    /// A single one, with everybody's data.
    pub(super) fn pooled(scenario: &Scenario, workload: &Workload) -> Result<Self, ScenarioError> {
        Ok(Self::new(vec![workload.pooled_mind(scenario.order_seed(scenario.nodes))?], workload))
    }

    fn new(minds: Vec<Mind>, workload: &Workload) -> Self {
        let weights = vec![workload.init(); minds.len()];
        Self { minds, weights, steps: workload.spec().round().steps }
    }

    /// What a round's steps make of the weights, which stay. One whose training diverges keeps its own.
    pub(super) fn train(&mut self, pool: &Pool) -> Vec<Vec<f32>> {
        let steps = self.steps;
        let start = self.minds.drain(..).zip(&self.weights);
        let errands: Vec<_> = start.map(|(mind, weights)| pool.train(mind, weights.clone(), steps)).collect();
        let mut trained = Vec::with_capacity(errands.len());
        for errand in errands {
            let back = errand.wait();
            self.minds.push(back.mind);
            trained.push(back.weights);
        }
        trained
    }

    /// How good the weights are: of so many nodes, evenly over all. Equal neighbours are tried once.
    pub(super) fn scores(&self, pool: &Pool, workload: &Workload, most: usize) -> Vec<Score> {
        let mut tried: Vec<&Vec<f32>> = evenly(most, self.weights.len()).map(|node| &self.weights[node]).collect();
        tried.dedup();
        pool.map(&tried, |weights| workload.score(weights))
    }
}
