//! The hub: the node's one network, shared by all its runs.
//!
//! ```text
//!   driver of run A ──commands──>                    ┌──events──> driver of run A
//!   driver of run B ──commands──>   Hub ── Network ──┼──events──> driver of run B
//!   the node        ──commands──>                    └──answers─> surveys of what others offer
//! ```
//! Only the hub touches the [`Network`]. It decides whose an event is, answers strangers' questions
//! about runs, and nothing else: what a message means is the driver's business. A request belongs to
//! the run that it names; one that names none of ours goes to the first, so that its fault is counted.
//!
//! Every queue is bounded. A run that does not keep up loses messages and requests, which the network
//! bears, and never a peer's coming and going or the answer to its own question; if even those find no
//! room, its line is cut and its driver ends. No run can hold up another.

mod line;
mod survey;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use shoal_protocol::id::{NodeId, RunId};
use shoal_protocol::wire::Request;
use tokio::sync::{mpsc, oneshot, watch};

pub use line::{Event, Line, News};
pub use survey::{Found, SURVEY_PEERS_MAX};

use crate::catalogue::Shelf;
use crate::swarm::{
    ByteCounts, GossipTicket, Key, Network, NetworkConfig, NetworkError, NetworkEvent, RequestTicket, Verdict, Way,
};
use survey::Surveys;

/// How often what all runs share is told anew: as often as a status is.
const NEWS_EVERY: Duration = Duration::from_millis(250);
/// Commands that wait for the hub. A machine gives a few for each event; a guess.
const COMMANDS_MAX: usize = 4_096;
/// Messages and requests that wait for one driver; more are dropped. Guess: a period's announces of a
/// full view.
const WAITING_MAX: usize = 512;
/// Events of any kind that wait for one driver: beside the above, two for each of 160 connections and one
/// for each of 256 requests under way, with room to spare.
const EVENTS_MAX: usize = 2_048;

/// What runs and the node ask of the hub.
#[derive(Debug)]
pub(crate) enum Command {
    Publish { run: RunId, data: Vec<u8> },
    Validate { ticket: GossipTicket, verdict: Verdict },
    Request { run: RunId, ask: u64, peer: NodeId, bytes: Vec<u8>, response_bytes_max: usize, timeout: Duration },
    Ban { peer: NodeId, time: Duration },
    Leave { run: RunId },
    Join { run: RunId, line: oneshot::Sender<Result<Line, NetworkError>> },
    Call { way: Way, addresses: Vec<Multiaddr>, long_known: Vec<NodeId> },
    Shelve { shelf: Shelf },
    Survey { key: Key, question: Vec<u8>, answer_bytes_max: usize, found: mpsc::Sender<Found> },
}

/// The hub's end of a line.
struct Run {
    events: mpsc::Sender<Event>,
    waiting: Arc<AtomicUsize>,
}

/// Owns the network of a node. It ends when nobody has a line or a handle any more.
pub struct Hub {
    network: Network,
    runs: BTreeMap<RunId, Run>,
    asks: HashMap<RequestTicket, (RunId, u64)>,
    surveys: Surveys,
    shelf: Shelf,
    commands: mpsc::Receiver<Command>,
    /// What new lines are given. The hub itself must not keep its queue open.
    commander: mpsc::WeakSender<Command>,
    news: watch::Sender<Arc<News>>,
    counts: Arc<ByteCounts>,
}

/// What the node asks the hub through. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct HubHandle {
    commands: mpsc::Sender<Command>,
    news: watch::Receiver<Arc<News>>,
    counts: Arc<ByteCounts>,
}

/// The hub has ended: the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub struct HubGone;

impl Hub {
    /// A hub whose network listens; nothing happens before [`Hub::run`].
    ///
    /// # Errors
    /// [`NetworkError`], as [`Network::new`].
    pub fn new(config: NetworkConfig, key: Keypair) -> Result<(Self, HubHandle), NetworkError> {
        let network = Network::new(config, key)?;
        let (commander, commands) = mpsc::channel(COMMANDS_MAX);
        let (news, watched) = watch::channel(Arc::new(News::default()));
        let counts = network.counter();
        let hub = Self {
            network,
            runs: BTreeMap::new(),
            asks: HashMap::new(),
            surveys: Surveys::default(),
            shelf: Shelf::default(),
            commands,
            commander: commander.downgrade(),
            news,
            counts: Arc::clone(&counts),
        };
        Ok((hub, HubHandle { commands: commander, news: watched, counts }))
    }

    /// A line for this run, which the node is in from now on.
    ///
    /// # Errors
    /// [`NetworkError::TooManyRuns`], or [`NetworkError::RunTaken`] if there is a line for it.
    pub fn join(&mut self, run: RunId) -> Result<Line, NetworkError> {
        if self.runs.get(&run).is_some_and(|taken| !taken.events.is_closed()) {
            return Err(NetworkError::RunTaken);
        }
        // Without a handle or another line there is nobody who could ask for one.
        let commands = self.commander.upgrade().ok_or(NetworkError::RunTaken)?;
        // A line that was dropped a moment ago may not have said goodbye yet.
        self.network.leave_run(&run);
        self.network.join_run(run)?;
        let (events, waiting) = (mpsc::channel(EVENTS_MAX), Arc::new(AtomicUsize::new(0)));
        self.runs.insert(run, Run { events: events.0, waiting: Arc::clone(&waiting) });
        let (news, counts) = (self.news.subscribe(), Arc::clone(&self.counts));
        Ok(Line { run, events: events.1, refused: VecDeque::new(), commands, news, counts, waiting })
    }

    /// Calls these addresses of an earlier life, too, and keeps places for peers known long.
    pub fn call(&mut self, addresses: Vec<Multiaddr>, long_known: Vec<NodeId>) {
        self.network.call(Way::Remembered, addresses, long_known);
    }

    /// Serves all runs until there is neither line nor handle.
    pub async fn run(mut self) {
        let mut news = tokio::time::interval(NEWS_EVERY);
        loop {
            tokio::select! {
                event = self.network.next_event() => self.on_event(event),
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                _ = news.tick() => {
                    self.surveys.drop_abandoned();
                    self.tell_news();
                }
            }
        }
    }

    fn tell_news(&self) {
        let (reach, addresses) = self.network.reach();
        let (peers, listen, ways) = (self.network.peers(), self.network.listen_addresses(), self.network.ways());
        let news = News { peers, listen, reach, addresses, ways };
        self.news.send_replace(Arc::new(news));
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { run, data } => {
                let bytes = data.len();
                let published = self.network.publish(&run, data).map(|()| bytes);
                self.tell(&run, Event::Published(published));
            }
            Command::Validate { ticket, verdict } => self.network.validate(&ticket, verdict),
            Command::Request { run, ask, peer, bytes, response_bytes_max, timeout } => {
                let ticket = self.network.request(peer, bytes, response_bytes_max, timeout);
                self.asks.insert(ticket, (run, ask));
            }
            Command::Ban { peer, time } => self.network.ban(peer, time),
            Command::Leave { run } => {
                if self.runs.get(&run).is_some_and(|line| line.events.is_closed()) {
                    self.leave(&run);
                }
            }
            Command::Join { run, line } => {
                // Who asked may be gone; the line then says goodbye by itself.
                let _ = line.send(self.join(run));
            }
            Command::Call { way, addresses, long_known } => self.network.call(way, addresses, long_known),
            Command::Shelve { shelf } => {
                self.network.offer(!shelf.is_empty());
                self.shelf = shelf;
            }
            Command::Survey { key, question, answer_bytes_max, found } => {
                let connected = self.network.peers().into_iter().map(|info| info.node);
                let wanted = self.surveys.start(key, question, answer_bytes_max, found, connected);
                self.network.look_up(key);
                self.ask_all(wanted);
            }
        }
    }

    fn leave(&mut self, run: &RunId) {
        self.runs.remove(run);
        self.network.leave_run(run);
    }

    /// Puts an event that must not be lost into a run's queue.
    fn tell(&mut self, run: &RunId, event: Event) {
        let Some(line) = self.runs.get(run) else { return };
        if let Err(error) = line.events.try_send(event) {
            if matches!(error, mpsc::error::TrySendError::Full(_)) {
                tracing::error!(%run, "the run does not keep up at all; it is cut off");
            }
            self.leave(run);
        }
    }

    /// Puts a message or a request into a run's queue, or returns it if too many wait there.
    fn offer(&mut self, run: &RunId, event: Event) -> Option<Event> {
        let Some(line) = self.runs.get(run) else { return Some(event) };
        if line.waiting.load(Ordering::Relaxed) >= WAITING_MAX {
            return Some(event);
        }
        line.waiting.fetch_add(1, Ordering::Relaxed);
        self.tell(run, event);
        None
    }

    fn on_event(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Gossip { run, ticket, source, data } => {
                if let Some(Event::Gossip { ticket, .. }) = self.offer(&run, Event::Gossip { ticket, source, data }) {
                    self.network.validate(&ticket, Verdict::Ignore);
                }
            }
            NetworkEvent::PeerUp { run, peer, prefix } => self.tell(&run, Event::PeerUp { peer, prefix }),
            NetworkEvent::PeerDown { run, peer } => self.tell(&run, Event::PeerDown { peer }),
            NetworkEvent::Request { peer, bytes, reply } => {
                if let Some(run) = self.addressed(&bytes) {
                    // Dropping the way back declines.
                    drop(self.offer(&run, Event::Request { peer, bytes, reply }));
                }
            }
            NetworkEvent::Response { ticket, peer, result } => {
                if let Some((run, ask)) = self.asks.remove(&ticket) {
                    self.tell(&run, Event::Response { ask, peer, result });
                }
            }
            NetworkEvent::RunsAsked { bytes, reply, .. } => {
                if let Some(answer) = self.shelf.answer(&bytes) {
                    reply.send(answer);
                }
            }
            NetworkEvent::RunsAnswered { ticket, peer, result } => {
                let wanted = self.surveys.on_answer(ticket, peer, result);
                self.ask_all(wanted);
            }
            NetworkEvent::Providers { key, peers, last } => {
                let wanted = self.surveys.on_providers(key, peers, last);
                self.ask_all(wanted);
            }
            NetworkEvent::Listening { address } => {
                tracing::info!(%address, "listening");
                self.tell_news();
            }
            NetworkEvent::ListenFailed { addresses, reason } => {
                tracing::warn!(?addresses, %reason, "no longer listening");
            }
        }
    }

    /// The run that a request names, or the first of ours.
    fn addressed(&self, bytes: &[u8]) -> Option<RunId> {
        let named = Request::decode(bytes).ok().map(|request| request.run());
        named.filter(|run| self.runs.contains_key(run)).or_else(|| self.runs.keys().next().copied())
    }

    fn ask_all(&mut self, wanted: Vec<survey::Wanted>) {
        for survey::Wanted { survey, peer, question, answer_bytes_max } in wanted {
            let ticket = self.network.ask_runs(peer, question, answer_bytes_max, survey::ANSWER_WITHIN);
            self.surveys.on_asked(survey, ticket);
        }
    }
}

impl HubHandle {
    /// A line for this run, which the node is in from now on.
    ///
    /// # Errors
    /// [`NetworkError`], as [`Hub::join`]; [`NetworkError::RunTaken`] also if the hub has ended.
    pub async fn join(&self, run: RunId) -> Result<Line, NetworkError> {
        let (line, joined) = oneshot::channel();
        let _ = self.commands.send(Command::Join { run, line }).await;
        joined.await.unwrap_or(Err(NetworkError::RunTaken))
    }

    /// Calls these addresses of an earlier life, too, and keeps places for peers known long.
    ///
    /// # Errors
    /// [`HubGone`].
    pub async fn call(&self, way: Way, addresses: Vec<Multiaddr>, long_known: Vec<NodeId>) -> Result<(), HubGone> {
        self.commands.send(Command::Call { way, addresses, long_known }).await.map_err(|_| HubGone)
    }

    /// What strangers are answered who ask about runs, from now on.
    ///
    /// # Errors
    /// [`HubGone`].
    pub async fn shelve(&self, shelf: Shelf) -> Result<(), HubGone> {
        self.commands.send(Command::Shelve { shelf }).await.map_err(|_| HubGone)
    }

    /// Asks those who are connected, and those who can be found under `key`, one question about runs.
    /// Answers come in any order, at most [`SURVEY_PEERS_MAX`]; the channel closes after the last, and
    /// dropping it ends the survey.
    ///
    /// # Errors
    /// [`HubGone`].
    pub async fn survey(&self, key: Key, question: Vec<u8>, answer_bytes_max: usize) -> Result<mpsc::Receiver<Found>, HubGone> {
        let (found, answers) = mpsc::channel(SURVEY_PEERS_MAX);
        self.commands.send(Command::Survey { key, question, answer_bytes_max, found }).await.map_err(|_| HubGone)?;
        Ok(answers)
    }

    /// Peers and addresses, as of a moment ago; changes wake who watches.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<Arc<News>> {
        self.news.clone()
    }

    /// Bytes `(sent, received)` since the start.
    #[must_use]
    pub fn byte_counts(&self) -> (u64, u64) {
        self.counts.get()
    }
}
