//! Which connections are let go.
//!
//! A node needs some 12 peers of a run to hear it whole, and each connection costs memory at both ends.
//! More come about: whoever has a body is called for it, lookups lead through others, and a peer that
//! many know first is called by all. Beyond [`NetworkConfig::peers_kept`] of a run, the youngest go that
//! nobody uses. Both ends see the same age, so they agree about most.
//!
//! Never let go: a connection on which something is asked or answered, gossip's mesh, the oldest that
//! this node opened itself (so that callers, however many, cannot be all it sees), two peers known long,
//! relays that keep a place for us, and those that are dear: there is no way back but through a relay.
//! Who is let go stays known by its announces, and is called again when it has something to give.
//! Peers that share no run with this node are not counted and not let go here.
//!
//! [`NetworkConfig::peers_kept`]: super::NetworkConfig::peers_kept

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use shoal_protocol::id::RunId;

use super::Network;
use super::address::Prefix;
use super::reach::{LONG_KNOWN_WANTED, Reach};
use crate::identity::peer_of;

/// Connections of its own that a node holds on to, the oldest: half of what it keeps (guess).
const OWN_HELD: usize = 8;
/// Dear ones that it holds on to, the oldest: three times what it keeps (guess). A relay that serves
/// hundreds is in no run.
const DEAR_HELD: usize = 48;

/// What connects this node with one peer of its runs.
#[derive(Clone, Debug)]
pub(super) struct Tie {
    pub(super) peer: PeerId,
    pub(super) since: Instant,
    /// Since when nothing is asked or answered; `None` while something is.
    pub(super) quiet_since: Option<Instant>,
    /// This node called.
    pub(super) outgoing: bool,
    /// It cannot simply be called again.
    pub(super) dear: bool,
    /// It is needed for something else.
    pub(super) held: bool,
    pub(super) prefix: Option<Prefix>,
    /// The runs that it is up in, at least one.
    pub(super) runs: Vec<RunId>,
}

/// Who goes, so that no run has more than `kept`. Who is up in several runs goes if all have too many.
/// Of one address prefix all but the oldest go first.
fn surplus(mut ties: Vec<Tie>, kept: usize, lingers: Duration, now: Instant) -> Vec<PeerId> {
    let mut up: BTreeMap<RunId, usize> = BTreeMap::new();
    for run in ties.iter().flat_map(|tie| &tie.runs) {
        *up.entry(*run).or_default() += 1;
    }
    ties.sort_by_key(|tie| (tie.since, tie.peer));
    ties.iter_mut().filter(|tie| tie.outgoing).take(OWN_HELD).for_each(|tie| tie.held = true);
    ties.iter_mut().filter(|tie| tie.dear).take(DEAR_HELD).for_each(|tie| tie.held = true);
    let mut prefixes = BTreeSet::new();
    let crowded: Vec<bool> = ties.iter().map(|tie| tie.prefix.is_some_and(|prefix| !prefixes.insert(prefix))).collect();
    let quiet = |tie: &Tie| tie.quiet_since.is_some_and(|since| since + lingers <= now);
    let mut free: Vec<_> = ties.into_iter().zip(crowded).filter(|(tie, _)| !tie.held && quiet(tie)).collect();
    free.sort_by_key(|(tie, crowded)| Reverse((*crowded, tie.since)));
    let mut gone = Vec::new();
    for (tie, _) in free {
        if tie.runs.iter().all(|run| up.get(run).is_some_and(|count| *count > kept)) {
            for run in &tie.runs {
                up.entry(*run).and_modify(|count| *count -= 1);
            }
            gone.push(tie.peer);
        }
    }
    gone
}

impl Network {
    /// Closes what is let go.
    pub(super) fn let_go(&mut self, now: Instant) {
        let kept = self.config.peers_kept();
        if self.runs.keys().all(|run| self.peers.up(run) <= kept) {
            return;
        }
        let mut held: BTreeSet<PeerId> = self.held_long_known();
        let behaviour = self.swarm.behaviour();
        for topic in self.runs.values() {
            held.extend(behaviour.gossip.mesh_peers(&topic.hash()));
        }
        // Whom others cannot call is called back by nobody.
        let callable = matches!(self.reach().0, Reach::Public | Reach::Mapped | Reach::Local);
        let ties = self.peers.ties().map(|tie| {
            let asked = behaviour.requests.quiet_since(&tie.peer).zip(behaviour.catalogue.quiet_since(&tie.peer));
            Tie {
                quiet_since: asked.map(|(one, other)| one.max(other)),
                held: held.contains(&tie.peer) || self.place.is_our_relay(&tie.peer),
                dear: tie.dear || !callable,
                ..tie
            }
        });
        let gone = surplus(ties.collect(), kept, self.config.lingers, now);
        for peer in gone {
            tracing::debug!(%peer, "let go: there are enough others");
            // An error means that it went by itself.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// The first two of those known long that are connected.
    fn held_long_known(&self) -> BTreeSet<PeerId> {
        let connected = self.place.long_known().iter().filter_map(peer_of).filter(|peer| self.peers.is_connected(peer));
        connected.take(LONG_KNOWN_WANTED).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId([1; 32]);
    const OTHER: RunId = RunId([2; 32]);
    const LINGERS: Duration = Duration::from_secs(3);

    /// So many peers that called us, the first the oldest, all long quiet; and a time at which they are.
    fn callers(count: u64) -> (Vec<Tie>, Instant) {
        let start = Instant::now();
        let tie = |n| Tie {
            peer: PeerId::random(),
            since: start + Duration::from_secs(n),
            quiet_since: Some(start + Duration::from_secs(n)),
            outgoing: false,
            dear: false,
            held: false,
            prefix: None,
            runs: vec![RUN],
        };
        ((0..count).map(tie).collect(), start + Duration::from_secs(count) + LINGERS)
    }

    fn names(ties: &[Tie], places: impl IntoIterator<Item = usize>) -> BTreeSet<PeerId> {
        places.into_iter().map(|place| ties[place].peer).collect()
    }

    fn gone(ties: &[Tie], kept: usize, now: Instant) -> BTreeSet<PeerId> {
        surplus(ties.to_vec(), kept, LINGERS, now).into_iter().collect()
    }

    #[test]
    fn the_youngest_go_and_only_as_many_as_are_too_many() {
        let (ties, now) = callers(20);
        assert_eq!(gone(&ties, 20, now), names(&ties, []));
        assert_eq!(gone(&ties, 16, now), names(&ties, 16..20));
    }

    #[test]
    fn who_is_needed_stays_however_young() {
        let (mut ties, now) = callers(20);
        ties[19].held = true;
        ties[18].quiet_since = None;
        ties[17].quiet_since = Some(now - LINGERS + Duration::from_millis(1));
        ties[16].dear = true;
        ties[15].outgoing = true;
        assert_eq!(gone(&ties, 16, now), names(&ties, 11..15));
        assert_eq!(gone(&ties, 0, now), names(&ties, 0..15), "never more than nobody needs");
    }

    #[test]
    fn what_is_held_for_its_kind_is_bounded() {
        let (mut ties, now) = callers(60);
        ties.iter_mut().for_each(|tie| tie.outgoing = true);
        assert_eq!(gone(&ties, 0, now), names(&ties, OWN_HELD..60));
        ties.iter_mut().for_each(|tie| (tie.outgoing, tie.dear) = (false, true));
        assert_eq!(gone(&ties, 0, now), names(&ties, DEAR_HELD..60));
    }

    #[test]
    fn of_a_crowded_prefix_one_stays_before_others_go() {
        let (mut ties, now) = callers(20);
        for tie in &mut ties[..6] {
            tie.prefix = Some(Prefix::V4([203, 0, 113]));
        }
        assert_eq!(gone(&ties, 16, now), names(&ties, 2..6));
        assert_eq!(gone(&ties, 14, now), names(&ties, [1, 2, 3, 4, 5, 19]));
    }

    #[test]
    fn who_is_missed_in_another_run_stays() {
        let (mut ties, now) = callers(20);
        ties[19].runs = vec![RUN, OTHER];
        assert_eq!(gone(&ties, 16, now), names(&ties, 15..19));
        for tie in &mut ties {
            tie.runs = vec![RUN, OTHER];
        }
        assert_eq!(gone(&ties, 16, now), names(&ties, 16..20));
    }

    /// Sixty-four nodes that all call the first and then whomever they meet, each by its own count: who lets go
    /// and who looks for more come to rest, and nobody is left with few.
    #[test]
    fn letting_go_and_calling_do_not_undo_each_other() {
        const NODES: usize = 64;
        const TARGET: usize = 12;
        const KEPT: usize = 16;
        let names: Vec<PeerId> = (0..NODES).map(|_| PeerId::random()).collect();
        let start = Instant::now();
        // Who called, whom, since when.
        let mut links: Vec<(usize, usize, Instant)> = (1..NODES).map(|n| (n, 0, start)).collect();
        let mut dice = 7_usize;
        let mut changed_last = 0;
        for second in 1..200 {
            let now = start + Duration::from_secs(second as u64);
            for node in 0..NODES {
                let degree =
                    |links: &[(usize, usize, Instant)]| links.iter().filter(|(a, b, _)| *a == node || *b == node).count();
                while degree(&links) < TARGET {
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let other = (dice >> 33) % NODES;
                    let known = links.iter().any(|(a, b, _)| (*a, *b) == (node, other) || (*a, *b) == (other, node));
                    if other != node && !known {
                        links.push((node, other, now));
                        changed_last = second;
                    }
                }
                let ties: Vec<Tie> = links
                    .iter()
                    .filter(|(a, b, _)| *a == node || *b == node)
                    .map(|&(a, b, since)| Tie {
                        peer: names[if a == node { b } else { a }],
                        since,
                        quiet_since: Some(since),
                        outgoing: a == node,
                        dear: false,
                        held: false,
                        prefix: None,
                        runs: vec![RUN],
                    })
                    .collect();
                for gone in gone(&ties, KEPT, now) {
                    let other = names.iter().position(|name| *name == gone).unwrap();
                    links.retain(|(a, b, _)| (*a, *b) != (node, other) && (*a, *b) != (other, node));
                    changed_last = second;
                }
            }
        }
        assert!(changed_last < 60, "still changing after {changed_last} s");
        for node in 0..NODES {
            let degree = links.iter().filter(|(a, b, _)| *a == node || *b == node).count();
            assert!((TARGET..=KEPT).contains(&degree), "{degree}");
        }
    }
}
