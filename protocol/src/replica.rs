//! One node's copy of the model and all that it owes its history: the numeric half of a round.
//!
//! ```text
//! start() -> (train, elsewhere) -> publish() -> bytes to announce .. bodies of others -> apply()
//!      ^                                                                                   |
//!      +------------------------------- next round ----------------------------------------+
//! ```
//! A replica holds weights x, residual e, outer momentum v, the average xbar that is served, the trust
//! table and the slice control. It has no clock, no network and no opinion on when a round ends: the
//! round machine decides what to call, and everything here is a pure function of the calls' arguments.
//! Two replicas given the same calls hold the same bits.
//!
//! Invariant: all vectors are as long as the layout says and finite. What could break that (a training
//! that diverged) is refused before anything changes.

mod snapshot;

use crate::body::Codec;
use crate::delta::Delta;
use crate::id::{NodeId, RunId};
use crate::layout::{BLOCK_COUNT_MAX, Layout};
use crate::mix::{self, Incoming, Measured, Rates, Vectors};
use crate::slice::{self, Origin};
use crate::spec::{MixSpec, RunSpec};
use crate::state;
use crate::trust::{Heard, SKETCH, Sketcher, TrustReport, TrustTable};

pub use self::snapshot::RestoreError;

/// What the served average keeps of itself each round (ALGORITHM: xbar = EMA .9).
const AVERAGE_KEEP: f32 = 0.9;
/// Bounds of the step correction `h_ref / h` (ALGORITHM step 2).
const NOVA: (f32, f32) = (0.25, 4.0);

/// Why weights or a training result were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// A vector of another model.
    #[error("{found} parameters instead of {expected}")]
    Length {
        /// What was given.
        found: usize,
        /// What the layout says.
        expected: usize,
    },
    /// A parameter that is infinite or not a number, or whose change is.
    #[error("parameter {0} is not finite")]
    NotFinite(usize),
    /// The step correction is not a number.
    #[error("the step correction is not a number")]
    Nova,
}

/// A round's own contribution, encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The body: what the digest in the announce is of.
    pub bytes: Vec<u8>,
    /// "One part in so many" of the weights that went along.
    pub parts: u16,
    /// Euclidean norm of the compressed delta.
    pub delta_norm: f32,
}

/// What a mix did.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Root mean square, for each parameter, of the change by deltas.
    pub update_rms: f32,
    /// Root mean square, for each parameter, of this node's distance to the slices of its peers: the
    /// median over trusted ones, taken before the mix. `None` without any.
    pub slice_rms: Option<f32>,
    /// Slice parts of the next round.
    pub parts: u16,
    /// Trust in the authors heard, by id.
    pub trust: Vec<(NodeId, f32)>,
    /// Trust in this node's own delta.
    pub own_trust: f32,
}

/// A delta that was published and waits for its round's mix.
#[derive(Clone, Debug)]
struct Own {
    delta: Delta,
    samples: u32,
}

/// One node's copy of the model; see the module's page.
#[derive(Clone, Debug)]
pub struct Replica {
    codec: Codec,
    mix: MixSpec,
    sketcher: Sketcher,
    own_id: NodeId,
    weights: Vec<f32>,
    residual: Vec<f32>,
    velocity: Vec<f32>,
    averaged: Vec<f32>,
    /// Absent before the first publication, after a restart, and while a round is skipped.
    own: Option<Own>,
    trust: TrustTable,
    parts: u16,
    update_rms: f32,
    slice_rms: f32,
}

impl Replica {
    /// A replica that starts from these weights. `secret` keys the sketches by which senders are
    /// judged; it must be this node's alone.
    ///
    /// # Errors
    /// [`ReplicaError`] if the weights are not as many as the layout says, or not all finite.
    pub fn new(
        run: RunId,
        spec: &RunSpec,
        layout: Layout,
        own: NodeId,
        secret: [u8; 32],
        weights: Vec<f32>,
    ) -> Result<Self, ReplicaError> {
        let len = layout.param_count();
        check(&weights, len)?;
        Ok(Self {
            mix: spec.mix().clone(),
            sketcher: Sketcher::new(&secret),
            own_id: own,
            residual: vec![0.0; len],
            velocity: vec![0.0; len],
            averaged: weights.clone(),
            weights,
            own: None,
            trust: TrustTable::new(own, layout.block_count()),
            parts: spec.slice().start,
            update_rms: 0.0,
            slice_rms: 0.0,
            codec: Codec::new(run, spec, layout),
        })
    }

    /// The codec of this replica's run.
    #[must_use]
    pub const fn codec(&self) -> &Codec {
        &self.codec
    }

    /// What the announce of a body that this node publishes in this round says of it.
    #[must_use]
    pub const fn origin(&self, round: u64) -> Origin {
        Origin { author: self.own_id, round }
    }

    /// The weights x.
    #[must_use]
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The average that is served and checkpointed for others: smoother than x.
    #[must_use]
    pub fn averaged(&self) -> &[f32] {
        &self.averaged
    }

    /// The residual e: published by nobody, needed by who looks into a run.
    #[must_use]
    pub fn residual(&self) -> &[f32] {
        &self.residual
    }

    /// Slice parts of the next publication.
    #[must_use]
    pub const fn parts(&self) -> u16 {
        self.parts
    }

    /// The last known distance to peers (see [`Applied::slice_rms`]); 0 before the first.
    #[must_use]
    pub const fn slice_rms(&self) -> f32 {
        self.slice_rms
    }

    /// The change of the last mix (see [`Applied::update_rms`]).
    #[must_use]
    pub const fn update_rms(&self) -> f32 {
        self.update_rms
    }

    /// Where the next training starts: `x - lambda e`, as if the residual had been sent already.
    #[must_use]
    pub fn start(&self) -> Vec<f32> {
        let ahead = self.codec.spec().step_ahead;
        self.weights.iter().zip(&self.residual).map(|(&weight, &residual)| weight - ahead * residual).collect()
    }

    /// Compresses what a training changed and keeps it for this round's [`Self::apply`].
    ///
    /// `start` is where the training began (see [`Self::start`]) and `trained` where it ended; `nova` is
    /// `h_ref / h`, clamped here to 1/4..4; `samples` is what will be announced.
    ///
    /// # Errors
    /// [`ReplicaError`] if a vector has another length or the change is not finite; nothing has then
    /// changed.
    pub fn publish(
        &mut self,
        round: u64,
        start: &[f32],
        trained: &[f32],
        nova: f32,
        samples: u32,
    ) -> Result<Published, ReplicaError> {
        let len = self.weights.len();
        check_len(start, len)?;
        check_len(trained, len)?;
        if nova.is_nan() {
            return Err(ReplicaError::Nova);
        }
        let nova = nova.clamp(NOVA.0, NOVA.1);
        let gradient: Vec<f32> = start.iter().zip(trained).map(|(start, trained)| (start - trained) * nova).collect();
        check(&gradient, len)?;
        let (bytes, delta) = self.codec.encode(self.origin(round), self.parts, &gradient, &mut self.residual, &self.weights);
        let squares: f64 = delta.values().iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        self.own = Some(Own { delta, samples });
        Ok(Published { bytes, parts: self.parts, delta_norm: squares.sqrt() as f32 })
    }

    /// Mixes this round's bodies and the own delta into the weights.
    ///
    /// The order of `incoming` does not matter; bodies by this node itself are ignored. `live` counts
    /// the run's live authors, this node included. Works without an own delta (after a restart), without
    /// incoming bodies (alone), and without both (momentum alone goes on).
    pub fn apply(&mut self, round: u64, live: usize, incoming: &[Incoming<'_>]) -> Applied {
        let mut incoming: Vec<Incoming<'_>> =
            incoming.iter().filter(|incoming| incoming.author != self.own_id).copied().collect();
        incoming.sort_by(canonical);
        let own = self.own.take();
        let (others, mut heard): (Vec<_>, Vec<_>) = incoming
            .iter()
            .map(|incoming| self.measure(incoming.author, incoming.body.delta(), incoming.samples, incoming.lag))
            .unzip();
        let (own, mut own_heard) = own.as_ref().map(|own| self.measure(self.own_id, &own.delta, own.samples, 0)).unzip();
        let clips = mix::clips(&others.iter().chain(&own).collect::<Vec<_>>());
        heard.iter_mut().chain(&mut own_heard).zip(&clips).for_each(|(heard, clips)| heard.clips = *clips);
        let verdict = self.trust.judge(round, &heard, own_heard.as_ref());
        let terms = mix::gains(&others, own.as_ref(), &clips, &verdict, live);

        let pull = mix::slice_pull(self.codec.run(), &self.weights, &incoming, &verdict.trust);
        for (range, moves) in pull.moves {
            self.weights[range].iter_mut().zip(moves).for_each(|(weight, change)| *weight += change);
        }
        let vectors = Vectors { weights: &mut self.weights, velocity: &mut self.velocity, averaged: &mut self.averaged };
        let rates = Rates { momentum: self.mix.momentum_at(round), rate: self.mix.rate, keep: AVERAGE_KEEP };
        self.update_rms = mix::outer_step(self.codec.layout(), &terms, rates, vectors);

        if let Some(slice_rms) = pull.slice_rms {
            self.slice_rms = slice_rms;
            self.parts = slice::next_parts(self.parts, self.codec.slice_spec(), slice_rms, self.update_rms);
        }
        let mut trust: Vec<(NodeId, f32)> = heard.iter().map(|heard| heard.author).zip(verdict.trust).collect();
        trust.dedup_by_key(|entry| entry.0);
        Applied { update_rms: self.update_rms, slice_rms: pull.slice_rms, parts: self.parts, trust, own_trust: verdict.own }
    }

    /// Norms and sketches of a delta, in one pass over its entries.
    fn measure<'a>(&self, author: NodeId, delta: &'a Delta, samples: u32, lag: u64) -> (Measured<'a>, Heard) {
        let mut norms = [0.0; BLOCK_COUNT_MAX];
        let mut sketches = Vec::with_capacity(self.codec.layout().block_count() * SKETCH);
        for (block, norm) in self.codec.layout().blocks().zip(&mut norms) {
            let mut sketch = [0.0; SKETCH];
            *norm = self.sketcher.add(delta, delta.entries(&block), &mut sketch).sqrt();
            sketches.extend_from_slice(&sketch);
        }
        (Measured { delta, norms, samples, lag }, Heard { author, sketches, clips: [1.0; BLOCK_COUNT_MAX] })
    }

    /// Takes over the weights of a running network, as a late joiner or after drifting too far away:
    /// residual, momentum and the waiting delta belong to the old ones and are dropped. What is known
    /// about senders stays.
    ///
    /// # Errors
    /// [`ReplicaError`] if the weights do not fit or are not finite; nothing has then changed.
    pub fn adopt(&mut self, weights: Vec<f32>) -> Result<(), ReplicaError> {
        check(&weights, self.weights.len())?;
        self.averaged.copy_from_slice(&weights);
        self.weights = weights;
        self.residual.fill(0.0);
        self.velocity.fill(0.0);
        self.own = None;
        (self.update_rms, self.slice_rms) = (0.0, 0.0);
        Ok(())
    }

    /// A block of the weights for a joiner, in bf16, or `None` if the model has no such block.
    #[must_use]
    pub fn state_block(&self, block: u32) -> Option<Vec<u8>> {
        state::encode_block(&self.weights, block)
    }

    /// What this node thinks of the senders it knows, for a joiner: at most
    /// [`SENDERS_MAX`](crate::trust::SENDERS_MAX) records, by id.
    #[must_use]
    pub fn export_trust(&self) -> TrustReport {
        self.trust.export()
    }

    /// Takes over what several donors think: the median of those that most of them name. What this node
    /// has seen itself is not overruled.
    pub fn import_trust(&mut self, donors: &[TrustReport]) {
        self.trust.import(donors);
    }
}

/// By author, then by age; two bodies of one author and age (which only a liar makes) by content.
fn canonical(a: &Incoming<'_>, b: &Incoming<'_>) -> core::cmp::Ordering {
    let bits = |incoming: &Incoming<'_>| incoming.body.delta().values().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    (a.author, a.lag, a.body.round(), a.samples, a.body.slice().parts())
        .cmp(&(b.author, b.lag, b.body.round(), b.samples, b.body.slice().parts()))
        .then_with(|| a.body.delta().indices().cmp(b.body.delta().indices()))
        .then_with(|| bits(a).cmp(&bits(b)))
}

fn check_len(values: &[f32], expected: usize) -> Result<(), ReplicaError> {
    if values.len() == expected { Ok(()) } else { Err(ReplicaError::Length { found: values.len(), expected }) }
}

fn check(values: &[f32], expected: usize) -> Result<(), ReplicaError> {
    check_len(values, expected)?;
    // Without an early exit, so that it vectorises; the place is looked for only if there is one.
    if values.iter().fold(true, |finite, value| finite & value.is_finite()) {
        return Ok(());
    }
    Err(ReplicaError::NotFinite(values.iter().position(|value| !value.is_finite()).unwrap_or(0)))
}
