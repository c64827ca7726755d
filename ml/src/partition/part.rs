//! One node's part of a data set, without the other nodes' parts where there is no need of them.
//!
//! A text on disk may have more windows than a list of them has room for. An even share, a stretch and a
//! share by size are a rule each, which [`Dataset`] keeps instead of a list; what goes by labels must list
//! them, and does so up to a bound.

use super::{LISTED_MAX, Partition, PartitionError};
use crate::data::Dataset;
use crate::permutation::Permutation;
use crate::seed::{self, Purpose};

impl Partition {
    /// The part of node `index` of `nodes`. The same arguments give the same part, and no two parts of a data
    /// set share an example. Natural parts go by the data's groups, all others by its labels.
    ///
    /// # Errors
    /// [`PartitionError`] if there is no such part, if there are fewer examples than nodes, or if the data does
    /// not suit the partition.
    pub fn part(&self, data: &Dataset, index: usize, nodes: usize, seed: u64) -> Result<Dataset, PartitionError> {
        if nodes == 0 || nodes > data.len() {
            return Err(PartitionError::Nodes { nodes, examples: data.len() });
        }
        if index >= nodes {
            return Err(PartitionError::Part { index, nodes });
        }
        if nodes == 1 {
            return Ok(data.clone());
        }
        if data.is_streamed()
            && let Some(part) = self.rule(data, index, nodes, seed)?
        {
            return Ok(part);
        }
        if data.is_streamed() && data.len() > LISTED_MAX {
            return Err(PartitionError::Long { windows: data.len(), partition: self.to_string() });
        }
        let labels = if *self == Self::Natural { data.groups() } else { data.labels() };
        let classes = labels.iter().max().map_or(0, |&label| label as usize + 1).max(data.classes());
        let parts = self.assign(labels, classes, nodes, seed)?;
        let part = parts.get(index).ok_or(PartitionError::Part { index, nodes })?;
        Ok(data.subset(part)?)
    }

    /// The part as a rule, if there is one.
    fn rule(&self, data: &Dataset, index: usize, nodes: usize, seed: u64) -> Result<Option<Dataset>, PartitionError> {
        let len = data.len();
        let shuffle = || {
            let len = u32::try_from(len).map_err(|_| PartitionError::Nodes { nodes, examples: len })?;
            Ok::<_, PartitionError>(Permutation::new(len, &mut seed::stream(seed, Purpose::Partition, 1)))
        };
        match self {
            Self::Iid => Ok(data.drawn(shuffle()?, index, nodes, (len - index).div_ceil(nodes))),
            Self::Contiguous => {
                let bound = |part: usize| (len as u128 * part as u128 / nodes as u128) as usize;
                Ok(Some(data.stretch(bound(index), bound(index + 1) - bound(index))?))
            }
            Self::Linear | Self::Square | Self::Exponential => {
                let bounds = self.bounds(len, nodes);
                Ok(data.drawn(shuffle()?, bounds[index], 1, bounds[index + 1] - bounds[index]))
            }
            Self::Dirichlet { .. } | Self::Shard { .. } | Self::Pathological { .. } | Self::Natural => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::tests::{language, text_of};

    /// The first token of every window, which tells the windows apart.
    fn marks(data: &Dataset) -> Vec<u32> {
        (0..data.len()).map(|index| data.input(index).expect("a window")[0] as u32).collect()
    }

    #[test]
    fn parts_of_a_text_on_disk_are_all_of_it() {
        let characters: String = (0..200).filter_map(|code| char::from_u32(0x4E00 + code)).collect();
        let (_directory, source) = text_of(&characters);
        let data = source.load(&language(1, &characters), 1).expect("a split").train;
        let whole = marks(&data);
        for partition in ["iid", "contiguous", "linear", "square", "exponential", "shard:2", "dirichlet:1"] {
            let partition: Partition = partition.parse().expect("a partition");
            let parts: Vec<Vec<u32>> = (0..7).map(|index| marks(&partition.part(&data, index, 7, 5).expect("a part"))).collect();
            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, whole, "{partition}");
            assert_eq!(parts[3], marks(&partition.part(&data, 3, 7, 5).expect("a part")));
        }
        assert!(Partition::Natural.part(&data, 0, 7, 5).is_err(), "one file cannot be divided by files");
        assert_eq!(marks(&Partition::Natural.part(&data, 0, 1, 5).expect("all of it")), whole);
    }

    #[test]
    fn natural_parts_are_files_or_groups() {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in [("a", "aaaaaa"), ("b", "bbb"), ("c", "ccccc")] {
            fs::write(directory.path().join(name).with_extension("txt"), text).expect("written");
        }
        let source: crate::Source = format!("text:{}?test=0.1", directory.path().display()).parse().expect("a source");
        let data = source.load(&language(1, " abc"), 1).expect("a split").train;
        assert_eq!(marks(&Partition::Natural.part(&data, 0, 2, 1).expect("a part")), [1; 5]);
        let numbers = Dataset::new(vec![0.0, 1.0, 2.0, 3.0], vec![0, 1, 0, 1], &[1], 2).expect("data");
        let numbers = numbers.with_groups(vec![7, 7, 9, 7]).expect("a group each");
        let part = |index| Partition::Natural.part(&numbers, index, 2, 1).expect("a part");
        assert_eq!((part(0).len(), part(1).input(0)), (3, Some(vec![2.0])));
        assert_eq!(part(0).groups(), [7, 7, 7], "a part keeps its groups");
    }

    #[test]
    fn a_part_that_is_not_there_is_refused() {
        let data = Dataset::new(vec![0.0; 3], vec![0; 3], &[1], 1).expect("data");
        let error = |index, nodes| Partition::Iid.part(&data, index, nodes, 1).expect_err("refused").to_string();
        assert_eq!(error(2, 2), "there is no part 2 of 2");
        assert!(error(0, 4).starts_with("3 examples cannot be divided among 4 nodes") && error(0, 0).starts_with("3 examples"));
    }
}
