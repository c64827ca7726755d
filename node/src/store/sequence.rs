//! The highest sequence number that this node may have signed, in a file of its own.
//!
//! A number signed twice looks like two bodies under one number: others take it for equivocation. So
//! a number is reserved here, on the disk, before it is signed. The file is two slots of 64 bytes,
//! written in turn and in place, so it needs no space to be free:
//!
//! ```text
//! slot = number u64 LE | BLAKE3 of (slot index, number), 32 bytes | 24 zeros
//! ```
//! A slot torn by a crash or damaged later does not count, and then nobody knows whether it was the
//! newer one. Since one reservation goes at most [`STRIDE_MAX`] ahead, the other slot's number plus
//! that is safe in every case: some numbers stay unused, which costs nothing.
//!
//! It is not kept in RocksDB: a damaged length in the last record of its log looks like a torn tail,
//! which is dropped without a word, and an older number would come back.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Most numbers that one reservation may add.
pub const STRIDE_MAX: u64 = 1 << 16;
/// The file's name in the data directory.
pub(super) const SEQUENCE_FILE: &str = "sequence";
/// Bytes of a slot; both lie in one sector, but each is whole or damaged on its own.
const SLOT_BYTES: usize = 64;
/// The hash's domain.
const DOMAIN: &str = "shoal 2026 sequence slot v1";

/// The open file.
#[derive(Debug)]
pub(super) struct SequenceFile {
    file: File,
    number: u64,
    /// The slot to write next: the one that does not hold `number`.
    next: usize,
}

/// What was in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Both slots whole.
    Whole,
    /// One slot damaged; so many numbers were skipped to be safe.
    Skipped,
}

fn slot(index: usize, number: u64) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
    hasher.update(&(index as u64).to_le_bytes()).update(&number.to_le_bytes());
    bytes[8..40].copy_from_slice(hasher.finalize().as_bytes());
    bytes
}

/// The number in a slot, if every byte of it is as it was written.
fn number_in(index: usize, bytes: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    (slot(index, number)[..] == *bytes).then_some(number)
}

impl SequenceFile {
    /// Makes the file at number 0, whole or not at all.
    pub(super) fn create(dir: &Path) -> io::Result<()> {
        let draft = dir.join("sequence.draft");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&draft)?;
        file.write_all(&[slot(0, 0), slot(1, 0)].concat())?;
        file.sync_all()?;
        std::fs::rename(&draft, dir.join(SEQUENCE_FILE))?;
        File::open(dir)?.sync_all()
    }

    /// Opens the file. `InvalidData` if neither slot is whole.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Found)> {
        let file = OpenOptions::new().read(true).write(true).open(dir.join(SEQUENCE_FILE))?;
        let mut bytes = Vec::with_capacity(2 * SLOT_BYTES + 1);
        (&file).take(2 * SLOT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() != 2 * SLOT_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (first, second) = bytes.split_at(SLOT_BYTES);
        match (number_in(0, first), number_in(1, second)) {
            (Some(a), Some(b)) => Ok((Self { file, number: a.max(b), next: usize::from(a >= b) }, Found::Whole)),
            (None, None) => Err(io::ErrorKind::InvalidData.into()),
            (Some(good), None) => Self::skip(file, good, 1),
            (None, Some(good)) => Self::skip(file, good, 0),
        }
    }

    fn skip(file: File, good: u64, damaged: usize) -> io::Result<(Self, Found)> {
        let mut sequence = Self { file, number: good, next: damaged };
        sequence.write(good.saturating_add(STRIDE_MAX))?;
        Ok((sequence, Found::Skipped))
    }

    /// The highest number reserved.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Reserves all numbers up to this one; they may be signed once this returns.
    pub(super) fn reserve(&mut self, upto: u64) -> io::Result<()> {
        if upto <= self.number {
            return Ok(());
        }
        if upto - self.number > STRIDE_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than 65536 numbers ahead"));
        }
        self.write(upto)
    }

    fn write(&mut self, number: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start((self.next * SLOT_BYTES) as u64))?;
        self.file.write_all(&slot(self.next, number))?;
        self.file.sync_data()?;
        self.number = number;
        self.next = 1 - self.next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        let dir = tempfile::tempdir().unwrap();
        SequenceFile::create(dir.path()).unwrap();
        for (upto, number) in [(1, 1), (5, 5), (3, 5), (5, 5), (64, 64), (64 + STRIDE_MAX, 64 + STRIDE_MAX)] {
            let (mut sequence, found) = SequenceFile::open(dir.path()).unwrap();
            assert_eq!(found, Found::Whole);
            sequence.reserve(upto).unwrap();
            drop(sequence);
            assert_eq!(SequenceFile::open(dir.path()).unwrap().0.number(), number);
        }
        let (mut sequence, _) = SequenceFile::open(dir.path()).unwrap();
        assert!(sequence.reserve(sequence.number() + STRIDE_MAX + 1).is_err());
    }

    #[test]
    fn any_damage_leads_forward_never_back() {
        let dir = tempfile::tempdir().unwrap();
        SequenceFile::create(dir.path()).unwrap();
        let (mut sequence, _) = SequenceFile::open(dir.path()).unwrap();
        for upto in [7, 8, 9_000] {
            sequence.reserve(upto).unwrap();
        }
        let path = dir.path().join(SEQUENCE_FILE);
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &damaged).unwrap();
            let (sequence, found) = SequenceFile::open(dir.path()).unwrap();
            assert_eq!(found, Found::Skipped, "bit {bit} went unseen");
            assert!(sequence.number() >= 9_000, "bit {bit} led back to {}", sequence.number());
            assert_eq!(SequenceFile::open(dir.path()).unwrap().1, Found::Whole, "repaired");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(SequenceFile::open(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
