//! `shoal predict`: what a run's model says of examples in files.
//!
//! A file is an image (PNG), a table as CSV or objects of JSON whose columns the run names, or the model's own
//! numbers, as rows or as lists of JSON; of a run that learns a text it is a text, and the answer is what
//! comes next. Which numbers a row becomes is `shoal_ml`'s to say, as it is in training.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use serde::Serialize;
use shoal_ml::data::{Missing, asked};
use shoal_ml::{Device, Generator, Predictor, Task};

use super::CliError;
use super::model::{Model, ModelArgs};
use super::print::{self, columns, line, plain};
use crate::api::PredictedExample;
use crate::serve::Prediction;

/// Longest file, bytes: ten thousand images of 28 x 28 as text (a guess).
const FILE_BYTES_MAX: u64 = 64 << 20;
/// How a PNG image begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

#[derive(Debug, clap::Args)]
pub(super) struct PredictArgs {
    /// Files with examples; `-` reads from stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How missing cells of a table are read: as the column's mean, or none of its words [default: they are refused]
    #[arg(long, value_enum, value_name = "HOW")]
    missing: Option<MissingCells>,
    /// Print the logits of each example, a line each, and nothing else
    #[arg(long)]
    logits: bool,
    /// How many of the likeliest answers to print
    #[arg(long, value_name = "N", default_value_t = 1)]
    top: usize,
    #[command(flatten)]
    model: ModelArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What becomes of a cell with nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum MissingCells {
    /// It is the column's mean, or none of its words
    Mean,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum PredictFailed {
    #[error("{file} cannot be read: {error}")]
    #[diagnostic(code(shoal::predict::unreadable), help("name a readable file of at most 64 MiB, or `-` for stdin"))]
    Unreadable { file: String, error: io::Error },
    #[error("{file}: {reason}")]
    #[diagnostic(
        code(shoal::predict::example),
        help(
            "an example is a PNG image, a row of CSV or a JSON object with the run's columns, or a list of the model's numbers; \
             `shoal spec show` shows the columns"
        )
    )]
    Example { file: String, reason: String },
    #[error("the model: {0}")]
    #[diagnostic(code(shoal::predict::model), help("`shoal status` shows whether the run goes well"))]
    Model(String),
}

/// One answer with where it comes from.
#[derive(Serialize)]
struct Answer {
    file: String,
    /// The example within the file, from 1.
    example: usize,
    #[serde(flatten)]
    said: PredictedExample,
}

pub(super) fn command(args: &PredictArgs) -> Result<(), CliError> {
    let model = args.model.load()?;
    let missing = match args.missing {
        Some(MissingCells::Mean) => Missing::Mean,
        None => Missing::Refused("`--missing mean`"),
    };
    let mut answers = Vec::new();
    for path in &args.files {
        let file = path.display().to_string();
        let bytes = read(path).map_err(|error| CliError::operation(PredictFailed::Unreadable { file: file.clone(), error }))?;
        let said = predict(&model, &file, &bytes, missing).map_err(CliError::operation)?;
        for (example, prediction) in (1..).zip(said) {
            let said = PredictedExample::of(prediction, |class| name_of(&model, class), args.logits);
            answers.push(Answer { file: file.clone(), example, said });
        }
    }
    if args.json {
        return Ok(print::json(&answers)?);
    }
    if args.logits {
        let numbers = |answer: &Answer| {
            let logits = answer.said.logits.iter().flatten().map(|logit| logit.to_string());
            logits.collect::<Vec<_>>().join(" ")
        };
        return Ok(answers.iter().try_for_each(|answer| line(&numbers(answer)))?);
    }
    Ok(line(&drawn(&model, &answers, args.top))?)
}

fn read(path: &PathBuf) -> io::Result<Vec<u8>> {
    let source: Box<dyn Read> = if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut bytes = Vec::new();
    source.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

fn predict(model: &Model, file: &str, bytes: &[u8], missing: Missing) -> Result<Vec<Prediction>, PredictFailed> {
    let wrong = |reason: String| PredictFailed::Example { file: file.to_owned(), reason };
    if model.task.vocabulary().is_some() {
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("this is no UTF-8 text".to_owned()))?;
        let generator = Generator::new(&model.task, &model.weights, Device::Cpu);
        let generator = generator.map_err(|error| PredictFailed::Model(error.to_string()))?;
        let logits = generator.logits(text).map_err(|error| wrong(error.to_string()))?;
        return Ok(vec![Prediction::of(&logits)]);
    }
    let inputs = examples(&model.task, bytes, missing).map_err(wrong)?;
    let predictor = Predictor::new(&model.task, &model.weights, Device::Cpu);
    let predictor = predictor.map_err(|error| PredictFailed::Model(error.to_string()))?;
    let logits = predictor.logits(&inputs).map_err(|error| wrong(error.to_string()))?;
    Ok(logits.chunks_exact(model.task.classes()).map(Prediction::of).collect())
}

/// The numbers of a file's examples, one after the other.
fn examples(task: &Task, bytes: &[u8], missing: Missing) -> Result<Vec<f32>, String> {
    if bytes.starts_with(PNG) {
        return shoal_ml::data::image(bytes, task);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "this is neither a PNG image nor text".to_owned())?;
    if text.trim_start().starts_with(['[', '{']) {
        let value = serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))?;
        return asked::values(&value, task, missing);
    }
    asked::rows(text, task, missing)
}

/// What a class is called: by the spec, or of a text's model the characters themselves.
fn name_of(model: &Model, class: usize) -> Option<String> {
    match model.task.vocabulary() {
        Some(vocabulary) => Some(vocabulary.decode(&[u32::try_from(class).ok()?])),
        None => model.task.legend().labels().get(class).cloned(),
    }
}

fn drawn(model: &Model, answers: &[Answer], top: usize) -> String {
    let mut rows = vec![["file", "example", "says", "probability"].map(str::to_owned).to_vec()];
    for answer in answers {
        let mut likeliest: Vec<(usize, f32)> = answer.said.probabilities.iter().copied().enumerate().collect();
        likeliest.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (class, probability) in likeliest.into_iter().take(top.max(1)) {
            let named = name_of(model, class).map_or_else(|| class.to_string(), |name| format!("{name:?}"));
            rows.push(vec![plain(&answer.file), answer.example.to_string(), plain(&named), format!("{probability:.4}")]);
        }
    }
    format!("{}\n\nby the weights of round {}", columns(&rows), model.round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_how_it_begins() {
        let task = "kind = 'classify'\ninputs = [2]\nclasses = 2\nbatch = 1\nmodel = { kind = 'mlp', hidden = [] }
            columns = [{ name = 'x', mean = 1, scale = 2 }, { name = 'y', mean = 0, scale = 1 }]
            optimizer = { kind = 'sgd', rate = 1 }";
        let task = Task::parse(&task.parse().unwrap()).unwrap();
        let examples = |bytes: &[u8]| examples(&task, bytes, Missing::Mean);
        for text in ["y,x\n2,3", "{\"x\": 3, \"y\": 2}", " [{\"y\": 2, \"x\": 3}]", "[[1, 2]]", "y;x\n2;3\n"] {
            assert_eq!(examples(text.as_bytes()), Ok(vec![1.0, 2.0]), "{text}");
        }
        assert!(examples(b"[1,").unwrap_err().starts_with("this is no JSON: "));
        assert!(examples(b"\x89PNG\r\n\x1a\nno image").is_err());
        assert_eq!(examples(&[0xff]), Err("this is neither a PNG image nor text".to_owned()));
    }
}
