//! What the `[task]` table of a run spec means: the model, the shape of an example, the optimizer.
//!
//! ```toml
//! [task]
//! kind = "classify"
//! inputs = [8, 8]       # the shape of one example
//! classes = 10
//! batch = 16            # examples in a step
//! model = { kind = "mlp", hidden = [64] }
//! optimizer = { kind = "sgd", rate = 0.2, momentum = 0.0 }
//! ```
//!
//! A spec comes from whoever made the run, so every value is bounded here, before anything is
//! allocated for it: a [`Task`] can only be made by [`Task::parse`], and no product of its sizes
//! overflows. All nodes of a run draw the same initial weights from it, bit for bit.

use crate::layout::{Layout, PARAM_COUNT_MAX};
use crate::model::ModelSpec;
use crate::optimizer::OptimizerSpec;
use crate::section::Section;
use crate::seed::{self, Purpose};

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
/// Most examples evaluated at once: larger gains nothing on a CPU (a guess).
const EVALUATION_BATCH_MAX: usize = 1_024;

/// Why a task was refused: which key, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// A key that must be there is not.
    #[error("`{key}` is missing; it must be {expected}")]
    Missing {
        /// The key, with its path.
        key: String,
        /// What would be accepted.
        expected: String,
    },
    /// A key that means nothing here.
    #[error("`{key}` is not a key of this table; there are `{known}`")]
    Unknown {
        /// The key, with its path.
        key: String,
        /// The keys there are.
        known: String,
    },
    /// A value of the wrong type or outside its bounds.
    #[error("`{key}` is {value}, but must be {expected}")]
    Wrong {
        /// The key, with its path.
        key: String,
        /// What the spec says.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// The model as a whole has more than [`PARAM_COUNT_MAX`] parameters.
    #[error("`task.model` has more than {PARAM_COUNT_MAX} parameters; its layers must be fewer or smaller")]
    TooManyParameters,
}

/// A checked task: classify examples of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    inputs: Vec<usize>,
    classes: usize,
    batch: usize,
    model: ModelSpec,
    optimizer: OptimizerSpec,
    layout: Layout,
}

impl Task {
    /// Reads and checks the `[task]` table of a run spec.
    ///
    /// # Errors
    /// [`TaskError`] names the key and says what would be right.
    pub fn parse(table: &toml::Table) -> Result<Self, TaskError> {
        let section = Section::new("task", table);
        match section.text("kind", "\"classify\"")? {
            "classify" => Self::parse_classify(&section),
            other => Err(section.wrong("kind", format!("{other:?}"), "\"classify\"")),
        }
    }

    fn parse_classify(section: &Section<'_>) -> Result<Self, TaskError> {
        section.only(&["kind", "inputs", "classes", "batch", "model", "optimizer"])?;
        let inputs = section.counts("inputs", 1..=DIMENSIONS_MAX, 1..=EXAMPLE_MAX)?;
        let input_count = inputs.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
        let input_count = input_count.filter(|&count| count <= EXAMPLE_MAX);
        let input_count = input_count
            .ok_or_else(|| section.wrong("inputs", format!("{inputs:?}"), "a shape of at most 16777216 numbers in all"))?;
        let classes = section.count("classes", 2..=CLASSES_MAX)?;
        let batch = section.count("batch", 1..=BATCH_MAX)?;
        let model = ModelSpec::parse(&section.section("model", "a table such as { kind = \"mlp\", hidden = [64] }")?)?;
        let optimizer = OptimizerSpec::parse(&section.section("optimizer", "a table such as { kind = \"sgd\", rate = 0.2 }")?)?;
        let layout = Layout::new(model.tensors(input_count, classes)).ok_or(TaskError::TooManyParameters)?;
        if batch.saturating_mul(model.widest(input_count, classes)) > ACTIVATIONS_MAX {
            let expected = "so small that batch times the widest layer is at most 268435456";
            return Err(section.wrong("batch", batch, expected));
        }
        Ok(Self { inputs, classes, batch, model, optimizer, layout })
    }

    /// The shape of one example.
    #[must_use]
    pub fn inputs(&self) -> &[usize] {
        &self.inputs
    }

    /// How many classes there are: labels are below this.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
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

    /// The weights that a run with this seed starts from: the same on every node, bit for bit,
    /// `layout().param_count()` of them.
    #[must_use]
    pub fn init(&self, seed: u64) -> Vec<f32> {
        let mut rng = seed::stream(seed, Purpose::Init, 0);
        let mut weights = Vec::with_capacity(self.layout.param_count());
        for tensor in self.layout.tensors() {
            let bound = tensor.bound();
            // A tensor that starts at zero draws nothing.
            let draw = || if bound > 0.0 { seed::symmetric(&mut rng, bound) } else { 0.0 };
            weights.extend(std::iter::repeat_with(draw).take(tensor.param_count()));
        }
        weights
    }

    /// Numbers in one example.
    pub(crate) fn input_count(&self) -> usize {
        self.inputs.iter().product()
    }

    /// Examples that may be computed at once without gradients: within [`ACTIVATIONS_MAX`] / 16.
    pub(crate) fn evaluation_batch(&self) -> usize {
        let widest = self.model.widest(self.input_count(), self.classes);
        (ACTIVATIONS_MAX / 16 / widest).clamp(1, EVALUATION_BATCH_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = r#"
        kind = "classify"
        inputs = [8, 8]
        classes = 10
        batch = 16
        model = { kind = "mlp", hidden = [64] }
        optimizer = { kind = "sgd", rate = 0.2 }
    "#;

    fn parse(text: &str) -> Result<Task, TaskError> {
        Task::parse(&text.parse().expect("a table"))
    }

    #[test]
    fn the_documented_table_is_read() {
        let task = parse(DIGITS).expect("a task");
        assert_eq!((task.inputs(), task.classes(), task.batch()), (&[8, 8][..], 10, 16));
        assert_eq!(task.optimizer(), &OptimizerSpec::Sgd { rate: 0.2, momentum: 0.0 });
        let names: Vec<_> = task.layout().tensors().iter().map(|tensor| (tensor.name(), tensor.shape())).collect();
        let expected: [(&str, &[usize]); 4] =
            [("layers.0.weight", &[64, 64]), ("layers.0.bias", &[64]), ("layers.1.weight", &[64, 10]), ("layers.1.bias", &[10])];
        assert_eq!(names, expected);
        assert_eq!(task.layout().param_count(), 4_810);
    }

    #[test]
    fn a_wrong_table_is_told_which_key_and_what_would_be_right() {
        let counts = "1 to 4 whole numbers, each between 1 and 16777216";
        let widths = "0 to 16 whole numbers, each between 1 and 65536";
        let table: &[(&str, &str, String)] = &[
            ("kind = \"classify\"", "", "`task.kind` is missing; it must be \"classify\"".to_owned()),
            ("\"classify\"", "\"guess\"", "`task.kind` is \"guess\", but must be \"classify\"".to_owned()),
            ("\"classify\"", "7", "`task.kind` is 7, but must be \"classify\"".to_owned()),
            ("classes = 10", "", "`task.classes` is missing; it must be a whole number between 2 and 1048576".to_owned()),
            ("classes = 10", "classes = 1", "`task.classes` is 1, but must be a whole number between 2 and 1048576".to_owned()),
            ("batch = 16", "batch = -1", "`task.batch` is -1, but must be a whole number between 1 and 65536".to_owned()),
            ("batch = 16", "batch = 1.5", "`task.batch` is 1.5, but must be a whole number between 1 and 65536".to_owned()),
            ("[8, 8]", "[]", format!("`task.inputs` is [], but must be {counts}")),
            ("[8, 8]", "[1, 1, 1, 1, 1]", format!("`task.inputs` is [1, 1, 1, 1, 1], but must be {counts}")),
            ("[8, 8]", "[8, 0]", format!("`task.inputs[1]` is 0, but must be {counts}")),
            (
                "[8, 8]",
                "[4096, 4097]",
                "`task.inputs` is [4096, 4097], but must be a shape of at most 16777216 numbers in all".to_owned(),
            ),
            ("[64]", "[64, \"x\"]", format!("`task.model.hidden[1]` is \"x\", but must be {widths}")),
            ("[64]", "[65537]", format!("`task.model.hidden[0]` is 65537, but must be {widths}")),
            ("[64]", "64", format!("`task.model.hidden` is 64, but must be {widths}")),
            ("hidden", "hiddn", "`task.model.hiddn` is not a key of this table; there are `kind`, `hidden`".to_owned()),
            ("\"mlp\"", "\"cnn\"", "`task.model.kind` is \"cnn\", but must be \"mlp\"".to_owned()),
            ("\"sgd\"", "\"adam\"", "`task.optimizer.kind` is \"adam\", but must be \"sgd\"".to_owned()),
            ("rate = 0.2", "", "`task.optimizer.rate` is missing; it must be a number above 0 and at most 10".to_owned()),
            ("rate = 0.2", "rate = 0", "`task.optimizer.rate` is 0, but must be a number above 0 and at most 10".to_owned()),
            ("rate = 0.2", "rate = nan", "`task.optimizer.rate` is NaN, but must be a number above 0 and at most 10".to_owned()),
            ("rate = 0.2", "rate = 11", "`task.optimizer.rate` is 11, but must be a number above 0 and at most 10".to_owned()),
            (
                "rate = 0.2",
                "rate = 1, momentum = 1",
                "`task.optimizer.momentum` is 1, but must be a number between 0 and 0.999".to_owned(),
            ),
            (
                "rate = 0.2",
                "rate = 1, momentum = \"x\"",
                "`task.optimizer.momentum` is \"x\", but must be a number between 0 and 0.999".to_owned(),
            ),
            (
                "batch = 16",
                "batch = 16\nlearn = 1",
                "`task.learn` is not a key of this table; there are `kind`, `inputs`, `classes`, `batch`, `model`, `optimizer`"
                    .to_owned(),
            ),
        ];
        for (from, to, expected) in table {
            let text = DIGITS.replacen(from, to, 1);
            assert_ne!(text, DIGITS, "{from}");
            assert_eq!(parse(&text).expect_err(&text).to_string(), *expected);
        }
    }

    #[test]
    fn what_would_not_fit_into_memory_is_refused() {
        let wide = DIGITS.replace("[64]", "[65536, 65536]");
        assert_eq!(parse(&wide), Err(TaskError::TooManyParameters));
        let long = DIGITS.replace("[8, 8]", "[16777216]").replace("batch = 16", "batch = 17");
        let error = parse(&long).expect_err("refused").to_string();
        assert_eq!(error, "`task.batch` is 17, but must be so small that batch times the widest layer is at most 268435456");
        assert!(parse(&long.replace("batch = 17", "batch = 16").replace("[64]", "[32]")).is_ok());
    }

    /// Two nodes of different builds must start from the same weights: a change here is a new
    /// version of every run.
    #[test]
    fn initial_weights_are_the_same_for_ever() {
        let weights = parse(DIGITS).expect("a task").init(42);
        let digest =
            weights.iter().fold(0_u64, |digest, weight| digest.wrapping_mul(0x0100_0000_01b3) ^ u64::from(weight.to_bits()));
        assert_eq!((weights.len(), digest), (4_810, 17_241_801_563_954_564_298));
        let bound = (6.0_f32 / 64.0).sqrt();
        assert!(weights.iter().all(|weight| weight.abs() <= bound));
        assert!(weights[4_096..4_160].iter().chain(&weights[4_800..]).all(|&bias| bias == 0.0));
    }

    #[test]
    fn seeds_give_different_weights() {
        let task = parse(DIGITS).expect("a task");
        assert_ne!(task.init(1), task.init(2));
    }
}
