//! What a node keeps on its disk of one run: its sequence number, its state, its last bodies and whom to
//! call.
//!
//! ```text
//! data directory/  lock                 held while a node runs
//!   runs/<run>/    lock                 held while the store is open
//!                  ledger               the highest number that may have been signed, checkpoints saved
//!                  db/                  RocksDB: meta | checkpoint | bodies | peers
//! ```
//! Peers are remembered with the run that they were met in, and a node calls those of all its runs: who
//! leaves a run forgets its peers with it, and there is no second database to open.
//!
//! Three promises. What a call acknowledged is there after the process was killed, and a reserved
//! number and a saved checkpoint are there after the power went, too. A damaged file is noticed and
//! never served: each checkpoint carries a BLAKE3 checksum and the one before it is kept. And one
//! directory serves one node in one run.
//!
//! The store never looks into what it keeps, and it grows with nothing but the checkpoint's size.

mod bodies;
mod checkpoint;
mod error;
mod ledger;
mod peers;
mod settings;

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rocksdb::{ColumnFamily, DB, WriteBatch, WriteOptions};
use shoal_protocol::id::{NodeId, RunId};

pub use bodies::BODIES_MAX;
pub use checkpoint::Loaded;
pub use error::StoreError;
pub use ledger::STRIDE_MAX;
pub use peers::{PEER_ADDRESSES_MAX, PEERS_MAX, RememberedPeer};

use ledger::{Found, LEDGER_FILE, Ledger};
use settings::META;

/// The format that this version writes.
pub const FORMAT: u32 = 1;

/// One node's disk. Only one can be open for a directory at a time.
pub struct Store {
    dir: PathBuf,
    /// `None` only after it could not be opened again.
    db: Option<DB>,
    /// A write failed, after which RocksDB may take no more until it is opened again.
    failed: bool,
    ledger: Ledger,
    /// The last good checkpoint's generation, once it is known.
    generation: Option<Option<u64>>,
    peers: HashMap<NodeId, RememberedPeer>,
    next_body: u64,
    _lock: DirLock,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// One directory is one process's as long as this lives, however the process ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes a directory, making it (0700) if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if somebody has it, [`StoreError::Unwritable`] if it cannot be written.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        let unwritable = |source| StoreError::Unwritable { dir: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unwritable)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join("lock")).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }
}

impl Store {
    /// Opens a data directory, making it (0700) if there is none.
    ///
    /// # Errors
    /// [`StoreError`]: the directory cannot be written, is in use, is damaged, or is of a newer format.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let lock = DirLock::take(dir)?;
        let db = open_db(dir)?;
        let format = read_format(dir, &db)?;
        let ledger = open_ledger(dir, format.is_none())?;
        let mut store = Self {
            dir: dir.to_owned(),
            db: Some(db),
            failed: false,
            ledger,
            generation: None,
            peers: HashMap::new(),
            next_body: 0,
            _lock: lock,
        };
        if format.is_none() {
            store.put(META, "mark the directory", b"format", &FORMAT.to_le_bytes())?;
        }
        store.read_peers()?;
        store.next_body = store.body_keys()?.last().map_or(0, |last| last + 1);
        Ok(store)
    }

    /// Says whose directory this is; the first to say so owns it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] if it belongs to another node or run.
    pub fn claim(&mut self, node: &NodeId, run: &RunId) -> Result<(), StoreError> {
        for (what, wanted) in [("node", node.0), ("run", run.0)] {
            let found = self.get(META, "read whose it is", what.as_bytes())?;
            match found.as_deref().map(<[u8; 32]>::try_from) {
                None => self.put(META, "mark the directory", what.as_bytes(), &wanted)?,
                Some(Ok(found)) if found == wanted => {}
                Some(Ok(found)) => {
                    let (found, wanted) = (NodeId(found).to_string(), NodeId(wanted).to_string());
                    return Err(StoreError::Foreign { dir: self.dir.clone(), what, found, wanted });
                }
                Some(Err(_)) => return Err(self.corrupted("its owner's name has another length")),
            }
        }
        Ok(())
    }

    /// The highest sequence number that may have been signed; 0 at first. The next is one more.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.ledger.number()
    }

    /// Reserves all numbers up to this one, at most [`STRIDE_MAX`] more than before. They may be
    /// signed once this returns, and after a restart none of them is used again.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; nothing is reserved then, and nothing may be signed.
    pub fn reserve_sequence(&mut self, upto: u64) -> Result<(), StoreError> {
        self.ledger.reserve(upto).map_err(|error| StoreError::io(&self.dir, "reserve a sequence number", &error))
    }

    fn db(&self) -> Result<&DB, StoreError> {
        let reason = || "the database is closed after a failed write".to_owned();
        self.db.as_ref().ok_or_else(|| StoreError::Failed { dir: self.dir.clone(), action: "read", reason: reason() })
    }

    fn family(&self, name: &str) -> Result<&ColumnFamily, StoreError> {
        self.db()?.cf_handle(name).ok_or_else(|| self.corrupted(&format!("the column family {name} is missing")))
    }

    fn corrupted(&self, reason: &str) -> StoreError {
        StoreError::Corrupted { dir: self.dir.clone(), reason: reason.to_owned() }
    }

    fn get(&self, family: &str, action: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db()?.get_cf(self.family(family)?, key).map_err(|error| StoreError::of(&self.dir, action, &error))
    }

    fn put(&mut self, family: &str, action: &'static str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.revive()?;
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(family)?, key, value);
        self.write(action, batch)
    }

    /// After a failed write: opens the database anew, since RocksDB may refuse all writes from then on.
    /// To be called before a batch is made.
    fn revive(&mut self) -> Result<(), StoreError> {
        if self.failed || self.db.is_none() {
            // Two handles of one database exclude each other, so the old one goes first.
            self.db = None;
            self.db = Some(open_db(&self.dir)?);
            self.failed = false;
        }
        Ok(())
    }

    /// Writes all of it, to the disk itself, or nothing.
    fn write(&mut self, action: &'static str, batch: WriteBatch) -> Result<(), StoreError> {
        self.write_with(action, batch, &settings::synced())
    }

    /// Writes all of it or nothing; the power may still take it away.
    fn write_unsynced(&mut self, action: &'static str, batch: WriteBatch) -> Result<(), StoreError> {
        self.write_with(action, batch, &WriteOptions::default())
    }

    fn write_with(&mut self, action: &'static str, batch: WriteBatch, options: &WriteOptions) -> Result<(), StoreError> {
        let written = self.db()?.write_opt(batch, options);
        self.failed = written.is_err();
        written.map_err(|error| StoreError::of(&self.dir, action, &error))
    }
}

fn open_db(dir: &Path) -> Result<DB, StoreError> {
    DB::open_cf_descriptors(&settings::database(), dir.join("db"), settings::families())
        .map_err(|error| StoreError::of(dir, "open the database", &error))
}

/// The directory's format, or `None` if it is new.
fn read_format(dir: &Path, db: &DB) -> Result<Option<u32>, StoreError> {
    let corrupted = |reason: &str| StoreError::Corrupted { dir: dir.to_owned(), reason: reason.to_owned() };
    let family = db.cf_handle(META).ok_or_else(|| corrupted("the column family meta is missing"))?;
    let stored = db.get_cf(family, b"format").map_err(|error| StoreError::of(dir, "read the format", &error))?;
    let Some(stored) = stored else { return Ok(None) };
    match stored.as_slice().try_into().map(u32::from_le_bytes) {
        Ok(FORMAT) => Ok(Some(FORMAT)),
        Ok(found) if found > FORMAT => Err(StoreError::NewerFormat { dir: dir.to_owned(), found, known: FORMAT }),
        _ => Err(corrupted("its format is none that ever was")),
    }
}

/// The ledger; it is made only together with the directory, since a missing one may have held any
/// number, and one that holds numbers beside a database that holds nothing means that the database
/// has lost everything.
fn open_ledger(dir: &Path, new: bool) -> Result<Ledger, StoreError> {
    let corrupted = |reason: &str| StoreError::Corrupted { dir: dir.to_owned(), reason: reason.to_owned() };
    if new && !dir.join(LEDGER_FILE).exists() {
        Ledger::create(dir).map_err(|error| StoreError::io(dir, "create the ledger", &error))?;
    }
    let (ledger, found) = Ledger::open(dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => corrupted("the ledger is missing"),
        io::ErrorKind::InvalidData => corrupted("the ledger is unreadable"),
        _ => StoreError::io(dir, "open the ledger", &error),
    })?;
    if new && (ledger.number() > 0 || ledger.checkpoints() > 0) {
        return Err(corrupted("the database has lost everything that was in it"));
    }
    if found == Found::Skipped {
        tracing::warn!(dir = %dir.display(), number = ledger.number(), "half of the ledger was damaged; numbers were skipped to be safe");
    }
    Ok(ledger)
}
