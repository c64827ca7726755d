//! Which rows of what was read make a data set, without a list where a rule will do.
//!
//! A text of gigabytes has tens of millions of windows. All of them, a stretch of them, and a share of a
//! shuffle of them are a few numbers each; only what follows no rule is listed, four bytes a row.

use std::sync::Arc;

use crate::permutation::Permutation;

/// Rows of a store, in an order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rows {
    /// These.
    List(Arc<[u32]>),
    /// From the first, so many.
    Range { first: u32, len: u32 },
    /// Of the rows from `first` on, shuffled: the places `from`, `from + step`, ... of the shuffle.
    Drawn { first: u32, shuffle: Permutation, from: u32, step: u32, len: u32 },
}

impl Rows {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::List(rows) => rows.len(),
            Self::Range { len, .. } | Self::Drawn { len, .. } => *len as usize,
        }
    }

    /// The row at a place; `None` beyond the last.
    pub(super) fn get(&self, index: usize) -> Option<u32> {
        let below = |len: u32| u32::try_from(index).ok().filter(|&index| index < len);
        match self {
            Self::List(rows) => rows.get(index).copied(),
            Self::Range { first, len } => Some(first + below(*len)?),
            Self::Drawn { first, shuffle, from, step, len } => Some(first + shuffle.at(from + below(*len)? * step)),
        }
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// A stretch of a range; `None` of anything else, or beyond the end.
    pub(super) fn stretch(&self, from: usize, count: usize) -> Option<Self> {
        let Self::Range { first, len } = *self else { return None };
        let (from, count) = (u32::try_from(from).ok()?, u32::try_from(count).ok()?);
        (from.checked_add(count)? <= len).then_some(Self::Range { first: first + from, len: count })
    }

    /// Every `step`-th of the shuffled range, from place `from` on, `count` of them; `None` of anything
    /// else, or beyond the end. `shuffle` is one of as many as there are rows.
    pub(super) fn drawn(&self, shuffle: Permutation, from: usize, step: usize, count: usize) -> Option<Self> {
        let Self::Range { first, len } = *self else { return None };
        let last = count.checked_sub(1)?.checked_mul(step)?.checked_add(from)?;
        if last >= len as usize {
            return None;
        }
        // Both are at most `last`, but for a step that is never taken.
        let (from, step) = (u32::try_from(from).ok()?, u32::try_from(step).unwrap_or(u32::MAX));
        Some(Self::Drawn { first, shuffle, from, step, len: u32::try_from(count).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{self, Purpose};

    #[test]
    fn a_rule_gives_what_a_list_would() {
        let all = Rows::Range { first: 10, len: 7 };
        assert_eq!(all.iter().collect::<Vec<_>>(), [10, 11, 12, 13, 14, 15, 16]);
        let some = all.stretch(2, 3).expect("within");
        assert_eq!((some.len(), some.get(0), some.get(2), some.get(3)), (3, Some(12), Some(14), None));
        for (from, count) in [(0, 8), (7, 1), (usize::MAX, 1), (1, usize::MAX)] {
            assert_eq!(all.stretch(from, count), None, "{from}, {count}");
        }
        assert_eq!(Rows::List([1].into()).stretch(0, 1), None);
    }

    #[test]
    fn shares_of_a_shuffle_are_all_of_it() {
        let all = Rows::Range { first: 10, len: 11 };
        let shuffle = Permutation::new(11, &mut seed::stream(1, Purpose::Partition, 0));
        let mut rows: Vec<u32> = [(0, 4), (1, 4), (2, 3)]
            .iter()
            .flat_map(|&(from, count)| all.drawn(shuffle.clone(), from, 3, count).expect("within").iter().collect::<Vec<_>>())
            .collect();
        rows.sort_unstable();
        assert_eq!(rows, (10..21).collect::<Vec<_>>());
        for (from, step, count) in [(2, 3, 4), (11, 1, 1), (0, 1, 12), (0, usize::MAX, 3), (0, 1, 0)] {
            assert_eq!(all.drawn(shuffle.clone(), from, step, count), None, "{from}, {step}, {count}");
        }
        let one = all.drawn(shuffle, 4, usize::MAX, 1).expect("within");
        assert_eq!(one.len(), 1);
        assert!(one.get(0).is_some());
    }
}
