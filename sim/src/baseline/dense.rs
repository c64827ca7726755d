//! Everybody hears everybody's whole delta: what an all-reduce computes each round.
//!
//! A delta is a pseudo-gradient, as in the network: what training took away from the weights. All nodes
//! hold the same weights `x` and take the network's own outer step
//!
//! ```text
//! v <- mu v + G      x <- x - eta (G + mu v)
//! ```
//! where G is the mean of all deltas, weighted by samples as the network's mix weights them, or what a
//! robust [`Rule`] makes of them, which weighs nobody. `dense` has mu = 0, `dense-momentum` the mu of
//! the run with its ramp. The mean travels as a ring all-reduce; a rule has to see every delta whole.

use shoal_protocol::mix::votes;

use super::{Rule, Way};
use crate::scenario::Scenario;
use crate::workload::Workload;

/// One replica that all nodes share.
pub(super) struct Dense<M> {
    rule: Rule,
    /// One for each node; they add up to 1.
    shares: Vec<f64>,
    /// Liars that the rule reckons with: as many as the scenario has.
    liars: usize,
    /// By round.
    momentum: M,
    rate: f32,
    /// v, and the last G, from which centred clipping starts; empty before the first round.
    velocity: Vec<f32>,
    last: Vec<f32>,
}

impl<M: Fn(u64) -> f32> Dense<M> {
    pub(super) fn new(rule: Rule, workload: &Workload, scenario: &Scenario, momentum: M) -> Self {
        let samples: Vec<u32> = (0..scenario.nodes).map(|node| workload.samples(node)).collect();
        Self {
            rule,
            shares: shares(&samples),
            liars: scenario.liars().iter().flatten().count(),
            momentum,
            rate: workload.spec().mix().rate,
            velocity: Vec::new(),
            last: Vec::new(),
        }
    }
}

/// The network's own votes, as parts of one.
fn shares(samples: &[u32]) -> Vec<f64> {
    let votes = votes(samples);
    let total: f64 = votes.iter().sum();
    votes.into_iter().map(|vote| vote / total).collect()
}

impl<M: Fn(u64) -> f32> Way for Dense<M> {
    fn exchange(&mut self, round: u64, started: &[Vec<f32>], trained: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        let Some(mut weights) = started.first().cloned() else { return trained };
        let deltas: Vec<Vec<f32>> =
            trained.iter().map(|trained| weights.iter().zip(trained).map(|(before, after)| before - after).collect()).collect();
        self.velocity.resize(weights.len(), 0.0);
        self.last.resize(weights.len(), 0.0);
        let mean = self.rule.aggregate(&deltas, &self.shares, self.liars, &self.last);
        let mu = (self.momentum)(round);
        for ((weight, velocity), mean) in weights.iter_mut().zip(&mut self.velocity).zip(&mean) {
            *velocity = mu * *velocity + mean;
            *weight -= self.rate * (mean + mu * *velocity);
        }
        self.last = mean;
        vec![weights; started.len()]
    }

    fn models_downloaded(&self) -> f64 {
        let others = self.shares.len().saturating_sub(1) as f64;
        if self.rule == Rule::Mean { 2.0 * others / self.shares.len().max(1) as f64 } else { others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(shares: Vec<f64>, mu: f32) -> Dense<impl Fn(u64) -> f32> {
        Dense { rule: Rule::Mean, shares, liars: 0, momentum: move |_| mu, rate: 1.0, velocity: Vec::new(), last: Vec::new() }
    }

    #[test]
    fn without_momentum_it_is_the_mean_of_the_models() {
        let mut way = dense(vec![0.25, 0.75], 0.0);
        assert_eq!(way.exchange(0, &[vec![1.0], vec![1.0]], vec![vec![2.0], vec![6.0]]), vec![vec![5.0], vec![5.0]]);
    }

    #[test]
    fn momentum_is_the_networks() {
        let mut way = dense(vec![1.0], 0.5);
        // G = -1: v = -1, x = 0 + 1 + .5; then G = 0: v = -.5, x + .25.
        assert_eq!(way.exchange(0, &[vec![0.0]], vec![vec![1.0]]), vec![vec![1.5]]);
        assert_eq!(way.exchange(1, &[vec![1.5]], vec![vec![1.5]]), vec![vec![1.75]]);
    }

    #[test]
    fn samples_count_as_in_the_network() {
        let shares = shares(&[10, 10, 10, 1_000, 0]);
        let expected = [1.0, 1.0, 1.0, 1.0, 0.25].map(|weight| weight / 4.25);
        assert!(shares.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{shares:?}");
        assert_eq!(super::shares(&[0, 0]), [0.5, 0.5]);
    }
}
