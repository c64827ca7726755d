//! Late join and resync: whom to copy, block by block, and when that is done.
//!
//! Heads are asked first (where are you, do you have weights?). Up to [`DONORS`] peers whose round
//! is near the median then give every block each, so that a coordinate median outvotes one liar.
//! The room keeps cursors, not weights: pieces go to the host, which assembles them
//! ([`crate::state`]). Rules: PROTOCOL 6.

use std::collections::BTreeMap;

use crate::dice::Dice;
use crate::id::NodeId;

/// Donors copied from: the fewest that outvote one liar.
pub const DONORS: usize = 3;
/// Heads asked for at once: enough for a median and for replacements.
pub const HEADS_MAX: usize = 8;
/// How far from the median a donor's round may lie: what mixing accepts (ALGORITHM, step 4).
const DONOR_DISTANCE: u64 = 3;

/// What a peer said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    round: u64,
    ready: bool,
}

/// A donor's progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Donor {
    peer: NodeId,
    round: u64,
    next_block: u32,
    has_trust: bool,
}

/// What to ask a donor next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This block of its weights.
    Block(u32),
    /// Its trust table.
    Trust,
}

/// What the heads say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody has learned anything yet.
    NobodyAhead,
    /// There are donors: copy.
    Copy,
}

/// One attempt to join.
#[derive(Clone, Debug, Default)]
pub struct Join {
    asked: usize,
    heads: BTreeMap<NodeId, Option<Head>>,
    donors: Vec<Donor>,
    /// Ready peers near the median that are not used yet.
    spare: Vec<(NodeId, u64)>,
    block_count: u32,
}

impl Join {
    /// A new attempt at a model of so many state blocks.
    #[must_use]
    pub fn new(block_count: u32) -> Self {
        Self { block_count, ..Self::default() }
    }

    /// A peer was asked for its head.
    pub fn asked(&mut self) {
        self.asked += 1;
    }

    /// A peer's head has come, or will not.
    pub fn head(&mut self, peer: NodeId, answer: Option<(u64, bool)>) {
        self.heads.insert(peer, answer.map(|(round, ready)| Head { round, ready }));
    }

    /// Whether every head that was asked for has come or failed.
    #[must_use]
    pub fn heads_complete(&self) -> bool {
        self.heads.len() >= self.asked
    }

    /// Chooses donors among the ready peers with something learned.
    pub fn decide(&mut self, dice: &mut Dice) -> Verdict {
        let ready = self.heads.iter().filter_map(|(&peer, head)| head.map(|head| (peer, head)));
        let mut ready: Vec<(NodeId, u64)> =
            ready.filter(|(_, head)| head.ready && head.round > 0).map(|(peer, head)| (peer, head.round)).collect();
        let mut rounds: Vec<u64> = ready.iter().map(|&(_, round)| round).collect();
        rounds.sort_unstable();
        let Some(&median) = rounds.get(rounds.len().saturating_sub(1) / 2) else { return Verdict::NobodyAhead };
        dice.shuffle(&mut ready);
        ready.retain(|&(_, round)| round.abs_diff(median) <= DONOR_DISTANCE);
        self.spare = ready;
        while self.donors.len() < DONORS && self.replace() {}
        Verdict::Copy
    }

    /// Donors at work.
    pub fn donors(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.donors.iter().map(|donor| donor.peer)
    }

    /// What to ask this donor next; `None` if it is no donor or has given everything.
    #[must_use]
    pub fn next_piece(&self, peer: &NodeId) -> Option<Piece> {
        let donor = self.donors.iter().find(|donor| donor.peer == *peer)?;
        if donor.next_block < self.block_count {
            return Some(Piece::Block(donor.next_block));
        }
        (!donor.has_trust).then_some(Piece::Trust)
    }

    /// A donor gave a block; `false` if it is not the one that was due.
    pub fn got_block(&mut self, peer: &NodeId, block: u32, round: u64) -> bool {
        let Some(donor) = self.donors.iter_mut().find(|donor| donor.peer == *peer && donor.next_block == block) else {
            return false;
        };
        donor.next_block += 1;
        donor.round = round;
        true
    }

    /// A donor gave its trust table, or has none.
    pub fn got_trust(&mut self, peer: &NodeId) {
        if let Some(donor) = self.donors.iter_mut().find(|donor| donor.peer == *peer) {
            donor.has_trust = true;
        }
    }

    /// A donor failed. Returns its replacement, if there is one.
    pub fn failed(&mut self, peer: &NodeId) -> Option<NodeId> {
        let before = self.donors.len();
        self.donors.retain(|donor| donor.peer != *peer);
        if self.donors.len() == before || !self.replace() {
            return None;
        }
        self.donors.last().map(|donor| donor.peer)
    }

    /// The donors and the round to take, once all of them gave everything.
    #[must_use]
    pub fn complete(&self) -> Option<(Vec<NodeId>, u64)> {
        if self.donors.is_empty() || self.donors.iter().any(|donor| donor.next_block < self.block_count || !donor.has_trust) {
            return None;
        }
        let mut rounds: Vec<u64> = self.donors.iter().map(|donor| donor.round).collect();
        rounds.sort_unstable();
        Some((self.donors().collect(), rounds[(rounds.len() - 1) / 2]))
    }

    /// Whether there is no donor left to go on with.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.donors.is_empty()
    }

    fn replace(&mut self) -> bool {
        let Some((peer, round)) = self.spare.pop() else { return false };
        self.donors.push(Donor { peer, round, next_block: 0, has_trust: false });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn join(heads: &[(u8, u64, bool)]) -> Join {
        let mut join = Join::new(2);
        for &(n, round, ready) in heads {
            join.asked();
            join.head(node(n), Some((round, ready)));
        }
        assert!(join.heads_complete());
        join
    }

    #[test]
    fn nobody_ahead_means_a_fresh_start() {
        let mut dice = Dice::new(&[0; 32]);
        assert_eq!(join(&[]).decide(&mut dice), Verdict::NobodyAhead);
        assert_eq!(join(&[(1, 0, true), (2, 9, false)]).decide(&mut dice), Verdict::NobodyAhead);
        let mut silent = Join::new(2);
        silent.asked();
        assert!(!silent.heads_complete());
        silent.head(node(1), None);
        assert_eq!(silent.decide(&mut dice), Verdict::NobodyAhead);
    }

    #[test]
    fn a_liar_about_its_round_is_no_donor_while_others_are_there() {
        for seed in 0..50 {
            let mut join = join(&[(1, 50, true), (2, 51, true), (3, 49, true), (4, u64::MAX, true)]);
            assert_eq!(join.decide(&mut Dice::new(&[seed; 32])), Verdict::Copy);
            assert!(join.donors().all(|donor| donor != node(4)));
        }
    }

    #[test]
    fn copying_ends_when_every_donor_gave_everything() {
        let mut join = join(&[(1, 50, true), (2, 51, true), (3, 49, true), (4, 50, true)]);
        join.decide(&mut Dice::new(&[1; 32]));
        let donors: Vec<_> = join.donors().collect();
        assert_eq!(donors.len(), DONORS);
        let replacement = join.failed(&donors[0]).expect("one is spare");
        assert!(!donors.contains(&replacement));
        for donor in [donors[1], donors[2], replacement] {
            assert!(join.complete().is_none());
            assert_eq!(join.next_piece(&donor), Some(Piece::Block(0)));
            assert!(!join.got_block(&donor, 1, 50), "out of turn");
            assert!(join.got_block(&donor, 0, 50));
            assert!(join.got_block(&donor, 1, 52));
            assert_eq!(join.next_piece(&donor), Some(Piece::Trust));
            join.got_trust(&donor);
            assert_eq!(join.next_piece(&donor), None);
        }
        assert_eq!(join.complete().map(|(donors, round)| (donors.len(), round)), Some((3, 52)));
        for donor in [donors[1], donors[2], replacement] {
            join.failed(&donor);
        }
        assert!(join.is_stuck());
    }
}
