//! What a simulation came to, in numbers: how well replicas predict, how far apart they are, what it
//! cost, what was dropped.

use std::collections::BTreeMap;

use shoal_protocol::id::Digest;
use shoal_protocol::reject::Reject;
use shoal_protocol::time::Time;

use crate::net::Traffic;
use crate::scenario::{Scenario, ScenarioError};
use crate::world::World;

/// The state of a world as numbers; over the nodes that are up.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whether every node has done its rounds.
    pub finished: bool,
    /// The lower median of the rounds.
    pub round: u64,
    /// Mean accuracy of the replicas' averaged weights on the held-out digits, 0 to 1.
    pub accuracy_mean: f64,
    /// The worst replica's.
    pub accuracy_min: f64,
    /// Root mean square, over nodes and parameters, of the distance of the weights to their mean.
    pub consensus_rms: f64,
    /// Bytes that a node publishes and answers in a round, mean over all.
    pub payload_bytes: f64,
    /// Bodies mixed in a round, mean over all.
    pub bodies_mixed: f64,
    /// What the net carried.
    pub traffic: Traffic,
    /// What was dropped, and why.
    pub rejects: BTreeMap<Reject, u64>,
    /// Virtual time.
    pub time: Time,
    /// Digest of everything that happened.
    pub trace: Digest,
}

impl Outcome {
    /// The present state of a world.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let accuracies: Vec<f64> = world.up().iter().filter_map(|&node| world.accuracy(node)).collect();
        let (rounds, bodies) = world.mixes();
        let traffic = world.traffic();
        let per_round = |count: u64| count as f64 / rounds.max(1) as f64;
        Self {
            finished: world.is_finished(),
            round: world.median_round(),
            accuracy_mean: accuracies.iter().sum::<f64>() / accuracies.len().max(1) as f64,
            accuracy_min: accuracies.iter().copied().fold(f64::INFINITY, f64::min),
            consensus_rms: consensus_rms(world),
            payload_bytes: per_round(traffic.announced_bytes + traffic.answered_bytes),
            bodies_mixed: per_round(bodies),
            traffic,
            rejects: world.rejects(),
            time: world.now(),
            trace: world.trace(),
        }
    }

    /// Runs a scenario to its end.
    ///
    /// # Errors
    /// [`ScenarioError`] if it cannot be simulated.
    pub fn run(scenario: Scenario) -> Result<Self, ScenarioError> {
        let mut world = World::new(scenario)?;
        world.run()?;
        Ok(Self::of(&world))
    }
}

fn consensus_rms(world: &World) -> f64 {
    let replicas: Vec<&[f32]> = world.up().iter().filter_map(|&node| world.replica(node)).map(|r| r.weights()).collect();
    let Some(len) = replicas.first().map(|weights| weights.len()) else { return 0.0 };
    let count = replicas.len() as f64;
    let squares: f64 = (0..len)
        .map(|i| {
            let mean = replicas.iter().map(|weights| f64::from(weights[i])).sum::<f64>() / count;
            replicas.iter().map(|weights| (f64::from(weights[i]) - mean).powi(2)).sum::<f64>() / count
        })
        .sum();
    (squares / len as f64).sqrt()
}
