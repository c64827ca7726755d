//! What a node trains on: a data set, and which part of it.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use shoal_ml::{Partition, Source};

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
pub struct DataSource {
    /// Where examples come from.
    pub source: Source,
    /// This node's part.
    pub shard: Shard,
    /// How the parts are drawn.
    pub partition: Partition,
    /// The draw's seed: nodes that share one data set must share it.
    pub split_seed: u64,
}

/// What is said of one run's data; what is left out is as for all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// What to train on in this run: digits, hamlet, a file or a folder, or FORMAT:PATH [default: the node's]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// This node's part of that data, as 0/3 [default: the node's]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "INDEX/COUNT")]
    pub shard: Option<String>,
    /// How the parts are drawn [default: the node's]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "HOW")]
    pub partition: Option<String>,
    /// The draw's seed [default: the node's]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "N")]
    pub split_seed: Option<u64>,
}

/// Settings of a run's data that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {value:?}, but must be {expected}")]
pub struct DataError {
    key: &'static str,
    value: String,
    expected: &'static str,
}

impl DataSource {
    /// What [`Source`] accepts, for messages.
    pub const EXPECTED: &'static str =
        "`digits`, `hamlet`, a file or a folder, or FORMAT:PATH with FORMAT one of idx, images, csv, parquet, ts, wav and text";
    /// What [`Partition`] accepts, for messages.
    pub const PARTITION_EXPECTED: &'static str = "`iid`, `contiguous`, `natural`, `linear`, `square`, `exponential`, \
         `dirichlet:ALPHA` with ALPHA between 0.001 and 1000, `shard:N` or `pathological:N`";

    /// The same with what one run says of its own.
    ///
    /// # Errors
    /// [`DataError`] names the key and what would be accepted.
    pub fn with(&self, settings: &DataSettings) -> Result<Self, DataError> {
        fn read<T: FromStr + Clone>(
            key: &'static str,
            text: &Option<String>,
            expected: &'static str,
            before: &T,
        ) -> Result<T, DataError> {
            match text {
                None => Ok(before.clone()),
                Some(text) => {
                    let value = text.chars().take(80).collect();
                    text.parse().map_err(|_| DataError { key, value, expected })
                }
            }
        }
        Ok(Self {
            source: read("data", &settings.data, Self::EXPECTED, &self.source)?,
            shard: read("shard", &settings.shard, Shard::EXPECTED, &self.shard)?,
            partition: read("partition", &settings.partition, Self::PARTITION_EXPECTED, &self.partition)?,
            split_seed: settings.split_seed.unwrap_or(self.split_seed),
        })
    }
}

impl DataSettings {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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
    #[test]
    fn a_run_may_say_what_of_its_data_is_its_own() {
        let all = DataSource { source: Source::Digits, shard: "1/3".parse().unwrap(), partition: Partition::Iid, split_seed: 4 };
        assert_eq!(all.with(&DataSettings::default()), Ok(all.clone()));
        let own = DataSettings { data: Some("hamlet".to_owned()), split_seed: Some(5), ..DataSettings::default() };
        assert_eq!(all.with(&own), Ok(DataSource { source: Source::Hamlet, split_seed: 5, ..all.clone() }));
        let wrong = DataSettings { shard: Some("3/3".to_owned()), ..DataSettings::default() };
        assert!(all.with(&wrong).unwrap_err().to_string().starts_with("`shard` is \"3/3\", but must be INDEX/COUNT"));
    }
}
