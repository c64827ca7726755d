//! The rotating piece of real weights that travels with every delta: which, how, and how much.
//!
//! In round `r` an author's body with `K` parts carries block `perm(run, author, r div K)[r mod K]`: all
//! blocks once in `K` rounds, in an order of each author's own that it cannot choose. Authors heard in
//! one round carry different blocks, so that of each parameter somebody's value comes `s / K` times a
//! round instead of `s` values every `K` rounds: replicas lie half as far apart for the same bytes
//! (ADR 12). Values are int8 with *subtractive dither*, one scale
//! per [`GROUP`] values; the dither is `PRG(run, r, K)`, the same for all nodes. A receiver quantises
//! its own block with the sender's scale and that same dither and looks only at the difference, so
//! equal weights differ by exactly zero, however coarse the scale, and rounding cannot set agreeing
//! replicas apart.
//!
//! This module never decides how far a difference is trusted: `mix` clips, `trust` judges.

use core::ops::Range;

use crate::id::{NodeId, RunId};
use crate::spec::SliceSpec;

/// Values that share a scale. With one scale for a whole slice a single large bias or norm weight
/// coarsens everything beside it; 256 costs 1.6 % of the slice (measured, `numeric.rs`).
pub const GROUP: usize = 256;
/// Largest scale accepted: as far as weights of any use can go, and no sum of squares overflows.
pub const SCALE_MAX: f32 = 1e30;

/// Smallest scale sent or accepted: above the denormals, where dividing by it stops being exact
/// enough for equal weights to fall on equal levels.
pub const SCALE_MIN: f32 = 1e-30;

/// Levels left and right of zero that the sender uses: dither of half a level stays within an i8.
const LEVELS: f32 = 126.0;
/// Adding and subtracting 1.5 x 2^23 rounds an f32 below [`ROUND_LIMIT`] to the nearest even integer:
/// the one rounding that is the same everywhere and needs no SSE4.
const ROUND_MAGIC: f32 = 12_582_912.0;
/// Where that stops being exact.
const ROUND_LIMIT: f32 = 4_194_304.0;
const PERMUTATION_DOMAIN: &str = "shoal 2026 slice permutation v2";
const DITHER_DOMAIN: &str = "shoal 2026 slice dither v1";

/// The parameters of one block when `param_count` are divided into `parts`, at least 1: sizes differ by
/// at most one.
#[must_use]
pub fn block_range(param_count: usize, parts: u16, block: u16) -> Range<usize> {
    let edge = |block: u64| (param_count as u64 * block / u64::from(parts)) as usize;
    edge(u64::from(block))..edge(u64::from(block) + 1)
}

/// Longest block when `param_count` parameters are divided into `parts`, at least 1.
#[must_use]
pub fn block_len_max(param_count: usize, parts: u16) -> usize {
    param_count.div_ceil(usize::from(parts))
}

/// Bytes a slice of so many values takes in a body.
#[must_use]
pub const fn bytes(len: usize) -> usize {
    len + len.div_ceil(GROUP) * 4
}

/// Who published a body and in which round, as its announce says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who signed the announce.
    pub author: NodeId,
    /// The author's round.
    pub round: u64,
}

/// The block that this author sends in this round, of `parts`, at least 1.
#[must_use]
pub fn block_of(run: RunId, Origin { author, round }: Origin, parts: u16) -> u16 {
    let count = u64::from(parts);
    let mut hasher = blake3::Hasher::new_derive_key(PERMUTATION_DOMAIN);
    hasher.update(&run.0).update(&author.0).update(&parts.to_le_bytes()).update(&(round / count).to_le_bytes());
    let mut draws = hasher.finalize_xof();
    let mut order: Vec<u16> = (0..parts).collect();
    // Fisher-Yates. 64 random bits onto at most 1,024 places: the bias is below 2^-53.
    for last in (1..order.len()).rev() {
        let mut draw = [0; 8];
        draws.fill(&mut draw);
        let place = (u128::from(u64::from_le_bytes(draw)) * (last as u128 + 1)) >> 64;
        order.swap(last, place as usize);
    }
    order[(round % count) as usize]
}

/// What all nodes add before rounding in this round and subtract after it: `len` values in
/// (-1/2, 1/2), in steps of 1/256 of a level. One byte each: the rest is below the noise of int8.
#[must_use]
pub fn dither(run: RunId, round: u64, parts: u16, len: usize) -> Vec<f32> {
    let mut hasher = blake3::Hasher::new_derive_key(DITHER_DOMAIN);
    hasher.update(&run.0).update(&round.to_le_bytes()).update(&parts.to_le_bytes());
    let mut bytes = vec![0; len];
    hasher.finalize_xof().fill(&mut bytes);
    bytes.into_iter().map(|byte| (f32::from(byte) - 127.5) / 256.0).collect()
}

/// A received or sent piece of somebody's weights, still quantised.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    parts: u16,
    block: u16,
    scales: Vec<f32>,
    levels: Vec<i8>,
}

impl Slice {
    /// Quantises the block of `weights` that a body of this origin carries. `weights` is the whole vector.
    #[must_use]
    pub fn quantise(run: RunId, origin: Origin, parts: u16, weights: &[f32]) -> Self {
        let block = block_of(run, origin, parts);
        let values = &weights[block_range(weights.len(), parts, block)];
        let dither = dither(run, origin.round, parts, values.len());
        let mut scales = Vec::with_capacity(values.len().div_ceil(GROUP));
        let mut levels = Vec::with_capacity(values.len());
        for (values, dither) in values.chunks(GROUP).zip(dither.chunks(GROUP)) {
            let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let scale = (largest / LEVELS).clamp(SCALE_MIN, SCALE_MAX);
            scales.push(scale);
            let inverse = 1.0 / scale;
            levels.extend(
                values.iter().zip(dither).map(|(&value, &dither)| nearest(value * inverse + dither).clamp(-127.0, 127.0) as i8),
            );
        }
        Self { parts, block, scales, levels }
    }

    /// "One part in so many" of the model.
    #[must_use]
    pub const fn parts(&self) -> u16 {
        self.parts
    }

    /// Which of the parts.
    #[must_use]
    pub const fn block(&self) -> u16 {
        self.block
    }

    /// Values in the slice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Whether the model is so small that this block of it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The sender's block minus the receiver's, both as the sender's scale and the shared dither see
    /// them. `own` is the same block of the receiver's weights, `dither` that of the sender's round;
    /// both are as long as the slice.
    ///
    /// Where the receiver's value lies beyond what can be rounded at that scale it is taken as it is:
    /// the difference is then right to within a level.
    #[must_use]
    pub fn difference(&self, own: &[f32], dither: &[f32]) -> Vec<f32> {
        let mut difference = vec![0.0; self.levels.len()];
        let groups = difference.chunks_mut(GROUP).zip(own.chunks(GROUP)).zip(dither.chunks(GROUP));
        for (number, ((difference, own), dither)) in groups.enumerate() {
            self.group_difference(number, own, dither, difference);
        }
        difference
    }

    /// [`Self::difference`] of one group of [`GROUP`] values (the last may be shorter); all slices are
    /// of that length.
    pub(crate) fn group_difference(&self, number: usize, own: &[f32], dither: &[f32], difference: &mut [f32]) {
        let levels = self.levels.chunks(GROUP).nth(number).unwrap_or(&[]);
        let scale = self.scales.get(number).copied().unwrap_or(SCALE_MIN);
        // As in `quantise`, to the bit: equal weights must fall on equal levels.
        let inverse = 1.0 / scale;
        for (((difference, &level), &own), &dither) in difference.iter_mut().zip(levels).zip(own).zip(dither) {
            let sent = (f32::from(level) - dither) * scale;
            let place = own * inverse + dither;
            let seen = if place.abs() < ROUND_LIMIT { (nearest(place) - dither) * scale } else { own };
            *difference = sent - seen;
        }
    }

    /// Appends the scales, then the levels.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.scales.iter().for_each(|scale| out.extend_from_slice(&scale.to_le_bytes()));
        out.extend(self.levels.iter().map(|level| level.cast_unsigned()));
    }

    /// Reads a slice of the block that a body of this origin carries. `raw` has exactly `bytes(len)` bytes
    /// for that block; returns `None` if one of its scales is not from [`SCALE_MIN`] to [`SCALE_MAX`].
    pub(crate) fn read(run: RunId, origin: Origin, parts: u16, len: usize, raw: &[u8]) -> Option<Self> {
        let (scales, levels) = raw.split_at_checked(len.div_ceil(GROUP) * 4)?;
        let scales: Vec<f32> = scales.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let sound = levels.len() == len && scales.iter().all(|scale| (SCALE_MIN..=SCALE_MAX).contains(scale));
        let levels = levels.iter().map(|byte| byte.cast_signed()).collect();
        sound.then(|| Self { parts, block: block_of(run, origin, parts), scales, levels })
    }
}

#[inline]
fn nearest(value: f32) -> f32 {
    (value + ROUND_MAGIC) - ROUND_MAGIC
}

/// Adapts the slice to how far replicas are apart: twice as large while they differ by more than six
/// times what a round moves them, half as large below twice (ALGORITHM step 7).
#[must_use]
pub fn next_parts(parts: u16, spec: &SliceSpec, slice_rms: f32, update_rms: f32) -> u16 {
    let next = if slice_rms > 6.0 * update_rms {
        parts / 2
    } else if slice_rms < 2.0 * update_rms {
        parts.saturating_mul(2)
    } else {
        parts
    };
    next.clamp(spec.coarsest, spec.finest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId([7; 32]);

    #[test]
    fn every_block_comes_once_and_blocks_cover_the_model() {
        for parts in [2, 16, 128, 1_024] {
            for epoch in 0..3 {
                let origin = |r| Origin { author: NodeId([3; 32]), round: epoch * u64::from(parts) + r };
                let mut blocks: Vec<u16> = (0..u64::from(parts)).map(|r| block_of(RUN, origin(r), parts)).collect();
                blocks.sort_unstable();
                assert_eq!(blocks, (0..parts).collect::<Vec<_>>());
            }
            for param_count in [1, 15, 4_810, 100_003] {
                let mut next = 0;
                for range in (0..parts).map(|block| block_range(param_count, parts, block)) {
                    assert!(range.start == next && range.len() <= block_len_max(param_count, parts));
                    next = range.end;
                }
                assert_eq!(next, param_count);
            }
        }
    }

    #[test]
    fn rate_control_follows_the_ratio_within_its_bounds() {
        let spec = SliceSpec { finest: 128, ..SliceSpec::default() };
        for (parts, slice_rms, expected) in [(16, 6.1, 8), (4, 9.0, 4), (16, 1.9, 32), (128, 0.0, 128), (16, 4.0, 16)] {
            assert_eq!(next_parts(parts, &spec, slice_rms, 1.0), expected, "{slice_rms}");
        }
    }
}
