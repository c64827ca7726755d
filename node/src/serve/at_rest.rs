//! A run of a node that is not running: the weights of its last checkpoint.

use std::path::Path;

use shoal_ml::Task;
use shoal_protocol::layout::Layout;
use shoal_protocol::replica::Replica;
use shoal_protocol::spec::RunSpec;

use crate::identity::{Identity, IdentityError, KEY_FILE};
use crate::learner::Checkpoint;
use crate::runs::Memory;
use crate::store::{Store, StoreError};

/// A run as its node left it.
#[derive(Clone, Debug)]
pub struct AtRest {
    /// Rounds mixed.
    pub round: u64,
    /// The average that the node served.
    pub weights: Vec<f32>,
}

/// Why there are no weights.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum AtRestError {
    /// The node's key.
    #[error(transparent)]
    #[diagnostic(code(shoal::serve::identity), help("`shoal init` makes a node; its key must be its owner's alone"))]
    Identity(#[from] IdentityError),
    /// The run's state.
    #[error(transparent)]
    #[diagnostic(code(shoal::serve::store), help("if another process uses the directory, wait for it to end"))]
    Store(#[from] StoreError),
    /// Nothing was ever saved.
    #[error("the run has no checkpoint yet")]
    #[diagnostic(code(shoal::serve::none), help("take part in it first, with `shoal run`"))]
    Nothing,
    /// What was saved cannot be read.
    #[error("the run's checkpoint cannot be read: {0}")]
    #[diagnostic(code(shoal::serve::damaged), help("start the node again: it then copies the run's state from its peers"))]
    Damaged(String),
}

impl AtRest {
    /// Reads the last checkpoint of a run, whose spec's task is `task`. Takes the run's directory for that moment, so that it fails
    /// while a node is in the run.
    ///
    /// # Errors
    /// [`AtRestError`].
    pub fn load(data_dir: &Path, spec: &RunSpec, task: &Task) -> Result<Self, AtRestError> {
        let damaged = |error: &dyn std::fmt::Display| AtRestError::Damaged(error.to_string());
        let layout = Layout::from_tensors(&task.layout().sizes()).ok_or_else(|| damaged(&"the model has no parameters"))?;
        let dir = Memory::new(data_dir).run_dir(&spec.run_id());
        if !dir.join("db").exists() {
            return Err(AtRestError::Nothing);
        }
        let own = Identity::load(&data_dir.join(KEY_FILE))?.node_id();
        let loaded = Store::open(&dir)?.load_checkpoint()?.ok_or(AtRestError::Nothing)?;
        let checkpoint = Checkpoint::decode(&loaded.bytes).map_err(|error| damaged(&error))?;
        // The secret only hides directions of trust, which nobody asks about here.
        let replica = Replica::restore(&checkpoint.replica, spec.run_id(), spec, layout, own, [0; 32]);
        let replica = replica.map_err(|error| damaged(&error))?;
        Ok(Self { round: checkpoint.round, weights: replica.averaged().to_vec() })
    }
}
