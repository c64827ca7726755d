//! A pair of whole nodes in this process, and peers with nothing behind them that attack it.
//!
//! The pair is what `shoal run` starts, over loopback sockets; its status is read where the API reads
//! it. A hostile peer is a [`Network`] with an identity of its own, so it can say anything that fits
//! into a frame or a request.

use std::path::Path;
use std::time::Duration;

use libp2p::Multiaddr;
use shoal_ml::data::digits;
use shoal_ml::{Device, Task};
use shoal_node::api::Snapshot;
use shoal_node::identity::Identity;
use shoal_node::start::{RunPlan, start};
use shoal_node::swarm::{Network, NetworkConfig, NetworkEvent, NetworkName, RequestError, Verdict};
use shoal_protocol::id::{Digest, NodeId, RunId};
use shoal_protocol::reject::Reject;
use shoal_protocol::seal::{Scope, seal};
use shoal_protocol::spec::RunSpec;
use shoal_protocol::time::Span;
use shoal_protocol::wire::{Announce, INLINE_BYTES_MAX};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const NETWORK: &str = "live";
/// The bound over one wait: a failing test's patience.
const BOUND: Duration = Duration::from_secs(30);
/// Another run than the one that is attacked.
pub const OTHER_RUN: RunId = RunId([9; 32]);

/// Hidden units of a model whose bodies travel inside their announces, and of one whose are pulled, so
/// that a frame may hold more than 32 KiB and still be of an allowed length for the run.
pub const SMALL: u32 = 64;
pub const LARGE: u32 = 384;

fn spec(hidden: u32) -> RunSpec {
    let text = format!(
        "version = 1\nname = \"live\"\nseed = 3\n[round]\nsteps = 10\nperiod_ms = 300\npeers = 8\n\
        [task]\nkind = \"classify\"\ninputs = [8, 8]\nclasses = 10\nbatch = 32\n\
        model = {{ kind = \"mlp\", hidden = [{hidden}, {hidden}] }}\noptimizer = {{ kind = \"sgd\", rate = 0.1 }}\n"
    );
    RunSpec::parse(&text).expect("a good spec")
}

fn name() -> NetworkName {
    NetworkName::new(NETWORK).expect("a good name")
}

fn network(bootstrap: &[Multiaddr]) -> NetworkConfig {
    let mut network = NetworkConfig::new(name());
    network.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    network.heartbeat = Duration::from_millis(300);
    network.bootstrap = bootstrap.to_vec();
    network
}

/// A whole node, in a task of its own.
pub struct Victim {
    pub id: NodeId,
    status: watch::Receiver<Snapshot>,
    running: JoinHandle<Result<shoal_node::learner::Final, shoal_node::driver::DriverError>>,
}

impl Victim {
    fn start(spec: RunSpec, dir: &Path, shard: usize, bootstrap: &[Multiaddr], stop: &watch::Receiver<bool>) -> Self {
        let split = digits::seeded(0).expect("the digits");
        let indices: Vec<usize> = (shard..split.train.len()).step_by(2).collect();
        let identity = Identity::generate();
        let id = identity.node_id();
        let plan = RunPlan {
            network: name(),
            identity,
            dir: dir.join(shard.to_string()),
            train: split.train.subset(&indices).expect("half of them"),
            test: None,
            task: Task::parse(spec.task()).expect("a task"),
            device: Device::Cpu,
            batch: None,
            spec,
            wait_for_peers: 1,
            wait: Span::from_secs(20),
            inline_bytes_max: INLINE_BYTES_MAX,
            rounds_max: None,
            evaluate_every: 0,
            record: None,
        };
        let (sender, status) = watch::channel(Snapshot::default());
        let (hub, driver) = start(network(bootstrap), plan, sender, None).expect("a node that starts");
        tokio::spawn(hub.run());
        Self { id, status, running: tokio::spawn(driver.run(stop.clone())) }
    }

    /// The status, once `done` says so of it.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let found = tokio::time::timeout(BOUND, self.status.wait_for(|news| done(news))).await;
        let found = found.map(|news| news.map(|news| news.clone()));
        found.ok().and_then(Result::ok).unwrap_or_else(|| panic!("{what}: not in time: {:?}", self.status.borrow().status))
    }

    pub async fn trains_on(&mut self, rounds: u64) -> u64 {
        let before = self.status.borrow().status.round;
        self.until("more rounds", |news| news.status.round >= before + rounds).await.status.round
    }

    pub fn count(&self, reason: Reject) -> u64 {
        count(&self.status.borrow(), reason)
    }
}

/// A peer with nothing behind it, connected to both victims.
pub struct Hostile {
    pub network: Network,
    run: RunId,
    identity: Identity,
}

impl Hostile {
    async fn new(run: RunId, bootstrap: &[Multiaddr]) -> Self {
        let identity = Identity::generate();
        let mut network = Network::new(network(bootstrap), identity.keypair()).expect("a network");
        network.join_run(run).expect("its only run");
        let mut hostile = Self { network, run, identity };
        let mut up = 0;
        hostile
            .poll_until("both victims", |_, event| {
                up += usize::from(matches!(event, NetworkEvent::PeerUp { .. }));
                up == 2
            })
            .await;
        hostile
    }

    async fn poll_until(&mut self, what: &str, mut done: impl FnMut(&mut Network, NetworkEvent) -> bool) {
        let polled = async {
            loop {
                let event = self.network.next_event().await;
                if done(&mut self.network, event) {
                    return;
                }
            }
        };
        tokio::time::timeout(BOUND, polled).await.unwrap_or_else(|_| panic!("{what}: not in time"));
    }

    /// Sends `frame` and goes on until both victims have counted one more of `reason`.
    pub async fn publishes(&mut self, victims: &mut [Victim; 2], frame: Vec<u8>, reason: Reject) {
        let before = [victims[0].count(reason), victims[1].count(reason)];
        self.network.publish(&self.run, frame).expect("a frame that gossip carries");
        let counted = async {
            for (victim, before) in victims.iter_mut().zip(before) {
                victim.until(reason.label(), |news| count(news, reason) > before).await;
            }
        };
        self.while_polled(counted).await;
    }

    /// Keeps the network going until `done` is.
    pub async fn while_polled(&mut self, done: impl Future<Output = ()>) {
        tokio::select! {
            () = done => {}
            () = async { loop { self.network.next_event().await; } } => {}
        }
    }

    /// Asks the victim; what came back.
    pub async fn asks(&mut self, victim: NodeId, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
        let ticket = self.network.request(victim, bytes, 1 << 20, BOUND);
        let mut answer = None;
        self.poll_until("an answer", |_, event| {
            if let NetworkEvent::Response { ticket: done, result, .. } = event {
                assert_eq!(done, ticket);
                answer = Some(result);
            }
            answer.is_some()
        })
        .await;
        answer.expect("it was waited for")
    }

    /// A frame of this peer's own, every field in order but what `change` does.
    pub fn frame(&self, run: RunId, body: &[u8], change: impl FnOnce(&mut Announce)) -> Vec<u8> {
        let mut announce = Announce {
            run,
            author: self.identity.node_id(),
            round: 1,
            seq: 1,
            digest: Digest::of(body),
            body_bytes: body.len() as u32,
            samples: 1,
            steps: 1,
            slice_rms: 0.0,
        };
        change(&mut announce);
        [seal(self.identity.signing_key(), &Scope::new(NETWORK, run), &announce), body.to_vec()].concat()
    }

    /// An announce of a victim as it came over the topic.
    pub async fn records(&mut self, author: NodeId) -> Vec<u8> {
        let mut recorded = None;
        self.poll_until("an announce", |network, event| {
            let NetworkEvent::Gossip { ticket, data, .. } = event else { return false };
            network.validate(&ticket, Verdict::Accept);
            if Announce::decode(&data).is_ok_and(|(announce, _)| announce.author == author) {
                recorded = Some(data);
            }
            recorded.is_some()
        })
        .await;
        recorded.expect("it was waited for")
    }
}

/// The attacked: two nodes that train together.
pub struct Pair {
    pub run: RunId,
    pub victims: [Victim; 2],
    addresses: Vec<Multiaddr>,
    stop: watch::Sender<bool>,
}

impl Pair {
    pub async fn start(hidden: u32, dir: &Path) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut addresses: Vec<Multiaddr> = Vec::new();
        let mut start = async |shard| {
            let mut victim = Victim::start(spec(hidden), dir, shard, &addresses, &stopped);
            let news = victim.until("listening", |news| !news.status.listen.is_empty()).await;
            addresses.push(news.status.listen[0].parse().expect("an address"));
            victim
        };
        let mut victims = [start(0).await, start(1).await];
        for victim in &mut victims {
            victim.until("rounds together", |news| news.status.round >= 3 && news.status.peers_heard == 1).await;
        }
        Self { run: spec(hidden).run_id(), victims, addresses, stop }
    }

    pub async fn hostile(&self) -> Hostile {
        Hostile::new(self.run, &self.addresses).await
    }

    /// Nothing was held against the two, they train on with each other, and they end in good order.
    pub async fn ends_well(mut self) {
        let names = [self.victims[0].id.to_string(), self.victims[1].id.to_string()];
        for (victim, other) in self.victims.iter_mut().zip([&names[1], &names[0]]) {
            let began = victim.status.borrow().status.round;
            let ended = victim.trains_on(10).await;
            let news = victim.until("each other", |news| news.status.peers_heard == 1).await;
            eprintln!("rounds {began} to {ended}, refused {:?}", news.status.rejects);
            let other = news.peers.iter().find(|peer| peer.node == *other).expect("the other");
            assert_eq!((other.last_fault.as_deref(), &news.status.trouble), (None, &None), "{news:?}");
        }
        self.stop.send_replace(true);
        for victim in self.victims {
            victim.running.await.expect("no panic").expect("it saved");
        }
    }
}

pub fn count(news: &Snapshot, reason: Reject) -> u64 {
    news.status.rejects.get(reason.label()).copied().unwrap_or(0)
}
