//! `shoal run`: the arguments of a node that keeps going until told to stop.

use std::io::IsTerminal;
use std::path::PathBuf;

use shoal_protocol::spec::RunSpec;
use tracing_subscriber::EnvFilter;

use super::{CliError, spec};
use crate::config::{Config, Place, Settings};
use crate::identity::KEY_FILE;

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The run spec to train by [default: the network's own run, if it has one]
    #[arg(long, value_name = "SPEC.toml")]
    run: Option<PathBuf>,
    /// What to do: train, or only help others to meet and pass on for those behind routers
    #[arg(long, value_enum, default_value_t = Role::Train)]
    role: Role,
    /// Record all that this node is told and does into a new FILE, for `shoal sim replay`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    settings: Settings,
}

/// What a node is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Take part in a run.
    Train,
    /// Take part in none: answer who asks for peers, and relay.
    Relay,
}

/// Checks configuration, spec and task, then hands them to `start` with the record's name, which returns
/// when the node is told to stop. A relay has no spec.
pub(super) fn command(
    args: RunArgs,
    start: impl FnOnce(Config, Option<RunSpec>, Option<PathBuf>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let config = Config::load(&args.place, args.settings)?;
    let spec = match (args.role, &args.run) {
        (Role::Relay, _) => None,
        (Role::Train, Some(file)) => Some(spec::read(file)?.0),
        (Role::Train, None) => {
            let own = config.overlay().run().cloned();
            Some(own.ok_or_else(|| CliError::NoRun(config.network().as_str().to_owned()))?)
        }
    };
    if !config.data_dir().join(KEY_FILE).exists() {
        return Err(CliError::NoNode(config.data_dir().to_owned()));
    }
    // Only the first logger of a process counts, and a test may have set one.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(config.log()))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
    start(config, spec, args.record)
}
