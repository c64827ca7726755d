//! The bounds of every value of a scenario.

use core::fmt::Debug;

use shoal_ml::Partition;

use super::{NODES_MAX, Scenario, ScenarioError};
use crate::adversary::Attack;

fn bound(ok: bool, key: &'static str, value: &dyn Debug, expected: &'static str) -> Result<(), ScenarioError> {
    if ok { Ok(()) } else { Err(ScenarioError::Bound { key, value: format!("{value:?}"), expected }) }
}

fn share(key: &'static str, value: f64) -> Result<(), ScenarioError> {
    bound((0.0..=1.0).contains(&value), key, &value, "between 0 and 1")
}

/// Milliseconds up to an hour: longer than any round.
fn millis(key: &'static str, value: f64) -> Result<(), ScenarioError> {
    bound((0.0..=3_600_000.0).contains(&value), key, &value, "between 0 and 3600000 milliseconds")
}

fn range(key: &'static str, value: [f64; 2], most: f64, expected: &'static str) -> Result<(), ScenarioError> {
    bound(0.0 <= value[0] && value[0] <= value[1] && value[1] <= most, key, &value, expected)
}

impl Scenario {
    /// How the data is divided.
    pub(crate) fn partition(&self) -> Result<Partition, ScenarioError> {
        let expected = "a way to divide data, such as iid or dirichlet:0.5";
        self.partition.parse().map_err(|_| ScenarioError::Bound { key: "partition", value: self.partition.clone(), expected })
    }

    pub(crate) fn check(&self) -> Result<(), ScenarioError> {
        bound((1..=NODES_MAX).contains(&self.nodes), "nodes", &self.nodes, "between 1 and 100000")?;
        bound((1..=1_000_000).contains(&self.rounds), "rounds", &self.rounds, "between 1 and 1000000")?;
        bound((1..=31_536_000).contains(&self.time_max_s), "time_max_s", &self.time_max_s, "between a second and a year")?;
        self.spec()?;
        self.partition()?;
        self.check_world()?;
        self.check_events()
    }

    fn check_world(&self) -> Result<(), ScenarioError> {
        let link = &self.link;
        range("link.latency_ms", link.latency_ms, 60_000.0, "two numbers from 0 to 60000, the lower first")?;
        millis("link.jitter_ms", link.jitter_ms)?;
        millis("link.reorder_ms", link.reorder_ms)?;
        share("link.loss", link.loss)?;
        share("link.duplicate", link.duplicate)?;
        share("link.reorder", link.reorder)?;
        let kilobits = "two numbers of kilobits a second, the lower first; 0 for no limit";
        range("link.up_kbit", link.up_kbit, 1e9, kilobits)?;
        range("link.down_kbit", link.down_kbit, 1e9, kilobits)?;
        let gossip = &self.gossip;
        bound(gossip.mesh_low <= gossip.mesh, "gossip.mesh_low", &gossip.mesh_low, "at most gossip.mesh")?;
        bound(gossip.mesh <= gossip.mesh_high, "gossip.mesh", &gossip.mesh, "at most gossip.mesh_high")?;
        bound(gossip.mesh_high <= 64, "gossip.mesh_high", &gossip.mesh_high, "at most 64")?;
        bound((10..=60_000).contains(&gossip.heartbeat_ms), "gossip.heartbeat_ms", &gossip.heartbeat_ms, "between 10 and 60000")?;
        share("nat.cone", self.nat.cone)?;
        share("nat.symmetric", self.nat.symmetric)?;
        share("nat.cone + nat.symmetric", self.nat.cone + self.nat.symmetric)?;
        let device = &self.device;
        millis("device.step_ms", device.step_ms)?;
        let slowness = &device.slowness;
        let slow_ok = !slowness.is_empty() && slowness.iter().all(|factor| (0.01..=1_000.0).contains(factor));
        bound(slow_ok, "device.slowness", slowness, "one number or more between 0.01 and 1000")?;
        bound(device.skew_ms <= 3_600_000, "device.skew_ms", &device.skew_ms, "at most 3600000")?;
        bound(device.drift_ppm <= 100_000, "device.drift_ppm", &device.drift_ppm, "at most 100000")
    }

    fn check_events(&self) -> Result<(), ScenarioError> {
        share("churn.offline", self.churn.offline)?;
        share("churn.replaced", self.churn.replaced)?;
        for change in &self.change {
            bound(change.node < self.nodes, "change.node", &change.node, "below nodes")?;
        }
        for split in &self.split {
            bound(split.groups >= 2, "split.groups", &split.groups, "at least 2")?;
            bound(split.from_round < split.until_round, "split.until_round", &split.until_round, "above split.from_round")?;
        }
        for attack in &self.attack {
            share("attack.fraction", attack.fraction)?;
            let known = attack.kind.parse::<Attack>().is_ok();
            bound(known, "attack.kind", &attack.kind, "the name of an attack: `shoal sim --attacks` lists them")?;
        }
        let liars: f64 = self.attack.iter().map(|attack| attack.fraction).sum();
        share("attack.fraction in all", liars)?;
        bound(self.evaluate.nodes >= 1, "evaluate.nodes", &self.evaluate.nodes, "at least 1")?;
        bound(self.evaluate.tail >= 1, "evaluate.tail", &self.evaluate.tail, "at least 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_scenarios_are_refused_by_their_key() {
        let table = [
            ("nodes = 0", "`nodes` is 0, but must be between 1 and 100000"),
            ("partition = \"by-eye\"", "`partition` is by-eye, but must be a way to divide data, such as iid or dirichlet:0.5"),
            ("[churn]\noffline = 1.5", "`churn.offline` is 1.5, but must be between 0 and 1"),
            (
                "[link]\nlatency_ms = [2, 1]",
                "`link.latency_ms` is [2.0, 1.0], but must be two numbers from 0 to 60000, the lower first",
            ),
            ("[[change]]\nround = 1\nnode = 16\nup = true", "`change.node` is 16, but must be below nodes"),
            (
                "[[split]]\nfrom_round = 5\nuntil_round = 5\ngroups = 2",
                "`split.until_round` is 5, but must be above split.from_round",
            ),
            (
                "[[attack]]\nkind = \"curse\"\nfraction = 0.1",
                "`attack.kind` is \"curse\", but must be the name of an attack: `shoal sim --attacks` lists them",
            ),
            ("[run.round]\npeers = 1", "`run`: `round.peers` is 1, but must be between 3 and 64"),
        ];
        for (text, message) in table {
            assert_eq!(Scenario::parse(text).map_err(|error| error.to_string()), Err(message.to_owned()));
        }
        assert!(Scenario::parse("nods = 3").unwrap_err().to_string().contains("nods"));
    }

    #[test]
    fn who_comes_first_by_a_change_is_not_there_at_the_beginning() {
        let text = "[[change]]\nround = 1\nnode = 0\nup = true\n[[change]]\nround = 1\nnode = 1\nup = false\n\
                    [[change]]\nround = 2\nnode = 1\nup = true";
        let scenario = Scenario::parse(text).unwrap();
        assert_eq!([0, 1, 2].map(|node| scenario.starts_up(node)), [false, true, true]);
        assert_ne!(scenario.secret("key", 0), scenario.secret("key", 1));
        assert_ne!(scenario.secret("key", 0), scenario.secret("dice", 0));
    }
}
