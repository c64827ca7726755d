//! What the `[task]` table of a run spec means: the model, the shape of an example, the optimizer.
//!
//! ```toml
//! [task]
//! kind = "classify"
//! inputs = [8, 8]       # the shape of one example
//! classes = 10
//! batch = 16            # examples in a step
//! model = { kind = "mlp", hidden = [64] }
//! optimizer = { kind = "sgd", rate = 0.2, momentum = 0.0 }
//! ```
//! or, to learn which character comes next in a text:
//!
//! ```toml
//! [task]
//! kind = "language"
//! context = 64          # characters in an example
//! vocabulary = " etao"  # the characters; a text's others are read as the first
//! batch = 16
//! model = { kind = "gpt", layers = 2, width = 32, heads = 4 }
//! optimizer = { kind = "adamw", rate = 0.003 }
//! ```
//!
//! Instead of `vocabulary` a language task may say `tokenizer = "<64 hex>"`, the hash of a `tokenizer.json`, and
//! `tokens = 8000`, above every token in it. A task of classes may say what they and the columns of a table
//! are called: `labels` and `columns` ([`Legend`]).
//!
//! Either may say `init = "<64 hex>"`: the run starts from the weights in the safetensors file with
//! this hash instead of from drawn ones.
//!
//! ```text
//! table ──TaskSpec::parse──> TaskSpec ──equip, with the files it needs──> Task
//! ```
//! A [`TaskSpec`] is checked and says what the model will look like and which files it needs. A
//! [`Task`] has them: nothing trains, starts or evaluates without one, so a file cannot be forgotten.
//! Where no file is needed, [`Task::parse`] does both.

mod spec;

pub use spec::TaskSpec;
pub(crate) use spec::weights;

use std::sync::Arc;

use crate::asset::Assets;
use crate::data::{Legend, Vocabulary};
use crate::flat::{self, WeightsError};
use crate::layout::{Layout, PARAM_COUNT_MAX};
use crate::model::{Lora, ModelSpec};
use crate::optimizer::OptimizerSpec;
use crate::seed::{self, Purpose};

/// Most examples evaluated at once: larger gains nothing on a CPU (a guess).
const EVALUATION_BATCH_MAX: usize = 1_024;
/// Most numbers that these may become where the model is widest: 1 MiB of f32 stays in a CPU's cache,
/// and the transformer is evaluated twice as fast as with a batch 16 times larger (measured).
const EVALUATION_NUMBERS_MAX: usize = 1 << 18;

/// Why a task was refused: which key, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// A key that must be there is not.
    #[error("`{key}` is missing; it must be {expected}")]
    Missing {
        /// The key, with its path.
        key: String,
        /// What would be accepted.
        expected: String,
    },
    /// A key that means nothing here.
    #[error("`{key}` is not a key of this table; there are `{known}`")]
    Unknown {
        /// The key, with its path.
        key: String,
        /// The keys there are.
        known: String,
    },
    /// A value of the wrong type or outside its bounds.
    #[error("`{key}` is {value}, but must be {expected}")]
    Wrong {
        /// The key, with its path.
        key: String,
        /// What the spec says.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// The model as a whole has more than [`PARAM_COUNT_MAX`] parameters.
    #[error("`task.model` has more than {PARAM_COUNT_MAX} parameters; its layers must be fewer or smaller")]
    TooManyParameters,
    /// The model names two tensors alike: a fault of the program that registered its kind.
    #[error("`task.model` has two tensors of the name `{tensor}`")]
    SameName {
        /// The name.
        tensor: String,
    },
    /// A file that the spec names by its hash is not there, or not what it must be.
    #[error("`{key}`: {reason}")]
    File {
        /// The key, with its path.
        key: String,
        /// What is wrong with the file.
        reason: String,
    },
}

/// A task with all that it needs: classify examples of one shape, or continue a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    spec: TaskSpec,
    /// What the run starts from, if not from drawn weights.
    start: Option<Arc<[f32]>>,
}

impl Task {
    /// Reads and checks the `[task]` table of a run spec that needs no files.
    ///
    /// # Errors
    /// [`TaskError`] names the key and says what would be right; [`TaskError::File`] if the task
    /// needs a file, which [`TaskSpec::equip`] takes.
    pub fn parse(table: &toml::Table) -> Result<Self, TaskError> {
        TaskSpec::parse(table)?.equip(&Assets::new())
    }

    /// What the spec says.
    #[must_use]
    pub const fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    /// The shape of one example; of a language task the context.
    #[must_use]
    pub fn inputs(&self) -> &[usize] {
        self.spec.inputs()
    }

    /// How many answers a model tells apart: classes, or characters of the vocabulary.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.spec.classes()
    }

    /// The characters of a language task.
    #[must_use]
    pub const fn vocabulary(&self) -> Option<&Vocabulary> {
        self.spec.vocabulary()
    }

    /// What classes and columns are called, if the spec says so.
    #[must_use]
    pub const fn legend(&self) -> &Legend {
        self.spec.legend()
    }

    /// Examples in one step of training.
    #[must_use]
    pub const fn batch(&self) -> usize {
        self.spec.batch()
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &ModelSpec {
        self.spec.model()
    }

    /// The optimizer.
    #[must_use]
    pub const fn optimizer(&self) -> &OptimizerSpec {
        self.spec.optimizer()
    }

    /// The model's tensors in flat order.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        self.spec.layout()
    }

    /// The weights that a run with this seed starts from: the same on every node, bit for bit,
    /// `layout().param_count()` of them. Where the spec names weights to start from, those; the seed
    /// then changes nothing.
    #[must_use]
    pub fn init(&self, seed: u64) -> Vec<f32> {
        self.start.as_ref().map_or_else(|| drawn(self.layout(), seed), |start| start.to_vec())
    }

    /// The task and the weights without corrections beside them: of a [`crate::Lora`] its base, into which
    /// `weights` are merged; of any other model what is there already. For whoever knows the base's kind
    /// only: the merged weights are what other programs load.
    ///
    /// # Errors
    /// [`WeightsError`] if they are not this task's, or the merged ones are beyond what f32 holds.
    pub fn merged(&self, weights: &[f32]) -> Result<(Self, Vec<f32>), WeightsError> {
        let lora = self.model().downcast::<Lora>().zip(self.spec.base());
        let Some((lora, spec)) = lora else {
            flat::check(self.layout(), weights)?;
            return Ok((self.clone(), weights.to_vec()));
        };
        let merged = lora.merged(self.layout(), weights)?;
        Ok((Self { spec, start: None }, merged))
    }

    /// Examples that are evaluated at once.
    pub(crate) fn evaluation_batch(&self) -> usize {
        (EVALUATION_NUMBERS_MAX / self.model().widest().max(1)).clamp(1, EVALUATION_BATCH_MAX)
    }
}

/// Initial weights: each tensor uniform within its bound.
fn drawn(layout: &Layout, seed: u64) -> Vec<f32> {
    let mut rng = seed::stream(seed, Purpose::Init, 0);
    let mut weights = Vec::with_capacity(layout.param_count());
    for tensor in layout.tensors() {
        let bound = tensor.bound();
        // A tensor that starts at zero draws nothing.
        let draw = || if bound > 0.0 { seed::symmetric(&mut rng, bound) } else { 0.0 };
        weights.extend(std::iter::repeat_with(draw).take(tensor.param_count()));
    }
    weights
}

#[cfg(test)]
mod tests;
