//! Who is there: a bounded, expiring record of the peers of one run, and what each said last.
//!
//! The view decides whether an announce is news (sequence numbers only rise), how many are live,
//! and where the run stands: the *median* of the peers' rounds, never the maximum, so that one liar
//! moves nobody. It never fetches, never trusts, and holds at most [`PEERS_MAX`] peers.
//!
//! Names cost nothing. So the view remembers who delivered what it had announced (`Credit`), and who exists
//! as announces alone neither crowds out who delivers, nor fills a sample, nor says where the run stands.

mod credit;

use std::collections::BTreeMap;

use crate::dice::Dice;
use crate::id::{Digest, NodeId};
use crate::peer::ROUND_WINDOW;
use crate::reject::Reject;
use crate::time::{Span, Time};
use crate::wire::Announce;

use credit::{Credit, Strangers};

/// Peers in a view. At some 200 bytes each this is 50 KB; sampling needs far fewer. Guess.
pub const PEERS_MAX: usize = 256;
/// Announces of one author that each period allows. A round lasts a tenth of a period at least; three times
/// that leaves room for clocks.
const ANNOUNCES_A_PERIOD: u8 = 32;
/// Announces of one author beyond what periods have allowed since. What waited while a connection was
/// replaced comes at once: as much as a gossip queue holds (64) beside a period's own.
const ANNOUNCES_MAX: u8 = 96;
/// Peers whose rounds are needed before their median is followed (ALGORITHM, step 6).
const MEDIAN_LEAST: usize = 3;

/// Places of a sample between two that go to peers with a connection. Announces cost nothing, so authors
/// that exist only as announces must not have them all. But a node that prefers its few neighbours
/// learns from a part of the network: with every other place for them 64 nodes had .60 in round 40,
/// with every fourth .80, as with none (Dirichlet .1, s = 8).
const ANNOUNCED_ONLY: usize = 3;
/// Places before one that goes to a stranger while strangers are doubted. Some place there must be: else
/// an attack would keep newcomers out for good.
const BEFORE_STRANGER: usize = 3;

/// A group of addresses that one person can easily own (an IPv4 /24, an IPv6 /48), as the host
/// numbers them. Loopback and private hosts have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(pub u64);

/// What a peer said last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Its round.
    pub round: u64,
    /// Its sequence number.
    pub seq: u64,
    /// Examples in its shard, as claimed.
    pub samples: u32,
    /// Local steps of its round, as claimed.
    pub steps: u32,
    /// Its distance to others' slices, as claimed.
    pub slice_rms: f32,
    digest: Digest,
}

/// One peer as seen from here.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Whether there is a connection on which it takes part in the run.
    pub up: bool,
    /// Where its address lies.
    pub prefix: Option<Prefix>,
    /// The last announce, if any.
    pub heard: Option<Heard>,
    /// When it came up or was heard last.
    pub at: Time,
    credit: Credit,
    announces: u8,
    counted_since: Time,
}

/// The peers of one run.
#[derive(Clone, Debug)]
pub struct View {
    me: NodeId,
    period: Span,
    dead_after: Span,
    peers: BTreeMap<NodeId, Seen>,
    strangers: Strangers,
}

/// How much an author's announces are believed; the better comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Belief {
    /// It has a connection, or delivers, or strangers deliver as a rule.
    Believed,
    /// It has not delivered, and most others like it were asked in vain.
    Doubted,
    /// So was it itself.
    Vain,
}

impl Seen {
    /// Whether there is more to it than announces.
    const fn is_vouched(&self) -> bool {
        self.up || self.credit.is_proven()
    }
}

impl View {
    /// An empty view of `me` in a run of this period; peers silent for `dead_after` are no longer live.
    #[must_use]
    pub const fn new(me: NodeId, period: Span, dead_after: Span) -> Self {
        Self { me, period, dead_after, peers: BTreeMap::new(), strangers: Strangers::NONE }
    }

    /// A peer has come up.
    pub fn up(&mut self, now: Time, peer: NodeId, prefix: Option<Prefix>) {
        if peer == self.me {
            return;
        }
        let seen = self.entry(now, peer);
        seen.up = true;
        seen.prefix = prefix;
        seen.at = now;
    }

    /// A peer's connection is gone. It stays live for a while: others may still bring its deltas.
    pub fn down(&mut self, peer: &NodeId) {
        if let Some(seen) = self.peers.get_mut(peer) {
            seen.up = false;
        }
    }

    /// A peer is not to be seen any more.
    pub fn remove(&mut self, peer: &NodeId) {
        self.peers.remove(peer);
    }

    /// Notes an announce if it is news.
    ///
    /// # Errors
    /// [`Reject::Echo`], [`Reject::Replayed`], [`Reject::Equivocation`] or [`Reject::Flood`].
    pub fn note(&mut self, now: Time, announce: &Announce) -> Result<(), Reject> {
        if announce.author == self.me {
            return Err(Reject::Echo);
        }
        let period = self.period;
        let seen = self.entry(now, announce.author);
        if let Some(heard) = &seen.heard {
            if announce.seq == heard.seq && announce.digest != heard.digest {
                return Err(Reject::Equivocation);
            }
            if announce.seq <= heard.seq {
                return Err(Reject::Replayed);
            }
        }
        let periods = now.since(seen.counted_since).0 / period.0.max(1);
        if periods > 0 {
            let allowed = periods.saturating_mul(ANNOUNCES_A_PERIOD.into());
            seen.announces = seen.announces.saturating_sub(u8::try_from(allowed).unwrap_or(u8::MAX));
            seen.counted_since = now;
        }
        if seen.announces >= ANNOUNCES_MAX {
            return Err(Reject::Flood);
        }
        seen.announces += 1;
        seen.at = now;
        let Announce { round, seq, digest, samples, steps, slice_rms, .. } = *announce;
        seen.heard = Some(Heard { round, seq, samples, steps, slice_rms, digest });
        Ok(())
    }

    /// Notes that a body of this author came and decoded.
    pub fn delivered(&mut self, now: Time, author: NodeId) {
        if author == self.me {
            return;
        }
        let seen = self.entry(now, author);
        let is_stranger = !seen.is_vouched();
        seen.credit.deliver();
        if is_stranger {
            self.strangers.note(false);
        }
    }

    /// Notes that an announced body of this author was asked for, and did not come.
    pub fn asked_in_vain(&mut self, author: &NodeId) {
        let seen = self.peers.get_mut(author);
        // Who was pushed out of the view meanwhile is a stranger all the more.
        if seen.as_ref().is_none_or(|seen| !seen.is_vouched()) {
            self.strangers.note(true);
        }
        if let Some(seen) = seen {
            seen.credit.lose();
        }
    }

    /// How much this author's announces are believed.
    #[must_use]
    pub fn belief(&self, author: &NodeId) -> Belief {
        self.belief_of(self.peers.get(author))
    }

    fn belief_of(&self, seen: Option<&Seen>) -> Belief {
        match seen {
            _ if !self.strangers.are_doubted() => Belief::Believed,
            Some(seen) if seen.is_vouched() => Belief::Believed,
            Some(seen) if seen.credit.is_vain() => Belief::Vain,
            _ => Belief::Doubted,
        }
    }

    /// Whether there is more to this author than announces: it has a connection, or delivers.
    #[must_use]
    pub fn is_vouched(&self, author: &NodeId) -> bool {
        self.peers.get(author).is_some_and(Seen::is_vouched)
    }

    /// Once a round: forgets those that are down and long silent, and forgives a little.
    pub fn expire(&mut self, now: Time) {
        let keep_for = self.dead_after.times(10);
        self.peers.values_mut().for_each(|seen| seen.credit.fade());
        self.peers.retain(|_, seen| seen.up || now.since(seen.at) < keep_for);
    }

    /// Peers known: up, or heard not too long ago.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether nobody is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// This peer, if known.
    #[must_use]
    pub fn get(&self, peer: &NodeId) -> Option<&Seen> {
        self.peers.get(peer)
    }

    /// All known peers, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Seen)> {
        self.peers.iter()
    }

    /// Peers with a connection.
    pub fn up_peers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.iter().filter(|(_, seen)| seen.up).map(|(&peer, _)| peer)
    }

    /// Peers that are up or were heard lately, by id.
    pub fn live(&self, now: Time) -> impl Iterator<Item = (NodeId, &Seen)> + '_ {
        self.peers.iter().filter(move |(_, seen)| now.since(seen.at) < self.dead_after).map(|(&peer, seen)| (peer, seen))
    }

    /// `n`: the live nodes, this one included, that are believed.
    #[must_use]
    pub fn live_count(&self, now: Time) -> usize {
        1 + self.live(now).filter(|(_, seen)| self.belief_of(Some(seen)) == Belief::Believed).count()
    }

    /// What those said last who are live and more than a name: medians of what costs nothing to say would
    /// be whatever one person with many names says.
    fn voices(&self, now: Time) -> impl Iterator<Item = Heard> + '_ {
        self.live(now).filter(|(_, seen)| seen.is_vouched()).filter_map(|(_, seen)| seen.heard)
    }

    /// Where the run stands: the median round of the live peers that were heard and are connected or have
    /// delivered; with fewer than three of them, the lowest, which a single liar cannot raise.
    #[must_use]
    pub fn run_round(&self, now: Time) -> Option<u64> {
        let mut rounds: Vec<u64> = self.voices(now).map(|heard| heard.round).collect();
        let middle = if rounds.len() < MEDIAN_LEAST { 0 } else { (rounds.len() - 1) / 2 };
        (middle < rounds.len()).then(|| *rounds.select_nth_unstable(middle).1)
    }

    /// The median of the steps that live peers did in their last rounds.
    #[must_use]
    pub fn median_steps(&self, now: Time) -> Option<u32> {
        let mut steps: Vec<u32> = self.voices(now).map(|heard| heard.steps).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied()
    }

    /// The median of the distances to slices that live peers report.
    #[must_use]
    pub fn median_slice_rms(&self, now: Time) -> Option<f32> {
        let mut rms: Vec<f32> = self.voices(now).map(|heard| heard.slice_rms).collect();
        rms.sort_unstable_by(f32::total_cmp);
        rms.get(rms.len() / 2).copied()
    }

    /// All live peers in random order, rearranged three times. The first `s` are a round's targets.
    ///
    /// No two of one address prefix come before every prefix had its turn; at least every fourth place goes
    /// to a peer with a connection while there is one (`ANNOUNCED_ONLY`); at most every fourth to one who is
    /// doubted, while there are others (`BEFORE_STRANGER`), then come those asked in vain; and who was heard
    /// last in a round from which nothing is of use in `round` comes after all others.
    #[must_use]
    pub fn sample(&self, now: Time, round: u64, dice: &mut Dice) -> Vec<NodeId> {
        let mut order: Vec<(NodeId, &Seen)> = self.live(now).collect();
        dice.shuffle(&mut order);
        let mut turns: BTreeMap<Prefix, usize> = BTreeMap::new();
        order.sort_by_cached_key(|(_, seen)| {
            seen.prefix.map_or(0, |prefix| {
                let turn = turns.entry(prefix).or_default();
                *turn += 1;
                *turn - 1
            })
        });
        let (up, rest): (Vec<_>, Vec<_>) = order.into_iter().partition(|(_, seen)| seen.up);
        let [mut believed, mut doubted, mut vain] = [const { Vec::new() }; 3];
        for (peer, seen) in rest {
            match self.belief_of(Some(seen)) {
                Belief::Believed => believed.push((peer, seen)),
                Belief::Doubted => doubted.push((peer, seen)),
                Belief::Vain => vain.push((peer, seen)),
            }
        }
        let mut sample = merge((up, 1), (believed, ANNOUNCED_ONLY));
        sample = merge((sample, BEFORE_STRANGER), (doubted, 1));
        sample.append(&mut vain);
        // Stable: within each part the order stays.
        sample.sort_by_key(|(_, seen)| seen.heard.is_some_and(|heard| heard.round.abs_diff(round) > ROUND_WINDOW));
        sample.into_iter().map(|(peer, _)| peer).collect()
    }

    fn entry(&mut self, now: Time, peer: NodeId) -> &mut Seen {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            let least = |seen: &Seen| (seen.up, seen.credit.is_proven(), seen.at);
            let oldest = self.peers.iter().min_by_key(|(_, seen)| least(seen)).map(|(&peer, _)| peer);
            if let Some(oldest) = oldest {
                self.peers.remove(&oldest);
            }
        }
        let credit = Credit::default();
        let new = Seen { up: false, prefix: None, heard: None, at: now, credit, announces: 0, counted_since: now };
        self.peers.entry(peer).or_insert(new)
    }
}

/// So many of the one, then so many of the other, until both are used up.
fn merge<T>((one, ones): (Vec<T>, usize), (other, others): (Vec<T>, usize)) -> Vec<T> {
    let mut merged = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    while one.len() + other.len() > 0 {
        merged.extend(one.by_ref().take(ones));
        merged.extend(other.by_ref().take(others));
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RunId;

    fn node(n: u32) -> NodeId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_le_bytes());
        NodeId(id)
    }

    fn announce(author: NodeId, round: u64, seq: u64) -> Announce {
        let digest = Digest::of(&seq.to_le_bytes());
        Announce { run: RunId([0; 32]), author, round, seq, digest, body_bytes: 1, samples: 1, steps: 1, slice_rms: 0.0 }
    }

    fn view() -> View {
        View::new(node(0), Span::from_secs(1), Span::from_secs(10))
    }

    #[test]
    fn only_rising_numbers_are_news() {
        let mut view = view();
        let now = Time(0);
        assert_eq!(view.note(now, &announce(node(1), 5, 7)), Ok(()));
        assert_eq!(view.note(now, &announce(node(1), 5, 7)), Err(Reject::Replayed));
        assert_eq!(view.note(now, &announce(node(1), 6, 6)), Err(Reject::Replayed));
        let two_faced = Announce { digest: Digest::of(b"other"), ..announce(node(1), 5, 7) };
        assert_eq!(view.note(now, &two_faced), Err(Reject::Equivocation));
        assert_eq!(view.note(now, &announce(node(0), 5, 7)), Err(Reject::Echo));
        let most = 7 + u64::from(ANNOUNCES_MAX);
        for seq in 8..most {
            assert_eq!(view.note(now, &announce(node(1), 5, seq)), Ok(()));
        }
        assert_eq!(view.note(now, &announce(node(1), 5, most)), Err(Reject::Flood));
        let later = now + Span::from_secs(1);
        for seq in most..most + u64::from(ANNOUNCES_A_PERIOD) {
            assert_eq!(view.note(later, &announce(node(1), 6, seq)), Ok(()), "a new period, a new allowance");
        }
        assert_eq!(view.note(later, &announce(node(1), 6, 1_000)), Err(Reject::Flood), "and no more than one");
    }

    #[test]
    fn one_liar_does_not_move_the_run() {
        let mut view = view();
        let now = Time(0);
        assert_eq!(view.run_round(now), None);
        for n in 1..=4 {
            view.up(now, node(n), None);
        }
        view.note(now, &announce(node(1), u64::MAX, 1)).unwrap();
        view.note(now, &announce(node(2), 4, 1)).unwrap();
        assert_eq!(view.run_round(now), Some(4), "of two, the lower");
        view.note(now, &announce(node(3), 5, 1)).unwrap();
        assert_eq!(view.run_round(now), Some(5), "of three, the middle");
        view.note(now, &announce(node(4), 6, 1)).unwrap();
        assert_eq!(view.run_round(now), Some(5), "of four, the lower middle");
    }

    #[test]
    fn names_alone_say_nothing_about_the_run() {
        let mut view = view();
        let now = Time(0);
        for n in 10..100 {
            let lie = Announce { steps: u32::MAX, ..announce(node(n), 1_000, 1) };
            view.note(now, &lie).unwrap();
        }
        assert_eq!((view.run_round(now), view.median_steps(now), view.median_slice_rms(now)), (None, None, None));
        for n in 1..=3 {
            view.note(now, &announce(node(n), 4, 1)).unwrap();
            view.delivered(now, node(n));
        }
        assert_eq!((view.run_round(now), view.median_steps(now)), (Some(4), Some(1)));
    }

    #[test]
    fn the_silent_are_dead_and_the_flood_is_bounded() {
        let mut view = view();
        view.up(Time(0), node(1), None);
        assert_eq!(view.live_count(Time(0)), 2);
        let later = Time(0) + Span::from_secs(10);
        assert_eq!(view.live_count(later), 1);
        for n in 2..5_000 {
            view.note(later, &announce(node(n), 0, 1)).unwrap();
        }
        assert_eq!(view.iter().count(), PEERS_MAX);
        assert!(view.get(&node(1)).is_some(), "who is connected is not pushed out by who is not");
        view.down(&node(1));
        view.expire(later + Span::from_secs(1_000));
        assert_eq!(view.iter().count(), 0);
    }

    #[test]
    fn made_up_authors_get_three_places_of_four_at_most() {
        let mut view = view();
        for n in 1..=4 {
            view.up(Time(0), node(n), None);
        }
        for n in 5..200 {
            view.note(Time(0), &announce(node(n), 0, 1)).unwrap();
        }
        let sample = view.sample(Time(0), 1, &mut Dice::new(&[3; 32]));
        assert_eq!(sample.len(), 199);
        assert!((1..=4).all(|n| sample[..16].contains(&node(n))));
        assert_eq!((1..=4).filter(|&n| sample[..8].contains(&node(n))).count(), 2);
    }

    /// A view of four connected peers and 196 names, after eight strangers were asked in vain.
    fn doubting() -> View {
        let mut view = view();
        for n in 1..=4 {
            view.up(Time(0), node(n), None);
        }
        for n in 5..200 {
            view.note(Time(0), &announce(node(n), 0, 1)).unwrap();
        }
        for n in 300..308 {
            view.asked_in_vain(&node(n));
        }
        view
    }

    #[test]
    fn in_doubt_who_never_delivered_gets_one_place_of_four() {
        let mut view = doubting();
        assert_eq!(view.live_count(Time(0)), 5, "names are no nodes");
        for n in 5..13 {
            view.delivered(Time(0), node(n));
        }
        // Doubt has gone with them; eight names in vain bring it back.
        for n in 100..108 {
            view.asked_in_vain(&node(n));
        }
        assert_eq!(view.live_count(Time(0)), 13);
        for seed in 0..20 {
            let sample = view.sample(Time(0), 1, &mut Dice::new(&[seed; 32]));
            let among = |range: core::ops::Range<u32>, places: &[NodeId]| range.filter(|&n| places.contains(&node(n))).count();
            assert_eq!(among(1..13, &sample[..16]), 12, "four places of sixteen are for strangers");
            assert_eq!(among(100..108, &sample[sample.len() - 8..]), 8, "who was asked in vain comes last");
            assert_eq!(sample.len(), 199);
        }
        assert_eq!([1, 5, 50, 100].map(|n| view.belief(&node(n))), {
            use Belief::{Believed, Doubted, Vain};
            [Believed, Believed, Doubted, Vain]
        });
    }

    #[test]
    fn in_vain_is_forgiven_after_some_rounds_and_a_connection_keeps_its_place() {
        let mut view = view();
        view.note(Time(0), &announce(node(1), 0, 1)).unwrap();
        view.up(Time(0), node(2), None);
        view.asked_in_vain(&node(1));
        view.asked_in_vain(&node(2));
        assert_eq!(view.belief(&node(1)), Belief::Believed, "one in vain is no attack");
        for n in 3..8 {
            view.asked_in_vain(&node(n));
        }
        assert_eq!([1, 2].map(|n| view.belief(&node(n))), [Belief::Vain, Belief::Believed]);
        for _ in 0..16 {
            view.expire(Time(0));
        }
        assert_eq!(view.belief(&node(1)), Belief::Doubted);
    }

    #[test]
    fn who_delivered_stays_when_the_view_is_full() {
        let mut view = view();
        view.note(Time(0), &announce(node(1), 0, 1)).unwrap();
        view.delivered(Time(0), node(1));
        for n in 2..5_000 {
            view.note(Time(1), &announce(node(n), 0, 1)).unwrap();
        }
        assert!(view.is_vouched(&node(1)) && view.len() == PEERS_MAX);
        // A body that comes after its author was pushed out brings it back.
        assert!(view.get(&node(2)).is_none());
        view.delivered(Time(1), node(2));
        assert!(view.is_vouched(&node(2)) && view.len() == PEERS_MAX);
        assert_eq!(view.note(Time(1), &announce(node(1), 0, 1)), Err(Reject::Replayed), "nor is its number forgotten");
    }

    #[test]
    fn a_sample_spreads_over_prefixes() {
        let mut view = view();
        for n in 1..=20 {
            view.up(Time(0), node(n), Some(Prefix(if n <= 16 { 1 } else { u64::from(n) })));
        }
        for seed in 0..20 {
            let sample = view.sample(Time(0), 1, &mut Dice::new(&[seed; 32]));
            assert_eq!(sample.len(), 20);
            let crowd = sample[..5].iter().filter(|&&peer| (1..=16).any(|n| node(n) == peer)).count();
            assert_eq!(crowd, 1, "sixteen neighbours get one place of five");
        }
    }
}
