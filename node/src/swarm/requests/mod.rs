//! Questions and answers between two nodes: one stream each, one frame each way.
//!
//! The behaviour dials whom it must, hands a request to one connection and sees to it that every
//! [`RequestTicket`] gets exactly one [`Event::Response`], whatever the peer does: it answers, it is
//! silent, it is not there, its connection breaks. Everything is bounded: requests of our own in
//! all, work a connection, work in all, the length of each frame, and the time for each.
//!
//! It also knows which connections are in use: one to a peer of the run is kept though nothing uses it
//! ([`Behaviour::keep`]), until somebody else lets it go who asks since when ([`Behaviour::quiet_since`]).
//!
//! libp2p's own request-response reads an answer without knowing which request it belongs to, so it
//! could not check each against its own bound before allocating; libp2p-stream keeps a channel for
//! every connection there ever was, and drops streams that come two at a time. Hence this room.

mod frame;
mod handler;
mod whereabouts;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished, DialFailure};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

pub use frame::REQUEST_BYTES_MAX;
use handler::{Ask, FromHandler, Handler, ToHandler};
use whereabouts::Whereabouts;

use super::config::RequestBounds;

/// Longest time that a request may take, however long it is given.
const TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// Names one request of ours until its answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestTicket(u64);

#[cfg(test)]
impl RequestTicket {
    /// A ticket of this number, for those who keep books about tickets.
    pub(crate) const fn numbered(number: u64) -> Self {
        Self(number)
    }
}

/// The way back to a peer that asked. Dropping it tells the peer "declined".
#[derive(Debug)]
pub struct ReplyHandle(oneshot::Sender<Vec<u8>>);

impl ReplyHandle {
    /// Sends the answer. If the peer has gone there is nobody to tell.
    pub fn send(self, bytes: Vec<u8>) {
        let _ = self.0.send(bytes);
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No connection, and none could be made.
    #[error("cannot be reached: {reason}")]
    Unreachable {
        /// What was tried.
        reason: String,
    },
    /// The connection or the stream ended before the answer was whole.
    #[error("went away: {reason}")]
    Closed {
        /// What the stream said.
        reason: String,
    },
    /// No whole answer in time.
    #[error("did not answer in time")]
    TimedOut,
    /// The peer has it not, or will not say.
    #[error("declined")]
    Declined,
    /// The peer answers as many as it can; later it may.
    #[error("is busy")]
    Busy,
    /// The peer does not speak this protocol.
    #[error("does not speak this protocol")]
    Unsupported,
    /// The answer would be longer than what was asked for allows.
    #[error("would send {said} bytes where {allowed} are allowed")]
    TooLong {
        /// The length that the peer said.
        said: usize,
        /// The longest answer that this request can have.
        allowed: usize,
    },
    /// An answer that means nothing.
    #[error("answered with the unknown status {status}")]
    Garbage {
        /// The status byte.
        status: u8,
    },
    /// Ours: as many requests are under way as are allowed.
    #[error("too many requests are under way")]
    TooMany,
    /// Ours: a request longer than [`REQUEST_BYTES_MAX`].
    #[error("the request has {0} bytes; at most {REQUEST_BYTES_MAX} are allowed")]
    RequestTooLong(usize),
}

impl RequestError {
    /// The name is no point of the curve, so nobody can hold its key.
    pub(super) fn nobody() -> Self {
        Self::Unreachable { reason: "the name is nobody's key".to_owned() }
    }

    /// Whether an honest peer on a bad line could not have caused this.
    #[must_use]
    pub const fn proves_fault(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::Garbage { .. })
    }
}

/// What the behaviour reports.
#[derive(Debug)]
pub(super) enum Event {
    /// A peer asks.
    Request { peer: PeerId, request: Vec<u8>, reply: ReplyHandle },
    /// Nothing is known of where this peer is. Until [`Behaviour::unreachable`] is called or it is
    /// connected, its requests wait.
    Lost { peer: PeerId },
    /// A request of ours is done.
    Response { ticket: RequestTicket, peer: PeerId, result: Result<Vec<u8>, RequestError> },
}

/// A request of ours that has no answer yet.
struct Open {
    peer: PeerId,
    deadline: Instant,
    /// The connection it was given to; while there is none, the request itself.
    place: Place,
}

enum Place {
    Dialing(Ask),
    On(ConnectionId),
}

/// The requests of one node.
pub(super) struct Behaviour {
    protocol: StreamProtocol,
    bounds: Arc<RequestBounds>,
    places: Arc<Semaphore>,
    next_ticket: u64,
    open: HashMap<RequestTicket, Open>,
    /// The same, by deadline.
    deadlines: BTreeSet<(Instant, RequestTicket)>,
    /// Wakes at the first deadline.
    alarm: Option<(Instant, Pin<Box<Sleep>>)>,
    connections: HashMap<PeerId, Vec<ConnectionId>>,
    kept: HashSet<PeerId>,
    /// Connections on which something is asked or answered.
    busy: HashSet<ConnectionId>,
    /// When something was on a connected peer's way last: a connection, the end of an answer.
    quiet_since: HashMap<PeerId, std::time::Instant>,
    whereabouts: Whereabouts,
    /// Peers whose whereabouts were asked for.
    lost: HashSet<PeerId>,
    queue: VecDeque<ToSwarm<Event, ToHandler>>,
}

impl Behaviour {
    pub(super) fn new(protocol: StreamProtocol, bounds: RequestBounds) -> Self {
        Self {
            protocol,
            places: Arc::new(Semaphore::new(bounds.inbound)),
            bounds: Arc::new(bounds),
            next_ticket: 0,
            open: HashMap::new(),
            deadlines: BTreeSet::new(),
            alarm: None,
            connections: HashMap::new(),
            kept: HashSet::new(),
            busy: HashSet::new(),
            quiet_since: HashMap::new(),
            whereabouts: Whereabouts::default(),
            lost: HashSet::new(),
            queue: VecDeque::new(),
        }
    }

    /// A ticket that nobody has.
    pub(super) fn next_ticket(&mut self) -> RequestTicket {
        self.next_ticket += 1;
        RequestTicket(self.next_ticket)
    }

    /// Asks a peer, dialling it if need be.
    pub(super) fn ask(&mut self, peer: PeerId, request: Vec<u8>, response_bytes_max: usize, timeout: Duration) -> RequestTicket {
        let ticket = self.next_ticket();
        let refused = if request.len() > REQUEST_BYTES_MAX {
            Some(RequestError::RequestTooLong(request.len()))
        } else if self.open.len() >= self.bounds.outbound {
            Some(RequestError::TooMany)
        } else {
            None
        };
        if let Some(error) = refused {
            self.report(ticket, peer, Err(error));
            return ticket;
        }
        let deadline = Instant::now() + timeout.min(TIMEOUT_MAX);
        let ask = Ask { ticket, request, response_bytes_max, deadline };
        let place = match self.connections.get(&peer).and_then(|all| all.first()) {
            Some(&connection) => self.give(peer, connection, ask),
            None => {
                let opts = DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing).build();
                self.queue.push_back(ToSwarm::Dial { opts });
                Place::Dialing(ask)
            }
        };
        self.deadlines.insert((deadline, ticket));
        self.open.insert(ticket, Open { peer, deadline, place });
        ticket
    }

    /// Keeps the connections with this peer, those there are and those to come, or lets them idle out.
    pub(super) fn keep(&mut self, peer: PeerId, keep: bool) {
        let changed = if keep { self.kept.insert(peer) } else { self.kept.remove(&peer) };
        if changed {
            for &connection in self.connections.get(&peer).into_iter().flatten() {
                let handler = NotifyHandler::One(connection);
                self.queue.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: ToHandler::Keep(keep) });
            }
        }
    }

    /// Where this peer says it is, for the next time that it is called.
    pub(super) fn note_whereabouts(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        self.whereabouts.note(peer, addresses);
    }

    /// Since when nothing is asked or answered on any connection with this peer; `None` if something is, or
    /// there is no connection.
    pub(super) fn quiet_since(&self, peer: &PeerId) -> Option<std::time::Instant> {
        let busy = self.connections.get(peer).into_iter().flatten().any(|connection| self.busy.contains(connection));
        let asked = busy || self.open.values().any(|open| open.peer == *peer);
        if asked { None } else { self.quiet_since.get(peer).copied() }
    }

    fn give(&mut self, peer_id: PeerId, connection: ConnectionId, ask: Ask) -> Place {
        let handler = NotifyHandler::One(connection);
        self.queue.push_back(ToSwarm::NotifyHandler { peer_id, handler, event: ToHandler::Ask(ask) });
        Place::On(connection)
    }

    /// Ends a request; a second end of the same one is not reported.
    fn finish(&mut self, ticket: RequestTicket, result: Result<Vec<u8>, RequestError>) {
        if let Some(open) = self.open.remove(&ticket) {
            self.deadlines.remove(&(open.deadline, ticket));
            self.report(ticket, open.peer, result);
        }
    }

    fn report(&mut self, ticket: RequestTicket, peer: PeerId, result: Result<Vec<u8>, RequestError>) {
        self.queue.push_back(ToSwarm::GenerateEvent(Event::Response { ticket, peer, result }));
    }

    /// Ends every open request that `which` names.
    fn finish_all(&mut self, error: &RequestError, which: impl Fn(&Open) -> bool) {
        let mut ended: Vec<_> = self.open.iter().filter(|(_, open)| which(open)).map(|(ticket, _)| *ticket).collect();
        ended.sort_unstable();
        for ticket in ended {
            self.finish(ticket, Err(error.clone()));
        }
    }

    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId) {
        self.connections.entry(peer).or_default().push(connection);
        self.quiet_since.insert(peer, std::time::Instant::now());
        self.lost.remove(&peer);
        let waiting = |open: &Open| open.peer == peer && matches!(open.place, Place::Dialing(_));
        let mut tickets: Vec<_> = self.open.iter().filter(|(_, open)| waiting(open)).map(|(ticket, _)| *ticket).collect();
        tickets.sort_unstable();
        for ticket in tickets {
            let Some(open) = self.open.get_mut(&ticket) else { continue };
            if let Place::Dialing(ask) = std::mem::replace(&mut open.place, Place::On(connection)) {
                self.give(peer, connection, ask);
            }
        }
    }

    fn on_closed(&mut self, peer: PeerId, connection: ConnectionId) {
        self.busy.remove(&connection);
        if let Some(all) = self.connections.get_mut(&peer) {
            all.retain(|other| *other != connection);
            if all.is_empty() {
                self.connections.remove(&peer);
                self.quiet_since.remove(&peer);
            }
        }
        let error = RequestError::Closed { reason: "the connection closed".to_owned() };
        self.finish_all(&error, |open| matches!(open.place, Place::On(place) if place == connection));
    }

    fn on_dial_failure(&mut self, peer: PeerId, error: &DialError) {
        // Somebody else's dial is under way; its end will be ours.
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        if matches!(error, DialError::Transport(_) | DialError::WrongPeerId { .. }) {
            self.whereabouts.forget(&peer);
        }
        let asked = self.open.values().any(|open| open.peer == peer && matches!(open.place, Place::Dialing(_)));
        if asked && matches!(error, DialError::NoAddresses) && self.lost.insert(peer) {
            self.queue.push_back(ToSwarm::GenerateEvent(Event::Lost { peer }));
        } else {
            self.unreachable(peer, error.to_string());
        }
    }

    /// Ends the requests of a peer that cannot be connected.
    pub(super) fn unreachable(&mut self, peer: PeerId, reason: String) {
        self.lost.remove(&peer);
        let error = RequestError::Unreachable { reason };
        self.finish_all(&error, |open| open.peer == peer && matches!(open.place, Place::Dialing(_)));
    }

    /// Ends what is overdue and sets the alarm for the next.
    fn poll_deadlines(&mut self, cx: &mut Context<'_>) {
        while let Some(&(deadline, ticket)) = self.deadlines.first() {
            if deadline <= Instant::now() {
                self.finish(ticket, Err(RequestError::TimedOut));
                continue;
            }
            let alarm = match &mut self.alarm {
                Some((set, alarm)) => {
                    if *set != deadline {
                        *set = deadline;
                        alarm.as_mut().reset(deadline);
                    }
                    alarm
                }
                none => &mut none.insert((deadline, Box::pin(sleep_until(deadline)))).1,
            };
            if alarm.as_mut().poll(cx).is_pending() {
                return;
            }
        }
    }

    fn handler(&self, peer: &PeerId) -> Handler {
        let keep = self.kept.contains(peer);
        Handler::new(self.protocol.clone(), Arc::clone(&self.bounds), Arc::clone(&self.places), keep)
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        Ok(peer.map_or_else(Vec::new, |peer| self.whereabouts.of(&peer)))
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(&peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(&peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, connection_id, .. }) => {
                self.on_connected(peer_id, connection_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                self.on_closed(peer_id, connection_id);
            }
            FromSwarm::DialFailure(DialFailure { peer_id: Some(peer), error, .. }) => self.on_dial_failure(peer, error),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            FromHandler::Asked { request, reply } => {
                let event = Event::Request { peer, request, reply: ReplyHandle(reply) };
                self.queue.push_back(ToSwarm::GenerateEvent(event));
            }
            FromHandler::Answered { ticket, result } => self.finish(ticket, result),
            FromHandler::Busy(true) => drop(self.busy.insert(connection)),
            FromHandler::Busy(false) => {
                self.busy.remove(&connection);
                self.quiet_since.insert(peer, std::time::Instant::now());
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.poll_deadlines(cx);
        self.queue.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
