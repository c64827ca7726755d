//! Time as the machine sees it: an argument, never a clock.
//!
//! The origin is the host's business (process start under libp2p, zero in the simulator); only
//! differences mean anything, and no message carries a [`Time`].

use core::ops::{Add, Sub};

/// Microseconds since an origin that the host chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// Microseconds between two [`Time`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Span {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// This span `n` times; saturates instead of wrapping.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// This span as the standard library's type.
    #[must_use]
    pub const fn to_std(self) -> core::time::Duration {
        core::time::Duration::from_micros(self.0)
    }
}

impl Time {
    /// How long ago `earlier` was; zero if it lies ahead, as after a host's clock was set back.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Time {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Time> for Time {
    type Output = Span;

    fn sub(self, earlier: Self) -> Span {
        self.since(earlier)
    }
}
