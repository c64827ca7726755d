//! `shoal demo`: a whole network in one process, and what it is worth.
//!
//! Every node is a real one: its own identity, swarm, store, threads and shard of the data, its
//! own loopback sockets. All but the first are given ONE address, the first's; the others they find
//! through Kademlia. Beside the network stand its two yardsticks, trained with the same settings for
//! the same number of steps: each node's shard alone, and one model on all shards together.

mod baseline;
mod cost;
mod subject;
mod watch;

use std::path::Path;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use shoal_ml::{Dataset, Device, evaluate, safetensors};
use shoal_protocol::time::Span;
use shoal_protocol::wire::INLINE_BYTES_MAX;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinSet;

use crate::api::Snapshot;
use crate::cli::{DemoOutcome, DemoPlan};
use crate::driver::{DriverError, Progress};
use crate::identity::Identity;
use crate::learner::Final;
use crate::report::{ByteFigures, DEMO_SCHEMA, DemoResult, DemoRow, DemoSummary, Quality};
use crate::start::{RunPlan, StartError, start};
use crate::swarm::{NetworkConfig, NetworkName};

use baseline::Baselines;
use subject::{PEERS, Subject};
use watch::{Course, Event};

/// Longest wait for the nodes to find each other.
const WAIT: Duration = Duration::from_secs(20);
/// Longest silence of the whole network before the demo is given up. Bounds a wait, measures nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a demo failed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum DemoError {
    /// A node could not be started.
    #[error("node {node}: {source}")]
    #[diagnostic(code(shoal::demo::start), help("a demo needs loopback sockets and room for temporary files"))]
    Start {
        /// Which, from 0.
        node: usize,
        /// Why.
        source: StartError,
    },
    /// A node ended early.
    #[error("node {node}: {source}")]
    #[diagnostic(code(shoal::demo::node), help("run again with SHOAL_LOG=debug to see what led to it"))]
    Node {
        /// Which, from 0.
        node: usize,
        /// Why.
        source: DriverError,
    },
    /// No node got anywhere for a minute.
    #[error("the network stood still for {} seconds in round {round}", SILENCE.as_secs())]
    #[diagnostic(
        code(shoal::demo::silence),
        help("check that loopback sockets are allowed here; run again with SHOAL_LOG=debug")
    )]
    Silence {
        /// The last round that all nodes had done.
        round: u64,
    },
    /// Data, model or figures.
    #[error("{0}")]
    #[diagnostic(
        code(shoal::demo::setting),
        help("choose fewer nodes, another partition, or another model, or data that fits the spec")
    )]
    Setting(String),
    /// Something of the operating system's.
    #[error("{what}: {source}")]
    #[diagnostic(code(shoal::demo::system), help("check free memory, disk and the limit on open files"))]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: std::io::Error,
    },
}

/// Runs a demo to its end; `row` is called as each round ends on all nodes.
///
/// # Errors
/// [`DemoError`] with one sentence and what to do.
pub fn run(plan: &DemoPlan, row: &mut dyn FnMut(&DemoRow)) -> Result<DemoOutcome, DemoError> {
    let began = Instant::now();
    let setting = |error: &dyn core::fmt::Display| DemoError::Setting(error.to_string());
    let subject = Subject::of(plan).map_err(DemoError::Setting)?;
    let train = &subject.split.train;
    let shards = plan
        .partition
        .assign(train.labels(), train.classes(), usize::from(plan.nodes), plan.seed)
        .map_err(|error| setting(&error))?;
    let shards: Vec<Dataset> =
        shards.iter().map(|indices| train.subset(indices)).collect::<Result<_, _>>().map_err(|error| setting(&error))?;
    let steps = plan.rounds.saturating_mul(subject.spec.round().steps);
    let baselines = Baselines::train(&subject, &shards, steps, plan.yardsticks).map_err(|error| setting(&error))?;

    let folder = tempfile::tempdir().map_err(|source| DemoError::System { what: "no temporary folder", source })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).min(8))
        .enable_all()
        .build()
        .map_err(|source| DemoError::System { what: "no runtime", source })?;
    let together = runtime.block_on(together(plan, &subject, &shards, folder.path(), row))?;
    drop(runtime);

    let (summary, model) = figures(plan, &subject, &baselines, &together, began)?;
    Ok(DemoOutcome { result: DemoResult { summary, rows: together.course.into_rows() }, model })
}

/// What the network came to.
struct Together {
    course: Course,
    finals: Vec<Final>,
}

/// Starts all nodes, watches them to the last round, stops them.
async fn together(
    plan: &DemoPlan,
    subject: &Subject,
    shards: &[Dataset],
    folder: &Path,
    row: &mut dyn FnMut(&DemoRow),
) -> Result<Together, DemoError> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let (stop, stopped) = channel::channel(false);
    let mut nodes = JoinSet::new();
    let mut first: Option<Multiaddr> = None;
    let mut ready = Vec::with_capacity(shards.len());
    for (node, shard) in shards.iter().enumerate() {
        let name = NetworkName::new("demo").map_err(|error| DemoError::Setting(error.to_string()))?;
        let mut network = NetworkConfig::new(name.clone());
        network.bootstrap.extend(first.clone());
        network.peers_target = usize::from(PEERS).max(12);
        network.heartbeat = Duration::from_millis(500);
        let plan = RunPlan {
            spec: subject.spec.clone(),
            network: name,
            identity: Identity::generate(),
            dir: folder.join(node.to_string()),
            train: shard.clone(),
            test: Some(subject.watched.clone()),
            task: subject.task.clone(),
            device: Device::Cpu,
            batch: None,
            wait_for_peers: usize::from(plan.nodes - 1).min(usize::from(PEERS)),
            wait: Span(u64::try_from(WAIT.as_micros()).unwrap_or(u64::MAX)),
            inline_bytes_max: INLINE_BYTES_MAX,
            rounds_max: Some(u64::from(plan.rounds)),
            evaluate_every: 1,
            record: None,
        };
        let (status, mut watched) = channel::channel(Snapshot::default());
        let (progress, seen) = mpsc::unbounded_channel();
        let (hub, driver) = start(network, plan, status, Some(progress)).map_err(|source| DemoError::Start { node, source })?;
        forward(node, seen, events.clone());
        if node > 0 {
            ready.push((node, hub, driver));
        } else {
            let stopped = stopped.clone();
            tokio::spawn(hub.run());
            nodes.spawn(async move { (node, driver.run(stopped).await) });
            let listening = watched.wait_for(|snapshot| !snapshot.status.listen.is_empty());
            let address =
                tokio::time::timeout(WAIT, listening).await.ok().and_then(|found| Some(found.ok()?.status.listen[0].clone()));
            first = address.and_then(|address| address.parse().ok());
            if first.is_none() {
                return Err(DemoError::Setting("the first node could not listen on loopback".to_owned()));
            }
        }
    }
    drop(events);
    // All at once: who starts while others are still opening their stores would have to be copied.
    for (node, hub, driver) in ready {
        let stopped = stopped.clone();
        tokio::spawn(hub.run());
        nodes.spawn(async move { (node, driver.run(stopped).await) });
    }
    let mut course = Course::new(shards.len(), u64::from(plan.rounds), subject.measure);
    while !course.is_over() {
        tokio::select! {
            event = inbox.recv() => if let Some((node, progress)) = event { course.take(node, &progress, row) },
            Some(ended) = nodes.join_next() => return Err(early_end(ended)),
            () = tokio::time::sleep(SILENCE) => return Err(DemoError::Silence { round: course.round() }),
        }
    }
    // Dropping the sender would do; saying so is clearer.
    let _ = stop.send(true);
    let mut finals: Vec<(usize, Final)> = Vec::with_capacity(shards.len());
    while let Some(ended) = nodes.join_next().await {
        match ended {
            Ok((node, Ok(last))) => finals.push((node, last)),
            ended => return Err(early_end(ended)),
        }
    }
    finals.sort_by_key(|(node, _)| *node);
    Ok(Together { course, finals: finals.into_iter().map(|(_, last)| last).collect() })
}

/// Marks one node's progress with its number.
fn forward(node: usize, mut seen: mpsc::UnboundedReceiver<Progress>, events: mpsc::UnboundedSender<Event>) {
    tokio::spawn(async move {
        while let Some(progress) = seen.recv().await {
            if events.send((node, progress)).is_err() {
                break;
            }
        }
    });
}

fn early_end(ended: Result<(usize, Result<Final, DriverError>), tokio::task::JoinError>) -> DemoError {
    match ended {
        Ok((node, Err(source))) => DemoError::Node { node, source },
        Ok((node, Ok(_))) => DemoError::Setting(format!("node {node} ended before the others")),
        Err(error) => DemoError::Setting(format!("a node failed: {error}")),
    }
}

/// The JSON's figures and the first node's model.
fn figures(
    plan: &DemoPlan,
    subject: &Subject,
    baselines: &Baselines,
    together: &Together,
    began: Instant,
) -> Result<(DemoSummary, Vec<u8>), DemoError> {
    let setting = |error: &dyn core::fmt::Display| DemoError::Setting(error.to_string());
    let Subject { task, measure, .. } = subject;
    let mut qualities = Vec::with_capacity(together.finals.len());
    for last in &together.finals {
        let metrics = evaluate(task, &last.averaged, &subject.split.test, Device::Cpu).map_err(|error| setting(&error))?;
        qualities.push(measure.of(&metrics));
    }
    let mean = qualities.iter().sum::<f64>() / qualities.len() as f64;
    let averaged = together.finals.first().map(|last| last.averaged.as_slice()).unwrap_or_default();
    let (sent, payload) = together.course.bytes_per_node_per_round();
    let cost = cost::so_far().map_err(|source| DemoError::System { what: "no resource figures", source })?;
    let summary = DemoSummary {
        schema: DEMO_SCHEMA,
        nodes: plan.nodes,
        rounds: plan.rounds,
        seed: plan.seed,
        data: subject.data.clone(),
        partition: plan.partition.to_string(),
        said: subject.said(averaged, plan.seed).map_err(DemoError::Setting)?,
        measure: *measure,
        quality: Quality {
            mean,
            worst: measure.worst(qualities.iter().copied()),
            alone_mean: baselines.alone_mean,
            pooled: baselines.pooled,
        },
        bytes: ByteFigures {
            sent_per_node_per_round: sent,
            payload_per_node_per_round: payload,
            dense_f32_model: 4 * task.layout().param_count() as u64,
        },
        consensus_rms: consensus_rms(&together.finals),
        wall_s: began.elapsed().as_secs_f64(),
        cpu_s: cost.cpu_s,
        rss_peak_mb: cost.rss_peak_mb,
    };
    let metadata =
        [("format", "pt".to_owned()), ("shoal.run", subject.spec.run_id().to_string()), ("shoal.round", plan.rounds.to_string())];
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    // Corrections to given weights are no model by themselves: the file holds the whole.
    let (whole, averaged) = task.merged(averaged).map_err(|error| setting(&error))?;
    let model = safetensors::export(whole.layout(), &averaged, &metadata).map_err(|error| setting(&error))?;
    Ok((summary, model))
}

/// Root mean square, over nodes and parameters, of the distance to the mean of all nodes.
fn consensus_rms(finals: &[Final]) -> f64 {
    let Some(param_count) = finals.first().map(|last| last.weights.len()) else { return 0.0 };
    let squares: f64 = (0..param_count)
        .map(|place| {
            let mean = finals.iter().map(|last| f64::from(last.weights[place])).sum::<f64>() / finals.len() as f64;
            finals.iter().map(|last| (f64::from(last.weights[place]) - mean).powi(2)).sum::<f64>()
        })
        .sum();
    (squares / (param_count * finals.len()) as f64).sqrt()
}
