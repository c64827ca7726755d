//! `shoal eval`: how good a run's weights are on data of one's own.

use serde_json::{Value, json};
use shoal_ml::{ClassScore, Device, Evaluation};

use super::CliError;
use super::model::{Model, ModelArgs};
use super::print::{self, line};
use crate::config::{DataSettings, DataSource};

#[derive(Debug, clap::Args)]
pub(super) struct EvalArgs {
    /// The data, whose test part is looked at [default: what the node trains on in this run]
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,
    /// The seed of the draw of the test part, where the data has none of its own [default: the node's]
    #[arg(long, value_name = "N")]
    split_seed: Option<u64>,
    #[command(flatten)]
    model: ModelArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum Failed {
    #[error("the data: {0}")]
    #[diagnostic(
        code(shoal::eval::data),
        help("name data that fits the run with --data; `shoal spec show` shows what it expects")
    )]
    Data(String),
    #[error("the weights cannot be tried: {0}")]
    #[diagnostic(code(shoal::eval::weights), help("`shoal status` shows whether the run goes well"))]
    Eval(#[from] shoal_ml::EvalError),
}

pub(super) fn command(args: &EvalArgs) -> Result<(), CliError> {
    let model = args.model.load()?;
    let said = DataSettings { data: args.data.clone(), split_seed: args.split_seed, ..DataSettings::default() };
    let data = args.model.data(&model.spec, &said)?;
    let found = evaluate(&model, &data)?;
    if args.json {
        return Ok(print::json(&as_json(&model, &data, &found))?);
    }
    let source = print::plain(&data.source.to_string());
    Ok(line(&format!("{found}\nrun {}, round {}, on the test part of {source}", model.spec.name(), model.round))?)
}

/// All figures on the test part of this data.
pub(super) fn evaluate(model: &Model, data: &DataSource) -> Result<Evaluation, CliError> {
    let split = data.source.load(&model.task, data.split_seed);
    let split = split.map_err(|error| CliError::operation(Failed::Data(error.to_string())))?;
    let found = Evaluation::of(&model.task, &model.weights, &split.test, Device::Cpu);
    found.map_err(|error| CliError::operation(Failed::Eval(error)))
}

fn as_json(model: &Model, data: &DataSource, found: &Evaluation) -> Value {
    let class = |score: &ClassScore| {
        let (precision, recall, f1) = (score.precision(), score.recall(), score.f1());
        json!({"is": score.is, "said": score.said, "right": score.right, "precision": precision, "recall": recall, "f1": f1})
    };
    let figures: serde_json::Map<String, Value> =
        found.named().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    json!({
        "run": model.spec.run_id().to_string(),
        "name": model.spec.name(),
        "round": model.round,
        "data": data.source.to_string(),
        "examples": found.metrics.examples,
        "figures": figures,
        "classes": found.classes.iter().map(class).collect::<Vec<_>>(),
        "confusions": found.confusions,
    })
}
