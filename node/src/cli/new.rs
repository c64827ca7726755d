//! `shoal new`: a run spec for one's data, commented, ready to be read, changed and published.
//!
//! The shape and the classes, or the characters of a text, are read off the data; the rest are the
//! values that the digits and Hamlet were measured with, to begin from. What is written is parsed again
//! before it is kept. Nothing that exists is replaced.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use shoal_ml::export::CONFIG_FILE;
use shoal_ml::{AssetError, Assets, DataError, Digest, Legend, Schema, Source, TaskSpec, Tokenizer};
use shoal_protocol::spec::RunSpec;

use super::CliError;
use super::print::{self, grouped, line, plain, word};
use crate::atomic;
use crate::config::DataSource;

/// Characters that a language model sees at once.
const CONTEXT: usize = 64;
/// Longest `config.json` and `tokenizer.json`, bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
const TOKENIZER_BYTES_MAX: u64 = 64 << 20;
/// Most tokens of a tokenizer: a task has no more classes.
const TOKENS_MAX: usize = 1 << 20;

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
    /// Weights to start from: a safetensors file; what `shoal export` wrote brings its model along
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// A tokenizer.json to read the text in pieces of words instead of characters
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
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
    /// Convolutions, for images and series
    Cnn,
    /// A transformer, for text
    Gpt,
}

/// Why no spec was written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum NewError {
    #[error(transparent)]
    #[diagnostic(code(shoal::new::source), help("name it as {}", DataSource::EXPECTED))]
    Source(DataError),
    #[error("the data: {0}")]
    #[diagnostic(code(shoal::new::data), help("docs/DATA.md says what each format looks like; `shoal data check` looks closer"))]
    Data(String),
    #[error("the model {model} cannot learn from {data}")]
    #[diagnostic(
        code(shoal::new::model),
        help("leave --model out: `mlp` is for labelled examples, `cnn` for images and series, `gpt` for text")
    )]
    Model { model: &'static str, data: &'static str },
    #[error("{0}")]
    #[diagnostic(code(shoal::new::asset), help("--from names a safetensors file, --tokenizer a tokenizer.json"))]
    Asset(String),
    #[error("the model beside the weights: {0}")]
    #[diagnostic(code(shoal::new::config), help("`shoal export` writes a config.json that can be read"))]
    Config(String),
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
    let source: Source = args.data.parse().map_err(|error| CliError::usage(NewError::Source(error)))?;
    let schema = source.schema().map_err(|error| CliError::operation(NewError::Data(error.to_string())))?;
    let (wishes, assets) = wishes(args).map_err(CliError::usage)?;
    let text = text(&args.name, args.seed, &source, &schema, &wishes).map_err(CliError::usage)?;
    let refused = |reason: String| CliError::usage(NewError::Spec(reason));
    let spec = RunSpec::parse(&text).map_err(|error| refused(super::error::one_sentence(&error.to_string())))?;
    // Weights that do not fit are found here and not on everybody's node.
    let task = TaskSpec::parse(spec.task()).and_then(|task| task.equip(&assets)).map_err(|error| refused(error.to_string()))?;
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
    let files: String =
        args.from.iter().chain(&args.tokenizer).map(|file| format!(" --asset {}", word(&file.display().to_string()))).collect();
    let (file, source) = (word(&made.file), word(&source.to_string()));
    let next = format!("{} run --run {file} --data {source}{files}", print::program());
    let rows =
        [("run", made.name), ("id", made.run), ("parameters", grouped(parameters)), ("written to", made.file), ("next", next)];
    Ok(line(&print::named(&rows))?)
}

/// The files that were named, and what they ask of the spec.
fn wishes(args: &NewArgs) -> Result<(Wishes, Assets), NewError> {
    let mut assets = Assets::new();
    let refused = |error: AssetError| NewError::Asset(error.to_string());
    let init = args.from.as_ref().map(|path| assets.add(path).map_err(refused)).transpose()?;
    let tokenizer = match &args.tokenizer {
        None => None,
        Some(path) => {
            let digest = assets.add(path).map_err(refused)?;
            let bytes = assets.read(&digest, TOKENIZER_BYTES_MAX).map_err(refused)?;
            Some((digest, tokens(path, &bytes)?))
        }
    };
    let base = args.from.as_deref().map_or(Ok(None), config_beside)?;
    Ok((Wishes { model: args.model, base, init, tokenizer }, assets))
}

/// How many tokens a tokenizer has.
fn tokens(path: &Path, bytes: &[u8]) -> Result<usize, NewError> {
    let refused = |error| NewError::Asset(format!("{}: {error}", path.display()));
    let tokenizer = Tokenizer::parse(bytes, TOKENS_MAX).map_err(refused)?;
    Ok(tokenizer.largest() as usize + 1)
}

/// What a spec is made of beside the data's own shape.
#[derive(Debug, Default)]
struct Wishes {
    model: Option<Model>,
    /// Keys of a model that somebody exported, to be trained on.
    base: Option<toml::Table>,
    /// The weights to start from.
    init: Option<Digest>,
    /// A tokenizer's file and the number of its tokens.
    tokenizer: Option<(Digest, usize)>,
}

/// The spec's text.
fn text(name: &str, seed: u64, source: &Source, schema: &Schema, wishes: &Wishes) -> Result<String, NewError> {
    let (about, mut task) = match (schema, wishes.model) {
        (Schema::Labelled { shape, classes, examples, legend }, None | Some(Model::Mlp | Model::Cnn)) => {
            let model = if wishes.model == Some(Model::Cnn) { cnn(shape)? } else { mlp(shape) };
            (
                format!("{examples} examples of the shape {shape:?} in {classes} classes"),
                classify(shape, *classes, legend, &model),
            )
        }
        (Schema::Text { characters, length }, None | Some(Model::Gpt)) => (
            format!("a text of {length} characters, {} of them different", characters.chars().count()),
            language(characters, wishes.tokenizer.as_ref()),
        ),
        (Schema::Labelled { .. }, Some(Model::Gpt)) => return Err(NewError::Model { model: "gpt", data: "labelled examples" }),
        (Schema::Text { .. }, Some(Model::Mlp)) => return Err(NewError::Model { model: "mlp", data: "text" }),
        (Schema::Text { .. }, Some(Model::Cnn)) => return Err(NewError::Model { model: "cnn", data: "text" }),
    };
    if let Some(base) = &wishes.base {
        task = exported(&task, base)?;
    }
    if let Some(init) = &wishes.init {
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

/// The task's text with the keys of an exported model laid over it: its weights fit no other.
fn exported(text: &str, base: &toml::Table) -> Result<String, NewError> {
    let refused = |error: &dyn core::fmt::Display| NewError::Config(error.to_string());
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| refused(&error.message()))?;
    if let Some(toml::Value::Table(task)) = table.get_mut("task") {
        if base.contains_key("tokenizer") {
            task.remove("vocabulary");
        }
        task.extend(base.clone());
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

/// The `config.json` beside exported weights, if there is one: what their model is.
fn config_beside(weights: &Path) -> Result<Option<toml::Table>, NewError> {
    let path = weights.with_file_name(CONFIG_FILE);
    let refused = |error: &dyn core::fmt::Display| NewError::Config(format!("{}: {error}", path.display()));
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&error)),
    };
    let mut text = String::new();
    file.take(CONFIG_BYTES_MAX).read_to_string(&mut text).map_err(|error| refused(&error))?;
    let config: serde_json::Value = serde_json::from_str(&text).map_err(|error| refused(&error))?;
    // Other programs call their files like this, too.
    let Some(task) = config.get("task") else { return Ok(None) };
    toml::Table::try_from(task).map(Some).map_err(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_ml::Task;

    fn made(source: &Source, model: Option<Model>) -> Result<(RunSpec, Task), NewError> {
        let wishes = Wishes { model, ..Wishes::default() };
        let text = text("mine", 5, source, &source.schema().unwrap(), &wishes)?;
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
        let (_, task) = made(&Source::Digits, Some(Model::Cnn)).unwrap();
        assert!(task.layout().tensors().iter().any(|tensor| tensor.name() == "stages.1.weight"));
        assert!(matches!(made(&Source::Digits, Some(Model::Gpt)), Err(NewError::Model { model: "gpt", .. })));
        assert!(matches!(made(&Source::Hamlet, Some(Model::Mlp)), Err(NewError::Model { model: "mlp", .. })));
    }

    #[test]
    fn nothing_that_is_typed_breaks_out_of_the_spec() {
        let schema = Schema::Labelled { shape: vec![2], classes: 2, examples: 9, legend: Legend::default() };
        let source = Source::Idx("x\nseed = 9\n".into());
        let text = text("a\"\nseed = 3", 5, &source, &schema, &Wishes::default()).unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["seed"].as_integer(), Some(5));
        assert!(RunSpec::parse(&text).is_err(), "the name is refused");
        assert!(RunSpec::parse(&text.replace(&toml::Value::from("a\"\nseed = 3").to_string(), "\"good\"")).is_ok());
    }

    #[test]
    fn a_run_may_start_from_exported_weights_and_their_model() {
        let folder = tempfile::tempdir().unwrap();
        let text = "kind = 'classify'\ninputs = [8, 8]\nclasses = 10\nbatch = 8\nmodel = { kind = 'mlp', hidden = [12] }\n\
                    optimizer = { kind = 'sgd', rate = 0.1 }";
        let table: toml::Table = text.parse().unwrap();
        let task = Task::parse(&table).unwrap();
        let weights = task.init(9);
        let path = folder.path().join("model.safetensors");
        shoal_ml::safetensors::save(&path, task.layout(), &weights, &Default::default()).unwrap();
        let task_of = |table: &toml::Table| {
            let kept = ["kind", "inputs", "classes", "model"].map(|key| (key.to_owned(), table[key].clone()));
            serde_json::json!({ "task": toml::Table::from_iter(kept) })
        };
        std::fs::write(folder.path().join(CONFIG_FILE), task_of(&table).to_string()).unwrap();
        let out = folder.path().join("own.toml");
        let args = NewArgs {
            name: "own".to_owned(),
            data: "digits".to_owned(),
            model: None,
            from: Some(path.clone()),
            tokenizer: None,
            seed: 1,
            out: Some(out.clone()),
            json: true,
        };
        command(&args).unwrap();
        let spec = RunSpec::parse(&std::fs::read_to_string(out).unwrap()).unwrap();
        let mut assets = Assets::new();
        assets.add(&path).unwrap();
        let task = TaskSpec::parse(spec.task()).unwrap().equip(&assets).unwrap();
        assert_eq!(task.init(1), weights);
        assert!(Task::parse(spec.task()).is_err(), "without the file it is no task");
        // Weights of another model are refused before anything is written.
        std::fs::remove_file(folder.path().join(CONFIG_FILE)).unwrap();
        let other = NewArgs { out: Some(folder.path().join("other.toml")), ..args };
        assert!(command(&other).is_err() && !folder.path().join("other.toml").exists());
    }
}
