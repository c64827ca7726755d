//! When to speak at the rendezvous, and whom found there to call. Decides only.
//!
//! ```text
//!   begin ──> bootstrap, look ──> look again after 5, 15, 60, 300, 900, 900 ... s while members are few
//!                                 and once an hour while they are enough
//!   an address is confirmed ──> announce ──> look (who announced meanwhile is there now)
//!   another address         ──> announce, but no sooner than a minute after the last time
//!   nothing of that         ──> announce again after the network's period, a quarter earlier or later
//! ```
//! The rendezvous is somebody else's network: what is asked of it must stay far below what its own
//! members ask. Without an address that others can reach nothing is announced, because servers keep
//! nothing then while the query still says that all is well.

use std::time::{Duration, Instant};

use libp2p::PeerId;

use crate::swarm::pauses::Pauses;

/// From one look to the next while members are few (RENDEZVOUS.md, trap 9).
const LADDER_S: [u64; 5] = [5, 15, 60, 300, 900];
/// From one look to the next while members are enough.
const RARELY: Duration = Duration::from_secs(3_600);
/// Members that are enough: they know the others.
const ENOUGH: usize = 4;
/// From one bootstrap to the next, as go-libp2p does it.
const BOOTSTRAP_EVERY: Duration = Duration::from_secs(1_800);
/// Least time between two announcements: addresses come and go in the first seconds.
const ANNOUNCE_GAP: Duration = Duration::from_secs(60);
/// How long peers of an earlier life and given addresses are tried before a stranger's network is asked
/// (RENDEZVOUS.md, trap 9).
const FRIENDS_FIRST: Duration = Duration::from_secs(3);
/// Found peers that one look may dial. 250 junk records cost 8 dials then.
const DIALS_MAX: usize = 8;
/// First pause after a found peer was of no use, doubled with each further time.
const PAUSE: Duration = Duration::from_secs(30);
/// Doublings of it: at most some 4 hours.
const DOUBLINGS_MAX: u32 = 9;
/// Useless peers remembered; the one that may be tried first makes room.
const USELESS_MAX: usize = 1_024;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) enum Step {
    /// Refresh the table of the rendezvous' own peers.
    Bootstrap,
    /// Tell it that we can be found under the network's key.
    Announce,
    /// Ask it who can be.
    Look,
}

/// What it looks like from here.
#[derive(Clone, Copy, Debug)]
pub(in crate::swarm) struct Situation {
    /// Connected members of our network.
    pub(in crate::swarm) members: usize,
    /// Whether an address is confirmed under which others can reach us.
    pub(in crate::swarm) reachable: bool,
}

/// When and whom.
#[derive(Debug)]
pub(in crate::swarm) struct Schedule {
    begun: bool,
    announce_every: Duration,
    rung: usize,
    look_at: Instant,
    looking: bool,
    bootstrap_at: Instant,
    /// Nothing is announced before; moved by each announcement and each new address.
    announce_at: Instant,
    announcing: bool,
    /// When the last announcement began.
    announced_at: Option<Instant>,
    useless: Pauses,
}

impl Schedule {
    /// A schedule that begins a little later, so that known peers are tried first, unless told before that
    /// there are none.
    pub(in crate::swarm) fn new(announce_every: Duration, now: Instant) -> Self {
        let start = now + FRIENDS_FIRST;
        Self {
            begun: false,
            announce_every,
            rung: 0,
            look_at: start,
            looking: false,
            bootstrap_at: start,
            announce_at: start,
            announcing: false,
            announced_at: None,
            useless: Pauses::new(PAUSE, DOUBLINGS_MAX, USELESS_MAX),
        }
    }

    /// There is nobody else to try: begins now, if it has not begun.
    pub(in crate::swarm) fn begin(&mut self, now: Instant) {
        if !self.begun {
            for at in [&mut self.look_at, &mut self.bootstrap_at, &mut self.announce_at] {
                *at = now.min(*at);
            }
        }
    }

    /// When [`Schedule::tick`] may have something to do.
    #[cfg(test)]
    pub(in crate::swarm) fn next_at(&self, situation: Situation) -> Instant {
        let look = if self.looking { None } else { Some(self.look_at) };
        let announce = (situation.reachable && !self.announcing).then_some(self.announce_at);
        [look, announce].into_iter().flatten().fold(self.bootstrap_at, Instant::min)
    }

    /// What to do now, in this order. `jitter` is a random number from 0 to 1.
    pub(in crate::swarm) fn tick(&mut self, now: Instant, situation: Situation, jitter: f64) -> Vec<Step> {
        let mut steps = Vec::new();
        if now >= self.bootstrap_at {
            self.begun = true;
            self.bootstrap_at = now + BOOTSTRAP_EVERY;
            steps.push(Step::Bootstrap);
        }
        if now >= self.announce_at && situation.reachable && !self.announcing {
            self.announcing = true;
            self.announced_at = Some(now);
            self.announce_at = now + self.announce_every.mul_f64(0.75 + 0.5 * jitter.clamp(0.0, 1.0));
            steps.push(Step::Announce);
        }
        if now >= self.look_at && !self.looking {
            let enough = situation.members >= ENOUGH;
            self.look_at = now + if enough { RARELY } else { Duration::from_secs(LADDER_S[self.rung]) };
            self.rung = if enough { 0 } else { (self.rung + 1).min(LADDER_S.len() - 1) };
            self.looking = true;
            steps.push(Step::Look);
        }
        steps
    }

    /// The addresses under which others reach us are others now.
    pub(in crate::swarm) fn on_addresses(&mut self, now: Instant) {
        let soonest = self.announced_at.map_or(now, |last| last + ANNOUNCE_GAP);
        self.announce_at = self.announce_at.min(soonest.max(now));
    }

    /// The announcement is over; `heard` says whether any server took it.
    pub(in crate::swarm) fn on_announced(&mut self, heard: bool, now: Instant) {
        self.announcing = false;
        if heard {
            self.look_at = now;
        } else {
            self.announced_at = None;
            self.announce_at = now + ANNOUNCE_GAP;
        }
    }

    /// The look is over.
    pub(in crate::swarm) const fn on_looked(&mut self) {
        self.looking = false;
    }

    /// A member is lost: with few left this is the beginning again.
    pub(in crate::swarm) fn on_lost(&mut self, members: usize, now: Instant) {
        if members < ENOUGH {
            self.rung = 0;
            self.look_at = self.look_at.min(now + Duration::from_secs(LADDER_S[0]));
        }
    }

    /// Which of these to dial, after `dialled` others of the same look. The caller shuffles.
    pub(in crate::swarm) fn candidates(
        &self,
        found: impl IntoIterator<Item = PeerId>,
        dialled: usize,
        now: Instant,
    ) -> Vec<PeerId> {
        found.into_iter().filter(|peer| self.useless.may(peer, now)).take(DIALS_MAX.saturating_sub(dialled)).collect()
    }

    /// This peer could not be dialled or is none of ours.
    pub(in crate::swarm) fn on_useless(&mut self, peer: PeerId, now: Instant) {
        self.useless.on_vain(peer, now);
    }

    /// This peer is a member.
    pub(in crate::swarm) fn on_useful(&mut self, peer: &PeerId) {
        self.useless.forget(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const HIDDEN: Situation = Situation { members: 0, reachable: false };
    const ALONE: Situation = Situation { members: 0, reachable: true };
    const MET: Situation = Situation { members: ENOUGH, reachable: true };

    fn schedule(now: Instant) -> Schedule {
        let mut schedule = Schedule::new(10 * HOUR, now);
        schedule.begin(now);
        schedule
    }

    #[test]
    fn without_an_address_nothing_is_announced() {
        let now = Instant::now();
        let mut schedule = schedule(now);
        assert_eq!(schedule.tick(now, HIDDEN, 0.5), [Step::Bootstrap, Step::Look]);
        schedule.on_looked();
        for hour in 1..50 {
            assert!(!schedule.tick(now + hour * HOUR, HIDDEN, 0.5).contains(&Step::Announce));
            schedule.on_looked();
        }
        let later = now + 50 * HOUR;
        schedule.on_addresses(later);
        assert!(schedule.tick(later, ALONE, 0.5).contains(&Step::Announce), "at once when there is one");
    }

    #[test]
    fn a_look_follows_each_announcement_and_then_the_ladder() {
        let mut now = Instant::now();
        let mut schedule = schedule(now);
        assert_eq!(schedule.tick(now, ALONE, 0.5), [Step::Bootstrap, Step::Announce, Step::Look]);
        assert_eq!(schedule.tick(now, ALONE, 0.5), [], "one of each at a time");
        schedule.on_looked();
        schedule.on_announced(true, now);
        assert_eq!(schedule.tick(now, ALONE, 0.5), [Step::Look]);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            schedule.on_looked();
            let next = schedule.look_at;
            pauses.push((next - now).as_secs());
            now = next;
            assert!(schedule.tick(now, ALONE, 0.5).contains(&Step::Look));
        }
        assert_eq!(pauses, [15, 60, 300, 900, 900, 900]);
        schedule.on_looked();
        schedule.tick(schedule.look_at, MET, 0.5);
        assert_eq!(schedule.look_at - now, HOUR + Duration::from_secs(900), "rarely once there are others");
        schedule.on_looked();
        schedule.on_lost(ENOUGH - 1, now);
        assert_eq!(schedule.look_at - now, Duration::from_secs(5));
    }

    #[test]
    fn a_day_costs_the_rendezvous_little() {
        let start = Instant::now();
        let (mut now, mut schedule) = (start, schedule(start));
        let mut counts = [0; 3];
        while now < start + 24 * HOUR {
            for step in schedule.tick(now, MET, 0.0) {
                counts[step as usize] += 1;
                match step {
                    Step::Announce => schedule.on_announced(true, now),
                    Step::Look => schedule.on_looked(),
                    Step::Bootstrap => {}
                }
            }
            now = schedule.next_at(MET).max(now);
        }
        let [bootstraps, announcements, looks] = counts;
        assert!(bootstraps <= 48 && announcements <= 4 && looks <= 30, "{counts:?}");
        assert!(announcements >= 3, "and is not forgotten: {counts:?}");
    }

    #[test]
    fn a_changed_address_is_announced_but_not_every_second() {
        let now = Instant::now();
        let mut schedule = schedule(now);
        schedule.tick(now, ALONE, 0.5);
        schedule.on_announced(true, now);
        for second in 1..60 {
            let at = now + Duration::from_secs(second);
            schedule.on_addresses(at);
            assert!(!schedule.tick(at, ALONE, 0.5).contains(&Step::Announce));
        }
        assert!(schedule.tick(now + ANNOUNCE_GAP, ALONE, 0.5).contains(&Step::Announce));
    }

    #[test]
    fn what_nobody_heard_is_said_again() {
        let now = Instant::now();
        let mut schedule = schedule(now);
        schedule.tick(now, ALONE, 0.5);
        schedule.on_announced(false, now);
        assert!(!schedule.tick(now, ALONE, 0.5).contains(&Step::Announce));
        assert!(schedule.tick(now + ANNOUNCE_GAP, ALONE, 0.5).contains(&Step::Announce));
    }

    #[test]
    fn friends_come_first() {
        let now = Instant::now();
        let mut schedule = Schedule::new(HOUR, now);
        assert_eq!(schedule.tick(now, ALONE, 0.5), []);
        assert_eq!(schedule.next_at(ALONE), now + FRIENDS_FIRST);
        let later = now + FRIENDS_FIRST;
        assert_eq!(schedule.tick(later, ALONE, 0.5).len(), 3);
        schedule.on_looked();
        let next = schedule.next_at(ALONE);
        schedule.begin(later);
        assert_eq!(schedule.next_at(ALONE), next, "it begins once");
    }

    #[test]
    fn junk_costs_a_few_dials_and_is_not_tried_again_soon() {
        let now = Instant::now();
        let mut schedule = schedule(now);
        let junk: Vec<PeerId> = (0..250).map(|_| PeerId::random()).collect();
        let first = schedule.candidates(junk.clone(), 0, now);
        assert_eq!(first, junk[..DIALS_MAX]);
        assert_eq!(schedule.candidates(junk.clone(), DIALS_MAX - 1, now).len(), 1, "over a whole look");
        for peer in &first {
            schedule.on_useless(*peer, now);
        }
        assert_eq!(schedule.candidates(junk.clone(), 0, now), junk[DIALS_MAX..2 * DIALS_MAX], "each look gets further");
        assert_eq!(schedule.candidates(junk[..1].to_vec(), 0, now + PAUSE), junk[..1]);
        for _ in 0..20 {
            schedule.on_useless(junk[0], now);
        }
        assert_eq!(schedule.candidates(junk[..1].to_vec(), 0, now + PAUSE * (1 << DOUBLINGS_MAX)), junk[..1]);
        schedule.on_useful(&junk[0]);
        assert_eq!(schedule.candidates(junk[..1].to_vec(), 0, now), junk[..1]);
    }
}
