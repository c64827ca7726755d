//! `shoal join`: takes part in a run by its id or its spec's file, or in the run of a network by the
//! network's name or file.
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
use crate::networks::Network;
use crate::run::orders::run_id;
use crate::run::{RunOrder, Wanted};
use crate::visit;

#[derive(Debug, clap::Args)]
pub(super) struct JoinArgs {
    /// A run's id (64 hexadecimal digits), the file of its spec, or a network that has a run of its own
    #[arg(value_name = "RUN|NETWORK")]
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
    /// The run of a network, which may be another than the node's.
    Network(Box<Network>, Box<Wanted>),
}

/// Why what was named cannot be joined.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum JoinError {
    #[error("{0:?} is neither the id of a run, nor the file of a spec, nor a network with a run of its own")]
    #[diagnostic(code(shoal::join::target), help("an id has 64 hexadecimal digits; `shoal runs` lists those of the network"))]
    NoTarget(String),
    #[error("the running node belongs to the network {running}, not to {wanted}")]
    #[diagnostic(
        code(shoal::join::network),
        help("stop it first, or name another place with --data-dir: a node is in one network")
    )]
    OtherNetwork { running: String, wanted: String },
}

impl Target {
    /// Reads what was named; a file of that name comes before anything else.
    fn read(text: &str) -> Result<Self, CliError> {
        let path = Path::new(text);
        if path.is_file() {
            return match (spec::read(path), Self::network(text)) {
                (Ok((spec, text)), _) => Ok(Self::Spec(Box::new(Wanted { spec, text }))),
                (Err(_), Some(network)) => Ok(network),
                (Err(error), None) => Err(error),
            };
        }
        let named = run_id(text).map(Self::Id).or_else(|| Self::network(text));
        named.ok_or_else(|| CliError::usage(JoinError::NoTarget(text.chars().take(80).collect())))
    }

    /// The run of this network, if it has one.
    fn network(text: &str) -> Option<Self> {
        let network = Network::load(text).ok()?;
        let spec = network.run()?.clone();
        let wanted = Wanted { text: spec.to_toml(), spec };
        Some(Self::Network(Box::new(network), Box::new(wanted)))
    }
}

pub(super) fn command(mut args: JoinArgs, start: impl FnOnce(&Config, RunOrder) -> Result<(), CliError>) -> Result<(), CliError> {
    let target = Target::read(&args.target)?;
    if matches!(target, Target::Network(..)) {
        args.settings.network = Some(args.target.clone());
    }
    let data = args.settings.data_settings();
    let config = Config::load(&args.place, args.settings)?;
    if let Some(node) = Local::find(config.data_dir()) {
        let mut order = JoinOrder { take_part: true, data: data.clone(), ..JoinOrder::default() };
        match &target {
            Target::Id(run) => order.run = Some(run.to_string()),
            Target::Spec(wanted) => order.spec = Some(wanted.text.clone()),
            Target::Network(network, wanted) => {
                same_network(&node, network.name().as_str())?;
                order.spec = Some(wanted.text.clone());
            }
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
        Target::Network(_, wanted) => *wanted,
        Target::Id(run) => {
            let text = visit::fetch(&config, run)?;
            let spec = RunSpec::parse(&text).map_err(|source| CliError::Spec { path: run.to_string().into(), source })?;
            Wanted { spec, text }
        }
    };
    run::foreground(&config, RunOrder { wanted: vec![wanted], data, record: None }, start)
}

/// Whether the node that runs is in this network; one that does not run is nobody's.
fn same_network(node: &Local, wanted: &str) -> Result<(), CliError> {
    match node.status() {
        Ok(status) if status.network != wanted => {
            let wanted = wanted.to_owned();
            Err(CliError::usage(JoinError::OtherNetwork { running: status.network, wanted }))
        }
        Ok(_) | Err(CliError::NotRunning(_)) => Ok(()),
        Err(error) => Err(error),
    }
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
        assert!(matches!(Target::read("testnet"), Ok(Target::Network(network, _)) if network.name().as_str() == "testnet"));
        for text in ["", "ab", &"ab".repeat(33), "/absent/spec.toml", "nowhere"] {
            assert!(matches!(Target::read(text), Err(CliError::Usage(_))), "{text}");
        }
    }
}
