//! A small decoder transformer over characters: what has been read predicts what comes next.
//!
//! ```text
//! x = norm(embedding[token]);  x += attention(norm(x));  x += feed(norm(x));  ...;  logits = norm(x) embedding^T
//! ```
//! Root-mean-square norm (Zhang and Sennrich 2019, arXiv 1910.07467) without gains, rotary positions
//! (Su et al. 2021, arXiv 2104.09864), causal attention, tied embeddings, no biases: every tensor is
//! a matrix. Of `width` w, `hidden` h and a vocabulary of v, `layers` l make `v w + l (4 w^2 + 2 w h)`
//! parameters: 31,616 with a vocabulary of 68 and `layers = 2, width = 32, heads = 4, hidden = 166`.
//!
//! Nothing at a place depends on a later one. Both matrices that write into the residual stream start
//! at zero (the embedding alone speaks at first), the others uniform with variance `1 / rows`.

mod cache;

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::activation::{gelu, relu, softmax};
use burn::tensor::module::embedding;
use burn::tensor::{Device, Tensor, TensorData};

pub(crate) use self::cache::Cache;
use super::{Kind, Model, Reads};
use crate::layout::TensorSpec;
use crate::section::Section;
use crate::task::TaskError;

/// Most layers (a guess).
const LAYERS_MAX: usize = 64;
/// Widest stream and hidden layer (guesses).
const WIDTH_MAX: usize = 1 << 13;
const HIDDEN_MAX: usize = 1 << 15;
/// Hidden numbers for each of the width, where the spec does not say: as in the first transformer.
const HIDDEN_PER_WIDTH: usize = 4;
/// Initial embeddings are uniform with this bound, a deviation of 0.02 as in GPT-2: their size only
/// matters to the logits, which so start close to even.
const EMBEDDING_BOUND: f32 = 0.035;
/// Added to the mean square that a norm divides by (the usual value).
const NORM_EPSILON: f32 = 1e-6;
/// Slowest rotation, in places: the usual base.
const ROTATION_BASE: f64 = 10_000.0;
/// Added to what attention must not see; the softmax of it is exactly zero, and unlike an infinity
/// it leaves no NaN in a gradient.
const UNSEEN: f32 = -1e30;
/// Tensors of one layer; the embedding stands before all layers.
const LAYER_TENSORS: usize = 4;

/// A transformer's own sizes; the vocabulary and the context are the task's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpt {
    layers: usize,
    width: usize,
    heads: usize,
    hidden: usize,
    activation: Activation,
}

/// What the hidden layer of each feed-forward part does to its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// `x P(X <= x)` of a normal X, the default (Hendrycks and Gimpel 2016, arXiv 1606.08415).
    #[default]
    Gelu,
    /// `max(x, 0)^2` (So et al. 2021, arXiv 2109.08668): costs a CPU almost nothing.
    Relu2,
}

impl Activation {
    fn of(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Gelu => gelu(x),
            Self::Relu2 => {
                let x = relu(x);
                x.clone().mul(x)
            }
        }
    }
}

impl Gpt {
    /// Layers: 1 to 64.
    #[must_use]
    pub const fn layers(&self) -> usize {
        self.layers
    }

    /// Numbers that stand for one character between layers: a multiple of twice the heads.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Heads of attention in a layer.
    #[must_use]
    pub const fn heads(&self) -> usize {
        self.heads
    }

    /// Width of the hidden layer of each feed-forward part.
    #[must_use]
    pub const fn hidden(&self) -> usize {
        self.hidden
    }

    /// What the hidden layers do.
    #[must_use]
    pub const fn activation(&self) -> Activation {
        self.activation
    }

    /// The kind `"gpt"`.
    pub(super) fn kind() -> Kind {
        Kind { reads: Reads::Tokens, parse: |section, _| Ok(Arc::new(Self::parse(section)?)) }
    }

    /// Reads `{ kind = "gpt", layers = 2, width = 32, heads = 4, hidden = 128 }`; `hidden` is four
    /// times the width if left out, and `activation` is `"gelu"` unless it is `"relu2"`.
    pub(crate) fn parse(section: &Section<'_>) -> Result<Self, TaskError> {
        section.only(&["kind", "layers", "width", "heads", "hidden", "activation"])?;
        let layers = section.count("layers", 1..=LAYERS_MAX)?;
        let width = section.count("width", 2..=WIDTH_MAX)?;
        let heads = section.count("heads", 1..=WIDTH_MAX / 2)?;
        // A rotation turns pairs of numbers.
        if !width.is_multiple_of(2 * heads) {
            return Err(section.wrong("width", width, "a multiple of twice the heads"));
        }
        let hidden = section.count_or("hidden", 1..=HIDDEN_MAX, width * HIDDEN_PER_WIDTH)?;
        let activations = "\"gelu\" or \"relu2\"";
        let activation = match section.text_or("activation", activations, "gelu")? {
            "gelu" => Activation::Gelu,
            "relu2" => Activation::Relu2,
            other => return Err(section.wrong("activation", format!("{other:?}"), activations)),
        };
        Ok(Self { layers, width, heads, hidden, activation })
    }

    pub(crate) fn tensors(&self, vocabulary: usize) -> Vec<TensorSpec> {
        let Self { width, hidden, .. } = *self;
        let bound = (3.0 / width as f32).sqrt();
        let mut tensors = vec![TensorSpec::new("embedding".to_owned(), &[vocabulary, width], EMBEDDING_BOUND)];
        for i in 0..self.layers {
            let matrix = |name, shape: [usize; 2], bound| TensorSpec::new(format!("layers.{i}.{name}"), &shape, bound);
            tensors.push(matrix("attention.qkv", [width, 3 * width], bound));
            tensors.push(matrix("attention.out", [width, width], 0.0));
            tensors.push(matrix("feed.up", [width, hidden], bound));
            tensors.push(matrix("feed.down", [hidden, width], 0.0));
        }
        tensors
    }

    /// The most numbers that a window becomes: hidden, attention weights, or logits.
    pub(crate) fn widest(&self, context: usize, vocabulary: usize) -> usize {
        let place = (3 * self.width).max(self.hidden).max(vocabulary).max(self.heads.saturating_mul(context));
        context.saturating_mul(place)
    }

    /// Logits `[batch * context, vocabulary]` of tokens `[batch, context]`.
    pub(crate) fn forward(&self, parameters: &[Tensor<1>], tokens: Tensor<2>) -> Tensor<2> {
        let Some((first, layers)) = parameters.split_first() else { return tokens };
        let [batch, context] = tokens.dims();
        let places = Places::new(context, self.width / self.heads, &tokens.device());
        let table = matrix(first, self.width);
        let mut x = norm(embedding(table.clone(), tokens.int()).reshape([batch * context, self.width]));
        for layer in layers.chunks_exact(LAYER_TENSORS) {
            let [qkv, out, up, down] = [
                matrix(&layer[0], 3 * self.width),
                matrix(&layer[1], self.width),
                matrix(&layer[2], self.hidden),
                matrix(&layer[3], self.width),
            ];
            let heard = self.attention(norm(x.clone()).matmul(qkv), [batch, context], &places);
            x = x.add(heard.matmul(out));
            x = x.clone().add(self.activation.of(norm(x).matmul(up)).matmul(down));
        }
        norm(x).matmul(table.transpose())
    }

    /// What each place hears of those before it and itself: `[batch * context, width]`, from queries,
    /// keys and values side by side.
    fn attention(&self, qkv: Tensor<2>, [batch, context]: [usize; 2], places: &Places) -> Tensor<2> {
        let head = self.width / self.heads;
        // [batch, q k v and heads, context, head]
        let qkv = qkv.reshape([batch, context, 3 * self.heads, head]).swap_dims(1, 2);
        let part = |first: usize, last: usize| first * self.heads..last * self.heads;
        let turned = places.turn(qkv.clone().slice([0..batch, part(0, 2)]));
        let query = turned.clone().slice([0..batch, part(0, 1)]).mul_scalar((head as f32).sqrt().recip());
        let key = turned.slice([0..batch, part(1, 2)]);
        let value = qkv.slice([0..batch, part(2, 3)]);
        let scores = query.matmul(key.swap_dims(2, 3)).add(places.unseen.clone());
        softmax(scores, 3).matmul(value).swap_dims(1, 2).reshape([batch * context, self.width])
    }
}

impl Model for Gpt {
    fn tensors(&self, _inputs: &[usize], outputs: usize) -> Vec<TensorSpec> {
        Self::tensors(self, outputs)
    }

    fn widest(&self, inputs: &[usize], outputs: usize) -> usize {
        Self::widest(self, inputs.iter().product(), outputs)
    }

    fn forward(&self, _inputs: &[usize], parameters: &[Tensor<1>], batch: Tensor<2>) -> Tensor<2> {
        Self::forward(self, parameters, batch)
    }

    /// Not the embedding, which is the output's matrix too.
    fn adapts(&self, tensor: &TensorSpec) -> bool {
        tensor.name().starts_with("layers.")
    }
}

/// What depends on places alone.
struct Places {
    /// `[1, 1, context, head / 2]`: by how much each pair of numbers is turned at each place.
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// `[1, 1, context, context]`: 0 where a row may look, [`UNSEEN`] where it may not.
    unseen: Tensor<4>,
}

impl Places {
    fn new(context: usize, head: usize, device: &Device) -> Self {
        let pairs = head / 2;
        let angle = |i: usize| (i / pairs) as f64 / ROTATION_BASE.powf((i % pairs) as f64 / pairs as f64);
        let tensor = |count: usize, last: usize, value: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = (0..count).map(value).collect();
            Tensor::<4>::from_data(TensorData::new(values, [1, 1, context, last]), device)
        };
        Self {
            cos: tensor(context * pairs, pairs, &|i| angle(i).cos() as f32),
            sin: tensor(context * pairs, pairs, &|i| angle(i).sin() as f32),
            unseen: tensor(context * context, context, &|i| if i % context > i / context { UNSEEN } else { 0.0 }),
        }
    }

    /// Turns the pair of number `j` and number `j + head / 2` of every head by the angle of its place.
    fn turn(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, heads, context, head] = x.dims();
        let half = |range: Range<usize>| x.clone().slice([0..batch, 0..heads, 0..context, range]);
        let (a, b) = (half(0..head / 2), half(head / 2..head));
        let first = a.clone().mul(self.cos.clone()).sub(b.clone().mul(self.sin.clone()));
        let second = b.mul(self.cos.clone()).add(a.mul(self.sin.clone()));
        Tensor::cat(vec![first, second], 3)
    }
}

/// A flattened parameter as rows of `columns` numbers.
fn matrix(parameter: &Tensor<1>, columns: usize) -> Tensor<2> {
    let rows = parameter.dims()[0] / columns;
    parameter.clone().reshape([rows, columns])
}

/// Every row divided by its root mean square.
fn norm(x: Tensor<2>) -> Tensor<2> {
    let square = x.clone().mul(x.clone()).mean_dim(1);
    x.div(square.add_scalar(NORM_EPSILON).sqrt())
}

#[cfg(test)]
mod tests;
