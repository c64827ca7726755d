//! The runs of one node: those that it takes part in, and those that it only offers to others.
//!
//! Starts a driver for each, tells the hub what to answer strangers, and notes in the data directory
//! what shall be so after a restart. It decides nothing about a run; a run that fails ends alone, and
//! the others go on.

mod memory;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use shoal_ml::{Dataset, Device, Task, TaskSpec};
use shoal_protocol::id::{NodeId, RunId};
use shoal_protocol::spec::RunSpec;
use shoal_protocol::time::Span;
use shoal_protocol::wire::INLINE_BYTES_MAX;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

pub use memory::{Memory, Remembered};

use crate::api::{Roster, Snapshot};
use crate::assets;
use crate::catalogue::{Entry, Shelf, ShelfItem};
use crate::config::{Config, DataError, DataSettings, DataSource};
use crate::driver::DriverError;
use crate::hub::{HubGone, HubHandle};
use crate::identity::Identity;
use crate::learner::Final;
use crate::serve::ServedRun;
use crate::start::{RunPlan, StartError, prepare};
use crate::swarm::{NetworkError, Way};

/// How long a node looks around before it starts alone. Guess: bootstrap, a Kademlia query and the
/// gossip subscription take under a second on loopback and a few over the internet.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// The same for a node that was told to wait for peers.
const WAIT_FOR_PEERS: Duration = Duration::from_secs(120);
/// Rounds between two looks at the test set.
const EVALUATE_EVERY: u64 = 1;

/// Why a run was not joined or offered.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RunsError {
    /// The node is in it.
    #[error("this node takes part in run {0} already")]
    #[diagnostic(code(shoal::runs::taken), help("`shoal status` shows the node's runs"))]
    Taken(RunId),
    /// What is said of its data cannot be.
    #[error(transparent)]
    #[diagnostic(code(shoal::runs::setting), help("`shoal run --help` says what each setting takes"))]
    Setting(#[from] DataError),
    /// Its data cannot be had, or does not fit.
    #[error("the data: {0}")]
    #[diagnostic(
        code(shoal::run::data),
        help(
            "name the run's data with --data, or choose another `shard` or `partition`; `shoal spec check` shows what it expects"
        )
    )]
    Data(String),
    /// It cannot be started.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Start(#[from] StartError),
    /// The network does not let it in.
    #[error(transparent)]
    #[diagnostic(code(shoal::runs::network), help("stop a run of this node first"))]
    Network(#[from] NetworkError),
    /// It cannot be noted.
    #[error("the run cannot be remembered: {0}")]
    #[diagnostic(code(shoal::runs::memory), help("the data directory must be writable and its disk not full"))]
    Memory(#[from] std::io::Error),
    /// The node is about to end.
    #[error(transparent)]
    #[diagnostic(code(shoal::runs::stopping), help("start the node again"))]
    Gone(#[from] HubGone),
    /// The thread that opens a run is gone.
    #[error("the run could not be opened: {0}")]
    #[diagnostic(code(shoal::runs::opening), help("the log says why"))]
    Opening(#[from] JoinError),
}

/// A run that the node is in.
struct Member {
    item: ShelfItem,
    status: watch::Receiver<Snapshot>,
    served: ServedRun,
}

/// All runs of this node.
pub struct Runs {
    config: Config,
    identity: Identity,
    hub: HubHandle,
    memory: Memory,
    members: BTreeMap<RunId, Member>,
    /// In the order in which they were joined.
    order: Vec<RunId>,
    offers: BTreeMap<RunId, ShelfItem>,
    drivers: JoinSet<(RunId, Result<Final, DriverError>)>,
    stop: watch::Receiver<bool>,
    roster: watch::Sender<Roster>,
}

impl Runs {
    /// None yet. `roster` is where it is told who they are; drivers end when `stop` says so.
    #[must_use]
    pub fn new(
        config: Config,
        identity: Identity,
        hub: HubHandle,
        stop: watch::Receiver<bool>,
        roster: watch::Sender<Roster>,
    ) -> Self {
        let memory = Memory::new(config.data_dir());
        let (members, offers) = (BTreeMap::new(), BTreeMap::new());
        Self { config, identity, hub, memory, members, order: Vec::new(), offers, drivers: JoinSet::new(), stop, roster }
    }

    /// Takes part in a run from now on, and after a restart. `record` names a file for its record.
    ///
    /// # Errors
    /// [`RunsError`]; then the node is not in it, now or later.
    pub async fn join(
        &mut self,
        spec: RunSpec,
        text: &str,
        data: &DataSettings,
        record: Option<PathBuf>,
    ) -> Result<(), RunsError> {
        let run = spec.run_id();
        // One that has ended of itself may be joined again.
        if self.members.get(&run).is_some_and(|member| member.status.has_changed().is_ok()) {
            return Err(RunsError::Taken(run));
        }
        let own = self.memory.data(&run);
        let source = self.config.data().with(&own)?.with(data)?;
        let base = self.plan(spec.clone(), record);
        let (prepared, model_bytes) = tokio::task::spawn_blocking(move || open(base, &source)).await??;
        self.hub.call(Way::Remembered, prepared.remembered().to_vec(), prepared.long_known().to_vec()).await?;
        let line = self.hub.join(run).await?;
        self.memory.join(&spec, text, data)?;
        let (status, watched) = watch::channel(Snapshot::default());
        let served = prepared.served(watched.clone());
        let driver = prepared.drive(line, status, None)?;
        let stop = self.stop.clone();
        self.drivers.spawn(async move { (run, driver.run(stop).await) });
        let status = Some(watched.clone());
        let item = ShelfItem { run, name: spec.name().to_owned(), model_bytes, spec: text.into(), status };
        self.members.insert(run, Member { item, status: watched, served });
        self.order.retain(|other| *other != run);
        self.order.push(run);
        self.tell().await?;
        Ok(())
    }

    /// Offers a run to others from now on, and after a restart.
    ///
    /// # Errors
    /// [`RunsError`].
    pub async fn offer(&mut self, spec: &RunSpec, text: &str) -> Result<(), RunsError> {
        self.memory.offer(spec, text)?;
        self.shelve(spec, text);
        self.tell().await?;
        Ok(())
    }

    /// Offers again what was offered before the restart.
    ///
    /// # Errors
    /// [`RunsError::Gone`].
    pub async fn offer_remembered(&mut self) -> Result<(), RunsError> {
        for (spec, text) in self.memory.offered() {
            self.shelve(&spec, &text);
        }
        self.tell().await?;
        Ok(())
    }

    /// The runs that the node was in before.
    #[must_use]
    pub fn remembered(&self) -> Vec<Remembered> {
        self.memory.joined()
    }

    /// The spec of a run that the node is in or offers.
    #[must_use]
    pub fn text_of(&self, run: &RunId) -> Option<String> {
        let member = self.members.get(run).map(|member| &member.item);
        member.or_else(|| self.offers.get(run)).map(|item| item.spec.to_string())
    }

    /// What this node says of its runs to others, and its name.
    #[must_use]
    pub fn own_entries(&self) -> (NodeId, Vec<Entry>) {
        (self.identity.node_id(), self.shelf().entries())
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.offers.is_empty()
    }

    /// Whether no run is going on.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.drivers.is_empty()
    }

    /// The next driver that ends; waits for ever while there is none.
    pub async fn ended(&mut self) -> Ended {
        match self.drivers.join_next().await {
            Some(Ok((run, result))) => Ended { run: Some(run), error: result.err(), left: self.drivers.len(), panic: None },
            Some(Err(error)) => Ended { run: None, error: None, left: self.drivers.len(), panic: Some(error) },
            None => std::future::pending().await,
        }
    }

    fn shelve(&mut self, spec: &RunSpec, text: &str) {
        // A run that this build cannot train can be offered all the same; then its size is not known.
        let model_bytes = TaskSpec::parse(spec.task()).map_or(0, |task| 4 * task.layout().param_count() as u64);
        let run = spec.run_id();
        let item = ShelfItem { run, name: spec.name().to_owned(), model_bytes, spec: text.into(), status: None };
        self.offers.insert(run, item);
    }

    /// Tells the hub and the API what there is.
    async fn tell(&self) -> Result<(), HubGone> {
        self.roster.send_modify(|roster| {
            roster.members = self.in_order().map(|member| member.status.clone()).collect();
            roster.served = self.in_order().map(|member| member.served.clone()).collect();
            roster.offered = self.only_offered().map(|item| (item.run.to_string(), item.name.clone())).collect();
        });
        self.hub.shelve(self.shelf()).await
    }

    fn shelf(&self) -> Shelf {
        Shelf::new(self.in_order().map(|member| member.item.clone()).chain(self.only_offered().cloned()).collect())
    }

    fn in_order(&self) -> impl Iterator<Item = &Member> {
        self.order.iter().filter_map(|run| self.members.get(run))
    }

    fn only_offered(&self) -> impl Iterator<Item = &ShelfItem> {
        self.offers.values().filter(|item| !self.members.contains_key(&item.run))
    }

    fn plan(&self, spec: RunSpec, record: Option<PathBuf>) -> Base {
        let wait_for_peers = self.config.wait_for_peers() as usize;
        let wait = if wait_for_peers == 0 { LOOK_AROUND } else { WAIT_FOR_PEERS };
        Base {
            network: self.config.network().clone(),
            identity: self.identity.clone(),
            dir: self.memory.run_dir(&spec.run_id()),
            data_dir: self.config.data_dir().to_owned(),
            device: self.config.device(),
            batch: self.config.batch(),
            wait_for_peers,
            wait: Span(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)),
            record,
            spec,
        }
    }
}

/// A driver that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Of which run, if it could still say so.
    pub run: Option<RunId>,
    /// Why, if it was not told to.
    pub error: Option<DriverError>,
    /// Its panic, if it had one.
    pub panic: Option<JoinError>,
    /// Drivers that go on.
    pub left: usize,
}

/// What of a plan is known before the data is read.
struct Base {
    spec: RunSpec,
    network: crate::swarm::NetworkName,
    identity: Identity,
    dir: PathBuf,
    data_dir: PathBuf,
    device: Device,
    batch: Option<usize>,
    wait_for_peers: usize,
    wait: Span,
    record: Option<PathBuf>,
}

/// Reads the data and opens the run; also the size of its model as dense f32.
fn open(base: Base, source: &DataSource) -> Result<(crate::start::Prepared, u64), RunsError> {
    let task = assets::task(&base.data_dir, &base.spec).map_err(StartError::Task)?;
    let model_bytes = 4 * task.layout().param_count() as u64;
    let (train, test) = data(&task, source).map_err(RunsError::Data)?;
    let plan = RunPlan {
        spec: base.spec,
        network: base.network,
        identity: base.identity,
        dir: base.dir,
        train,
        test: Some(test),
        task,
        device: base.device,
        batch: base.batch,
        wait_for_peers: base.wait_for_peers,
        wait: base.wait,
        inline_bytes_max: INLINE_BYTES_MAX,
        rounds_max: None,
        evaluate_every: EVALUATE_EVERY,
        record: base.record,
    };
    Ok((prepare(plan)?, model_bytes))
}

/// This node's shard, and the examples that are held out from all shards.
fn data(task: &Task, data: &DataSource) -> Result<(Dataset, Dataset), String> {
    let split = data.source.load(task, data.split_seed).map_err(|error| error.to_string())?;
    let (index, count) = (data.shard.index() as usize, data.shard.count() as usize);
    let train = data.partition.part(&split.train, index, count, data.split_seed).map_err(|error| error.to_string())?;
    Ok((train, split.test))
}
