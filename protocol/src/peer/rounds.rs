//! The rounds: train, publish, collect, apply, and what follows from having applied (PROTOCOL 5).

use std::collections::{BTreeMap, BTreeSet};

use super::bodies::Stage;
use super::{DEAD_PERIODS, Entry, Learned, Outbox, Output, Peer, ROUND_WINDOW, SEQ_RESERVE};
use crate::id::{Digest, NodeId};
use crate::round::{Event, Phase};
use crate::time::{Span, Time};
use crate::wire::Announce;

/// Own distance to slices over the peers' at which a replica counts as adrift (ALGORITHM, step 7).
const DRIFT_RATIO: f32 = 4.0;
/// ... if it is also so many times what a round changes: where rate control no longer helps (step 7).
const DRIFT_UPDATES: f32 = 6.0;
/// Rounds in a row that it takes to believe it (ALGORITHM, step 7).
const DRIFT_ROUNDS: u32 = 3;
/// Rounds behind the run at which a node copies instead of catching up (ALGORITHM, step 7).
const BEHIND: u64 = 4;
/// Rounds between two resyncs, so that a node nobody can help goes on training. Guess.
const RESYNC_EVERY: u32 = 10;

impl Peer {
    /// Begins training in the present round.
    pub(super) fn start_round(&mut self, now: Time, out: &mut Outbox) {
        self.view.expire(now);
        self.order = self.view.sample(now, self.round.number, &mut self.dice);
        out.push(Output::Train {
            round: self.round.number,
            steps: self.config.spec.round().steps,
            until: self.round.train_until(),
            reference_steps: self.view.median_steps(now),
            warm_up: self.warm_up,
        });
    }

    pub(super) fn on_trained(&mut self, now: Time, round: u64, learned: Option<Learned>, out: &mut Outbox) {
        if round != self.round.number || !self.round.take(now, Event::Trained) {
            return;
        }
        self.warm_up = false;
        if let Some(learned) = learned {
            self.publish(now, &learned, out);
        }
    }

    fn publish(&mut self, now: Time, learned: &Learned, out: &mut Outbox) {
        let seq = self.next_seq;
        self.next_seq += 1;
        if seq >= self.reserved_seq {
            self.reserved_seq = seq + SEQ_RESERVE;
            out.push(Output::ReserveSequence { upto: self.reserved_seq });
        }
        let announce = Announce {
            run: self.scope.run(),
            author: self.me,
            round: self.round.number,
            seq,
            digest: learned.digest,
            body_bytes: learned.body_bytes,
            samples: self.config.samples,
            steps: learned.steps,
            slice_rms: self.own_slice_rms,
        };
        // Everybody will want it only where everybody hears everybody; otherwise gossip would carry
        // to all what `s` of them pull.
        let full_mesh = self.view.live_count(now) <= self.fan_in() + 1;
        let inline = full_mesh && learned.body_bytes as usize <= self.config.inline_bytes_max;
        let frame = self.config.signer.seal(&self.scope, &announce);
        out.push(Output::Publish { frame, inline: inline.then_some(learned.digest) });
    }

    /// Ends collecting when everybody expected has come, or the time is up.
    pub(super) fn stop_collecting(&mut self, now: Time, out: &mut Outbox) {
        if self.round.phase != Phase::Collecting {
            return;
        }
        let all_here = now >= self.round.may_end_from() && !self.order.is_empty() && !self.is_anyone_missing(now);
        // Cheap questions first: this runs after every input.
        if !all_here && now < self.round.collect_from() {
            return;
        }
        let run_round = self.view.run_round(now);
        let early = all_here && !self.round.is_ahead(run_round);
        if (early || now >= self.round.collect_until(run_round)) && self.round.take(now, Event::CollectOver) {
            self.apply(now, out);
        }
    }

    /// Whether a target that keeps pace has not been heard in this round, or a body is on its way.
    fn is_anyone_missing(&self, now: Time) -> bool {
        let silent = |peer: &NodeId| {
            if self.inbox.contains_key(&(*peer, self.round.number)) {
                return false;
            }
            let live = self.view.get(peer).filter(|seen| seen.up || now.since(seen.at) < self.round_patience());
            // Who is further has passed this round; who is far behind will not make it in time.
            live.is_some_and(|seen| {
                // Who has never spoken is given a few periods to begin.
                let may_begin = now.since(seen.at) < self.round_patience().times(DEAD_PERIODS);
                let in_step = self.round.number.saturating_sub(1)..=self.round.number;
                seen.heard.map_or(may_begin, |heard| in_step.contains(&heard.round))
            })
        };
        let mut on_their_way = self.inbox.iter().filter(|((_, round), _)| *round <= self.round.number);
        self.order.iter().take(self.fan_in()).any(silent)
            || on_their_way.any(|(_, pending)| matches!(pending.stage, Stage::Asked | Stage::Admitting))
    }

    /// A peer without a connection is waited for no longer than a period after it was last heard.
    fn round_patience(&self) -> Span {
        self.config.spec.round().period()
    }

    fn apply(&mut self, now: Time, out: &mut Outbox) {
        let round = self.round.number;
        // The newest admitted body of each author, up to our own round; what is ahead of us waits.
        let mut newest: BTreeMap<NodeId, Entry> = BTreeMap::new();
        for ((author, body_round), pending) in &self.inbox {
            if *body_round > round || round - body_round > ROUND_WINDOW || pending.stage != Stage::Admitted {
                continue;
            }
            let Announce { digest, samples, .. } = pending.announce;
            newest.insert(*author, Entry { author: *author, digest, lag: round - body_round, samples });
        }
        let entries: Vec<Entry> = newest.into_values().collect();
        let mixed: BTreeSet<Digest> = entries.iter().map(|entry| entry.digest).collect();
        let mut forgotten = Vec::new();
        // What is mixed or overtaken goes. A body of this very round that is still on its way may
        // count in the next one, at less weight.
        self.inbox.retain(|(author, body_round), pending| {
            let late = *body_round == round && matches!(pending.stage, Stage::Asked | Stage::Admitting);
            let keep = *body_round > round || late;
            if !keep && pending.stage == Stage::Admitted && !mixed.contains(&pending.announce.digest) {
                forgotten.push(pending.announce.digest);
            }
            if !keep && pending.is_overdue() {
                self.view.asked_in_vain(author);
            }
            keep
        });
        if !forgotten.is_empty() {
            out.push(Output::Forget { digests: forgotten });
        }
        let live = self.view.live_count(now);
        out.push(Output::Apply { round, live, entries });
    }

    pub(super) fn on_applied(&mut self, now: Time, round: u64, slice_rms: f32, update_rms: f32, out: &mut Outbox) {
        if round != self.round.number || self.round.phase != Phase::Applying {
            return;
        }
        self.own_slice_rms = if slice_rms.is_finite() { slice_rms.max(0.0) } else { 0.0 };
        let run_round = self.view.run_round(now).unwrap_or(0);
        if self.must_resync(now, run_round, update_rms) {
            self.resync_rest = RESYNC_EVERY;
            self.drifted_rounds = 0;
            self.round.take(now, Event::Resync);
            return self.start_join(now, out);
        }
        self.round.number = self.round.number.saturating_add(1).max(run_round);
        out.push(Output::Checkpoint { round: self.round.number });
        self.prune_inbox(out);
        if self.config.rounds_max.is_some_and(|max| self.round.number >= max) {
            self.round.take(now, Event::Finished);
            out.push(Output::Finished { round: self.round.number });
        } else {
            self.round.take(now, Event::Applied);
            self.start_round(now, out);
        }
    }

    fn must_resync(&mut self, now: Time, run_round: u64, update_rms: f32) -> bool {
        let others = self.view.median_slice_rms(now).unwrap_or(f32::INFINITY);
        // Replicas that agree differ by rounding alone, and four times nothing is nothing.
        let far = self.own_slice_rms > DRIFT_UPDATES * update_rms;
        let adrift = far && self.own_slice_rms > DRIFT_RATIO * others;
        self.drifted_rounds = if adrift { self.drifted_rounds + 1 } else { 0 };
        let behind = self.round.number.saturating_add(BEHIND) < run_round;
        self.resync_rest = self.resync_rest.saturating_sub(1);
        (behind || self.drifted_rounds >= DRIFT_ROUNDS) && self.resync_rest == 0
    }

    /// Drops what no longer lies in the window, after the round has moved on.
    fn prune_inbox(&mut self, out: &mut Outbox) {
        let number = self.round.number;
        let mut forgotten = Vec::new();
        self.inbox.retain(|(_, round), pending| {
            let keep = round.abs_diff(number) <= ROUND_WINDOW;
            if !keep && pending.stage == Stage::Admitted {
                forgotten.push(pending.announce.digest);
            }
            keep
        });
        if !forgotten.is_empty() {
            out.push(Output::Forget { digests: forgotten });
        }
    }

    /// Empties the inbox: what was meant for the old state is not mixed into the new one.
    pub(super) fn clear_inbox(&mut self, out: &mut Outbox) {
        let digests: Vec<Digest> =
            self.inbox.values().filter(|p| p.stage == Stage::Admitted).map(|p| p.announce.digest).collect();
        self.inbox.clear();
        if !digests.is_empty() {
            out.push(Output::Forget { digests });
        }
    }
}
