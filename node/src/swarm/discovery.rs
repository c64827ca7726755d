//! When to look for peers, and whom to call. Decides only; `Network` does it.
//!
//! ```text
//!            every tick: call the bootstrap addresses that are not connected
//!   alone ----------------> nothing else can be done
//!   connected ------------> announce (if due), look up the run, every fourth time walk
//!   tick: 0.2 0.5 1 2 5 10 20 30 30 ... s while peers are few, 60 s once they are enough
//!   a lookup that is still under way is not started again; a peer lost leads back down the ladder
//! ```
//! One lookup asks the nodes nearest to the run's key who takes part; a walk asks for the nodes
//! nearest to a random point, which fills the routing table beyond one's own corner, so that a few
//! neighbours cannot be all that one ever sees.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

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

/// What the network looks like from here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    /// Connected peers, in the run or not.
    pub(super) connected: usize,
    /// Peers of the run.
    pub(super) up: usize,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Dial the bootstrap addresses that are not connected.
    Call,
    /// Tell the nearest nodes that we take part.
    Announce,
    /// Ask the nearest nodes who takes part.
    Look,
    /// Ask for the nodes near a random point.
    Walk,
}

/// When and whom.
#[derive(Debug)]
pub(super) struct Discovery {
    target: usize,
    rung: usize,
    next_at: Instant,
    ticks: u32,
    announced: u32,
    announce_at: Instant,
    looking: bool,
    failures: HashMap<PeerId, Failure>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    count: u32,
    again_at: Instant,
}

impl Discovery {
    pub(super) fn new(target: usize, now: Instant) -> Self {
        Self { target, rung: 0, next_at: now, ticks: 0, announced: 0, announce_at: now, looking: false, failures: HashMap::new() }
    }

    /// When [`Discovery::tick`] has something to do.
    pub(super) const fn next_at(&self) -> Instant {
        self.next_at
    }

    /// What to do now, in this order; sets the time of the next tick.
    pub(super) fn tick(&mut self, now: Instant, situation: Situation) -> Vec<Step> {
        let few = situation.up < self.target;
        let pause = if few { Duration::from_millis(LADDER_MS[self.rung]) } else { SLOW };
        self.rung = (self.rung + 1).min(LADDER_MS.len() - 1);
        self.next_at = now + pause;
        let mut steps = vec![Step::Call];
        if situation.connected == 0 {
            return steps;
        }
        if self.announced < FIRST_ANNOUNCEMENTS || now >= self.announce_at {
            self.announced = self.announced.saturating_add(1);
            self.announce_at = now + ANNOUNCE_PERIOD;
            steps.push(Step::Announce);
        }
        if !self.looking {
            self.looking = true;
            steps.push(Step::Look);
        }
        if self.ticks % WALK_EVERY == WALK_EVERY - 1 {
            steps.push(Step::Walk);
        }
        self.ticks = self.ticks.wrapping_add(1);
        steps
    }

    /// The lookup is over.
    pub(super) const fn on_looked(&mut self) {
        self.looking = false;
    }

    /// The first connection: now there is somebody to ask.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.climb_down(0, now);
    }

    /// A peer of the run is lost. Peers come and go, so this is not as pressing as being alone.
    pub(super) fn on_lost(&mut self, up: usize, now: Instant) {
        if up < self.target {
            self.climb_down(LOST_RUNG, now);
        }
    }

    fn climb_down(&mut self, rung: usize, now: Instant) {
        self.rung = self.rung.min(rung);
        self.next_at = self.next_at.min(now + Duration::from_millis(LADDER_MS[self.rung]));
    }

    /// Our addresses changed: what the nearest nodes tell of us is wrong.
    pub(super) fn announce_soon(&mut self, now: Instant) {
        self.announce_at = now;
        self.hurry(now);
    }

    /// Which of these peers to dial: as many as are missing, none that failed a moment ago. The
    /// caller shuffles, so that not everybody dials the same.
    pub(super) fn candidates(&self, found: impl IntoIterator<Item = PeerId>, up: usize, now: Instant) -> Vec<PeerId> {
        let missing = self.target.saturating_sub(up);
        let may = |peer: &PeerId| self.failures.get(peer).is_none_or(|failure| failure.again_at <= now);
        found.into_iter().filter(may).take(missing).collect()
    }

    /// The first so many of these that did not fail a moment ago.
    pub(super) fn not_failed(&self, peers: impl IntoIterator<Item = PeerId>, count: usize, now: Instant) -> Vec<PeerId> {
        let may = |peer: &PeerId| self.failures.get(peer).is_none_or(|failure| failure.again_at <= now);
        peers.into_iter().filter(may).take(count).collect()
    }

    /// This peer could not be dialled.
    pub(super) fn on_failed(&mut self, peer: PeerId, now: Instant) {
        if !self.failures.contains_key(&peer)
            && self.failures.len() >= FAILURES_MAX
            && let Some(first) = self.failures.iter().min_by_key(|(_, failure)| failure.again_at).map(|(peer, _)| *peer)
        {
            self.failures.remove(&first);
        }
        let failure = self.failures.entry(peer).or_insert(Failure { count: 0, again_at: now });
        failure.again_at = now + DIAL_PAUSE * (1 << failure.count);
        failure.count = (failure.count + 1).min(DIAL_DOUBLINGS_MAX);
    }

    /// This peer is connected.
    pub(super) fn on_connected(&mut self, peer: &PeerId) {
        self.failures.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Situation = Situation { connected: 0, up: 0 };
    const FEW: Situation = Situation { connected: 1, up: 0 };
    const ENOUGH: Situation = Situation { connected: 20, up: 12 };

    #[test]
    fn alone_one_can_only_call() {
        let now = Instant::now();
        let mut discovery = Discovery::new(12, now);
        for _ in 0..20 {
            assert_eq!(discovery.tick(now, ALONE), [Step::Call]);
        }
    }

    #[test]
    fn ticks_slow_down_and_hurry_again() {
        let mut now = Instant::now();
        let start = now;
        let mut discovery = Discovery::new(12, now);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            discovery.tick(now, FEW);
            pauses.push((discovery.next_at() - now).as_millis());
            now = discovery.next_at();
        }
        assert_eq!(pauses, [200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 30_000]);
        discovery.hurry(now);
        discovery.tick(now, FEW);
        assert_eq!(discovery.next_at() - now, Duration::from_millis(200));
        discovery.tick(now, ENOUGH);
        assert_eq!(discovery.next_at() - now, SLOW);
        discovery.on_lost(12, now);
        assert_eq!(discovery.next_at() - now, SLOW, "still enough");
        discovery.tick(now, FEW);
        discovery.tick(now, FEW);
        discovery.tick(now, FEW);
        discovery.on_lost(11, now);
        assert_eq!(discovery.next_at() - now, Duration::from_millis(1_000));
        assert!(now > start);
    }

    #[test]
    fn one_lookup_at_a_time_and_a_walk_now_and_then() {
        let now = Instant::now();
        let mut discovery = Discovery::new(12, now);
        assert_eq!(discovery.tick(now, FEW), [Step::Call, Step::Announce, Step::Look]);
        assert_eq!(discovery.tick(now, FEW), [Step::Call, Step::Announce]);
        discovery.on_looked();
        assert_eq!(discovery.tick(now, FEW), [Step::Call, Step::Announce, Step::Look]);
        assert_eq!(discovery.tick(now, FEW), [Step::Call, Step::Announce, Step::Walk]);
    }

    #[test]
    fn announcements_become_rare_but_do_not_end() {
        let now = Instant::now();
        let mut discovery = Discovery::new(12, now);
        let mut count = |at| {
            let steps = (0..100).flat_map(|_| discovery.tick(at, ENOUGH)).collect::<Vec<_>>();
            steps.into_iter().filter(|step| *step == Step::Announce).count()
        };
        assert_eq!(count(now), FIRST_ANNOUNCEMENTS as usize);
        assert_eq!(count(now + ANNOUNCE_PERIOD - Duration::from_secs(1)), 0);
        assert_eq!(count(now + ANNOUNCE_PERIOD), 1);
        const { assert!(RECORD_LIFE.as_secs() >= 3 * ANNOUNCE_PERIOD.as_secs()) };
    }

    #[test]
    fn only_the_missing_are_dialled_and_failures_wait() {
        let now = Instant::now();
        let mut discovery = Discovery::new(4, now);
        let found: Vec<PeerId> = (0..10).map(|_| PeerId::random()).collect();
        assert_eq!(discovery.candidates(found.clone(), 1, now), found[..3]);
        assert_eq!(discovery.candidates(found.clone(), 9, now), []);
        let mut pauses = Vec::new();
        for _ in 0..11 {
            discovery.on_failed(found[0], now);
            pauses.push((discovery.failures[&found[0]].again_at - now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256]);
        assert_eq!(discovery.candidates(found.clone(), 1, now), found[1..4]);
        assert_eq!(discovery.candidates(found.clone(), 1, now + Duration::from_secs(256)), found[..3]);
        discovery.on_connected(&found[0]);
        assert_eq!(discovery.candidates(found.clone(), 1, now), found[..3]);
        for _ in 0..2 * FAILURES_MAX {
            discovery.on_failed(PeerId::random(), now);
        }
        assert_eq!(discovery.failures.len(), FAILURES_MAX);
    }
}
