//! The two numbers that must never go back, in a file of their own.
//!
//! The first is the highest sequence number that this node may have signed. A number signed twice
//! looks like two bodies under one number, which others take for equivocation; so a number is
//! reserved here, on the disk, before it is signed. The second counts the checkpoints ever saved, so
//! that a database that has lost some is noticed.
//!
//! Both are not kept in RocksDB: a damaged length in the last record of its log, or of the list of its
//! own files, looks like a torn tail. That is dropped without a word, and an older state comes back
//! as if it were the last.
//!
//! The file is two slots of 64 bytes, written in turn and in place, so it needs no space to be free:
//!
//! ```text
//! slot = number u64 LE | checkpoints u64 LE | BLAKE3 of (slot index, both), 32 bytes | 16 zeros
//! ```
//! A slot torn by a crash or damaged later does not count, and then nobody knows whether it was the
//! newer one. Since one reservation goes at most [`STRIDE_MAX`] ahead, the other slot's number plus
//! that is safe in every case: some numbers stay unused, which costs nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Most numbers that one reservation may add.
pub const STRIDE_MAX: u64 = 1 << 16;
/// The file's name in the data directory.
pub(super) const LEDGER_FILE: &str = "ledger";
/// Bytes of a slot; both lie in one sector, but each is whole or damaged on its own.
const SLOT_BYTES: usize = 64;
/// The hash's domain.
const DOMAIN: &str = "shoal 2026 ledger slot v1";

/// What a slot says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    number: u64,
    checkpoints: u64,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    last: Entry,
    /// The slot to write next: the one that does not hold `last`.
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

impl Entry {
    fn slot(self, index: usize) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.checkpoints.to_le_bytes());
        let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
        hasher.update(&(index as u64).to_le_bytes()).update(&bytes[..16]);
        bytes[16..48].copy_from_slice(hasher.finalize().as_bytes());
        bytes
    }

    /// What a slot says, if every byte of it is as it was written.
    fn read(index: usize, bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let entry = Self { number: u64::from_le_bytes(*number), checkpoints: u64::from_le_bytes(*rest.first_chunk()?) };
        (entry.slot(index)[..] == *bytes).then_some(entry)
    }
}

impl Ledger {
    /// Makes the file with both numbers 0, whole or not at all.
    pub(super) fn create(dir: &Path) -> io::Result<()> {
        let draft = dir.join("ledger.draft");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&draft)?;
        let zero = Entry::default();
        file.write_all(&[zero.slot(0), zero.slot(1)].concat())?;
        file.sync_all()?;
        std::fs::rename(&draft, dir.join(LEDGER_FILE))?;
        File::open(dir)?.sync_all()
    }

    /// Opens the file. `InvalidData` if neither slot is whole.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Found)> {
        let file = OpenOptions::new().read(true).write(true).open(dir.join(LEDGER_FILE))?;
        let mut bytes = Vec::with_capacity(2 * SLOT_BYTES + 1);
        (&file).take(2 * SLOT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() != 2 * SLOT_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (first, second) = bytes.split_at(SLOT_BYTES);
        match (Entry::read(0, first), Entry::read(1, second)) {
            (Some(a), Some(b)) => Ok((Self { file, last: a.max(b), next: usize::from(a >= b) }, Found::Whole)),
            (None, None) => Err(io::ErrorKind::InvalidData.into()),
            (Some(good), None) => Self::skip(file, good, 1),
            (None, Some(good)) => Self::skip(file, good, 0),
        }
    }

    fn skip(file: File, good: Entry, damaged: usize) -> io::Result<(Self, Found)> {
        let mut ledger = Self { file, last: good, next: damaged };
        ledger.write(Entry { number: good.number.saturating_add(STRIDE_MAX), ..good })?;
        Ok((ledger, Found::Skipped))
    }

    /// The highest number reserved.
    pub(super) const fn number(&self) -> u64 {
        self.last.number
    }

    /// Checkpoints ever saved; one more may have been.
    pub(super) const fn checkpoints(&self) -> u64 {
        self.last.checkpoints
    }

    /// Reserves all numbers up to this one; they may be signed once this returns.
    pub(super) fn reserve(&mut self, upto: u64) -> io::Result<()> {
        if upto <= self.last.number {
            return Ok(());
        }
        if upto - self.last.number > STRIDE_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than 65536 numbers ahead"));
        }
        self.write(Entry { number: upto, ..self.last })
    }

    /// Notes how many checkpoints have been saved.
    pub(super) fn count_checkpoints(&mut self, checkpoints: u64) -> io::Result<()> {
        self.write(Entry { checkpoints: checkpoints.max(self.last.checkpoints), ..self.last })
    }

    fn write(&mut self, entry: Entry) -> io::Result<()> {
        self.file.seek(SeekFrom::Start((self.next * SLOT_BYTES) as u64))?;
        self.file.write_all(&entry.slot(self.next))?;
        self.file.sync_data()?;
        self.last = entry;
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
        Ledger::create(dir.path()).unwrap();
        for (upto, number) in [(1, 1), (5, 5), (3, 5), (5, 5), (64, 64), (64 + STRIDE_MAX, 64 + STRIDE_MAX)] {
            let (mut ledger, found) = Ledger::open(dir.path()).unwrap();
            assert_eq!(found, Found::Whole);
            ledger.reserve(upto).unwrap();
            ledger.count_checkpoints(upto / 2).unwrap();
            drop(ledger);
            let (ledger, _) = Ledger::open(dir.path()).unwrap();
            assert_eq!((ledger.number(), ledger.checkpoints()), (number, number / 2));
        }
        let (mut ledger, _) = Ledger::open(dir.path()).unwrap();
        assert!(ledger.reserve(ledger.number() + STRIDE_MAX + 1).is_err());
    }

    #[test]
    fn any_damage_leads_forward_never_back() {
        let dir = tempfile::tempdir().unwrap();
        Ledger::create(dir.path()).unwrap();
        let (mut ledger, _) = Ledger::open(dir.path()).unwrap();
        for upto in [7, 8, 9_000] {
            ledger.count_checkpoints(upto).unwrap();
            ledger.reserve(upto).unwrap();
        }
        let path = dir.path().join(LEDGER_FILE);
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &damaged).unwrap();
            let (ledger, found) = Ledger::open(dir.path()).unwrap();
            assert_eq!((found, ledger.checkpoints()), (Found::Skipped, 9_000), "bit {bit}");
            assert!(ledger.number() >= 9_000, "bit {bit} led back to {}", ledger.number());
            assert_eq!(Ledger::open(dir.path()).unwrap().1, Found::Whole, "repaired");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(Ledger::open(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
