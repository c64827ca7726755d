//! `shoal run`: one node that goes on until it is told to stop.
//!
//! Starts the hub, the API and the runs, carries out what it is told through the API, and ends. The
//! first SIGINT or SIGTERM ends the step under way, saves, leaves; the second ends the process.
//!
//! A relay (`--role relay`) is a node that trains nothing and helps others to meet: it answers Kademlia,
//! tests addresses for AutoNAT, is found at the rendezvous, and passes on for peers behind routers. It is
//! in no run, takes no orders and keeps nothing.

pub(crate) mod orders;

use std::path::PathBuf;
use std::time::Duration;

use shoal_protocol::spec::RunSpec;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::api::{Api, NodeState, NodeStatus, Order, Roster};
use crate::cli::CliError;
use crate::config::{Config, DataSettings};
use crate::hub::{Hub, HubHandle};
use crate::identity::Identity;
use crate::runs::{Ended, Remembered, Runs};
use crate::start::StartError;
use crate::store::DirLock;
use crate::swarm::{NetworkConfig, RelayBounds};

/// Orders that wait: a person gives one at a time.
const ORDERS_MAX: usize = 8;
/// Connections that others open to a relay. Each costs some 200 KiB; bounded by the file handles of an
/// ordinary system.
const RELAY_CONNECTIONS_IN: u32 = 768;

/// Why a node could not run.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum RunError {
    #[error("{what}: {source}")]
    #[diagnostic(code(shoal::run::system), help("check the limits on threads and open files"))]
    System { what: &'static str, source: std::io::Error },
    #[error("this node has no run to take part in")]
    #[diagnostic(
        code(shoal::run::none),
        help("name a spec with `shoal run --run SPEC.toml`, or see `shoal runs` and `shoal join`")
    )]
    NoRun,
}

/// A run to take part in from the start.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its spec.
    pub spec: RunSpec,
    /// The spec's text.
    pub text: String,
}

/// What a node is started with beside its configuration.
#[derive(Clone, Debug, Default)]
pub struct RunOrder {
    /// Runs to take part in; with none, those it was in before.
    pub wanted: Vec<Wanted>,
    /// What is said of their data, above all else.
    pub data: DataSettings,
    /// Where the first run's life is recorded, if it is.
    pub record: Option<PathBuf>,
    /// Train nothing: relay.
    pub relay: bool,
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// [`CliError`]: what could not be started, or [`CliError::Interrupted`] after a second signal.
pub fn run(config: &Config, order: RunOrder) -> Result<(), CliError> {
    let runtime = runtime()?;
    let ended = runtime.block_on(run_node(config, order));
    // After a second signal nothing is waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

/// The threads that one node's IO needs.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| CliError::operation(RunError::System { what: "no runtime", source }))
}

async fn run_node(config: &Config, order: RunOrder) -> Result<(), CliError> {
    let mut signals = Signals::new()?;
    // Before anything else: who is refused must not touch what the running node has left there.
    let _lock = DirLock::take(config.data_dir()).map_err(|error| CliError::operation(StartError::Store(error)))?;
    let identity = Identity::load_or_create_with_work(config.data_dir(), config.overlay().identity_bits())?;
    let node = identity.node_id();
    let start = |error| CliError::operation(StartError::Network(error));
    let network = if order.relay { relay_config(config) } else { config.network_config() };
    let (hub, handle) = Hub::new(network, identity.keypair()).map_err(start)?;
    tokio::spawn(hub.run());

    let (stop, stopped) = watch::channel(false);
    let (state, name) = if order.relay { (NodeState::Relaying, "no run") } else { (NodeState::Idle, "") };
    let (network, node, name) = (config.network().as_str().to_owned(), node.to_string(), name.to_owned());
    let status = NodeStatus { network, node, name, state, ..NodeStatus::default() };
    let (roster, news) = watch::channel(Roster { node: status, hub: Some(handle.clone()), ..Roster::default() });
    let mut runs = Runs::new(config.clone(), identity, handle.clone(), stopped.clone(), roster);
    let relay = order.relay;
    if !relay {
        for file in config.assets() {
            crate::assets::keep(config.data_dir(), file).map_err(CliError::operation)?;
        }
        begin(config, &mut runs, order).await?;
    }

    let api = Api::bind(config.api(), config.data_dir()).await?;
    tracing::info!(address = %api.address(), "the local API listens");
    let (orders, mut given) = mpsc::channel(ORDERS_MAX);
    if relay {
        // Whoever gives an order is told that nobody takes it.
        given.close();
    }
    let (mut until, again) = (stopped, orders.clone());
    tokio::spawn(api.serve(news, orders, async move {
        // An error means that the sender is gone, which is a stop too.
        let _ = until.wait_for(|stop| *stop).await;
    }));
    live(&mut runs, &handle, (again, given), &stop, &mut signals).await
}

/// The network as a relay wants it: bounds sixteen times those of a node that trains.
fn relay_config(config: &Config) -> NetworkConfig {
    let mut network = config.network_config();
    network.relay = Some(RelayBounds::dedicated());
    network.connections.established_in = network.connections.established_in.max(RELAY_CONNECTIONS_IN);
    network.connections.total = network.connections.established_in + network.connections.established_out;
    network
}

/// Takes part in what was asked for, or in what it was in before, or in the network's own run.
async fn begin(config: &Config, runs: &mut Runs, order: RunOrder) -> Result<(), CliError> {
    runs.offer_remembered().await.map_err(CliError::operation)?;
    let RunOrder { mut wanted, data, mut record, .. } = order;
    if wanted.is_empty() && runs.remembered().is_empty() {
        wanted.extend(config.overlay().run().map(|spec| Wanted { spec: spec.clone(), text: spec.to_toml() }));
    }
    if !wanted.is_empty() {
        for Wanted { spec, text } in wanted {
            runs.join(spec, &text, &data, record.take()).await.map_err(CliError::operation)?;
        }
        return Ok(());
    }
    let mut failed = None;
    for Remembered { spec, text, .. } in runs.remembered() {
        let name = spec.name().to_owned();
        if let Err(error) = runs.join(spec, &text, &data, record.take()).await {
            tracing::warn!(run = %name, "not taken up again: {error}");
            failed = Some(error);
        }
    }
    // One run that cannot go on is no reason to give up the others.
    match failed {
        Some(error) if runs.is_empty() => Err(CliError::operation(error)),
        None if runs.is_empty() => Err(CliError::usage(RunError::NoRun)),
        _ => Ok(()),
    }
}

/// Goes on until all runs have ended, or the node is told to stop and has saved them.
async fn live(
    runs: &mut Runs,
    hub: &HubHandle,
    (again, mut given): (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    stop: &watch::Sender<bool>,
    signals: &mut Signals,
) -> Result<(), CliError> {
    let mut failure = None;
    loop {
        tokio::select! {
            ended = runs.ended() => {
                let left = ended.left;
                failure = failure.or(failed(ended));
                if left == 0 {
                    return failure.map_or(Ok(()), Err);
                }
            }
            Some(order) = given.recv() => orders::carry_out(runs, hub, &again, order).await,
            () = signals.next() => {
                if stop.send_replace(true) {
                    return Err(CliError::Interrupted);
                }
                tracing::info!("finishing, saving, leaving; a second signal stops at once");
                if runs.is_idle() {
                    return Ok(());
                }
            }
        }
    }
}

/// Says why a run ended, if it was not told to.
fn failed(ended: Ended) -> Option<CliError> {
    let error = match (ended.error, ended.panic) {
        (Some(error), _) => CliError::operation(error),
        (None, Some(panic)) => {
            CliError::operation(RunError::System { what: "the node failed", source: std::io::Error::other(panic) })
        }
        (None, None) => return None,
    };
    tracing::error!(run = ended.run.map(|run| run.short()), left = ended.left, "a run has ended: {error}");
    Some(error)
}

/// SIGINT and SIGTERM, either of which asks the node to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, CliError> {
        let system = |source| CliError::operation(RunError::System { what: "no signals", source });
        let interrupt = signal(SignalKind::interrupt()).map_err(system)?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate()).map_err(system)? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
