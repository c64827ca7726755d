//! The requests of one connection, both ways. Runs in the connection's own task: when the
//! connection goes, all of its work goes with it, and nothing needs to be cleaned up elsewhere.
//!
//! Our own requests wait in order until one of the connection's places is free. A stream that a
//! peer opens beyond its places is dropped at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use libp2p::StreamProtocol;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, Stream, StreamUpgradeError, SubstreamProtocol};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::frame::{self, Answer};
use super::{RequestError, RequestTicket};
use crate::swarm::config::RequestBounds;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(super) ticket: RequestTicket,
    pub(super) request: Vec<u8>,
    pub(super) response_bytes_max: usize,
    pub(super) deadline: Instant,
}

/// What the behaviour tells a connection.
#[derive(Debug)]
pub(crate) enum ToHandler {
    /// Ask this.
    Ask(Ask),
    /// Whether this connection stays open while nothing uses it.
    Keep(bool),
}

/// What a connection tells the behaviour.
#[derive(Debug)]
pub(crate) enum FromHandler {
    /// The peer asks; whatever is sent back through `reply` is the answer, and dropping it declines.
    Asked { request: Vec<u8>, reply: oneshot::Sender<Vec<u8>> },
    /// The peer answered, or will not.
    Answered { ticket: RequestTicket, result: Result<Vec<u8>, RequestError> },
    /// Whether anything is asked or answered on this connection, whenever that changes.
    Busy(bool),
}

/// A request read from a stream that waits for its answer.
struct Heard {
    request: Vec<u8>,
    stream: Stream,
    place: OwnedSemaphorePermit,
    deadline: Instant,
}

/// One connection's requests.
pub(crate) struct Handler {
    protocol: StreamProtocol,
    bounds: Arc<RequestBounds>,
    /// The node's places for inbound requests.
    places: Arc<Semaphore>,
    keep: bool,
    /// What the behaviour was told last by [`FromHandler::Busy`].
    told_busy: bool,
    waiting: VecDeque<Ask>,
    /// Streams that are being negotiated.
    opening: usize,
    asking: FuturesUnordered<BoxFuture<'static, FromHandler>>,
    serving: FuturesUnordered<BoxFuture<'static, Option<Heard>>>,
}

impl Handler {
    pub(super) fn new(protocol: StreamProtocol, bounds: Arc<RequestBounds>, places: Arc<Semaphore>, keep: bool) -> Self {
        Self {
            protocol,
            bounds,
            places,
            keep,
            told_busy: false,
            waiting: VecDeque::new(),
            opening: 0,
            asking: FuturesUnordered::new(),
            serving: FuturesUnordered::new(),
        }
    }

    fn is_busy(&self) -> bool {
        !self.asking.is_empty() || !self.serving.is_empty() || !self.waiting.is_empty() || self.opening > 0
    }

    fn on_inbound(&mut self, mut stream: Stream) {
        if self.serving.len() >= self.bounds.per_connection {
            return;
        }
        let deadline = Instant::now() + self.bounds.serve_timeout;
        let place = Arc::clone(&self.places).try_acquire_owned();
        self.serving.push(Box::pin(async move {
            let Ok(place) = place else {
                let _ = timeout_at(deadline, frame::tell(&mut stream, &Answer::Busy)).await;
                return None;
            };
            let request = timeout_at(deadline, frame::hear(&mut stream)).await.ok()?.ok()?;
            Some(Heard { request, stream, place, deadline })
        }));
    }

    fn on_heard(&mut self, heard: Heard) -> FromHandler {
        let Heard { request, mut stream, place, deadline } = heard;
        let (reply, answer) = oneshot::channel();
        self.serving.push(Box::pin(async move {
            let told = async {
                let answer = answer.await.map_or(Answer::Declined, Answer::Found);
                frame::tell(&mut stream, &answer).await
            };
            let _ = timeout_at(deadline, told).await;
            drop(place);
            None
        }));
        FromHandler::Asked { request, reply }
    }

    fn on_outbound(&mut self, mut stream: Stream, ask: Ask) {
        self.opening = self.opening.saturating_sub(1);
        self.asking.push(Box::pin(async move {
            let answered = frame::ask(&mut stream, &ask.request, ask.response_bytes_max);
            let result = timeout_at(ask.deadline, answered).await.unwrap_or(Err(RequestError::TimedOut));
            FromHandler::Answered { ticket: ask.ticket, result }
        }));
    }

    fn on_refused(&mut self, ask: &Ask, error: StreamUpgradeError<std::convert::Infallible>) {
        self.opening = self.opening.saturating_sub(1);
        let error = match error {
            StreamUpgradeError::Timeout => RequestError::TimedOut,
            StreamUpgradeError::NegotiationFailed => RequestError::Unsupported,
            StreamUpgradeError::Io(error) => RequestError::Closed { reason: error.to_string() },
            StreamUpgradeError::Apply(never) => match never {},
        };
        let ticket = ask.ticket;
        self.asking.push(Box::pin(async move { FromHandler::Answered { ticket, result: Err(error) } }));
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = ToHandler;
    type ToBehaviour = FromHandler;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Ask;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep || self.is_busy()
    }

    fn on_behaviour_event(&mut self, event: ToHandler) {
        match event {
            ToHandler::Ask(ask) => self.waiting.push_back(ask),
            ToHandler::Keep(keep) => self.keep = keep,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol, (), Ask>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => self.on_inbound(protocol),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                self.on_outbound(protocol, info);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => self.on_refused(&info, error),
            _ => {}
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Ask, Self::ToBehaviour>> {
        if let Poll::Ready(Some(answered)) = self.asking.poll_next_unpin(cx) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(answered));
        }
        while let Poll::Ready(Some(served)) = self.serving.poll_next_unpin(cx) {
            if let Some(heard) = served {
                return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(self.on_heard(heard)));
            }
        }
        let now = Instant::now();
        while self.asking.len() + self.opening < self.bounds.per_connection {
            let Some(ask) = self.waiting.pop_front() else { break };
            // The behaviour has already reported a request whose time is over.
            if ask.deadline <= now {
                continue;
            }
            self.opening += 1;
            let protocol =
                SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ask).with_timeout(self.bounds.serve_timeout);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        let busy = self.is_busy();
        if std::mem::replace(&mut self.told_busy, busy) != busy {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(FromHandler::Busy(busy)));
        }
        Poll::Pending
    }
}
