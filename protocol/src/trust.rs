//! Whose deltas count: three tests of every sender, multiplied (ADR 8).
//!
//! A single round's cosines say nothing about whom a sender works for: supports of sparse deltas hardly
//! overlap. So every sender has a *direction*, a decaying sum of count-sketches of its deltas, for each
//! trust block, and two tests judge it:
//! * `opposition`: who pulls against the trusted sum of all others loses its level, while evidence lasts;
//! * `crowding`: who is closer to others than senders are to each other acts for one aim with them.
//!
//! A *level* falls fast and rises slowly, and trust is the lowest level, clamped to 0..1. One round's
//! cosines do say who sends the same thing: `copies` of one delta count as one. And who appears when
//! everybody else is known counts little for its first hearings (*probation*), so that a new name is
//! no fresh start. A node judges itself as it judges others, so that nodes with equal views reach like
//! verdicts.
//!
//! The sketch is keyed with a secret of this node: nobody can craft a delta that cancels in it. The
//! table is bounded; the sender unheard for longest makes room. Nothing here bans: it weighs.

mod copies;
mod crowding;
mod known;
mod opposition;
mod sketch;

use std::collections::BTreeMap;

use bincode::{Decode, Encode};

use self::known::Known;
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
/// Who was not heard for so many times as many rounds as it takes to hear everybody has no say in who
/// opposes whom. Guess; without it liars who came back under new names outvoted the honest by those they
/// had left behind: twenty nodes, four of them new every ten rounds, ended at .57.
const GONE_AFTER: u64 = 4;
/// Bounds of levels.
const LEVEL: (f32, f32) = (-6.0, 2.0);
/// What a direction keeps when its sender is heard again: a memory of 33 hearings (measured: .9 finds
/// those sooner who begin late, and shuts out more honest nodes at 32).
const DIRECTION_KEEP: f32 = 0.97;
/// Rounds in which whoever is heard for the first time is no newcomer: at 12 of 64 heard in a round,
/// one in seventy is first heard later.
const FOUNDING_ROUNDS: u64 = 20;
/// Hearings until a newcomer counts in full. Measured against none at 64 nodes, where a new name every ten
/// rounds then cost 38 points; the number is a guess.
const PROBATION_HEARINGS: u32 = 8;

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
    /// A: how much closer it is to all others than is usual, summed over them.
    crowd: PerBlock,
    /// The same with each excess squared, as a mean over the blocks: high where a few are very close.
    density: f32,
    /// How it has stood by density.
    crowd_level: f32,
    /// The receiver's round when last heard.
    heard_at: u64,
    /// Times heard, up to [`PROBATION_HEARINGS`]; who needs no probation starts there.
    hearings: u32,
}

impl Track {
    fn newcomer() -> Self {
        Self { level: [NEWCOMER; BLOCK_COUNT_MAX], ..Self::default() }
    }

    /// Trust by the lowest level; `blocks` is the layout's block count.
    fn trust(&self, round: u64, blocks: usize) -> f32 {
        if round < GRACE_ROUNDS {
            return 1.0;
        }
        let lowest = self.level[..blocks].iter().copied().fold(self.crowd_level, f32::min);
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

impl Heard {
    /// The norm of one block, as the sketch has it.
    fn norm(&self, block: usize) -> f64 {
        sketch::square(&self.sketches[block * SKETCH..(block + 1) * SKETCH]).sqrt()
    }
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

/// What a node tells a joiner: how senders stand, and what they looked like when there was evidence.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct TrustReport {
    /// The highest median score of each trust block so far, -1 to 1.
    pub agreement: [f32; BLOCK_COUNT_MAX],
    /// The highest median norm of each trust block's deltas so far.
    pub loudness: [f32; BLOCK_COUNT_MAX],
    /// The senders it knows, by id, at most [`SENDERS_MAX`].
    pub senders: Vec<TrustRecord>,
}

/// All that a node remembers about the senders it has heard.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct TrustTable {
    blocks: usize,
    own_id: NodeId,
    own: Track,
    /// The highest median score of each block so far: how much all agreed when they agreed most.
    peak: PerBlock,
    /// The highest median norm of each block so far: how fast all learned when they learned fastest.
    loudest: PerBlock,
    /// The round of the first verdict; 0 once donors have told who has long been there.
    founded_at: Option<u64>,
    senders: BTreeMap<NodeId, Track>,
}

impl TrustTable {
    pub(crate) fn new(own_id: NodeId, blocks: usize) -> Self {
        let nothing = [0.0; BLOCK_COUNT_MAX];
        let senders = BTreeMap::new();
        Self { blocks, own_id, own: Track::newcomer(), peak: nothing, loudest: nothing, founded_at: None, senders }
    }

    /// Whether this could be the table of this node, however it was stored.
    pub(crate) fn is_sound(&self, own_id: NodeId, blocks: usize) -> bool {
        let direction_ok = |direction: &Vec<f32>| {
            (direction.is_empty() || direction.len() == blocks * SKETCH) && direction.iter().all(|value| value.is_finite())
        };
        let track_ok = |track: &Track| {
            let blockwise = track.level.iter().chain(&track.score).chain(&track.crowd);
            direction_ok(&track.direction) && blockwise.chain([&track.density, &track.crowd_level]).all(|value| value.is_finite())
        };
        self.blocks == blocks
            && self.own_id == own_id
            && self.peak.iter().chain(&self.loudest).all(|value| value.is_finite())
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
        let usual = self.senders.len().div_ceil(heard.len().max(1)) as u64;
        let present = |(_, track): &(&NodeId, &mut Track)| round.saturating_sub(track.heard_at) <= GONE_AFTER * usual;
        let tracks = self.senders.iter_mut().filter(present).chain(core::iter::once((&self.own_id, &mut self.own)));
        let is_heard = |id: &NodeId| heard.binary_search_by_key(id, |heard| heard.author).is_ok();
        let (own_id, own_spoke) = (self.own_id, own.is_some());
        let spoke = |id: &NodeId| if *id == own_id { own_spoke } else { is_heard(id) };
        let mut known = Known::new(tracks, round, self.blocks, spoke);
        crowding::judge(&mut known);
        opposition::judge(&mut known, &mut self.peak, &mut self.loudest, heard);
        let everybody: Vec<&Heard> = heard.iter().chain(own).collect();
        let originality = copies::originality(&everybody, self.blocks);
        let trust_of = |(heard, originality): (&Heard, &f32)| {
            let track = self.senders.get(&heard.author);
            track.map_or(1.0, |track| track.trust(round, self.blocks)) * originality
        };
        let mut trust: Vec<f32> = heard.iter().zip(&originality).map(trust_of).collect();
        trust.iter_mut().zip(self.tenure(heard)).for_each(|(trust, tenure)| *trust *= tenure);
        let own_originality = own.and(originality.last()).copied().unwrap_or(1.0);
        Verdict { trust, own: self.own.trust(round, self.blocks) * own_originality }
    }

    /// The share that probation leaves each author: hearings, as a part of what is usual among the
    /// authors of this round. Where most are new, as in networks much larger than the table, none is.
    fn tenure(&self, heard: &[Heard]) -> Vec<f32> {
        let hearings = |heard: &Heard| self.senders.get(&heard.author).map_or(PROBATION_HEARINGS, |track| track.hearings);
        let hearings: Vec<f64> = heard.iter().map(|heard| f64::from(hearings(heard))).collect();
        let usual = median(&mut hearings.clone()).max(1.0);
        hearings.into_iter().map(|hearings| (hearings / usual).min(1.0) as f32).collect()
    }

    /// Makes sure that every author has a track, at the cost of those unheard for longest.
    fn note(&mut self, round: u64, heard: &[Heard]) {
        let founded_at = *self.founded_at.get_or_insert(round);
        let hearings_before = if round > founded_at.saturating_add(FOUNDING_ROUNDS) { 0 } else { PROBATION_HEARINGS };
        for heard in heard {
            if !self.senders.contains_key(&heard.author) && self.senders.len() >= SENDERS_MAX {
                let oldest = self.senders.iter().min_by_key(|(id, track)| (track.heard_at, **id)).map(|(id, _)| *id);
                oldest.and_then(|id| self.senders.remove(&id));
            }
            let newcomer = || Track { hearings: hearings_before, ..Track::newcomer() };
            let track = self.senders.entry(heard.author).or_insert_with(newcomer);
            track.heard_at = round;
            track.hearings = (track.hearings + 1).min(PROBATION_HEARINGS);
        }
    }

    fn extend(&mut self, heard: &[Heard], own: Option<&Heard>) {
        let add = |track: &mut Track, heard: &Heard| {
            track.direction.resize(heard.sketches.len(), 0.0);
            for (b, (slots, sketch)) in track.direction.chunks_mut(SKETCH).zip(heard.sketches.chunks(SKETCH)).enumerate() {
                let clip = heard.clips[b] as f32;
                slots.iter_mut().zip(sketch).for_each(|(slot, value)| *slot = DIRECTION_KEEP * *slot + clip * value);
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

    /// What this node thinks of all the senders it knows. A level by density or probation that is lower
    /// than a block's stands in its place.
    pub(crate) fn export(&self) -> TrustReport {
        let record = |(&peer, track): (&NodeId, &Track)| {
            // The level whose trust is the share that probation leaves; from -2 on, trust is whole.
            let probation = track.hearings as f32 / PROBATION_HEARINGS as f32 - 3.0;
            let lowest = track.crowd_level.min(probation);
            let mut levels = track.level;
            if lowest < -2.0 {
                levels[..self.blocks].iter_mut().for_each(|level| *level = level.min(lowest));
            }
            TrustRecord { peer, levels }
        };
        TrustReport { agreement: self.peak, loudness: self.loudest, senders: self.senders.iter().map(record).collect() }
    }

    /// Takes over what several donors think: for every sender named by most of them, the median of
    /// their levels. A donor that does not name it (itself, say) counts as one that has just met it, so
    /// that of two opinions one lie is not half the truth. What this node has seen itself is not
    /// overruled.
    ///
    /// What evidence is, too: a joiner that took the first round it sees for the loudest there was would
    /// judge the honest when their deltas have come to oppose each other. Full mesh of 64, one replaced in
    /// a hundred a round, then ended at .87 instead of .97.
    pub(crate) fn import(&mut self, donors: &[TrustReport]) {
        self.import_evidence(donors);
        let mut opinions: BTreeMap<NodeId, Vec<TrustRecord>> = BTreeMap::new();
        for donor in donors {
            // A donor names a sender once; of a second opinion nothing is kept.
            let sound = |record: &&TrustRecord| record.levels.iter().all(|value| value.is_finite());
            let records: BTreeMap<NodeId, TrustRecord> =
                donor.senders.iter().take(SENDERS_MAX).filter(sound).map(|record| (record.peer, *record)).collect();
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
            let mut track = Track { hearings: PROBATION_HEARINGS, ..Track::newcomer() };
            for (b, level) in track.level.iter_mut().enumerate() {
                *level = middle(&|record| record.levels[b]).clamp(LEVEL.0, LEVEL.1);
            }
            self.senders.insert(peer, track);
            // Who is not among them is new to the network, not only to this node.
            self.founded_at = Some(0);
        }
    }

    /// The lower median of what donors saw at its height, where this node has not seen more: of two, one
    /// that says too much is not believed. Who saw nothing is not asked.
    fn import_evidence(&mut self, donors: &[TrustReport]) {
        let lower = |of: &dyn Fn(&TrustReport) -> f32| {
            let mut values: Vec<f32> = donors.iter().map(of).filter(|&value| value.is_finite() && value > 0.0).collect();
            values.sort_by(f32::total_cmp);
            values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
        };
        for b in 0..self.blocks {
            self.peak[b] = self.peak[b].max(lower(&|donor| donor.agreement[b]).min(1.0));
            self.loudest[b] = self.loudest[b].max(lower(&|donor| donor.loudness[b]));
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

    #[test]
    fn a_new_name_counts_little_until_it_is_known() {
        let mut table = TrustTable::new(id(9_999), 1);
        let founders: Vec<Heard> = (0..6).map(|number| heard(number, unlike(number))).collect();
        let mut all = founders;
        (0..30).for_each(|round| drop(table.judge(round, &all, None)));
        all.push(heard(6, unlike(6)));
        let shares: Vec<f32> = (30..40).map(|round| table.judge(round, &all, None).trust[6]).collect();
        assert_eq!(shares[..3], [0.125, 0.25, 0.375]);
        assert!(shares[8] == 1.0 && table.judge(40, &all, None).trust[0] == 1.0, "{shares:?}");
    }

    #[test]
    fn a_joiner_asks_who_has_long_been_there() {
        let mut donor = TrustTable::new(id(1), 1);
        let all: Vec<Heard> = (2..8).map(|number| heard(number, unlike(number))).collect();
        (0..30).for_each(|round| drop(donor.judge(round, &all, None)));
        let mut joiner = TrustTable::new(id(9), 1);
        joiner.import(&[donor.export()]);
        let with_a_stranger: Vec<Heard> = all.iter().cloned().chain([heard(8, unlike(8))]).collect();
        let verdict = joiner.judge(30, &with_a_stranger, None);
        assert!(verdict.trust[..6].iter().all(|&trust| trust == 1.0) && verdict.trust[6] == 0.125, "{verdict:?}");
    }

    /// A sketch that has nothing to do with that of another number.
    fn unlike(number: u16) -> Vec<f32> {
        (0..SKETCH).map(|i| if i % 16 == usize::from(number) { 1.0 } else { 0.0 }).collect()
    }

    #[test]
    fn what_donors_say_is_bounded() {
        let of = |peer, level| TrustRecord { peer: NodeId([peer; 32]), levels: [level; BLOCK_COUNT_MAX] };
        let senders = vec![of(1, 1e30), of(2, -1e30), of(3, f32::NAN)];
        let donor = TrustReport { senders, ..TrustReport::default() };
        let mut joiner = TrustTable::new(id(9), 1);
        joiner.import(&[donor.clone(), donor.clone(), donor]);
        let levels: Vec<_> = joiner.senders.iter().map(|(peer, track)| (peer.0[0], track.level[0])).collect();
        assert_eq!(levels, [(1, LEVEL.1), (2, LEVEL.0)], "and nothing is kept of who was named with nonsense");
    }

    #[test]
    fn a_joiner_knows_what_evidence_was() {
        let report = |level: f32| TrustReport {
            agreement: [level; BLOCK_COUNT_MAX],
            loudness: [10.0 * level; BLOCK_COUNT_MAX],
            senders: vec![],
        };
        let learned = |donors: &[TrustReport]| {
            let mut joiner = TrustTable::new(id(9), 1);
            joiner.import(donors);
            (joiner.peak[0], joiner.loudest[0])
        };
        assert_eq!(learned(&[report(0.3), report(f32::INFINITY), report(0.4)]), (0.3, 3.0));
        assert_eq!(learned(&[report(0.3), report(7.0)]), (0.3, 3.0));
        assert_eq!(learned(&[report(7.0)]).0, 1.0, "no cosine is more");
        assert_eq!(learned(&[]), (0.0, 0.0));
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
