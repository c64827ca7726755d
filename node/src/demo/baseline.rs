//! The two yardsticks: every shard alone, and all shards together in one place.
//!
//! Same initial weights, same optimizer and batch, as many steps as each node of the network takes.

use shoal_ml::{DataError, Dataset, Device, EvalError, Split, Task, TrainError, Trainer, evaluate};
use shoal_protocol::spec::RunSpec;

/// Accuracies on the same held-out data as the network's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Baselines {
    pub(super) alone_mean: f64,
    pub(super) pooled: f64,
}

/// Why a yardstick could not be trained.
#[derive(Debug, thiserror::Error)]
pub(super) enum BaselineError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Eval(#[from] EvalError),
}

impl Baselines {
    pub(super) fn train(
        task: &Task,
        spec: &RunSpec,
        split: &Split,
        shards: &[Dataset],
        steps: u32,
    ) -> Result<Self, BaselineError> {
        let one = |data: &Dataset, seed: u64| -> Result<f64, BaselineError> {
            let mut weights = task.init(spec.seed());
            Trainer::new(task, data.clone(), seed, Device::Cpu)?.train(&mut weights, steps, &mut || true)?;
            Ok(evaluate(task, &weights, &split.test, Device::Cpu)?.accuracy)
        };
        let mut alone = 0.0;
        for (node, shard) in shards.iter().enumerate() {
            alone += one(shard, node as u64)?;
        }
        Ok(Self { alone_mean: alone / shards.len() as f64, pooled: one(&split.train, spec.seed())? })
    }
}
