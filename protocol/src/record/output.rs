//! Outputs as bytes, and the marks by which two outputs are known to be the same.
//!
//! Outputs are written for comparing only and never read back. Everything in them counts but two
//! things: a signature, which only the node's key can make again and which follows from the rest, and
//! the bytes of a body, which its digest stands for.

use super::bytes::{Malformed, Read, Write};
use crate::peer::Output;
use crate::seal::SIGNATURE_BYTES;

/// The outputs' names; an output's place in here is its kind.
const NAMES: [&str; 19] = [
    "Train",
    "ReserveSequence",
    "Publish",
    "Verdict",
    "Ask",
    "Respond",
    "ServeBody",
    "ServeState",
    "ServeTrust",
    "Admit",
    "Forget",
    "Apply",
    "Checkpoint",
    "KeepBlock",
    "KeepTrust",
    "DropPieces",
    "Adopt",
    "Ban",
    "Finished",
];

/// Length of a mark's digest, bytes: it tells apart what differs by accident; nobody gains by a collision.
const DIGEST_BYTES: usize = 8;
/// Length of a mark, bytes.
pub(super) const MARK_BYTES: usize = 1 + DIGEST_BYTES;

/// What a record keeps of an output: its kind, and a hash of all that it says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    kind: u8,
    digest: [u8; DIGEST_BYTES],
}

impl Mark {
    /// The mark of an output.
    #[must_use]
    pub fn of(output: &Output) -> Self {
        let mut bytes = Vec::new();
        encode_output(output, &mut bytes);
        let digest = *blake3::hash(&bytes).as_bytes();
        Self { kind: kind(output), digest: *digest.first_chunk().unwrap_or_else(|| unreachable!("32 bytes hold 8")) }
    }

    /// What kind of output it is of.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.kind)).copied().unwrap_or("unknown")
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.byte(self.kind);
        out.bytes(&self.digest);
    }

    pub(super) fn read(read: &mut Read<'_>) -> Result<Self, Malformed> {
        let mark = Self { kind: read.byte()?, digest: read.array()? };
        if usize::from(mark.kind) < NAMES.len() { Ok(mark) } else { Err(Malformed::Range("an output's kind")) }
    }
}

impl core::fmt::Debug for Mark {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}(", self.name())?;
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// What to call an output of this kind.
#[must_use]
pub fn output_name(output: &Output) -> &'static str {
    NAMES[usize::from(kind(output))]
}

const fn kind(output: &Output) -> u8 {
    match output {
        Output::Train { .. } => 0,
        Output::ReserveSequence { .. } => 1,
        Output::Publish { .. } => 2,
        Output::Verdict { .. } => 3,
        Output::Ask { .. } => 4,
        Output::Respond { .. } => 5,
        Output::ServeBody { .. } => 6,
        Output::ServeState { .. } => 7,
        Output::ServeTrust { .. } => 8,
        Output::Admit { .. } => 9,
        Output::Forget { .. } => 10,
        Output::Apply { .. } => 11,
        Output::Checkpoint { .. } => 12,
        Output::KeepBlock { .. } => 13,
        Output::KeepTrust { .. } => 14,
        Output::DropPieces { .. } => 15,
        Output::Adopt { .. } => 16,
        Output::Ban { .. } => 17,
        Output::Finished { .. } => 18,
    }
}

/// Appends an output, without a signature and without a body's bytes. Two outputs that differ in
/// anything else have two encodings.
pub fn encode_output(output: &Output, out: &mut Vec<u8>) {
    out.byte(kind(output));
    match output {
        Output::Train { round, steps, until, reference_steps, warm_up } => {
            out.u64(*round);
            out.u32(*steps);
            out.u64(until.0);
            out.option(*reference_steps, Write::u32);
            out.byte(u8::from(*warm_up));
        }
        Output::ReserveSequence { upto } => out.u64(*upto),
        Output::Publish { frame, inline } => {
            out.long(&frame[..frame.len().saturating_sub(SIGNATURE_BYTES)]);
            out.option(*inline, |out, digest| out.bytes(&digest.0));
        }
        Output::Verdict { ticket, verdict } => {
            out.u64(ticket.0);
            out.byte(*verdict as u8);
        }
        Output::Ask { ask, peer, request, bytes_max, timeout } => {
            out.u64(ask.0);
            out.bytes(&peer.0);
            out.long(&request.encode());
            out.u64(*bytes_max as u64);
            out.u64(timeout.0);
        }
        Output::Respond { reply, response } => {
            out.u64(reply.0);
            out.long(&response.encode());
        }
        Output::ServeBody { reply, digest } => {
            out.u64(reply.0);
            out.bytes(&digest.0);
        }
        Output::ServeState { reply, block, round } => {
            out.u64(reply.0);
            out.u32(*block);
            out.u64(*round);
        }
        Output::ServeTrust { reply } => out.u64(reply.0),
        Output::Admit { digest, origin, body } => {
            out.bytes(&digest.0);
            out.bytes(&origin.author.0);
            out.u64(origin.round);
            out.u64(body.len() as u64);
        }
        orders => encode_order(orders, out),
    }
}

/// The outputs that concern the host's own state.
fn encode_order(output: &Output, out: &mut Vec<u8>) {
    match output {
        Output::Forget { digests } => digests.iter().for_each(|digest| out.bytes(&digest.0)),
        Output::Apply { round, live, entries } => {
            out.u64(*round);
            out.u64(*live as u64);
            for entry in entries {
                out.bytes(&entry.author.0);
                out.bytes(&entry.digest.0);
                out.u64(entry.lag);
                out.u32(entry.samples);
            }
        }
        Output::Checkpoint { round } | Output::Finished { round } => out.u64(*round),
        Output::KeepBlock { donor, block } => {
            out.bytes(&donor.0);
            out.u32(block.block());
            block.weights().iter().for_each(|weight| out.f32(*weight));
        }
        Output::KeepTrust { donor, table } => {
            out.bytes(&donor.0);
            table.agreement.iter().chain(&table.loudness).for_each(|number| out.f32(*number));
            for record in &table.senders {
                out.bytes(&record.peer.0);
                record.levels.iter().for_each(|level| out.f32(*level));
            }
        }
        Output::DropPieces { donor } => out.bytes(&donor.0),
        Output::Adopt { donors, round } => {
            out.u64(*round);
            donors.iter().for_each(|donor| out.bytes(&donor.0));
        }
        Output::Ban { peer, span } => {
            out.bytes(&peer.0);
            out.u64(span.0);
        }
        _ => unreachable!("written by `encode_output`"),
    }
}
