//! From a plan to a driver: opens a run's store, takes up the checkpoint, starts threads.
//!
//! ```text
//!   RunPlan ──prepare──> Prepared ──drive, with a line of the hub──> Driver
//! ```
//! Everything that can be wrong with what a person asked for is found here, before the first round,
//! and said in one sentence. Every run of every node comes through this one door; [`start`] is the short
//! way for a node of one run.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use libp2p::Multiaddr;
use shoal_ml::{DataError, Dataset, Device, Task, TaskError, TrainError, Trainer};
use shoal_protocol::desk::Desk;
use shoal_protocol::id::{NodeId, RunId};
use shoal_protocol::layout::Layout;
use shoal_protocol::peer::{Config, Resume};
use shoal_protocol::replica::{Replica, ReplicaError};
use shoal_protocol::spec::RunSpec;
use shoal_protocol::time::Span;
use tokio::sync::{mpsc, watch};

use crate::api::Snapshot;
use crate::driver::{Driver, Parts, Progress, Recording, RecordingError};
use crate::hub::{Hub, Line};
use crate::identity::Identity;
use crate::learner::{Checkpoint, DeskParts, Learner, SharedStore, TrainerParts};
use crate::serve::{ServedRun, ServedWeights};
use crate::store::{Store, StoreError};
use crate::swarm::{NetworkConfig, NetworkError, NetworkName};

/// Domain of the key under which a node's trust sketches are hashed.
const SECRET_DOMAIN: &str = "shoal 2026 replica secret v1";
/// Domain of the seed of a node's local choices.
const DICE_DOMAIN: &str = "shoal 2026 dice seed v1";

/// A run to be taken part in.
pub struct RunPlan {
    /// The run.
    pub spec: RunSpec,
    /// The network it is in.
    pub network: NetworkName,
    /// Who the node is.
    pub identity: Identity,
    /// Where the run's state lies.
    pub dir: PathBuf,
    /// What it trains on.
    pub train: Dataset,
    /// What its weights are tried on, if anything.
    pub test: Option<Dataset>,
    /// What its task means, with the files that it names.
    pub task: Task,
    /// Where it trains.
    pub device: Device,
    /// Examples in a step, where the node wants others than the task says.
    pub batch: Option<usize>,
    /// Peers to wait for before the first round.
    pub wait_for_peers: usize,
    /// How long at most.
    pub wait: Span,
    /// Largest body sent along with an announce, bytes.
    pub inline_bytes_max: usize,
    /// Rounds after which it stops training; `None` to go on.
    pub rounds_max: Option<u64>,
    /// Try the weights after every so-many-th round; 0 for never.
    pub evaluate_every: u64,
    /// Record this life into a new file of this name.
    pub record: Option<PathBuf>,
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum StartError {
    /// The spec's task section means nothing to this build.
    #[error("the spec's task: {0}")]
    #[diagnostic(code(shoal::start::task), help("`shoal spec check FILE` says more; `shoal init` writes a spec that works"))]
    Task(#[from] TaskError),
    /// The node's own batch is not possible.
    #[error("{0}")]
    #[diagnostic(code(shoal::start::batch), help("set another `batch`, or leave it out: the task has one"))]
    Batch(#[from] TrainError),
    /// The model is too large, or empty.
    #[error("the model has {0} parameters; between 1 and 2^31 are possible")]
    #[diagnostic(code(shoal::start::model), help("make the model in the spec's task smaller"))]
    Model(usize),
    /// The data does not fit the spec.
    #[error("the data does not fit the run: {0}")]
    #[diagnostic(code(shoal::start::data), help("compare `inputs` and `classes` of the spec's task with the data"))]
    Data(#[from] DataError),
    /// The initial weights are unusable.
    #[error("the run's initial weights: {0}")]
    #[diagnostic(code(shoal::start::weights), help("this is a bug of the model; please report it with the spec"))]
    Weights(#[from] ReplicaError),
    /// The data directory.
    #[error(transparent)]
    #[diagnostic(code(shoal::start::store), help("name another place with --data-dir, or mend this one"))]
    Store(#[from] StoreError),
    /// The sockets.
    #[error(transparent)]
    #[diagnostic(code(shoal::start::network), help("set `listen` to addresses that are free; port 0 takes any"))]
    Network(#[from] NetworkError),
    /// The file for the record.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Record(#[from] RecordingError),
    /// No threads left.
    #[error("no thread could be started: {0}")]
    #[diagnostic(code(shoal::start::threads), help("raise the limit on processes, or run fewer nodes"))]
    Threads(std::io::Error),
}

/// What the checkpoint left, or a beginning.
struct Restored {
    replica: Replica,
    trainer_state: Vec<u8>,
    resume: Option<Resume>,
}

/// A run whose state is open and whose data fits: all but the threads and the way to its peers.
pub struct Prepared {
    machine: Config,
    resume: Option<Resume>,
    recording: Option<Recording>,
    desk: DeskParts,
    trainer: TrainerParts,
    store: SharedStore,
    remembered: Vec<Multiaddr>,
    long_known: Vec<NodeId>,
    weights: watch::Receiver<Option<Arc<ServedWeights>>>,
}

/// Starts a node of one run: a hub and a driver, of which nothing runs yet but threads, which wait.
///
/// # Errors
/// [`StartError`] with one sentence and what to do.
pub fn start(
    network: NetworkConfig,
    plan: RunPlan,
    status: watch::Sender<Snapshot>,
    progress: Option<mpsc::UnboundedSender<Progress>>,
) -> Result<(Hub, Driver), StartError> {
    let key = plan.identity.keypair();
    let prepared = prepare(plan)?;
    // The hub lives as long as somebody could ask it for something: here until it has given its line.
    let (mut hub, _handle) = Hub::new(network, key)?;
    hub.call(prepared.remembered().to_vec(), prepared.long_known().to_vec());
    let line = hub.join(prepared.run())?;
    let driver = prepared.drive(line, status, progress)?;
    Ok((hub, driver))
}

/// Opens all that a run needs. Takes a while where there is much data.
///
/// # Errors
/// [`StartError`] with one sentence and what to do.
pub fn prepare(plan: RunPlan) -> Result<Prepared, StartError> {
    let run = plan.spec.run_id();
    let task = plan.task;
    let layout = Layout::from_tensors(&task.layout().sizes()).ok_or_else(|| StartError::Model(task.layout().param_count()))?;
    let me = plan.identity.node_id();
    let secret = plan.identity.signing_key().to_bytes();
    if let Some(test) = &plan.test {
        test.check(&task)?;
    }
    let samples = u32::try_from(plan.train.len()).unwrap_or(u32::MAX);
    let order_seed = u64::from_le_bytes([me.0[0], me.0[1], me.0[2], me.0[3], me.0[4], me.0[5], me.0[6], me.0[7]]);
    let mut trainer = Trainer::new(&task, plan.train, order_seed, plan.device)?;
    if let Some(batch) = plan.batch {
        trainer = trainer.with_batch(batch)?;
    }

    let mut store = Store::open(&plan.dir)?;
    store.claim(&me, &run)?;
    let restored = restore(&mut store, &plan.spec, &layout, &plan.identity, &task, &mut trainer)?;
    let remembered = store.remembered_peers().into_iter().flat_map(|peer| peer.named_addresses()).collect();
    let long_known = store.long_known();
    let next_seq = store.sequence() + 1;
    let store: SharedStore = Arc::new(Mutex::new(store));

    let dice_material = [&secret[..], &run.0, &next_seq.to_le_bytes()].concat();
    let machine = Config {
        network: plan.network.as_str().to_owned(),
        signer: plan.identity.signing_key().clone().into(),
        // Reserved numbers only rise, so each start gets other draws.
        dice_seed: blake3::derive_key(DICE_DOMAIN, &dice_material),
        next_seq,
        body_bytes_max: restored.replica.codec().body_bytes_max(),
        param_count: layout.param_count(),
        samples,
        inline_bytes_max: plan.inline_bytes_max,
        wait_for_peers: plan.wait_for_peers,
        wait: plan.wait,
        rounds_max: plan.rounds_max,
        spec: plan.spec,
    };
    let recording = plan.record.map(|path| Recording::start(&path, &machine, restored.resume)).transpose()?;
    let (served, weights) = watch::channel(None);
    let desk = DeskParts {
        desk: Desk::new(restored.replica, samples),
        trainer_state: restored.trainer_state,
        store: Some(Arc::clone(&store)),
        round: restored.resume.map_or(0, |resume| resume.round),
        inline_bytes_max: plan.inline_bytes_max,
        evaluate_every: plan.evaluate_every,
        served,
    };
    let trainer = TrainerParts { trainer, task, test: plan.test, device: plan.device };
    Ok(Prepared { machine, resume: restored.resume, recording, desk, trainer, store, remembered, long_known, weights })
}

impl Prepared {
    /// The run.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.machine.spec.run_id()
    }

    /// The run as it is served, with this status. Without one nothing is put out to answer with.
    #[must_use]
    pub fn served(&self, status: watch::Receiver<Snapshot>) -> ServedRun {
        ServedRun::new(&self.machine.spec, self.trainer.task.clone(), self.weights.clone(), status)
    }

    /// Where peers of the run were before.
    #[must_use]
    pub fn remembered(&self) -> &[Multiaddr] {
        &self.remembered
    }

    /// Peers of the run, those known the longest first.
    #[must_use]
    pub fn long_known(&self) -> &[NodeId] {
        &self.long_known
    }

    /// Starts the threads; nothing happens before [`Driver::run`].
    ///
    /// # Errors
    /// [`StartError::Threads`].
    pub fn drive(
        self,
        line: Line,
        status: watch::Sender<Snapshot>,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> Result<Driver, StartError> {
        let (reporter, reports) = mpsc::unbounded_channel();
        let learner = Learner::start(self.desk, self.trainer, reporter).map_err(StartError::Threads)?;
        let (store, machine, resume, recording) = (Some(self.store), self.machine, self.resume, self.recording);
        Ok(Driver::new(Parts { line, learner, reports, store, machine, resume, recording, status, progress }))
    }
}

/// Takes up the last whole checkpoint. One that cannot be read is said and left: the node then joins
/// as a newcomer and copies from its peers.
fn restore(
    store: &mut Store,
    spec: &RunSpec,
    layout: &Layout,
    identity: &Identity,
    task: &Task,
    trainer: &mut Trainer,
) -> Result<Restored, StartError> {
    let run = spec.run_id();
    let (me, secret) =
        (identity.node_id(), blake3::derive_key(SECRET_DOMAIN, &[&identity.signing_key().to_bytes()[..], &run.0].concat()));
    if let Some(loaded) = store.load_checkpoint()? {
        if let Some(damage) = &loaded.damage {
            tracing::warn!("the last checkpoint is damaged ({damage}); going on from the one before");
        }
        let taken = Checkpoint::decode(&loaded.bytes).map_err(|error| error.to_string()).and_then(|checkpoint| {
            let replica = Replica::restore(&checkpoint.replica, run, spec, layout.clone(), me, secret)
                .map_err(|error| error.to_string())?;
            Ok((checkpoint, replica))
        });
        match taken {
            Ok((checkpoint, replica)) => {
                if let Err(error) = trainer.restore(&checkpoint.trainer)
                    && !checkpoint.trainer.is_empty()
                {
                    tracing::warn!("the optimizer starts anew: {error}");
                }
                let resume = Some(Resume { round: checkpoint.round });
                return Ok(Restored { replica, trainer_state: checkpoint.trainer, resume });
            }
            Err(reason) => tracing::warn!("the checkpoint cannot be taken up ({reason}); joining as a newcomer"),
        }
    }
    let replica = Replica::new(run, spec, layout.clone(), me, secret, task.init(spec.seed()))?;
    Ok(Restored { replica, trainer_state: Vec::new(), resume: None })
}
