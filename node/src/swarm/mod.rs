//! The network as one component that can be polled: it knows bytes and peers, never what they mean.
//!
//! [`Network`] owns a libp2p swarm and decides how peers are found (Kademlia provider records under
//! each run's key), who counts as being in a run (connected and subscribed to its topic), and how
//! much anybody may cost. It takes part in any number of runs up to [`RUNS_MAX`], which share its
//! connections and its bans. It never judges a message: [`NetworkEvent::Gossip`] waits for its owner's
//! verdict, and only then is the message passed on.
//!
//! | room | decides |
//! | --- | --- |
//! | `config` | every bound that is this node's own |
//! | `transport`, `muxer`, `count` | how bytes travel, and how many |
//! | `gate` | who is refused outright |
//! | `behaviour` | how libp2p's protocols are set up |
//! | `discovery`, `pauses` | when to look, whom to dial |
//! | `members`, `near` | who meets our protocols; what is dialled at all |
//! | `reach`, `relays` | how others can reach us, and through whom |
//! | `rendezvous` | meeting strangers in a public network |
//! | `ways` | who was found how |
//! | `requests` | one question, one answer |
//! | `peers`, `address` | who is there and where |
//! | `parting` | which connections are let go |
//! | `translate` | libp2p's events into ours |
//!
//! Invariants: each [`RequestTicket`] gets exactly one [`NetworkEvent::Response`]; a peer's
//! [`NetworkEvent::PeerUp`] and [`NetworkEvent::PeerDown`] alternate in each run; whatever a peer sends, the
//! result is an event or nothing.

mod address;
mod behaviour;
mod config;
mod count;
mod discovery;
mod gate;
mod members;
mod muxer;
mod near;
mod parting;
mod pauses;
mod peers;
mod reach;
mod relays;
mod rendezvous;
mod requests;
mod translate;
mod transport;
mod ways;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::num::{NonZeroU8, NonZeroUsize};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::gossipsub::{IdentTopic, MessageAcceptance, MessageId, PublishError as GossipError, TopicHash};
use libp2p::identity::Keypair;
use libp2p::kad::QueryId;
use libp2p::swarm::{Config, Swarm};
use libp2p::{Multiaddr, PeerId, TransportError};
use shoal_protocol::id::{NodeId, RunId};
use tokio::time::{Sleep, sleep_until};

pub use address::{Prefix, TransportKind};
pub use behaviour::GOSSIP_BYTES_MAX;
pub use config::{
    ConnectionBounds, NETWORK_NAME_BYTES_MAX, NetworkConfig, NetworkName, NetworkNameError, RelayBounds, RequestBounds, Secret,
};
pub use count::ByteCounts;
pub use discovery::Key;
pub use peers::{Direction, PeerInfo};
pub use reach::Reach;
pub use requests::{REQUEST_BYTES_MAX, ReplyHandle, RequestError, RequestTicket};
pub use ways::{Way, WayStatus};

use crate::identity::{node_of, peer_of};
use behaviour::{Behaviour, topic_score};
use discovery::Discovery;
use near::Near;
use peers::Peers;
use reach::Place;

/// Runs that a node takes part in at a time, and runs that a peer may say it is in. A guess: each costs
/// a model, a data set and its share of the processor.
pub const RUNS_MAX: usize = 16;
/// Lookups under way that somebody asked for; one more is not begun.
const LOOKUPS_MAX: usize = 16;
/// Addresses to call first; what is added beyond that is not called.
const BOOTSTRAP_MAX: usize = 512;
/// Events that a connection may have waiting for us before it stops reading (libp2p: 7).
const CONNECTION_EVENTS_MAX: usize = 8;
/// Streams of one connection that may be in negotiation at a time (libp2p: 128).
const NEGOTIATING_MAX: usize = 32;
/// Addresses of one peer that are tried at a time (libp2p: 8).
const DIALS_AT_ONCE: NonZeroU8 = NonZeroU8::MIN.saturating_add(3);
/// Commands that a connection may have waiting for it.
const COMMANDS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// Why a network could not be started. Every variant names what to change.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Somebody listens there already.
    #[error("{address} is in use by another program; choose another port, or 0 for any free one")]
    PortInUse {
        /// The address.
        address: Multiaddr,
    },
    /// The system refuses to listen there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the system said.
        source: io::Error,
    },
    /// Not an address that can be listened on.
    #[error("cannot listen on {address}: expected /ip4/ADDRESS/tcp/PORT or /ip4/ADDRESS/udp/PORT/quic-v1 (or ip6)")]
    BadAddress {
        /// The address.
        address: Multiaddr,
    },
    /// The key cannot be used.
    #[error("this key cannot prove who we are: {0}")]
    Key(String),
    /// Gossip's settings contradict each other.
    #[error("gossip cannot be set up: {0}")]
    Gossip(String),
    /// A private network listens on TCP alone, and no TCP address is named.
    #[error("a private network speaks TCP only; listen on an address such as /ip4/0.0.0.0/tcp/7462")]
    SecretNeedsTcp,
    /// The system's resolver cannot be used.
    #[error("names cannot be resolved: {0}")]
    Names(io::Error),
    /// One run more than a node takes part in.
    #[error("a node takes part in at most {RUNS_MAX} runs at a time")]
    TooManyRuns,
    /// The node is in this run already, or is stopping.
    #[error("the node takes part in this run already")]
    RunTaken,
    /// Multicast DNS cannot be used.
    #[error("multicast DNS is not available ({0}); switch it off")]
    Mdns(io::Error),
}

impl NetworkError {
    fn listen(address: &Multiaddr, source: io::Error) -> Self {
        let address = address.clone();
        if source.kind() == io::ErrorKind::AddrInUse { Self::PortInUse { address } } else { Self::Listen { address, source } }
    }
}

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The node is not in this run.
    #[error("the node is not in this run")]
    NotIn,
    /// No peer of the run is connected.
    #[error("no peer of the run is connected")]
    NoPeers,
    /// Longer than [`GOSSIP_BYTES_MAX`] with its frame.
    #[error("{0} bytes do not fit into a gossip frame")]
    TooLong(usize),
    /// The same bytes went out or came in within the last minute.
    #[error("the same bytes were published before")]
    Duplicate,
    /// Every peer's queue is full.
    #[error("all peers are slower than what is sent to them")]
    Full,
    /// What cannot happen with our settings.
    #[error("{0}")]
    Other(String),
}

/// What the owner of a [`Network`] thinks of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good: pass it on.
    Accept,
    /// Bad beyond doubt: drop it, and whoever passed it on pays.
    Reject,
    /// Of no use, but nobody's fault: drop it.
    Ignore,
}

/// Names a message until [`Network::validate`] is called for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipTicket {
    message: MessageId,
    from: PeerId,
}

/// What happened.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A message on a run's topic. It goes no further until [`Network::validate`] says so.
    Gossip {
        /// The run whose topic it came on.
        run: RunId,
        /// For [`Network::validate`].
        ticket: GossipTicket,
        /// Who passed it on to us; not who wrote it.
        source: NodeId,
        /// The message, at most [`GOSSIP_BYTES_MAX`] bytes.
        data: Vec<u8>,
    },
    /// A peer is connected and in a run of ours.
    PeerUp {
        /// The run.
        run: RunId,
        /// The peer.
        peer: NodeId,
        /// The /24 or /48 that it comes from; `None` for loopback.
        prefix: Option<Prefix>,
    },
    /// A peer has left a run of ours or is no longer connected.
    PeerDown {
        /// The run.
        run: RunId,
        /// The peer.
        peer: NodeId,
    },
    /// A peer asks. Not answering (dropping `reply`) declines.
    Request {
        /// Who asks, in a run of ours or not.
        peer: NodeId,
        /// What, at most [`REQUEST_BYTES_MAX`] bytes.
        bytes: Vec<u8>,
        /// The way back.
        reply: ReplyHandle,
    },
    /// A request of ours is done.
    Response {
        /// What [`Network::request`] returned.
        ticket: RequestTicket,
        /// Who was asked.
        peer: NodeId,
        /// The answer, or why there is none.
        result: Result<Vec<u8>, RequestError>,
    },
    /// A peer asks about runs. Not answering (dropping `reply`) declines.
    RunsAsked {
        /// Who asks: anybody.
        peer: NodeId,
        /// What, at most [`REQUEST_BYTES_MAX`] bytes.
        bytes: Vec<u8>,
        /// The way back.
        reply: ReplyHandle,
    },
    /// A question of ours about runs is done.
    RunsAnswered {
        /// What [`Network::ask_runs`] returned.
        ticket: RequestTicket,
        /// Who was asked.
        peer: NodeId,
        /// The answer, or why there is none.
        result: Result<Vec<u8>, RequestError>,
    },
    /// What a lookup found since its last event.
    Providers {
        /// What [`Network::look_up`] was given.
        key: Key,
        /// Who can be found under it, as the network says.
        peers: Vec<NodeId>,
        /// Whether the lookup is over.
        last: bool,
    },
    /// The node now listens here.
    Listening {
        /// The address, with the port that the system chose.
        address: Multiaddr,
    },
    /// The node listens here no longer.
    ListenFailed {
        /// The addresses that are lost.
        addresses: Vec<Multiaddr>,
        /// What the system said, if it was no orderly end.
        reason: String,
    },
}

/// One node's network. Must be made and polled within a tokio runtime; all nodes of a process can
/// share one.
pub struct Network {
    swarm: Swarm<Behaviour>,
    config: NetworkConfig,
    runs: BTreeMap<RunId, IdentTopic>,
    /// How this node can be reached and by whom it is found.
    place: Place,
    peers: Peers,
    discovery: Discovery,
    /// Wakes at the next tick of `discovery`.
    alarm: Pin<Box<Sleep>>,
    /// The bootstrap address that is called first next time.
    call_from: usize,
    /// Peers that are looked for, because there are requests for them.
    finding: HashMap<QueryId, PeerId>,
    /// Lookups of a key, and whether somebody asked for it.
    looking: HashMap<QueryId, (Key, bool)>,
    events: VecDeque<NetworkEvent>,
    counts: Arc<ByteCounts>,
}

impl Network {
    /// Starts listening; in no run yet.
    ///
    /// # Errors
    /// [`NetworkError`]: an address is in use or cannot be listened on, or multicast DNS is missing.
    pub fn new(config: NetworkConfig, key: Keypair) -> Result<Self, NetworkError> {
        let counts = Arc::new(ByteCounts::default());
        let mut config = config;
        if config.secret.is_some() {
            config.listen.retain(|address| address::transport_of(address) == TransportKind::Tcp);
            if config.listen.is_empty() {
                return Err(NetworkError::SecretNeedsTcp);
            }
        }
        let now = Instant::now();
        let near = Near::new(reach::calls_itself(&config), config.scope);
        let place = Place::new(&config, near.clone(), now);
        config.bootstrap.extend(config.ticket.clone());
        let parts = transport::Parts { key: &key, counts: &counts, near, secret: config.secret };
        let (transport, relay_client) = transport::build(parts)?;
        let behaviour = Behaviour::new(&config, &key, relay_client)?;
        let settings = Config::with_tokio_executor()
            .with_idle_connection_timeout(config.idle_timeout)
            .with_per_connection_event_buffer_size(CONNECTION_EVENTS_MAX)
            .with_notify_handler_buffer_size(COMMANDS_MAX)
            .with_max_negotiating_inbound_streams(NEGOTIATING_MAX)
            .with_dial_concurrency_factor(DIALS_AT_ONCE);
        let mut swarm = Swarm::new(transport, behaviour, key.public().to_peer_id(), settings);
        for address in &config.listen {
            transport::probe(address)?;
            swarm.listen_on(address.clone()).map_err(|error| match error {
                TransportError::MultiaddrNotSupported(address) => NetworkError::BadAddress { address },
                TransportError::Other(source) => NetworkError::listen(address, source),
            })?;
        }
        for address in &config.external {
            swarm.add_external_address(address.clone());
        }
        Ok(Self {
            place,
            discovery: Discovery::new(config.peers_target, now),
            alarm: Box::pin(sleep_until(now.into())),
            swarm,
            config,
            runs: BTreeMap::new(),
            peers: Peers::default(),
            call_from: 0,
            finding: HashMap::new(),
            looking: HashMap::new(),
            events: VecDeque::new(),
            counts,
        })
    }

    /// Takes part in a run from now on: hears its topic, announces and looks for it. Peers that are in it
    /// and connected come up at once.
    ///
    /// # Errors
    /// [`NetworkError::TooManyRuns`] beyond [`RUNS_MAX`].
    pub fn join_run(&mut self, run: RunId) -> Result<(), NetworkError> {
        if self.runs.contains_key(&run) {
            return Ok(());
        }
        if self.runs.len() >= RUNS_MAX {
            return Err(NetworkError::TooManyRuns);
        }
        let topic = IdentTopic::new(self.config.network.topic(&run));
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.set_topic_params(topic.clone(), topic_score()).map_err(|error| NetworkError::Gossip(error.to_owned()))?;
        gossip.subscribe(&topic).map_err(|error| NetworkError::Gossip(error.to_string()))?;
        let hash = topic.hash();
        let there: Vec<PeerId> =
            gossip.all_peers().filter(|(_, topics)| topics.contains(&&hash)).map(|(peer, _)| *peer).collect();
        self.runs.insert(run, topic);
        let now = Instant::now();
        for peer in there {
            let change = self.peers.on_subscribed(&peer, run, true);
            self.on_change(peer, change, now);
        }
        self.discovery.start(Key::Run(run), now);
        self.place.want_others(now);
        self.set_alarm();
        Ok(())
    }

    /// Takes part in a run no longer. Of its peers nothing more is said.
    pub fn leave_run(&mut self, run: &RunId) {
        let Some(topic) = self.runs.remove(run) else { return };
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gossip.unsubscribe(&topic);
        behaviour.kad.stop_providing(&translate::record_key(&self.config.network, &Key::Run(*run)));
        self.discovery.stop(&Key::Run(*run));
        for peer in self.peers.forget_run(run) {
            if !self.peers.is_up(&peer) {
                self.swarm.behaviour_mut().requests.keep(peer, false);
            }
        }
    }

    /// The runs that the node takes part in.
    pub fn runs(&self) -> impl Iterator<Item = &RunId> {
        self.runs.keys()
    }

    fn run_of(&self, topic: &TopicHash) -> Option<RunId> {
        self.runs.iter().find(|(_, ours)| ours.hash() == *topic).map(|(run, _)| *run)
    }

    /// Whether this node is to be found under the network's catalogue key.
    pub fn offer(&mut self, offering: bool) {
        if offering {
            let now = Instant::now();
            self.discovery.start(Key::Catalogue, now);
            self.place.want_others(now);
        } else {
            self.discovery.stop(&Key::Catalogue);
            let key = translate::record_key(&self.config.network, &Key::Catalogue);
            self.swarm.behaviour_mut().kad.stop_providing(&key);
        }
        self.set_alarm();
    }

    /// Asks the network who can be found under a key. The answers come as [`NetworkEvent::Providers`], of
    /// which one is the last.
    pub fn look_up(&mut self, key: Key) {
        if self.looking.values().filter(|(_, asked)| *asked).count() >= LOOKUPS_MAX {
            self.events.push_back(NetworkEvent::Providers { key, peers: Vec::new(), last: true });
            return;
        }
        let query = self.swarm.behaviour_mut().kad.get_providers(translate::record_key(&self.config.network, &key));
        self.looking.insert(query, (key, true));
        self.place.want_others(Instant::now());
        self.set_alarm();
    }

    /// Calls these addresses, too, while peers are few and no connection leads to them; `way` is
    /// where they come from. Said before the first run is joined, it gives them a start before strangers
    /// are looked for. From now on two outgoing places are kept for `long_known` (the longest first), so
    /// that newcomers, however many, cannot be all that this node sees.
    pub fn call(&mut self, way: Way, addresses: Vec<Multiaddr>, long_known: Vec<NodeId>) {
        let room = BOOTSTRAP_MAX.saturating_sub(self.config.bootstrap.len());
        let new: Vec<_> = addresses.into_iter().filter(|address| !self.config.bootstrap.contains(address)).take(room).collect();
        self.config.bootstrap.extend(new.iter().cloned());
        self.swarm.behaviour_mut().gate.know_long(&long_known);
        self.place.remember(way, new, long_known);
        self.discovery.hurry(Instant::now());
        self.set_alarm();
    }

    /// The next event. Dropping the future loses nothing, so it may stand in a `select!`.
    pub async fn next_event(&mut self) -> NetworkEvent {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<NetworkEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            if self.alarm.as_mut().poll(cx).is_ready() {
                let now = Instant::now();
                if self.discovery.next_at() <= now {
                    self.discover(now);
                }
                self.look_around(now);
                self.set_alarm();
                continue;
            }
            match self.swarm.poll_next_unpin(cx) {
                Poll::Ready(Some(event)) => self.on_swarm_event(event),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn set_alarm(&mut self) {
        let next = self.discovery.next_at().min(self.place.next_at());
        self.alarm.as_mut().reset(next.into());
    }

    /// Sends a message to a run.
    ///
    /// # Errors
    /// [`PublishError`]; nothing was sent.
    pub fn publish(&mut self, run: &RunId, data: Vec<u8>) -> Result<(), PublishError> {
        let length = data.len();
        let topic = self.runs.get(run).ok_or(PublishError::NotIn)?.hash();
        self.swarm.behaviour_mut().gossip.publish(topic, data).map(drop).map_err(|error| match error {
            GossipError::NoPeersSubscribedToTopic => PublishError::NoPeers,
            GossipError::MessageTooLarge => PublishError::TooLong(length),
            GossipError::Duplicate => PublishError::Duplicate,
            GossipError::AllQueuesFull(_) => PublishError::Full,
            other => PublishError::Other(other.to_string()),
        })
    }

    /// Says what becomes of a message. Without a verdict it is never passed on.
    pub fn validate(&mut self, ticket: &GossipTicket, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Reject => MessageAcceptance::Reject,
            Verdict::Ignore => MessageAcceptance::Ignore,
        };
        // False means that the message is no longer in the cache: then there is nothing to pass on.
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let _ = gossip.report_message_validation_result(&ticket.message, &ticket.from, acceptance);
    }

    /// Asks a peer; one that is not connected is looked for in Kademlia and dialled.
    ///
    /// `bytes` are at most [`REQUEST_BYTES_MAX`], the answer at most `response_bytes_max`; `timeout`
    /// is for all of it, dialling included. The answer comes as [`NetworkEvent::Response`].
    pub fn request(&mut self, peer: NodeId, bytes: Vec<u8>, response_bytes_max: usize, timeout: Duration) -> RequestTicket {
        let requests = &mut self.swarm.behaviour_mut().requests;
        if let Some(id) = peer_of(&peer) {
            return requests.ask(id, bytes, response_bytes_max, timeout);
        }
        let ticket = requests.next_ticket();
        self.events.push_back(NetworkEvent::Response { ticket, peer, result: Err(RequestError::nobody()) });
        ticket
    }

    /// Asks a peer about runs, as [`Network::request`] does; the answer comes as
    /// [`NetworkEvent::RunsAnswered`].
    pub fn ask_runs(&mut self, peer: NodeId, bytes: Vec<u8>, response_bytes_max: usize, timeout: Duration) -> RequestTicket {
        let catalogue = &mut self.swarm.behaviour_mut().catalogue;
        if let Some(id) = peer_of(&peer) {
            return catalogue.ask(id, bytes, response_bytes_max, timeout);
        }
        let ticket = catalogue.next_ticket();
        self.events.push_back(NetworkEvent::RunsAnswered { ticket, peer, result: Err(RequestError::nobody()) });
        ticket
    }

    /// Closes the connections with a peer and refuses new ones for so long (at most a year).
    pub fn ban(&mut self, peer: NodeId, time: Duration) {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        if let Some(peer) = peer_of(&peer) {
            let now = Instant::now();
            let behaviour = self.swarm.behaviour_mut();
            behaviour.gate.ban(peer, now + time.min(YEAR), now);
            behaviour.kad.remove_peer(&peer);
        }
    }

    /// Members that are connected, in a run of ours or not, sorted by name.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerInfo> {
        let gossip = &self.swarm.behaviour().gossip;
        let mut peers = self.peers.snapshot(|peer| gossip.peer_score(peer));
        peers.retain(|info| !self.place.is_foreign(&info.node));
        peers
    }

    /// Where this node listens, without `/p2p/...`.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.swarm.listeners().cloned().collect()
    }

    /// This node's name.
    #[must_use]
    pub fn node_id(&self) -> Option<NodeId> {
        node_of(self.swarm.local_peer_id())
    }

    /// Bytes `(sent, received)` since the start. TCP is counted at the socket (with Noise and Yamux,
    /// without TCP/IP headers), QUIC in its streams (without its packets, acknowledgements and
    /// handshake).
    #[must_use]
    pub fn byte_counts(&self) -> (u64, u64) {
        self.counts.get()
    }

    /// The same, for others to look at any time.
    #[must_use]
    pub fn counter(&self) -> Arc<ByteCounts> {
        Arc::clone(&self.counts)
    }
}
