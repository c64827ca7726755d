//! Reading and checking the `[task]` table.
//!
//! A spec comes from whoever made the run, so every value is bounded here, before anything is
//! allocated for it: no product of a task's sizes overflows. Reads no file and draws nothing.

use crate::asset::{Assets, Digest};
use crate::data::{Legend, TOKENIZER_BYTES_MAX, Tokenizer, VOCABULARY_EXPECTED, Vocabulary};
use crate::layout::Layout;
use crate::model::{ModelSpec, Reads};
use crate::optimizer::OptimizerSpec;
use crate::safetensors;
use crate::section::Section;

use super::{Task, TaskError};

/// Most numbers in one example (a guess: an image of 4,096 x 4,096).
const EXAMPLE_MAX: usize = 1 << 24;
/// Most classes (a guess: a large vocabulary).
const CLASSES_MAX: usize = 1 << 20;
/// Largest batch (a guess).
const BATCH_MAX: usize = 1 << 16;
/// Most numbers that a batch may become where the model is widest: 1 GiB of f32.
const ACTIVATIONS_MAX: usize = 1 << 28;
/// Most dimensions of an example: channels, depth, height, width.
const DIMENSIONS_MAX: usize = 4;
/// Longest context (a guess: attention is its square).
const CONTEXT_MAX: usize = 1 << 13;

/// A checked task: classify examples of one shape, or continue a text. Not yet the files it may need.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    inputs: Vec<usize>,
    classes: usize,
    /// Of a language task; with a tokenizer only when it has been read.
    vocabulary: Option<Vocabulary>,
    /// The file with the tokenizer of a language task that lists no characters.
    tokenizer: Option<Digest>,
    legend: Legend,
    batch: usize,
    model: ModelSpec,
    optimizer: OptimizerSpec,
    /// The file with the weights to start from.
    init: Option<Digest>,
    layout: Layout,
}

impl TaskSpec {
    /// Reads and checks the `[task]` table of a run spec.
    ///
    /// # Errors
    /// [`TaskError`] names the key and says what would be right.
    pub fn parse(table: &toml::Table) -> Result<Self, TaskError> {
        let section = Section::new("task", table);
        let kinds = "\"classify\" or \"language\"";
        match section.text("kind", kinds)? {
            "classify" => Self::parse_classify(&section),
            "language" => Self::parse_language(&section),
            other => Err(section.wrong("kind", format!("{other:?}"), kinds)),
        }
    }

    fn parse_classify(section: &Section<'_>) -> Result<Self, TaskError> {
        section.only(&["kind", "inputs", "classes", "labels", "columns", "batch", "model", "optimizer", "init"])?;
        let inputs = section.counts("inputs", 1..=DIMENSIONS_MAX, 1..=EXAMPLE_MAX)?;
        let input_count = inputs.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
        if input_count.is_none_or(|count| count > EXAMPLE_MAX) {
            return Err(section.wrong("inputs", format!("{inputs:?}"), "a shape of at most 16777216 numbers in all"));
        }
        let classes = section.count("classes", 2..=CLASSES_MAX)?;
        let model = section.section("model", "a table such as { kind = \"mlp\", hidden = [64] }")?;
        let model = ModelSpec::parse(&model, Reads::Numbers, &inputs, classes)?;
        let legend = Legend::parse(section, &inputs, classes)?;
        Ok(Self { legend, ..Self::parse_rest(section, inputs, classes, None, model)? })
    }

    fn parse_language(section: &Section<'_>) -> Result<Self, TaskError> {
        section.only(&["kind", "context", "vocabulary", "tokenizer", "tokens", "batch", "model", "optimizer", "init"])?;
        let context = section.count("context", 1..=CONTEXT_MAX)?;
        let tokenizer = section.digest("tokenizer")?;
        let (vocabulary, classes) = match tokenizer {
            Some(_) if section.table().get("vocabulary").is_some() => {
                return Err(section.wrong("vocabulary", "there", "left out where `tokenizer` is"));
            }
            Some(_) => (None, section.count("tokens", 2..=CLASSES_MAX)?),
            None => {
                let vocabulary = characters(section)?;
                let size = vocabulary.size();
                (Some(vocabulary), size)
            }
        };
        let model = section.section("model", "a table such as { kind = \"gpt\", layers = 2, width = 32, heads = 4 }")?;
        let inputs = vec![context];
        let model = ModelSpec::parse(&model, Reads::Tokens, &inputs, classes)?;
        Ok(Self { tokenizer, ..Self::parse_rest(section, inputs, classes, vocabulary, model)? })
    }

    /// What tasks of all kinds have: the batch, the optimizer, where to start, and bounds on the whole.
    fn parse_rest(
        section: &Section<'_>,
        inputs: Vec<usize>,
        classes: usize,
        vocabulary: Option<Vocabulary>,
        model: ModelSpec,
    ) -> Result<Self, TaskError> {
        let batch = section.count("batch", 1..=BATCH_MAX)?;
        let optimizer = OptimizerSpec::parse(&section.section("optimizer", "a table such as { kind = \"sgd\", rate = 0.2 }")?)?;
        let init = section.digest("init")?;
        let layout = Layout::new(model.tensors())?;
        if batch.saturating_mul(model.widest()) > ACTIVATIONS_MAX {
            let expected = "so small that batch times the widest layer is at most 268435456";
            return Err(section.wrong("batch", batch, expected));
        }
        let (tokenizer, legend) = (None, Legend::default());
        Ok(Self { inputs, classes, vocabulary, tokenizer, legend, batch, model, optimizer, init, layout })
    }

    /// The files without which nothing can be trained or evaluated, by their hashes.
    #[must_use]
    pub fn needs(&self) -> Vec<Digest> {
        self.init.into_iter().chain(self.tokenizer).chain(self.model.needs()).collect()
    }

    /// The task with its files, which are read and checked here.
    ///
    /// # Errors
    /// [`TaskError::File`] if one was not given, cannot be read, or is not what it must be.
    pub fn equip(mut self, assets: &Assets) -> Result<Task, TaskError> {
        let start = self.init.map(|digest| weights(assets, &digest, &self.layout, "task.init")).transpose()?;
        if let Some(digest) = &self.tokenizer {
            self.vocabulary = Some(tokenizer(assets, digest, self.classes)?);
        }
        let model = self.model.equip(assets)?;
        Ok(Task { spec: Self { model, ..self }, start: start.map(Into::into) })
    }

    /// The same task for the model that is left when a [`crate::Lora`] is merged; `None` of any other model.
    pub(super) fn base(&self) -> Option<Self> {
        let model = self.model.base()?;
        // What was equipped has had this layout checked.
        let layout = Layout::new(model.tensors()).ok()?;
        Some(Self { model, layout, init: None, ..self.clone() })
    }

    /// The shape of one example; of a language task the context.
    #[must_use]
    pub fn inputs(&self) -> &[usize] {
        &self.inputs
    }

    /// How many answers a model tells apart: classes, or characters of the vocabulary.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// What the tokens of a language task stand for; of one with a tokenizer known once it is equipped.
    #[must_use]
    pub const fn vocabulary(&self) -> Option<&Vocabulary> {
        self.vocabulary.as_ref()
    }

    /// What classes and columns are called, if the spec says so.
    #[must_use]
    pub const fn legend(&self) -> &Legend {
        &self.legend
    }

    /// Examples in one step of training.
    #[must_use]
    pub const fn batch(&self) -> usize {
        self.batch
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &ModelSpec {
        &self.model
    }

    /// The optimizer.
    #[must_use]
    pub const fn optimizer(&self) -> &OptimizerSpec {
        &self.optimizer
    }

    /// The model's tensors in flat order.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }
}

fn characters(section: &Section<'_>) -> Result<Vocabulary, TaskError> {
    let characters = section.text("vocabulary", VOCABULARY_EXPECTED)?;
    Vocabulary::new(characters).ok_or_else(|| section.wrong("vocabulary", format!("{characters:?}"), VOCABULARY_EXPECTED))
}

/// The vocabulary in the tokenizer file with this hash, of so many tokens at most.
fn tokenizer(assets: &Assets, digest: &Digest, tokens: usize) -> Result<Vocabulary, TaskError> {
    let file = |reason: String| TaskError::File { key: "task.tokenizer".to_owned(), reason };
    let bytes = assets.read(digest, TOKENIZER_BYTES_MAX).map_err(|error| file(error.to_string()))?;
    let place = assets.get(digest).map(|path| path.display().to_string()).unwrap_or_default();
    let read = Tokenizer::parse(&bytes, tokens).map_err(|error| file(format!("{place}: {error}")))?;
    Ok(Vocabulary::pieces(read))
}

/// The weights of this layout that lie in the safetensors file with this hash; `key` is who asks.
pub(crate) fn weights(assets: &Assets, digest: &Digest, layout: &Layout, key: &str) -> Result<Vec<f32>, TaskError> {
    let file = |reason: String| TaskError::File { key: key.to_owned(), reason };
    let bytes = assets.read(digest, safetensors::bytes_max(layout)).map_err(|error| file(error.to_string()))?;
    let place = assets.get(digest).map(|path| path.display().to_string()).unwrap_or_default();
    let (weights, _) = safetensors::import(layout, &bytes).map_err(|error| file(format!("{place}: {error}")))?;
    Ok(weights)
}
