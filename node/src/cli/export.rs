//! `shoal export`: a run's model as a folder that loads without Shoal.

use std::path::PathBuf;

use serde_json::json;
use shoal_ml::export::{Card, ExportError, export};

use super::CliError;
use super::eval::evaluate;
use super::model::ModelArgs;
use super::print::{self, line};
use crate::config::DataSettings;

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The licence that the weights are given under, by its short name: cc0-1.0, apache-2.0, ..
    #[arg(long, value_name = "NAME")]
    license: Option<String>,
    /// A data set that the run was trained on, for the model card; may be repeated [default: the node's own]
    #[arg(long, value_name = "NAME")]
    dataset: Vec<String>,
    /// The data whose test part the figures are of [default: what the node trains on in this run]
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why there is no folder.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error(transparent)]
#[diagnostic(code(shoal::export), help("name a folder that is new or empty, on a disk with room for the weights"))]
struct Failed(ExportError);

pub(super) fn command(args: &ExportArgs) -> Result<(), CliError> {
    let model = args.model.load()?;
    let said = DataSettings { data: args.data.clone(), ..DataSettings::default() };
    let data = args.model.data(&model.spec, &said)?;
    let figures = evaluate(&model, &data)?.named();
    let source = data.source.to_string();
    let card = Card {
        name: model.spec.name().to_owned(),
        run: model.spec.run_id().to_string(),
        round: model.round,
        peers: model.peers,
        license: args.license.clone(),
        datasets: if args.dataset.is_empty() { vec![source.clone()] } else { args.dataset.clone() },
        metrics: figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        measured_on: source,
    };
    let files = export(&args.to, model.spec.task(), &model.task, &model.assets, &model.weights, &card);
    let files = files.map_err(|error| CliError::operation(Failed(error)))?;
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    if args.json {
        return Ok(print::json(&json!({"run": card.run, "name": card.name, "round": card.round, "files": files}))?);
    }
    Ok(line(&print::named(&[
        ("run", card.name),
        ("round", print::grouped(card.round)),
        ("written", files.join(", ")),
        ("load it", "python3 examples/load_export.py DIR INPUTS, which needs PyTorch and no Shoal".to_owned()),
    ]))?)
}
