//! Exactly the k largest |e| of a chunk, ties to the lower index, in index order.
//!
//! Works on the bits of |e| (ordered like the numbers, as signed integers) and never sorts:
//! 1. While the residual is updated, the chunk is folded into columns, each keeping its maximum. If k
//!    columns reach a pivot, k values do: the pivot is a lower bound of the k-th largest value, and a
//!    close one while k is small beside the number of columns.
//! 2. The pivot is found by bisection, counting columns (a few hundred compares each).
//! 3. Values that reach the pivot are candidates; a second bisection among those few is exact.
//!
//! Everything in the passes over a whole chunk is branch-free over slices of known length, so that
//! the compiler vectorises it for whatever machine it builds for. No clever pass decides the result:
//! the last one alone does, and any pivot that leaves k candidates gives the same answer.

use super::residual::accumulate;

/// Values that share a column.
const FOLD: usize = 8;

/// Scratch memory of the selection, allocated once for all chunks of a delta.
pub(super) struct Selector {
    /// Column maxima, or all magnitudes: floats, as they come out of the pass over the residual.
    maxima: Vec<f32>,
    /// The same as ordered integers.
    keys: Vec<i32>,
    /// 1 for each value that reaches the pivot.
    marks: Vec<u8>,
    /// Candidates in index order, then the chosen: what [`Self::accumulate_and_select`] returns.
    indices: Vec<u32>,
    /// The candidates' magnitudes.
    magnitudes: Vec<i32>,
}

impl Selector {
    pub(super) fn new(chunk: usize) -> Self {
        Self {
            maxima: Vec::with_capacity(chunk),
            keys: Vec::with_capacity(chunk),
            marks: Vec::with_capacity(chunk),
            indices: Vec::with_capacity(chunk),
            magnitudes: Vec::with_capacity(chunk),
        }
    }

    /// `residual <- beta residual + gradient`, then the indices of its `kept` largest magnitudes.
    /// Both slices are one chunk; `kept` is at least 1 and at most its length.
    pub(super) fn accumulate_and_select(&mut self, residual: &mut [f32], gradient: &[f32], beta: f32, kept: usize) -> &[u32] {
        let len = residual.len();
        // With as many columns as kept values the pivot would be the smallest column: no bound at all.
        let columns = if len.is_multiple_of(FOLD) && kept < len / FOLD { len / FOLD } else { len };
        self.maxima.clear();
        self.maxima.resize(columns, 0.0);
        for (residual, gradient) in residual.chunks_exact_mut(columns).zip(gradient.chunks_exact(columns)) {
            for ((slot, &gradient), maximum) in residual.iter_mut().zip(gradient).zip(&mut self.maxima) {
                let sum = accumulate(*slot, gradient, beta);
                *slot = sum;
                let magnitude = sum.abs();
                *maximum = if magnitude > *maximum { magnitude } else { *maximum };
            }
        }
        self.keys.clear();
        self.keys.extend(self.maxima.iter().map(|maximum| maximum.to_bits() as i32));
        let pivot = pivot(&self.keys, kept, kept / 8);
        self.collect_candidates(residual, pivot);
        self.choose(kept);
        &self.indices
    }

    /// Fills `indices` and `magnitudes` with what reaches the pivot.
    fn collect_candidates(&mut self, residual: &[f32], pivot: i32) {
        self.marks.clear();
        self.marks.extend(residual.iter().map(|&value| u8::from(magnitude(value) >= pivot)));
        self.indices.clear();
        self.magnitudes.clear();
        // A shorter tail is filled up: the marks of 64 values always make a word.
        self.marks.resize(residual.len().next_multiple_of(64), 0);
        let mut start = 0_u32;
        for marks in self.marks.as_chunks::<64>().0 {
            let mut word = marks.as_chunks::<8>().0.iter().rev().fold(0, |word, eight| word << 8 | gather(*eight));
            while word != 0 {
                self.indices.push(start.wrapping_add(word.trailing_zeros()));
                word &= word.wrapping_sub(1);
            }
            start = start.wrapping_add(64);
        }
        self.magnitudes.extend(self.indices.iter().map(|&index| magnitude(residual[index as usize])));
    }

    /// Leaves exactly `kept` candidates: the largest, among equals those that come first.
    fn choose(&mut self, kept: usize) {
        if self.indices.len() == kept {
            return;
        }
        let threshold = pivot(&self.magnitudes, kept, 0);
        let above = count(&self.magnitudes, threshold.wrapping_add(1));
        let mut ties_left = kept - above.min(kept);
        let mut magnitudes = self.magnitudes.iter();
        self.indices.retain(|_| {
            let magnitude = magnitudes.next().copied().unwrap_or(0);
            let tie = magnitude == threshold && ties_left > 0;
            ties_left -= usize::from(tie);
            magnitude > threshold || tie
        });
    }
}

#[inline]
fn magnitude(value: f32) -> i32 {
    (value.to_bits() & 0x7fff_ffff) as i32
}

/// Eight bytes of 0 or 1 as eight bits, the first the lowest: byte i times 2^(56 - 7i) lands on bit
/// 56 + i, and no two of the products meet.
#[inline]
fn gather(marks: [u8; 8]) -> u64 {
    u64::from_le_bytes(marks).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Keys that are at least `threshold`.
fn count(keys: &[i32], threshold: i32) -> usize {
    keys.iter().fold(0_u32, |count, &key| count.wrapping_add(u32::from(key >= threshold))) as usize
}

/// A threshold that at least `kept` keys reach, and at most `kept + slack` unless keys are equal.
/// With no slack it is such that the keys above it are fewer than, or exactly, `kept`.
fn pivot(keys: &[i32], kept: usize, slack: usize) -> i32 {
    // All keys reach `low`, none reaches `high`. Magnitudes are finite, so adding 1 cannot wrap.
    let (mut low, mut high) = keys.iter().fold((i32::MAX, 0), |(low, high), &key| (low.min(key), high.max(key)));
    high = high.wrapping_add(1);
    while high.wrapping_sub(low) > 1 {
        let middle = low + (high - low) / 2;
        let reached = count(keys, middle);
        if reached < kept {
            high = middle;
        } else {
            low = middle;
            if reached <= kept + slack {
                break;
            }
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, by sorting.
    fn by_sorting(values: &[f32], kept: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.sort_by_key(|&index| (core::cmp::Reverse(magnitude(values[index as usize])), index));
        order.truncate(kept);
        order.sort_unstable();
        order
    }

    proptest! {
        #[test]
        fn the_selection_is_that_of_a_sort(
            values in prop::collection::vec(prop_oneof![4 => -4.0_f32..4.0, 2 => Just(1.0), 1 => Just(0.0), 1 => any::<f32>()], 1..700),
            share in 0.0_f64..1.0,
        ) {
            let kept = ((values.len() as f64 * share) as usize).max(1);
            let mut residual = vec![0.0; values.len()];
            let chosen = Selector::new(values.len()).accumulate_and_select(&mut residual, &values, 1.0, kept).to_vec();
            prop_assert!(residual.iter().all(|value| value.abs() <= super::super::RESIDUAL_MAX));
            prop_assert_eq!(chosen, by_sorting(&residual, kept));
        }

        #[test]
        fn many_columns_and_ties(seed in any::<u32>(), levels in 1_u32..40, kept in 1_usize..200) {
            let mut state = seed | 1;
            let values: Vec<f32> = (0..1_024).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as f32 % levels as f32 - levels as f32 / 2.0
            }).collect();
            let mut residual = vec![0.0; values.len()];
            let chosen = Selector::new(1_024).accumulate_and_select(&mut residual, &values, 1.0, kept).to_vec();
            prop_assert_eq!(chosen, by_sorting(&values, kept));
        }
    }
}
