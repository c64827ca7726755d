//! What a node trains on: a data set, and which part of it.

use core::fmt;
use core::str::FromStr;

use shoal_ml::Partition;

/// Most shards one data set is cut into: the largest network a split is made for by hand (a guess).
const SHARD_COUNT_MAX: u32 = 4_096;

/// A shard that does not follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct ParseShardError(pub &'static str);

/// One of so many parts: `0/3` is the first of three, `0/1` is everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// What [`FromStr`] accepts, for messages.
    pub const EXPECTED: &'static str = "INDEX/COUNT with INDEX counted from 0, below COUNT, and COUNT at most 4096";

    /// This part, counted from 0; below [`Shard::count`].
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Parts in all: 1 to 4,096.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }
}

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index, count)) if index < count && count <= SHARD_COUNT_MAX => Ok(Self { index, count }),
            _ => Err(ParseShardError(Self::EXPECTED)),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// The data a node trains on.
#[derive(Clone, Debug, PartialEq)]
pub enum DataSource {
    /// The handwritten digits that are built in.
    Digits {
        /// This node's part.
        shard: Shard,
        /// How the parts are drawn.
        partition: Partition,
        /// The draw's seed: nodes that share one data set must share it.
        split_seed: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_stay_below_their_count() {
        for text in ["0/1", "2/3", "4095/4096"] {
            assert_eq!(text.parse::<Shard>().map(|shard| shard.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "0", "/", "1/1", "3/3", "0/0", "-1/3", "0/4097", "0/3/1", "0/99999999999"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
