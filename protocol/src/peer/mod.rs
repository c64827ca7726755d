//! The machine a node is: composes view, round, fetch, join and standing behind one handle.
//!
//! [`Peer::handle`] takes an [`Input`] and appends [`Output`]s to an [`Outbox`]; [`Peer::next_wake`]
//! says when it wants [`Input::Tick`]. The host carries outputs out **in order** and answers those
//! that ask for an answer: `Train` with `Trained`, `Ask` with `Answer` (also when it timed out),
//! `Admit` with `Admitted`, `Apply` with `Applied`, `Adopt` with `Adopted`. The machine holds
//! digests and headers, never weights, so a virtual peer costs kilobytes, and training is IO to it.
//!
//! Invariants: a sequence number is reserved durably before it is signed; a body is mixed at most
//! once; every queue in here has a bound; whatever a remote sends, `handle` neither panics nor fails.

mod bodies;
mod config;
mod gossip;
mod io;
mod joining;
mod rounds;
mod serving;

use std::collections::BTreeMap;

pub use config::{Config, Resume};
pub use io::{Entry, Input, Learned, Outbox, Output, ReplyId, TicketId, Verdict};

use crate::dice::Dice;
use crate::fetch::{AskId, Asks};
use crate::id::NodeId;
use crate::join::Join;
use crate::reject::{Fault, Reject, RejectCounts};
use crate::round::{Phase, Round};
use crate::seal::Scope;
use crate::standing::{BAN_FOR, Standing};
use crate::time::{Span, Time};
use crate::view::View;

use bodies::{Pending, Recent};
use serving::Served;

/// Sequence numbers reserved at a time: one synchronous write in so many rounds. Guess.
const SEQ_RESERVE: u64 = 64;
/// Rounds within which a delta is still of use (ALGORITHM, step 4).
pub const ROUND_WINDOW: u64 = 3;
/// A peer silent for so many periods is no longer live (ALGORITHM, timers).
const DEAD_PERIODS: u64 = 3;
/// ... but never sooner than this: short test periods must not make a busy machine's peers die. Guess.
const DEAD_LEAST: Span = Span::from_secs(2);

/// One node's machine in one run.
#[derive(Debug)]
pub struct Peer {
    config: Config,
    me: NodeId,
    scope: Scope,
    dice: Dice,
    view: View,
    standing: Standing,
    counts: RejectCounts,
    round: Round,
    asks: Asks,
    inbox: BTreeMap<(NodeId, u64), Pending>,
    recent: Recent,
    served: Served,
    /// Live peers in this round's random order; the first `s` are its targets.
    order: Vec<NodeId>,
    join: Join,
    join_failures: u32,
    retry_at: Option<Time>,
    wait_until: Time,
    has_weights: bool,
    warm_up: bool,
    resync_rest: u32,
    drifted_rounds: u32,
    own_slice_rms: f32,
    next_seq: u64,
    reserved_seq: u64,
}

impl Peer {
    /// A machine that starts now, afresh or where its last checkpoint left off.
    ///
    /// The first outputs are already in `out` when this returns.
    #[must_use]
    pub fn new(config: Config, now: Time, resume: Option<Resume>, out: &mut Outbox) -> Self {
        let me = config.signer.node_id();
        let scope = Scope::new(&config.network, config.spec.run_id());
        let dead_after = config.spec.round().period().times(DEAD_PERIODS).max(DEAD_LEAST);
        let (phase, number) = resume.map_or((Phase::Waiting, 0), |resume| (Phase::Joining, resume.round));
        let next_seq = config.next_seq;
        let mut peer = Self {
            me,
            scope,
            dice: Dice::new(&config.dice_seed),
            view: View::new(me, config.spec.round().period(), dead_after),
            standing: Standing::default(),
            counts: RejectCounts::default(),
            round: Round::new(now, phase, number, config.spec.round()),
            asks: Asks::default(),
            inbox: BTreeMap::new(),
            recent: Recent::default(),
            served: Served::default(),
            order: Vec::new(),
            join: Join::default(),
            join_failures: 0,
            retry_at: None,
            wait_until: now + config.wait,
            has_weights: resume.is_some(),
            warm_up: false,
            resync_rest: 0,
            drifted_rounds: 0,
            own_slice_rms: 0.0,
            next_seq,
            reserved_seq: next_seq,
            config,
        };
        if resume.is_some() {
            peer.start_fresh(now, out);
        }
        peer.advance(now, false, out);
        peer
    }

    /// Takes one input; whatever follows from it is appended to `out`.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Outbox) {
        // Announces of authors not heard in this round are most inputs of a large network, and change
        // nothing about what there is to pull.
        let is_aside = matches!(&input, Input::Gossip { news: Ok(news), .. } if !self.wants(&news.announce().author));
        match input {
            Input::Tick => {}
            Input::PeerUp { peer, prefix } if !self.standing.is_banned(now, &peer) => self.view.up(now, peer, prefix),
            Input::PeerUp { peer, .. } => out.push(Output::Ban { peer, span: BAN_FOR }),
            Input::PeerDown { peer } => self.view.down(&peer),
            Input::Gossip { ticket, from, news } => self.on_gossip(now, ticket, from, &news, out),
            Input::Request { reply, from, bytes } => self.on_request(now, reply, from, &bytes, out),
            Input::Answer { ask, result } => self.on_answer(now, ask, result, out),
            Input::Admitted { digest, result } => self.on_admitted(now, digest, result, out),
            Input::Trained { round, learned } => self.on_trained(now, round, learned, out),
            Input::Applied { round, slice_rms, update_rms } => self.on_applied(now, round, slice_rms, update_rms, out),
            Input::Adopted { adopted } => self.on_adopted(now, adopted, out),
        }
        self.advance(now, is_aside, out);
    }

    /// When [`Input::Tick`] is due, if at all. Changes with every call of [`Peer::handle`].
    #[must_use]
    pub fn next_wake(&self, now: Time) -> Option<Time> {
        match self.round.phase {
            Phase::Waiting => Some(self.wait_until),
            Phase::Joining => self.retry_at,
            Phase::Collecting => {
                let steps = [self.round.may_end_from(), self.round.fill_from(), self.round.collect_from()];
                // Where the run stands matters only once the shortest time is over.
                let next = steps.into_iter().filter(|&at| at > now).min();
                next.or_else(|| Some(self.round.collect_until(self.view.run_round(now))))
            }
            Phase::Training | Phase::Applying | Phase::Done => None,
        }
    }

    /// This node.
    #[must_use]
    pub const fn me(&self) -> NodeId {
        self.me
    }

    /// The phase it is in.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.round.phase
    }

    /// Its round.
    #[must_use]
    pub const fn round(&self) -> u64 {
        self.round.number
    }

    /// Everybody it knows of.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Who did wrong.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What was dropped, and why.
    #[must_use]
    pub const fn rejects(&self) -> &RejectCounts {
        &self.counts
    }

    /// Entries in each bounded queue: inbox, asks, recent digests, served peers. For checks in tests
    /// and the simulator.
    #[must_use]
    pub fn queue_lengths(&self) -> [usize; 4] {
        [self.inbox.len(), self.asks.len(), self.recent.len(), self.served.len()]
    }

    /// Counts what was dropped, and blames whom it provably speaks against.
    fn reject(&mut self, now: Time, reason: Reject, sender: NodeId, author: Option<NodeId>, out: &mut Outbox) {
        self.counts.count(reason);
        let culprit = match reason.fault() {
            Fault::Nobody => None,
            Fault::Sender => Some(sender),
            Fault::Author => author,
        };
        let Some(culprit) = culprit.filter(|culprit| *culprit != self.me) else { return };
        if self.standing.blame(now, culprit, reason) {
            self.view.remove(&culprit);
            self.inbox.retain(|(author, _), _| *author != culprit);
            out.push(Output::Ban { peer: culprit, span: BAN_FOR });
        }
    }

    /// Does whatever time and the present state allow, until nothing more follows. What is aside gives
    /// nothing to pull, unless places of silent targets go to others.
    fn advance(&mut self, now: Time, is_aside: bool, out: &mut Outbox) {
        self.stop_waiting(now, out);
        self.retry_join(now, out);
        if !is_aside || self.is_filling(now) {
            self.pull(now, out);
        }
        self.stop_collecting(now, out);
    }
}
