//! Gathering labelled examples from many files or rows, bounded as they come.

use super::held_out::{self, Share};
use super::{DataError, Dataset, Split};

/// Most numbers that are kept in memory: five times MNIST's (a guess); as f32 they take 1 GiB.
pub(super) const VALUES_MAX: u64 = 1 << 28;

/// Examples of one shape, so far.
#[derive(Debug, Default)]
pub(super) struct Examples {
    pub(super) inputs: Vec<f32>,
    pub(super) labels: Vec<u32>,
    /// What decides who is held out.
    fates: Vec<u64>,
    /// Whose each is, if the data says so.
    pub(super) groups: Vec<u32>,
}

impl Examples {
    /// Adds one whose inputs were already appended; `fate` is of its bytes as they were read.
    pub(super) fn push(&mut self, label: u32, fate: u64) {
        self.labels.push(label);
        self.fates.push(fate);
    }

    /// Whether another of so many numbers still fits.
    ///
    /// # Errors
    /// One sentence with the bound.
    pub(super) fn room(&self, numbers: usize) -> Result<(), String> {
        let all = (self.inputs.len() as u64).saturating_add(numbers as u64);
        if all > VALUES_MAX {
            return Err(format!("with it the data has more than {VALUES_MAX} numbers, which is all that is kept in memory"));
        }
        Ok(())
    }

    /// All of them.
    ///
    /// # Errors
    /// As [`Dataset::new`].
    pub(super) fn whole(self, shape: &[usize], classes: usize) -> Result<Dataset, DataError> {
        let data = Dataset::new(self.inputs, self.labels, shape, classes)?;
        if self.groups.is_empty() { Ok(data) } else { data.with_groups(self.groups) }
    }

    /// Two parts: the other examples if there are any, else a share of these.
    ///
    /// # Errors
    /// As [`Dataset::new`], and of too few examples.
    pub(super) fn split(
        mut self,
        test: Option<Self>,
        share: Option<Share>,
        shape: &[usize],
        classes: usize,
    ) -> Result<Split, DataError> {
        let fates = std::mem::take(&mut self.fates);
        let train = self.whole(shape, classes)?;
        match test {
            Some(test) => Ok(Split { train, test: test.whole(shape, classes)? }),
            None => held_out::split(&train, &fates, share.unwrap_or(Share::DEFAULT)),
        }
    }
}
