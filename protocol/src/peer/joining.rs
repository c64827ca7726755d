//! Waiting for peers, joining late, resync: the way into the first round (PROTOCOL 6).

use super::{Outbox, Output, Peer};
use crate::fetch::Purpose;
use crate::id::NodeId;
use crate::join::{DONORS, HEADS_MAX, Join, Piece, Verdict};
use crate::reject::Reject;
use crate::round::{Event, Phase};
use crate::state::{self, StateBlock};
use crate::time::{Span, Time};
use crate::wire::{ANSWER_HEAD_BYTES, Request, Response, TRUST_BYTES_MAX};

/// Attempts to copy before a node goes on with what it has. Guess.
const ATTEMPTS_MAX: u32 = 5;
/// Time between two attempts. Guess: donors restart in less.
const RETRY_AFTER: Span = Span::from_secs(1);

impl Peer {
    /// Leaves [`Phase::Waiting`] when enough peers are there or it was waited long enough.
    pub(super) fn stop_waiting(&mut self, now: Time, out: &mut Outbox) {
        if self.round.phase != Phase::Waiting {
            return;
        }
        let wanted = if self.config.wait_for_peers == 0 { DONORS } else { self.config.wait_for_peers };
        let enough = self.view.up_peers().count() >= wanted;
        if (enough || now >= self.wait_until) && self.round.take(now, Event::PeersKnown) {
            self.start_join(now, out);
        }
    }

    /// Asks for heads; the phase is already [`Phase::Joining`].
    pub(super) fn start_join(&mut self, now: Time, out: &mut Outbox) {
        self.retry_at = None;
        self.clear_inbox(out);
        self.asks.forget_join();
        self.join = Join::new(state::block_count(self.config.param_count));
        let mut peers: Vec<NodeId> = self.view.up_peers().collect();
        self.dice.shuffle(&mut peers);
        peers.truncate(HEADS_MAX);
        for peer in peers {
            self.join.asked();
            self.ask_to_join(peer, Request::Head { run: self.scope.run() }, ANSWER_HEAD_BYTES + 1, out);
        }
        if self.join.heads_complete() {
            self.decide(now, out);
        }
    }

    fn ask_to_join(&mut self, peer: NodeId, request: Request, bytes_max: usize, out: &mut Outbox) {
        let ask = self.asks.open(peer, request.clone(), Purpose::Join);
        let timeout = self.ask_timeout();
        out.push(Output::Ask { ask, peer, request, bytes_max, timeout });
    }

    pub(super) fn on_join_answer(&mut self, now: Time, peer: NodeId, request: &Request, response: Response, out: &mut Outbox) {
        if self.round.phase != Phase::Joining {
            return;
        }
        match (request, response) {
            (Request::Head { .. }, Response::Head { round, ready }) => self.on_head(now, peer, Some((round, ready)), out),
            (Request::Head { .. }, _) => self.on_head(now, peer, None, out),
            (&Request::State { block, .. }, Response::State { round, block: bytes }) => {
                let Ok(piece) = StateBlock::decode(&bytes, block, self.config.param_count) else {
                    self.reject(now, Reject::StateMalformed, peer, None, out);
                    return self.on_donor_failed(now, peer, out);
                };
                if self.join.got_block(&peer, block, round) {
                    out.push(Output::KeepBlock { donor: peer, block: piece });
                    self.ask_donor(peer, out);
                }
            }
            (Request::Trust { .. }, response) => {
                if let Response::Trust(table) = response {
                    out.push(Output::KeepTrust { donor: peer, table });
                }
                self.join.got_trust(&peer);
                self.ask_donor(peer, out);
            }
            _ => self.on_donor_failed(now, peer, out),
        }
    }

    fn on_head(&mut self, now: Time, peer: NodeId, answer: Option<(u64, bool)>, out: &mut Outbox) {
        self.join.head(peer, answer);
        if self.join.heads_complete() {
            self.decide(now, out);
        }
    }

    fn decide(&mut self, now: Time, out: &mut Outbox) {
        match self.join.decide(&mut self.dice) {
            Verdict::NobodyAhead => self.start_fresh(now, out),
            Verdict::Copy => {
                let donors: Vec<NodeId> = self.join.donors().collect();
                for donor in donors {
                    self.ask_donor(donor, out);
                }
            }
        }
    }

    fn ask_donor(&mut self, donor: NodeId, out: &mut Outbox) {
        let run = self.scope.run();
        match self.join.next_piece(&donor) {
            Some(Piece::Block(block)) => {
                let bytes_max =
                    ANSWER_HEAD_BYTES + state::block_range(self.config.param_count, block).map_or(0, |range| range.len() * 2);
                self.ask_to_join(donor, Request::State { run, block }, bytes_max, out);
            }
            Some(Piece::Trust) => self.ask_to_join(donor, Request::Trust { run }, ANSWER_HEAD_BYTES + TRUST_BYTES_MAX, out),
            None => {
                if let Some((donors, round)) = self.join.complete() {
                    out.push(Output::Adopt { donors, round });
                }
            }
        }
    }

    fn on_donor_failed(&mut self, now: Time, donor: NodeId, out: &mut Outbox) {
        out.push(Output::DropPieces { donor });
        if let Some(replacement) = self.join.failed(&donor) {
            return self.ask_donor(replacement, out);
        }
        if self.join.is_stuck() {
            return self.join_failed(now, out);
        }
        if let Some((donors, round)) = self.join.complete() {
            out.push(Output::Adopt { donors, round });
        }
    }

    pub(super) fn on_adopted(&mut self, now: Time, adopted: bool, out: &mut Outbox) {
        if self.round.phase != Phase::Joining {
            return;
        }
        let Some((_, round)) = self.join.complete().filter(|_| adopted) else {
            return self.join_failed(now, out);
        };
        self.has_weights = true;
        self.join_failures = 0;
        self.warm_up = true;
        self.round.number = round;
        self.round.take(now, Event::Adopted);
        out.push(Output::Checkpoint { round });
        self.start_round(now, out);
    }

    fn join_failed(&mut self, now: Time, out: &mut Outbox) {
        self.join_failures += 1;
        if self.join_failures >= ATTEMPTS_MAX {
            return self.start_fresh(now, out);
        }
        self.retry_at = Some(now + RETRY_AFTER);
    }

    /// Tries again once the pause after a failed attempt is over.
    pub(super) fn retry_join(&mut self, now: Time, out: &mut Outbox) {
        if self.retry_at.is_some_and(|at| now >= at) && self.round.take(now, Event::Retry) {
            self.start_join(now, out);
        }
    }

    /// Nobody has anything to give: train on what is here, the spec's initial weights or a checkpoint.
    pub(super) fn start_fresh(&mut self, now: Time, out: &mut Outbox) {
        self.join_failures = 0;
        self.has_weights = true;
        if self.round.take(now, Event::Fresh) {
            self.start_round(now, out);
        }
    }

    /// Whether this node's weights may be copied by others.
    pub(super) fn is_ready(&self) -> bool {
        self.has_weights && !matches!(self.round.phase, Phase::Waiting | Phase::Joining)
    }
}
