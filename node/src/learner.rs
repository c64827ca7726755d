//! Two threads behind the driver: one owns the [`Desk`](shoal_protocol::desk::Desk), one owns the trainer.
//!
//! Training may take minutes; while it runs the weights are frozen, so the desk stays free to decode
//! what comes in and to serve bodies and weights to others. Orders go in by one queue, reports come
//! out by another, in the order in which the work was done. Neither thread ever waits for the network.
//!
//! Nothing in here decides anything about the run: every order is one of the machine's outputs.

mod checkpoint;
mod desk;
mod trainer;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use shoal_ml::Metrics;
use shoal_protocol::id::{Digest, NodeId};
use shoal_protocol::peer::{Entry, Input, ReplyId};
use shoal_protocol::slice::Origin;
use shoal_protocol::state::StateBlock;
use shoal_protocol::trust::TrustReport;
use shoal_protocol::wire::Response;
use tokio::sync::mpsc::UnboundedSender;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use desk::DeskParts;
pub use trainer::TrainerParts;

use crate::store::Store;

/// A store that driver and desk share. Each holds it for one write at a time.
pub type SharedStore = Arc<Mutex<Store>>;

/// What the driver orders.
#[derive(Debug)]
pub enum Order {
    /// See [`shoal_protocol::peer::Output::Train`].
    Train {
        /// The round.
        round: u64,
        /// Most steps.
        steps: u32,
        /// When to stop.
        until: Instant,
        /// What others do in a round.
        reference_steps: Option<u32>,
        /// Whether the result is thrown away.
        warm_up: bool,
    },
    /// See [`shoal_protocol::peer::Output::Admit`].
    Admit {
        /// The body's digest.
        digest: Digest,
        /// By whom and for which round it was announced.
        origin: Origin,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// See [`shoal_protocol::peer::Output::Forget`].
    Forget(Vec<Digest>),
    /// See [`shoal_protocol::peer::Output::Apply`].
    Apply {
        /// The round.
        round: u64,
        /// Live nodes.
        live: usize,
        /// What to mix.
        entries: Vec<Entry>,
    },
    /// See [`shoal_protocol::peer::Output::Checkpoint`].
    Checkpoint(u64),
    /// See [`shoal_protocol::peer::Output::KeepBlock`].
    KeepBlock(NodeId, StateBlock),
    /// See [`shoal_protocol::peer::Output::KeepTrust`].
    KeepTrust(NodeId, TrustReport),
    /// See [`shoal_protocol::peer::Output::DropPieces`].
    DropPieces(NodeId),
    /// See [`shoal_protocol::peer::Output::Adopt`].
    Adopt(Vec<NodeId>),
    /// See [`shoal_protocol::peer::Output::ServeBody`].
    ServeBody(ReplyId, Digest),
    /// See [`shoal_protocol::peer::Output::ServeState`].
    ServeState(ReplyId, u32, u64),
    /// See [`shoal_protocol::peer::Output::ServeTrust`].
    ServeTrust(ReplyId),
    /// Save what there is, answer with [`Report::Stopped`], end.
    Stop,
    /// The trainer's answer; only the trainer thread sends it.
    Done(trainer::Done),
}

/// What comes back.
#[derive(Debug)]
pub enum Report {
    /// For the machine. A body that may travel inline comes just before its
    /// [`Input::Trained`], as [`Report::OwnBody`].
    Input(Input),
    /// The own body of this round.
    OwnBody(Digest, Vec<u8>),
    /// For a peer.
    Reply(ReplyId, Response),
    /// A mix is done.
    Mixed(Mixed),
    /// The weights after a mix were tried on the test set.
    Evaluated {
        /// Rounds mixed before it.
        round: u64,
        /// How they did.
        metrics: Metrics,
    },
    /// Training went wrong, or a checkpoint could not be written: one sentence for the log and the
    /// status. The node goes on.
    Trouble(String),
    /// The last report.
    Stopped(Box<Final>),
}

/// Figures of one mix and the training before it.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// Rounds mixed, this one included.
    pub round: u64,
    /// Peers whose bodies went in.
    pub heard: usize,
    /// Training loss before it, if there was a training.
    pub loss: Option<f64>,
    /// Local steps since the process started.
    pub steps: u64,
    /// Trust in each author heard.
    pub trust: Vec<(NodeId, f32)>,
    /// Digest of the weights after it.
    pub weights: Digest,
}

/// What a node leaves when it ends.
#[derive(Clone, Debug)]
pub struct Final {
    /// Its weights.
    pub weights: Vec<f32>,
    /// The average that it serves.
    pub averaged: Vec<f32>,
}

/// The driver's end of both threads.
#[derive(Debug)]
pub struct Learner {
    orders: std::sync::mpsc::Sender<Order>,
    desk: JoinHandle<()>,
}

impl Learner {
    /// Starts both threads; `reports` gets everything they have to say.
    ///
    /// # Errors
    /// If the system has no threads left.
    pub fn start(desk: DeskParts, trainer: TrainerParts, reports: UnboundedSender<Report>) -> std::io::Result<Self> {
        let (orders, inbox) = std::sync::mpsc::channel();
        let (tasks, work) = std::sync::mpsc::channel();
        let (answers, evaluations) = (orders.clone(), reports.clone());
        std::thread::Builder::new()
            .name("shoal-trainer".into())
            .spawn(move || trainer::run(trainer, &work, &answers, &evaluations))?;
        let desk =
            std::thread::Builder::new().name("shoal-desk".into()).spawn(move || desk::run(desk, &inbox, &tasks, &reports))?;
        Ok(Self { orders, desk })
    }

    /// Orders something; a learner that has stopped does nothing.
    pub fn order(&self, order: Order) {
        // The desk only goes away after `Stop`, and then nobody waits for an answer.
        let _ = self.orders.send(order);
    }

    /// Waits for the desk, which ends after [`Order::Stop`] and then lets go of the store. A training that
    /// still runs is not waited for: its result belongs to no round any more.
    pub fn join(self) {
        // A panic in there was printed by its own thread.
        let _ = self.desk.join();
    }
}

/// The store, whoever panicked while holding it: each of its writes is whole or not there.
pub fn lock(store: &SharedStore) -> std::sync::MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
