//! Through whom a node behind a NAT can be called: which relays to ask. Decides only.
//!
//! A relay is any peer that speaks the relay's protocol. Members of our network come first; others are
//! asked only when a while has passed without one, because two strangers behind NATs who meet at the
//! rendezvous may have nobody else. Two are held, so that one may go.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use libp2p::core::transport::ListenerId;
use libp2p::{Multiaddr, PeerId};

/// Reservations held at a time.
const WANTED: usize = 2;
/// Relays known; members push others out.
const KNOWN_MAX: usize = 64;
/// Addresses of one relay under which we can then be called: TCP and QUIC, v4 and v6.
pub(super) const WAYS_MAX: usize = 4;
/// How long a node waits for proof that it can be reached before it asks a relay. AutoNAT needs some
/// three seconds; a reservation that turns out needless is given back.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long it waits for a member before it asks somebody foreign. Guess.
const FOREIGN_PATIENCE: Duration = Duration::from_secs(10);
/// First pause after a relay refused, doubled with each further time to some 17 minutes.
const PAUSE: Duration = Duration::from_secs(4);
const DOUBLINGS_MAX: u32 = 8;

#[derive(Debug)]
struct Candidate {
    /// Where it can be called, the first being the way we reach it; 1 to [`WAYS_MAX`].
    addresses: Vec<Multiaddr>,
    member: bool,
    failures: u32,
    again_at: Instant,
}

#[derive(Debug)]
struct Held {
    relay: PeerId,
    confirmed: bool,
}

/// The relays known and those asked.
#[derive(Debug)]
pub(super) struct Relays {
    start: Instant,
    known: BTreeMap<PeerId, Candidate>,
    held: HashMap<ListenerId, Held>,
}

impl Relays {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, known: BTreeMap::new(), held: HashMap::new() }
    }

    /// A connected peer says that it relays, and where it is.
    pub(super) fn on_relay(&mut self, relay: PeerId, addresses: Vec<Multiaddr>, member: bool, now: Instant) {
        if addresses.is_empty() {
            return;
        }
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&relay) {
            let foreign = self.known.iter().find(|(peer, known)| !known.member && !self.is_asked(peer)).map(|(peer, _)| *peer);
            let Some(foreign) = foreign.filter(|_| member) else { return };
            self.known.remove(&foreign);
        }
        let known = self.known.entry(relay).or_insert(Candidate { addresses: Vec::new(), member, failures: 0, again_at: now });
        known.addresses = addresses.into_iter().take(WAYS_MAX).collect();
    }

    /// It is connected no longer, or relays no longer.
    pub(super) fn on_gone(&mut self, relay: &PeerId) {
        self.known.remove(relay);
    }

    fn is_asked(&self, relay: &PeerId) -> bool {
        self.held.values().any(|held| held.relay == *relay)
    }

    /// Whom to ask now; `reachable` nodes ask nobody.
    pub(super) fn wanted(&self, reachable: bool, now: Instant) -> Vec<(PeerId, Multiaddr)> {
        if reachable || now < self.start + PATIENCE {
            return Vec::new();
        }
        let members = self.known.values().any(|known| known.member);
        let foreign = !members && now >= self.start + FOREIGN_PATIENCE;
        let good = |known: &&Candidate| known.again_at <= now && (known.member || foreign);
        let mut good: Vec<_> = self.known.iter().filter(|(relay, known)| good(known) && !self.is_asked(relay)).collect();
        good.sort_by_key(|(relay, known)| (known.failures, **relay));
        let missing = WANTED.saturating_sub(self.held.len());
        good.into_iter().take(missing).filter_map(|(relay, known)| Some((*relay, known.addresses.first()?.clone()))).collect()
    }

    /// What to give back: everything, once the node can be reached without.
    pub(super) fn needless(&self, reachable: bool) -> Vec<ListenerId> {
        if reachable { self.held.keys().copied().collect() } else { Vec::new() }
    }

    /// This relay is being asked.
    pub(super) fn on_asked(&mut self, listener: ListenerId, relay: PeerId) {
        self.held.insert(listener, Held { relay, confirmed: false });
    }

    /// It agreed; returns where it can be called.
    pub(super) fn on_agreed(&mut self, relay: &PeerId) -> &[Multiaddr] {
        for held in self.held.values_mut().filter(|held| held.relay == *relay) {
            held.confirmed = true;
        }
        match self.known.get_mut(relay) {
            Some(known) => {
                known.failures = 0;
                &known.addresses
            }
            None => &[],
        }
    }

    /// It refused, or the reservation is over; returns whose it was. It is asked again after a pause.
    pub(super) fn on_closed(&mut self, listener: ListenerId, now: Instant) -> Option<PeerId> {
        let relay = self.held.remove(&listener)?.relay;
        self.on_refused(relay, now);
        Some(relay)
    }

    /// It could not even be asked.
    pub(super) fn on_refused(&mut self, relay: PeerId, now: Instant) {
        if let Some(known) = self.known.get_mut(&relay) {
            known.again_at = now + PAUSE * (1 << known.failures.min(DOUBLINGS_MAX));
            known.failures = known.failures.saturating_add(1);
        }
    }

    /// Relays that agreed.
    pub(super) fn agreed(&self) -> usize {
        self.held.values().filter(|held| held.confirmed).count()
    }

    /// Whether this peer holds a place for us, or is being asked to.
    pub(super) fn is_ours(&self, relay: &PeerId) -> bool {
        self.is_asked(relay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> Vec<Multiaddr> {
        vec![format!("/ip4/203.0.113.{n}/tcp/7462").parse().unwrap()]
    }

    fn whom(relays: &Relays, now: Instant) -> Vec<PeerId> {
        relays.wanted(false, now).into_iter().map(|(relay, _)| relay).collect()
    }

    #[test]
    fn reachable_nodes_ask_nobody_and_give_back() {
        let now = Instant::now();
        let mut relays = Relays::new(now);
        let relay = PeerId::random();
        relays.on_relay(relay, address(1), true, now);
        assert_eq!(whom(&relays, now), [], "patience");
        let later = now + PATIENCE;
        assert_eq!(whom(&relays, later), [relay]);
        assert!(relays.wanted(true, later).is_empty());
        let listener = ListenerId::next();
        relays.on_asked(listener, relay);
        assert_eq!((whom(&relays, later), relays.agreed()), (vec![], 0), "asked once");
        assert_eq!(relays.on_agreed(&relay), address(1));
        assert_eq!((relays.agreed(), relays.is_ours(&relay)), (1, true));
        assert_eq!(relays.needless(false), []);
        assert_eq!(relays.needless(true), [listener]);
    }

    #[test]
    fn two_are_held_and_members_come_first() {
        let now = Instant::now();
        let mut relays = Relays::new(now);
        let foreign: Vec<PeerId> = (0..KNOWN_MAX + 3).map(|_| PeerId::random()).collect();
        for peer in &foreign {
            relays.on_relay(*peer, address(9), false, now);
        }
        assert_eq!(relays.known.len(), KNOWN_MAX);
        assert_eq!(whom(&relays, now + PATIENCE), [], "a member may still come");
        let late = now + FOREIGN_PATIENCE;
        assert_eq!(whom(&relays, late).len(), WANTED, "nobody else is there");
        let member = PeerId::random();
        relays.on_relay(member, address(1), true, now);
        assert_eq!(relays.known.len(), KNOWN_MAX);
        assert_eq!(whom(&relays, late), [member]);
    }

    #[test]
    fn who_refuses_is_asked_later_and_later() {
        let now = Instant::now();
        let mut relays = Relays::new(now);
        let relay = PeerId::random();
        relays.on_relay(relay, address(1), true, now);
        let mut at = now + PATIENCE;
        let mut pauses = Vec::new();
        for _ in 0..11 {
            assert_eq!(whom(&relays, at), [relay]);
            let listener = ListenerId::next();
            relays.on_asked(listener, relay);
            assert_eq!(relays.on_closed(listener, at), Some(relay));
            assert_eq!(relays.on_closed(listener, at), None);
            assert_eq!(whom(&relays, at), []);
            let again = relays.known[&relay].again_at;
            pauses.push((again - at).as_secs());
            at = again;
        }
        assert_eq!(pauses, [4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_024, 1_024]);
        relays.on_gone(&relay);
        assert_eq!(whom(&relays, at), []);
    }
}
