//! A run as it is served: what its model is, and its weights of the moment.

use std::sync::Arc;
use std::time::SystemTime;

use shoal_ml::Task;
use shoal_protocol::id::RunId;
use shoal_protocol::spec::RunSpec;
use tokio::sync::watch;

use crate::api::Snapshot;

/// Weights to answer with.
#[derive(Clone, Debug)]
pub struct ServedWeights {
    /// Rounds mixed before.
    pub round: u64,
    /// The average over the last rounds, which answers better than the weights of one.
    pub weights: Vec<f32>,
    /// When they were put out.
    pub at: SystemTime,
}

/// Where a learner puts its weights. The earlier ones live on as long as somebody answers with them.
pub type ServedSender = watch::Sender<Option<Arc<ServedWeights>>>;

/// A run that this node answers for.
#[derive(Clone, Debug)]
pub struct ServedRun {
    shared: Arc<Shared>,
    weights: watch::Receiver<Option<Arc<ServedWeights>>>,
    status: watch::Receiver<Snapshot>,
}

#[derive(Debug)]
struct Shared {
    run: RunId,
    name: String,
    task: Task,
}

impl ServedRun {
    /// A run whose weights come in `weights`.
    #[must_use]
    pub fn new(
        spec: &RunSpec,
        task: Task,
        weights: watch::Receiver<Option<Arc<ServedWeights>>>,
        status: watch::Receiver<Snapshot>,
    ) -> Self {
        let shared = Shared { run: spec.run_id(), name: spec.name().to_owned(), task };
        Self { shared: Arc::new(shared), weights, status }
    }

    /// Its id.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.shared.run
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What its model is.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.shared.task
    }

    /// What a class is called, if the spec says so.
    #[must_use]
    pub fn label(&self, class: usize) -> Option<&str> {
        self.shared.task.legend().labels().get(class).map(String::as_str)
    }

    /// The weights of this moment; none before the first were put out.
    #[must_use]
    pub fn weights(&self) -> Option<Arc<ServedWeights>> {
        self.weights.borrow().clone()
    }

    /// Peers of the run that this node knows.
    #[must_use]
    pub fn peers_known(&self) -> u32 {
        self.status.borrow().status.peers_known
    }
}
