//! Chunked top-k with 1- or 2-bit values: a dense change of the weights becomes a few bytes and back.
//!
//! ```text
//! e <- beta e + D          residual.rs   what earlier rounds left behind, and this round's change
//! kept <- k largest |e|    topk.rs       exactly k of each chunk, ties to the lower index
//! q <- sign x f16 scale    quantize.rs   the mean of what was kept, rounded as the decoder will see it
//! gaps, signs -> bits      rice.rs       Golomb-Rice, parameter from (chunk length, k) alone
//! e <- e - q                             what was SENT is subtracted, so nothing is lost
//! ```
//! Bit stream of a chunk: its scales (16 bits each), k gaps, k sign bits, and with 2-bit values k
//! magnitude bits. Chunks follow one another without padding; the last byte is filled with zeros.
//!
//! Invariants: the same input gives the same bytes on every machine (no transcendental function, no
//! sum whose order a compiler may choose); an encoding is unique, so there is nothing to malleate;
//! the number of kept values follows from the [`Shape`] alone, never from what a stranger wrote.
//! This module never sees a whole message: `body` does.

mod quantize;
mod residual;
mod rice;
mod topk;

use self::quantize::Scales;
use self::rice::{BitReader, BitWriter};
use self::topk::Selector;

/// What sender and receiver know before a single bit is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Parameters of the model, at least 1, at most `PARAM_COUNT_MAX`.
    pub param_count: usize,
    /// Parameters in a chunk (the last may be shorter), at least 1.
    pub chunk: usize,
    /// Kept values per thousand, 1 to 500.
    pub per_mille: u16,
    /// 1 or 2.
    pub value_bits: u8,
}

impl Shape {
    /// Values kept of a chunk of `len` parameters: `per_mille` of it, rounded half up, at least one.
    #[must_use]
    pub fn kept(&self, len: usize) -> usize {
        ((len * usize::from(self.per_mille) + 500) / 1_000).clamp(1, len)
    }

    /// Values kept in all.
    #[must_use]
    pub fn kept_total(&self) -> usize {
        self.chunks().map(|(count, len)| count * self.kept(len)).sum()
    }

    /// Most bytes a delta of this shape takes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bits(|len, kept, parameter| (len - kept) >> parameter).div_ceil(8)
    }

    /// Fewest bytes a delta of this shape takes: no quotient anywhere.
    #[must_use]
    pub fn bytes_min(&self) -> usize {
        self.bits(|_, _, _| 0).div_ceil(8)
    }

    /// Bits of the scales alone: what a body pays whatever it keeps.
    #[must_use]
    pub fn scale_bits(&self) -> usize {
        self.param_count.div_ceil(self.chunk) * 16 * usize::from(self.value_bits)
    }

    /// All quotients of a chunk together are at most `quotients(len, kept, parameter)`, since its
    /// gaps add up to at most `len - kept`.
    fn bits(&self, quotients: impl Fn(usize, usize, u32) -> usize) -> usize {
        let per_value = usize::from(self.value_bits) + 1;
        let per_chunk = |len: usize| {
            let kept = self.kept(len);
            let parameter = rice::parameter(len, kept);
            kept * (per_value + parameter as usize) + quotients(len, kept, parameter)
        };
        self.scale_bits() + self.chunks().map(|(count, len)| count * per_chunk(len)).sum::<usize>()
    }

    /// `(how many, how long)`: the whole chunks and the shorter last one, if there is one.
    fn chunks(&self) -> impl Iterator<Item = (usize, usize)> {
        let whole = (self.param_count / self.chunk, self.chunk);
        let last = (1, self.param_count % self.chunk);
        [whole, last].into_iter().filter(|&(count, len)| count > 0 && len > 0)
    }
}

/// A compressed change of the weights, `q`: what the mix adds up. Zero wherever nothing was kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl Delta {
    /// Flat parameter indices, strictly increasing.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// One finite value for each index.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The positions, within [`Self::indices`], of the entries that lie in this parameter range.
    #[must_use]
    pub fn entries(&self, range: &core::ops::Range<usize>) -> core::ops::Range<usize> {
        let position = |end: usize| self.indices.partition_point(|&index| (index as usize) < end);
        position(range.start)..position(range.end)
    }

    fn with_capacity(count: usize) -> Self {
        Self { indices: Vec::with_capacity(count), values: Vec::with_capacity(count) }
    }
}

/// Why bytes are not a delta of the shape asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaReject {
    /// The bits end before the last chunk does.
    #[error("the delta is cut short")]
    Truncated,
    /// An index lies past the end of its chunk.
    #[error("an index lies past the end of its chunk")]
    Index,
    /// A scale is negative, infinite or not a number.
    #[error("a scale is not a finite, non-negative number")]
    Scale,
    /// Bytes remain after the last chunk.
    #[error("bytes remain after the last chunk")]
    Leftover,
    /// The bits that fill the last byte are not zero.
    #[error("the padding is not zero")]
    Padding,
}

/// Adds `gradient` to the residual, appends the encoding of its largest entries to `out`, subtracts
/// what was sent from the residual, and returns it.
///
/// The residual stays within [`RESIDUAL_MAX`] whatever is added to it; a value that is not a number
/// counts as `RESIDUAL_MAX`, so callers check their gradient first.
///
/// # Panics
/// If `residual` or `gradient` is not `shape.param_count` long.
pub fn encode(shape: &Shape, beta: f32, residual: &mut [f32], gradient: &[f32], out: &mut Vec<u8>) -> Delta {
    assert_eq!(residual.len(), shape.param_count, "the residual belongs to another model");
    assert_eq!(gradient.len(), shape.param_count, "the gradient belongs to another model");
    let mut delta = Delta::with_capacity(shape.kept_total());
    let mut bits = BitWriter::new(out, shape.bytes_max());
    let mut selector = Selector::new(shape.chunk);
    let chunks = residual.chunks_mut(shape.chunk).zip(gradient.chunks(shape.chunk));
    for (number, (residual, gradient)) in chunks.enumerate() {
        let kept = shape.kept(residual.len());
        let chosen = selector.accumulate_and_select(residual, gradient, beta, kept);
        let start = (number * shape.chunk) as u32;
        encode_chunk(shape.value_bits, start, residual, chosen, &mut bits, &mut delta);
    }
    bits.finish();
    delta
}

fn encode_chunk(value_bits: u8, start: u32, residual: &mut [f32], chosen: &[u32], bits: &mut BitWriter<'_>, delta: &mut Delta) {
    let scales = Scales::fit(value_bits, residual, chosen);
    scales.write(value_bits, bits);
    let parameter = rice::parameter(residual.len(), chosen.len());
    let mut next = 0;
    for &index in chosen {
        bits.put_gap(index.wrapping_sub(next), parameter);
        next = index.wrapping_add(1);
    }
    for indices in chosen.chunks(32) {
        let signs = indices.iter().rev().fold(0, |word, &index| word << 1 | u64::from(residual[index as usize].to_bits() >> 31));
        bits.put(signs, indices.len() as u32);
    }
    if value_bits == 2 {
        for indices in chosen.chunks(32) {
            let highs =
                indices.iter().rev().fold(0, |word, &index| word << 1 | u64::from(scales.is_high(residual[index as usize])));
            bits.put(highs, indices.len() as u32);
        }
    }
    for &index in chosen {
        let slot = &mut residual[index as usize];
        let value = scales.value(slot.to_bits() >> 31, value_bits == 2 && scales.is_high(*slot));
        *slot -= value;
        delta.indices.push(start.wrapping_add(index));
        delta.values.push(value);
    }
}

/// Reads a delta of exactly this shape.
///
/// Allocates for `shape.kept_total()` entries, and only if `bytes` could hold as many.
///
/// # Errors
/// [`DeltaReject`], whatever the bytes are; never a panic.
pub fn decode(shape: &Shape, bytes: &[u8]) -> Result<Delta, DeltaReject> {
    if bytes.len() < shape.bytes_min() {
        return Err(DeltaReject::Truncated);
    }
    if bytes.len() > shape.bytes_max() {
        return Err(DeltaReject::Leftover);
    }
    let mut delta = Delta::with_capacity(shape.kept_total());
    let mut bits = BitReader::new(bytes);
    let mut start = 0;
    while start < shape.param_count {
        let len = shape.chunk.min(shape.param_count - start);
        decode_chunk(shape, start as u32, len, &mut bits, &mut delta)?;
        start += len;
    }
    bits.finish()?;
    Ok(delta)
}

fn decode_chunk(shape: &Shape, start: u32, len: usize, bits: &mut BitReader<'_>, delta: &mut Delta) -> Result<(), DeltaReject> {
    let kept = shape.kept(len);
    let parameter = rice::parameter(len, kept);
    let scales = Scales::read(shape.value_bits, bits)?;
    let (mut next, len) = (0, len as u32);
    for _ in 0..kept {
        // `next < len` is not given: after the last index there is no room for another, and
        // `get_gap` then has a room of nothing.
        let index = next + bits.get_gap(parameter, len - next)?;
        delta.indices.push(start.wrapping_add(index));
        next = index + 1;
    }
    let first = delta.values.len();
    for done in (0..kept).step_by(32) {
        let count = (kept - done).min(32);
        let signs = bits.get(count as u32)? as u32;
        delta.values.extend((0..count).map(|i| scales.value(signs >> i & 1, false)));
    }
    if shape.value_bits == 2 {
        for values in delta.values[first..].chunks_mut(32) {
            let highs = bits.get(values.len() as u32)?;
            for (i, value) in values.iter_mut().enumerate() {
                *value = scales.value(value.to_bits() >> 31, highs >> i & 1 == 1);
            }
        }
    }
    Ok(())
}

pub use self::residual::RESIDUAL_MAX;
