//! A chunk's kept values as one sign bit each and one or two 16-bit scales.
//!
//! 1 bit: sign x mean of |kept|. 2 bits: the kept are split at their mean, and each side has the
//! mean of its own. Scales are f16, rounded to nearest even, so what is subtracted from the residual
//! is exactly what the receiver adds. A mean above 65,504 is sent as 65,504 and one below 3e-8 as 0:
//! error feedback keeps the rest for later. Never negative, never infinite.

use half::f16;

use super::DeltaReject;
use super::rice::{BitReader, BitWriter};

/// The scales of a chunk, as sent and as used.
pub(super) struct Scales {
    low: f16,
    high: f16,
    /// `f32` bits of the two scales.
    value_bits: [u32; 2],
    /// Kept values above this are high.
    split: f32,
}

impl Scales {
    /// The scales of `values[chosen]`.
    pub(super) fn fit(value_bits: u8, values: &[f32], chosen: &[u32]) -> Self {
        let magnitude = |&index: &u32| values[index as usize].abs();
        // In f64, in index order: 65,536 values of at most 1e30 neither overflow nor depend on who adds.
        let sum: f64 = chosen.iter().map(|index| f64::from(magnitude(index))).sum();
        let split = (sum / chosen.len().max(1) as f64) as f32;
        if value_bits == 1 {
            return Self::new(scale(split), f16::ZERO, split);
        }
        let (mut sums, mut counts) = ([0.0_f64; 2], [0_usize; 2]);
        for index in chosen {
            let side = usize::from(magnitude(index) > split);
            sums[side] += f64::from(magnitude(index));
            counts[side] += 1;
        }
        let mean = |side: usize| (sums[side] / counts[side].max(1) as f64) as f32;
        Self::new(scale(mean(0)), scale(mean(1)), split)
    }

    fn new(low: f16, high: f16, split: f32) -> Self {
        Self { low, high, value_bits: [low, high].map(|scale| scale.to_f32().to_bits()), split }
    }

    pub(super) fn write(&self, value_bits: u8, bits: &mut BitWriter<'_>) {
        bits.put(u64::from(self.low.to_bits()), 16);
        if value_bits == 2 {
            bits.put(u64::from(self.high.to_bits()), 16);
        }
    }

    pub(super) fn read(value_bits: u8, bits: &mut BitReader<'_>) -> Result<Self, DeltaReject> {
        let low = read_scale(bits)?;
        let high = if value_bits == 2 { read_scale(bits)? } else { f16::ZERO };
        Ok(Self::new(low, high, 0.0))
    }

    /// Which side of the split a kept value lies on; meaningful on the encoder's side only.
    #[inline]
    pub(super) fn is_high(&self, value: f32) -> bool {
        value.abs() > self.split
    }

    /// What the receiver sees; `sign` is 0 or 1.
    #[inline]
    pub(super) fn value(&self, sign: u32, is_high: bool) -> f32 {
        f32::from_bits(self.value_bits[usize::from(is_high)] | sign << 31)
    }
}

fn scale(mean: f32) -> f16 {
    f16::from_f32(mean.min(f16::MAX.to_f32()))
}

fn read_scale(bits: &mut BitReader<'_>) -> Result<f16, DeltaReject> {
    let scale = f16::from_bits(bits.get(16)? as u16);
    // The sign of -0 counts: it has no place in an encoding that is unique.
    if scale.is_finite() && scale.is_sign_positive() { Ok(scale) } else { Err(DeltaReject::Scale) }
}
