//! Bits, least significant first, and Golomb-Rice codes of the gaps between kept indices.
//!
//! A gap is a quotient in unary (that many zeros, then a one) and a remainder of `parameter` bits.
//! Rice is within 2 % of the floor `log2 C(n,k)/k` at our densities, needs no table, and cannot
//! express an index that does not increase. The reader never reads past its bytes and never counts
//! a unary run beyond what still fits the chunk.

use super::DeltaReject;

/// ln 2 in millionths.
const LN2_MILLIONTHS: u64 = 693_147;

/// `floor(log2(ln 2 * len / kept))`, at least 0: the best parameter for geometric gaps of that mean.
/// In integers, so that no machine's logarithm has a say.
pub(super) fn parameter(len: usize, kept: usize) -> u32 {
    let ratio = len as u64 * LN2_MILLIONTHS / (kept.max(1) as u64 * 1_000_000);
    ratio.checked_ilog2().unwrap_or(0)
}

/// Appends bits to a byte vector.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// The next bits, from the lowest; those above `fill` are zero.
    word: u64,
    /// Bits held in `word`: below 32 between calls.
    fill: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, bytes_max: usize) -> Self {
        out.reserve(bytes_max);
        Self { out, word: 0, fill: 0 }
    }

    /// Appends the lowest `count` bits of `bits`, at most 32; those above must be zero.
    #[inline]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        debug_assert!(count <= 32 && bits >> count == 0, "at most 32 bits at a time");
        self.word |= bits.wrapping_shl(self.fill);
        self.fill = self.fill.wrapping_add(count);
        if self.fill >= 32 {
            self.out.extend_from_slice(&(self.word as u32).to_le_bytes());
            self.word >>= 32;
            self.fill -= 32;
        }
    }

    /// Appends one gap.
    #[inline]
    pub(super) fn put_gap(&mut self, gap: u32, parameter: u32) {
        let mut quotient = gap >> parameter;
        let remainder = u64::from(gap & !(u32::MAX << parameter));
        if quotient.wrapping_add(parameter) >= 32 {
            while quotient >= 32 {
                self.put(0, 32);
                quotient -= 32;
            }
            self.put(1 << quotient, quotient + 1);
            self.put(remainder, parameter);
        } else {
            self.put((1 | remainder << 1) << quotient, quotient.wrapping_add(parameter).wrapping_add(1));
        }
    }

    /// Fills the last byte with zeros.
    pub(super) fn finish(self) {
        let bytes = self.fill.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.word.to_le_bytes()[..bytes]);
    }
}

/// Reads bits from bytes that anybody may have written.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next bits, from the lowest; those above `fill` are zero.
    word: u64,
    fill: u32,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, word: 0, fill: 0 }
    }

    /// Fills `word` to at least 32 bits, or with all there is.
    #[inline]
    fn refill(&mut self) {
        if self.fill >= 32 {
            return;
        }
        if let Some((head, rest)) = self.bytes.split_first_chunk::<4>() {
            self.word |= u64::from(u32::from_le_bytes(*head)).wrapping_shl(self.fill);
            self.fill = self.fill.wrapping_add(32);
            self.bytes = rest;
            return;
        }
        for &byte in self.bytes {
            self.word |= u64::from(byte) << self.fill;
            self.fill += 8;
        }
        self.bytes = &[];
    }

    #[inline]
    fn take(&mut self, count: u32) {
        self.word = self.word.wrapping_shr(count);
        self.fill = self.fill.wrapping_sub(count);
    }

    /// The next `count` bits, at most 32.
    #[inline]
    pub(super) fn get(&mut self, count: u32) -> Result<u64, DeltaReject> {
        debug_assert!(count <= 32, "at most 32 bits at a time");
        self.refill();
        if self.fill < count {
            return Err(DeltaReject::Truncated);
        }
        let bits = self.word & !(u64::MAX.wrapping_shl(count));
        self.take(count);
        Ok(bits)
    }

    /// The next gap; it must be below `room`.
    #[inline]
    pub(super) fn get_gap(&mut self, parameter: u32, room: u32) -> Result<u32, DeltaReject> {
        let quotient_max = room >> parameter;
        let mut quotient = 0_u32;
        loop {
            self.refill();
            if self.fill == 0 {
                return Err(DeltaReject::Truncated);
            }
            let zeros = self.word.trailing_zeros().min(self.fill);
            // `zeros` is at most 64 and `quotient` at most `room`, so this cannot wrap.
            quotient = quotient.wrapping_add(zeros);
            if quotient > quotient_max {
                return Err(DeltaReject::Index);
            }
            if zeros < self.fill {
                self.take(zeros);
                self.take(1);
                break;
            }
            (self.word, self.fill) = (0, 0);
        }
        let remainder = self.get(parameter)? as u32;
        let gap = quotient.wrapping_shl(parameter) | remainder;
        if gap < room { Ok(gap) } else { Err(DeltaReject::Index) }
    }

    /// Checks that nothing but the zero padding of the last byte is left.
    pub(super) const fn finish(self) -> Result<(), DeltaReject> {
        if self.fill >= 8 || !self.bytes.is_empty() {
            return Err(DeltaReject::Leftover);
        }
        if self.word != 0 { Err(DeltaReject::Padding) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_the_table() {
        // ALGORITHM.md, "Index coding".
        for (len, kept, expected) in [(4_096, 41, 6), (4_096, 64, 5), (4_096, 123, 4), (1_024, 31, 4), (10, 5, 0), (1, 1, 0)] {
            assert_eq!(parameter(len, kept), expected, "{kept} of {len}");
        }
    }

    #[test]
    fn gaps_cost_little_more_than_any_code_must() {
        // 64 of 4,096, evenly drawn: the floor is log2 C(4096, 64) / 64 = 7.36 bits (ALGORITHM.md).
        let mut bytes = Vec::new();
        let mut writer = BitWriter::new(&mut bytes, 0);
        let (mut state, draws) = (1_u64, 500);
        for _ in 0..draws {
            let mut indices = std::collections::BTreeSet::new();
            while indices.len() < 64 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                indices.insert((state >> 52) as u32);
            }
            let mut next = 0;
            for index in indices {
                writer.put_gap(index - next, parameter(4_096, 64));
                next = index + 1;
            }
        }
        writer.finish();
        let per_index = bytes.len() as f64 * 8.0 / f64::from(64 * draws);
        assert!(per_index < 7.36 * 1.02, "{per_index}");
    }

    #[test]
    fn every_gap_returns_whatever_its_parameter() {
        for parameter in 0..16 {
            let gaps: Vec<u32> = (0..200).map(|i| i * i * 3 % 65_536).collect();
            let mut bytes = Vec::new();
            let mut writer = BitWriter::new(&mut bytes, 0);
            gaps.iter().for_each(|&gap| writer.put_gap(gap, parameter));
            writer.finish();
            let mut reader = BitReader::new(&bytes);
            for &gap in &gaps {
                assert_eq!(reader.get_gap(parameter, gap + 1), Ok(gap));
            }
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_run_of_zeros_ends_at_the_room_not_at_the_bytes() {
        let zeros = vec![0; 1 << 20];
        assert_eq!(BitReader::new(&zeros).get_gap(0, 100), Err(DeltaReject::Index));
        assert_eq!(BitReader::new(&[]).get_gap(3, 100), Err(DeltaReject::Truncated));
        assert_eq!(BitReader::new(&[0]).get_gap(0, 100), Err(DeltaReject::Truncated));
        assert_eq!(BitReader::new(&[1]).get_gap(0, 0), Err(DeltaReject::Index));
    }
}
