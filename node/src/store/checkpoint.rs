//! The node's state, in two generations that take turns.
//!
//! The earlier one is overwritten, never the last, so a checkpoint that turns out to be damaged has a
//! whole one behind it. Which is the last is written in the same batch as the checkpoint itself.

use rocksdb::WriteBatch;

use super::settings::CHECKPOINT;
use super::{Store, StoreError};

/// The checksum's domain.
const DOMAIN: &str = "shoal 2026 stored checkpoint v1";
/// Checksum and generation in front of a checkpoint's bytes.
const HEAD_BYTES: usize = 40;

/// A checkpoint as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What was saved.
    pub bytes: Vec<u8>,
    /// How many checkpoints were saved before this one.
    pub generation: u64,
    /// Why this is not the last one saved, if it is not.
    pub damage: Option<String>,
}

impl Store {
    /// Saves the node's state and keeps the one before. On the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; the earlier checkpoints stay as they were.
    pub fn save_checkpoint(&mut self, bytes: &[u8]) -> Result<u64, StoreError> {
        self.revive()?;
        if self.generation.is_none() {
            self.load_checkpoint()?;
        }
        let generation = self.generation.flatten().map_or(0, |last| last + 1);
        let mut batch = WriteBatch::default();
        let family = self.family(CHECKPOINT)?;
        batch.put_cf(family, slot_of(generation), seal(generation, bytes));
        batch.put_cf(family, b"latest", generation.to_le_bytes());
        self.write("save a checkpoint", batch)?;
        self.generation = Some(Some(generation));
        Ok(generation)
    }

    /// The last checkpoint that is whole, or `None` if none was ever saved.
    ///
    /// # Errors
    /// [`StoreError::Corrupted`] if there were some and none is whole.
    pub fn load_checkpoint(&mut self) -> Result<Option<Loaded>, StoreError> {
        let said = self.get(CHECKPOINT, "read the checkpoint's number", b"latest")?;
        let Some(said) = said else {
            self.generation = Some(None);
            return Ok(None);
        };
        let Ok(latest) = said.as_slice().try_into().map(u64::from_le_bytes) else {
            return Err(self.corrupted("the checkpoint's number has another length"));
        };
        let damage = match self.read_checkpoint(latest) {
            Ok(bytes) => {
                self.generation = Some(Some(latest));
                return Ok(Some(Loaded { bytes, generation: latest, damage: None }));
            }
            Err(damage) => format!("checkpoint {latest} is damaged ({damage})"),
        };
        let Some(earlier) = latest.checked_sub(1) else { return Err(self.corrupted(&damage)) };
        let bytes =
            self.read_checkpoint(earlier).map_err(|other| self.corrupted(&format!("{damage}; so is {earlier} ({other})")))?;
        tracing::warn!(dir = %self.dir.display(), "{damage}; going on from checkpoint {earlier}");
        self.generation = Some(Some(earlier));
        Ok(Some(Loaded { bytes, generation: earlier, damage: Some(damage) }))
    }

    fn read_checkpoint(&self, generation: u64) -> Result<Vec<u8>, String> {
        let family = self.family(CHECKPOINT).map_err(|error| error.to_string())?;
        let db = self.db().map_err(|error| error.to_string())?;
        let sealed = db.get_cf(family, slot_of(generation)).map_err(|error| error.to_string())?;
        unseal(generation, sealed.ok_or("missing")?)
    }
}

/// Two generations take turns in two places.
const fn slot_of(generation: u64) -> &'static [u8] {
    if generation.is_multiple_of(2) { b"even" } else { b"odd" }
}

/// Checksum over generation and bytes, generation, bytes.
fn seal(generation: u64, bytes: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEAD_BYTES + bytes.len());
    sealed.extend_from_slice(checksum(generation, bytes).as_bytes());
    sealed.extend_from_slice(&generation.to_le_bytes());
    sealed.extend_from_slice(bytes);
    sealed
}

fn unseal(generation: u64, mut sealed: Vec<u8>) -> Result<Vec<u8>, String> {
    if sealed.len() < HEAD_BYTES || sealed[32..HEAD_BYTES] != generation.to_le_bytes() {
        return Err("it is another one".to_owned());
    }
    if *checksum(generation, &sealed[HEAD_BYTES..]).as_bytes() != sealed[..32] {
        return Err("its checksum does not fit".to_owned());
    }
    sealed.drain(..HEAD_BYTES);
    Ok(sealed)
}

fn checksum(generation: u64, bytes: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
    hasher.update(&generation.to_le_bytes()).update(bytes).finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_breaks_at_every_bit() {
        let sealed = seal(7, b"weights");
        assert_eq!(unseal(7, sealed.clone()).unwrap(), b"weights");
        assert!(unseal(8, sealed.clone()).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(7, damaged).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(unseal(7, sealed[..length].to_vec()).is_err());
        }
    }
}
