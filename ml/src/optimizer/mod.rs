//! How a gradient becomes a step.
//!
//! The state is this node's own: it stays on the device between calls, is saved only in the node's
//! checkpoint, and is never sent.
//!
//! * SGD: `v <- momentum v + g; w <- w - rate v`, PyTorch's convention, starting from `v = 0`.
//! * AdamW: see its own room.
//! * Before either, if the spec says so, the whole gradient is scaled down to a largest norm.
//! * The rate of a step is the spec's times what the schedule leaves of it; see there.

mod adamw;
mod schedule;
mod spec;

use burn::tensor::{Device, Tensor};

pub use schedule::{Decay, Schedule, Slope};
pub use spec::{AdamW, OptimizerSpec, Rule};

use crate::flat;
use crate::layout::{Layout, TensorSpec};
use adamw::Moments;
use schedule::STEPS_MAX;

/// Added to a norm that is divided by: a gradient of zero stays one.
const NORM_EPSILON: f32 = 1e-12;

/// An optimizer at work on one model. Cloning is cheap: tensors are shared until they change.
#[derive(Clone)]
pub(crate) struct Optimizer {
    clip: Option<f32>,
    schedule: Schedule,
    /// Steps taken, up to [`STEPS_MAX`].
    steps: u32,
    state: State,
}

#[derive(Clone)]
enum State {
    /// One velocity per tensor of the layout, flattened; empty without momentum.
    Sgd {
        rate: f32,
        momentum: f32,
        velocity: Vec<Tensor<1>>,
    },
    AdamW(Moments),
}

impl Optimizer {
    /// A fresh optimizer: no step remembered yet.
    pub(crate) fn new(spec: &OptimizerSpec, layout: &Layout, device: &Device) -> Self {
        let state = match spec.rule {
            Rule::Sgd { rate, momentum } => {
                let velocity = if momentum > 0.0 { zeros(layout, device) } else { Vec::new() };
                State::Sgd { rate, momentum, velocity }
            }
            Rule::AdamW(spec) => State::AdamW(Moments::new(spec, zeros(layout, device))),
        };
        Self { clip: spec.clip, schedule: spec.schedule, steps: 0, state }
    }

    /// Moves every parameter a step along its gradient; neither has an autodiff graph. A parameter
    /// without a gradient stays.
    pub(crate) fn step(&mut self, parameters: &mut [Tensor<1>], mut gradients: Vec<Option<Tensor<1>>>) {
        if let Some(largest) = self.clip {
            clip(&mut gradients, largest);
        }
        self.steps = self.steps.saturating_add(1).min(STEPS_MAX);
        let share = self.schedule.share(self.steps);
        for (i, (parameter, gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
            let Some(gradient) = gradient else { continue };
            match &mut self.state {
                State::Sgd { rate, momentum, velocity } => {
                    let direction = match velocity.get_mut(i) {
                        None => gradient,
                        Some(velocity) => {
                            velocity.inplace(|velocity| velocity.mul_scalar(*momentum).add(gradient));
                            velocity.clone()
                        }
                    };
                    parameter.inplace(|parameter| parameter.sub(direction.mul_scalar(*rate * share)));
                }
                State::AdamW(moments) => {
                    parameter.inplace(|parameter| moments.step(i, self.steps, share, parameter, gradient));
                }
            }
        }
    }

    /// Numbers in the state: one, and with momentum as many as there are parameters, of AdamW twice as
    /// many.
    pub(crate) fn state_count(&self) -> usize {
        let counts = |tensors: &[Tensor<1>]| tensors.iter().map(|tensor| tensor.dims()[0]).sum::<usize>();
        1 + match &self.state {
            State::Sgd { velocity, .. } => counts(velocity),
            State::AdamW(moments) => moments.tensors().map(counts).sum(),
        }
    }

    /// The steps, then the tensors in flat order. `None` if the device failed to hand them over.
    pub(crate) fn state(&self) -> Option<Vec<f32>> {
        let mut state = vec![self.steps as f32];
        match &self.state {
            State::Sgd { velocity, .. } => state.extend(flat::to_weights(velocity)?),
            State::AdamW(moments) => {
                for tensors in moments.tensors() {
                    state.extend(flat::to_weights(tensors)?);
                }
            }
        }
        Some(state)
    }

    /// Takes up a state of [`Optimizer::state_count`] finite numbers. `false`, and nothing has
    /// changed, if no optimizer can have come to it: steps are a whole number.
    pub(crate) fn restore(&mut self, layout: &Layout, state: &[f32], device: &Device) -> bool {
        let Some((&steps, numbers)) = state.split_first() else { return false };
        if steps.fract() != 0.0 || !(0.0..=STEPS_MAX as f32).contains(&steps) {
            return false;
        }
        let restored = match &mut self.state {
            State::Sgd { velocity, .. } => {
                if !velocity.is_empty() {
                    *velocity = flat::to_tensors(layout, numbers, device);
                }
                true
            }
            State::AdamW(moments) => moments.restore(layout, numbers, device),
        };
        if restored {
            self.steps = steps as u32;
        }
        restored
    }
}

fn zeros(layout: &Layout, device: &Device) -> Vec<Tensor<1>> {
    let zeros = |tensor: &TensorSpec| Tensor::zeros([tensor.param_count()], device);
    layout.tensors().iter().map(zeros).collect()
}

/// Scales all gradients by one factor so that their common norm is at most `largest`. The factor
/// stays on the device: nothing waits for it.
fn clip(gradients: &mut [Option<Tensor<1>>], largest: f32) {
    let squares = gradients.iter().flatten().map(|gradient| gradient.clone().mul(gradient.clone()).sum());
    let Some(square) = squares.reduce(Tensor::add) else { return };
    let factor = square.sqrt().add_scalar(NORM_EPSILON).recip().mul_scalar(largest).clamp_max(1.0);
    for gradient in gradients.iter_mut().flatten() {
        gradient.inplace(|gradient| gradient.mul(factor.clone()));
    }
}
