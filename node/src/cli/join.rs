//! `shoal join`: takes part in a run by its id, its spec's file, or the name of a network.
//!
//! A node that runs in the data directory is told to join. Otherwise this process becomes the node, as
//! `shoal run` does, and joins in the foreground. Either way the run is remembered.

use std::path::Path;

use shoal_protocol::id::RunId;
use shoal_protocol::spec::RunSpec;

use super::local::Local;
use super::print::{self, line};
use super::{CliError, run, spec};
use crate::api::{JoinOrder, JoinedRun, RUNS_PATH};
use crate::config::{Config, Place, Settings};
use crate::run::orders::run_id;
use crate::run::{RunOrder, Wanted};
use crate::visit;

#[derive(Debug, clap::Args)]
pub(super) struct JoinArgs {
    /// A run's id (64 hexadecimal digits) or the file of its spec
    #[arg(value_name = "RUN")]
    target: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    settings: Settings,
}

/// What a person named.
#[derive(Debug)]
enum Target {
    /// A run of which only the id is known.
    Id(RunId),
    /// A run whose spec is at hand.
    Spec(Box<Wanted>),
}

/// What was named is nothing that can be joined.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{0:?} is neither the id of a run nor the file of a spec")]
#[diagnostic(code(shoal::join::target), help("an id has 64 hexadecimal digits; `shoal runs` lists those of the network"))]
struct NoTarget(String);

impl Target {
    /// Reads what was named; a file of that name comes before anything else.
    fn read(text: &str) -> Result<Self, CliError> {
        let path = Path::new(text);
        if path.is_file() {
            let (spec, text) = spec::read(path)?;
            return Ok(Self::Spec(Box::new(Wanted { spec, text })));
        }
        match run_id(text) {
            Some(run) => Ok(Self::Id(run)),
            None => Err(CliError::usage(NoTarget(text.chars().take(80).collect()))),
        }
    }
}

pub(super) fn command(args: JoinArgs, start: impl FnOnce(&Config, RunOrder) -> Result<(), CliError>) -> Result<(), CliError> {
    let target = Target::read(&args.target)?;
    let data = args.settings.data_settings();
    let config = Config::load(&args.place, args.settings)?;
    if let Some(node) = Local::find(config.data_dir()) {
        let mut order = JoinOrder { take_part: true, data: data.clone(), ..JoinOrder::default() };
        match &target {
            Target::Id(run) => order.run = Some(run.to_string()),
            Target::Spec(wanted) => order.spec = Some(wanted.text.clone()),
        }
        match node.post::<JoinedRun>(RUNS_PATH, &order) {
            Err(CliError::NotRunning(_)) => {}
            answered => {
                let joined = answered?;
                let rows = [("run", joined.name), ("id", joined.run), ("takes part", "now, in the running node".to_owned())];
                return Ok(line(&print::named(&rows))?);
            }
        }
    }
    let wanted = match target {
        Target::Spec(wanted) => *wanted,
        Target::Id(run) => {
            let text = visit::fetch(&config, run)?;
            let spec = RunSpec::parse(&text).map_err(|source| CliError::Spec { path: run.to_string().into(), source })?;
            Wanted { spec, text }
        }
    };
    run::foreground(&config, RunOrder { wanted: vec![wanted], data, record: None }, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_an_id_or_neither() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("spec.toml");
        std::fs::write(&file, super::super::EXAMPLE_SPEC).unwrap();
        assert!(matches!(Target::read(file.to_str().unwrap()), Ok(Target::Spec(wanted)) if wanted.spec.name() == "digits"));
        assert!(matches!(Target::read(&"ab".repeat(32)), Ok(Target::Id(RunId(id))) if id == [0xab; 32]));
        for text in ["", "ab", &"ab".repeat(33), "/absent/spec.toml", "nowhere"] {
            assert!(matches!(Target::read(text), Err(CliError::Usage(_))), "{text}");
        }
    }
}
