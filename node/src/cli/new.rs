//! `shoal new`: a run spec for one's data, commented, ready to be read, changed and published.
//!
//! The shape and the classes, or the characters of a text, are read off the data; the rest are the
//! values that the digits and Hamlet were measured with, to begin from. What is written is parsed again
//! before it is kept. Nothing that exists is replaced.

mod given;
mod text;

use std::path::PathBuf;

use shoal_ml::{DataError, Source, TaskSpec};
use shoal_protocol::spec::RunSpec;

use super::CliError;
use super::print::{self, grouped, line, word};
use crate::atomic;
use crate::config::DataSource;

use given::{Given, take_up};

#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// The run's name: letters, digits, '-', '_' or '.'
    #[arg(value_name = "NAME")]
    name: String,
    /// The data to train on: digits, hamlet, a file or a folder, or FORMAT:PATH
    #[arg(long, value_name = "SOURCE")]
    data: String,
    /// The model [default: mlp for labelled examples, gpt for a text, or that of --from]
    #[arg(long, value_name = "KIND")]
    model: Option<Model>,
    /// Weights to start from, or with --model lora to correct: a safetensors file, or the folder that
    /// `shoal export` wrote, which brings its model along
    #[arg(long, value_name = "FILE|FOLDER", required_if_eq("model", "lora"))]
    from: Option<PathBuf>,
    /// Of --model lora: columns of each thin matrix, 1 to 1024 [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    rank: Option<u16>,
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
    /// Corrections of low rank to given weights (--from), which stay as they are
    Lora,
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
    #[error("weights can be corrected only with their config.json beside them, which says what their model is")]
    #[diagnostic(code(shoal::new::correct), help("name a folder that `shoal export` wrote with --from"))]
    Correct,
    #[error("--rank is of corrections alone")]
    #[diagnostic(code(shoal::new::rank), help("leave --rank out, or say --model lora"))]
    Rank,
    #[error("{0}")]
    #[diagnostic(
        code(shoal::new::asset),
        help("--from names a safetensors file or an exported folder, --tokenizer a tokenizer.json")
    )]
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
    if args.rank.is_some() && args.model != Some(Model::Lora) {
        return Err(CliError::usage(NewError::Rank));
    }
    let Given { wishes, assets, files } = take_up(args).map_err(CliError::usage)?;
    let text = text::text(&args.name, args.seed, &source, &schema, &wishes).map_err(CliError::usage)?;
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
    let files: String = files.iter().map(|file| format!(" --asset {}", word(&file.display().to_string()))).collect();
    let (file, source) = (word(&made.file), word(&source.to_string()));
    let next = format!("{} run --run {file} --data {source}{files}", print::program());
    let rows =
        [("run", made.name), ("id", made.run), ("parameters", grouped(parameters)), ("written to", made.file), ("next", next)];
    Ok(line(&print::named(&rows))?)
}

#[cfg(test)]
mod tests {
    use super::text::{Wishes, text};
    use super::*;
    use shoal_ml::export::{CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE};
    use shoal_ml::{Assets, Legend, Schema, Task};

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
            rank: None,
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

    /// A play of one's own, a transformer for it, and the folder that it was exported to.
    fn exported_play(folder: &std::path::Path, more: &str) -> (String, Task, Vec<f32>, PathBuf) {
        let play = folder.join("play.txt");
        std::fs::write(&play, "a bad cafe fed a dead bee a fad; ".repeat(40)).unwrap();
        let text = format!(
            "kind = 'language'\ncontext = 8\n{more}\nbatch = 4\nmodel = {{ kind = 'gpt', layers = 1, width = 8, heads = 2 }}\n\
             optimizer = {{ kind = 'sgd', rate = 0.1 }}"
        );
        let table: toml::Table = text.parse().unwrap();
        let mut assets = Assets::new();
        if folder.join(TOKENIZER_FILE).exists() {
            assets.add(folder.join(TOKENIZER_FILE)).unwrap();
        }
        let task = TaskSpec::parse(&table).unwrap().equip(&assets).unwrap();
        let (weights, to) = (task.init(9), folder.join("base"));
        shoal_ml::export::export(&to, &table, &task, &assets, &weights, &Default::default()).unwrap();
        (play.display().to_string(), task, weights, to)
    }

    fn args(data: String, from: PathBuf, out: PathBuf) -> NewArgs {
        let (model, name) = (Some(Model::Lora), "mine".to_owned());
        NewArgs { name, data, model, from: Some(from), rank: Some(2), tokenizer: None, seed: 1, out: Some(out), json: true }
    }

    #[test]
    fn given_weights_may_be_corrected_and_merged() {
        let folder = tempfile::tempdir().unwrap();
        let (data, base, weights, from) = exported_play(folder.path(), "vocabulary = ' abcdef;'");
        // The folder and the file in it are the same.
        for (i, from) in [from.clone(), from.join(WEIGHTS_FILE)].into_iter().enumerate() {
            let out = folder.path().join(format!("{i}.toml"));
            command(&args(data.clone(), from.clone(), out.clone())).unwrap();
            let spec = RunSpec::parse(&std::fs::read_to_string(out).unwrap()).unwrap();
            let Given { assets, files, .. } = take_up(&args(data.clone(), from, PathBuf::new())).unwrap();
            assert_eq!(files.len(), 1);
            let task = TaskSpec::parse(spec.task()).unwrap().equip(&assets).unwrap();
            assert!(task.layout().tensors().iter().all(|tensor| tensor.name().contains(".lora_")));
            // At first the model is its base; its export is the base's own kind of folder.
            let (merged, whole) = task.merged(&task.init(1)).unwrap();
            assert_eq!((merged.layout(), &whole), (base.layout(), &weights));
            assert!(!spec.task().contains_key("init"));
        }
    }

    #[test]
    fn an_exported_tokenizer_comes_along() {
        let folder = tempfile::tempdir().unwrap();
        let pieces = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"}, "model": {"type": "BPE",
            "unk_token": "?", "vocab": {"?": 0, " ": 1, "a": 2, "b": 3, "d": 4, "ad": 5}, "merges": [["a", "d"]]}}"#;
        std::fs::write(folder.path().join(TOKENIZER_FILE), pieces).unwrap();
        let digest = Assets::new().add(folder.path().join(TOKENIZER_FILE)).unwrap();
        let (data, _, _, from) = exported_play(folder.path(), &format!("tokenizer = '{digest}'\ntokens = 6"));
        let out = folder.path().join("own.toml");
        let lora = args(data, from, out.clone());
        command(&lora).unwrap();
        let Given { files, .. } = take_up(&lora).unwrap();
        assert_eq!(files.len(), 2, "weights and tokenizer: {files:?}");
        let spec = RunSpec::parse(&std::fs::read_to_string(out).unwrap()).unwrap();
        assert_eq!(spec.task()["tokenizer"].as_str(), Some(digest.to_string().as_str()));
        assert!(!spec.task().contains_key("vocabulary"));
    }

    #[test]
    fn corrections_want_a_model_to_correct() {
        let folder = tempfile::tempdir().unwrap();
        let (data, _, _, from) = exported_play(folder.path(), "vocabulary = ' abcdef;'");
        let refused = |args: &NewArgs| command(args).unwrap_err().to_string();
        let lora = || args(data.clone(), from.clone(), folder.path().join("own.toml"));
        let plain = NewArgs { model: None, ..lora() };
        assert_eq!(refused(&plain), "--rank is of corrections alone");
        std::fs::remove_file(from.join(CONFIG_FILE)).unwrap();
        let why = refused(&lora());
        assert!(why.starts_with("weights can be corrected only with their config.json beside them"), "{why}");
        assert!(refused(&NewArgs { from: Some(folder.path().join("absent")), ..lora() }).contains("absent"));
        assert!(!folder.path().join("own.toml").exists());
    }
}
