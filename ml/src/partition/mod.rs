//! Dividing one data set among nodes: evenly, or skewed as real devices' data is.
//!
//! For simulations and demonstrations, where one data set stands for what many devices would hold.
//! Names and meaning are those of Flower's partitioners. What is divided are examples with labels;
//! of a text, windows and who speaks in them. The result depends only on the arguments,
//! so every process of a demonstration computes the same partition and takes its own part.

mod deal;
mod name;
mod part;

use rand_chacha::ChaCha8Rng;

use crate::seed::{self, Purpose};

/// A node gets at least so many examples, or half the mean if that is less: the default of Flower's
/// `min_partition_size`.
const LEAST: usize = 10;
/// Smallest and largest concentration: a node of one class each, and no skew to speak of.
const ALPHA: std::ops::RangeInclusive<f64> = 0.001..=1_000.0;
/// Most windows of a text that are listed to be divided (a guess): 256 MiB of lists.
const LISTED_MAX: usize = 1 << 23;
/// Most shards or classes of a node (a guess: beyond it nothing is skewed).
const PIECES_MAX: usize = 1_000;

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
    /// `shard:<n>`: the examples by label, cut into `n` equal pieces for each node, dealt at random
    /// (McMahan et al. 2017, arXiv 1602.05629).
    Shard {
        /// Pieces of a node, 1 to 1,000.
        pieces: usize,
    },
    /// `pathological:<n>`: each node has examples of `n` classes, those of a class in equal parts.
    Pathological {
        /// Classes of a node, 1 to 1,000; if there are fewer, all.
        classes: usize,
    },
    /// `contiguous`: as they stand, cut into pieces whose sizes differ by one at most. A text stays in
    /// one piece on every node.
    Contiguous,
    /// `natural`: all examples of a label (a speaker, say) stay together; the largest label goes
    /// first, each to the node that has least. Sizes are what they are.
    Natural,
    /// `linear`: a shuffle dealt out so that node `i`, counted from 1, gets a share that grows with `i`.
    Linear,
    /// `square`: the same with shares that grow with the square of `i`.
    Square,
    /// `exponential`: the same with shares that grow with `e` to the power of `i`. Of more than twenty nodes
    /// nearly all has the last few: it is the hardest of the three.
    Exponential,
}

/// A partition that cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PartitionError {
    /// A name that means nothing.
    #[error(
        "{0:?} is not a partition; there are \"iid\", \"contiguous\", \"natural\", \"linear\", \"square\", \"exponential\", \
         \"dirichlet:<alpha>\" with a number between 0.001 and 1000, \"shard:<n>\" and \"pathological:<n>\" with a whole number between 1 and 1000"
    )]
    Name(String),
    /// A concentration outside its bounds.
    #[error("alpha is {0}, but must be between 0.001 and 1000")]
    Alpha(f64),
    /// Shards or classes of a node outside their bounds.
    #[error("a node cannot have {0} pieces; it may have 1 to 1000")]
    Pieces(usize),
    /// Too few nodes for all classes to be somewhere, or too few examples for all shards, or too few
    /// labels for all nodes.
    #[error("{nodes} nodes cannot divide {of} among them as {partition:?} asks")]
    Unfit {
        /// The partition, by name.
        partition: String,
        /// Nodes asked for.
        nodes: usize,
        /// What there is to divide.
        of: String,
    },
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
    /// A part that is not there.
    #[error("there is no part {index} of {nodes}")]
    Part {
        /// The part, from 0.
        index: usize,
        /// Parts there are.
        nodes: usize,
    },
    /// A text too long for a partition that lists its windows.
    #[error(
        "a text of {windows} windows cannot be divided as {partition:?} asks; \"iid\", \"contiguous\", \"linear\", \"square\" and \"exponential\" need no list of them"
    )]
    Long {
        /// Windows there are.
        windows: usize,
        /// The partition, by name.
        partition: String,
    },
    /// The data cannot be divided.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
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
    /// has most. Not so with `natural`, where no label is torn apart, nor with `linear`, `square` and
    /// `exponential`, whose sizes are what is asked for; of these every node has one example at least.
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
            Self::Dirichlet { alpha } => deal::dirichlet(alpha, &deal::by_class(&order, labels, classes), nodes, &mut rng)?,
            Self::Shard { pieces } => deal::shards(pieces, &deal::by_class(&order, labels, classes), nodes, &mut rng)?,
            Self::Pathological { classes: kept } => {
                deal::pathological(kept, &deal::by_class(&order, labels, classes), nodes, &mut rng)?
            }
            Self::Contiguous => deal::cut((0..labels.len()).collect(), nodes),
            Self::Natural => deal::natural(deal::by_class(&order, labels, classes), nodes)?,
            Self::Linear | Self::Square | Self::Exponential => deal::cut_at(&order, &self.bounds(order.len(), nodes)),
        };
        if self.keeps_sizes() {
            parts.iter_mut().for_each(|part| part.sort_unstable());
            return Ok(parts);
        }
        level(&mut parts, LEAST.min(labels.len() / nodes / 2).max(1), &mut rng);
        parts.iter_mut().for_each(|part| part.sort_unstable());
        Ok(parts)
    }
}

impl Partition {
    /// Whether small parts stay small.
    const fn keeps_sizes(self) -> bool {
        matches!(self, Self::Natural | Self::Linear | Self::Square | Self::Exponential)
    }

    /// Where to cut `examples` for `nodes`, which are fewer: one place more than there are nodes, ascending.
    /// Of a partition by size; the others cut evenly.
    fn bounds(self, examples: usize, nodes: usize) -> Vec<usize> {
        let weight = |node: usize| match self {
            Self::Linear => (node + 1) as f64,
            Self::Square => ((node + 1) as f64).powi(2),
            // Counted from the last node, so that it does not overflow.
            Self::Exponential => (node as f64 - (nodes - 1) as f64).exp(),
            _ => 1.0,
        };
        let total: f64 = (0..nodes).map(weight).sum();
        let mut sum = 0.0;
        let mut bounds = vec![0];
        for node in 0..nodes {
            sum += weight(node);
            // One at least for each node so far, and one is left for each that follows.
            let least = bounds[node] + 1;
            let most = examples - (nodes - 1 - node);
            let bound = if node + 1 == nodes { examples } else { (sum / total * examples as f64).round() as usize };
            bounds.push(bound.clamp(least, most.max(least)));
        }
        bounds
    }
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

#[cfg(test)]
mod tests;
