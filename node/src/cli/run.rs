//! `shoal run`: the arguments of a node that keeps going until told to stop.

use std::io::IsTerminal;
use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::{CliError, spec};
use crate::config::{Config, Place, Settings};
use crate::identity::KEY_FILE;
use crate::run::{RunOrder, Wanted};

/// What libp2p says of every failed test of an address and every empty table is no news to a person; a
/// `log` setting that names a target beats this.
const QUIET: &str = "libp2p_autonat=error,libp2p_kad=error,libp2p_swarm=warn";

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// A run spec to train by; may be repeated [default: the runs that this node was in before, or the
    /// network's own]
    #[arg(long, value_name = "SPEC.toml")]
    run: Vec<PathBuf>,
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
    /// Take part in runs.
    Train,
    /// Take part in none: answer who asks for peers, and relay.
    Relay,
}

/// A record is of one run's life.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("a record is of one run, and --record was given with {0}")]
#[diagnostic(code(shoal::run::record), help("name exactly one run with --run to record it"))]
struct RecordOfMany(usize);

/// A relay is in no run.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("a relay takes part in no run, and one was named")]
#[diagnostic(code(shoal::run::relay), help("leave out --run and --record, or --role relay"))]
struct RunOfRelay;

/// Checks configuration, specs and tasks, then hands them to `start`, which returns when the node is told
/// to stop.
pub(super) fn command(args: RunArgs, start: impl FnOnce(&Config, RunOrder) -> Result<(), CliError>) -> Result<(), CliError> {
    let relay = args.role == Role::Relay;
    if relay && !(args.run.is_empty() && args.record.is_none()) {
        return Err(CliError::usage(RunOfRelay));
    }
    let data = args.settings.data_settings();
    let config = Config::load(&args.place, args.settings)?;
    let mut wanted: Vec<Wanted> = Vec::with_capacity(args.run.len());
    for path in &args.run {
        let (spec, text) = spec::read(path)?;
        // The same run twice is that run.
        if wanted.iter().all(|other| other.spec.run_id() != spec.run_id()) {
            wanted.push(Wanted { spec, text });
        }
    }
    if args.record.is_some() && wanted.len() != 1 {
        return Err(CliError::usage(RecordOfMany(wanted.len())));
    }
    foreground(&config, RunOrder { wanted, data, record: args.record, relay }, start)
}

/// What every verb does that becomes a node: there must be one in the data directory, and it logs.
pub(super) fn foreground(
    config: &Config,
    order: RunOrder,
    start: impl FnOnce(&Config, RunOrder) -> Result<(), CliError>,
) -> Result<(), CliError> {
    if !config.data_dir().join(KEY_FILE).exists() {
        return Err(CliError::NoNode(config.data_dir().to_owned()));
    }
    // Only the first logger of a process counts, and a test may have set one.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("{QUIET},{}", config.log())))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
    start(config, order)
}
