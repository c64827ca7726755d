//! Why something that came from outside was dropped, and whose fault it provably is.
//!
//! A remote's fault is data: it is counted, it may lower a [standing](crate::standing), and it is
//! never an error of this node. Every door (gossip, request, answer, body) speaks in this one type,
//! so that a counter's name means the same everywhere.

use core::fmt;

/// Whom a [`Reject`] speaks against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody: lateness, duplication and reordering are the network's nature.
    Nobody,
    /// Whoever handed us the bytes: an honest peer checks before it forwards or answers.
    Sender,
    /// Whoever signed it, whichever peer brought it.
    Author,
}

macro_rules! rejects {
    ($($(#[$doc:meta])* $name:ident, $fault:ident, $label:literal;)*) => {
        /// A typed reason; see the variants.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reject {
            $($(#[$doc])* $name,)*
        }

        impl Reject {
            /// Every reason, for counters and tables.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The counter's name.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// Whose fault this provably is.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$name => Fault::$fault,)* }
            }
        }
    };
}

rejects! {
    /// Ends before its fixed part does.
    Truncated, Sender, "truncated";
    /// Longer than its kind may be.
    Oversized, Sender, "oversized";
    /// Bytes are left over after the message.
    Trailing, Sender, "trailing_bytes";
    /// A version this node does not speak: perhaps newer, so nobody's fault.
    Version, Nobody, "unknown_version";
    /// A message kind that does not belong at this door.
    Kind, Sender, "unknown_kind";
    /// Names another run.
    WrongRun, Sender, "wrong_run";
    /// The signature does not hold for this network, run, author and bytes.
    Signature, Sender, "bad_signature";
    /// A number that is NaN, infinite or negative where none may be.
    NotFinite, Author, "not_finite";
    /// Announces a body longer than the run's spec allows.
    BodyOversized, Author, "body_oversized";
    /// The bytes brought for a digest do not hash to it, or are not as long as announced.
    BodyDigest, Sender, "body_digest_mismatch";
    /// The body hashes to what its author signed, but does not decode.
    BodyMalformed, Author, "body_malformed";
    /// A sequence number that was seen before, or an older one.
    Replayed, Nobody, "replayed";
    /// Two different bodies under one author and sequence number.
    Equivocation, Author, "equivocation";
    /// More announces in one round than an honest node makes.
    Flood, Author, "announce_flood";
    /// A body that was mixed before, under whichever name.
    Duplicate, Nobody, "duplicate_body";
    /// A round too far from ours to be mixed; it still tells us where its author is.
    RoundDistant, Nobody, "round_distant";
    /// Our own message, come back.
    Echo, Nobody, "echo";
    /// From a peer that is banned for now.
    Banned, Nobody, "banned";
    /// An answer nobody asked for, or that came after we gave up.
    Unasked, Nobody, "unasked";
    /// More requests than one peer may make in a round.
    RequestFlood, Sender, "request_flood";
    /// A state block or trust table that is malformed.
    StateMalformed, Sender, "state_malformed";
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// How often each [`Reject`] happened at this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectCounts([u64; Reject::ALL.len()]);

impl RejectCounts {
    /// Counts one more.
    pub fn count(&mut self, reject: Reject) {
        let count = &mut self.0[reject as usize];
        *count = count.saturating_add(1);
    }

    /// How often this one happened.
    #[must_use]
    pub const fn of(&self, reject: Reject) -> u64 {
        self.0[reject as usize]
    }

    /// Those that happened at least once, by name.
    pub fn seen(&self) -> impl Iterator<Item = (Reject, u64)> + '_ {
        Reject::ALL.iter().map(|&reject| (reject, self.of(reject))).filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_and_a_label_of_its_own() {
        let mut counts = RejectCounts::default();
        for &reject in Reject::ALL {
            counts.count(reject);
            assert_eq!(counts.of(reject), 1);
        }
        let labels: std::collections::BTreeSet<_> = Reject::ALL.iter().map(|reject| reject.label()).collect();
        assert_eq!(labels.len(), Reject::ALL.len());
        assert_eq!(counts.seen().count(), Reject::ALL.len());
    }
}
