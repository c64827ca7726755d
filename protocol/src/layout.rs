//! How a model's flat vector is divided: what the codec and the trust rule need to know of a model.

/// Most parameters a run may have. A body's indices and the state's blocks are counted in `u32`.
pub const PARAM_COUNT_MAX: usize = 1 << 31;

/// Most trust blocks a layout is divided into (ROBUST: 2-4 groups of tensors).
pub const BLOCK_COUNT_MAX: usize = 4;

/// A last block is at least one part in so many of the model (a guess, checked on the digits MLP).
const LEAST_SHARE: usize = 16;

/// The length of a flat parameter vector and its division into trust blocks.
///
/// A *block* is a run of whole tensors that is scored on its own, so that a peer cannot hide a
/// reversed layer behind the honest rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Exclusive end of each block, strictly increasing; the last is the parameter count.
    ends: Vec<usize>,
}

impl Layout {
    /// Groups tensors of these sizes (in parameters, in flat order) into at most
    /// [`BLOCK_COUNT_MAX`] blocks of about the same size.
    ///
    /// Returns `None` if there is no parameter at all or more than [`PARAM_COUNT_MAX`].
    #[must_use]
    pub fn from_tensors(sizes: &[usize]) -> Option<Self> {
        let total = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size))?;
        if total == 0 || total > PARAM_COUNT_MAX {
            return None;
        }
        let mut ends = Vec::with_capacity(BLOCK_COUNT_MAX);
        let (mut end, mut start) = (0_usize, 0_usize);
        for &size in sizes {
            end += size;
            let blocks_left = BLOCK_COUNT_MAX - ends.len();
            // Close a block as soon as it holds its share of what is left, unless the rest would be
            // too small to score: a bias of ten numbers says nothing about who sent it.
            if (end - start) * blocks_left >= total - start && (total - end) * LEAST_SHARE >= total {
                ends.push(end);
                start = end;
            }
        }
        ends.push(total);
        Some(Self { ends })
    }

    /// Parameters in all.
    #[must_use]
    pub fn param_count(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Trust blocks: 1 to [`BLOCK_COUNT_MAX`].
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.ends.len()
    }

    /// The parameter range of each block, in order; together they cover the vector once.
    pub fn blocks(&self) -> impl Iterator<Item = core::ops::Range<usize>> + '_ {
        (0..self.ends.len()).map(|b| if b == 0 { 0..self.ends[0] } else { self.ends[b - 1]..self.ends[b] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mlp_falls_into_its_two_layers() {
        let layout = Layout::from_tensors(&[64 * 64, 64, 64 * 10, 10]).expect("a layout");
        assert_eq!(layout.param_count(), 4_810);
        assert_eq!(layout.blocks().collect::<Vec<_>>(), [0..4_096, 4_096..4_810]);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert_eq!(Layout::from_tensors(&[]), None);
        assert_eq!(Layout::from_tensors(&[0]), None);
        assert_eq!(Layout::from_tensors(&[PARAM_COUNT_MAX, 1]), None);
        assert_eq!(Layout::from_tensors(&[usize::MAX, 2]), None);
    }
}
