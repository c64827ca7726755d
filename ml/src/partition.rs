//! Dividing one data set among nodes: evenly, or skewed as real devices' data is.
//!
//! For simulations and demonstrations, where one data set stands for what many devices would hold.
//! Names and meaning are those of Flower's partitioners. The result depends only on the arguments,
//! so every process of a demonstration computes the same partition and takes its own part.

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};

use crate::seed::{self, Purpose};

/// A node gets at least so many examples, or half the mean if that is less: the default of Flower's
/// `min_partition_size`.
const LEAST: usize = 10;
/// Smallest and largest concentration: a node of one class each, and no skew to speak of.
const ALPHA: std::ops::RangeInclusive<f64> = 0.001..=1_000.0;

/// How examples are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Partition {
    /// `iid`: a shuffle dealt out; sizes differ by one at most.
    Iid,
    /// `dirichlet:<alpha>`: each class is divided in proportions drawn from a Dirichlet
    /// distribution (Hsu et al. 2019, arXiv 1909.06335). Small alpha, few classes a node.
    Dirichlet {
        /// Concentration, 0.001 to 1,000.
        alpha: f64,
    },
}

/// A partition that cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PartitionError {
    /// A name that means nothing.
    #[error("{0:?} is not a partition; there are \"iid\" and \"dirichlet:<alpha>\", alpha a number between 0.001 and 1000")]
    Name(String),
    /// A concentration outside its bounds.
    #[error("alpha is {0}, but must be between 0.001 and 1000")]
    Alpha(f64),
    /// More nodes than examples, or none.
    #[error(
        "{examples} examples cannot be divided among {nodes} nodes; there must be one node at least and one example for each"
    )]
    Nodes {
        /// Nodes asked for.
        nodes: usize,
        /// Examples there are.
        examples: usize,
    },
    /// A label that is not a class.
    #[error("example {index} has label {label}, which is not below {classes}")]
    Label {
        /// The example, from 0.
        index: usize,
        /// Its label.
        label: u32,
        /// Classes there are.
        classes: usize,
    },
}

impl Partition {
    /// For each node the examples that are its own: ascending indices, no example twice, none left
    /// out. The same arguments give the same answer.
    ///
    /// Every node is left with at least 10 examples or half the mean, whichever is less, and always
    /// with one: a node that draws fewer takes random examples, one at a time, from whichever node
    /// has most.
    /// Flower draws anew until all have enough, which for many nodes and a small alpha never ends.
    ///
    /// # Errors
    /// [`PartitionError`] if there are fewer examples than nodes or an argument is out of bounds.
    pub fn assign(&self, labels: &[u32], classes: usize, nodes: usize, seed: u64) -> Result<Vec<Vec<usize>>, PartitionError> {
        if nodes == 0 || nodes > labels.len() {
            return Err(PartitionError::Nodes { nodes, examples: labels.len() });
        }
        if let Some(index) = labels.iter().position(|&label| label as usize >= classes) {
            return Err(PartitionError::Label { index, label: labels[index], classes });
        }
        let mut rng = seed::stream(seed, Purpose::Partition, 0);
        let mut order: Vec<usize> = (0..labels.len()).collect();
        seed::shuffle(&mut order, &mut rng);
        let mut parts = match *self {
            Self::Iid => (0..nodes).map(|node| order.iter().skip(node).step_by(nodes).copied().collect()).collect(),
            Self::Dirichlet { alpha } => dirichlet(alpha, &by_class(&order, labels, classes), nodes, &mut rng)?,
        };
        level(&mut parts, LEAST.min(labels.len() / nodes / 2).max(1), &mut rng);
        parts.iter_mut().for_each(|part| part.sort_unstable());
        Ok(parts)
    }
}

/// The examples of each class, in the order given.
fn by_class(order: &[usize], labels: &[u32], classes: usize) -> Vec<Vec<usize>> {
    let mut by_class = vec![Vec::new(); classes];
    for &index in order {
        by_class[labels[index] as usize].push(index);
    }
    by_class
}

/// Cuts every class in proportions of its own. A Dirichlet draw is a set of Gamma draws divided by
/// their sum; the division is left to the cut.
fn dirichlet(alpha: f64, by_class: &[Vec<usize>], nodes: usize, rng: &mut ChaCha8Rng) -> Result<Vec<Vec<usize>>, PartitionError> {
    let gamma = Gamma::new(alpha, 1.0).ok().filter(|_| ALPHA.contains(&alpha)).ok_or(PartitionError::Alpha(alpha))?;
    let mut parts = vec![Vec::new(); nodes];
    for class in by_class {
        let mut shares: Vec<f64> = (0..nodes).map(|_| gamma.sample(rng)).collect();
        let mut total: f64 = shares.iter().sum();
        if total <= 0.0 {
            // At the smallest alphas every draw may underflow; the limit is one node taking all.
            shares[seed::below(rng, nodes)] = 1.0;
            total = 1.0;
        }
        let (mut sum, mut start) = (0.0, 0);
        for (node, share) in shares.iter().enumerate() {
            sum += share;
            let end = if node + 1 == nodes { class.len() } else { (sum / total * class.len() as f64).round() as usize };
            let end = end.clamp(start, class.len());
            parts[node].extend_from_slice(&class[start..end]);
            start = end;
        }
    }
    Ok(parts)
}

/// Moves random examples from the largest part to the smallest until none has fewer than `least`,
/// which is at most the mean: so the giver never falls below it.
fn level(parts: &mut [Vec<usize>], least: usize, rng: &mut ChaCha8Rng) {
    for poor in 0..parts.len() {
        while parts[poor].len() < least {
            let rich = (0..parts.len()).max_by_key(|&part| (parts[part].len(), std::cmp::Reverse(part)));
            let Some(rich) = rich.filter(|&rich| rich != poor) else { return };
            let taken = seed::below(rng, parts[rich].len());
            let example = parts[rich].swap_remove(taken);
            parts[poor].push(example);
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iid => f.write_str("iid"),
            Self::Dirichlet { alpha } => write!(f, "dirichlet:{alpha}"),
        }
    }
}

impl FromStr for Partition {
    type Err = PartitionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alpha = |text: &str| text.parse::<f64>().ok().filter(|alpha| ALPHA.contains(alpha));
        match text.split_once(':') {
            None if text == "iid" => Some(Self::Iid),
            Some(("dirichlet", number)) => alpha(number).map(|alpha| Self::Dirichlet { alpha }),
            _ => None,
        }
        .ok_or_else(|| PartitionError::Name(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_partition() -> impl Strategy<Value = Partition> {
        prop_oneof![
            Just(Partition::Iid),
            (-3.0..3.0_f64).prop_map(|log| Partition::Dirichlet { alpha: 10_f64.powf(log).clamp(0.001, 1_000.0) })
        ]
    }

    proptest! {
        #[test]
        fn every_example_has_one_owner_and_every_owner_enough(
            partition in any_partition(),
            labels in prop::collection::vec(0_u32..7, 1..600),
            nodes in 1_usize..70,
            seed: u64,
        ) {
            let nodes = nodes.min(labels.len());
            let parts = partition.assign(&labels, 7, nodes, seed).expect("a partition");
            prop_assert_eq!(parts.len(), nodes);
            let mut all = parts.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            let least = LEAST.min(labels.len() / nodes / 2).max(1);
            prop_assert!(parts.iter().all(|part| part.len() >= least && part.is_sorted()));
            prop_assert_eq!(parts, partition.assign(&labels, 7, nodes, seed).expect("a partition"));
        }

        #[test]
        fn names_survive_print_and_parse(partition in any_partition()) {
            prop_assert_eq!(partition.to_string().parse(), Ok(partition));
        }
    }

    /// Mean over the nodes of the share of a node's commonest class.
    fn skew(partition: Partition) -> f64 {
        let labels: Vec<u32> = (0..2_000).map(|i| i % 10).collect();
        let parts = partition.assign(&labels, 10, 10, 1).expect("a partition");
        let top =
            |part: &Vec<usize>| (0..10).map(|class| part.iter().filter(|&&i| labels[i] == class).count()).max().unwrap_or(0);
        parts.iter().map(|part| top(part) as f64 / part.len() as f64).sum::<f64>() / 10.0
    }

    #[test]
    fn the_smaller_alpha_the_more_skew() {
        let (iid, mild, strong) =
            (skew(Partition::Iid), skew(Partition::Dirichlet { alpha: 1.0 }), skew(Partition::Dirichlet { alpha: 0.05 }));
        assert!(iid < 0.2 && mild > iid + 0.1 && strong > mild + 0.2, "{iid} {mild} {strong}");
    }

    #[test]
    fn iid_sizes_differ_by_one_at_most() {
        let sizes: Vec<usize> = Partition::Iid.assign(&[0; 103], 1, 10, 5).expect("a partition").iter().map(Vec::len).collect();
        assert!(sizes.iter().all(|&size| size == 10 || size == 11), "{sizes:?}");
    }

    #[test]
    fn a_partition_stays_what_it_was() {
        let labels: Vec<u32> = (0..40).map(|i| i % 4).collect();
        let sizes = |partition: Partition| {
            partition.assign(&labels, 4, 4, 9).expect("a partition").iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(Partition::Dirichlet { alpha: 0.5 }), [5, 15, 9, 11]);
        assert_eq!(Partition::Iid.assign(&labels, 4, 8, 9).expect("a partition")[0], [10, 16, 20, 25, 27]);
    }

    #[test]
    fn what_cannot_be_divided_is_refused() {
        assert_eq!(Partition::Iid.assign(&[0, 0], 1, 3, 0), Err(PartitionError::Nodes { nodes: 3, examples: 2 }));
        assert_eq!(Partition::Iid.assign(&[0, 0], 1, 0, 0), Err(PartitionError::Nodes { nodes: 0, examples: 2 }));
        assert_eq!(Partition::Iid.assign(&[0, 4], 4, 1, 0), Err(PartitionError::Label { index: 1, label: 4, classes: 4 }));
        assert_eq!(Partition::Dirichlet { alpha: 0.0 }.assign(&[0], 1, 1, 0), Err(PartitionError::Alpha(0.0)));
        for name in
            ["", "iid:1", "dirichlet", "dirichlet:", "dirichlet:nan", "dirichlet:0", "dirichlet:-1", "dirichlet:inf", "Iid"]
        {
            assert_eq!(name.parse::<Partition>(), Err(PartitionError::Name(name.to_owned())));
        }
    }
}
