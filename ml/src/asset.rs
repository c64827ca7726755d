//! Files that a spec names by their hash: somebody's weights, a tokenizer.
//!
//! A spec comes from a stranger and never names a path: which file a hash means is what this node's
//! owner has said, by giving the file. So a spec can ask only for what the node was given, and all
//! nodes of a run read the same bytes or none.
//!
//! Nothing is fetched here and nothing written. A file is bounded before it is read, and what
//! [`Assets::read`] returns has just been hashed: a file that was changed since is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::layout::PARAM_COUNT_MAX;

/// Longest file that is taken, bytes: the largest model there may be in f32, and 64 MiB for what else
/// stands in such a file.
pub const ASSET_BYTES_MAX: u64 = 4 * PARAM_COUNT_MAX as u64 + (64 << 20);
/// Bytes hashed at a time (a guess; blake3 gains nothing beyond).
const CHUNK_BYTES: usize = 1 << 16;

/// The BLAKE3 hash of a file's bytes, written as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a file's hash is 64 hexadecimal digits (BLAKE3)")]
pub struct DigestError;

/// A file that cannot be given, or that is not there when it is needed.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// A directory, a device, a pipe.
    #[error("{}: not a file", .0.display())]
    NotAFile(PathBuf),
    /// Longer than the purpose allows.
    #[error("{}: {bytes} bytes are more than this file may have ({most})", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// What it has.
        bytes: u64,
        /// What it may have.
        most: u64,
    },
    /// No file of this hash was given.
    #[error("the file with the BLAKE3 hash {0} is needed, but was not given to this node")]
    Missing(Digest),
    /// Not what was given any more.
    #[error("{}: the file has changed since it was given (BLAKE3 {digest})", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
        /// What it was.
        digest: Digest,
    },
    /// The file system said no.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The files that a node was given.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    paths: BTreeMap<Digest, PathBuf>,
}

impl Digest {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).into())
    }
}

impl Assets {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a file and says its hash. Of two files with the same bytes the last is read. The
    /// file is read once, a part at a time.
    ///
    /// # Errors
    /// [`AssetError`] if it is not a file, longer than [`ASSET_BYTES_MAX`], or cannot be read.
    pub fn add(&mut self, path: impl Into<PathBuf>) -> Result<Digest, AssetError> {
        let path = path.into();
        let mut file = open(&path, ASSET_BYTES_MAX)?;
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => drop(hasher.update(&chunk[..count])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(AssetError::Io { path, error }),
            }
        }
        let digest = Digest(hasher.finalize().into());
        self.paths.insert(digest, path);
        Ok(digest)
    }

    /// Where the file with this hash lay when it was given.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&Path> {
        self.paths.get(digest).map(PathBuf::as_path)
    }

    /// The hashes of all files, in order.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        self.paths.keys().copied()
    }

    /// The bytes with this hash, of which there may be `most`: hashed again, so they are what the
    /// spec means or an error.
    ///
    /// # Errors
    /// [`AssetError`] if there is no such file, it is too long, cannot be read, or has changed.
    pub fn read(&self, digest: &Digest, most: u64) -> Result<Vec<u8>, AssetError> {
        let path = self.paths.get(digest).ok_or(AssetError::Missing(*digest))?;
        let mut bytes = Vec::new();
        let mut file = open(path, most)?;
        file.read_to_end(&mut bytes).map_err(|error| AssetError::Io { path: path.clone(), error })?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(AssetError::Changed { path: path.clone(), digest: *digest }) }
    }
}

/// A file's first bytes, `most` of them and one more: the length may change after it was looked at.
fn open(path: &Path, most: u64) -> Result<io::Take<File>, AssetError> {
    let io = |error| AssetError::Io { path: path.to_owned(), error };
    // Before it is opened: opening a pipe would wait for its writer.
    let facts = std::fs::metadata(path).map_err(io)?;
    if !facts.is_file() {
        return Err(AssetError::NotAFile(path.to_owned()));
    }
    if facts.len() > most {
        return Err(AssetError::TooLong { path: path.to_owned(), bytes: facts.len(), most });
    }
    Ok(File::open(path).map_err(io)?.take(most.saturating_add(1)))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Lower case only: one hash has one spelling, and a spec one hash of its own.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(DigestError),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(DigestError);
        }
        for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    #[test]
    fn a_file_is_found_by_what_blake3_says_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("empty");
        fs::write(&path, b"").expect("written");
        let mut assets = Assets::new();
        let digest = assets.add(&path).expect("taken");
        // The published test vector of no bytes.
        assert_eq!(digest.to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        assert_eq!((assets.get(&digest), assets.digests().collect::<Vec<_>>()), (Some(&*path), vec![digest]));
        assert_eq!(assets.read(&digest, 0).expect("read"), b"");
    }

    #[test]
    fn what_is_longer_than_a_chunk_is_hashed_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("long");
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES + 7).map(|i| (i * i % 251) as u8).collect();
        fs::write(&path, &bytes).expect("written");
        let mut assets = Assets::new();
        let digest = assets.add(&path).expect("taken");
        assert_eq!(digest, Digest::of(&bytes));
        assert!(assets.read(&digest, bytes.len() as u64).expect("read") == bytes);
        let error = assets.read(&digest, 4).expect_err("too long").to_string();
        assert_eq!(error, format!("{}: {} bytes are more than this file may have (4)", path.display(), bytes.len()));
    }

    #[test]
    fn what_is_not_there_or_not_the_same_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let mut assets = Assets::new();
        let nothing = Digest::of(b"");
        let missing = assets.read(&nothing, 1).expect_err("missing").to_string();
        assert_eq!(missing, format!("the file with the BLAKE3 hash {nothing} is needed, but was not given to this node"));
        assert!(assets.add(&path).expect_err("no file").to_string().starts_with(&format!("{}: ", path.display())));
        let directory = assets.add(folder.path()).expect_err("a directory").to_string();
        assert_eq!(directory, format!("{}: not a file", folder.path().display()));
        fs::write(&path, b"before").expect("written");
        let digest = assets.add(&path).expect("taken");
        fs::write(&path, b"after!").expect("written");
        let changed = assets.read(&digest, 100).expect_err("changed").to_string();
        assert_eq!(changed, format!("{}: the file has changed since it was given (BLAKE3 {digest})", path.display()));
        fs::remove_file(&path).expect("removed");
        assert!(matches!(assets.read(&digest, 100), Err(AssetError::Io { .. })));
    }

    #[test]
    fn a_digest_has_one_spelling() {
        let text = Digest::of(b"x").to_string();
        assert_eq!(text.parse(), Ok(Digest::of(b"x")));
        for wrong in [&text[1..], &format!("{text}0"), &text.to_uppercase(), &text.replacen(&text[..1], "g", 1), ""] {
            assert_eq!(wrong.parse::<Digest>(), Err(DigestError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_digest_is_read_as_it_is_written(bytes: [u8; 32], text in ".{0,70}") {
            prop_assert_eq!(Digest(bytes).to_string().parse(), Ok(Digest(bytes)));
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
