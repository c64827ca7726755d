//! `shoal new`: a run spec for one's data, commented, ready to be read, changed and published.
//!
//! The shape and the classes, or the characters of a text, are read off the data; the rest are the
//! values that the digits and Hamlet were measured with, to begin from. What is written is parsed again
//! before it is kept. Nothing that exists is replaced.

use std::path::PathBuf;

use shoal_ml::{Legend, Schema, Source, Task};
use shoal_protocol::spec::RunSpec;

use super::CliError;
use super::print::{self, grouped, line, plain};
use crate::atomic;
use crate::config::DataSource;

/// Characters that a language model sees at once.
const CONTEXT: usize = 64;

#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// The run's name: letters, digits, '-', '_' or '.'
    #[arg(value_name = "NAME")]
    name: String,
    /// The data to train on: digits, hamlet, a file or a folder, or FORMAT:PATH
    #[arg(long, value_name = "SOURCE")]
    data: String,
    /// The model [default: mlp for labelled examples, gpt for a text]
    #[arg(long, value_name = "KIND")]
    model: Option<Model>,
    /// The seed of the run's initial weights
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to write the spec [default: NAME.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Kinds of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Model {
    /// Fully connected layers, for labelled examples
    Mlp,
    /// A transformer, for text
    Gpt,
}

/// Why no spec was written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum NewError {
    #[error("{0:?} names no data")]
    #[diagnostic(code(shoal::new::source), help("name it as {}", DataSource::EXPECTED))]
    Source(String),
    #[error("the data: {0}")]
    #[diagnostic(code(shoal::new::data), help("docs/DATA.md says what each format looks like; `shoal data check` looks closer"))]
    Data(String),
    #[error("the model {model} cannot learn from {data}")]
    #[diagnostic(code(shoal::new::model), help("leave --model out: `mlp` is for labelled examples, `gpt` for text"))]
    Model { model: &'static str, data: &'static str },
    #[error("a spec cannot be made of this: {0}")]
    #[diagnostic(code(shoal::new::spec), help("a name has 1 to 64 letters, digits, '-', '_' or '.'; data needs two classes"))]
    Spec(String),
}

/// What `new --json` prints.
#[derive(serde::Serialize)]
struct Made {
    name: String,
    run: String,
    file: String,
    parameters: u64,
}

pub(super) fn command(args: &NewArgs) -> Result<(), CliError> {
    let source: Source =
        args.data.parse().map_err(|_| CliError::usage(NewError::Source(args.data.chars().take(80).collect())))?;
    let schema = source.schema().map_err(|error| CliError::operation(NewError::Data(error.to_string())))?;
    let text = text(&args.name, args.seed, &source, &schema, args.model).map_err(CliError::usage)?;
    let refused = |reason: String| CliError::usage(NewError::Spec(reason));
    let spec = RunSpec::parse(&text).map_err(|error| refused(super::error::one_sentence(&error.to_string())))?;
    let task = Task::parse(spec.task()).map_err(|error| refused(error.to_string()))?;
    let path = args.out.clone().unwrap_or_else(|| format!("{}.toml", args.name).into());
    if path.symlink_metadata().is_ok() {
        return Err(CliError::Exists(path));
    }
    atomic::write(&path, text.as_bytes()).map_err(|source| CliError::Unwritable { path: path.clone(), source })?;
    let parameters = task.layout().param_count() as u64;
    let file = path.display().to_string();
    let made = Made { name: args.name.clone(), run: spec.run_id().to_string(), file, parameters };
    if args.json {
        return Ok(print::json(&made)?);
    }
    let next = format!("{} publish {} --data {}", print::program(), plain(&made.file), plain(&source.to_string()));
    let rows =
        [("run", made.name), ("id", made.run), ("parameters", grouped(parameters)), ("written to", made.file), ("next", next)];
    Ok(line(&print::named(&rows))?)
}

/// The spec's text.
fn text(name: &str, seed: u64, source: &Source, schema: &Schema, model: Option<Model>) -> Result<String, NewError> {
    let (about, task) = match (schema, model) {
        (Schema::Labelled { shape, classes, examples, legend }, None | Some(Model::Mlp)) => {
            (format!("{examples} examples of the shape {shape:?} in {classes} classes"), classify(shape, *classes, legend))
        }
        (Schema::Text { characters, length }, None | Some(Model::Gpt)) => {
            (format!("a text of {length} characters, {} of them different", characters.chars().count()), language(characters))
        }
        (Schema::Labelled { .. }, Some(Model::Gpt)) => return Err(NewError::Model { model: "gpt", data: "labelled examples" }),
        (Schema::Text { .. }, Some(Model::Mlp)) => return Err(NewError::Model { model: "mlp", data: "text" }),
    };
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

fn classify(shape: &[usize], classes: usize, legend: &Legend) -> String {
    // Enough for handwriting; the demo's 64 serve 64 inputs.
    let hidden = shape.iter().product::<usize>().clamp(16, 256).next_power_of_two();
    format!(
        "[task]
kind = \"classify\"
inputs = {shape:?}     # the shape of one example
classes = {classes}
{}batch = 32          # examples in a step
model = {{ kind = \"mlp\", hidden = [{hidden}] }}
optimizer = {{ kind = \"sgd\", rate = 0.1 }}
",
        legend.to_toml()
    )
}

fn language(characters: &str) -> String {
    format!(
        "[codec]
density = [[0, 100]]   # of a delta's thousand values 100 travel
step_ahead = 1.0       # train from where the last delta will have led

[slice]
start = 32          # one part in 32 of the weights travels with a delta
finest = 32

[task]
kind = \"language\"
context = {CONTEXT}        # characters that the model sees at once
vocabulary = {}
batch = 16          # examples in a step
model = {{ kind = \"gpt\", layers = 2, width = 32, heads = 4, hidden = 166 }}
optimizer = {{ kind = \"adamw\", rate = 0.003, beta2 = 0.99 }}
",
        toml::Value::from(characters)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(source: &Source, model: Option<Model>) -> Result<(RunSpec, Task), NewError> {
        let text = text("mine", 5, source, &source.schema().unwrap(), model)?;
        let spec = RunSpec::parse(&text).unwrap();
        let task = Task::parse(spec.task()).unwrap();
        Ok((spec, task))
    }

    #[test]
    fn what_is_written_fits_the_data_it_was_made_from() {
        for (source, model) in [(Source::Digits, Model::Mlp), (Source::Hamlet, Model::Gpt)] {
            let (spec, task) = made(&source, None).unwrap();
            assert_eq!((spec.name(), spec.seed()), ("mine", 5));
            source.load(&task, 0).expect("the data fits");
            assert_eq!(made(&source, Some(model)).unwrap().0, spec);
        }
        assert!(matches!(made(&Source::Digits, Some(Model::Gpt)), Err(NewError::Model { model: "gpt", .. })));
        assert!(matches!(made(&Source::Hamlet, Some(Model::Mlp)), Err(NewError::Model { model: "mlp", .. })));
    }

    #[test]
    fn nothing_that_is_typed_breaks_out_of_the_spec() {
        let schema = Schema::Labelled { shape: vec![2], classes: 2, examples: 9, legend: Legend::default() };
        let source = Source::Idx("x\nseed = 9\n".into());
        let text = text("a\"\nseed = 3", 5, &source, &schema, None).unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["seed"].as_integer(), Some(5));
        assert!(RunSpec::parse(&text).is_err(), "the name is refused");
        assert!(RunSpec::parse(&text.replace(&toml::Value::from("a\"\nseed = 3").to_string(), "\"good\"")).is_ok());
    }
}
