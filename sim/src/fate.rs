//! Who goes and comes, and when the network falls apart and heals: what a scenario does to its world
//! each time the median round rises.

use shoal_protocol::dice::Dice;

use crate::check::HEALED_ROUNDS;
use crate::scenario::{Change, Scenario, ScenarioError, SplitSpec};
use crate::world::World;

/// What is still to be done to a world.
pub(crate) struct Fate {
    dice: Dice,
    /// Written changes whose round has not come, in the scenario's order.
    waiting: Vec<Change>,
    splits: Vec<SplitSpec>,
    groups: usize,
    /// Off by churn, to be back in the next round.
    off: Vec<usize>,
}

impl Fate {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            dice: Dice::new(&scenario.secret("fate", 0)),
            waiting: scenario.change.clone(),
            splits: scenario.split.clone(),
            groups: 1,
            off: Vec::new(),
        }
    }

    /// Whether the network has not fallen apart, or was whole again so long ago that all caught up.
    pub(crate) fn is_whole(&self, round: u64) -> bool {
        self.splits.iter().all(|split| round < split.from_round || round >= split.until_round + HEALED_ROUNDS)
    }

    /// The median round has risen from `before` to `round`.
    ///
    /// # Errors
    /// [`ScenarioError`] if a node cannot start.
    pub(crate) fn on_round(&mut self, world: &mut World, before: u64, round: u64) -> Result<(), ScenarioError> {
        let split = self.splits.iter().find(|split| (split.from_round..split.until_round).contains(&round));
        let groups = split.map_or(1, |split| split.groups);
        if groups != self.groups {
            self.groups = groups;
            world.stage.net.split(groups);
        }
        let due: Vec<Change> = self.waiting.iter().copied().filter(|change| round >= change.round).collect();
        self.waiting.retain(|change| round < change.round);
        for Change { node, up, .. } in due {
            if up { world.take_up(node)? } else { world.take_down(node) }
        }
        self.rename(world, before, round)?;
        self.churn(world, round)
    }

    /// Attackers that come back as somebody else.
    fn rename(&self, world: &mut World, before: u64, round: u64) -> Result<(), ScenarioError> {
        for node in 0..world.hosts.len() {
            let lies = world.hosts[node].plan.shard.lies.as_ref();
            let Some(every) = lies.and_then(|lies| lies.0.identity_rounds()).filter(|&every| every > 0) else { continue };
            // Not all in the same round: somebody new in every round is harder to see than a wave.
            let phase = node as u64 % every;
            if (before + phase) / every < (round + phase) / every && world.is_up(node) {
                world.replace(node)?;
            }
        }
        Ok(())
    }

    fn churn(&mut self, world: &mut World, round: u64) -> Result<(), ScenarioError> {
        for node in std::mem::take(&mut self.off) {
            world.take_up(node)?;
        }
        let spec = world.scenario().churn.clone();
        let over = spec.until_round > 0 && round >= spec.until_round;
        if round < spec.from_round || over || (spec.offline == 0.0 && spec.replaced == 0.0) {
            return Ok(());
        }
        let mut nodes: Vec<usize> = world.up().collect();
        self.dice.shuffle(&mut nodes);
        let off = self.part(spec.offline, nodes.len());
        let replaced = self.part(spec.replaced, nodes.len());
        // Somebody stays.
        let off = off.min(nodes.len().saturating_sub(1));
        for &node in nodes.iter().take(off) {
            world.take_down(node);
            self.off.push(node);
        }
        for &node in nodes.iter().skip(off).take(replaced) {
            world.replace(node)?;
        }
        Ok(())
    }

    /// This part of so many, rounded at random so that the mean is right.
    fn part(&mut self, part: f64, count: usize) -> usize {
        let exact = part * count as f64;
        let rest = (exact.fract() * 1e6) as usize;
        exact as usize + usize::from(self.dice.below(1_000_000) < rest)
    }
}
