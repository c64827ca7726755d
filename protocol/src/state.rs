//! How a late joiner gets the weights of a running network without trusting anybody in particular.
//!
//! The model is cut into blocks of [`STATE_BLOCK_PARAMS`] weights in bf16; the joiner asks several
//! donors for each and takes the median of every coordinate. Half the precision is enough: slices
//! repair the rest within rounds. A donor's block is a [`StateBlock`] only after its length is right
//! and every weight in it finite; what a donor may still do is lie, and a minority of liars only moves
//! a median within what the honest sent.

use core::ops::Range;

use half::bf16;

/// Weights in a block: 128 KiB on the wire.
pub const STATE_BLOCK_PARAMS: usize = 64 * 1024;

/// Why bytes are not a state block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateReject {
    /// The model has no such block.
    #[error("the model has no state block {0}")]
    Block(u32),
    /// Too few or too many bytes.
    #[error("{found} bytes instead of {expected}")]
    Length {
        /// What came.
        found: usize,
        /// What a block of this number has.
        expected: usize,
    },
    /// A weight that is infinite or not a number.
    #[error("weight {0} of the block is not finite")]
    NotFinite(usize),
}

/// Blocks of a model.
#[must_use]
pub const fn block_count(param_count: usize) -> u32 {
    param_count.div_ceil(STATE_BLOCK_PARAMS) as u32
}

/// The parameters of a block, or `None` if there is no such block.
#[must_use]
pub fn block_range(param_count: usize, block: u32) -> Option<Range<usize>> {
    let start = (block as usize).checked_mul(STATE_BLOCK_PARAMS)?;
    (start < param_count).then(|| start..param_count.min(start + STATE_BLOCK_PARAMS))
}

/// A block of these weights (the whole vector) as bytes, or `None` if there is no such block.
///
/// A weight beyond what bf16 can hold is sent as the largest it can.
#[must_use]
pub fn encode_block(weights: &[f32], block: u32) -> Option<Vec<u8>> {
    let range = block_range(weights.len(), block)?;
    let bound = bf16::MAX.to_f32();
    Some(weights[range].iter().flat_map(|weight| bf16::from_f32(weight.clamp(-bound, bound)).to_le_bytes()).collect())
}

/// One donor's block, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct StateBlock {
    block: u32,
    weights: Vec<f32>,
}

impl StateBlock {
    /// Reads what a donor sent for this block.
    ///
    /// # Errors
    /// [`StateReject`]; the donor is at fault.
    pub fn decode(bytes: &[u8], block: u32, param_count: usize) -> Result<Self, StateReject> {
        let expected = block_range(param_count, block).ok_or(StateReject::Block(block))?.len() * 2;
        if bytes.len() != expected {
            return Err(StateReject::Length { found: bytes.len(), expected });
        }
        let weights: Vec<f32> = bytes.as_chunks().0.iter().map(|pair| bf16::from_le_bytes(*pair).to_f32()).collect();
        match weights.iter().position(|weight| !weight.is_finite()) {
            Some(place) => Err(StateReject::NotFinite(place)),
            None => Ok(Self { block, weights }),
        }
    }

    /// Which block of the model.
    #[must_use]
    pub const fn block(&self) -> u32 {
        self.block
    }

    /// Its weights.
    #[must_use]
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }
}

/// The median of every coordinate over all donors of one block; of an even number, the mean of the
/// two in the middle (so two donors are averaged, and one is believed).
///
/// Returns `None` without donors, or if they sent different blocks.
#[must_use]
pub fn assemble(donors: &[StateBlock]) -> Option<Vec<f32>> {
    let (first, rest) = donors.split_first()?;
    if rest.iter().any(|donor| donor.block != first.block || donor.weights.len() != first.weights.len()) {
        return None;
    }
    let mut column = Vec::with_capacity(donors.len());
    let median_at = |place: usize| {
        column.clear();
        column.extend(donors.iter().map(|donor| f64::from(donor.weights[place])));
        median(&mut column) as f32
    };
    Some((0..first.weights.len()).map(median_at).collect())
}

/// The median; of an even number, the mean of the two in the middle; of nothing, 0. Reorders `values`.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(values.len() / 2, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp);
    match lower {
        Some(lower) if values.len().is_multiple_of(2) => f64::midpoint(lower, upper),
        _ => upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn donor(weights: Vec<f32>) -> StateBlock {
        StateBlock { block: 0, weights }
    }

    #[test]
    fn blocks_survive_the_wire_and_junk_is_refused() {
        let weights: Vec<f32> = (0..70_000).map(|i| (i as f32 - 35_000.0) / 128.0).collect();
        assert_eq!(block_count(weights.len()), 2);
        let last = encode_block(&weights, 1).expect("a block");
        let block = StateBlock::decode(&last, 1, weights.len()).expect("what was encoded");
        let close = |(sent, seen): (&f32, &f32)| (sent - seen).abs() <= sent.abs() / 256.0;
        assert!(weights[STATE_BLOCK_PARAMS..].iter().zip(block.weights()).all(close));
        assert_eq!(encode_block(&weights, 2), None);
        assert_eq!(StateBlock::decode(&last, 2, weights.len()), Err(StateReject::Block(2)));
        assert_eq!(
            StateBlock::decode(&last[1..], 1, weights.len()),
            Err(StateReject::Length { found: last.len() - 1, expected: last.len() })
        );
        let mut poisoned = last;
        poisoned[6..8].copy_from_slice(&bf16::NAN.to_le_bytes());
        assert_eq!(StateBlock::decode(&poisoned, 1, weights.len()), Err(StateReject::NotFinite(3)));
        assert_eq!(encode_block(&[f32::MAX], 0).map(|bytes| StateBlock::decode(&bytes, 0, 1).is_ok()), Some(true));
    }

    #[test]
    fn a_minority_of_liars_stays_within_the_honest() {
        let honest = [vec![1.0, -1.0], vec![1.1, -1.1], vec![0.9, -0.9]];
        let donors: Vec<StateBlock> =
            honest.into_iter().map(donor).chain([donor(vec![1e9, 1e9]), donor(vec![-1e9, 1e9])]).collect();
        assert_eq!(assemble(&donors), Some(vec![1.0, -0.9]));
        assert_eq!(assemble(&donors[..2]), Some(vec![1.05, -1.05]));
        assert_eq!(assemble(&[]), None);
    }
}
