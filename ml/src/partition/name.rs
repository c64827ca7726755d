//! Partitions by name: what a configuration or a scenario says in one word.

use std::fmt;
use std::str::FromStr;

use super::{ALPHA, PIECES_MAX, Partition, PartitionError};

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iid => f.write_str("iid"),
            Self::Dirichlet { alpha } => write!(f, "dirichlet:{alpha}"),
            Self::Shard { pieces } => write!(f, "shard:{pieces}"),
            Self::Pathological { classes } => write!(f, "pathological:{classes}"),
            Self::Contiguous => f.write_str("contiguous"),
            Self::Natural => f.write_str("natural"),
            Self::Linear => f.write_str("linear"),
            Self::Square => f.write_str("square"),
            Self::Exponential => f.write_str("exponential"),
        }
    }
}

impl FromStr for Partition {
    type Err = PartitionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alpha = |text: &str| text.parse::<f64>().ok().filter(|alpha| ALPHA.contains(alpha));
        let pieces = |text: &str| text.parse::<usize>().ok().filter(|pieces| (1..=PIECES_MAX).contains(pieces));
        match text.split_once(':') {
            None if text == "iid" => Some(Self::Iid),
            None if text == "contiguous" => Some(Self::Contiguous),
            None if text == "natural" => Some(Self::Natural),
            None if text == "linear" => Some(Self::Linear),
            None if text == "square" => Some(Self::Square),
            None if text == "exponential" => Some(Self::Exponential),
            Some(("shard", number)) => pieces(number).map(|pieces| Self::Shard { pieces }),
            Some(("pathological", number)) => pieces(number).map(|classes| Self::Pathological { classes }),
            Some(("dirichlet", number)) => alpha(number).map(|alpha| Self::Dirichlet { alpha }),
            _ => None,
        }
        .ok_or_else(|| PartitionError::Name(text.chars().take(80).collect()))
    }
}
