//! The run spec: everything that all nodes of a run must share, and nothing that is one node's own.
//!
//! A spec is written as TOML, checked once into a [`RunSpec`] whose values are all within bounds,
//! and hashed canonically: two files that differ in order, spacing or comments name the same run,
//! two that differ in one value do not. The `[task]` section (model, data schema, optimizer) is
//! opaque here; it is hashed like the rest and handed to whoever trains.

use std::collections::BTreeMap;

use bincode::Encode;
use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::time::Span;

/// The spec version this crate reads and writes.
pub const SPEC_VERSION: u8 = 1;
/// Longest spec file, bytes: a spec travels to strangers and is parsed before it is trusted.
pub const SPEC_BYTES_MAX: usize = 64 * 1024;
/// Longest run name, bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Deepest nesting of the task section.
const TASK_DEPTH_MAX: usize = 16;
/// The domain of a run's hash (see PROTOCOL.md, rule 1.2).
const RUN_ID_DOMAIN: &str = "shoal 2026 run spec v1";

/// Why a spec was refused: where, and what would be right.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// The file is longer than [`SPEC_BYTES_MAX`].
    #[error("the spec is {0} bytes long; at most {SPEC_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Not TOML, an unknown or missing key, or a value of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// A value outside its bounds.
    #[error("`{key}` is {value}, but must be {expected}")]
    Bound {
        /// The key, with its section.
        key: &'static str,
        /// What the file says.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// The task section is nested too deeply or holds a date.
    #[error("`task`: {0}")]
    Task(&'static str),
}

/// What all nodes of a run share. Only [`RunSpec::parse`] makes one, so its values are in bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    version: u8,
    name: String,
    seed: u64,
    #[serde(default)]
    round: RoundSpec,
    #[serde(default)]
    codec: CodecSpec,
    #[serde(default)]
    mix: MixSpec,
    #[serde(default)]
    slice: SliceSpec,
    task: toml::Table,
}

/// The pace of a run and how many peers are heard in a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Encode)]
#[serde(deny_unknown_fields, default)]
pub struct RoundSpec {
    /// Local steps in a round, `H`: 1 to 10,000.
    pub steps: u32,
    /// Nominal length of a round in milliseconds, `T_round`: 20 to 3,600,000. Training stops there
    /// even if fewer than `steps` are done.
    pub period_ms: u32,
    /// Peers heard in a round, `s`: 3 to 64. As many as there are peers means full mesh.
    pub peers: u16,
}

/// How a delta is compressed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Encode)]
#[serde(deny_unknown_fields, default)]
pub struct CodecSpec {
    /// Parameters in a chunk: a power of two, 256 to 65,536.
    pub chunk: u32,
    /// `[from_round, per_mille]` pairs, rounds increasing from 0, per mille 1 to 500.
    pub density: Vec<(u64, u16)>,
    /// 1: sign and one scale a chunk. 2: a magnitude bit and two scales.
    pub value_bits: u8,
    /// What a residual keeps from one round to the next: 0 to 1.
    pub beta: f32,
    /// How much of the residual training starts ahead of the weights, lambda: 0 to 1.
    pub step_ahead: f32,
}

/// How received deltas move the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Encode)]
#[serde(deny_unknown_fields, default)]
pub struct MixSpec {
    /// Outer rate, eta: above 0, at most 2.
    pub rate: f32,
    /// Outer Nesterov momentum at the receiver, mu: 0 to 0.95.
    pub momentum: f32,
    /// Rounds over which the momentum rises linearly from 0: 0 to 10,000.
    pub momentum_ramp: u32,
}

/// How much of the real weights travels with each delta, as "one part in so many" of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Encode)]
#[serde(deny_unknown_fields, default)]
pub struct SliceSpec {
    /// Where rate control starts: a power of two between `coarsest` and `finest`.
    pub start: u16,
    /// The largest slice: a power of two, 2 to 1,024.
    pub coarsest: u16,
    /// The smallest slice: a power of two, 2 to 1,024, at least `coarsest`.
    pub finest: u16,
}

// The defaults are ALGORITHM.md's first row: at most 0.1 M parameters, SGD, classification.
impl Default for RoundSpec {
    fn default() -> Self {
        Self { steps: 10, period_ms: 5_000, peers: 8 }
    }
}

impl Default for CodecSpec {
    fn default() -> Self {
        Self { chunk: 1_024, density: vec![(0, 30)], value_bits: 1, beta: 1.0, step_ahead: 0.0 }
    }
}

impl Default for MixSpec {
    fn default() -> Self {
        Self { rate: 1.0, momentum: 0.6, momentum_ramp: 20 }
    }
}

impl Default for SliceSpec {
    fn default() -> Self {
        Self { start: 16, coarsest: 4, finest: 16 }
    }
}

impl RoundSpec {
    /// `T_round`.
    #[must_use]
    pub fn period(&self) -> Span {
        Span::from_millis(u64::from(self.period_ms))
    }

    /// How long a node may wait for more bodies after its own training, `t_collect` = 0.2 `T_round`.
    #[must_use]
    pub fn collect(&self) -> Span {
        Span(self.period().0 / 5)
    }
}

impl CodecSpec {
    /// Kept values per thousand in this round.
    #[must_use]
    pub fn per_mille(&self, round: u64) -> u16 {
        self.density.iter().rev().find(|&&(from, _)| from <= round).map_or(1, |&(_, per_mille)| per_mille)
    }
}

impl MixSpec {
    /// The momentum of this round, `mu_r`.
    #[must_use]
    pub fn momentum_at(&self, round: u64) -> f32 {
        if round >= u64::from(self.momentum_ramp) {
            return self.momentum;
        }
        self.momentum * (round as f32 / self.momentum_ramp as f32)
    }
}

impl RunSpec {
    /// Reads and checks a spec.
    ///
    /// # Errors
    /// [`SpecError`] says which key is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        if text.len() > SPEC_BYTES_MAX {
            return Err(SpecError::TooLong(text.len()));
        }
        let spec: Self = toml::from_str(text).map_err(|error| SpecError::Syntax(error.to_string().trim_end().to_owned()))?;
        spec.check()?;
        canonical_table(&spec.task, 0)?;
        Ok(spec)
    }

    /// The spec as TOML, every value written out. Parsed again it is the same run.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|_| unreachable!("it was read from TOML"))
    }

    /// The run's name: for people; two runs may share one.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The seed of the initial weights and of everything else all nodes draw alike.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Pace and fan-in.
    #[must_use]
    pub const fn round(&self) -> &RoundSpec {
        &self.round
    }

    /// Compression.
    #[must_use]
    pub const fn codec(&self) -> &CodecSpec {
        &self.codec
    }

    /// Outer step.
    #[must_use]
    pub const fn mix(&self) -> &MixSpec {
        &self.mix
    }

    /// Anti-entropy.
    #[must_use]
    pub const fn slice(&self) -> &SliceSpec {
        &self.slice
    }

    /// The task section, opaque to this crate.
    #[must_use]
    pub const fn task(&self) -> &toml::Table {
        &self.task
    }

    /// The run's name on the network: the hash of the canonical bytes.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        RunId(blake3::derive_key(RUN_ID_DOMAIN, &self.canonical()))
    }

    /// The bytes that are hashed: bincode (fixed-width integers) of every value in a fixed order,
    /// tables sorted by key.
    fn canonical(&self) -> Vec<u8> {
        let task = canonical_table(&self.task, 0).unwrap_or_else(|_| unreachable!("checked by parse"));
        let fields = (self.version, &self.name, self.seed, &self.round, &self.codec, &self.mix, &self.slice, task);
        bincode::encode_to_vec(fields, bincode::config::legacy()).unwrap_or_else(|_| unreachable!("a Vec takes any bytes"))
    }

    fn check(&self) -> Result<(), SpecError> {
        let bound = |ok: bool, key, value: &dyn core::fmt::Debug, expected| {
            if ok { Ok(()) } else { Err(SpecError::Bound { key, value: format!("{value:?}"), expected }) }
        };
        bound(self.version == SPEC_VERSION, "version", &self.version, "1")?;
        let name = &self.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        bound(
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(plain),
            "name",
            name,
            "1 to 64 letters, digits, '-', '_' or '.'",
        )?;
        let round = &self.round;
        bound((1..=10_000).contains(&round.steps), "round.steps", &round.steps, "between 1 and 10000")?;
        bound((20..=3_600_000).contains(&round.period_ms), "round.period_ms", &round.period_ms, "between 20 and 3600000")?;
        bound((3..=64).contains(&round.peers), "round.peers", &round.peers, "between 3 and 64")?;
        let codec = &self.codec;
        let chunk_ok = codec.chunk.is_power_of_two() && (256..=65_536).contains(&codec.chunk);
        bound(chunk_ok, "codec.chunk", &codec.chunk, "a power of two between 256 and 65536")?;
        let density = &codec.density;
        let starts_ok = density.first().is_some_and(|first| first.0 == 0) && density.windows(2).all(|w| w[0].0 < w[1].0);
        let density_ok = starts_ok && density.len() <= 16 && density.iter().all(|d| (1..=500).contains(&d.1));
        bound(
            density_ok,
            "codec.density",
            density,
            "1 to 16 [from_round, per_mille] pairs, rounds rising from 0, per mille 1 to 500",
        )?;
        bound(matches!(codec.value_bits, 1 | 2), "codec.value_bits", &codec.value_bits, "1 or 2")?;
        bound((0.0..=1.0).contains(&codec.beta), "codec.beta", &codec.beta, "between 0 and 1")?;
        bound((0.0..=1.0).contains(&codec.step_ahead), "codec.step_ahead", &codec.step_ahead, "between 0 and 1")?;
        let mix = &self.mix;
        bound(mix.rate > 0.0 && mix.rate <= 2.0, "mix.rate", &mix.rate, "above 0 and at most 2")?;
        bound((0.0..=0.95).contains(&mix.momentum), "mix.momentum", &mix.momentum, "between 0 and 0.95")?;
        bound(mix.momentum_ramp <= 10_000, "mix.momentum_ramp", &mix.momentum_ramp, "at most 10000")?;
        let slice = &self.slice;
        let part = |n: u16| n.is_power_of_two() && (2..=1_024).contains(&n);
        bound(part(slice.coarsest), "slice.coarsest", &slice.coarsest, "a power of two between 2 and 1024")?;
        bound(
            part(slice.finest) && slice.finest >= slice.coarsest,
            "slice.finest",
            &slice.finest,
            "a power of two, at least slice.coarsest, at most 1024",
        )?;
        let start_ok = part(slice.start) && (slice.coarsest..=slice.finest).contains(&slice.start);
        bound(start_ok, "slice.start", &slice.start, "a power of two between slice.coarsest and slice.finest")
    }
}

/// A TOML value in the form that is hashed. Floats by their bits, tables in key order.
#[derive(Encode)]
enum Canonical {
    Bool(bool),
    Integer(i64),
    Float(u64),
    Text(String),
    Array(Vec<Canonical>),
    Table(BTreeMap<String, Canonical>),
}

fn canonical_table(table: &toml::Table, depth: usize) -> Result<BTreeMap<String, Canonical>, SpecError> {
    table.iter().map(|(key, value)| Ok((key.clone(), canonical(value, depth)?))).collect()
}

fn canonical(value: &toml::Value, depth: usize) -> Result<Canonical, SpecError> {
    if depth >= TASK_DEPTH_MAX {
        return Err(SpecError::Task("nested more than 16 deep"));
    }
    Ok(match value {
        toml::Value::Boolean(value) => Canonical::Bool(*value),
        toml::Value::Integer(value) => Canonical::Integer(*value),
        toml::Value::Float(value) if value.is_finite() => Canonical::Float(value.to_bits()),
        toml::Value::Float(_) => return Err(SpecError::Task("numbers must be finite")),
        toml::Value::String(value) => Canonical::Text(value.clone()),
        toml::Value::Array(values) => {
            Canonical::Array(values.iter().map(|value| canonical(value, depth + 1)).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => Canonical::Table(canonical_table(table, depth + 1)?),
        toml::Value::Datetime(_) => return Err(SpecError::Task("dates mean nothing to a task; write a string")),
    })
}
