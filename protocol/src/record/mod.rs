//! The life of one machine as bytes: what it was told, when, and the marks of what it answered.
//!
//! The machine is a function of its configuration and its inputs, so whoever has both can live its
//! life again: `shoal run --record FILE` writes a record, `shoal sim replay FILE` feeds it to a fresh
//! machine and compares. A bug that happened once, to somebody else, then happens on any machine.
//!
//! ```text
//!  record  = "shoal record" version:u8 frame*
//!  frame   = length:u32 payload check:[u8; 8]         length: of the payload
//!  payload = 1 start | 2 time:u64 input | 3 mark* | 4 end
//!  order   = start outputs (input outputs)* end
//! ```
//! Numbers are little-endian. A `check` is the beginning of a hash chain over all payloads so far, so
//! that a record is either what was written, or is refused at the first frame that is not. An input is
//! written before the machine sees it: the record of a machine that died ends with what it died of. A
//! record without its end mark is one whose writer was killed, or that was cut; what is whole of it counts.
//!
//! # What a record reveals
//!
//! Never in it: the node's key (the machine's only use of it is to sign, and signatures are left out
//! of what is compared), training data, and addresses beyond the prefix numbers that the machine sees.
//! In it, for whoever reads it: the network's name, the run's spec and who this node is; whom it met,
//! who spoke to whom and when, and who asked for what; all announces and bodies that it received, which
//! everybody in the run can ask for too; and the seed of this one life's dice, from which follows whom
//! the node chose to hear while the record lasted, and nothing after its next start.
//!
//! # Invariants
//! Reading never panics, never allocates more than the record is long, and never returns a
//! [`News`](crate::seal::News) whose signature does not hold. Writing never goes past its bound. There
//! is no IO in here: bytes come out and go in.

mod bytes;
mod input;
mod output;
mod read;
mod start;
mod write;

pub use bytes::Malformed;
pub use input::{decode_input, encode_input, input_name};
pub use output::{Mark, encode_output, output_name};
pub use read::{Next, Reader, RecordError, Step};
pub use start::Start;
pub use write::Recorder;

/// What a record starts with, before its version.
const MAGIC: &[u8; 12] = b"shoal record";
/// The version written and read. Goes up with every change of an encoding, of the order of
/// [`crate::reject::Reject`]s included.
pub const RECORD_VERSION: u8 = 2;
/// Longest record, bytes, for writer and reader alike. Guess: small enough to send, hours of a small model.
pub const RECORD_BYTES_MAX: usize = 64 << 20;
/// Bytes of a frame beside its payload.
const FRAME_BYTES: usize = 4 + CHECK_BYTES;
/// Bytes of a check.
const CHECK_BYTES: usize = 8;

const KIND_START: u8 = 1;
const KIND_INPUT: u8 = 2;
const KIND_OUTPUTS: u8 = 3;
const KIND_END: u8 = 4;

/// How a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The node was told to stop.
    Stopped,
    /// The record came to its longest; the node went on without it.
    Full,
    /// There is no end mark: the node died, or the record was cut. So many bytes at the end are no
    /// whole frame.
    Cut {
        /// Bytes left over.
        bytes: usize,
    },
}

/// The hash of all payloads so far.
#[derive(Clone, Copy, Debug)]
struct Chain([u8; 32]);

impl Chain {
    fn new() -> Self {
        Self(*blake3::hash(MAGIC).as_bytes())
    }

    /// Takes in one more payload; returns its check.
    fn add(&mut self, payload: &[u8]) -> [u8; CHECK_BYTES] {
        self.0 = *blake3::keyed_hash(&self.0, payload).as_bytes();
        *self.0.first_chunk().unwrap_or_else(|| unreachable!("32 bytes hold 8"))
    }
}
