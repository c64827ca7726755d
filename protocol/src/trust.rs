//! Whose deltas count: standing by cosine to a trusted centre (ROBUST.md).
//!
//! A single round's cosines say nothing: supports of sparse deltas hardly overlap. So every sender has
//! a *direction*, a decaying sum of count-sketches of its deltas, for each trust block. Its score is
//! the cosine between that direction and the trust-weighted sum of all the others'; its *level* falls
//! fast while it opposes them and rises slowly, and its trust is the lowest level, clamped to 0..1.
//! Only while senders agree nearly as much as they ever did does opposing them count (`judge`). A node
//! judges itself as it judges others, so that nodes with equal views reach like verdicts.
//!
//! The sketch is keyed with a secret of this node: nobody can craft a delta that cancels in it. The
//! table is bounded; the sender unheard for longest makes room. Nothing here bans: it weighs.

mod judge;
mod sketch;

use std::collections::BTreeMap;

use bincode::{Decode, Encode};

pub(crate) use self::sketch::{SKETCH, Sketcher};
use crate::id::NodeId;
use crate::layout::BLOCK_COUNT_MAX;
use crate::state::median;

/// Most senders remembered (a guess: 64 nodes need 63, and 256 of them are 4 MiB at most).
pub const SENDERS_MAX: usize = 256;
/// Rounds before anybody is judged.
const GRACE_ROUNDS: u64 = 3;
/// Where a sender's level starts: trusted.
const NEWCOMER: f32 = 0.0;
/// Bounds of levels.
const LEVEL: (f32, f32) = (-6.0, 2.0);

/// One value for each trust block; those past the layout's block count stay zero.
type PerBlock = [f32; BLOCK_COUNT_MAX];

/// What is remembered of one sender, or of oneself.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
struct Track {
    /// Decaying sum of clipped sketches, block after block. Empty until heard.
    direction: Vec<f32>,
    /// L: how it has stood to the others.
    level: PerBlock,
    /// S: cosine to the trusted centre, when last heard.
    score: PerBlock,
    /// The receiver's round when last heard.
    heard_at: u64,
}

impl Track {
    fn newcomer() -> Self {
        Self { level: [NEWCOMER; BLOCK_COUNT_MAX], ..Self::default() }
    }

    /// Trust by the lowest level; `blocks` is the layout's block count.
    fn trust(&self, blocks: usize) -> f32 {
        let lowest = self.level[..blocks].iter().copied().fold(LEVEL.1, f32::min);
        (lowest + 3.0).clamp(0.0, 1.0)
    }
}

/// One body as the trust rule sees it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) author: NodeId,
    /// Raw count-sketches, [`SKETCH`] numbers for each block.
    pub(crate) sketches: Vec<f32>,
    /// What the norm clip leaves of each block, 0 to 1.
    pub(crate) clips: [f64; BLOCK_COUNT_MAX],
}

/// How much each body counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// Trust in each heard body's author, in the order given.
    pub(crate) trust: Vec<f32>,
    /// Trust in this node itself.
    pub(crate) own: f32,
}

/// What a node tells a joiner about one sender.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct TrustRecord {
    /// The sender.
    pub peer: NodeId,
    /// Its level in each trust block, -6 to 2; unused blocks are zero.
    pub levels: [f32; BLOCK_COUNT_MAX],
}

/// All that a node remembers about the senders it has heard.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct TrustTable {
    blocks: usize,
    own_id: NodeId,
    own: Track,
    /// The highest median score of each block so far: how much all agreed when they agreed most.
    peak: [f32; BLOCK_COUNT_MAX],
    senders: BTreeMap<NodeId, Track>,
}

impl TrustTable {
    pub(crate) fn new(own_id: NodeId, blocks: usize) -> Self {
        Self { blocks, own_id, own: Track::newcomer(), peak: [0.0; BLOCK_COUNT_MAX], senders: BTreeMap::new() }
    }

    /// Whether this could be the table of this node, however it was stored.
    pub(crate) fn is_sound(&self, own_id: NodeId, blocks: usize) -> bool {
        let direction_ok = |direction: &Vec<f32>| {
            (direction.is_empty() || direction.len() == blocks * SKETCH) && direction.iter().all(|value| value.is_finite())
        };
        let track_ok = |track: &Track| {
            direction_ok(&track.direction) && track.level.iter().chain(&track.score).all(|value| value.is_finite())
        };
        self.blocks == blocks
            && self.own_id == own_id
            && self.peak.iter().all(|peak| peak.is_finite())
            && self.senders.len() <= SENDERS_MAX
            && self.senders.values().chain([&self.own]).all(track_ok)
    }

    /// Forgets all directions but no level: for when the sketch's key has changed.
    pub(crate) fn forget_directions(&mut self) {
        for track in self.senders.values_mut().chain([&mut self.own]) {
            track.direction = Vec::new();
        }
    }

    /// Takes in one round's bodies and judges their authors.
    ///
    /// `heard` is sorted by author and holds none by this node.
    pub(crate) fn judge(&mut self, round: u64, heard: &[Heard], own: Option<&Heard>) -> Verdict {
        self.note(round, heard);
        self.extend(heard, own);
        judge::judge(self, round, heard, own.is_some());
        let trust_of = |track: &Track| if round < GRACE_ROUNDS { 1.0 } else { track.trust(self.blocks) };
        let trust = heard.iter().map(|heard| self.senders.get(&heard.author).map_or(1.0, trust_of)).collect();
        Verdict { trust, own: trust_of(&self.own) }
    }

    /// Makes sure that every author has a track, at the cost of those unheard for longest.
    fn note(&mut self, round: u64, heard: &[Heard]) {
        for heard in heard {
            if !self.senders.contains_key(&heard.author) && self.senders.len() >= SENDERS_MAX {
                let oldest = self.senders.iter().min_by_key(|(id, track)| (track.heard_at, **id)).map(|(id, _)| *id);
                oldest.and_then(|id| self.senders.remove(&id));
            }
            let track = self.senders.entry(heard.author).or_insert_with(Track::newcomer);
            track.heard_at = round;
        }
    }

    fn extend(&mut self, heard: &[Heard], own: Option<&Heard>) {
        let add = |track: &mut Track, heard: &Heard| {
            track.direction.resize(heard.sketches.len(), 0.0);
            for (b, (slots, sketch)) in track.direction.chunks_mut(SKETCH).zip(heard.sketches.chunks(SKETCH)).enumerate() {
                let clip = heard.clips[b] as f32;
                slots.iter_mut().zip(sketch).for_each(|(slot, value)| *slot = 0.97 * *slot + clip * value);
            }
        };
        for heard in heard {
            if let Some(track) = self.senders.get_mut(&heard.author) {
                add(track, heard);
            }
        }
        if let Some(heard) = own {
            add(&mut self.own, heard);
        }
    }

    /// What this node thinks of all the senders it knows, by id: at most [`SENDERS_MAX`].
    pub(crate) fn export(&self) -> Vec<TrustRecord> {
        let record = |(&peer, track): (&NodeId, &Track)| TrustRecord { peer, levels: track.level };
        self.senders.iter().map(record).collect()
    }

    /// Takes over what several donors think: for every sender named by most of them, the median of
    /// their levels. A donor that does not name it (itself, say) counts as one that has just met it, so
    /// that of two opinions one lie is not half the truth. What this node has seen itself is not
    /// overruled.
    pub(crate) fn import(&mut self, donors: &[Vec<TrustRecord>]) {
        let mut opinions: BTreeMap<NodeId, Vec<TrustRecord>> = BTreeMap::new();
        for donor in donors {
            // A donor names a sender once; of a second opinion nothing is kept.
            let sound = |record: &&TrustRecord| record.levels.iter().all(|value| value.is_finite());
            let records: BTreeMap<NodeId, TrustRecord> =
                donor.iter().take(SENDERS_MAX).filter(sound).map(|record| (record.peer, *record)).collect();
            for (peer, record) in records {
                opinions.entry(peer).or_default().push(record);
            }
        }
        for (peer, mut records) in opinions {
            let named_by_most = records.len() * 2 > donors.len();
            if !named_by_most || peer == self.own_id || self.senders.contains_key(&peer) || self.senders.len() >= SENDERS_MAX {
                continue;
            }
            records.resize(donors.len(), TrustRecord { peer, levels: [NEWCOMER; BLOCK_COUNT_MAX] });
            let middle = |of: &dyn Fn(&TrustRecord) -> f32| {
                median(&mut records.iter().map(|record| f64::from(of(record))).collect::<Vec<_>>()) as f32
            };
            let mut track = Track::newcomer();
            for (b, level) in track.level.iter_mut().enumerate() {
                *level = middle(&|record| record.levels[b]).clamp(LEVEL.0, LEVEL.1);
            }
            self.senders.insert(peer, track);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u16) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        NodeId(bytes)
    }

    fn heard(number: u16, sketches: Vec<f32>) -> Heard {
        Heard { author: id(number), sketches, clips: [1.0; BLOCK_COUNT_MAX] }
    }

    #[test]
    fn the_table_is_bounded_and_keeps_whom_it_hears() {
        let mut table = TrustTable::new(id(9_999), 1);
        for round in 0..600_u16 {
            table.judge(u64::from(round), &[heard(0, vec![1.0; SKETCH]), heard(round + 1, vec![0.5; SKETCH])], None);
            assert!(table.senders.len() <= SENDERS_MAX);
        }
        assert!(table.senders.contains_key(&id(0)) && table.senders.contains_key(&id(600)));
        assert!(!table.senders.contains_key(&id(1)));
    }

    #[test]
    fn opposing_counts_while_the_others_agree() {
        let mut table = TrustTable::new(id(9_999), 1);
        let mut all: Vec<Heard> = (0..6).map(|number| heard(number, vec![1.0; SKETCH])).collect();
        all[3].sketches = vec![-1.0; SKETCH];
        let early = table.judge(0, &all, None);
        assert!(early.trust.iter().all(|&trust| trust == 1.0), "nobody is judged in the first rounds");
        let verdict = (1..20).map(|round| table.judge(round, &all, None)).last().expect("some rounds");
        assert!(verdict.trust[3] < 0.1 && verdict.trust[0] == 1.0, "{verdict:?}");
    }

    proptest! {
        #[test]
        fn no_input_makes_trust_anything_but_a_share(
            numbers in prop::collection::vec(prop::sample::select(vec![0.0_f32, 1.0, -1.0, 1e-30, 1e9, -1e30]), 40),
            senders in 1_u16..30,
            blocks in 1_usize..=BLOCK_COUNT_MAX,
        ) {
            let mut table = TrustTable::new(id(7), blocks);
            let sketch = |number: usize| (0..blocks * SKETCH).map(|i| numbers[(i * 7 + number * 3) % numbers.len()]).collect::<Vec<_>>();
            let all: Vec<Heard> = (0..senders).filter(|&number| number != 7).map(|number| heard(number, sketch(usize::from(number)))).collect();
            let own = heard(7, sketch(7));
            for round in 0..12 {
                let verdict = table.judge(round * 5, &all, Some(&own).filter(|_| round % 3 > 0));
                prop_assert!(verdict.trust.iter().chain([&verdict.own]).all(|trust| (0.0..=1.0).contains(trust)));
                prop_assert!(table.is_sound(id(7), blocks));
            }
        }
    }
}
