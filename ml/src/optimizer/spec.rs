//! The `optimizer` key of a task: which rule, and its numbers.

use super::schedule::Schedule;
use crate::section::Section;
use crate::task::TaskError;

/// Largest rate (a guess: ten times what any model here has stood).
const RATE_MAX: f64 = 10.0;
/// Largest momentum: a step is remembered for 1,000 steps.
const MOMENTUM_MAX: f64 = 0.999;
/// Largest beta: a gradient is remembered for 100,000 steps (a guess).
const BETA_MAX: f64 = 0.999_99;
/// Largest decay, before the rate: a weight loses half of itself in a step of rate 0.5.
const DECAY_MAX: f64 = 1.0;
/// Largest epsilon; smallest, so that it is not zero in f32.
const EPSILON: std::ops::RangeInclusive<f64> = 1e-12..=1.0;
/// Largest norm to clip to (a guess: beyond it nothing is clipped).
const CLIP_MAX: f64 = 1e6;

/// The `optimizer` key of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerSpec {
    /// How a gradient becomes a step.
    pub rule: Rule,
    /// A gradient whose norm over all parameters is larger is scaled down to this norm; above 0.
    pub clip: Option<f32>,
    /// How the rate changes with the node's own steps.
    pub schedule: Schedule,
}

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Stochastic gradient descent.
    Sgd {
        /// Learning rate: above 0, at most 10.
        rate: f32,
        /// What a step keeps of the one before: 0 (nothing, the default) to 0.999.
        momentum: f32,
    },
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
}

/// The numbers of AdamW; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate: above 0, at most 10.
    pub rate: f32,
    /// What the mean of the gradients keeps at each step: 0 to 0.99999, 0.9 by default.
    pub beta1: f32,
    /// What the mean of their squares keeps: 0 to 0.99999, 0.999 by default.
    pub beta2: f32,
    /// Added to the root of that mean: 1e-12 to 1, 1e-8 by default.
    pub epsilon: f32,
    /// Share of a weight that a step of rate 1 takes away: 0 to 1, 0.01 by default.
    pub decay: f32,
}

impl OptimizerSpec {
    /// Reads `{ kind = "sgd", rate = 0.2, momentum = 0.9 }` or `{ kind = "adamw", rate = 0.003 }`;
    /// all but kind and rate may be left out, and both may have `clip = 1.0` and a schedule: `warmup = 100,
    /// schedule = "cosine", until = 5000, floor = 0.1`.
    pub(crate) fn parse(section: &Section<'_>) -> Result<Self, TaskError> {
        let kinds = "\"sgd\" or \"adamw\"";
        let rule = match section.text("kind", kinds)? {
            "sgd" => {
                known(section, &["kind", "rate", "momentum", "clip"])?;
                Rule::Sgd { rate: rate(section)?, momentum: within(section, "momentum", 0.0..=MOMENTUM_MAX, 0.0)? }
            }
            "adamw" => {
                known(section, &["kind", "rate", "beta1", "beta2", "epsilon", "decay", "clip"])?;
                Rule::AdamW(AdamW {
                    rate: rate(section)?,
                    beta1: within(section, "beta1", 0.0..=BETA_MAX, 0.9)?,
                    beta2: within(section, "beta2", 0.0..=BETA_MAX, 0.999)?,
                    epsilon: within(section, "epsilon", EPSILON, 1e-8)?,
                    decay: within(section, "decay", 0.0..=DECAY_MAX, 0.01)?,
                })
            }
            other => return Err(section.wrong("kind", format!("{other:?}"), kinds)),
        };
        Ok(Self { rule, clip: positive(section, "clip", CLIP_MAX)?, schedule: Schedule::parse(section)? })
    }
}

/// Refuses every key but these and a schedule's.
fn known(section: &Section<'_>, own: &[&str]) -> Result<(), TaskError> {
    section.only(&[own, &Schedule::KEYS].concat())
}

fn rate(section: &Section<'_>) -> Result<f32, TaskError> {
    positive(section, "rate", RATE_MAX)?.ok_or_else(|| section.missing("rate", &above_zero(RATE_MAX)))
}

/// A number above 0, also as f32, in which a tiny one is zero. `None` if the key is absent.
fn positive(section: &Section<'_>, key: &str, most: f64) -> Result<Option<f32>, TaskError> {
    let expected = above_zero(most);
    let Some(number) = section.number(key, &expected)? else { return Ok(None) };
    if number as f32 > 0.0 && number <= most { Ok(Some(number as f32)) } else { Err(section.wrong(key, number, &expected)) }
}

fn above_zero(most: f64) -> String {
    format!("a number above 0 and at most {most}")
}

fn within(section: &Section<'_>, key: &str, range: std::ops::RangeInclusive<f64>, default: f64) -> Result<f32, TaskError> {
    let expected = format!("a number between {} and {}", range.start(), range.end());
    let number = section.number(key, &expected)?.unwrap_or(default);
    if range.contains(&number) { Ok(number as f32) } else { Err(section.wrong(key, number, &expected)) }
}
