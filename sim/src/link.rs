//! What lies between two peers: latency, jitter and loss, drawn anew for every delivery.
//!
//! Gossip is modelled as its ideal: every connected peer receives each message once, straight from
//! its author, after a delay of its own, unless this delivery is lost. Duplicates, forwarding hops
//! and the overlay's shape are not modelled. Questions and answers cross the same links once each
//! way; if either is lost the asker learns nothing until its own timeout, as if no retransmission
//! had come through in time. Bandwidth is unlimited: a large body is as fast as a small one.
//!
//! Draws come from a generator of the links' own, so what the network does never shifts what a
//! node draws, and a delivery takes two draws whether or not it is lost.

use shoal_protocol::dice::Dice;
use shoal_protocol::time::Span;

/// How all links are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// Shortest time one way.
    pub latency: Span,
    /// Up to so much is added to each delivery, uniformly.
    pub jitter: Span,
    /// Deliveries lost of a thousand.
    pub loss_per_mille: u16,
}

impl Default for LinkSpec {
    /// 40 ms with up to 20 ms more and no loss: homes on one continent. Guess.
    fn default() -> Self {
        Self { latency: Span::from_millis(40), jitter: Span::from_millis(20), loss_per_mille: 0 }
    }
}

/// All links of a world.
#[derive(Debug)]
pub(crate) struct Links {
    spec: LinkSpec,
    dice: Dice,
}

impl Links {
    pub(crate) fn new(spec: LinkSpec, seed: &[u8; 32]) -> Self {
        Self { spec, dice: Dice::new(seed) }
    }

    /// How long the next delivery takes; `None` if it is lost.
    pub(crate) fn delivery(&mut self) -> Option<Span> {
        let jitter = self.dice.below(usize::try_from(self.spec.jitter.0).unwrap_or(usize::MAX - 1) + 1) as u64;
        let lost = self.dice.below(1_000) < usize::from(self.spec.loss_per_mille);
        (!lost).then_some(Span(self.spec.latency.0.saturating_add(jitter)))
    }

    /// How long it takes until both ends see that a connection was made or is gone: the latency
    /// without jitter, so that they see it in the order in which it happened.
    pub(crate) const fn notice(&self) -> Span {
        self.spec.latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_in_range_and_losses_are_as_many_as_asked() {
        let spec = LinkSpec { loss_per_mille: 100, ..LinkSpec::default() };
        let mut links = Links::new(spec, &[1; 32]);
        let draws: Vec<Option<Span>> = (0..10_000).map(|_| links.delivery()).collect();
        let delays: Vec<u64> = draws.iter().flatten().map(|span| span.0).collect();
        assert!(delays.iter().all(|delay| (40_000..=60_000).contains(delay)));
        assert!((8_800..9_200).contains(&delays.len()), "{} of 10000 arrive", delays.len());
        let mean = delays.iter().sum::<u64>() / delays.len() as u64;
        assert!((49_000..51_000).contains(&mean), "{mean}");
    }

    #[test]
    fn a_lossless_link_without_jitter_is_a_constant() {
        let spec = LinkSpec { jitter: Span(0), ..LinkSpec::default() };
        let mut links = Links::new(spec, &[1; 32]);
        assert!((0..100).all(|_| links.delivery() == Some(Span::from_millis(40))));
    }
}
