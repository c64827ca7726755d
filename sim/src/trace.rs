//! A running digest of everything that happens: two runs with the same digest did the same.
//!
//! Every input that a machine is given and every output that it makes is hashed with its time and its
//! node, in the encoding of records; weights enter by the digests of bodies and by the distances reported
//! after each mix, so a difference in the last bit of one weight shows within a round.

use shoal_protocol::id::Digest;
use shoal_protocol::peer::{Input, Output};
use shoal_protocol::record::{encode_input, encode_output};
use shoal_protocol::time::Time;

/// What was hashed: no two kinds of event hash the same bytes.
const DOWN: u8 = 0;
const UP: u8 = 1;
const INPUT: u8 = 2;
const OUTPUT: u8 = 3;

/// The digest so far.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    /// Room for one event.
    bytes: Vec<u8>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { hasher: blake3::Hasher::new_derive_key("shoal 2026 simulation trace v2"), bytes: Vec::new() }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest(*self.hasher.finalize().as_bytes())
    }

    /// A node went up or down.
    pub(crate) fn change(&mut self, now: Time, node: usize, up: bool) {
        self.take(now, node, if up { UP } else { DOWN }, |_| {});
    }

    pub(crate) fn input(&mut self, now: Time, node: usize, input: &Input) {
        self.take(now, node, INPUT, |bytes| encode_input(input, bytes));
    }

    pub(crate) fn output(&mut self, now: Time, node: usize, output: &Output) {
        self.take(now, node, OUTPUT, |bytes| encode_output(output, bytes));
    }

    fn take(&mut self, now: Time, node: usize, kind: u8, encode: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.clear();
        encode(&mut self.bytes);
        // With the length before it: no two sequences of events hash the same bytes.
        let [time, node, len] = [now.0, node as u64, self.bytes.len() as u64].map(u64::to_le_bytes);
        self.hasher.update(&[kind]).update(&time).update(&node).update(&len).update(&self.bytes);
    }
}
