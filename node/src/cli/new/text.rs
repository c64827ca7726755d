//! What `shoal new` writes: a spec's text, from what data looks like and what was wished.
//!
//! Everything that somebody typed or a file says becomes a TOML value or stays within a comment's line. The sizes
//! and rates are values to begin from: those that the digits, Hamlet and MNIST were measured with
//! (docs/MODELS.md).

use shoal_ml::{Digest, Legend, Schema, Source};

use super::super::print::plain;
use super::{Model, NewError};

/// Characters that a language model sees at once.
const CONTEXT: usize = 64;
/// What corrections are learned with: tried on Hamlet, from a model of other plays (docs/MODELS.md).
const CORRECTING: &str = "optimizer = { kind = \"adamw\", rate = 0.003, beta2 = 0.99 }";

/// What a spec is made of beside the data's own shape.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) model: Option<Model>,
    /// Keys of a model that somebody exported, to be trained on.
    pub(super) base: Option<toml::Table>,
    /// The weights to begin with.
    pub(super) start: Option<Start>,
    /// A tokenizer's file and the number of its tokens.
    pub(super) tokenizer: Option<(Digest, usize)>,
}

/// What somebody's weights, by their hash, are for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// The run goes on from them.
    From(Digest),
    /// They stay as they are, and corrections of this rank are learned.
    Correct { weights: Digest, rank: u16 },
}

/// The spec's text.
pub(super) fn text(name: &str, seed: u64, source: &Source, schema: &Schema, wishes: &Wishes) -> Result<String, NewError> {
    // What is corrected is of the kind that its own configuration says, whatever the data's own would be.
    let kind = wishes.model.filter(|model| *model != Model::Lora);
    let (about, mut task) = match (schema, kind) {
        (Schema::Labelled { shape, classes, examples, legend }, None | Some(Model::Mlp | Model::Cnn | Model::Lora)) => {
            let model = if kind == Some(Model::Cnn) { cnn(shape)? } else { mlp(shape) };
            (
                format!("{examples} examples of the shape {shape:?} in {classes} classes"),
                classify(shape, *classes, legend, &model),
            )
        }
        (Schema::Text { characters, length }, None | Some(Model::Gpt | Model::Lora)) => (
            format!("a text of {length} characters, {} of them different", characters.chars().count()),
            language(characters, wishes.tokenizer.as_ref()),
        ),
        (Schema::Labelled { .. }, Some(Model::Gpt)) => return Err(NewError::Model { model: "gpt", data: "labelled examples" }),
        (Schema::Text { .. }, Some(Model::Mlp)) => return Err(NewError::Model { model: "mlp", data: "text" }),
        (Schema::Text { .. }, Some(Model::Cnn)) => return Err(NewError::Model { model: "cnn", data: "text" }),
    };
    if wishes.model == Some(Model::Lora) && (wishes.base.is_none() || wishes.start.is_none()) {
        return Err(NewError::Correct);
    }
    if let Some(base) = &wishes.base {
        task = exported(&task, base, wishes.start)?;
    }
    if let Some(Start::From(init)) = &wishes.start {
        task.push_str(&format!("init = \"{init}\"   # the weights to start from, by their BLAKE3 hash\n"));
    }
    // A path may hold anything; in a comment it must stay on its line.
    let source = plain(&source.to_string());
    Ok(format!(
        "# A run spec: what every node of a run must share. Its hash is the run's id, so nodes train
# together exactly if they say the same here. Comments, order and spacing do not count.
# Made from {source}: {about}. Others bring data of their own that looks the same.
version = 1
name = {}
seed = {seed}            # of the initial weights

[round]
steps = 10          # local steps in a round
period_ms = 5000    # nominal length of a round
peers = 8           # peers heard in a round

{task}",
        toml::Value::from(name),
    ))
}

fn mlp(shape: &[usize]) -> String {
    // Enough for handwriting; the demo's 64 serve 64 inputs.
    let hidden = shape.iter().product::<usize>().clamp(16, 256).next_power_of_two();
    format!("model = {{ kind = \"mlp\", hidden = [{hidden}] }}\noptimizer = {{ kind = \"sgd\", rate = 0.1 }}\n")
}

/// For images and series; measured on MNIST and on BasicMotions (docs/MODELS.md).
fn cnn(shape: &[usize]) -> Result<String, NewError> {
    if shape.len() < 2 {
        return Err(NewError::Model { model: "cnn", data: "rows of numbers, which have no neighbours" });
    }
    let optimizer = "optimizer = { kind = \"sgd\", rate = 0.05, momentum = 0.9, clip = 1.0 }";
    Ok(format!("model = {{ kind = \"cnn\", channels = [16, 32], kernel = 3, hidden = [64] }}\n{optimizer}\n"))
}

fn classify(shape: &[usize], classes: usize, legend: &Legend, model: &str) -> String {
    format!(
        "[task]
kind = \"classify\"
inputs = {shape:?}     # the shape of one example
classes = {classes}
{}batch = 32          # examples in a step
{model}",
        legend.to_toml()
    )
}

fn language(characters: &str, tokenizer: Option<&(Digest, usize)>) -> String {
    let tokens = match tokenizer {
        None => format!("vocabulary = {}", toml::Value::from(characters)),
        Some((digest, size)) => format!("tokenizer = \"{digest}\"   # the file's BLAKE3 hash\ntokens = {size}"),
    };
    format!(
        "[codec]
density = [[0, 100]]   # of a delta's thousand values 100 travel
step_ahead = 1.0       # train from where the last delta will have led

[slice]
start = 32          # one part in 32 of the weights travels with a delta
finest = 32

[task]
kind = \"language\"
context = {CONTEXT}        # tokens that the model sees at once
{tokens}
batch = 16          # examples in a step
model = {{ kind = \"gpt\", layers = 2, width = 32, heads = 4, hidden = 166 }}
optimizer = {{ kind = \"adamw\", rate = 0.003, beta2 = 0.99 }}
"
    )
}

/// The task's text with the keys of an exported model laid over it: its weights fit no other. If they are to be
/// corrected, the model is that correction.
fn exported(text: &str, base: &toml::Table, start: Option<Start>) -> Result<String, NewError> {
    let refused = |error: &dyn core::fmt::Display| NewError::Config(error.to_string());
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| refused(&error.message()))?;
    if let Some(toml::Value::Table(task)) = table.get_mut("task") {
        if base.contains_key("tokenizer") {
            task.remove("vocabulary");
        }
        task.extend(base.clone());
        if let Some(Start::Correct { weights, rank }) = start {
            correct(task, weights, rank).map_err(|error| refused(&error.message()))?;
        }
    }
    // The task comes last, so that a line can be added to it.
    let task = table.remove("task").unwrap_or(toml::Value::Table(toml::Table::new()));
    let inline = |table: &toml::Table| {
        let bare = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let named = |key: &str| if bare(key) { key.to_owned() } else { toml::Value::from(key).to_string() };
        table.iter().map(|(key, value)| format!("{} = {value}\n", named(key))).collect::<String>()
    };
    let head: String =
        table.iter().filter_map(|(key, value)| Some(format!("[{key}]\n{}\n", inline(value.as_table()?)))).collect();
    Ok(format!("{head}[task]\n{}", task.as_table().map(inline).unwrap_or_default()))
}

/// Puts a correction in the place of the task's model, with an optimizer that serves its thin matrices.
fn correct(task: &mut toml::Table, weights: Digest, rank: u16) -> Result<(), toml::de::Error> {
    let thin: toml::Table = format!("kind = \"lora\"\nrank = {rank}\nweights = \"{weights}\"").parse()?;
    let base = task.insert("model".to_owned(), toml::Value::Table(thin));
    if let (Some(base), Some(toml::Value::Table(model))) = (base, task.get_mut("model")) {
        model.insert("base".to_owned(), base);
    }
    task.extend(CORRECTING.parse::<toml::Table>()?);
    Ok(())
}
