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
    table: toml::Table,
    task: Task,
    labels: Vec<String>,
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
        let table = spec.task().clone();
        let labels = labels(&table);
        let shared = Shared { run: spec.run_id(), name: spec.name().to_owned(), table, task, labels };
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

    /// The spec's `[task]`.
    #[must_use]
    pub fn table(&self) -> &toml::Table {
        &self.shared.table
    }

    /// What that means.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.shared.task
    }

    /// What a class is called, if the spec says so.
    #[must_use]
    pub fn label(&self, class: usize) -> Option<&str> {
        self.shared.labels.get(class).map(String::as_str)
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

/// The classes' names in a spec's `[task]`, if there are any.
pub(crate) fn labels(table: &toml::Table) -> Vec<String> {
    let names = table.get("labels").and_then(toml::Value::as_array);
    names.into_iter().flatten().map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned)).collect()
}
