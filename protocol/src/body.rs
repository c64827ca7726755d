//! A body: what a node publishes in a round, as bytes. A delta and a slice behind a short header.
//!
//! ```text
//! version 1 | value bits 1 | per mille 2 | parameters 4 | round 8 | slice parts 2 | delta .. | slice
//! ```
//! Little-endian. The delta says itself where it ends, the slice's length follows from the header,
//! and together they must be all there is. Nothing in the header is news to a receiver: it must agree
//! with the spec and the announce, and is there so that bytes of another run or round say so.
//!
//! Decoding is the only way to an [`Admitted`], and it allocates nothing before the length is checked,
//! and never more than the spec (not the sender) asks for. Bytes that do not fit are a [`BodyReject`];
//! whoever announced them is at fault.

use crate::delta::{self, Delta, DeltaReject, Shape};
use crate::id::RunId;
use crate::layout::Layout;
use crate::slice::{self, Origin, Slice};
use crate::spec::{CodecSpec, RunSpec, SliceSpec};

/// The body version this crate writes and reads.
pub const BODY_VERSION: u8 = 2;
/// Bytes before the delta.
pub const HEADER_BYTES: usize = 18;

/// Why bytes are not a body of this run and round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyReject {
    /// Longer than any body of this run can be.
    #[error("{len} bytes; a body of this run has at most {max}")]
    TooLong {
        /// What came.
        len: usize,
        /// [`Codec::body_bytes_max`].
        max: usize,
    },
    /// Shorter than its header, or than what its header promises.
    #[error("the body is cut short")]
    Truncated,
    /// A version this crate does not know.
    #[error("body version {0}; {BODY_VERSION} is spoken here")]
    Version(u8),
    /// Not the value bits of the spec.
    #[error("{0} value bits; the spec says otherwise")]
    ValueBits(u8),
    /// Not the density that the spec prescribes for this round.
    #[error("{found} values kept per thousand; the spec says {expected} for this round")]
    Density {
        /// What the header says.
        found: u16,
        /// What the spec says.
        expected: u16,
    },
    /// A model of another size.
    #[error("{0} parameters; this run's model has another size")]
    ParamCount(u32),
    /// Not the round that was announced.
    #[error("a body of round {found}, announced as {expected}")]
    Round {
        /// What the header says.
        found: u64,
        /// What was announced.
        expected: u64,
    },
    /// Slice parts that are no power of two, or outside the spec's range.
    #[error("a slice of one part in {0}")]
    Parts(u16),
    /// The delta does not decode.
    #[error(transparent)]
    Delta(#[from] DeltaReject),
    /// A scale of the slice is negative, not finite or absurd.
    #[error("a slice scale is out of range")]
    SliceScale,
}

/// A body that was checked in full: its delta has exactly the entries the spec asks for, every value
/// is finite, and its slice is the block that its author sends in that round. Only [`Codec::decode`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    round: u64,
    delta: Delta,
    slice: Slice,
}

impl Admitted {
    /// The author's round.
    #[must_use]
    pub const fn round(&self) -> u64 {
        self.round
    }

    /// The author's compressed change.
    #[must_use]
    pub const fn delta(&self) -> &Delta {
        &self.delta
    }

    /// The piece of the author's weights.
    #[must_use]
    pub const fn slice(&self) -> &Slice {
        &self.slice
    }
}

/// What turns changes into bodies and back: everything about a run that a body's form depends on.
#[derive(Clone, Debug)]
pub struct Codec {
    run: RunId,
    layout: Layout,
    spec: CodecSpec,
    slice: SliceSpec,
}

impl Codec {
    /// The codec of a run. `layout` is that of the model that the run's task section describes.
    #[must_use]
    pub fn new(run: RunId, spec: &RunSpec, layout: Layout) -> Self {
        Self { run, layout, spec: spec.codec().clone(), slice: spec.slice().clone() }
    }

    /// The run whose bodies these are.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// The model's layout.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The compression parameters.
    #[must_use]
    pub const fn spec(&self) -> &CodecSpec {
        &self.spec
    }

    /// The bounds of the slice.
    #[must_use]
    pub const fn slice_spec(&self) -> &SliceSpec {
        &self.slice
    }

    /// The form of a delta of this round.
    #[must_use]
    pub fn shape(&self, round: u64) -> Shape {
        self.shape_at(self.spec.per_mille(round))
    }

    fn shape_at(&self, per_mille: u16) -> Shape {
        let param_count = self.layout.param_count();
        Shape { param_count, chunk: self.spec.chunk as usize, per_mille, value_bits: self.spec.value_bits }
    }

    /// Most bytes a body of this run takes, in any round: whatever is longer need not be fetched.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        let delta = self.spec.density.iter().map(|&(_, per_mille)| self.shape_at(per_mille).bytes_max()).max().unwrap_or(0);
        HEADER_BYTES + delta + slice::bytes(slice::block_len_max(self.layout.param_count(), self.slice.coarsest))
    }

    /// Adds `gradient` to `residual`, sends the largest of it, leaves the rest, and appends a slice of
    /// `weights`. Returns the bytes, and the delta exactly as every receiver will read it.
    ///
    /// # Panics
    /// If a vector is not as long as the layout says, or `parts` is 0.
    #[must_use]
    pub fn encode(
        &self,
        origin: Origin,
        parts: u16,
        gradient: &[f32],
        residual: &mut [f32],
        weights: &[f32],
    ) -> (Vec<u8>, Delta) {
        assert_eq!(weights.len(), self.layout.param_count(), "the weights belong to another model");
        let shape = self.shape(origin.round);
        let mut out = Vec::new();
        out.extend_from_slice(&[BODY_VERSION, self.spec.value_bits]);
        out.extend_from_slice(&shape.per_mille.to_le_bytes());
        out.extend_from_slice(&(shape.param_count as u32).to_le_bytes());
        out.extend_from_slice(&origin.round.to_le_bytes());
        out.extend_from_slice(&parts.to_le_bytes());
        let delta = delta::encode(&shape, self.spec.beta, residual, gradient, &mut out);
        Slice::quantise(self.run, origin, parts, weights).write(&mut out);
        (out, delta)
    }

    /// Reads a body that was announced by this author for this round.
    ///
    /// # Errors
    /// A [`BodyReject`], whatever the bytes are; never a panic.
    pub fn decode(&self, bytes: &[u8], origin: Origin) -> Result<Admitted, BodyReject> {
        let round = origin.round;
        let (parts, rest) = self.check_header(bytes, round)?;
        let block = slice::block_of(self.run, origin, parts);
        let len = slice::block_range(self.layout.param_count(), parts, block).len();
        let delta_bytes = rest.len().checked_sub(slice::bytes(len)).ok_or(BodyReject::Truncated)?;
        let (delta, slice) = rest.split_at(delta_bytes);
        let delta = delta::decode(&self.shape(round), delta)?;
        let slice = Slice::read(self.run, origin, parts, len, slice).ok_or(BodyReject::SliceScale)?;
        Ok(Admitted { round, delta, slice })
    }

    /// The slice parts and what follows the header, if all the header says is what it must say.
    fn check_header<'a>(&self, bytes: &'a [u8], round: u64) -> Result<(u16, &'a [u8]), BodyReject> {
        let max = self.body_bytes_max();
        if bytes.len() > max {
            return Err(BodyReject::TooLong { len: bytes.len(), max });
        }
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(BodyReject::Truncated)?;
        let [version, value_bits, d0, d1, n0, n1, n2, n3, r0, r1, r2, r3, r4, r5, r6, r7, p0, p1] = *header;
        if version != BODY_VERSION {
            return Err(BodyReject::Version(version));
        }
        if value_bits != self.spec.value_bits {
            return Err(BodyReject::ValueBits(value_bits));
        }
        let param_count = u32::from_le_bytes([n0, n1, n2, n3]);
        if param_count as usize != self.layout.param_count() {
            return Err(BodyReject::ParamCount(param_count));
        }
        let found = u64::from_le_bytes([r0, r1, r2, r3, r4, r5, r6, r7]);
        if found != round {
            return Err(BodyReject::Round { found, expected: round });
        }
        let (found, expected) = (u16::from_le_bytes([d0, d1]), self.spec.per_mille(round));
        if found != expected {
            return Err(BodyReject::Density { found, expected });
        }
        let parts = u16::from_le_bytes([p0, p1]);
        if !parts.is_power_of_two() || !(self.slice.coarsest..=self.slice.finest).contains(&parts) {
            return Err(BodyReject::Parts(parts));
        }
        Ok((parts, rest))
    }
}
