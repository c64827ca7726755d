//! Models, data and training for Shoal: all that only one node needs to compute.
//!
//! A run's `[task]` table becomes a [`Task`]: the model, the shape of an example, the optimizer. It
//! tells images apart or continues a text; everything after it is the same for both.
//! Weights are a plain `Vec<f32>` in the order of the task's [`Layout`]; they start as
//! [`Task::init`], a [`Trainer`] moves them with this node's own [`Dataset`], [`evaluate`] says how
//! good they are, a [`Predictor`] or a [`Generator`] answers with them, and [`safetensors`] and [`export`]
//! take them in and out of the world's formats.
//!
//! Nothing here knows that strangers train the same model. What peers must agree on bit for bit is
//! not computed here, but for the initial weights and the ways to divide data, which are the same
//! everywhere by construction. burn does the tensors' work; it shows only to who writes a
//! [`Model`] of their own and [registers](model::register) it.

mod asset;
pub mod data;
mod device;
mod eval;
pub mod export;
mod flat;
pub mod generate;
mod layout;
mod loss;
pub mod model;
mod optimizer;
mod order;
mod partition;
mod permutation;
mod predict;
pub mod safetensors;
mod section;
mod seed;
mod task;
mod train;

pub use burn;

pub use asset::{ASSET_BYTES_MAX, AssetError, Assets, Digest, DigestError};
pub use data::{DataError, Dataset, Legend, Passage, Schema, Source, Split, Tokenizer, Vocabulary};
pub use device::{Device, DeviceError, Gpu};
pub use eval::{ClassScore, EvalError, Evaluation, Metrics, TextScore, evaluate};
pub use flat::WeightsError;
pub use generate::{Finish, GenerateError, Generation, Generator, Sampling, Step, Tokens};
pub use layout::{Layout, PARAM_COUNT_MAX, TensorSpec};
pub use model::{Activation, Cnn, Gpt, Lora, Mlp, Model, ModelSpec};
pub use optimizer::{AdamW, Decay, OptimizerSpec, Rule, Schedule, Slope};
pub use partition::{Partition, PartitionError};
pub use predict::{PredictError, Predictor, probabilities};
pub use section::Section;
pub use task::{Task, TaskError, TaskSpec};
pub use train::{StateError, TrainError, TrainReport, Trainer};
