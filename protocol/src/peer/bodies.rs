//! From an announce to a body that may be mixed: whom to hear, whom to ask, what came.

use std::collections::{BTreeSet, VecDeque};

use super::{AskId, Outbox, Output, Peer};
use crate::fetch::{AskFailure, Purpose};
use crate::id::{Digest, NodeId};
use crate::reject::Reject;
use crate::round::Phase;
use crate::slice::Origin;
use crate::time::{Span, Time};
use crate::wire::{ANSWER_HEAD_BYTES, Announce, Request, Response};

/// Digests remembered so that no body is mixed twice: the window of a full view. 32 KB.
const RECENT_MAX: usize = 1_024;
/// Shortest time a peer has to answer. Guess: a slow home line and a retransmission.
const ASK_TIMEOUT_LEAST: Span = Span::from_secs(2);

/// How far an announced body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Known by name.
    Announced,
    /// Asked for.
    Asked,
    /// Here; the host decodes it.
    Admitting,
    /// Ready to be mixed.
    Admitted,
    /// Nobody has it.
    Lost,
}

/// An announce in the inbox.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) announce: Announce,
    pub(super) source: NodeId,
    pub(super) stage: Stage,
    tried: BTreeSet<NodeId>,
}

impl Pending {
    pub(super) const fn new(announce: Announce, source: NodeId, stage: Stage) -> Self {
        Self { announce, source, stage, tried: BTreeSet::new() }
    }

    /// Whether it was asked for and has not come, nor been given up.
    pub(super) fn is_overdue(&self) -> bool {
        !self.tried.is_empty() && matches!(self.stage, Stage::Announced | Stage::Asked)
    }
}

/// The digests seen last, oldest forgotten first.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    order: VecDeque<Digest>,
    known: BTreeSet<Digest>,
}

impl Recent {
    /// `false` if it was known.
    pub(super) fn insert(&mut self, digest: Digest) -> bool {
        if !self.known.insert(digest) {
            return false;
        }
        self.order.push_back(digest);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

impl Peer {
    /// `s`: how many peers are heard in a round.
    pub(super) fn fan_in(&self) -> usize {
        usize::from(self.config.spec.round().peers)
    }

    /// Whether this author is among the round's targets, or there is room for everybody.
    pub(super) fn wants(&self, author: &NodeId) -> bool {
        let targets = self.order.iter().take(self.fan_in());
        self.order.len() < self.fan_in() || targets.into_iter().any(|peer| peer == author)
    }

    /// Announced bodies of this author, of this round or earlier, that nobody was asked for.
    fn open_of(&self, author: NodeId) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        let of_author = self.inbox.range((author, 0)..=(author, self.round.number));
        of_author.filter(|(_, pending)| pending.stage == Stage::Announced).map(|(&key, _)| key)
    }

    /// Those of authors that are heard this round.
    fn open_of_targets(&self) -> Vec<(NodeId, u64)> {
        if self.order.len() < self.fan_in() {
            return self.open_of_all();
        }
        let mut targets: Vec<NodeId> = self.order.iter().take(self.fan_in()).copied().collect();
        targets.sort_unstable();
        targets.into_iter().flat_map(|author| self.open_of(author)).collect()
    }

    fn open_of_all(&self) -> Vec<(NodeId, u64)> {
        let open =
            |((_, round), pending): &(&(NodeId, u64), &Pending)| *round <= self.round.number && pending.stage == Stage::Announced;
        self.inbox.iter().filter(open).map(|(&key, _)| key).collect()
    }

    /// Whether places of silent targets go to others by now.
    pub(super) fn is_filling(&self, now: Time) -> bool {
        self.round.phase == Phase::Collecting && now >= self.round.fill_from()
    }

    /// Authors of whom a body of this round or earlier is here or on its way.
    fn secured(&self) -> usize {
        let current = self.inbox.iter().filter(|((_, round), _)| *round <= self.round.number);
        let secured = current.filter(|(_, pending)| matches!(pending.stage, Stage::Asked | Stage::Admitting | Stage::Admitted));
        // The inbox is in the order of authors.
        let mut last = None;
        secured.filter(|((author, _), _)| last.replace(*author) != Some(*author)).count()
    }

    /// Asks for what is wanted and not yet asked for, as far as the budgets allow.
    ///
    /// Targets first. From the middle of collecting on, announced bodies of others fill the places of
    /// targets that stayed silent; who is doubted comes after who is believed. Never more than `s` in all.
    pub(super) fn pull(&mut self, now: Time, out: &mut Outbox) {
        if !matches!(self.round.phase, Phase::Training | Phase::Collecting) {
            return;
        }
        // This runs after every input: in a large network most are announces of authors not heard now.
        let targets = self.open_of_targets();
        let fills = self.is_filling(now);
        if (targets.is_empty() && !fills) || self.secured() >= self.fan_in() {
            return;
        }
        let mut others = Vec::new();
        if fills {
            others = self.open_of_all();
            others.retain(|(author, _)| !self.wants(author));
            self.dice.shuffle(&mut others);
        }
        let mut wanted = targets;
        // Stable: who is believed alike keeps the order.
        wanted.sort_by_key(|(author, _)| self.view.belief(author));
        others.sort_by_key(|(author, _)| self.view.belief(author));
        wanted.append(&mut others);
        for key in wanted {
            if self.secured() >= self.fan_in() {
                break;
            }
            self.ask_for_body(key, out);
        }
    }

    fn ask_for_body(&mut self, key: (NodeId, u64), out: &mut Outbox) {
        let up: Vec<NodeId> = self.view.up_peers().collect();
        let Some(pending) = self.inbox.get_mut(&key) else { return };
        let announce = &pending.announce;
        let Some(peer) = self.asks.next_holder(announce.author, pending.source, &up, &pending.tried) else {
            let exhausted = [announce.author, pending.source].iter().chain(&up).all(|peer| pending.tried.contains(peer));
            if exhausted || pending.tried.len() >= crate::fetch::HOLDERS_MAX {
                pending.stage = Stage::Lost;
                self.view.asked_in_vain(&key.0);
            }
            return;
        };
        pending.tried.insert(peer);
        pending.stage = Stage::Asked;
        let Announce { author, round, digest, body_bytes: bytes, .. } = *announce;
        let request = Request::Body { run: self.scope.run(), digest };
        let ask = self.asks.open(peer, request.clone(), Purpose::Body { author, round, digest, bytes });
        let timeout = self.ask_timeout();
        out.push(Output::Ask { ask, peer, request, bytes_max: ANSWER_HEAD_BYTES + bytes as usize, timeout });
    }

    /// How long one question may take: half a period, so that a second holder can still be asked.
    pub(super) fn ask_timeout(&self) -> Span {
        Span(self.config.spec.round().period().0 / 2).max(ASK_TIMEOUT_LEAST)
    }

    pub(super) fn on_answer(&mut self, now: Time, id: AskId, result: Result<Vec<u8>, AskFailure>, out: &mut Outbox) {
        let Some(ask) = self.asks.close(id) else {
            self.counts.count(Reject::Unasked);
            return;
        };
        let response = match result {
            Ok(bytes) => Response::decode(&ask.request, &bytes),
            Err(AskFailure::Malformed) => Err(Reject::Oversized),
            Err(AskFailure::Unreachable | AskFailure::Timeout) => Ok(Response::NotHere),
        };
        let response = response.unwrap_or_else(|reason| {
            self.reject(now, reason, ask.peer, None, out);
            Response::NotHere
        });
        match ask.purpose {
            Purpose::Body { author, round, digest, bytes } => {
                self.on_body(now, ask.peer, (author, round), digest, bytes, response, out);
            }
            Purpose::Join => self.on_join_answer(now, ask.peer, &ask.request, response, out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one question and its answer")]
    fn on_body(
        &mut self,
        now: Time,
        from: NodeId,
        key: (NodeId, u64),
        digest: Digest,
        bytes: u32,
        response: Response,
        out: &mut Outbox,
    ) {
        let body = match response {
            Response::Body(body) if body.len() == bytes as usize && Digest::of(&body) == digest => Some(body),
            Response::NotHere => None,
            _ => {
                self.reject(now, Reject::BodyDigest, from, None, out);
                None
            }
        };
        let Some(pending) = self.inbox.get_mut(&key).filter(|pending| pending.announce.digest == digest) else {
            self.counts.count(Reject::Unasked);
            return;
        };
        match body {
            Some(body) => {
                pending.stage = Stage::Admitting;
                out.push(Output::Admit { digest, origin: Origin { author: key.0, round: key.1 }, body });
            }
            None => pending.stage = Stage::Announced,
        }
    }

    pub(super) fn on_admitted(&mut self, now: Time, digest: Digest, result: Result<(), Reject>, out: &mut Outbox) {
        let found = self.inbox.iter_mut().find(|(_, p)| p.announce.digest == digest && p.stage == Stage::Admitting);
        let Some((&key, pending)) = found else {
            // Replaced or out of the window meanwhile: nobody will mix it.
            out.push(Output::Forget { digests: vec![digest] });
            return;
        };
        match result {
            Ok(()) => {
                pending.stage = Stage::Admitted;
                self.view.delivered(now, key.0);
            }
            Err(reason) => {
                let source = pending.source;
                self.inbox.remove(&key);
                self.view.asked_in_vain(&key.0);
                self.reject(now, reason, source, Some(key.0), out);
            }
        }
    }
}
