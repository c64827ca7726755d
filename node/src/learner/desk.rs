//! The desk thread: the replica and all that is quick, order by order.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant, SystemTime};

use shoal_protocol::desk::Desk;
use shoal_protocol::id::Digest;
use shoal_protocol::peer::{Entry, Input, Learned};
use tokio::sync::mpsc::UnboundedSender;

use super::trainer::{Done, Task};
use super::{Checkpoint, Final, Mixed, Order, Report, SharedStore, lock};
use crate::serve::{ServedSender, ServedWeights};

/// Least time between two checkpoints: each is a synchronous write. Guess: what one may lose of a
/// run of very short rounds; where a round takes longer, every round is saved.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);

/// Least time between two sets of weights that are put out to answer with: each is a copy. Nobody who
/// asks sees a difference of a second (a guess), and a round of a large model takes longer.
const SERVE_EVERY: Duration = Duration::from_secs(1);

/// What the desk thread starts with.
#[derive(Debug)]
pub struct DeskParts {
    /// The replica and its bodies.
    pub desk: Desk,
    /// The trainer's state, as saved with the replica; empty at first.
    pub trainer_state: Vec<u8>,
    /// Where checkpoints go; `None` for a node that leaves nothing.
    pub store: Option<SharedStore>,
    /// The round it starts at.
    pub round: u64,
    /// Own bodies up to this length are handed to the driver, to travel inline.
    pub inline_bytes_max: usize,
    /// Try the weights on the test set after every so-many-th round; 0 for never.
    pub evaluate_every: u64,
    /// Where weights to answer with are put out, as long as somebody may ask.
    pub served: ServedSender,
}

struct Thread<'a> {
    parts: DeskParts,
    tasks: &'a Sender<Task>,
    reports: &'a UnboundedSender<Report>,
    training: Option<Training>,
    saved_at: Option<Instant>,
    served_at: Option<Instant>,
    dirty: bool,
    loss: Option<f64>,
    steps: u64,
}

/// A training under way.
struct Training {
    round: u64,
    start: Vec<f32>,
    reference_steps: Option<u32>,
    warm_up: bool,
}

/// Works until [`Order::Stop`].
pub(super) fn run(parts: DeskParts, orders: &Receiver<Order>, tasks: &Sender<Task>, reports: &UnboundedSender<Report>) {
    let (saved_at, served_at) = (None, None);
    let mut thread = Thread { parts, tasks, reports, training: None, saved_at, served_at, dirty: false, loss: None, steps: 0 };
    // Weights that were never mixed know nothing.
    if thread.parts.round > 0 {
        thread.put_out(thread.parts.round);
    }
    while let Ok(order) = orders.recv() {
        if matches!(order, Order::Stop) {
            break;
        }
        thread.carry_out(order);
    }
    thread.stop();
}

impl Thread<'_> {
    fn report(&self, report: Report) {
        // A driver that is gone needs no report.
        let _ = self.reports.send(report);
    }

    fn carry_out(&mut self, order: Order) {
        let desk = &mut self.parts.desk;
        match order {
            Order::Train { round, steps, until, reference_steps, warm_up } => {
                let start = desk.replica().start();
                let task = Task::Train { weights: start.clone(), steps, until };
                self.training = Some(Training { round, start, reference_steps, warm_up });
                // The trainer lives as long as this sender does.
                let _ = self.tasks.send(task);
            }
            Order::Done(done) => self.on_trained(done),
            Order::Admit { digest, origin, body } => {
                let result = desk.admit(digest, origin, body);
                self.report(Report::Input(Input::Admitted { digest, result }));
            }
            Order::Forget(digests) => desk.forget(&digests),
            Order::Apply { round, live, entries } => self.apply(round, live, &entries),
            Order::Checkpoint(round) => {
                self.parts.round = round;
                self.dirty = true;
                if self.saved_at.is_none_or(|at| at.elapsed() >= CHECKPOINT_EVERY) {
                    self.save();
                }
            }
            Order::KeepBlock(donor, block) => desk.keep_block(donor, block),
            Order::KeepTrust(donor, table) => desk.keep_trust(donor, table),
            Order::DropPieces(donor) => desk.drop_pieces(&donor),
            Order::Adopt(donors) => {
                let adopted = desk.adopt(&donors);
                self.report(Report::Input(Input::Adopted { adopted }));
            }
            Order::ServeBody(reply, digest) => self.report(Report::Reply(reply, self.parts.desk.serve_body(&digest))),
            Order::ServeState(reply, block, round) => {
                self.report(Report::Reply(reply, self.parts.desk.serve_state(block, round)));
            }
            Order::ServeTrust(reply) => self.report(Report::Reply(reply, self.parts.desk.serve_trust())),
            Order::Stop => {}
        }
    }

    fn on_trained(&mut self, done: Done) {
        let Some(training) = self.training.take() else { return };
        let learned = match done.result {
            Ok(report) => {
                self.loss = Some(report.loss);
                self.steps += u64::from(report.steps);
                self.parts.trainer_state = done.state;
                (!training.warm_up).then(|| self.publish(&training, &done.weights, report.steps)).flatten()
            }
            Err(reason) => {
                self.report(Report::Trouble(format!("round {}: {reason}", training.round)));
                None
            }
        };
        self.report(Report::Input(Input::Trained { round: training.round, learned }));
    }

    fn publish(&mut self, training: &Training, trained: &[f32], steps: u32) -> Option<Learned> {
        let desk = &mut self.parts.desk;
        match desk.publish(training.round, &training.start, trained, steps, training.reference_steps) {
            Ok(learned) => {
                let body = desk.body(&learned.digest).filter(|body| body.len() <= self.parts.inline_bytes_max);
                if let Some(body) = body.map(<[u8]>::to_vec) {
                    self.report(Report::OwnBody(learned.digest, body));
                }
                Some(learned)
            }
            Err(error) => {
                self.report(Report::Trouble(format!("round {}: the training result is unusable: {error}", training.round)));
                None
            }
        }
    }

    fn apply(&mut self, round: u64, live: usize, entries: &[Entry]) {
        let applied = self.parts.desk.apply(round, live, entries);
        let replica = self.parts.desk.replica();
        let mixed = Mixed {
            round: round + 1,
            heard: entries.len(),
            loss: self.loss,
            steps: self.steps,
            trust: applied.trust,
            weights: digest_of(replica.weights()),
        };
        if self.parts.evaluate_every > 0 && mixed.round.is_multiple_of(self.parts.evaluate_every) {
            let _ = self.tasks.send(Task::Evaluate { round: mixed.round, weights: replica.averaged().to_vec() });
        }
        let round_done = mixed.round;
        self.report(Report::Mixed(mixed));
        self.report(Report::Input(Input::Applied { round, slice_rms: replica.slice_rms(), update_rms: applied.update_rms }));
        self.put_out(round_done);
    }

    /// Puts the average out, so that questions are answered with it from now on.
    fn put_out(&mut self, round: u64) {
        if self.parts.served.is_closed() || self.served_at.is_some_and(|at| at.elapsed() < SERVE_EVERY) {
            return;
        }
        self.served_at = Some(Instant::now());
        let weights = self.parts.desk.replica().averaged().to_vec();
        self.parts.served.send_replace(Some(Arc::new(ServedWeights { round, weights, at: SystemTime::now() })));
    }

    fn save(&mut self) {
        self.saved_at = Some(Instant::now());
        let Some(store) = &self.parts.store else { return };
        let checkpoint = Checkpoint {
            round: self.parts.round,
            replica: self.parts.desk.replica().snapshot(),
            trainer: self.parts.trainer_state.clone(),
        };
        match lock(store).save_checkpoint(&checkpoint.encode()) {
            Ok(_) => self.dirty = false,
            Err(error) => self.report(Report::Trouble(error.to_string())),
        }
    }

    fn stop(&mut self) {
        if self.dirty {
            self.save();
        }
        let replica = self.parts.desk.replica();
        let last = Final { weights: replica.weights().to_vec(), averaged: replica.averaged().to_vec() };
        self.report(Report::Stopped(Box::new(last)));
    }
}

/// What two nodes can compare without sending their weights.
fn digest_of(weights: &[f32]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for chunk in weights.chunks(1_024) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    Digest(*hasher.finalize().as_bytes())
}
