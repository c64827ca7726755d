//! Which examples are held out of data that has no test part.
//!
//! By what is in an example, not by where it stands: a row is tested on if the hash of its bytes says so.
//! So two nodes that hold the same row agree about it without a word, doubles of a row stay on one side,
//! and adding rows moves no other. Of a text it is the last part.

use std::fmt;
use std::str::FromStr;

use super::{DataError, Dataset, Split};

/// A part that is held out: above 0, at most 0.9.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// What [`FromStr`] accepts, in words.
    pub(super) const EXPECTED: &str = "a number above 0 and at most 0.9";
    /// A tenth, as everywhere.
    pub(super) const DEFAULT: Self = Self(0.1);

    /// So much of `len`, one at least.
    pub(super) fn of(self, len: usize) -> usize {
        ((len as f64 * self.0).round() as usize).max(1)
    }
}

impl FromStr for Share {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().ok().filter(|&share| share > 0.0 && share <= 0.9).map(Self).ok_or(())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What decides about an example: the beginning of the hash of its bytes.
pub(super) fn fate(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// The examples whose fate is below the share are for testing. If none is, or all are, the one whose fate is
/// the nearest changes sides.
///
/// # Errors
/// [`DataError::Split`] of a single example.
pub(super) fn split(data: &Dataset, fates: &[u64], share: Share) -> Result<Split, DataError> {
    if data.len() < 2 || fates.len() != data.len() {
        return Err(DataError::Split { held_out: 1, len: data.len() });
    }
    let bound = (share.0 * u64::MAX as f64) as u64;
    let (mut test, mut train): (Vec<usize>, Vec<usize>) = (0..data.len()).partition(|&index| fates[index] < bound);
    if test.is_empty() {
        let nearest = (0..train.len()).min_by_key(|&at| fates[train[at]]).unwrap_or(0);
        test.push(train.remove(nearest));
    }
    if train.is_empty() {
        let nearest = (0..test.len()).max_by_key(|&at| fates[test[at]]).unwrap_or(0);
        train.push(test.remove(nearest));
    }
    Ok(Split { train: data.subset(&train)?, test: data.subset(&test)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counting(rows: &[u8]) -> (Dataset, Vec<u64>) {
        let inputs = rows.iter().map(|&row| f32::from(row)).collect();
        let data = Dataset::new(inputs, vec![0; rows.len()], &[1], 1).expect("a data set");
        (data, rows.iter().map(|&row| fate(&[row])).collect())
    }

    fn values(data: &Dataset) -> Vec<f32> {
        (0..data.len()).filter_map(|index| data.input(index)).flatten().collect()
    }

    proptest! {
        #[test]
        fn a_row_is_on_the_same_side_whoever_holds_it(rows in prop::collection::vec(any::<u8>(), 60..200)) {
            let side = |rows: &[u8]| {
                let (data, fates) = counting(rows);
                split(&data, &fates, Share(0.3)).expect("a split")
            };
            let (all, half) = (side(&rows), side(&rows[..30]));
            prop_assert_eq!(all.train.len() + all.test.len(), rows.len());
            let (train, test) = (values(&all.train), values(&all.test));
            prop_assert!(test.iter().all(|row| !train.contains(row)), "doubles stay together");
            if half.test.len() > 1 && half.train.len() > 1 {
                prop_assert!(values(&half.test).iter().all(|row| test.contains(row)));
            }
        }
    }

    #[test]
    fn the_share_is_what_was_asked() {
        let (data, fates) = counting(&(0..=255).collect::<Vec<u8>>());
        let held_out = split(&data, &fates, Share::DEFAULT).expect("a split").test.len();
        assert!((16..=36).contains(&held_out), "26 of 256, give or take two deviations: {held_out}");
    }

    #[test]
    fn neither_side_is_empty() {
        for share in ["0.0001", "0.9"] {
            let (data, fates) = counting(&[1, 2]);
            let split = split(&data, &fates, share.parse().expect("a share")).expect("a split");
            assert_eq!((split.train.len(), split.test.len()), (1, 1));
        }
        let (data, fates) = counting(&[1]);
        assert_eq!(split(&data, &fates, Share::DEFAULT), Err(DataError::Split { held_out: 1, len: 1 }));
        assert_eq!((Share::DEFAULT.of(25), Share::DEFAULT.of(1)), (3, 1));
    }
}
