//! How a gradient becomes a step: stochastic gradient descent with momentum.
//!
//! The state (one velocity per parameter) is this node's own: it stays on the device between calls,
//! is saved only in the node's checkpoint, and is never sent. `v <- momentum v + g;
//! w <- w - rate v`, PyTorch's convention, starting from `v = 0`.

use burn::tensor::{Device, Tensor};

use crate::flat;
use crate::layout::{Layout, TensorSpec};
use crate::section::Section;
use crate::task::TaskError;

/// Largest rate (a guess: ten times what any model here has stood).
const RATE_MAX: f64 = 10.0;
/// Largest momentum: a step is remembered for 1,000 steps.
const MOMENTUM_MAX: f64 = 0.999;

/// The `optimizer` key of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum OptimizerSpec {
    /// Stochastic gradient descent.
    Sgd {
        /// Learning rate: above 0, at most 10.
        rate: f32,
        /// What a step keeps of the one before: 0 (nothing, the default) to 0.999.
        momentum: f32,
    },
}

impl OptimizerSpec {
    /// Reads `{ kind = "sgd", rate = 0.2, momentum = 0.9 }`; the momentum may be left out.
    pub(crate) fn parse(section: &Section<'_>) -> Result<Self, TaskError> {
        let kinds = "\"sgd\"";
        match section.text("kind", kinds)? {
            "sgd" => {
                section.only(&["kind", "rate", "momentum"])?;
                let expected = "a number above 0 and at most 10";
                let rate = section.number("rate", expected)?.ok_or_else(|| section.missing("rate", expected))?;
                // Checked again as f32, in which a tiny rate is zero.
                if !(rate as f32 > 0.0 && rate <= RATE_MAX) {
                    return Err(section.wrong("rate", rate, expected));
                }
                let expected = "a number between 0 and 0.999";
                let momentum = section.number("momentum", expected)?.unwrap_or(0.0);
                if !(0.0..=MOMENTUM_MAX).contains(&momentum) {
                    return Err(section.wrong("momentum", momentum, expected));
                }
                Ok(Self::Sgd { rate: rate as f32, momentum: momentum as f32 })
            }
            other => Err(section.wrong("kind", format!("{other:?}"), kinds)),
        }
    }
}

/// An optimizer at work on one model. Cloning is cheap: tensors are shared until they change.
#[derive(Clone)]
pub(crate) struct Optimizer {
    rate: f32,
    momentum: f32,
    /// One velocity per tensor of the layout, flattened; empty without momentum.
    velocity: Vec<Tensor<1>>,
}

impl Optimizer {
    /// A fresh optimizer: no velocity yet.
    pub(crate) fn new(spec: &OptimizerSpec, layout: &Layout, device: &Device) -> Self {
        let OptimizerSpec::Sgd { rate, momentum } = *spec;
        let zeros = |tensor: &TensorSpec| Tensor::zeros([tensor.param_count()], device);
        let velocity = if momentum > 0.0 { layout.tensors().iter().map(zeros).collect() } else { Vec::new() };
        Self { rate, momentum, velocity }
    }

    /// The value of tensor `index` after a step along `gradient`; neither has an autodiff graph.
    pub(crate) fn step(&mut self, index: usize, value: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let direction = match self.velocity.get_mut(index) {
            None => gradient,
            Some(velocity) => {
                velocity.inplace(|velocity| velocity.mul_scalar(self.momentum).add(gradient));
                velocity.clone()
            }
        };
        value.sub(direction.mul_scalar(self.rate))
    }

    /// Numbers in the state: the parameter count with momentum, 0 without.
    pub(crate) fn state_count(&self) -> usize {
        self.velocity.iter().map(|velocity| velocity.dims()[0]).sum()
    }

    /// The state in flat order. `None` if the device failed to hand it over.
    pub(crate) fn state(&self) -> Option<Vec<f32>> {
        flat::to_weights(&self.velocity)
    }

    /// Takes up a state of [`Optimizer::state_count`] finite numbers.
    pub(crate) fn restore(&mut self, layout: &Layout, state: &[f32], device: &Device) {
        if !self.velocity.is_empty() {
            self.velocity = flat::to_tensors(layout, state, device);
        }
    }
}
