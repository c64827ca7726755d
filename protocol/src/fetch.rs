//! Whom to ask for what: questions under way, their budgets, and the next holder to try.
//!
//! Bounds come first: so many questions at once, so many to one peer. The room knows nothing of
//! time; the host answers every question, be it with a failure when its own timeout ran out.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Digest, NodeId};
use crate::wire::Request;

/// Questions under way at once. Twice the largest sensible `s` of a sampled run. Guess.
const ASKS_MAX: usize = 16;
/// Questions under way to one peer: a slow one must not hold the others up. Guess.
const ASKS_PER_PEER_MAX: usize = 2;
/// Peers asked for one body before it is given up: the author, the one who brought the news, one more.
pub const HOLDERS_MAX: usize = 3;

/// The name of a question, for the host to answer under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskFailure {
    /// No connection and no way to make one.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// An answer that broke the framing or the cap: the peer's fault.
    Malformed,
}

/// What a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A delta to mix.
    Body {
        /// Its author.
        author: NodeId,
        /// Its round.
        round: u64,
        /// Its digest.
        digest: Digest,
        /// Its announced length.
        bytes: u32,
    },
    /// Joining.
    Join,
}

/// One question under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who is asked.
    pub peer: NodeId,
    /// What.
    pub request: Request,
    /// What for.
    pub purpose: Purpose,
}

/// All questions under way.
#[derive(Clone, Debug, Default)]
pub struct Asks {
    next: u64,
    open: BTreeMap<AskId, Ask>,
}

impl Asks {
    /// Whether the budgets allow one more question to this peer.
    #[must_use]
    pub fn may_ask(&self, peer: &NodeId) -> bool {
        self.open.len() < ASKS_MAX && self.open.values().filter(|ask| ask.peer == *peer).count() < ASKS_PER_PEER_MAX
    }

    /// Opens a question.
    pub fn open(&mut self, peer: NodeId, request: Request, purpose: Purpose) -> AskId {
        let id = AskId(self.next);
        self.next += 1;
        self.open.insert(id, Ask { peer, request, purpose });
        id
    }

    /// Closes a question; `None` if it was not, or is no longer, open.
    pub fn close(&mut self, id: AskId) -> Option<Ask> {
        self.open.remove(&id)
    }

    /// Gives up the questions that joining asked; their answers will be [`crate::reject::Reject::Unasked`].
    pub fn forget_join(&mut self) {
        self.open.retain(|_, ask| ask.purpose != Purpose::Join);
    }

    /// Questions under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The next peer to ask for a body: its author, then who brought the news, then anybody up.
    /// `None` if nobody is left, or the next one is busy: a busy holder is worth waiting for.
    #[must_use]
    pub fn next_holder(&self, author: NodeId, source: NodeId, others: &[NodeId], tried: &BTreeSet<NodeId>) -> Option<NodeId> {
        if tried.len() >= HOLDERS_MAX {
            return None;
        }
        let mut candidates = [author, source].into_iter().chain(others.iter().copied());
        candidates.find(|peer| !tried.contains(peer)).filter(|peer| self.may_ask(peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RunId;

    fn head() -> Request {
        Request::Head { run: RunId([0; 32]) }
    }

    #[test]
    fn budgets_hold() {
        let mut asks = Asks::default();
        let slow = NodeId([1; 32]);
        let first = asks.open(slow, head(), Purpose::Join);
        asks.open(slow, head(), Purpose::Join);
        assert!(!asks.may_ask(&slow));
        assert!(asks.may_ask(&NodeId([2; 32])));
        assert!(asks.close(first).is_some());
        assert!(asks.close(first).is_none(), "answered once");
        assert!(asks.may_ask(&slow));
        for n in 0..15 {
            asks.open(NodeId([100 + n; 32]), head(), Purpose::Join);
        }
        assert!(!asks.may_ask(&NodeId([2; 32])), "sixteen in all");
        asks.forget_join();
        assert!(asks.is_empty());
    }

    #[test]
    fn holders_come_in_order_and_end() {
        let asks = Asks::default();
        let [author, source, other, more] = [1, 2, 3, 4].map(|n| NodeId([n; 32]));
        let mut tried = BTreeSet::new();
        for expected in [author, source, other] {
            let holder = asks.next_holder(author, source, &[author, other, more], &tried);
            assert_eq!(holder, Some(expected));
            tried.insert(expected);
        }
        assert_eq!(asks.next_holder(author, source, &[author, other, more], &tried), None);
    }
}
