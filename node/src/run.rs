//! `shoal run`: one node that goes on until it is told to stop.
//!
//! The first SIGINT or SIGTERM ends the step under way, saves, leaves; the second ends the process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use shoal_ml::data::digits;
use shoal_ml::{Dataset, Device};
use shoal_protocol::spec::RunSpec;
use shoal_protocol::time::Span;
use shoal_protocol::wire::INLINE_BYTES_MAX;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::api::{Api, Snapshot};
use crate::cli::CliError;
use crate::config::{Config, DataSource};
use crate::identity::Identity;
use crate::start::{NodePlan, start};

/// How long a node looks around before it starts alone. Guess: bootstrap, a Kademlia query and the
/// gossip subscription take under a second on loopback and a few over the internet.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// The same for a node that was told to wait for peers.
const WAIT_FOR_PEERS: Duration = Duration::from_secs(120);
/// Rounds between two looks at the test set.
const EVALUATE_EVERY: u64 = 1;

/// Why a node could not run.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum RunError {
    #[error("the data: {0}")]
    #[diagnostic(code(shoal::run::data), help("choose another `shard` or `partition`; `digits` alone takes all of it"))]
    Data(String),
    #[error("{what}: {source}")]
    #[diagnostic(code(shoal::run::system), help("check the limits on threads and open files"))]
    System { what: &'static str, source: std::io::Error },
}

/// Runs a node until it is told to stop, and records its life into `record` if that names a file.
///
/// # Errors
/// [`CliError`]: what could not be started, or [`CliError::Interrupted`] after a second signal.
pub fn run(config: &Config, spec: RunSpec, record: Option<&Path>) -> Result<(), CliError> {
    let plan = NodePlan { record: record.map(Path::to_owned), ..plan(config, spec)? };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| CliError::operation(RunError::System { what: "no runtime", source }))?;
    let ended = runtime.block_on(run_node(config, plan));
    // After a second signal nothing is waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

async fn run_node(config: &Config, plan: NodePlan) -> Result<(), CliError> {
    let system = |source| CliError::operation(RunError::System { what: "no signals", source });
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
    let (status, news) = watch::channel(Snapshot::default());
    let (stop, stopped) = watch::channel(false);
    // The store's lock comes first: who is refused must not touch the running node's address file.
    let driver = start(plan, status, None).map_err(CliError::operation)?;
    let api = Api::bind(config.api(), config.data_dir()).await?;
    tracing::info!(address = %api.address(), "the local API listens");
    let mut node = tokio::spawn(driver.run(stopped.clone()));
    let mut until = stopped;
    tokio::spawn(api.serve(news, async move {
        // An error means that the sender is gone, which is a stop too.
        let _ = until.wait_for(|stop| *stop).await;
    }));
    loop {
        tokio::select! {
            ended = &mut node => {
                let system = |error| RunError::System { what: "the node failed", source: std::io::Error::other(error) };
                return ended.map_err(|error| CliError::operation(system(error)))?.map(drop).map_err(CliError::operation);
            }
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stop.send_replace(true) {
            return Err(CliError::Interrupted);
        }
        tracing::info!("finishing, saving, leaving; a second signal stops at once");
    }
}

fn plan(config: &Config, spec: RunSpec) -> Result<NodePlan, CliError> {
    let (train, test) = data(config.data()).map_err(|reason| CliError::operation(RunError::Data(reason)))?;
    let wait_for_peers = config.wait_for_peers() as usize;
    let wait = if wait_for_peers == 0 { LOOK_AROUND } else { WAIT_FOR_PEERS };
    Ok(NodePlan {
        network: config.network_config(spec.run_id()),
        identity: Identity::load_or_create_with_work(config.data_dir(), config.overlay().identity_bits())?,
        dir: run_dir(config, &spec),
        train,
        test: Some(test),
        device: Device::Cpu,
        wait_for_peers,
        wait: Span(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)),
        inline_bytes_max: INLINE_BYTES_MAX,
        rounds_max: None,
        evaluate_every: EVALUATE_EVERY,
        record: None,
        spec,
    })
}

/// Where the state of this run lies: a node may take part in several, one after the other.
fn run_dir(config: &Config, spec: &RunSpec) -> PathBuf {
    config.data_dir().join("runs").join(spec.run_id().to_string())
}

/// This node's shard, and the examples that are held out from all shards.
fn data(source: &DataSource) -> Result<(Dataset, Dataset), String> {
    let DataSource::Digits { shard, partition, split_seed } = source;
    let split = digits::seeded(*split_seed).map_err(|error| error.to_string())?;
    let partition: shoal_ml::Partition =
        partition.to_string().parse().map_err(|error: shoal_ml::PartitionError| error.to_string())?;
    let shards = partition
        .assign(split.train.labels(), split.train.classes(), shard.count() as usize, *split_seed)
        .map_err(|error| error.to_string())?;
    let indices = shards.get(shard.index() as usize).ok_or("the shard does not exist")?;
    let train = split.train.subset(indices).map_err(|error| error.to_string())?;
    Ok((train, split.test))
}
