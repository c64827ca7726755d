//! `shoal run --role relay`: a node that trains nothing and helps others to meet.
//!
//! It is a member of the network like any other: it answers Kademlia, tests addresses for AutoNAT, is
//! found at the rendezvous, and passes on for peers behind routers, with bounds sixteen times those of a
//! node that trains. It joins no run, so it needs no data and no driver, and keeps nothing.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::api::{Api, NodeState, NodeStatus, Roster};
use crate::cli::CliError;
use crate::config::Config;
use crate::hub::Hub;
use crate::identity::Identity;
use crate::start::StartError;
use crate::store::DirLock;
use crate::swarm::{NetworkConfig, RelayBounds};

/// Connections that others open to a relay. Each costs some 100 KiB; bounded by the file handles of an
/// ordinary system.
const CONNECTIONS_IN: u32 = 768;

/// Why a relay could not run.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("no signals: {0}")]
#[diagnostic(code(shoal::relay::system), help("check the limits on threads and open files"))]
struct SystemError(std::io::Error);

/// Relays until it is told to stop (SIGINT or SIGTERM).
///
/// # Errors
/// [`CliError`]: what could not be started.
pub fn run(config: &Config) -> Result<(), CliError> {
    crate::run::runtime()?.block_on(relay(config))
}

async fn relay(config: &Config) -> Result<(), CliError> {
    let system = |source| CliError::operation(SystemError(source));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
    // Who is refused must not touch what the running node has left there.
    let _lock = DirLock::take(config.data_dir()).map_err(|error| CliError::operation(StartError::Store(error)))?;
    let identity = Identity::load_or_create_with_work(config.data_dir(), config.overlay().identity_bits())?;
    let hub = Hub::new(network_config(config), identity.keypair());
    let (hub, handle) = hub.map_err(|error| CliError::operation(StartError::Network(error)))?;
    tokio::spawn(hub.run());
    let node = NodeStatus {
        network: config.network().as_str().to_owned(),
        node: identity.node_id().to_string(),
        name: "no run".to_owned(),
        state: NodeState::Relaying,
        ..NodeStatus::default()
    };
    let (_roster, news) = watch::channel(Roster { node, hub: Some(handle), ..Roster::default() });
    let api = Api::bind(config.api(), config.data_dir()).await?;
    tracing::info!(address = %api.address(), "the local API listens");
    // A relay takes no orders: whoever gives one is told that nobody does.
    let (orders, _) = mpsc::channel(1);
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    Ok(api.serve(news, orders, stop).await?)
}

fn network_config(config: &Config) -> NetworkConfig {
    let mut network = config.network_config();
    network.relay = Some(RelayBounds::dedicated());
    network.connections.established_in = network.connections.established_in.max(CONNECTIONS_IN);
    network.connections.total = network.connections.established_in + network.connections.established_out;
    network
}
