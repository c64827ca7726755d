//! What a demo's nodes learn: the run that they share, the data, and how it is judged.

use shoal_ml::data::hamlet;
use shoal_ml::{Assets, Dataset, Generator, Sampling, Source, Split, Task, TaskSpec};
use shoal_protocol::spec::RunSpec;

use crate::cli::{DemoPlan, DemoSubject};
use crate::report::{Measure, Said};

/// Local steps of a round.
const STEPS: u32 = 10;
/// Peers heard in a round, `s`: a full mesh up to nine nodes.
pub(super) const PEERS: u16 = 8;
/// Unseen examples that every node is tried on after each round; at the end all of them count. Guess: a
/// look must cost less than the round.
const WATCHED_MAX: usize = 1_000;
/// Tokens of the beginning that a language model continues, and of what it says.
const PROMPT_TOKENS: usize = 24;
const SAID_TOKENS: usize = 240;
/// Below 1 a model says what it is surer of.
const TEMPERATURE: f32 = 0.7;

/// What is learnt.
pub(super) struct Subject {
    pub(super) spec: RunSpec,
    pub(super) task: Task,
    pub(super) data: String,
    pub(super) split: Split,
    /// A part of the unseen examples, spread over all of them.
    pub(super) watched: Dataset,
    pub(super) measure: Measure,
}

impl Subject {
    /// Reads the data.
    ///
    /// # Errors
    /// One sentence: what of spec or data cannot be.
    pub(super) fn of(plan: &DemoPlan) -> Result<Self, String> {
        let none = Assets::new();
        let (spec, source, assets) = match &plan.subject {
            DemoSubject::Digits => (built_in(plan, include_str!("digits.toml"))?, &Source::Digits, &none),
            DemoSubject::Text => {
                let vocabulary = toml::Value::from(hamlet::CHARACTERS);
                let text = format!("{}vocabulary = {vocabulary}\n", include_str!("text.toml"));
                (built_in(plan, &text)?, &Source::Hamlet, &none)
            }
            DemoSubject::Own(own) => (own.spec.clone(), &own.data, &own.assets),
        };
        let say = |error: &dyn core::fmt::Display| error.to_string();
        let task = TaskSpec::parse(spec.task()).and_then(|task| task.equip(assets)).map_err(|error| say(&error))?;
        let split = source.load(&task, plan.seed).map_err(|error| say(&error))?;
        let stride = split.test.len().div_ceil(WATCHED_MAX);
        let some: Vec<usize> = (0..split.test.len()).step_by(stride).collect();
        let watched = split.test.subset(&some).map_err(|error| say(&error))?;
        let measure = if task.vocabulary().is_some() { Measure::Bits } else { Measure::Accuracy };
        Ok(Self { spec, task, data: source.to_string(), split, watched, measure })
    }

    /// How weights continue a beginning that nobody trained on; `None` if they tell examples apart.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn said(&self, weights: &[f32], seed: u64) -> Result<Option<Said>, String> {
        if self.measure == Measure::Accuracy {
            return Ok(None);
        }
        let generator = |weights: &[f32]| Generator::new(&self.task, weights, shoal_ml::Device::Cpu);
        let (before, after) = (generator(&self.task.init(self.spec.seed())), generator(weights));
        let (before, after) = (before.map_err(|error| error.to_string())?, after.map_err(|error| error.to_string())?);
        let beginning = self.split.test.input(0).unwrap_or_default();
        let beginning: Vec<u32> = beginning.iter().take(PROMPT_TOKENS).map(|&token| token as u32).collect();
        let prompt = after.tokens().decode(&beginning);
        let sampling = Sampling { max_tokens: SAID_TOKENS, temperature: TEMPERATURE, seed, ..Sampling::default() };
        let say = |generator: &Generator| {
            let said = generator.begin(&prompt, sampling.clone()).and_then(|mut generation| generation.run());
            said.map(|(text, _)| text).map_err(|error| error.to_string())
        };
        Ok(Some(Said { before: say(&before)?, after: say(&after)?, prompt }))
    }
}

/// One of the runs that every build carries, perhaps with another model.
fn built_in(plan: &DemoPlan, task: &str) -> Result<RunSpec, String> {
    // A round is over when all have spoken, after a tenth of its period at the soonest; a fifth of the
    // period is what nodes on a busy machine wait for each other.
    let each = if matches!(plan.subject, DemoSubject::Text) { 500 } else { 60 };
    let period_ms = (each * u32::from(plan.nodes)).max(500);
    let text = format!(
        "version = 1\nname = \"demo\"\nseed = {}\n[round]\nsteps = {STEPS}\nperiod_ms = {period_ms}\npeers = {PEERS}\n{task}",
        plan.seed,
    );
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    if let (Some(model), Some(toml::Value::Table(task))) = (&plan.model, table.get_mut("task")) {
        task.insert("model".to_owned(), toml::Value::Table(model.clone()));
    }
    RunSpec::parse(&table.to_string()).map_err(|error| error.to_string())
}
