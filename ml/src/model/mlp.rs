//! The multi-layer perceptron: fully connected layers with ReLU between them.
//!
//! Layer `i` is `layers.i.weight` of shape `[inputs, outputs]` and `layers.i.bias` of shape
//! `[outputs]`: `y = x W + b`. Weights start uniform with bound `sqrt(6 / inputs)`, which keeps the
//! variance through ReLU layers (He et al. 2015, arXiv 1502.01852); biases start at zero.

use std::sync::Arc;

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::linear;

use super::{Kind, Model, Reads};
use crate::layout::TensorSpec;
use crate::section::Section;
use crate::task::TaskError;

/// Most hidden layers (a guess; deeper ones do not train without normalisation).
const LAYERS_MAX: usize = 16;
/// Widest hidden layer (a guess).
const WIDTH_MAX: usize = 1 << 16;

/// An MLP's own sizes; inputs and outputs are the task's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mlp {
    hidden: Vec<usize>,
}

impl Mlp {
    /// Widths of the hidden layers, first to last. None at all is logistic regression.
    #[must_use]
    pub fn hidden(&self) -> &[usize] {
        &self.hidden
    }

    /// The kind `"mlp"`.
    pub(super) fn kind() -> Kind {
        Kind { reads: Reads::Numbers, parse: |section, _| Ok(Arc::new(Self::parse(section)?)) }
    }

    /// Reads `{ kind = "mlp", hidden = [64] }`.
    fn parse(section: &Section<'_>) -> Result<Self, TaskError> {
        section.only(&["kind", "hidden"])?;
        Self::of_hidden(section)
    }

    /// Reads the key `hidden` alone, of a model that ends in such layers.
    pub(super) fn of_hidden(section: &Section<'_>) -> Result<Self, TaskError> {
        Ok(Self { hidden: section.counts("hidden", 0..=LAYERS_MAX, 1..=WIDTH_MAX)? })
    }
}

impl Model for Mlp {
    fn tensors(&self, inputs: &[usize], outputs: usize) -> Vec<TensorSpec> {
        let froms = std::iter::once(inputs.iter().product()).chain(self.hidden.iter().copied());
        let tos = self.hidden.iter().copied().chain(std::iter::once(outputs));
        let layer = |(i, (from, to)): (usize, (usize, usize))| {
            let bound = (6.0 / from as f32).sqrt();
            let weight = TensorSpec::new(format!("layers.{i}.weight"), &[from, to], bound);
            [weight, TensorSpec::new(format!("layers.{i}.bias"), &[to], 0.0)]
        };
        froms.zip(tos).enumerate().flat_map(layer).collect()
    }

    fn widest(&self, inputs: &[usize], outputs: usize) -> usize {
        self.hidden.iter().fold(outputs.max(inputs.iter().product()), |widest, &width| widest.max(width))
    }

    fn forward(&self, _inputs: &[usize], parameters: &[Tensor<1>], batch: Tensor<2>) -> Tensor<2> {
        let mut x = batch;
        for (i, layer) in parameters.chunks_exact(2).enumerate() {
            let [_, from] = x.dims();
            let [to] = layer[1].dims();
            let weight = layer[0].clone().reshape([from, to]);
            x = linear(x, weight, Some(layer[1].clone()));
            if i < self.hidden.len() {
                x = relu(x);
            }
        }
        x
    }
}
