//! Why the disk does not serve, and what somebody can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with a node's data directory. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or written.
    #[error("cannot write to {}: {source}; choose another data directory or change its permissions", dir.display())]
    Unwritable {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process (or another node of this one) has it open.
    #[error("{} is in use by another node; stop that one or choose another data directory", .0.display())]
    Locked(PathBuf),
    /// A stored file is damaged beyond what can be repaired from its second copy.
    #[error("{} is damaged ({reason}); restore it, or move it away: the node then joins anew under a new identity", dir.display())]
    Corrupted {
        /// The directory.
        dir: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Written by a later version.
    #[error("{} was written by a newer version (format {found}, this one knows {known}); use that version or another data directory", dir.display())]
    NewerFormat {
        /// The directory.
        dir: PathBuf,
        /// The format found.
        found: u32,
        /// The format known.
        known: u32,
    },
    /// The directory belongs to another node or another run.
    #[error("{} belongs to {what} {found}, not {wanted}; every node needs a data directory of its own for each run", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// "node" or "run".
        what: &'static str,
        /// Whose it is.
        found: String,
        /// Who opened it.
        wanted: String,
    },
    /// A write failed: the disk is full or broken. Nothing half was kept; the next write tries anew.
    #[error("cannot {action} in {}: {reason}; check that the disk works and has space, then it goes on", dir.display())]
    Failed {
        /// The directory.
        dir: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the database or the system said.
        reason: String,
    },
}

impl StoreError {
    /// A database's error in our words.
    pub(super) fn of(dir: &Path, action: &'static str, error: &rocksdb::Error) -> Self {
        let (dir, reason) = (dir.to_owned(), error.to_string());
        // A file that another one names and that is not there is damage, too, not a full disk.
        let missing = error.kind() == rocksdb::ErrorKind::IOError && reason.contains("No such file");
        match error.kind() {
            rocksdb::ErrorKind::Corruption | rocksdb::ErrorKind::InvalidArgument => Self::Corrupted { dir, reason },
            _ if missing => Self::Corrupted { dir, reason },
            _ => Self::Failed { dir, action, reason },
        }
    }

    pub(super) fn io(dir: &Path, action: &'static str, error: &io::Error) -> Self {
        Self::Failed { dir: dir.to_owned(), action, reason: error.to_string() }
    }
}
