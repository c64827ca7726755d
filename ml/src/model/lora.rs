//! Low-rank adaptation: somebody's weights stay as they are, and a thin correction to each matrix learns.
//!
//! ```text
//! W' = W + (alpha / rank) A B        W [n, m] frozen, A [n, rank] and B [rank, m] trained
//! ```
//! Hu et al. 2021, arXiv 2106.09685. A matrix `name` of the base becomes `name.lora_a` and `name.lora_b`
//! in the layout, and nothing else is there: only these travel between nodes. `A` starts uniform with
//! bound `1 / sqrt(n)`, as in the authors' code, and `B` at zero: at first the model is its base.
//!
//! The base is a model of any kind but this one and any number of numbers; its weights are a safetensors
//! file that the spec names by its hash and that lies on every node. `W'` is made whole in each forward
//! pass rather than `x A B` beside `x W`: the base needs to know nothing of it, and beside a batch's
//! products of matrices it is small.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};

use super::{Kind, Model, Reads, registry};
use crate::asset::{Assets, Digest};
use crate::flat::{self, WeightsError};
use crate::layout::{Layout, TensorSpec};
use crate::section::{DIGEST_EXPECTED, Section};
use crate::task::{self, TaskError};

/// Highest rank (a guess: beyond it the whole matrix is the better choice).
const RANK_MAX: usize = 1 << 10;
/// Largest alpha (a guess).
const ALPHA_MAX: f64 = 1e4;
/// Name of the kind, which cannot be its own base.
const NAME: &str = "lora";

/// A base with a correction of low rank.
#[derive(Clone)]
pub struct Lora {
    rank: usize,
    /// `alpha / rank`.
    scale: f32,
    weights: Digest,
    /// The key that names the weights, with its path.
    key: String,
    base: Arc<dyn Model>,
    /// The base as it stands in the spec.
    table: toml::Table,
    /// The base's weights, once they are there.
    frozen: Option<Arc<Frozen>>,
}

/// The base's weights: one copy, however many tasks and trainers are made from one that was equipped.
struct Frozen {
    layout: Layout,
    weights: Vec<f32>,
    /// The same on the device where they were used last.
    tensors: Mutex<Option<(Device, Vec<Tensor<1>>)>>,
}

impl Lora {
    /// Columns of each `A`, rows of each `B`.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// The hash of the base's weights.
    #[must_use]
    pub const fn weights(&self) -> Digest {
        self.weights
    }

    /// The kind `"lora"`.
    pub(super) fn kind() -> Kind {
        Kind { reads: Reads::Either, parse: |section, reads| Ok(Arc::new(Self::parse(section, reads)?)) }
    }

    /// Reads `{ kind = "lora", rank = 8, alpha = 16.0, weights = "<64 hex>", base = { kind = "gpt", ... } }`;
    /// alpha is twice the rank if left out.
    fn parse(section: &Section<'_>, reads: Reads) -> Result<Self, TaskError> {
        section.only(&["kind", "rank", "alpha", "weights", "base"])?;
        let rank = section.count("rank", 1..=RANK_MAX)?;
        let expected = format!("a number above 0 and at most {ALPHA_MAX}");
        let alpha = section.number("alpha", &expected)?.unwrap_or(2.0 * rank as f64);
        if !(alpha as f32 > 0.0 && alpha <= ALPHA_MAX) {
            return Err(section.wrong("alpha", alpha, &expected));
        }
        let weights = section.digest("weights")?.ok_or_else(|| section.missing("weights", DIGEST_EXPECTED))?;
        let base = section.section("base", "the table of a model, such as { kind = \"gpt\", ... }")?;
        // Asked before the base is read, so that a spec cannot nest them.
        if base.table().get("kind").and_then(toml::Value::as_str) == Some(NAME) {
            return Err(base.wrong("kind", "\"lora\"", "a kind that has weights of its own"));
        }
        let (key, scale) = (section.key("weights"), (alpha / rank as f64) as f32);
        Ok(Self { rank, scale, weights, key, base: registry::parse(&base, reads)?, table: base.table().clone(), frozen: None })
    }

    /// The base and its table in the spec.
    pub(crate) fn base(&self) -> (Arc<dyn Model>, toml::Table) {
        (Arc::clone(&self.base), self.table.clone())
    }

    /// The base's weights with these corrections in them, in the order of the base's tensors. The
    /// corrections are as many as [`Model::tensors`] says.
    pub(crate) fn merged(&self, layout: &Layout, corrections: &[f32]) -> Result<Vec<f32>, WeightsError> {
        flat::check(layout, corrections)?;
        let Frozen { layout: base, weights, .. } = self.frozen();
        let mut merged = weights.clone();
        let mut rest = corrections;
        for (tensor, range) in base.ranges() {
            let &[rows, columns] = tensor.shape() else { continue };
            if !self.base.adapts(tensor) {
                continue;
            }
            let (a, others) = rest.split_at(rows * self.rank);
            let (b, others) = others.split_at(self.rank * columns);
            rest = others;
            for (row, a) in merged[range].chunks_exact_mut(columns).zip(a.chunks_exact(self.rank)) {
                for (factor, b) in a.iter().zip(b.chunks_exact(columns)) {
                    row.iter_mut().zip(b).for_each(|(weight, b)| *weight += self.scale * factor * b);
                }
            }
        }
        flat::check(base, &merged)?;
        Ok(merged)
    }

    fn frozen(&self) -> &Frozen {
        // A model computes only as part of a `Task`, and `TaskSpec::equip` is the only way to one.
        self.frozen.as_deref().unwrap_or_else(|| unreachable!("a task has its files before it computes"))
    }
}

impl Frozen {
    /// The weights on a device; they move there once.
    fn tensors(&self, device: &Device) -> Vec<Tensor<1>> {
        // A panic under this lock leaves what was there before.
        let mut held = self.tensors.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((there, tensors)) if there == device => tensors.clone(),
            _ => {
                let tensors = flat::to_tensors(&self.layout, &self.weights, device);
                *held = Some((device.clone(), tensors.clone()));
                tensors
            }
        }
    }
}

impl Model for Lora {
    fn tensors(&self, inputs: &[usize], outputs: usize) -> Vec<TensorSpec> {
        let base = self.base.tensors(inputs, outputs);
        let thin = |tensor: &TensorSpec| {
            let &[rows, columns] = tensor.shape() else { return None };
            let bound = (rows as f32).sqrt().recip();
            let a = TensorSpec::new(format!("{}.lora_a", tensor.name()), &[rows, self.rank], bound);
            Some([a, TensorSpec::new(format!("{}.lora_b", tensor.name()), &[self.rank, columns], 0.0)])
        };
        base.iter().filter(|tensor| self.base.adapts(tensor)).filter_map(thin).flatten().collect()
    }

    fn widest(&self, inputs: &[usize], outputs: usize) -> usize {
        self.base.widest(inputs, outputs)
    }

    fn forward(&self, inputs: &[usize], parameters: &[Tensor<1>], batch: Tensor<2>) -> Tensor<2> {
        let frozen = self.frozen();
        let mut thin = parameters.chunks_exact(2);
        let whole = |(tensor, weights): (&TensorSpec, Tensor<1>)| {
            let &[rows, columns] = tensor.shape() else { return weights };
            let Some([a, b]) = self.base.adapts(tensor).then(|| thin.next()).flatten() else { return weights };
            let a = a.clone().reshape([rows, self.rank]).mul_scalar(self.scale);
            weights.add(a.matmul(b.clone().reshape([self.rank, columns])).reshape([rows * columns]))
        };
        let tensors = frozen.tensors(&batch.device());
        let parameters: Vec<Tensor<1>> = frozen.layout.tensors().iter().zip(tensors).map(whole).collect();
        self.base.forward(inputs, &parameters, batch)
    }

    fn expects(&self, inputs: &[usize]) -> Option<String> {
        self.base.expects(inputs)
    }

    fn needs(&self) -> Vec<Digest> {
        vec![self.weights]
    }

    fn equip(&self, assets: &Assets, inputs: &[usize], outputs: usize) -> Result<Option<Arc<dyn Model>>, TaskError> {
        let layout = Layout::new(self.base.tensors(inputs, outputs))?;
        let weights = task::weights(assets, &self.weights, &layout, &self.key)?;
        let frozen = Some(Arc::new(Frozen { layout, weights, tensors: Mutex::new(None) }));
        Ok(Some(Arc::new(Self { frozen, ..self.clone() })))
    }
}

impl fmt::Debug for Lora {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rank, scale, weights, base, .. } = self;
        let equipped = self.frozen.is_some();
        f.debug_struct("Lora")
            .field("rank", rank)
            .field("scale", scale)
            .field("weights", weights)
            .field("base", base)
            .field("equipped", &equipped)
            .finish()
    }
}

#[cfg(test)]
mod tests;
