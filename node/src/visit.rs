//! A short visit to the network: a node that takes part in nothing, asks, and goes.
//!
//! For verbs that need an answer where no node is running. It keeps the data directory's lock meanwhile,
//! so that a node that starts at the same moment is told so, and calls the peers that its runs remember.

use std::time::Duration;

use libp2p::Multiaddr;
use shoal_protocol::id::RunId;

use crate::api::ListedRun;
use crate::catalogue::{self, Entry};
use crate::cli::CliError;
use crate::config::Config;
use crate::hub::{Hub, HubHandle};
use crate::identity::{Identity, KEY_FILE};
use crate::run::orders::{FETCH_WITHIN, listed_runs};
use crate::runs::Memory;
use crate::start::StartError;
use crate::store::{DirLock, Store};
use crate::swarm::NetworkConfig;

/// Remembered peers that are called.
const CALLED_MAX: usize = 64;

/// The runs that the network offers, as reported.
///
/// # Errors
/// [`CliError`]: the data directory is in use, or no socket can be had.
pub fn list(config: &Config, within: Duration) -> Result<Vec<ListedRun>, CliError> {
    visit(config, async |hub, me| {
        let reports = catalogue::look_around(&hub, within).await.map_err(|error| CliError::operation(error_of(error)))?;
        Ok(listed_runs(reports, (me, Vec::<Entry>::new())))
    })
}

/// The spec of a run, from whoever has it.
///
/// # Errors
/// As [`list`], or nobody has it.
pub fn fetch(config: &Config, run: RunId) -> Result<String, CliError> {
    visit(config, async |hub, _| {
        let fetched = catalogue::fetch(&hub, run, FETCH_WITHIN).await;
        fetched.map(|(_, text)| text).map_err(CliError::operation)
    })
}

fn error_of(error: crate::hub::HubGone) -> catalogue::FetchError {
    catalogue::FetchError::Gone(error)
}

fn visit<T>(
    config: &Config,
    ask: impl AsyncFnOnce(HubHandle, shoal_protocol::id::NodeId) -> Result<T, CliError>,
) -> Result<T, CliError> {
    if !config.data_dir().join(KEY_FILE).exists() {
        return Err(CliError::NoNode(config.data_dir().to_owned()));
    }
    let _lock = DirLock::take(config.data_dir()).map_err(|error| CliError::operation(StartError::Store(error)))?;
    let identity = Identity::load_or_create_with_work(config.data_dir(), config.overlay().identity_bits())?;
    // Nobody comes here to find us: a visitor keeps no records for others.
    let network = NetworkConfig { server: false, ..config.network_config() };
    let runtime = crate::run::runtime()?;
    let visited = runtime.block_on(async {
        let me = identity.node_id();
        let start = |error| CliError::operation(StartError::Network(error));
        let (mut hub, handle) = Hub::new(network, identity.keypair()).map_err(start)?;
        hub.call(remembered(config), Vec::new());
        tokio::spawn(hub.run());
        ask(handle, me).await
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    visited
}

/// Where peers of this node's runs were before.
fn remembered(config: &Config) -> Vec<Multiaddr> {
    let memory = Memory::new(config.data_dir());
    let peers = memory.joined().into_iter().filter_map(|run| {
        // One that cannot be opened is the business of whoever runs it.
        let store = Store::open(&memory.run_dir(&run.spec.run_id())).ok()?;
        Some(store.remembered_peers())
    });
    peers.flatten().flat_map(|peer| peer.named_addresses()).take(CALLED_MAX).collect()
}
