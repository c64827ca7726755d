//! A line: one run's end of the hub.
//!
//! Events come in, commands go out, and a watch shows what all runs of a node share. Whoever holds a
//! line hears of its run and no other. Nothing in here waits for the network: a command that finds the
//! hub's queue full is dropped where that harms nobody but us, or answered as a failure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libp2p::Multiaddr;
use shoal_protocol::id::{NodeId, RunId};
use tokio::sync::{mpsc, watch};

use super::Command;
use crate::swarm::{
    ByteCounts, GossipTicket, PeerInfo, Prefix, PublishError, Reach, ReplyHandle, RequestError, Verdict, WayStatus,
};

/// What happened in a run.
#[derive(Debug)]
pub enum Event {
    /// A message on the run's topic; it waits for [`Line::validate`].
    Gossip {
        /// For [`Line::validate`].
        ticket: GossipTicket,
        /// Who passed it on to us.
        source: NodeId,
        /// The message.
        data: Vec<u8>,
    },
    /// A peer is connected and in the run.
    PeerUp {
        /// The peer.
        peer: NodeId,
        /// Where it comes from; `None` for loopback.
        prefix: Option<Prefix>,
    },
    /// A peer is so no longer.
    PeerDown {
        /// The peer.
        peer: NodeId,
    },
    /// A peer asks. Dropping `reply` declines.
    Request {
        /// Who asks.
        peer: NodeId,
        /// What.
        bytes: Vec<u8>,
        /// The way back.
        reply: ReplyHandle,
    },
    /// What [`Line::request`] came to: exactly one for each.
    Response {
        /// The number that the request was given.
        ask: u64,
        /// Who was asked.
        peer: NodeId,
        /// The answer, or why there is none.
        result: Result<Vec<u8>, RequestError>,
    },
    /// What [`Line::publish`] came to: the bytes sent, or why there are none.
    Published(Result<usize, PublishError>),
}

/// What all runs of a node share, as of a moment ago.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// Everybody who is connected, sorted by name.
    pub peers: Vec<PeerInfo>,
    /// Where the node listens.
    pub listen: Vec<Multiaddr>,
    /// How it can be reached.
    pub reach: Reach,
    /// The addresses that others are told, sorted.
    pub addresses: Vec<Multiaddr>,
    /// How each way of finding others is doing.
    pub ways: Vec<WayStatus>,
}

/// One run's end of the hub. Dropping it leaves the run.
#[derive(Debug)]
pub struct Line {
    pub(super) run: RunId,
    pub(super) events: mpsc::Receiver<Event>,
    /// Failures of our own that nobody else will report.
    pub(super) refused: VecDeque<Event>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) news: watch::Receiver<Arc<News>>,
    pub(super) counts: Arc<ByteCounts>,
    /// Messages and requests that wait in `events`.
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Line {
    /// The run.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// The next event, or `None` once the hub is gone. Dropping the future loses nothing.
    pub async fn next_event(&mut self) -> Option<Event> {
        if let Some(event) = self.refused.pop_front() {
            return Some(event);
        }
        let event = self.events.recv().await?;
        if matches!(event, Event::Gossip { .. } | Event::Request { .. }) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Some(event)
    }

    /// Sends a message to the run; [`Event::Published`] says what came of it.
    pub fn publish(&mut self, data: Vec<u8>) {
        let run = self.run;
        if self.commands.try_send(Command::Publish { run, data }).is_err() {
            self.refused.push_back(Event::Published(Err(PublishError::Full)));
        }
    }

    /// Says what becomes of a message. Without a verdict it is never passed on.
    pub fn validate(&self, ticket: GossipTicket, verdict: Verdict) {
        // A message whose verdict is lost is not passed on: others have it from somebody else.
        let _ = self.commands.try_send(Command::Validate { ticket, verdict });
    }

    /// Asks a peer, as [`crate::swarm::Network::request`] does; `ask` is the caller's name for it.
    pub fn request(&mut self, ask: u64, peer: NodeId, bytes: Vec<u8>, response_bytes_max: usize, timeout: Duration) {
        let run = self.run;
        let command = Command::Request { run, ask, peer, bytes, response_bytes_max, timeout };
        if self.commands.try_send(command).is_err() {
            self.refused.push_back(Event::Response { ask, peer, result: Err(RequestError::TooMany) });
        }
    }

    /// Refuses a peer for so long, in all runs of this node.
    pub fn ban(&self, peer: NodeId, time: Duration) {
        if self.commands.try_send(Command::Ban { peer, time }).is_err() {
            tracing::warn!(peer = %peer.short(), "the ban could not be carried out: too much is going on");
        }
    }

    /// Peers and addresses, as of a moment ago.
    #[must_use]
    pub fn news(&self) -> Arc<News> {
        Arc::clone(&self.news.borrow())
    }

    /// Bytes `(sent, received)` of the whole node since it started.
    #[must_use]
    pub fn byte_counts(&self) -> (u64, u64) {
        self.counts.get()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A hub that is gone is in no run, and one that is busy notices at the next event.
        let _ = self.commands.try_send(Command::Leave { run: self.run });
    }
}
