//! `shoal run --role relay`: a node that trains nothing and helps others to meet.
//!
//! It is a member of the network like any other: it answers Kademlia, tests addresses for AutoNAT, is
//! found at the rendezvous, and passes on for peers behind routers, with bounds sixteen times those of a
//! node that trains. It joins no run, so it needs no store, no data and no driver, and keeps nothing.

use std::time::{Duration, Instant};

use shoal_protocol::id::RunId;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::api::{Api, NodeState, NodeStatus, PeerStatus, PlaceStatus, Snapshot};
use crate::cli::CliError;
use crate::config::Config;
use crate::identity::Identity;
use crate::start::StartError;
use crate::swarm::{Network, NetworkConfig, NetworkEvent, PeerInfo, RelayBounds};

/// How often the status that others may ask for is renewed.
const STATUS_EVERY: Duration = Duration::from_millis(500);
/// Connections that others open to a relay. Each costs some 100 KiB; bounded by the file handles of an
/// ordinary system.
const CONNECTIONS_IN: u32 = 768;

/// Why a relay could not run.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{what}: {source}")]
#[diagnostic(code(shoal::relay::system), help("check the limits on threads and open files"))]
struct SystemError {
    what: &'static str,
    source: std::io::Error,
}

/// Relays until it is told to stop (SIGINT or SIGTERM).
///
/// # Errors
/// [`CliError`]: what could not be started.
pub fn run(config: &Config) -> Result<(), CliError> {
    let system = |what| move |source| CliError::operation(SystemError { what, source });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(system("no runtime"))?;
    runtime.block_on(relay(config))
}

async fn relay(config: &Config) -> Result<(), CliError> {
    let system = |source| CliError::operation(SystemError { what: "no signals", source });
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
    let identity = Identity::load_or_create_with_work(config.data_dir(), config.overlay().identity_bits())?;
    let network = Network::new(network_config(config), identity.keypair());
    let mut network = network.map_err(|error| CliError::operation(StartError::Network(error)))?;
    let (status, news) = watch::channel(Snapshot::default());
    let api = Api::bind(config.api(), config.data_dir()).await?;
    let (stop, mut stopped) = watch::channel(false);
    let served = tokio::spawn(api.serve(news, async move {
        // An error means that the sender is gone, which is a stop too.
        let _ = stopped.wait_for(|stop| *stop).await;
    }));
    let started = Instant::now();
    let mut renew = tokio::time::interval(STATUS_EVERY);
    loop {
        tokio::select! {
            event = network.next_event() => if let NetworkEvent::Listening { address } = event {
                tracing::info!(%address, "listening");
            },
            _ = renew.tick() => drop(status.send_replace(snapshot(&network, config, started))),
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    stop.send_replace(true);
    // It ends by itself; how is of no interest any more.
    let _ = served.await;
    Ok(())
}

fn network_config(config: &Config) -> NetworkConfig {
    // A topic that nobody else has: a relay is in no run.
    let mut network = config.network_config(RunId([0; 32]));
    network.relay = Some(RelayBounds::dedicated());
    network.connections.established_in = network.connections.established_in.max(CONNECTIONS_IN);
    network.connections.total = network.connections.established_in + network.connections.established_out;
    network
}

fn snapshot(network: &Network, config: &Config, started: Instant) -> Snapshot {
    let connected = network.peers();
    let (sent_bytes, received_bytes) = network.byte_counts();
    let PlaceStatus { reach, addresses, ways } = PlaceStatus::of(network);
    let status = NodeStatus {
        network: config.network().as_str().to_owned(),
        node: network.node_id().map(|node| node.to_string()).unwrap_or_default(),
        name: "no run".to_owned(),
        state: NodeState::Relaying,
        sent_bytes,
        received_bytes,
        uptime_s: started.elapsed().as_secs(),
        listen: network.listen_addresses().iter().map(ToString::to_string).collect(),
        connected: u32::try_from(connected.len()).unwrap_or(u32::MAX),
        reach,
        addresses,
        ways,
        ..NodeStatus::default()
    };
    Snapshot { status, peers: connected.iter().map(peer).collect() }
}

fn peer(info: &PeerInfo) -> PeerStatus {
    PeerStatus {
        node: info.node.to_string(),
        address: Some(info.address.to_string()),
        way: Some(if info.relayed { "relayed" } else { "direct" }.to_owned()),
        transport: Some(info.transport.to_string()),
        rtt_ms: info.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0),
        standing: 1.0,
        ..PeerStatus::default()
    }
}
