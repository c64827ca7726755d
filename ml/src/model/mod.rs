//! What a model is here: a list of tensors and a pure function of them.
//!
//! A model holds no weights of a run. It names its tensors (which become the
//! [`Layout`](crate::Layout)) and, given their values in that order, computes logits from inputs. So the
//! flat vector needs no second order, the optimizer is one loop over tensors, and any tensor can be
//! left out of training without the model knowing.
//!
//! Which kinds there are is a registry: those of this crate, and those that a program
//! [registers](register) before it reads its first task. A spec names a kind; a node whose program
//! does not know it refuses the run, with the list of those it knows.

mod cnn;
mod gpt;
mod lora;
mod mlp;
mod registry;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;

pub use cnn::Cnn;
pub(crate) use gpt::Cache;
pub use gpt::Gpt;
pub use lora::Lora;
pub use mlp::Mlp;
pub use registry::{Kind, ParseModel, Reads, RegisterError, register};

use crate::asset::{Assets, Digest};
use crate::layout::TensorSpec;
use crate::section::Section;
use crate::task::TaskError;

/// A kind of model with its own sizes; the shape of an example and the number of outputs are the
/// task's.
///
/// Every method is a pure function of `self` and its arguments: all nodes of a run must come to the
/// same tensors, and a call of training must not depend on the one before.
pub trait Model: Any + Debug + Send + Sync {
    /// The tensors in flat order, for examples of this shape and `outputs` logits an answer.
    fn tensors(&self, inputs: &[usize], outputs: usize) -> Vec<TensorSpec>;

    /// The most numbers that one example becomes on its way through, inputs and outputs included: what
    /// a batch takes in memory is bounded by it. Saturates rather than overflows.
    fn widest(&self, inputs: &[usize], outputs: usize) -> usize;

    /// Logits `[answers, outputs]` of a batch `[examples, numbers]`: one answer for an example, or one
    /// for each of its tokens, which come as numbers. `parameters` are the tensors of
    /// [`Model::tensors`] in that order, each flattened. Every operation must be burn's, so that
    /// gradients flow.
    fn forward(&self, inputs: &[usize], parameters: &[Tensor<1>], batch: Tensor<2>) -> Tensor<2>;

    /// What the shape of an example must be, if this one does not do: the end of the sentence
    /// "task.inputs is `[3]`, but must be ...".
    fn expects(&self, _inputs: &[usize]) -> Option<String> {
        None
    }

    /// Whether this tensor, one of the model's matrices, gets a correction of its own where the model is
    /// the base of a [`Lora`]. By default every tensor of two dimensions does; others never do.
    fn adapts(&self, tensor: &TensorSpec) -> bool {
        tensor.shape().len() == 2
    }

    /// The files without which the model cannot compute, by their hashes.
    fn needs(&self) -> Vec<Digest> {
        Vec::new()
    }

    /// The model with its files, read and checked; `None` if it needs none and is whole as it is.
    /// [`Model::forward`] is called only on what comes from here.
    ///
    /// # Errors
    /// [`TaskError::File`].
    fn equip(&self, _assets: &Assets, _inputs: &[usize], _outputs: usize) -> Result<Option<Arc<dyn Model>>, TaskError> {
        Ok(None)
    }
}

/// The `model` key of a task: which kind, its sizes, and the shapes between which it stands.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// As it stands in the spec: what makes two of them the same.
    table: toml::Table,
    model: Arc<dyn Model>,
    inputs: Vec<usize>,
    outputs: usize,
}

impl PartialEq for ModelSpec {
    fn eq(&self, other: &Self) -> bool {
        (&self.table, &self.inputs, self.outputs) == (&other.table, &other.inputs, other.outputs)
    }
}

impl ModelSpec {
    /// Reads the model of a task with examples of this shape.
    pub(crate) fn parse(section: &Section<'_>, reads: Reads, inputs: &[usize], outputs: usize) -> Result<Self, TaskError> {
        let model = registry::parse(section, reads)?;
        if let Some(expected) = model.expects(inputs) {
            let key = "task.inputs".to_owned();
            return Err(TaskError::Wrong { key, value: format!("{inputs:?}"), expected });
        }
        Ok(Self { table: section.table().clone(), model, inputs: inputs.to_vec(), outputs })
    }

    /// See [`Model::needs`].
    pub(crate) fn needs(&self) -> Vec<Digest> {
        self.model.needs()
    }

    /// See [`Model::equip`].
    pub(crate) fn equip(self, assets: &Assets) -> Result<Self, TaskError> {
        let equipped = self.model.equip(assets, &self.inputs, self.outputs)?;
        Ok(Self { model: equipped.unwrap_or(self.model), ..self })
    }

    /// What is left of a [`Lora`] whose corrections were merged into its base; `None` of any other model.
    pub(crate) fn base(&self) -> Option<Self> {
        let (model, table) = self.downcast::<Lora>()?.base();
        Some(Self { table, model, inputs: self.inputs.clone(), outputs: self.outputs })
    }

    /// The model, if it is of this kind.
    #[must_use]
    pub fn downcast<M: Model>(&self) -> Option<&M> {
        (&*self.model as &dyn Any).downcast_ref()
    }

    /// The tensors in flat order.
    pub(crate) fn tensors(&self) -> Vec<TensorSpec> {
        self.model.tensors(&self.inputs, self.outputs)
    }

    /// See [`Model::widest`].
    pub(crate) fn widest(&self) -> usize {
        self.model.widest(&self.inputs, self.outputs)
    }

    /// See [`Model::forward`].
    pub(crate) fn forward(&self, parameters: &[Tensor<1>], batch: Tensor<2>) -> Tensor<2> {
        self.model.forward(&self.inputs, parameters, batch)
    }
}
