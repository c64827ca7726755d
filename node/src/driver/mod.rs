//! The driver: one run's loop in this node.
//!
//! ```text
//!   Line ──event──>  translate ──Input──>  Peer  ──Output──>  carry out ──> Line, Learner, Store
//!     ^                                      ^                                  │
//!     └──────────────────────────────────────┴────────── Report <───────────────┘
//! ```
//! Wait, translate, handle, drain; nothing in here decides anything about the run. Outputs are
//! carried out in order, and a sequence number is on the disk before the announce that carries it
//! leaves. The loop itself never trains, mixes or waits. What the runs of a node share lies behind the
//! [`Line`]; drivers know nothing of each other.

mod carry;
mod recording;
mod snapshot;
mod translate;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shoal_ml::Metrics;
use shoal_protocol::fetch::AskId;
use shoal_protocol::id::{Digest, NodeId};
use shoal_protocol::peer::{Config, Input, Outbox, Peer, ReplyId, Resume, TicketId};
use shoal_protocol::seal::{News, Scope};
use shoal_protocol::time::Time;
use shoal_protocol::wire::REQUEST_BYTES_MAX;
use tokio::sync::{mpsc, watch};

pub use recording::{Recording, RecordingError};

use crate::api::Snapshot;
use crate::hub::{Event, Line};
use crate::learner::{Final, Learner, Mixed, Order, Report, SharedStore};
use crate::swarm::{GossipTicket, PublishError, ReplyHandle};

/// How often the status that others may ask for is renewed.
const STATUS_EVERY: Duration = Duration::from_millis(250);
/// How often the addresses of peers are written down for the next start. Guess.
const REMEMBER_EVERY: Duration = Duration::from_secs(15);
/// Longest wait for the learner to finish a step, save and stop.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// When a machine starts: its clock is the driver's.
const START: Time = Time(0);
/// Peers' requests that wait for the desk. One more is declined.
const REPLIES_MAX: usize = 64;

/// What the driver is made of. Every part is ready when it starts.
pub struct Parts {
    /// The way to the run's peers.
    pub line: Line,
    /// The learner's threads.
    pub learner: Learner,
    /// What they report.
    pub reports: mpsc::UnboundedReceiver<Report>,
    /// Where sequence numbers are reserved; `None` for a node whose identity dies with it.
    pub store: Option<SharedStore>,
    /// What the machine is told.
    pub machine: Config,
    /// Where a checkpoint left off.
    pub resume: Option<Resume>,
    /// Where its life is recorded, if it is.
    pub recording: Option<Recording>,
    /// Where the status goes.
    pub status: watch::Sender<Snapshot>,
    /// Where a demo watches rounds go by.
    pub progress: Option<mpsc::UnboundedSender<Progress>>,
}

/// What a demo sees of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A round is mixed.
    Mixed {
        /// Rounds mixed.
        round: u64,
        /// Peers heard in it.
        heard: usize,
        /// Bytes sent since the start, everything counted.
        sent_bytes: u64,
        /// Of it announces, bodies and state that this node authored or served.
        payload_bytes: u64,
    },
    /// The weights were tried.
    Evaluated {
        /// Rounds mixed before.
        round: u64,
        /// How good they are on the test set.
        metrics: Metrics,
    },
    /// All rounds are done.
    Finished,
}

/// Why a node ended otherwise than asked to.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum DriverError {
    /// The threads that train are gone.
    #[error("the training threads stopped unexpectedly")]
    #[diagnostic(code(shoal::driver::learner), help("the log says why; what was saved last is safe, start the node again"))]
    Learner,
    /// The hub has ended, or has cut this run off.
    #[error("the run was cut off from the node's network")]
    #[diagnostic(code(shoal::driver::cut_off), help("the log says why; what was saved last is safe, start the node again"))]
    CutOff,
    /// The learner did not stop in time.
    #[error("the node could not save its last rounds within 20 seconds")]
    #[diagnostic(code(shoal::driver::stop), help("what was saved before is safe; check the disk, then start the node again"))]
    Stop,
}

/// One run of a running node.
pub struct Driver {
    line: Line,
    learner: Learner,
    reports: mpsc::UnboundedReceiver<Report>,
    store: Option<SharedStore>,
    peer: Peer,
    recording: Option<Recording>,
    /// What gossip frames are opened in.
    scope: Scope,
    started: Instant,
    tickets: BTreeMap<TicketId, GossipTicket>,
    next_id: u64,
    replies: BTreeMap<ReplyId, ReplyHandle>,
    own_body: Option<(Digest, Vec<u8>)>,
    /// A reservation that failed: nothing is published until it is made good.
    unreserved: Option<u64>,
    payload_bytes: u64,
    answers_from: BTreeMap<NodeId, u64>,
    mixed: Option<Mixed>,
    accuracy: Option<f64>,
    trouble: Option<String>,
    names: Names,
    status: watch::Sender<Snapshot>,
    progress: Option<mpsc::UnboundedSender<Progress>>,
}

/// What of the spec the status names.
struct Names {
    network: String,
    run: String,
    name: String,
}

impl Driver {
    /// A driver whose machine has taken its first decisions.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let names = Names {
            network: parts.machine.network.clone(),
            run: parts.machine.spec.run_id().to_string(),
            name: parts.machine.spec.name().to_owned(),
        };
        let scope = Scope::new(&parts.machine.network, parts.machine.spec.run_id());
        let mut out = Outbox::new();
        let peer = Peer::new(parts.machine, START, parts.resume, &mut out);
        let mut recording = parts.recording;
        if let Some(recording) = &mut recording {
            recording.outputs(&out);
        }
        let mut driver = Self {
            line: parts.line,
            learner: parts.learner,
            reports: parts.reports,
            store: parts.store,
            peer,
            recording,
            scope,
            started: Instant::now(),
            tickets: BTreeMap::new(),
            next_id: 0,
            replies: BTreeMap::new(),
            own_body: None,
            unreserved: None,
            payload_bytes: 0,
            answers_from: BTreeMap::new(),
            mixed: None,
            accuracy: None,
            trouble: None,
            names,
            status: parts.status,
            progress: parts.progress,
        };
        driver.carry_out(out);
        driver
    }

    /// Runs until `stop` says so (or its sender is gone), then saves and leaves.
    ///
    /// # Errors
    /// [`DriverError`] if the training threads are gone or do not stop.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<Final, DriverError> {
        let mut status = tokio::time::interval(STATUS_EVERY);
        let mut remember = tokio::time::interval(REMEMBER_EVERY);
        loop {
            let wake = self.peer.next_wake(self.now()).map(|at| self.instant(at));
            tokio::select! {
                event = self.line.next_event() => match event {
                    Some(event) => self.on_event(event),
                    None => return Err(DriverError::CutOff),
                },
                report = self.reports.recv() => match report {
                    Some(Report::Stopped(_)) | None => return Err(DriverError::Learner),
                    Some(report) => self.on_report(report),
                },
                () = tokio::time::sleep_until(wake.unwrap_or(self.started).into()), if wake.is_some() => self.feed(Input::Tick),
                _ = status.tick() => self.tell_status(false),
                _ = remember.tick() => self.remember_peers(),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.stop().await
    }

    /// Finishes what the learner has under way, saves, and leaves.
    async fn stop(mut self) -> Result<Final, DriverError> {
        // The machine is told nothing more.
        if let Some(recording) = self.recording.take() {
            recording.stop();
        }
        self.tell_status(true);
        self.remember_peers();
        self.learner.order(Order::Stop);
        let last = async {
            while let Some(report) = self.reports.recv().await {
                if let Report::Stopped(last) = report {
                    return Some(*last);
                }
            }
            None
        };
        let last = tokio::time::timeout(STOP_WITHIN, last).await.map_err(|_| DriverError::Stop)?.ok_or(DriverError::Learner)?;
        // It has said its last word; what is left is closing the store.
        self.learner.join();
        Ok(last)
    }

    fn now(&self) -> Time {
        Time(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The machine's time on this host's clock.
    fn instant(&self, at: Time) -> Instant {
        self.started + at.since(START).to_std()
    }

    fn feed(&mut self, input: Input) {
        let (now, mut out) = (self.now(), Outbox::new());
        if let Some(recording) = &mut self.recording {
            recording.input(now, &input);
        }
        self.peer.handle(now, input, &mut out);
        if let Some(recording) = &mut self.recording {
            recording.outputs(&out);
        }
        self.carry_out(out);
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Gossip { ticket, source, data } => {
                let id = TicketId(self.next_id());
                self.tickets.insert(id, ticket);
                let news = News::open(&self.scope, data).map(Arc::new);
                self.feed(Input::Gossip { ticket: id, from: source, news });
            }
            Event::PeerUp { peer, prefix } => {
                tracing::info!(run = %self.names.name, peer = %peer.short(), "peer up");
                self.feed(Input::PeerUp { peer, prefix: prefix.map(translate::prefix) });
            }
            Event::PeerDown { peer } => {
                tracing::info!(run = %self.names.name, peer = %peer.short(), "peer down");
                self.feed(Input::PeerDown { peer });
            }
            Event::Request { peer, bytes, reply } => {
                // Dropping the handle declines: a peer that floods gets no queue of its own. One byte
                // more than a request has is let in so that the machine can say what is wrong with it.
                if self.replies.len() < REPLIES_MAX && bytes.len() <= REQUEST_BYTES_MAX + 1 {
                    let id = ReplyId(self.next_id());
                    self.replies.insert(id, reply);
                    self.feed(Input::Request { reply: id, from: peer, bytes });
                }
            }
            Event::Response { ask, peer, result } => {
                if let Ok(bytes) = &result {
                    *self.answers_from.entry(peer).or_default() += bytes.len() as u64;
                }
                self.feed(Input::Answer { ask: AskId(ask), result: result.map_err(|error| translate::failure(&error)) });
            }
            Event::Published(Ok(bytes)) => self.payload_bytes += bytes as u64,
            Event::Published(Err(PublishError::NoPeers)) => {}
            Event::Published(Err(error)) => tracing::warn!("an announce was not sent: {error}"),
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Input(input) => self.feed(input),
            Report::OwnBody(digest, body) => self.own_body = Some((digest, body)),
            Report::Reply(reply, response) => self.reply(reply, &response),
            Report::Mixed(mixed) => {
                tracing::debug!(round = mixed.round, heard = mixed.heard, "mixed");
                let (sent_bytes, _) = self.line.byte_counts();
                let Mixed { round, heard, .. } = mixed;
                self.tell(Progress::Mixed { round, heard, sent_bytes, payload_bytes: self.payload_bytes });
                self.mixed = Some(mixed);
            }
            Report::Evaluated { round, metrics } => {
                self.accuracy = Some(metrics.accuracy);
                self.tell(Progress::Evaluated { round, metrics });
            }
            Report::Trouble(what) => {
                tracing::warn!("{what}");
                self.trouble = Some(what);
            }
            Report::Stopped(_) => {}
        }
    }

    fn tell(&self, progress: Progress) {
        if let Some(listener) = &self.progress {
            // A demo that was stopped listens no longer.
            let _ = listener.send(progress);
        }
    }
}
