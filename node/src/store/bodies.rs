//! The node's own last bodies, so that peers can still fetch them after it was restarted.
//!
//! Keys count upwards, big-endian, so they are in order of age; each value is digest, bytes.

use rocksdb::{IteratorMode, WriteBatch};
use shoal_protocol::id::Digest;

use super::settings::BODIES;
use super::{Store, StoreError};

/// Own bodies kept (ALGORITHM.md: the last 4 by digest).
pub const BODIES_MAX: usize = 4;

impl Store {
    /// Keeps one of our own bodies, so that it can still be served after a restart; the oldest of
    /// more than [`BODIES_MAX`] goes.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; the others stay as they were.
    pub fn save_body(&mut self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        self.revive()?;
        let keys = self.body_keys()?;
        let mut batch = WriteBatch::default();
        let family = self.family(BODIES)?;
        for old in keys.iter().rev().skip(BODIES_MAX - 1) {
            batch.delete_cf(family, old.to_be_bytes());
        }
        batch.put_cf(family, self.next_body.to_be_bytes(), [&digest.0, bytes].concat());
        self.write("save a body", batch)?;
        self.next_body += 1;
        Ok(())
    }

    /// Our own last bodies, oldest first; a damaged one is left out.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn bodies(&self) -> Result<Vec<(Digest, Vec<u8>)>, StoreError> {
        let mut bodies = Vec::new();
        for key in self.body_keys()? {
            let Ok(Some(stored)) = self.get(BODIES, "read a body", &key.to_be_bytes()) else { continue };
            let Some((digest, bytes)) = stored.split_first_chunk::<32>() else { continue };
            if Digest::of(bytes).0 == *digest {
                bodies.push((Digest(*digest), bytes.to_vec()));
            }
        }
        Ok(bodies)
    }

    pub(super) fn body_keys(&self) -> Result<Vec<u64>, StoreError> {
        let mut keys = Vec::with_capacity(BODIES_MAX + 1);
        for entry in self.db()?.iterator_cf(self.family(BODIES)?, IteratorMode::Start) {
            let (key, _) = entry.map_err(|error| StoreError::of(&self.dir, "list the bodies", &error))?;
            keys.extend(<[u8; 8]>::try_from(&*key).ok().map(u64::from_be_bytes));
        }
        Ok(keys)
    }
}
