//! Other ways to train, on the very shards of a scenario: what its network is measured against.
//!
//! Every node takes the steps, the batch and the optimizer of the scenario's nodes, from the same
//! initial weights, sees its examples in the same order, and is tried on the same held-out data over
//! the same last rounds. What differs is only what nodes tell each other at the end of a round. The
//! net is perfect here: nothing is lost, nobody is slow, goes or lies. A baseline is therefore the best
//! that its way can do, and no simulation of its protocol.
//!
//! `alone` and `pooled` are the floor and the ceiling; [`dense`], [`epidemic`] and [`noloco`] are
//! published ways to share. The same scenario gives the same figures with any number of threads.

mod dense;
mod epidemic;
mod noloco;
mod replicas;
mod rules;
mod single;

use core::fmt;
use core::str::FromStr;

pub use self::rules::Rule;

use self::replicas::Replicas;
use crate::Progress;
use crate::outcome::BaselineOutcome;
use crate::pool::Pool;
use crate::scenario::{Scenario, ScenarioError};
use crate::workload::Workload;

/// Another way to train. `Display` prints the name that `FromStr` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Baseline {
    /// Every node on its own shard, never speaking.
    Alone,
    /// One node with all the data.
    Pooled,
    /// Everybody hears everybody's whole delta and takes one step along what a rule makes of them.
    Dense(Rule),
    /// The same with the outer momentum of the scenario's run.
    DenseMomentum(Rule),
    /// Whole models to a few random peers (Epidemic Learning, arXiv 2310.01972).
    Epidemic,
    /// Random pairs with a Nesterov momentum that pulls them together (NoLoCo, arXiv 2506.10911).
    NoLoCo,
}

/// A name that is no baseline's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no baseline; there are {ways}, and dense:RULE with a rule of {rules}", ways = Baseline::NAMES.join(", "), rules = Rule::NAMES.join(", "))]
pub struct BaselineError(String);

impl Baseline {
    /// The names that take no rule.
    pub const NAMES: [&str; 6] = ["alone", "pooled", "dense", "dense-momentum", "epidemic", "noloco"];

    fn way(self, scenario: &Scenario, workload: &Workload) -> Box<dyn Way> {
        let (params, mix) = (workload.init().len(), workload.spec().mix().clone());
        match self {
            Self::Alone | Self::Pooled => Box::new(single::Silence),
            Self::Dense(rule) => Box::new(dense::Dense::new(rule, workload, scenario, |_| 0.0)),
            Self::DenseMomentum(rule) => {
                Box::new(dense::Dense::new(rule, workload, scenario, move |round| mix.momentum_at(round)))
            }
            Self::Epidemic => Box::new(epidemic::Epidemic::new(
                scenario.secret("epidemic", 0),
                workload.spec().round().peers.into(),
                scenario.nodes,
            )),
            Self::NoLoCo => Box::new(noloco::NoLoCo::new(scenario.secret("noloco", 0), scenario.nodes, params)),
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str("alone"),
            Self::Pooled => f.write_str("pooled"),
            Self::Dense(Rule::Mean) => f.write_str("dense"),
            Self::DenseMomentum(Rule::Mean) => f.write_str("dense-momentum"),
            Self::Dense(rule) => write!(f, "dense:{rule}"),
            Self::DenseMomentum(rule) => write!(f, "dense-momentum:{rule}"),
            Self::Epidemic => f.write_str("epidemic"),
            Self::NoLoCo => f.write_str("noloco"),
        }
    }
}

impl FromStr for Baseline {
    type Err = BaselineError;

    fn from_str(name: &str) -> Result<Self, BaselineError> {
        let (way, rule) = name.split_once(':').map_or((name, None), |(way, rule)| (way, Some(rule)));
        let ruled = || rule.map_or(Some(Rule::Mean), |rule| rule.parse().ok());
        let found = match way {
            "dense" => ruled().map(Self::Dense),
            "dense-momentum" => ruled().map(Self::DenseMomentum),
            "alone" if rule.is_none() => Some(Self::Alone),
            "pooled" if rule.is_none() => Some(Self::Pooled),
            "epidemic" if rule.is_none() => Some(Self::Epidemic),
            "noloco" if rule.is_none() => Some(Self::NoLoCo),
            _ => None,
        };
        found.ok_or_else(|| BaselineError(name.chars().take(64).collect()))
    }
}

/// What nodes tell each other at the end of a round.
trait Way {
    /// The weights that each node goes on with, of what it `started` from and what it `trained` to.
    /// Rounds count from 0.
    fn exchange(&mut self, round: u64, started: &[Vec<f32>], trained: Vec<Vec<f32>>) -> Vec<Vec<f32>>;

    /// What a node downloads for that, in whole models, mean.
    fn models_downloaded(&self) -> f64;
}

/// Trains a scenario's shards in another way, on so many threads; `watch` is told after every round.
///
/// # Errors
/// [`ScenarioError`] if the scenario could not be simulated either.
///
/// # Panics
/// If the device fails.
pub fn measure(
    scenario: &Scenario,
    baseline: Baseline,
    threads: usize,
    watch: &mut dyn FnMut(Progress),
) -> Result<BaselineOutcome, ScenarioError> {
    let workload = Workload::of(scenario)?;
    let pool = Pool::new(threads);
    let mut way = baseline.way(scenario, &workload);
    let mut replicas = match baseline {
        Baseline::Pooled => Replicas::pooled(scenario, &workload)?,
        _ => Replicas::of_all(scenario, &workload)?,
    };
    let tail = scenario.tail_rounds();
    let (mut tried, mut accuracy, mut worst, mut loss) = (0.0, 0.0, 0.0, 0.0);
    for round in 0..scenario.rounds {
        let started = replicas.weights.clone();
        let trained = replicas.train(&pool);
        replicas.weights = way.exchange(round, &started, trained);
        if tail.contains(&(round + 1)) {
            let scores = replicas.scores(&pool, &workload, scenario.evaluate.nodes);
            let count = scores.len().max(1) as f64;
            tried += 1.0;
            accuracy += scores.iter().map(|score| score.accuracy).sum::<f64>() / count;
            worst += scores.iter().map(|score| score.accuracy).fold(f64::INFINITY, f64::min);
            loss += scores.iter().map(|score| score.loss).sum::<f64>() / count;
        }
        watch(Progress { round: round + 1, rounds: scenario.rounds, time_s: 0.0, accuracy: None });
    }
    let model_bytes = 4.0 * workload.init().len() as f64;
    Ok(BaselineOutcome {
        accuracy_mean: accuracy / tried,
        accuracy_min: worst / tried,
        loss_mean: loss / tried,
        download_bytes: way.models_downloaded() * model_bytes,
    })
}

#[cfg(test)]
mod tests;
