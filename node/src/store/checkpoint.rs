//! The node's state, in two generations that take turns in two places.
//!
//! The earlier one is overwritten, never the last, so a checkpoint that turns out to be damaged has a
//! whole one behind it. How many were saved stands in the ledger, so one that is lost is missed.

use rocksdb::{ReadOptions, WriteBatch};

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
        batch.put_cf(family, place_of(generation), seal(generation, bytes));
        self.write("save a checkpoint", batch)?;
        self.generation = Some(Some(generation));
        let counted = self.ledger.count_checkpoints(generation + 1);
        counted.map_err(|error| StoreError::io(&self.dir, "count a checkpoint", &error))?;
        Ok(generation)
    }

    /// The last checkpoint that is whole, or `None` if none was ever saved.
    ///
    /// # Errors
    /// [`StoreError::Corrupted`] if there were some and none is whole.
    pub fn load_checkpoint(&mut self) -> Result<Option<Loaded>, StoreError> {
        let saved = self.ledger.checkpoints();
        let mut best: Option<(u64, Vec<u8>)> = None;
        let mut damage = Vec::new();
        for place in PLACES {
            match self.read_checkpoint(place) {
                Ok(Some(found)) if best.as_ref().is_none_or(|(generation, _)| *generation < found.0) => best = Some(found),
                Ok(_) => {}
                Err(reason) => damage.push(format!("the {place} one: {reason}")),
            }
        }
        let damage = if damage.is_empty() { "it is missing".to_owned() } else { damage.join(", ") };
        let Some((generation, bytes)) = best else {
            if saved == 0 {
                self.generation = Some(None);
                return Ok(None);
            }
            return Err(self.corrupted(&format!("{saved} checkpoints were saved and none is whole: {damage}")));
        };
        self.generation = Some(Some(generation));
        let lost = generation + 1 < saved;
        if lost {
            tracing::warn!(dir = %self.dir.display(), "checkpoint {} is damaged ({damage}); going on from {generation}", saved - 1);
        }
        Ok(Some(Loaded { bytes, generation, damage: lost.then_some(damage) }))
    }

    /// The checkpoint in a place and its generation; `None` if the place was never used.
    fn read_checkpoint(&self, place: &str) -> Result<Option<(u64, Vec<u8>)>, String> {
        // Read once and large: no place in the cache for it.
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        let read = || {
            self.db()?
                .get_cf_opt(self.family(CHECKPOINT)?, place, &options)
                .map_err(|error| StoreError::of(&self.dir, "read a checkpoint", &error))
        };
        let sealed = read().map_err(|error| error.to_string())?;
        sealed.map(|sealed| unseal(place, sealed)).transpose()
    }
}

/// Where the generations take turns.
const PLACES: [&str; 2] = ["even", "odd"];

const fn place_of(generation: u64) -> &'static str {
    if generation.is_multiple_of(2) { PLACES[0] } else { PLACES[1] }
}

/// Checksum over generation and bytes, generation, bytes.
fn seal(generation: u64, bytes: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEAD_BYTES + bytes.len());
    sealed.extend_from_slice(checksum(&generation.to_le_bytes(), bytes).as_bytes());
    sealed.extend_from_slice(&generation.to_le_bytes());
    sealed.extend_from_slice(bytes);
    sealed
}

fn unseal(place: &str, mut sealed: Vec<u8>) -> Result<(u64, Vec<u8>), String> {
    let Some((head, bytes)) = sealed.split_first_chunk::<HEAD_BYTES>() else { return Err("too short".to_owned()) };
    let (sum, generation) = head.split_at(32);
    if *checksum(generation, bytes).as_bytes() != *sum {
        return Err("its checksum does not fit".to_owned());
    }
    let generation = generation.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    if place_of(generation) != place {
        return Err("it is in the other one's place".to_owned());
    }
    sealed.drain(..HEAD_BYTES);
    Ok((generation, sealed))
}

fn checksum(generation: &[u8], bytes: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
    hasher.update(generation).update(bytes).finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_breaks_at_every_bit() {
        let sealed = seal(7, b"weights");
        assert_eq!(unseal("odd", sealed.clone()).unwrap(), (7, b"weights".to_vec()));
        assert!(unseal("even", sealed.clone()).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal("odd", damaged).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(unseal("odd", sealed[..length].to_vec()).is_err());
        }
    }
}
