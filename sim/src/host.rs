//! One virtual host: carries out what its machine orders, as `shoal_protocol::peer::Output` says.
//!
//! Training takes the virtual time of its steps; decoding, mixing and adopting take none. The machine's
//! clock is the host's own and may be wrong. What a disk would keep (sequence numbers, the last
//! checkpoint) survives a crash; all else is lost.

use ed25519_dalek::SigningKey;
use shoal_protocol::body::Admitted;
use shoal_protocol::peer::{Config, Input, Outbox, Output, Peer, Resume};
use shoal_protocol::reject::RejectCounts;
use shoal_protocol::time::{Span, Time};
use shoal_protocol::view::Prefix;
use shoal_protocol::wire::Response;

use crate::check::{Record, Scene};
use crate::learner::{Learner, Saved, Shard};
use crate::net::{Event, Net, Training};
use crate::pool::Pool;
use crate::queue::Place;
use crate::scenario::ScenarioError;
use crate::trace::Trace;

/// The name of the network that all virtual nodes are on.
pub(crate) const NETWORK: &str = "sim";
/// Longest wait for peers before the first round: beyond any link's delay. Guess.
const WAIT: Span = Span::from_secs(5);

/// What all hosts share.
pub(crate) struct Stage {
    pub(crate) net: Net,
    pub(crate) trace: Trace,
    pub(crate) pool: Pool,
    /// What each honest node published last; empty where nobody looks.
    pub(crate) crowd: Vec<Option<Admitted>>,
}

/// A clock that is ahead by `ahead`, and gains `ppm` parts in a million.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    pub(crate) ahead: Span,
    pub(crate) ppm: i64,
}

impl Clock {
    /// What it shows when it really is `now`.
    fn local(self, now: Time) -> Time {
        let gained = i128::from(now.0) * i128::from(self.ppm) / 1_000_000;
        Time((i128::from(now.0) + gained).max(0) as u64) + self.ahead
    }

    /// When it shows this, at the earliest.
    fn real(self, local: Time) -> Time {
        let since = i128::from(local.since(Time(0) + self.ahead).0);
        let mut real = Time((since * 1_000_000 / i128::from(1_000_000 + self.ppm)).max(0) as u64);
        while self.local(real) < local {
            real = real + Span(1);
        }
        real
    }
}

/// What a host is told once.
pub(crate) struct Plan {
    pub(crate) node: usize,
    pub(crate) seed: u64,
    pub(crate) key: SigningKey,
    pub(crate) shard: Shard,
    pub(crate) rounds: u64,
    /// Virtual time of one of its steps.
    pub(crate) step: Span,
    pub(crate) clock: Clock,
    pub(crate) inline_bytes_max: usize,
    /// Peers to wait for at the very beginning.
    pub(crate) wait_for_peers: usize,
    /// Where its address lies.
    pub(crate) prefix: Option<Prefix>,
    /// Whether it may ever come back, so that what a disk keeps is worth keeping.
    pub(crate) keeps_disk: bool,
}

/// A host and its disk.
pub(crate) struct Host {
    pub(crate) plan: Plan,
    next_seq: u64,
    saved: Option<Saved>,
    running: Option<Running>,
    /// Bodies mixed over all lives.
    pub(crate) mixed: u64,
    /// Rounds mixed over all lives.
    pub(crate) rounds_done: u64,
}

/// What is lost when the host goes down.
struct Running {
    peer: Peer,
    learner: Learner,
    wake: Option<Place>,
    record: Record,
    since: Time,
}

impl Host {
    pub(crate) const fn new(plan: Plan) -> Self {
        Self { plan, next_seq: 0, saved: None, running: None, mixed: 0, rounds_done: 0 }
    }

    /// The machine, if the host is up.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.running.as_ref().map(|running| &running.peer)
    }

    /// The learner, if the host is up.
    pub(crate) fn learner(&self) -> Option<&Learner> {
        self.running.as_ref().map(|running| &running.learner)
    }

    /// Its round, if the host is up.
    pub(crate) fn round(&self) -> Option<u64> {
        self.peer().map(Peer::round)
    }

    /// Since when it is up.
    pub(crate) fn up_since(&self) -> Option<Time> {
        self.running.as_ref().map(|running| running.since)
    }

    pub(crate) fn plants_trigger(&self) -> bool {
        self.plan.shard.lies.as_ref().is_some_and(|lies| lies.0.plants_trigger())
    }

    pub(crate) const fn is_honest(&self) -> bool {
        self.plan.shard.lies.is_none()
    }

    /// Becomes somebody new with an empty disk; the host must be down.
    pub(crate) fn replace(&mut self, key: SigningKey, shard: Shard) {
        (self.plan.key, self.plan.shard) = (key, shard);
        (self.next_seq, self.saved) = (0, None);
    }

    /// Starts the machine, from the last checkpoint if there is one. `dice_seed` is new at each start.
    pub(crate) fn start(&mut self, dice_seed: [u8; 32], stage: &mut Stage) -> Result<(), ScenarioError> {
        let Plan { shard, key, clock, .. } = &self.plan;
        let learner = match &self.saved {
            Some(saved) => shard.resume(saved)?,
            None => shard.fresh()?,
        };
        let replica = learner.desk.replica();
        let now = stage.net.now;
        let samples = shard.workload.samples(shard.node);
        let config = Config {
            spec: shard.workload.spec().clone(),
            network: NETWORK.to_owned(),
            signer: key.clone().into(),
            dice_seed,
            next_seq: self.next_seq,
            body_bytes_max: replica.codec().body_bytes_max(),
            param_count: replica.weights().len(),
            samples: shard.lies.as_ref().map_or(samples, |lies| lies.0.claimed(samples)),
            inline_bytes_max: self.plan.inline_bytes_max,
            // A newcomer to a running network waits for donors only.
            wait_for_peers: if now == Time(0) { self.plan.wait_for_peers } else { 0 },
            wait: WAIT,
            rounds_max: Some(self.plan.rounds),
        };
        let resume = self.saved.as_ref().map(|saved| Resume { round: saved.round });
        let mut out = Outbox::new();
        let peer = Peer::new(config, clock.local(now), resume, &mut out);
        self.running = Some(Running { peer, learner, wake: None, record: Record::default(), since: now });
        self.carry_out(out, stage);
        Ok(())
    }

    /// A crash. Returns what the machine had dropped.
    pub(crate) fn stop(&mut self, net: &mut Net) -> RejectCounts {
        let Some(running) = self.running.take() else { return RejectCounts::default() };
        if let Some(wake) = running.wake {
            net.queue.cancel(wake);
        }
        running.peer.rejects().clone()
    }

    /// Hands the machine an input and carries out what follows.
    pub(crate) fn give(&mut self, input: Input, stage: &mut Stage) {
        let Some(running) = &mut self.running else { return };
        stage.trace.input(stage.net.now, self.plan.node, &input);
        let mut out = Outbox::new();
        running.peer.handle(self.plan.clock.local(stage.net.now), input, &mut out);
        self.carry_out(out, stage);
    }

    /// The machine was due to be woken.
    pub(crate) fn wake(&mut self, stage: &mut Stage) {
        if let Some(running) = &mut self.running {
            running.wake = None;
        }
        self.give(Input::Tick, stage);
    }

    /// The machine's training has taken its time.
    pub(crate) fn trained(&mut self, training: Training, stage: &mut Stage) {
        let Some(running) = &mut self.running else { return };
        let honest = self.plan.shard.lies.is_none();
        let watched = honest && !stage.crowd.is_empty();
        let work = running.learner.publish(training, &stage.crowd, watched);
        let learned = work.map(|work| {
            if let Some(delta) = work.delta {
                stage.crowd[self.plan.node] = Some(delta);
            }
            work.learned
        });
        self.give(Input::Trained { round: training.round, learned }, stage);
    }

    fn carry_out(&mut self, out: Outbox, stage: &mut Stage) {
        for output in out {
            stage.trace.output(stage.net.now, self.plan.node, &output);
            self.carry_out_one(output, stage);
        }
        let (scene, net, clock) = (self.scene(&stage.net), &mut stage.net, self.plan.clock);
        let Some(running) = &mut self.running else { return };
        scene.queues(&running.peer);
        let wake = running.peer.next_wake(clock.local(net.now)).map(|at| clock.real(at).max(net.now));
        if running.wake.map(|(at, _)| at) != wake {
            if let Some(wake) = running.wake {
                net.queue.cancel(wake);
            }
            let to = net.places.address(self.plan.node);
            running.wake = wake.map(|at| net.queue.push(at, Event::Wake { to }));
        }
    }

    fn scene(&self, net: &Net) -> Scene {
        Scene { seed: self.plan.seed, now: net.now, node: self.plan.node }
    }

    fn carry_out_one(&mut self, output: Output, stage: &mut Stage) {
        let (scene, me) = (self.scene(&stage.net), self.plan.node);
        let Some(Running { learner, record, .. }) = &mut self.running else { return };
        let (net, desk) = (&mut stage.net, &mut learner.desk);
        let lies = self.plan.shard.lies.as_ref();
        let lied = |answer: Response| match lies {
            Some(lies) => lies.0.answer(answer),
            None => answer,
        };
        match output {
            Output::Train { round, steps, until, reference_steps, warm_up } => {
                let local = self.plan.clock.local(net.now);
                let steps = steps_until(local, until, self.plan.step).clamp(1, steps.max(1));
                learner.train(&stage.pool, steps);
                let to = net.places.address(me);
                let training = Training { round, reference_steps, warm_up };
                net.queue.push(net.now + self.plan.step.times(steps.into()), Event::Trained { to, training });
            }
            Output::ReserveSequence { upto } => self.next_seq = upto,
            Output::Publish { mut frame, inline } => {
                frame.extend_from_slice(inline.and_then(|digest| desk.body(&digest)).unwrap_or_default());
                let frames = match lies {
                    Some((attack, ..)) => attack.frames(frame, &self.plan.key, net.scope()),
                    None => vec![frame],
                };
                for frame in frames {
                    scene.frame(frame.len());
                    net.publish(me, frame);
                }
            }
            Output::Verdict { ticket, verdict } => net.on_verdict(ticket, verdict),
            Output::Ask { ask, peer, request, bytes_max, timeout } => {
                let bytes = request.encode();
                scene.question(bytes.len());
                net.ask(me, ask, &peer, bytes, bytes_max, timeout);
            }
            Output::Respond { reply, response } => net.answer(reply, response.encode()),
            Output::ServeBody { reply, digest } => {
                let response = desk.serve_body(&digest).encode();
                net.traffic.body_bytes += response.len() as u64;
                net.answer(reply, response);
            }
            Output::ServeState { reply, block, round } => net.answer(reply, lied(desk.serve_state(block, round)).encode()),
            Output::ServeTrust { reply } => net.answer(reply, lied(desk.serve_trust()).encode()),
            Output::Admit { digest, origin, body } => {
                let result = desk.admit(digest, origin, body);
                net.after(Span(0), me, Input::Admitted { digest, result });
            }
            Output::Forget { digests } => desk.forget(&digests),
            Output::Apply { round, live, entries } => {
                scene.mixes_once(record, &entries);
                desk.apply(round, live, &entries);
                let replica = desk.replica();
                scene.finite(replica.weights());
                self.mixed += entries.len() as u64;
                self.rounds_done += 1;
                let (slice_rms, update_rms) = (replica.slice_rms(), replica.update_rms());
                net.after(Span(0), me, Input::Applied { round, slice_rms, update_rms });
            }
            Output::Checkpoint { round } if self.plan.keeps_disk => self.saved = learner.save(round).or(self.saved.take()),
            Output::Checkpoint { .. } => {}
            Output::KeepBlock { donor, block } => desk.keep_block(donor, block),
            Output::KeepTrust { donor, table } => desk.keep_trust(donor, table),
            Output::DropPieces { donor } => desk.drop_pieces(&donor),
            Output::Adopt { donors, .. } => {
                let adopted = desk.adopt(&donors);
                scene.finite(desk.replica().weights());
                net.after(Span(0), me, Input::Adopted { adopted });
            }
            Output::Ban { peer, span } => net.ban(me, &peer, span),
            // What the round says too; the machine goes on serving.
            Output::Finished { .. } => {}
        }
    }
}

/// Whole steps that fit before `until`.
fn steps_until(now: Time, until: Time, step: Span) -> u32 {
    let room = until.since(now).0;
    room.checked_div(step.0).map_or(u32::MAX, |steps| u32::try_from(steps).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_is_cut_at_its_deadline() {
        let step = Span::from_millis(20);
        assert_eq!(steps_until(Time(0), Time(0) + Span::from_millis(100), step), 5);
        assert_eq!(steps_until(Time(0), Time(0) + Span::from_millis(99), step), 4);
        assert_eq!(steps_until(Time(9), Time(3), step), 0);
        assert_eq!(steps_until(Time(0), Time(1), Span(0)), u32::MAX);
    }

    #[test]
    fn a_wrong_clock_shows_every_time_and_is_read_back() {
        for ppm in [-100_000, -7, 0, 7, 100_000] {
            let clock = Clock { ahead: Span(12_345), ppm };
            for local in [0, 12_345, 12_346, 1_000_000, 3_600_000_000] {
                let real = clock.real(Time(local));
                assert!(clock.local(real) >= Time(local), "{ppm} {local}");
                assert!(real == Time(0) || clock.local(Time(real.0 - 1)) < Time(local), "{ppm} {local}: not the earliest");
            }
        }
    }
}
