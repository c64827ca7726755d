//! What a node thinks of a peer, and why: penalties for provable faults, forgetting, bans as data.
//!
//! This room hears only of faults that a peer provably committed ([`Fault::Sender`] and
//! [`Fault::Author`](crate::reject::Fault)); whether its deltas are any good is
//! [`crate::trust`]'s to say. A ban is a date in a table, not an action: the host carries it out.

use std::collections::BTreeMap;

use crate::id::NodeId;
use crate::reject::{Fault, Reject};
use crate::time::{Span, Time};

/// Penalty at which a peer is banned. One malformed message is an accident (a bug, a flipped bit),
/// ten within the memory below are not. Guess.
const BAN_AT: f32 = 10.0;
/// How long a ban lasts. Guess: long enough to be useless, short enough for a fixed client to return.
pub const BAN_FOR: Span = Span::from_secs(600);
/// A penalty halves in this time. Guess.
const HALF_LIFE: Span = Span::from_secs(120);
/// Peers remembered; the mildest is forgotten first. At some 60 bytes each this is 60 KB.
const PEERS_MAX: usize = 1_024;

/// The record of one peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    penalty: f32,
    at: Time,
    /// The last fault.
    pub reason: Reject,
    /// Until when nothing of this peer is heard.
    pub banned_until: Option<Time>,
}

/// The table of all peers that ever did wrong.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    records: BTreeMap<NodeId, Record>,
}

/// How much one fault weighs. An equivocation is a lie under one's own signature: ban at once.
const fn weight(reject: Reject) -> f32 {
    match reject.fault() {
        Fault::Nobody => 0.0,
        _ => match reject {
            Reject::Equivocation => BAN_AT,
            Reject::BodyMalformed | Reject::BodyOversized | Reject::NotFinite => 4.0,
            Reject::Flood | Reject::RequestFlood => 0.5,
            _ => 1.0,
        },
    }
}

impl Record {
    fn faded(&self, now: Time) -> f32 {
        let halves = now.since(self.at).0 as f32 / HALF_LIFE.0 as f32;
        self.penalty * (-halves).exp2()
    }
}

impl Standing {
    /// Records a fault of `peer`; `true` if it is banned by it, just now.
    pub fn blame(&mut self, now: Time, peer: NodeId, reason: Reject) -> bool {
        let weight = weight(reason);
        if weight == 0.0 || self.is_banned(now, &peer) {
            return false;
        }
        if self.records.len() >= PEERS_MAX && !self.records.contains_key(&peer) {
            self.forget_mildest(now);
        }
        let record = self.records.entry(peer).or_insert(Record { penalty: 0.0, at: now, reason, banned_until: None });
        *record = Record { penalty: record.faded(now) + weight, at: now, reason, banned_until: None };
        if record.penalty < BAN_AT {
            return false;
        }
        record.banned_until = Some(now + BAN_FOR);
        true
    }

    /// Whether nothing of `peer` is to be heard now.
    #[must_use]
    pub fn is_banned(&self, now: Time, peer: &NodeId) -> bool {
        self.records.get(peer).and_then(|record| record.banned_until).is_some_and(|until| now < until)
    }

    /// The record of a peer that did wrong.
    #[must_use]
    pub fn record(&self, peer: &NodeId) -> Option<&Record> {
        self.records.get(peer)
    }

    /// Peers on record; bounded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nobody ever did wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn forget_mildest(&mut self, now: Time) {
        let key = |record: &Record| (record.banned_until.is_some_and(|until| now < until), record.faded(now));
        let mildest = self.records.iter().min_by(|a, b| {
            let (a, b) = (key(a.1), key(b.1));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        if let Some(peer) = mildest.map(|(&peer, _)| peer) {
            self.records.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([1; 32]);

    #[test]
    fn penalties_add_up_fade_and_ban() {
        let mut standing = Standing::default();
        let mut now = Time(0);
        for _ in 0..9 {
            assert!(!standing.blame(now, PEER, Reject::Signature));
        }
        assert!(standing.blame(now, PEER, Reject::Signature), "the tenth at once bans");
        assert!(standing.is_banned(now, &PEER));
        now = now + BAN_FOR;
        assert!(!standing.is_banned(now, &PEER), "and the ban ends");

        let mut patient = Standing::default();
        for _ in 0..100 {
            assert!(!patient.blame(now, PEER, Reject::Signature), "an accident now and then never bans");
            now = now + HALF_LIFE;
        }
    }

    #[test]
    fn lateness_is_no_fault_and_equivocation_is_a_lie() {
        let mut standing = Standing::default();
        for _ in 0..1_000 {
            assert!(!standing.blame(Time(0), PEER, Reject::Replayed));
        }
        assert!(standing.is_empty());
        assert!(standing.blame(Time(0), PEER, Reject::Equivocation));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_banned() {
        let mut standing = Standing::default();
        standing.blame(Time(0), PEER, Reject::Equivocation);
        for n in 0..5_000_u32 {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&n.to_le_bytes());
            standing.blame(Time(u64::from(n)), NodeId(id), Reject::Truncated);
        }
        assert_eq!(standing.len(), PEERS_MAX);
        assert!(standing.is_banned(Time(6_000), &PEER));
    }
}
