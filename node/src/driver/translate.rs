//! The network's words in the machine's, and back.

use shoal_protocol::fetch::AskFailure;
use shoal_protocol::peer;
use shoal_protocol::view;

use crate::swarm::{Prefix, RequestError, Verdict};

/// The machine only compares prefixes; an IPv6 one is marked so that it never equals an IPv4 one.
pub(super) fn prefix(prefix: Prefix) -> view::Prefix {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| (number << 8) | u64::from(byte));
    view::Prefix(match prefix {
        Prefix::V4(bytes) => number(&bytes),
        Prefix::V6(bytes) => (1 << 63) | number(&bytes),
    })
}

/// Only what breaks the framing or the cap is a peer's fault.
pub(super) fn failure(error: &RequestError) -> AskFailure {
    match error {
        RequestError::TooLong { .. } | RequestError::Garbage { .. } => AskFailure::Malformed,
        RequestError::TimedOut => AskFailure::Timeout,
        _ => AskFailure::Unreachable,
    }
}

pub(super) const fn verdict(verdict: peer::Verdict) -> Verdict {
    match verdict {
        peer::Verdict::Accept => Verdict::Accept,
        peer::Verdict::Ignore => Verdict::Ignore,
        peer::Verdict::Reject => Verdict::Reject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_stay_apart() {
        assert_eq!(prefix(Prefix::V4([10, 0, 1])), view::Prefix(0x0a_00_01));
        assert_ne!(prefix(Prefix::V4([1, 2, 3])), prefix(Prefix::V6([0, 0, 0, 1, 2, 3])));
    }

    #[test]
    fn only_what_is_provable_is_held_against_a_peer() {
        assert_eq!(failure(&RequestError::TooLong { said: 9, allowed: 8 }), AskFailure::Malformed);
        assert_eq!(failure(&RequestError::TimedOut), AskFailure::Timeout);
        assert_eq!(failure(&RequestError::Busy), AskFailure::Unreachable);
        assert_eq!(failure(&RequestError::Declined), AskFailure::Unreachable);
    }
}
