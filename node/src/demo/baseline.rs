//! The two yardsticks: every shard alone, and all shards together in one place.
//!
//! Same initial weights, same optimizer and batch, as many steps as each node of the network takes.

use shoal_ml::{DataError, Dataset, Device, EvalError, TrainError, Trainer, evaluate};

use super::subject::Subject;
use crate::cli::Yardsticks;

/// How good they are on the same unseen data as the network; `None` where nobody asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Baselines {
    pub(super) alone_mean: Option<f64>,
    pub(super) pooled: Option<f64>,
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
        subject: &Subject,
        shards: &[Dataset],
        steps: u32,
        yardsticks: Yardsticks,
    ) -> Result<Self, BaselineError> {
        let Subject { task, spec, split, measure, .. } = subject;
        let one = |data: &Dataset, seed: u64| -> Result<f64, BaselineError> {
            let mut weights = task.init(spec.seed());
            Trainer::new(task, data.clone(), seed, Device::Cpu)?.train(&mut weights, steps, &mut || true)?;
            Ok(measure.of(&evaluate(task, &weights, &split.test, Device::Cpu)?))
        };
        let mut alone_mean = None;
        if yardsticks == Yardsticks::All {
            let mut sum = 0.0;
            for (node, shard) in shards.iter().enumerate() {
                sum += one(shard, node as u64)?;
            }
            alone_mean = Some(sum / shards.len() as f64);
        }
        let pooled = if yardsticks == Yardsticks::None { None } else { Some(one(&split.train, spec.seed())?) };
        Ok(Self { alone_mean, pooled })
    }
}
