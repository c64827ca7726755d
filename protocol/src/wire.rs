//! Every message as bytes, and the one door that bincode has.
//!
//! All integers are little-endian and of fixed width, floats are IEEE 754, nothing is optional and
//! nothing has a length prefix, so each kind has exactly one encoding, and its length is bounded before
//! it is parsed (PROTOCOL 2). Decoders check length, version
//! and kind first, parse then, and refuse leftovers. Signatures are [`crate::seal`]'s business.

use bincode::{Decode, Encode};

use crate::id::{Digest, NodeId, RunId};
use crate::layout::BLOCK_COUNT_MAX;
use crate::reject::Reject;
use crate::trust::{SENDERS_MAX, TrustRecord, TrustReport};

/// The first byte of every message.
pub const WIRE_VERSION: u8 = 1;
/// Length of an encoded [`Announce`], bytes.
pub const ANNOUNCE_BYTES: usize = 128;
/// Longest gossip frame, bytes: gossipsub's default, which public peers expect.
pub const GOSSIP_BYTES_MAX: usize = 64 * 1024;
/// Longest body that travels inside a gossip frame, bytes. Above it, many of the copies that
/// gossip makes cost more than a pull does.
pub const INLINE_BYTES_MAX: usize = 32 * 1024;
/// Longest request, bytes.
pub const REQUEST_BYTES_MAX: usize = 2 + 64;
/// Bytes an answer has before its payload: version, kind, round.
pub const ANSWER_HEAD_BYTES: usize = 2 + 8;
/// Length of one record of a trust table, bytes: who, a level for each trust block.
const TRUST_RECORD_BYTES: usize = 32 + 4 * BLOCK_COUNT_MAX;
/// Length of what comes before them: agreement and loudness of each trust block.
const TRUST_HEAD_BYTES: usize = 2 * 4 * BLOCK_COUNT_MAX;
/// Longest trust table in an answer, bytes.
pub const TRUST_BYTES_MAX: usize = TRUST_HEAD_BYTES + SENDERS_MAX * TRUST_RECORD_BYTES;

/// "I finished a round, and here is the name of what I learned."
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Announce {
    /// The run this belongs to.
    pub run: RunId,
    /// Who trained, and whose signature follows.
    pub author: NodeId,
    /// The author's round.
    pub round: u64,
    /// Rises with each announce of the author and is never used twice, restarts included.
    pub seq: u64,
    /// BLAKE3 of the body.
    pub digest: Digest,
    /// Length of the body in bytes.
    pub body_bytes: u32,
    /// Examples in the author's shard, as claimed; clamped by the receiver.
    pub samples: u32,
    /// Local steps behind this delta, as claimed.
    pub steps: u32,
    /// Root mean square of the author's distance to the slices it received last, as claimed.
    pub slice_rms: f32,
}

/// What one peer may ask another over a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// "Where are you in this run?"
    Head {
        /// The run.
        run: RunId,
    },
    /// "Give me the body with this digest."
    Body {
        /// The run.
        run: RunId,
        /// The body's digest.
        digest: Digest,
    },
    /// "Give me this block of your weights", for a late joiner.
    State {
        /// The run.
        run: RunId,
        /// Which block, from 0.
        block: u32,
    },
    /// "Whom do you trust, and how far", for a late joiner.
    Trust {
        /// The run.
        run: RunId,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// Not held, not ready, or not willing.
    NotHere,
    /// The answer to [`Request::Head`].
    Head {
        /// The answerer's round.
        round: u64,
        /// Whether it has weights of its own, that is, whether it may serve as a donor.
        ready: bool,
    },
    /// The answer to [`Request::Body`]: the body as it was hashed.
    Body(Vec<u8>),
    /// The answer to [`Request::State`].
    State {
        /// The donor's round when it cut the block.
        round: u64,
        /// The block, as [`crate::state`] encodes it.
        block: Vec<u8>,
    },
    /// The answer to [`Request::Trust`]: what the donor thinks of each sender it knows.
    Trust(TrustReport),
}

const KIND_ANNOUNCE: u8 = 1;
const KIND_HEAD: u8 = 1;
const KIND_BODY: u8 = 2;
const KIND_STATE: u8 = 3;
const KIND_TRUST: u8 = 4;
const KIND_NOT_HERE: u8 = 0;

/// Splits the two bytes that every message starts with from the rest.
fn open(bytes: &[u8], bytes_max: usize) -> Result<(u8, &[u8]), Reject> {
    if bytes.len() > bytes_max {
        return Err(Reject::Oversized);
    }
    match bytes {
        [WIRE_VERSION, kind, rest @ ..] => Ok((*kind, rest)),
        [_, _, ..] => Err(Reject::Version),
        _ => Err(Reject::Truncated),
    }
}

/// Takes exactly `N` bytes off the front.
fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Reject> {
    bytes.split_first_chunk::<N>().map(|(head, rest)| (*head, rest)).ok_or(Reject::Truncated)
}

fn end(rest: &[u8]) -> Result<(), Reject> {
    if rest.is_empty() { Ok(()) } else { Err(Reject::Trailing) }
}

fn encode_trust(report: &TrustReport) -> Vec<u8> {
    let head = report.agreement.into_iter().chain(report.loudness);
    let record = |record: &TrustRecord| {
        record.peer.0.into_iter().chain(record.levels.into_iter().flat_map(f32::to_le_bytes)).collect::<Vec<_>>()
    };
    head.flat_map(f32::to_le_bytes).chain(report.senders.iter().flat_map(record)).collect()
}

fn decode_trust(payload: &[u8]) -> Result<TrustReport, Reject> {
    if payload.len() > TRUST_BYTES_MAX {
        return Err(Reject::Oversized);
    }
    let (head, records) = take::<TRUST_HEAD_BYTES>(payload)?;
    let (agreement, loudness) = head.split_at(TRUST_HEAD_BYTES / 2);
    let (records, leftover) = records.as_chunks::<TRUST_RECORD_BYTES>();
    end(leftover)?;
    let senders = records.iter().map(decode_trust_record).collect::<Result<_, _>>()?;
    Ok(TrustReport { agreement: finite_numbers(agreement)?, loudness: finite_numbers(loudness)?, senders })
}

fn decode_trust_record(record: &[u8; TRUST_RECORD_BYTES]) -> Result<TrustRecord, Reject> {
    let (peer, numbers) = take::<32>(record)?;
    Ok(TrustRecord { peer: NodeId(peer), levels: finite_numbers(numbers)? })
}

/// One number for each trust block, all finite.
fn finite_numbers(bytes: &[u8]) -> Result<[f32; BLOCK_COUNT_MAX], Reject> {
    let mut numbers = [0.0_f32; BLOCK_COUNT_MAX];
    for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *number = f32::from_le_bytes(*bytes);
    }
    if numbers.iter().all(|number| number.is_finite()) { Ok(numbers) } else { Err(Reject::StateMalformed) }
}

impl Announce {
    /// The two bytes before an announce, then its [`ANNOUNCE_BYTES`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![WIRE_VERSION, KIND_ANNOUNCE];
        let fields =
            bincode::encode_to_vec(self, bincode::config::legacy()).unwrap_or_else(|_| unreachable!("a Vec takes any bytes"));
        debug_assert_eq!(fields.len(), ANNOUNCE_BYTES, "every field has a fixed width");
        bytes.extend_from_slice(&fields);
        bytes
    }

    /// Parses an announce from the front of a gossip frame and returns what follows it.
    ///
    /// Nothing is checked here but the form: the signature comes first, in [`crate::seal`].
    ///
    /// # Errors
    /// [`Reject`] if the frame is too long or short, of another version or kind.
    pub fn decode(frame: &[u8]) -> Result<(Self, &[u8]), Reject> {
        let (kind, rest) = open(frame, GOSSIP_BYTES_MAX)?;
        if kind != KIND_ANNOUNCE {
            return Err(Reject::Kind);
        }
        let (fields, rest) = take::<ANNOUNCE_BYTES>(rest)?;
        let config = bincode::config::legacy().with_limit::<ANNOUNCE_BYTES>();
        let (announce, read) = bincode::decode_from_slice::<Self, _>(&fields, config).map_err(|_| Reject::Truncated)?;
        if read == ANNOUNCE_BYTES { Ok((announce, rest)) } else { Err(Reject::Trailing) }
    }
}

impl Request {
    /// The run that is asked about.
    #[must_use]
    pub const fn run(&self) -> RunId {
        match self {
            Self::Head { run } | Self::Body { run, .. } | Self::State { run, .. } | Self::Trust { run } => *run,
        }
    }

    /// The request as bytes, at most [`REQUEST_BYTES_MAX`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, argument): (u8, &[u8]) = match self {
            Self::Head { .. } => (KIND_HEAD, &[]),
            Self::Body { digest, .. } => (KIND_BODY, &digest.0),
            Self::State { block, .. } => (KIND_STATE, &block.to_le_bytes()),
            Self::Trust { .. } => (KIND_TRUST, &[]),
        };
        [&[WIRE_VERSION, kind][..], &self.run().0, argument].concat()
    }

    /// Parses a request.
    ///
    /// # Errors
    /// [`Reject`] if it is of another version or kind, or not exactly as long as its kind is.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let (kind, rest) = open(bytes, REQUEST_BYTES_MAX)?;
        let (run, rest) = take::<32>(rest)?;
        let run = RunId(run);
        let (request, rest) = match kind {
            KIND_HEAD => (Self::Head { run }, rest),
            KIND_BODY => take::<32>(rest).map(|(digest, rest)| (Self::Body { run, digest: Digest(digest) }, rest))?,
            KIND_STATE => take::<4>(rest).map(|(block, rest)| (Self::State { run, block: u32::from_le_bytes(block) }, rest))?,
            KIND_TRUST => (Self::Trust { run }, rest),
            _ => return Err(Reject::Kind),
        };
        end(rest)?;
        Ok(request)
    }
}

impl Response {
    /// The answer as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let table: Vec<u8>;
        let (kind, round, payload): (u8, u64, &[u8]) = match self {
            Self::NotHere => (KIND_NOT_HERE, 0, &[]),
            Self::Head { round, ready } => (KIND_HEAD, *round, if *ready { &[1] } else { &[0] }),
            Self::Body(body) => (KIND_BODY, 0, body),
            Self::State { round, block } => (KIND_STATE, *round, block),
            Self::Trust(report) => {
                table = encode_trust(report);
                (KIND_TRUST, 0, &table)
            }
        };
        [&[WIRE_VERSION, kind][..], &round.to_le_bytes(), payload].concat()
    }

    /// Parses the answer to `request`; the caller has bounded the length before it read the bytes.
    ///
    /// # Errors
    /// [`Reject`] if it answers something else, or is of another version or form.
    pub fn decode(request: &Request, bytes: &[u8]) -> Result<Self, Reject> {
        let (kind, rest) = open(bytes, usize::MAX)?;
        let (round, payload) = take::<8>(rest)?;
        let round = u64::from_le_bytes(round);
        match (kind, request) {
            (KIND_NOT_HERE, _) => end(payload).map(|()| Self::NotHere),
            (KIND_HEAD, Request::Head { .. }) => match payload {
                [ready @ (0 | 1)] => Ok(Self::Head { round, ready: *ready == 1 }),
                [] => Err(Reject::Truncated),
                _ => Err(Reject::Trailing),
            },
            (KIND_BODY, Request::Body { .. }) => Ok(Self::Body(payload.to_vec())),
            (KIND_STATE, Request::State { .. }) => Ok(Self::State { round, block: payload.to_vec() }),
            (KIND_TRUST, Request::Trust { .. }) => decode_trust(payload).map(Self::Trust),
            _ => Err(Reject::Kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(levels: [f32; BLOCK_COUNT_MAX]) -> TrustReport {
        let senders = vec![TrustRecord { peer: NodeId([6; 32]), levels }];
        TrustReport { agreement: [0.5, 0.25, 0.0, 0.0], loudness: [3.0, 4.0, 0.0, 0.0], senders }
    }

    fn announce() -> Announce {
        Announce {
            run: RunId([1; 32]),
            author: NodeId([2; 32]),
            round: 3,
            seq: 4,
            digest: Digest([5; 32]),
            body_bytes: 6,
            samples: 7,
            steps: 8,
            slice_rms: 0.5,
        }
    }

    /// The layout of PROTOCOL 2.2, field by field: an independent implementation reads just this.
    #[test]
    fn an_announce_has_the_documented_layout() {
        let bytes = announce().encode();
        assert_eq!(bytes.len(), 2 + ANNOUNCE_BYTES);
        assert_eq!(bytes[..2], [1, 1]);
        assert_eq!(bytes[2..34], [1; 32]);
        assert_eq!(bytes[34..66], [2; 32]);
        assert_eq!(bytes[66..74], 3_u64.to_le_bytes());
        assert_eq!(bytes[74..82], 4_u64.to_le_bytes());
        assert_eq!(bytes[82..114], [5; 32]);
        assert_eq!(bytes[114..118], 6_u32.to_le_bytes());
        assert_eq!(bytes[118..122], 7_u32.to_le_bytes());
        assert_eq!(bytes[122..126], 8_u32.to_le_bytes());
        assert_eq!(bytes[126..130], 0.5_f32.to_le_bytes());
        assert_eq!(Announce::decode(&bytes), Ok((announce(), &[][..])));
    }

    #[test]
    fn announces_cut_anywhere_are_refused() {
        let bytes = announce().encode();
        for length in 0..bytes.len() {
            assert_eq!(Announce::decode(&bytes[..length]), Err(Reject::Truncated), "{length}");
        }
        assert_eq!(Announce::decode(&[2, 1, 0]), Err(Reject::Version));
        assert_eq!(Announce::decode(&[1, 9, 0]), Err(Reject::Kind));
        assert_eq!(Announce::decode(&vec![1; GOSSIP_BYTES_MAX + 1]), Err(Reject::Oversized));
    }

    #[test]
    fn requests_and_answers_read_back() {
        let run = RunId([1; 32]);
        let requests = [
            Request::Head { run },
            Request::Body { run, digest: Digest([2; 32]) },
            Request::State { run, block: 7 },
            Request::Trust { run },
        ];
        let responses = [
            Response::Head { round: 9, ready: true },
            Response::Body(vec![1, 2, 3]),
            Response::State { round: 9, block: vec![4, 5] },
            Response::Trust(report([1.0, -2.5, 0.0, 0.0])),
        ];
        for (i, request) in requests.iter().enumerate() {
            let bytes = request.encode();
            assert_eq!(Request::decode(&bytes).as_ref(), Ok(request));
            for length in 0..bytes.len() {
                assert_eq!(Request::decode(&bytes[..length]), Err(Reject::Truncated));
            }
            assert!(matches!(Request::decode(&[&bytes[..], &[0]].concat()), Err(Reject::Trailing | Reject::Oversized)));
            assert_eq!(Response::decode(request, &Response::NotHere.encode()), Ok(Response::NotHere));
            for (j, response) in responses.iter().enumerate() {
                let read = Response::decode(request, &response.encode());
                if i == j { assert_eq!(read.as_ref(), Ok(response)) } else { assert_eq!(read, Err(Reject::Kind)) }
            }
        }
        let unsound = [report([f32::NAN; 4]), TrustReport { loudness: [f32::INFINITY; 4], ..report([0.0; 4]) }];
        for report in unsound {
            assert_eq!(Response::decode(&requests[3], &Response::Trust(report).encode()), Err(Reject::StateMalformed));
        }
        let mut table = responses[3].encode();
        table.push(7);
        assert_eq!(Response::decode(&requests[3], &table), Err(Reject::Trailing));
        assert_eq!(Response::decode(&requests[3], &table[..20]), Err(Reject::Truncated));
        assert_eq!(Response::decode(&requests[3], &vec![[1, 4]; TRUST_BYTES_MAX].concat()), Err(Reject::Oversized));
        assert_eq!(Response::decode(&requests[0], &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2]), Err(Reject::Trailing));
        assert_eq!(Response::decode(&requests[0], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]), Err(Reject::Trailing));
    }
}
