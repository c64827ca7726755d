//! The model that a verb works with: from the running node, or from the last checkpoint of one that is
//! not running.
//!
//! The weights are computed with here, in the verb's own process: what a person asks on the command line
//! takes nothing from the node but a copy of its weights.

use std::path::PathBuf;

use shoal_ml::{AssetError, Assets, Task, TaskSpec, safetensors};
use shoal_protocol::spec::RunSpec;

use super::CliError;
use super::local::Local;
use super::print::plain;
use crate::config::{Config, DataSettings, DataSource, Place, Settings};
use crate::identity::KEY_FILE;
use crate::runs::{Memory, Remembered};
use crate::serve::AtRest;

#[derive(Debug, clap::Args)]
pub(super) struct ModelArgs {
    /// The run's name or id [default: the running node's first, or the only one]
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// A file that the run's spec names by its hash; may be repeated
    #[arg(long, value_name = "FILE")]
    asset: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum ModelError {
    #[error("this node takes part in no run")]
    #[diagnostic(code(shoal::model::none), help("see `shoal runs` and `shoal join`, or start with `shoal run --run SPEC.toml`"))]
    NoRun,
    #[error("this node takes part in no run of the name or id {0:?}")]
    #[diagnostic(code(shoal::model::unknown), help("`shoal status` shows the node's runs"))]
    Unknown(String),
    #[error("this node is in several runs: {0}")]
    #[diagnostic(code(shoal::model::several), help("name one with --run"))]
    Several(String),
    #[error("the run has no weights yet: the node is still joining")]
    #[diagnostic(code(shoal::model::not_ready), help("wait for its first round; `shoal status` shows it"))]
    NotReady,
    #[error("the run's task: {0}")]
    #[diagnostic(
        code(shoal::model::task),
        help("use the build that the node runs with; a file that the spec names is given with --asset")
    )]
    Task(#[from] shoal_ml::TaskError),
    #[error("the asset: {0}")]
    #[diagnostic(code(shoal::model::asset), help("name a readable file with --asset"))]
    Asset(#[from] AssetError),
    #[error("the node's weights: {0}")]
    #[diagnostic(code(shoal::model::weights), help("restart the node with the same build"))]
    Weights(#[from] safetensors::SafetensorsError),
}

/// A model with its weights.
pub(super) struct Model {
    pub(super) spec: RunSpec,
    pub(super) task: Task,
    /// The files that it was made with.
    pub(super) assets: Assets,
    /// Rounds that the weights have behind them.
    pub(super) round: u64,
    /// Peers of the run, if a running node said so.
    pub(super) peers: Option<u64>,
    pub(super) weights: Vec<f32>,
}

impl ModelArgs {
    /// The model, wherever it can be had.
    pub(super) fn load(&self) -> Result<Model, CliError> {
        let dir = self.place.data_dir()?;
        let Remembered { spec, .. } = self.choose()?;
        let task = TaskSpec::parse(spec.task()).map_err(|error| CliError::operation(ModelError::Task(error)))?;
        let mut assets = crate::assets::kept(&dir, &task.needs());
        for path in &self.asset {
            assets.add(path).map_err(|error| CliError::usage(ModelError::Asset(error)))?;
        }
        let task = task.equip(&assets).map_err(|error| CliError::operation(ModelError::Task(error)))?;
        let served = Local::find(&dir).map_or(Ok(None), |node| from_node(&node, &spec, &task))?;
        let (round, peers, weights) = match served {
            Some(served) => served,
            None => {
                let AtRest { round, weights } = AtRest::load(&dir, &spec, &task).map_err(CliError::operation)?;
                (round, None, weights)
            }
        };
        Ok(Model { spec, task, assets, round, peers, weights })
    }

    /// The data that the node trains on in this run, with what is said above it.
    pub(super) fn data(&self, spec: &RunSpec, said: &DataSettings) -> Result<DataSource, CliError> {
        let config = Config::load(&self.place, Settings::default())?;
        let own = Memory::new(config.data_dir()).data(&spec.run_id());
        let wrong = |error| CliError::usage(DataSettingError(error));
        config.data().with(&own).map_err(wrong)?.with(said).map_err(wrong)
    }

    fn choose(&self) -> Result<Remembered, CliError> {
        let dir = self.place.data_dir()?;
        if !dir.join(KEY_FILE).exists() {
            return Err(CliError::NoNode(dir));
        }
        let mut runs = Memory::new(&dir).joined();
        let wanted = match &self.run {
            Some(run) => Some(run.clone()),
            None if runs.len() > 1 => Local::find(&dir).and_then(|node| node.status().ok()).map(|status| status.run),
            None => None,
        };
        let named = |run: &Remembered, name: &str| run.spec.name() == name || run.spec.run_id().to_string() == name;
        if let Some(name) = wanted {
            let at = runs.iter().position(|run| named(run, &name));
            let unknown = || CliError::usage(ModelError::Unknown(name.chars().take(80).collect()));
            return at.map(|at| runs.swap_remove(at)).ok_or_else(unknown);
        }
        match runs.len() {
            0 => Err(CliError::operation(ModelError::NoRun)),
            1 => Ok(runs.swap_remove(0)),
            _ => {
                let names: Vec<&str> = runs.iter().map(|run| run.spec.name()).collect();
                Err(CliError::usage(ModelError::Several(plain(&names.join(", ")))))
            }
        }
    }
}

/// Settings of data that cannot be.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error(transparent)]
#[diagnostic(code(shoal::model::data), help("`shoal run --help` says what each setting takes"))]
struct DataSettingError(crate::config::DataError);

/// Rounds, peers and weights.
type Served = (u64, Option<u64>, Vec<f32>);

/// What the running node serves; `None` if none runs, or not in this run.
fn from_node(node: &Local, spec: &RunSpec, task: &Task) -> Result<Option<Served>, CliError> {
    let path = format!("/v1/models/{}/weights", spec.run_id());
    let bytes_max = 4 * task.layout().param_count() as u64 + 2 * safetensors::HEADER_BYTES_MAX as u64;
    let file = match node.file(&path, bytes_max) {
        Ok((200, file)) => file,
        Ok((503, _)) => return Err(CliError::operation(ModelError::NotReady)),
        Ok(_) | Err(CliError::NotRunning(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let imported = safetensors::import(task.layout(), &file);
    let (weights, said) = imported.map_err(|error| CliError::operation(ModelError::Weights(error)))?;
    let number = |key: &str| said.get(key).and_then(|text| text.parse().ok());
    Ok(Some((number("round").unwrap_or(0), number("peers"), weights)))
}
