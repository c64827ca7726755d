//! The ways to deal examples out to nodes, before anybody is given a least share.
//!
//! Each takes the examples of every class, shuffled, and gives every example to one node.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};

use super::{ALPHA, PIECES_MAX, Partition, PartitionError};
use crate::seed;

/// The examples of each class, in the order given.
pub(super) fn by_class(order: &[usize], labels: &[u32], classes: usize) -> Vec<Vec<usize>> {
    let mut by_class = vec![Vec::new(); classes];
    for &index in order {
        by_class[labels[index] as usize].push(index);
    }
    by_class
}

/// Cuts every class in proportions of its own. A Dirichlet draw is a set of Gamma draws divided by
/// their sum; the division is left to the cut.
pub(super) fn dirichlet(
    alpha: f64,
    by_class: &[Vec<usize>],
    nodes: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Vec<usize>>, PartitionError> {
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

/// Cuts into `parts` pieces whose lengths differ by one at most. `parts` is not 0.
pub(super) fn cut(examples: Vec<usize>, parts: usize) -> Vec<Vec<usize>> {
    let bound = |part: usize| (examples.len() as u128 * part as u128 / parts as u128) as usize;
    (0..parts).map(|part| examples[bound(part)..bound(part + 1)].to_vec()).collect()
}

/// Cuts at these places, which ascend from 0 to the number of examples.
pub(super) fn cut_at(examples: &[usize], bounds: &[usize]) -> Vec<Vec<usize>> {
    bounds.windows(2).map(|pair| examples[pair[0]..pair[1]].to_vec()).collect()
}

/// Cuts all examples, class after class, into `pieces` for each node, and deals them at random.
pub(super) fn shards(
    pieces: usize,
    by_class: &[Vec<usize>],
    nodes: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Vec<usize>>, PartitionError> {
    check_pieces(pieces)?;
    let sorted = by_class.concat();
    let count = nodes.saturating_mul(pieces);
    if count > sorted.len() {
        return Err(unfit(Partition::Shard { pieces }, nodes, format!("{} examples", sorted.len())));
    }
    let mut shards = cut(sorted, count);
    seed::shuffle(&mut shards, rng);
    Ok(shards.chunks(pieces).map(<[Vec<usize>]>::concat).collect())
}

/// Lets every node take the next `kept` classes of an endless walk through them in random order, so
/// that all are taken equally often or nearly; then cuts each class among those who took it.
pub(super) fn pathological(
    kept: usize,
    by_class: &[Vec<usize>],
    nodes: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Vec<usize>>, PartitionError> {
    check_pieces(kept)?;
    let mut classes: Vec<&Vec<usize>> = by_class.iter().filter(|class| !class.is_empty()).collect();
    seed::shuffle(&mut classes, rng);
    let each = kept.min(classes.len());
    if nodes.saturating_mul(each) < classes.len() {
        let partition = Partition::Pathological { classes: kept };
        return Err(unfit(partition, nodes, format!("{} classes", classes.len())));
    }
    let mut owners = vec![Vec::new(); classes.len()];
    for taken in 0..nodes * each {
        owners[taken % classes.len()].push(taken / each);
    }
    let mut parts = vec![Vec::new(); nodes];
    for (class, owners) in classes.into_iter().zip(owners) {
        for (piece, owner) in cut(class.clone(), owners.len()).into_iter().zip(owners) {
            parts[owner].extend(piece);
        }
    }
    Ok(parts)
}

/// Gives each class whole to the node that has least, the largest class first.
pub(super) fn natural(mut by_class: Vec<Vec<usize>>, nodes: usize) -> Result<Vec<Vec<usize>>, PartitionError> {
    by_class.retain(|class| !class.is_empty());
    if by_class.len() < nodes {
        return Err(unfit(Partition::Natural, nodes, format!("{} labels", by_class.len())));
    }
    // Stable: of equal classes the smaller label goes first.
    by_class.sort_by_key(|class| std::cmp::Reverse(class.len()));
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    for class in by_class {
        if let Some(part) = parts.iter_mut().min_by_key(|part| part.len()) {
            part.extend(class);
        }
    }
    Ok(parts)
}

fn check_pieces(pieces: usize) -> Result<(), PartitionError> {
    if (1..=PIECES_MAX).contains(&pieces) { Ok(()) } else { Err(PartitionError::Pieces(pieces)) }
}

fn unfit(partition: Partition, nodes: usize, of: String) -> PartitionError {
    PartitionError::Unfit { partition: partition.to_string(), nodes, of }
}
