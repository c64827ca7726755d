//! `shoal join`: takes part in a run by its id or its spec's file, in the run of a network by the
//! network's name or file, or in what a ticket leads to.
//!
//! A data directory without a node gets one: joining is the first thing that most people do. A node that runs in the data directory is told to join. Otherwise this process becomes the node, as
//! `shoal run` does, and joins in the foreground. Either way the run is remembered.

use std::path::Path;
use std::time::SystemTime;

use shoal_protocol::id::RunId;
use shoal_protocol::spec::RunSpec;

use super::local::Local;
use super::print::{self, line};
use super::{CliError, run, spec};
use crate::api::{JoinOrder, JoinedRun, RUNS_PATH};
use crate::config::{Config, ConfigError, DataSettings, Place, Settings};
use crate::identity::Identity;
use crate::networks::{NETWORK_FILE, Network};
use crate::run::{RunOrder, Wanted};
use crate::ticket::{Ticket, TicketError};
use crate::visit;

#[derive(Debug, clap::Args)]
pub(super) struct JoinArgs {
    /// A ticket, a run's id (64 hexadecimal digits), the file of its spec, or a network that has a run of its own
    #[arg(value_name = "TICKET|RUN|NETWORK")]
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
    /// What a ticket leads to.
    Ticket(Box<Ticket>),
}

/// Why what was named cannot be joined.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum JoinError {
    #[error("{0:?} is neither the id of a run, nor the file of a spec, nor a network with a run of its own")]
    #[diagnostic(code(shoal::join::target), help("an id has 64 hexadecimal digits; `shoal runs` lists those of the network"))]
    NoTarget(String),
    #[error(transparent)]
    #[diagnostic(code(shoal::join::ticket), help("a ticket is printed by `shoal invite` on a node of the network"))]
    Ticket(#[from] TicketError),
    #[error("the ticket names no run, and the network {0:?} has none of its own")]
    #[diagnostic(code(shoal::join::no_run), help("`shoal runs` lists what the network offers; join one by its id"))]
    NoRun(String),
    #[error("the node in {dir} belongs to the network {has}, not to {wanted}")]
    #[diagnostic(code(shoal::join::belongs), help("name another place with --data-dir: a node is in one network"))]
    Belongs { dir: String, has: String, wanted: String },
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
        if let Some(ticket) = ticket(text)? {
            return Ok(Self::Ticket(Box::new(ticket)));
        }
        let named = text.parse().ok().map(Self::Id).or_else(|| Self::network(text));
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

pub(super) fn command(args: JoinArgs, start: impl FnOnce(&Config, RunOrder) -> Result<(), CliError>) -> Result<(), CliError> {
    let target = Target::read(&args.target)?;
    let data = args.settings.data_settings();
    let config = config(&target, &args)?;
    if let Some(node) = Local::find(config.data_dir()) {
        for file in config.assets() {
            crate::assets::keep(config.data_dir(), file).map_err(CliError::operation)?;
        }
        match node.post::<JoinedRun>(RUNS_PATH, &order(&target, &node, &config, data.clone())?) {
            Err(CliError::NotRunning(_)) => {}
            answered => {
                let joined = answered?;
                let rows = [("run", joined.name), ("id", joined.run), ("takes part", "now, in the running node".to_owned())];
                return Ok(line(&print::named(&rows))?);
            }
        }
    }
    Identity::load_or_create_with_work(config.data_dir(), config.overlay().identity_bits())?;
    if matches!(target, Target::Network(..) | Target::Ticket(_)) {
        let failed = |source| CliError::Unwritable { path: config.data_dir().join(NETWORK_FILE), source };
        config.overlay().note(config.data_dir()).map_err(failed)?;
    }
    let wanted = match target {
        Target::Spec(wanted) | Target::Network(_, wanted) => *wanted,
        Target::Id(run) => fetch(&config, run)?,
        Target::Ticket(ticket) => match (ticket.run(), config.overlay().run()) {
            (Some(run), Some(own)) if own.run_id() == run => Wanted { text: own.to_toml(), spec: own.clone() },
            (Some(run), _) => fetch(&config, run)?,
            (None, Some(own)) => Wanted { text: own.to_toml(), spec: own.clone() },
            (None, None) => return Err(no_run(&config)),
        },
    };
    run::foreground(&config, RunOrder { wanted: vec![wanted], data, record: None, relay: false }, start)
}

/// The node's configuration, in the network that was named, if one was.
fn config(target: &Target, args: &JoinArgs) -> Result<Config, CliError> {
    let mut settings = args.settings.clone();
    let wanted = match target {
        Target::Network(network, _) => (**network).clone(),
        Target::Ticket(ticket) => ticket.network(),
        Target::Id(_) | Target::Spec(_) => return Ok(Config::load(&args.place, settings)?),
    };
    let dir = args.place.data_dir()?;
    let noted = dir.join(NETWORK_FILE);
    let has = match noted.exists() {
        true => Some(Network::load(&noted.display().to_string()).map_err(ConfigError::from)?),
        false => None,
    };
    if let Some(has) = has.filter(|has| *has != wanted) {
        let (has, wanted) = (has.name().as_str().to_owned(), wanted.name().as_str().to_owned());
        return Err(CliError::usage(JoinError::Belongs { dir: dir.display().to_string(), has, wanted }));
    }
    let ticket = match target {
        Target::Ticket(ticket) => ticket.addresses(),
        _ => &[],
    };
    settings.network = None;
    Ok(Config::load(&args.place, settings)?.with_network(wanted).with_ticket(ticket))
}

/// What the running node is told.
fn order(target: &Target, node: &Local, config: &Config, data: DataSettings) -> Result<JoinOrder, CliError> {
    let mut order = JoinOrder { take_part: true, data, ..JoinOrder::default() };
    match target {
        Target::Id(run) => order.run = Some(run.to_string()),
        Target::Spec(wanted) => order.spec = Some(wanted.text.clone()),
        Target::Network(network, wanted) => {
            same_network(node, network.name().as_str())?;
            order.spec = Some(wanted.text.clone());
        }
        Target::Ticket(ticket) => {
            same_network(node, config.network().as_str())?;
            order.addresses = ticket.addresses().iter().map(ToString::to_string).collect();
            match (ticket.run(), config.overlay().run()) {
                (Some(run), _) => order.run = Some(run.to_string()),
                (None, Some(own)) => order.spec = Some(own.to_toml()),
                (None, None) => return Err(no_run(config)),
            }
        }
    }
    Ok(order)
}

fn fetch(config: &Config, run: RunId) -> Result<Wanted, CliError> {
    let text = visit::fetch(config, run)?;
    let spec = RunSpec::parse(&text).map_err(|source| CliError::Spec { path: run.to_string().into(), source })?;
    Ok(Wanted { spec, text })
}

fn no_run(config: &Config) -> CliError {
    CliError::usage(JoinError::NoRun(config.network().as_str().to_owned()))
}

/// What was named as a ticket, if it looks like one.
fn ticket(text: &str) -> Result<Option<Ticket>, CliError> {
    match Ticket::parse(text, SystemTime::now()) {
        Ok(ticket) => Ok(Some(ticket)),
        Err(TicketError::NotATicket) => Ok(None),
        Err(error) => Err(CliError::usage(JoinError::Ticket(error))),
    }
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
        let cut = Target::read("shoal1qxssq0xjf94sqqqqq");
        assert!(matches!(cut, Err(CliError::Usage(error)) if error.to_string().contains("cut")));
        for text in ["", "ab", &"ab".repeat(33), "/absent/spec.toml", "nowhere"] {
            assert!(matches!(Target::read(text), Err(CliError::Usage(_))), "{text}");
        }
    }
}
