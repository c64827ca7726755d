//! When to look for peers, and whom to call. Decides only; `Network` does it.
//!
//! ```text
//!   calls     every tick: while peers are few the bootstrap addresses that are not connected; every fourth time a walk
//!   searches  one for each run and one for the catalogue, each with a ladder of its own:
//!             announce (if due), look up the run while peers are few; nothing while there is no connection
//!   ladder    0.2 0.5 1 2 5 10 20 30 30 ... s while peers are few, 60 s once they are enough
//!   a lookup that is still under way is not started again; a peer lost leads back down the ladder
//! ```
//! One lookup asks the nodes nearest to the run's key who takes part; a walk asks for the nodes
//! nearest to a random point, which fills the routing table beyond one's own corner, so that a few
//! neighbours cannot be all that one ever sees. Searches that are due together are spread out, so the
//! cost of a moment does not grow with the number of runs. Who parted from us may have enough others
//! (`parting`), and is called again later and later, unless we are lonely.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use shoal_protocol::id::RunId;

use super::pauses::Pauses;

/// Milliseconds from one tick to the next while peers are few. Quick at first, because a node that
/// starts with others of its run finds more at every look (guesses; a fresh full mesh of 6 needs 2
/// or 3 looks).
const LADDER_MS: [u64; 8] = [200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000];
/// Where a lost peer puts the ladder: a second.
const LOST_RUNG: usize = 2;
/// From one tick to the next once peers are enough.
const SLOW: Duration = Duration::from_secs(60);
/// Announcements that go out with the first ticks, while the routing table is filling.
const FIRST_ANNOUNCEMENTS: u32 = 6;
/// From one announcement to the next afterwards: a third of a record's life.
pub(super) const ANNOUNCE_PERIOD: Duration = Duration::from_secs(600);
/// How long a provider record lives. Short, because a node that has gone still takes one of the
/// places that the nearest nodes have for a run.
pub(super) const RECORD_LIFE: Duration = Duration::from_secs(1_800);
/// A walk with every so many ticks.
const WALK_EVERY: u32 = 4;
/// First pause after a failed dial, doubled with each further one.
const DIAL_PAUSE: Duration = Duration::from_secs(1);
/// Doublings of the pause: at most 256 s.
const DIAL_DOUBLINGS_MAX: u32 = 8;
/// Peers whose failed dials are remembered; the one that may be dialled first makes room.
const FAILURES_MAX: usize = 256;

/// First pause after a connection ended before the same peer is called again for company's sake, doubled with
/// each further time to some half an hour. It may have let go of us because it has enough others (guess).
const PARTED_PAUSE: Duration = Duration::from_secs(30);
/// See [`PARTED_PAUSE`].
const PARTED_DOUBLINGS_MAX: u32 = 6;
/// With fewer peers than this nobody is left alone: gossip's mesh wants so many.
pub(super) const LONELY: usize = 4;

/// Searches that one tick serves; what is due beyond that waits for [`SPREAD`].
const SEARCHES_AT_ONCE: usize = 4;
/// How long searches wait that were due beyond [`SEARCHES_AT_ONCE`]. Guess: a lookup's round trip.
const SPREAD: Duration = Duration::from_millis(100);

/// What is found through Kademlia.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Who offers any run at all.
    Catalogue,
    /// Who takes part in this run.
    Run(RunId),
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Dial the bootstrap addresses that are not connected: only while peers are few, for who has let go of us
    /// has enough.
    Call,
    /// Tell the nearest nodes that we can be found under this key.
    Announce(Key),
    /// Ask the nearest nodes who can be found under it.
    Look(Key),
    /// Ask for the nodes near a random point.
    Walk,
}

/// Where on the ladder something is.
#[derive(Debug)]
struct Ladder {
    rung: usize,
    next_at: Instant,
}

impl Ladder {
    const fn new(now: Instant) -> Self {
        Self { rung: 0, next_at: now }
    }

    fn climb(&mut self, few: bool, now: Instant) {
        let pause = if few { Duration::from_millis(LADDER_MS[self.rung]) } else { SLOW };
        self.rung = (self.rung + 1).min(LADDER_MS.len() - 1);
        self.next_at = now + pause;
    }

    fn climb_down(&mut self, rung: usize, now: Instant) {
        self.rung = self.rung.min(rung);
        self.next_at = self.next_at.min(now + Duration::from_millis(LADDER_MS[self.rung]));
    }
}

/// The search for one key.
#[derive(Debug)]
struct Search {
    ladder: Ladder,
    announced: u32,
    announce_at: Instant,
    looking: bool,
}

impl Search {
    const fn new(now: Instant) -> Self {
        Self { ladder: Ladder::new(now), announced: 0, announce_at: now, looking: false }
    }

    fn steps(&mut self, key: Key, few: bool, now: Instant, steps: &mut Vec<Step>) {
        if self.announced < FIRST_ANNOUNCEMENTS || now >= self.announce_at {
            self.announced = self.announced.saturating_add(1);
            self.announce_at = now + ANNOUNCE_PERIOD;
            steps.push(Step::Announce(key));
        }
        // The catalogue is only looked up when a person asks for it, a run while peers of it are wanted.
        if few && matches!(key, Key::Run(_)) && !self.looking {
            self.looking = true;
            steps.push(Step::Look(key));
        }
    }
}

/// When and whom.
#[derive(Debug)]
pub(super) struct Discovery {
    target: usize,
    calls: Ladder,
    ticks: u32,
    searches: BTreeMap<Key, Search>,
    /// No search is served before.
    searches_at: Instant,
    failures: Pauses,
    /// Those whose connections ended.
    parted: Pauses,
}

impl Discovery {
    pub(super) fn new(target: usize, now: Instant) -> Self {
        let (calls, searches) = (Ladder::new(now), BTreeMap::new());
        let failures = Pauses::new(DIAL_PAUSE, DIAL_DOUBLINGS_MAX, FAILURES_MAX);
        let parted = Pauses::new(PARTED_PAUSE, PARTED_DOUBLINGS_MAX, FAILURES_MAX);
        Self { target, calls, ticks: 0, searches, searches_at: now, failures, parted }
    }

    /// Announces this key from now on and, if it is a run's, looks it up.
    pub(super) fn start(&mut self, key: Key, now: Instant) {
        self.searches.entry(key).or_insert_with(|| Search::new(now));
        self.calls.climb_down(0, now);
    }

    /// Does neither any longer.
    pub(super) fn stop(&mut self, key: &Key) {
        self.searches.remove(key);
    }

    /// When [`Discovery::tick`] has something to do.
    pub(super) fn next_at(&self) -> Instant {
        let first = self.searches.values().map(|search| search.ladder.next_at.max(self.searches_at)).min();
        first.map_or(self.calls.next_at, |first| first.min(self.calls.next_at))
    }

    /// What to do now, in this order; sets the time of the next tick. `connected` peers there are in
    /// all, `up` of a run.
    pub(super) fn tick(&mut self, now: Instant, connected: usize, up: impl Fn(&RunId) -> usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut walk = false;
        if self.calls.next_at <= now {
            let lacks = |key: &Key| matches!(key, Key::Run(run) if up(run) < self.target);
            let few = connected == 0 || self.searches.keys().any(lacks);
            self.calls.climb(few, now);
            if few {
                steps.push(Step::Call);
            }
            if connected > 0 {
                walk = self.ticks % WALK_EVERY == WALK_EVERY - 1;
                self.ticks = self.ticks.wrapping_add(1);
            }
        }
        let is_due = |search: &Search| search.ladder.next_at.max(self.searches_at) <= now;
        let mut due: Vec<_> = self.searches.iter_mut().filter(|(_, search)| is_due(search)).collect();
        if due.len() > SEARCHES_AT_ONCE {
            self.searches_at = now + SPREAD;
        }
        // Who has waited longest is served first.
        due.sort_by_key(|(_, search)| search.ladder.next_at);
        for (key, search) in due.into_iter().take(SEARCHES_AT_ONCE) {
            let few = match key {
                Key::Run(run) => up(run) < self.target,
                Key::Catalogue => search.announced < FIRST_ANNOUNCEMENTS,
            };
            if connected > 0 {
                search.steps(*key, few, now, &mut steps);
            }
            search.ladder.climb(few, now);
        }
        if walk {
            steps.push(Step::Walk);
        }
        steps
    }

    /// The lookup is over.
    pub(super) fn on_looked(&mut self, key: &Key) {
        if let Some(search) = self.searches.get_mut(key) {
            search.looking = false;
        }
    }

    /// The first connection: now there is somebody to ask.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.calls.climb_down(0, now);
        for search in self.searches.values_mut() {
            search.ladder.climb_down(0, now);
        }
    }

    /// A peer of this run is lost. Peers come and go, so this is not as pressing as being alone.
    pub(super) fn on_lost(&mut self, run: RunId, up: usize, now: Instant) {
        if up >= self.target {
            return;
        }
        self.calls.climb_down(LOST_RUNG, now);
        if let Some(search) = self.searches.get_mut(&Key::Run(run)) {
            search.ladder.climb_down(LOST_RUNG, now);
        }
    }

    /// Our addresses changed: what the nearest nodes tell of us is wrong.
    pub(super) fn announce_soon(&mut self, now: Instant) {
        for search in self.searches.values_mut() {
            search.announce_at = now;
        }
        self.hurry(now);
    }

    /// Which of these peers to dial: as many as are missing, none that failed a moment ago. The
    /// caller shuffles, so that not everybody dials the same.
    pub(super) fn candidates(&self, found: impl IntoIterator<Item = PeerId>, up: usize, now: Instant) -> Vec<PeerId> {
        self.callable(found, self.target.saturating_sub(up), up < LONELY, now)
    }

    /// The first so many of these that did not fail a moment ago and, unless this node is lonely, did not
    /// part from it.
    pub(super) fn callable(
        &self,
        peers: impl IntoIterator<Item = PeerId>,
        count: usize,
        lonely: bool,
        now: Instant,
    ) -> Vec<PeerId> {
        let may = |peer: &PeerId| self.failures.may(peer, now) && (lonely || self.parted.may(peer, now));
        peers.into_iter().filter(may).take(count).collect()
    }

    /// The connection with a peer of a run has ended, whoever ended it.
    pub(super) fn on_parted(&mut self, peer: PeerId, now: Instant) {
        self.parted.on_vain(peer, now);
    }

    /// This peer could not be dialled.
    pub(super) fn on_failed(&mut self, peer: PeerId, now: Instant) {
        self.failures.on_vain(peer, now);
    }

    /// This peer is connected.
    pub(super) fn on_connected(&mut self, peer: &PeerId) {
        self.failures.forget(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId([1; 32]);
    const KEY: Key = Key::Run(RUN);

    /// Somebody who looks for one run; `tick` is told `(connected, up)`.
    fn searching(now: Instant) -> Discovery {
        let mut discovery = Discovery::new(12, now);
        discovery.start(KEY, now);
        discovery
    }

    const ALONE: (usize, usize) = (0, 0);
    const FEW: (usize, usize) = (1, 0);
    const ENOUGH: (usize, usize) = (20, 12);

    fn tick(discovery: &mut Discovery, now: Instant, (connected, up): (usize, usize)) -> Vec<Step> {
        discovery.tick(now, connected, |_| up)
    }

    #[test]
    fn alone_one_can_only_call() {
        let mut now = Instant::now();
        let mut discovery = searching(now);
        for _ in 0..20 {
            assert_eq!(tick(&mut discovery, now, ALONE), [Step::Call]);
            now = discovery.next_at();
        }
    }

    #[test]
    fn ticks_slow_down_and_hurry_again() {
        let mut now = Instant::now();
        let mut discovery = searching(now);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            tick(&mut discovery, now, FEW);
            pauses.push((discovery.next_at() - now).as_millis());
            now = discovery.next_at();
        }
        assert_eq!(pauses, [200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 30_000]);
        discovery.hurry(now);
        assert_eq!(discovery.next_at(), now, "due anyway");
        tick(&mut discovery, now, FEW);
        assert_eq!(discovery.next_at() - now, Duration::from_millis(200));
        now = discovery.next_at();
        tick(&mut discovery, now, ENOUGH);
        assert_eq!(discovery.next_at() - now, SLOW);
        discovery.on_lost(RUN, 12, now);
        assert_eq!(discovery.next_at() - now, SLOW, "still enough");
        discovery.on_lost(RUN, 11, now);
        assert_eq!(discovery.next_at() - now, Duration::from_millis(1_000));
    }

    #[test]
    fn one_lookup_at_a_time_and_a_walk_now_and_then() {
        let mut now = Instant::now();
        let mut discovery = searching(now);
        let mut next = |discovery: &mut Discovery| {
            let steps = tick(discovery, now, FEW);
            now = discovery.next_at();
            steps
        };
        assert_eq!(next(&mut discovery), [Step::Call, Step::Announce(KEY), Step::Look(KEY)]);
        assert_eq!(next(&mut discovery), [Step::Call, Step::Announce(KEY)]);
        discovery.on_looked(&KEY);
        assert_eq!(next(&mut discovery), [Step::Call, Step::Announce(KEY), Step::Look(KEY)]);
        assert_eq!(next(&mut discovery), [Step::Call, Step::Announce(KEY), Step::Walk]);
    }

    #[test]
    fn announcements_become_rare_but_do_not_end() {
        let start = Instant::now();
        let mut now = start;
        let mut discovery = searching(now);
        let mut at = Vec::new();
        while now < start + 3 * ANNOUNCE_PERIOD {
            let steps = tick(&mut discovery, now, ENOUGH);
            at.extend(steps.contains(&Step::Announce(KEY)).then(|| (now - start).as_secs()));
            now = discovery.next_at();
        }
        assert_eq!(at, [0, 60, 120, 180, 240, 300, 900, 1_500]);
        const { assert!(RECORD_LIFE.as_secs() >= 3 * ANNOUNCE_PERIOD.as_secs()) };
    }

    #[test]
    fn many_runs_are_spread_out_and_each_has_its_turn() {
        let mut now = Instant::now();
        let mut discovery = Discovery::new(12, now);
        for run in 0..16 {
            discovery.start(Key::Run(RunId([run; 32])), now);
        }
        let mut looked = Vec::new();
        for _ in 0..4 {
            let steps = tick(&mut discovery, now, FEW);
            let keys: Vec<Key> =
                steps.iter().filter_map(|step| if let Step::Look(key) = step { Some(*key) } else { None }).collect();
            assert!(keys.len() <= SEARCHES_AT_ONCE);
            looked.extend(keys);
            now = discovery.next_at();
        }
        looked.sort();
        looked.dedup();
        assert_eq!(looked.len(), 16);
        discovery.stop(&Key::Run(RunId([3; 32])));
        assert_eq!(discovery.searches.len(), 15);
    }

    #[test]
    fn the_catalogue_is_announced_and_not_looked_up() {
        let mut now = Instant::now();
        let mut discovery = Discovery::new(12, now);
        discovery.start(Key::Catalogue, now);
        let mut steps = Vec::new();
        for _ in 0..8 {
            steps.extend(tick(&mut discovery, now, FEW));
            now = discovery.next_at();
        }
        assert_eq!(steps.iter().filter(|step| **step == Step::Announce(Key::Catalogue)).count(), 6);
        assert!(!steps.contains(&Step::Look(Key::Catalogue)));
    }

    #[test]
    fn only_the_missing_are_dialled_and_failures_wait() {
        let now = Instant::now();
        let mut discovery = Discovery::new(4, now);
        let found: Vec<PeerId> = (0..10).map(|_| PeerId::random()).collect();
        assert_eq!(discovery.candidates(found.clone(), 1, now), found[..3]);
        assert_eq!(discovery.candidates(found.clone(), 9, now), []);
        for _ in 0..11 {
            discovery.on_failed(found[0], now);
        }
        assert_eq!(discovery.candidates(found.clone(), 1, now), found[1..4]);
        assert_eq!(discovery.candidates(found.clone(), 1, now + Duration::from_secs(255)), found[1..4]);
        assert_eq!(discovery.candidates(found.clone(), 1, now + Duration::from_secs(256)), found[..3]);
        discovery.on_connected(&found[0]);
        assert_eq!(discovery.candidates(found.clone(), 1, now), found[..3]);
    }

    #[test]
    fn who_has_enough_peers_announces_and_walks_and_no_more() {
        let mut now = Instant::now();
        let mut discovery = searching(now);
        let mut steps = Vec::new();
        for _ in 0..20 {
            steps.extend(tick(&mut discovery, now, ENOUGH));
            now = discovery.next_at();
        }
        assert!(steps.contains(&Step::Announce(KEY)) && steps.contains(&Step::Walk));
        assert!(!steps.contains(&Step::Call) && !steps.contains(&Step::Look(KEY)));
    }

    #[test]
    fn who_parted_is_called_later_and_later_unless_we_are_lonely() {
        let now = Instant::now();
        let mut discovery = Discovery::new(12, now);
        let found: Vec<PeerId> = (0..3).map(|_| PeerId::random()).collect();
        discovery.on_parted(found[0], now);
        let soon = now + PARTED_PAUSE - Duration::from_millis(1);
        assert_eq!(discovery.candidates(found.clone(), LONELY, soon), found[1..]);
        assert_eq!(discovery.candidates(found.clone(), LONELY - 1, soon), found);
        assert_eq!(discovery.candidates(found.clone(), LONELY, now + PARTED_PAUSE), found);
        discovery.on_connected(&found[0]);
        discovery.on_parted(found[0], now);
        assert_eq!(discovery.candidates(found.clone(), LONELY, now + PARTED_PAUSE), found[1..], "once more");
    }
}
