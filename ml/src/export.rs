//! A model as a folder that others can load: weights, configuration, vocabulary, card.
//!
//! ```text
//! model.safetensors   the tensors by their names, all f32; run and round in its metadata
//! config.json         what the model is: the run spec's `[task]` without what only training needs
//! vocabulary.json     of a text's model: its characters, the token of each its place; or
//! tokenizer.json      the tokenizer's file as it is, where tokens are pieces of words
//! README.md           the model card, with the head that Hugging Face's hub reads
//! ```
//! Of a base model with corrections (`lora`) the whole is written, corrections merged into it.
//! Files that are there already are never replaced. What peers or a run's maker chose (a name, a data
//! set) stands in the card as quoted text and nowhere as markup.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::asset::{AssetError, Assets, Digest};
use crate::data::TOKENIZER_BYTES_MAX;
use crate::flat::WeightsError;
use crate::safetensors::{self, Metadata, SafetensorsError};
use crate::task::Task;

/// The format of `config.json`; a reader refuses one it does not know.
pub const FORMAT: u32 = 1;
/// The weights' file.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The configuration's.
pub const CONFIG_FILE: &str = "config.json";
/// The characters', of a task that has a vocabulary.
pub const VOCABULARY_FILE: &str = "vocabulary.json";
/// The tokenizer's, of a task that has one.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// The model card's.
pub const CARD_FILE: &str = "README.md";

/// What is told of the weights beside themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// The run's name.
    pub name: String,
    /// Its id.
    pub run: String,
    /// Rounds that the weights have behind them.
    pub round: u64,
    /// Peers that this node knew in the run, if it can say.
    pub peers: Option<u64>,
    /// The weights' licence, by its short name; whoever publishes them says it.
    pub license: Option<String>,
    /// The data sets, as declared.
    pub datasets: Vec<String>,
    /// Figures by name, and what they were measured on.
    pub metrics: Vec<(String, f64)>,
    /// The data that they were measured on.
    pub measured_on: String,
}

/// A folder that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Something lies there.
    #[error("{} exists already and is left as it is", .0.display())]
    Exists(PathBuf),
    /// The weights are not the task's.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The weights cannot be written.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// The tokenizer's file is not there any more.
    #[error("the tokenizer: {0}")]
    Tokenizer(#[from] AssetError),
    /// The file system said no.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Writes the folder, making it if there is none; `table` is the spec's `[task]` that `task` was read
/// from, with these `assets`. Returns the files.
///
/// # Errors
/// [`ExportError`]. If a file exists nothing is written; if a write fails, some may be.
pub fn export(
    dir: &Path,
    table: &toml::Table,
    task: &Task,
    assets: &Assets,
    weights: &[f32],
    card: &Card,
) -> Result<Vec<PathBuf>, ExportError> {
    let (task, weights) = task.merged(weights)?;
    let table = merged(table);
    let mut contents =
        vec![(CONFIG_FILE, pretty(&config(&table, &task)).into_bytes()), (CARD_FILE, readme(&table, &task, card).into_bytes())];
    let text = |key: &str| table.get(key).and_then(toml::Value::as_str);
    if let Some(vocabulary) = text("vocabulary") {
        let characters: Vec<String> = vocabulary.chars().map(String::from).collect();
        contents.push((VOCABULARY_FILE, pretty(&json!(characters)).into_bytes()));
    }
    if let Some(digest) = text("tokenizer").and_then(|digest| digest.parse::<Digest>().ok()) {
        contents.push((TOKENIZER_FILE, assets.read(&digest, TOKENIZER_BYTES_MAX)?));
    }
    let names = [WEIGHTS_FILE].into_iter().chain(contents.iter().map(|(name, _)| *name));
    let paths: Vec<PathBuf> = names.map(|name| dir.join(name)).collect();
    if let Some(path) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(ExportError::Exists(path.clone()));
    }
    fs::create_dir_all(dir).map_err(|error| ExportError::Io { path: dir.to_owned(), error })?;
    safetensors::save(&dir.join(WEIGHTS_FILE), task.layout(), &weights, &metadata(card))?;
    for (name, content) in contents {
        let path = dir.join(name);
        fs::write(&path, content).map_err(|error| ExportError::Io { path, error })?;
    }
    Ok(paths)
}

/// The table as it is once corrections are merged into their base.
fn merged(table: &toml::Table) -> toml::Table {
    let mut table = table.clone();
    let base = table.get("model").filter(|model| model.get("kind").and_then(toml::Value::as_str) == Some("lora"));
    if let Some(base) = base.and_then(|model| model.get("base")).cloned() {
        table.insert("model".to_owned(), base);
    }
    table
}

/// What goes into the weights' file.
#[must_use]
pub fn metadata(card: &Card) -> Metadata {
    let round = card.round.to_string();
    // `format` is what loaders for PyTorch look for.
    [("format", "pt"), ("run", &card.run), ("name", &card.name), ("round", &round)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn pretty(value: &Value) -> String {
    // Indented with two spaces; keys in the order of their names, so that equal models are equal files.
    format!("{value:#}\n")
}

fn config(table: &toml::Table, task: &Task) -> Value {
    let of_model = |(key, _): &(&String, &toml::Value)| !["batch", "optimizer", "init"].contains(&key.as_str());
    let kept: serde_json::Map<String, Value> =
        table.iter().filter(of_model).map(|(key, value)| (key.clone(), as_json(value))).collect();
    let kind = table.get("model").and_then(|model| model.get("kind")).and_then(toml::Value::as_str).unwrap_or("unknown");
    json!({
        "format": FORMAT,
        "library_name": "shoal",
        "model_type": format!("shoal-{kind}"),
        "torch_dtype": "float32",
        "param_count": task.layout().param_count(),
        "task": kept,
    })
}

fn as_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(truth) => json!(truth),
        toml::Value::Datetime(time) => json!(time.to_string()),
        toml::Value::Array(values) => values.iter().map(as_json).collect(),
        toml::Value::Table(table) => Value::Object(table.iter().map(|(key, value)| (key.clone(), as_json(value))).collect()),
    }
}

/// What the hub calls such a task.
fn pipeline(task: &Task) -> &'static str {
    match task.inputs().len() {
        _ if task.vocabulary().is_some() => "text-generation",
        2 | 3 => "image-classification",
        _ => "tabular-classification",
    }
}

/// The card. Every string from outside is JSON, which is YAML too and has no line of its own.
fn readme(table: &toml::Table, task: &Task, card: &Card) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let kind = table.get("model").and_then(|model| model.get("kind")).and_then(toml::Value::as_str).unwrap_or("unknown");
    let mut text = String::from("---\n");
    // Writing to a String cannot fail.
    let mut say = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    if let Some(license) = &card.license {
        say(format!("license: {}", quoted(license)));
    }
    say("library_name: shoal".to_owned());
    say(format!("pipeline_tag: {}", pipeline(task)));
    say(format!("tags: {}", json!(["shoal", "decentralized-training", kind])));
    if !card.datasets.is_empty() {
        say(format!("datasets: {}", json!(card.datasets)));
    }
    say("model-index:".to_owned());
    say(format!("- name: {}", quoted(&card.name)));
    say("  results:".to_owned());
    say(format!("  - task: {{ type: {} }}", pipeline(task)));
    say(format!("    dataset: {{ type: {0}, name: {0} }}", quoted(&card.measured_on)));
    say("    metrics:".to_owned());
    for (name, value) in &card.metrics {
        say(format!("    - {{ type: {}, value: {} }}", quoted(name), json!(value)));
    }
    say("---".to_owned());
    let (round, params) = (card.round, task.layout().param_count());
    say(format!(
        "\n# Weights of a Shoal run\n\nTrained by devices together, with no server. Loads with PyTorch alone: `{CONFIG_FILE}` says what the\nmodel is, `{WEIGHTS_FILE}` holds its tensors.\n"
    ));
    say("| | |\n| --- | --- |".to_owned());
    say(format!("| run | `{}` |", inline(&card.name)));
    say(format!("| run id | `{}` |", inline(&card.run)));
    say(format!("| rounds | {round} |"));
    say(format!(
        "| peers known at the end | {} |",
        card.peers.map_or_else(|| "not recorded".to_owned(), |peers| peers.to_string())
    ));
    say(format!("| model | `{}`, {params} parameters |", inline(kind)));
    say(format!("| data, as declared | {} |", list(&card.datasets)));
    for (name, value) in &card.metrics {
        say(format!("| {} on `{}` | {value:.4} |", inline(name), inline(&card.measured_on)));
    }
    say("\nThe figures are this node's own, of its own weights and test data; other nodes of the run have weights\nthat differ a little.".to_owned());
    text
}

/// Text between backquotes of one line.
fn inline(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '`' | '|') { ' ' } else { c }).collect()
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("`{}`", inline(text))).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "kind = 'language'\ncontext = 4\nvocabulary = \" a\\n\\\"\"\nbatch = 1
        model = { kind = 'gpt', layers = 1, width = 4, heads = 1 }\noptimizer = { kind = 'sgd', rate = 0.5 }";

    fn table(text: &str) -> toml::Table {
        text.parse().expect("a table")
    }

    fn card() -> Card {
        Card {
            name: "mine".to_owned(),
            run: "ab".repeat(32),
            round: 12,
            peers: Some(3),
            license: Some("cc0-1.0".to_owned()),
            datasets: vec!["ham|let\n---\nlicense: evil".to_owned()],
            metrics: vec![("perplexity".to_owned(), 4.5)],
            measured_on: "`hamlet`".to_owned(),
        }
    }

    #[test]
    fn a_folder_holds_all_that_a_reader_needs() {
        let (table, folder) = (table(TEXT), tempfile::tempdir().expect("a folder"));
        let task = Task::parse(&table).expect("a task");
        let dir = folder.path().join("new");
        let export = || export(&dir, &table, &task, &Assets::new(), &task.init(1), &card());
        let files = export().expect("exported");
        assert_eq!(files.len(), 4);
        let read = |name: &str| fs::read_to_string(dir.join(name)).expect("a text");
        let config: Value = serde_json::from_str(&read(CONFIG_FILE)).expect("JSON");
        assert_eq!((config["format"].as_u64(), config["model_type"].as_str()), (Some(1), Some("shoal-gpt")));
        assert_eq!(config["task"]["model"]["layers"].as_u64(), Some(1));
        assert!(config["task"].get("optimizer").is_none() && config["task"].get("batch").is_none());
        assert_eq!(serde_json::from_str::<Vec<String>>(&read(VOCABULARY_FILE)).expect("JSON"), [" ", "a", "\n", "\""]);
        let (weights, said) = safetensors::load(&dir.join(WEIGHTS_FILE), task.layout()).expect("weights");
        assert_eq!((weights, said["round"].as_str()), (task.init(1), "12"));
        let again = export().expect_err("refused").to_string();
        assert!(again.ends_with("model.safetensors exists already and is left as it is"), "{again}");
    }

    #[test]
    fn corrections_are_merged_into_their_base() {
        let table = table("model = { kind = 'lora', rank = 2, base = { kind = 'gpt', layers = 3 } }\ncontext = 4");
        assert_eq!(merged(&table)["model"]["layers"].as_integer(), Some(3));
        assert_eq!(merged(&merged(&table)), merged(&table));
    }

    #[test]
    fn no_name_breaks_out_of_the_card() {
        let table = table(TEXT);
        let text = readme(&table, &Task::parse(&table).expect("a task"), &card());
        assert_eq!(text.lines().filter(|line| *line == "---").count(), 2, "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("license:")).collect::<Vec<_>>(), ["license: \"cc0-1.0\""]);
        assert!(text.contains("datasets: [\"ham|let\\n---\\nlicense: evil\"]"), "{text}");
        assert!(text.contains("| data, as declared | `ham let --- license: evil` |"), "{text}");
        assert!(
            text.contains("- { type: \"perplexity\", value: 4.5 }") && text.contains("pipeline_tag: text-generation"),
            "{text}"
        );
    }
}
