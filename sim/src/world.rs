//! The loop: take what happens next, hand it to whom it concerns, let the host do what follows.
//!
//! A world is a scenario come alive. It owns all hosts and the stage between them, and decides nothing
//! itself: order comes from the queue, chance from the scenario's seed, behaviour from the machines.
//! When the network's median round rises, [`crate::fate`] says who goes and comes, and
//! [`crate::course`] looks how far it has come.

use std::collections::BTreeMap;
use std::rc::Rc;

use ed25519_dalek::SigningKey;
use shoal_protocol::fetch::AskFailure;
use shoal_protocol::id::Digest;
use shoal_protocol::peer::{Input, Peer};
use shoal_protocol::reject::{Reject, RejectCounts};
use shoal_protocol::replica::Replica;
use shoal_protocol::seal::{Scope, node_id};
use shoal_protocol::time::{Span, Time};

use crate::adversary::{PREFIX, Plot};
use crate::check::Scene;
use crate::course::Course;
use crate::fate::Fate;
use crate::host::{Clock, Host, NETWORK, Plan, Stage};
use crate::learner::Shard;
use crate::net::{Address, Event, Net};
use crate::outcome::Traffic;
use crate::pool::Pool;
use crate::scenario::{NODES_MAX, Scenario, ScenarioError};
use crate::tally::Tally;
use crate::trace::Trace;
use crate::workload::Workload;

/// Virtual nodes, real machines, real training.
pub struct World {
    pub(crate) scenario: Scenario,
    pub(crate) workload: Rc<Workload>,
    pub(crate) stage: Stage,
    pub(crate) hosts: Vec<Host>,
    pub(crate) course: Course,
    fate: Option<Fate>,
    /// Rounds of the honest nodes that are up.
    tally: Tally,
    median: u64,
    /// When the median rose last.
    median_at: Time,
    /// How many identities each node has had.
    lives: Vec<u64>,
    starts: u64,
    events: u64,
    /// What machines that went down had dropped.
    rejects: BTreeMap<Reject, u64>,
}

impl World {
    /// The world of a scenario at time zero, with all nodes started that are there from the beginning.
    /// It trains on so many threads; how many changes nothing but the time it takes.
    ///
    /// # Errors
    /// [`ScenarioError`] if it cannot be simulated.
    pub fn new(scenario: Scenario, threads: usize) -> Result<Self, ScenarioError> {
        scenario.check()?;
        let workload = Rc::new(Workload::of(&scenario)?);
        let hosts = hosts(&scenario, &workload)?;
        let ids = hosts.iter().map(|host| node_id(&host.plan.key)).collect();
        let net = Net::new(&scenario, Scope::new(NETWORK, workload.spec().run_id()), ids);
        let has_liars = hosts.iter().any(|host| !host.is_honest());
        let crowd = if has_liars { vec![None; scenario.nodes] } else { Vec::new() };
        let mut world = Self {
            workload,
            stage: Stage { net, trace: Trace::new(), pool: Pool::new(threads), crowd },
            course: Course::new(&scenario),
            fate: Some(Fate::new(&scenario)),
            tally: Tally::default(),
            median: 0,
            median_at: Time(0),
            lives: vec![0; scenario.nodes],
            starts: 0,
            events: 0,
            rejects: BTreeMap::new(),
            hosts,
            scenario,
        };
        let starters: Vec<usize> = (0..world.scenario.nodes).filter(|&node| world.scenario.starts_up(node)).collect();
        // All are there before anybody looks around.
        for &node in &starters {
            world.stage.net.take_up(node, world.hosts[node].plan.prefix);
        }
        for &node in &starters {
            world.start(node)?;
        }
        Ok(world)
    }

    /// Lets the next event happen. `false` if the simulation is over: every honest node that is up has
    /// done its rounds, or the scenario's time is up.
    ///
    /// # Errors
    /// [`ScenarioError`] if a node cannot start.
    ///
    /// # Panics
    /// If a machine breaks one of its invariants; the message has the seed, the time and the node.
    pub fn step(&mut self) -> Result<bool, ScenarioError> {
        if self.is_finished() || self.now() >= Time(0) + self.scenario.time_max() {
            return Ok(false);
        }
        let Some((at, event)) = self.stage.net.queue.pop() else { return Ok(false) };
        self.stage.net.now = at;
        self.events += 1;
        if let Some(node) = self.happen(event) {
            self.count(node);
            self.rise()?;
        }
        Ok(true)
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// As [`World::step`].
    pub fn run(&mut self) -> Result<(), ScenarioError> {
        while self.step()? {}
        Ok(())
    }

    /// Runs until this holds; `false` if the simulation was over before.
    ///
    /// # Errors
    /// As [`World::step`].
    pub fn run_until(&mut self, mut holds: impl FnMut(&Self) -> bool) -> Result<bool, ScenarioError> {
        while !holds(self) {
            if !self.step()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does what an event says; returns the node that it concerned, if its round may have changed.
    fn happen(&mut self, event: Event) -> Option<usize> {
        let net = &mut self.stage.net;
        let (to, input) = match event {
            Event::Copy { to, from, message } => (to, net.on_copy(to, from, message)?),
            Event::Again { to, from, opened } => (to, net.on_again(to, from, opened)?),
            Event::Own { to, input } => (to, *input),
            Event::Question { to, from, reply, bytes } => (to, Input::Request { reply, from: net.places.id(from), bytes }),
            Event::Answer { reply, bytes } => {
                let open = net.close(reply)?;
                let scene = Scene { seed: self.scenario.seed, now: net.now, node: open.asker.node };
                scene.answer(bytes.len(), open.bytes_max);
                (open.asker, Input::Answer { ask: open.ask, result: Ok(bytes) })
            }
            Event::Timeout { reply } => {
                let open = net.expire(reply)?;
                (open.asker, Input::Answer { ask: open.ask, result: Err(AskFailure::Timeout) })
            }
            Event::Trained { to, training } => {
                let node = self.at(to)?;
                self.hosts[node].trained(training, &mut self.stage);
                return Some(node);
            }
            Event::Wake { to } => {
                let node = self.at(to)?;
                self.hosts[node].wake(&mut self.stage);
                return Some(node);
            }
            Event::Pardon { pair } => {
                net.pardon(pair);
                return None;
            }
            Event::Flow => {
                net.on_flow();
                return None;
            }
            Event::Heartbeat => {
                net.heartbeat();
                self.look_after();
                return None;
            }
        };
        let node = self.at(to)?;
        self.hosts[node].give(input, &mut self.stage);
        Some(node)
    }

    /// The node at this address, if it is still there.
    fn at(&self, to: Address) -> Option<usize> {
        self.stage.net.places.is_there(to).then_some(to.node)
    }

    /// Notes the round that this node is in now.
    fn count(&mut self, node: usize) {
        if self.hosts[node].is_honest() {
            self.tally.set(node, self.hosts[node].round());
        }
    }

    /// What follows if the median round has risen.
    fn rise(&mut self) -> Result<(), ScenarioError> {
        let median = self.tally.median();
        if median <= self.median {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.median, median);
        self.median_at = self.now();
        self.keep_up();
        if let Some(mut fate) = self.fate.take() {
            let done = fate.on_round(self, before, median);
            self.fate = Some(fate);
            done?;
        }
        if self.course.is_due(before, median) {
            self.take_sample();
        }
        Ok(())
    }

    /// Liveness: rounds go on.
    fn look_after(&self) {
        let up = self.tally.count() > 0;
        let period = self.workload.spec().round().period();
        if up && !self.is_finished() {
            self.scene(0).moves_on(self.now() - self.median_at, period);
        }
    }

    /// Liveness: who is up for long is not left behind, once the network is whole.
    fn keep_up(&self) {
        if self.fate.as_ref().is_none_or(|fate| !fate.is_whole(self.median)) {
            return;
        }
        let long = self.workload.spec().round().period().times(crate::check::STUCK_PERIODS);
        for (node, host) in self.hosts.iter().enumerate().filter(|(_, host)| host.is_honest()) {
            if let (Some(round), Some(since)) = (host.round(), host.up_since())
                && self.now() - since > long
            {
                self.scene(node).keeps_up(round, self.median);
            }
        }
    }

    pub(crate) fn scene(&self, node: usize) -> Scene {
        Scene { seed: self.scenario.seed, now: self.now(), node }
    }

    /// Starts a node, from its last checkpoint if it has one. Nothing if it is up.
    ///
    /// # Errors
    /// [`ScenarioError`] if its learner cannot be made.
    pub fn take_up(&mut self, node: usize) -> Result<(), ScenarioError> {
        if self.hosts[node].peer().is_some() {
            return Ok(());
        }
        self.stage.net.take_up(node, self.hosts[node].plan.prefix);
        self.start(node)
    }

    fn start(&mut self, node: usize) -> Result<(), ScenarioError> {
        self.stage.trace.change(self.now(), node, true);
        let victim = self.hosts[node].plan.shard.lies.as_ref().and_then(|lies| lies.0.victim());
        if let Some(victim) = victim {
            self.stage.net.connect(node, victim);
        }
        self.stage.net.dial(node);
        self.starts += 1;
        let dice_seed = self.scenario.secret("dice", self.starts * NODES_MAX as u64 + node as u64);
        self.hosts[node].start(dice_seed, &mut self.stage)?;
        self.count(node);
        Ok(())
    }

    /// Crashes a node: what it had not made durable is lost. Nothing if it is down.
    pub fn take_down(&mut self, node: usize) {
        if self.hosts[node].peer().is_none() {
            return;
        }
        self.stage.trace.change(self.now(), node, false);
        let counts = self.hosts[node].stop(&mut self.stage.net);
        self.stage.net.take_down(node);
        self.count(node);
        add(&mut self.rejects, &counts);
    }

    /// Puts somebody new with an empty disk in a node's place.
    ///
    /// # Errors
    /// As [`World::take_up`].
    pub fn replace(&mut self, node: usize) -> Result<(), ScenarioError> {
        self.take_down(node);
        self.lives[node] += 1;
        let key = key(&self.scenario, node, self.lives[node]);
        let shard = Shard {
            me: node_id(&key),
            secret: self.scenario.secret("sketch", node as u64 + self.lives[node] * NODES_MAX as u64),
            ..self.hosts[node].plan.shard.clone()
        };
        self.stage.net.places.rename(node, shard.me);
        self.hosts[node].replace(key, shard);
        self.take_up(node)
    }

    /// The scenario.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Virtual time since the beginning.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.stage.net.now
    }

    /// The nodes that are up, in order.
    pub fn up(&self) -> impl Iterator<Item = usize> + '_ {
        self.stage.net.places.up()
    }

    /// Whether a node is up.
    #[must_use]
    pub fn is_up(&self, node: usize) -> bool {
        self.hosts.get(node).is_some_and(|host| host.peer().is_some())
    }

    /// A node's machine, if it is up.
    #[must_use]
    pub fn peer(&self, node: usize) -> Option<&Peer> {
        self.hosts.get(node)?.peer()
    }

    /// A node's replica, if it is up.
    #[must_use]
    pub fn replica(&self, node: usize) -> Option<&Replica> {
        Some(self.hosts.get(node)?.learner()?.desk.replica())
    }

    /// The lower median of the rounds of the honest nodes that are up; 0 if none is.
    #[must_use]
    pub const fn median_round(&self) -> u64 {
        self.median
    }

    /// Accuracy of a node's averaged weights on data that nobody trained on, 0 to 1; `None` if it is down.
    #[must_use]
    pub fn accuracy(&self, node: usize) -> Option<f64> {
        Some(self.workload.score(self.replica(node)?.averaged()).accuracy)
    }

    /// Digest of everything that happened so far.
    #[must_use]
    pub fn trace(&self) -> Digest {
        self.stage.trace.digest()
    }

    /// What the net carried so far.
    #[must_use]
    pub const fn traffic(&self) -> Traffic {
        self.stage.net.traffic
    }

    /// Events that happened so far.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// What machines dropped so far, and why.
    #[must_use]
    pub fn rejects(&self) -> BTreeMap<Reject, u64> {
        let mut rejects = self.rejects.clone();
        self.hosts.iter().filter_map(Host::peer).for_each(|peer| add(&mut rejects, peer.rejects()));
        rejects
    }

    /// Whether every honest node that is up has done its rounds.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.tally.least().is_some_and(|least| least >= self.scenario.rounds)
    }
}

fn add(rejects: &mut BTreeMap<Reject, u64>, counts: &RejectCounts) {
    for (reject, count) in counts.seen() {
        *rejects.entry(reject).or_default() += count;
    }
}

fn key(scenario: &Scenario, node: usize, life: u64) -> SigningKey {
    SigningKey::from_bytes(&scenario.secret("key", node as u64 + life * NODES_MAX as u64))
}

fn hosts(scenario: &Scenario, workload: &Rc<Workload>) -> Result<Vec<Host>, ScenarioError> {
    let liars = scenario.liars();
    let attackers = liars.iter().flatten().count();
    let plot = Plot { attackers, nodes: scenario.nodes, seed: scenario.secret("plot", 0) };
    let starters = (0..scenario.nodes).filter(|&node| scenario.starts_up(node)).count();
    let wanted = if scenario.gossip.connections == 0 { usize::MAX } else { scenario.gossip.connections };
    let keeps_disk = scenario.churn.offline > 0.0 || !scenario.change.is_empty();
    let device = &scenario.device;
    let mut index = 0;
    let mut hosts = Vec::with_capacity(scenario.nodes);
    for (node, attack) in liars.into_iter().enumerate() {
        let key = key(scenario, node, 0);
        let prefix = attack.as_ref().filter(|attack| attack.shares_prefix()).map(|_| PREFIX);
        let lies = attack.map(|attack| (attack, plot, index));
        index += usize::from(lies.is_some());
        let shard = Shard {
            workload: Rc::clone(workload),
            node,
            order_seed: scenario.order_seed(node),
            me: node_id(&key),
            secret: scenario.secret("sketch", node as u64),
            lies,
        };
        let draw = scenario.secret("clock", node as u64).first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let ppm = (draw % (2 * device.drift_ppm + 1)) as i64 - device.drift_ppm as i64;
        let slowness = device.slowness[node % device.slowness.len()];
        hosts.push(Host::new(Plan {
            node,
            seed: scenario.seed,
            key,
            shard,
            rounds: scenario.rounds,
            step: Span((device.step_ms * slowness * 1_000.0) as u64),
            clock: Clock { ahead: Span::from_millis((draw >> 32) % (device.skew_ms + 1)), ppm },
            inline_bytes_max: scenario.inline_bytes_max,
            wait_for_peers: starters.saturating_sub(1).min(wanted),
            prefix,
            keeps_disk,
        }));
    }
    Ok(hosts)
}
