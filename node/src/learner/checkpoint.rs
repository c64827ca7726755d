//! A node's durable state as bytes: round, replica, trainer.
//!
//! ```text
//! version 1 | round 8 | replica length 8 | replica .. | trainer ..
//! ```
//! Each part checks itself (the replica has a checksum, the store adds another); here only the
//! lengths are checked, before anything is cut.

/// The version written and read.
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 17;

/// Bytes that are no checkpoint of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Cut short.
    #[error("the checkpoint is cut short")]
    Truncated,
    /// Another version.
    #[error("the checkpoint has format {0}, which this version does not read")]
    Version(u8),
}

/// What is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The round to go on with.
    pub round: u64,
    /// [`shoal_protocol::replica::Replica::snapshot`].
    pub replica: Vec<u8>,
    /// [`shoal_ml::Trainer::state`].
    pub trainer: Vec<u8>,
}

impl Checkpoint {
    /// The checkpoint as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.replica.len() + self.trainer.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.round.to_le_bytes());
        bytes.extend_from_slice(&(self.replica.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.replica);
        bytes.extend_from_slice(&self.trainer);
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`CheckpointError`]: too short, or another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let (&version, rest) = bytes.split_first().ok_or(CheckpointError::Truncated)?;
        if version != VERSION {
            return Err(CheckpointError::Version(version));
        }
        let (round, rest) = rest.split_first_chunk::<8>().ok_or(CheckpointError::Truncated)?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or(CheckpointError::Truncated)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| CheckpointError::Truncated)?;
        let (replica, trainer) = rest.split_at_checked(length).ok_or(CheckpointError::Truncated)?;
        Ok(Self { round: u64::from_le_bytes(*round), replica: replica.to_vec(), trainer: trainer.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_and_a_cut_one_does_not() {
        let checkpoint = Checkpoint { round: 7, replica: vec![1, 2, 3], trainer: vec![4, 5] };
        let bytes = checkpoint.encode();
        assert_eq!(Checkpoint::decode(&bytes), Ok(checkpoint));
        for length in 0..HEAD_BYTES + 3 {
            assert_eq!(Checkpoint::decode(&bytes[..length]), Err(CheckpointError::Truncated), "{length}");
        }
        assert_eq!(Checkpoint::decode(&[2]), Err(CheckpointError::Version(2)));
        let mut absurd = bytes;
        absurd[9..17].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(Checkpoint::decode(&absurd), Err(CheckpointError::Truncated));
    }
}
