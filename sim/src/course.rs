//! How far a world has come: samples of its honest nodes while it runs, and the figures at the end.

use shoal_ml::Dataset;
use shoal_protocol::peer::Peer;
use shoal_protocol::replica::Replica;
use shoal_protocol::round::Phase;

use crate::check::HEALED_ROUNDS;
use crate::host::Host;
use crate::outcome::{Outcome, Sample};
use crate::scenario::Scenario;
use crate::workload::Score;
use crate::world::World;

/// The samples so far, and when the next is due.
pub(crate) struct Course {
    every: u64,
    /// Rounds of the tail, rising.
    tail: Vec<u64>,
    samples: Vec<Sample>,
    /// Rounds and bodies mixed by all up to the last sample.
    mixed: (u64, u64),
}

impl Course {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self { every: scenario.evaluate.every, tail: scenario.tail_rounds(), samples: Vec::new(), mixed: (0, 0) }
    }

    /// Whether a sample is due between these median rounds, the first excluded.
    pub(crate) fn is_due(&self, before: u64, round: u64) -> bool {
        let by_step = before.checked_div(self.every).is_some_and(|steps| steps < round / self.every);
        by_step || self.tail.iter().any(|&due| before < due && due <= round)
    }

    pub(crate) fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// The samples so far.
    pub(crate) fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

/// So many places of `len`, or all, evenly over them.
pub(crate) fn evenly(most: usize, len: usize) -> impl Iterator<Item = usize> {
    let count = most.min(len);
    (0..count).map(move |i| i * len / count)
}

/// `(mean, least, most)`; zeros of nothing, since JSON has no infinity.
fn spread(values: impl Iterator<Item = f64> + Clone) -> (f64, f64, f64) {
    let count = values.clone().count() as f64;
    if count == 0.0 {
        return (0.0, 0.0, 0.0);
    }
    (values.clone().sum::<f64>() / count, values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
}

/// Root mean square, over vectors and entries, of the distance to the mean vector.
fn distance_to_mean(vectors: &[&[f32]]) -> f64 {
    let Some(len) = vectors.first().map(|vector| vector.len()).filter(|&len| len > 0) else { return 0.0 };
    let mean = mean(vectors);
    let squares: f64 =
        vectors.iter().map(|vector| vector.iter().zip(&mean).map(|(&x, &m)| (f64::from(x) - m).powi(2)).sum::<f64>()).sum();
    (squares / (len * vectors.len()) as f64).sqrt()
}

fn mean(vectors: &[&[f32]]) -> Vec<f64> {
    let mut mean = vec![0.0; vectors.first().map_or(0, |vector| vector.len())];
    for vector in vectors {
        mean.iter_mut().zip(*vector).for_each(|(mean, &x)| *mean += f64::from(x));
    }
    mean.iter_mut().for_each(|mean| *mean /= vectors.len().max(1) as f64);
    mean
}

impl World {
    /// Honest nodes that are up and have joined, so many of them, evenly by number. Who still copies the
    /// others' weights has none of its own to try.
    fn watched(&self) -> Vec<&Replica> {
        let has_joined = |node: &usize| {
            let phase = self.peer(*node).map(Peer::phase);
            phase.is_some_and(|phase| !matches!(phase, Phase::Waiting | Phase::Joining))
        };
        let honest = self.up().filter(|&node| self.hosts[node].is_honest()).filter(has_joined);
        let all: Vec<&Replica> = honest.filter_map(|node| self.replica(node)).collect();
        evenly(self.scenario.evaluate.nodes, all.len()).map(|place| all[place]).collect()
    }

    fn scores(&self, replicas: &[&Replica], test: Option<&Dataset>) -> Vec<Score> {
        let workload = &*self.workload;
        let weights: Vec<&[f32]> = replicas.iter().map(|replica| replica.averaged()).collect();
        self.stage
            .pool
            .map(&weights, |weights| test.map_or_else(|| workload.score(weights), |test| workload.score_on(weights, test)))
    }

    /// Sums over the honest nodes: rounds and bodies mixed; bytes sent, downloaded, authored or served.
    fn sums(&self) -> ([u64; 2], [u64; 3]) {
        let mut sums = ([0; 2], [0; 3]);
        for (node, host) in self.hosts.iter().enumerate().filter(|(_, host)| host.is_honest()) {
            sums.0[0] += host.rounds_done;
            sums.0[1] += host.mixed;
            let charged = self.stage.net.places.charged(node);
            sums.1.iter_mut().zip(charged).for_each(|(sum, bytes)| *sum += bytes);
        }
        sums
    }

    /// The honest nodes as they are.
    pub(crate) fn sample(&self) -> Sample {
        let replicas = self.watched();
        let scores = self.scores(&replicas, None);
        let (accuracy_mean, accuracy_min, accuracy_max) = spread(scores.iter().map(|score| score.accuracy));
        let weights: Vec<&[f32]> = replicas.iter().map(|replica| replica.weights()).collect();
        let ([rounds, bodies], [sent, _, payload]) = self.sums();
        let honest = self.hosts.iter().filter(|host| host.is_honest()).count().max(1) as f64;
        let traffic = self.traffic();
        Sample {
            round: self.median_round(),
            time_s: self.now().0 as f64 / 1e6,
            accuracy_mean,
            accuracy_min,
            accuracy_max,
            loss_mean: spread(scores.iter().map(|score| score.loss)).0,
            consensus_rms: distance_to_mean(&weights),
            payload_bytes: payload as f64 / honest,
            sent_bytes: sent as f64 / honest,
            bodies: bodies.saturating_sub(self.course.mixed.1) as f64 / rounds.saturating_sub(self.course.mixed.0).max(1) as f64,
            delivery: traffic.gossip_deliveries as f64 / traffic.gossip_possible.max(1) as f64,
        }
    }

    /// Takes a sample and notes what later ones are counted from.
    pub(crate) fn take_sample(&mut self) {
        let sample = self.sample();
        let ([rounds, bodies], _) = self.sums();
        self.course.mixed = (rounds, bodies);
        self.course.push(sample);
    }

    pub(crate) fn progress(&self) -> crate::Progress {
        crate::Progress {
            round: self.median_round(),
            rounds: self.scenario.rounds,
            time_s: self.now().0 as f64 / 1e6,
            accuracy: self.course.samples().last().map(|sample| sample.accuracy_mean),
        }
    }

    /// What the simulation came to, after a last sample and the last checks.
    ///
    /// # Panics
    /// If halves that met again long ago are still two.
    #[must_use]
    pub fn outcome(&mut self) -> Outcome {
        self.is_one();
        if self
            .course
            .samples()
            .last()
            .is_none_or(|last| last.round < self.median_round() || last.time_s * 1e6 + 1.0 < self.now().0 as f64)
        {
            self.take_sample();
        }
        let samples = self.course.samples().to_vec();
        let from = self.scenario.rounds.saturating_sub(self.scenario.evaluate.tail);
        let tail = samples.iter().filter(|sample| sample.round > from || self.median_round() <= from);
        let tail: Vec<&Sample> =
            if self.scenario.evaluate.tail > 1 { tail.collect() } else { samples.last().into_iter().collect() };
        let over_tail = |of: fn(&Sample) -> f64| spread(tail.iter().map(|sample| of(sample))).0;
        let ([rounds, _], [sent, downloaded, payload]) = self.sums();
        let per_round = |bytes: u64| bytes as f64 / rounds.max(1) as f64;
        let probe = self.workload.probe();
        let backdoor = probe.filter(|_| self.hosts.iter().any(Host::plants_trigger));
        Outcome {
            seed: self.scenario.seed,
            trace: self.trace().to_string(),
            finished: self.is_finished(),
            accuracy_mean: over_tail(|sample| sample.accuracy_mean),
            accuracy_min: over_tail(|sample| sample.accuracy_min),
            loss_mean: over_tail(|sample| sample.loss_mean),
            payload_bytes: per_round(payload),
            sent_bytes: per_round(sent),
            download_bytes: per_round(downloaded),
            model_bytes: 4 * self.workload.init().len() as u64,
            backdoor: backdoor.map(|probe| spread(self.scores(&self.watched(), Some(&probe)).iter().map(|s| s.accuracy)).0),
            events: self.events(),
            traffic: self.traffic(),
            rejects: self.rejects().into_iter().map(|(reject, count)| (reject.label().to_owned(), count)).collect(),
            baselines: std::collections::BTreeMap::new(),
            samples,
        }
    }

    /// Liveness: a network that healed long ago is one.
    fn is_one(&self) {
        let Some(last) = self.scenario.split.iter().max_by_key(|split| split.until_round) else { return };
        if self.median_round() < last.until_round + HEALED_ROUNDS {
            return;
        }
        let mut halves = vec![Vec::new(); last.groups];
        for node in self.up().filter(|&node| self.hosts[node].is_honest()) {
            if let Some(replica) = self.replica(node) {
                halves[node % last.groups].push(replica.weights());
            }
        }
        let means: Vec<Vec<f32>> = halves
            .iter()
            .filter(|half| !half.is_empty())
            .map(|half| mean(half).into_iter().map(|m| m as f32).collect())
            .collect();
        let within = spread(halves.iter().filter(|half| !half.is_empty()).map(|half| distance_to_mean(half))).0;
        self.scene(0).is_one(distance_to_mean(&means.iter().map(Vec::as_slice).collect::<Vec<_>>()), within);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::EvaluateSpec;

    #[test]
    fn samples_are_due_by_the_step_and_in_the_tail() {
        let course = |every, tail, rounds| {
            Course::new(&Scenario { rounds, evaluate: EvaluateSpec { every, nodes: 1, tail }, ..Scenario::default() })
        };
        let due = |course: &Course, until: u64| (1..=until).filter(|&round| course.is_due(round - 1, round)).collect::<Vec<_>>();
        assert_eq!(due(&course(10, 1, 25), 25), [10, 20, 25]);
        assert_eq!(due(&course(0, 1, 25), 25), [25]);
        assert_eq!(due(&course(50, 20, 100), 100), [50, 84, 88, 92, 96, 100]);
        assert!(course(10, 1, 25).is_due(7, 13), "a median that jumps over a step");
    }

    #[test]
    fn distances_are_to_the_mean() {
        assert_eq!(distance_to_mean(&[&[0.0, 0.0], &[2.0, 0.0]]), (0.5_f64).sqrt());
        assert_eq!(distance_to_mean(&[]), 0.0);
        assert_eq!(spread([1.0, 3.0].into_iter()), (2.0, 1.0, 3.0));
        assert_eq!(spread([].into_iter()), (0.0, 0.0, 0.0));
        assert_eq!(evenly(3, 10).collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!((evenly(3, 2).count(), evenly(3, 0).count()), (2, 0));
    }
}
