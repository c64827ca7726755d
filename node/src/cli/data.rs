//! `shoal data check PATH`: what is in data, before anybody trains on it. Sends nothing.

use std::path::PathBuf;

use shoal_ml::data::check;
use shoal_ml::{Source, Task};

use super::print::line;
use super::{CliError, spec};
use crate::assets;
use crate::config::{DataSource, Place};

#[derive(Debug, clap::Args)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    verb: DataVerb,
}

#[derive(Debug, clap::Subcommand)]
enum DataVerb {
    /// Look at data: its shape, its classes, samples, and what may go wrong
    Check(Box<CheckArgs>),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The data: a file or a folder, FORMAT:PATH, digits or hamlet
    #[arg(value_name = "SOURCE")]
    source: String,
    /// A run's spec that it must fit
    #[arg(long, value_name = "SPEC.toml")]
    run: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Why nothing can be said of it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum CheckFailed {
    #[error(transparent)]
    #[diagnostic(code(shoal::data::source), help("name it as {}", DataSource::EXPECTED))]
    Source(shoal_ml::DataError),
    #[error("{0}")]
    #[diagnostic(code(shoal::data::check), help("docs/DATA.md says what each format looks like"))]
    Data(#[from] shoal_ml::DataError),
}

pub(super) fn command(args: &DataArgs) -> Result<(), CliError> {
    let DataVerb::Check(args) = &args.verb;
    let source: Source = args.source.parse().map_err(|error| CliError::usage(CheckFailed::Source(error)))?;
    let task: Option<Task> = match &args.run {
        None => None,
        Some(path) => {
            let (spec, _) = spec::read(path)?;
            // A spec that names files can be held against data only where they are.
            let dir = args.place.data_dir()?;
            Some(assets::task(&dir, &spec).map_err(|source| CliError::Task { path: path.clone(), source })?)
        }
    };
    let report = check(&source, task.as_ref()).map_err(|error| CliError::operation(CheckFailed::Data(error)))?;
    Ok(line(report.to_string().trim_end())?)
}
