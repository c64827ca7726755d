//! One attacker: what it sees, what it remembers, and how its forgery becomes a body.

use shoal_protocol::body::Codec;
use shoal_protocol::delta::Delta;
use shoal_protocol::dice::Dice;
use shoal_protocol::layout::Layout;
use shoal_protocol::slice::Origin;

use super::attack::Attack;
use super::crowd::Crowd;
use super::direction::{noise, norm, times, towards};

/// What an attacker sees of a round before it publishes.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The attacker's round.
    pub round: u64,
    /// Where its own training began.
    pub start: &'a [f32],
    /// Where its own training ended; the data may have been poisoned.
    pub trained: &'a [f32],
    /// The weights of its replica.
    pub weights: &'a [f32],
    /// What honest nodes published last.
    pub crowd: &'a Crowd<'a>,
    /// The model's trust blocks.
    pub layout: &'a Layout,
}

impl Sight<'_> {
    /// The own training as a delta.
    pub(super) fn own(&self) -> Vec<f32> {
        towards(self.start, self.trained)
    }
}

/// What an attacker publishes in place of its own work.
#[derive(Clone, Debug, PartialEq)]
pub struct Forgery {
    /// The change to compress, one number for each parameter.
    pub delta: Vec<f32>,
    /// The norm that the compressed delta shall have. Without one it is what compression makes of it,
    /// and what compression leaves is kept for the next round, as honest nodes do.
    pub norm: Option<f64>,
    /// The weights that the slice is cut from; without any the replica's own.
    pub slice_weights: Option<Vec<f32>>,
}

impl Forgery {
    /// A delta compressed like anybody's, and an honest slice.
    pub(super) fn plain(delta: Vec<f32>) -> Self {
        Self { delta, norm: None, slice_weights: None }
    }

    /// A delta that arrives with this norm, and an honest slice.
    pub(super) fn at(norm: f64, delta: Vec<f32>) -> Self {
        Self { norm: Some(norm), ..Self::plain(delta) }
    }

    /// The own training, unchanged.
    pub(super) fn honest(sight: &Sight<'_>) -> Self {
        Self::plain(sight.own())
    }
}

/// What attackers of one network have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plot {
    /// Attackers in the network.
    pub attackers: usize,
    /// Nodes in the network, attackers included.
    pub nodes: usize,
    /// Decides all their draws.
    pub seed: [u8; 32],
}

/// A learner turned bad.
#[derive(Clone, Debug)]
pub struct Attacker {
    attack: Attack,
    pub(super) plot: Plot,
    /// Its number among the attackers, from 0.
    pub(super) index: usize,
    /// Its own draws.
    pub(super) dice: Dice,
    /// Where the model was when it first looked.
    origin: Option<Vec<f32>>,
    /// The first delta it made.
    first: Option<Vec<f32>>,
    /// A direction that all attackers share.
    shared: Option<Vec<f32>>,
    residual: Vec<f32>,
}

impl Attacker {
    /// Number `index` (from 0) of the plot's attackers.
    #[must_use]
    pub fn new(attack: Attack, plot: Plot, index: usize) -> Self {
        let mut seed = plot.seed;
        // Apart from the plot's own draws, which are made with the seed as it is.
        seed.iter_mut().zip((index as u64 + 1).to_le_bytes()).for_each(|(byte, own)| *byte ^= own);
        let dice = Dice::new(&seed);
        Self { attack, plot, index, dice, origin: None, first: None, shared: None, residual: Vec::new() }
    }

    /// What it publishes in this round.
    #[must_use]
    pub fn forge(&mut self, sight: &Sight<'_>) -> Forgery {
        self.origin.get_or_insert_with(|| sight.weights.to_vec());
        self.first.get_or_insert_with(|| sight.own());
        self.attack.clone().forge(self, sight)
    }

    /// The body of a forgery: it decodes, and is as long as an honest one. Also returns the delta as
    /// every receiver will read it.
    ///
    /// # Panics
    /// If the forgery or the weights belong to a model other than the codec's, or `parts` is 0.
    #[must_use]
    pub fn encode(&mut self, codec: &Codec, origin: Origin, parts: u16, forgery: &Forgery, weights: &[f32]) -> (Vec<u8>, Delta) {
        let len = forgery.delta.len();
        let slice_weights = forgery.slice_weights.as_deref().unwrap_or(weights);
        self.residual.resize(len, 0.0);
        let Some(wanted) = forgery.norm else {
            return codec.encode(origin, parts, &forgery.delta, &mut self.residual, slice_weights);
        };
        // Which entries are kept does not depend on the length, so a first try says how to stretch it.
        let trial = codec.encode(
            origin,
            parts,
            &times(&forgery.delta, 1.0 / norm(&forgery.delta).max(1e-30)),
            &mut vec![0.0; len],
            slice_weights,
        );
        let reached = norm(trial.1.values());
        let factor = if reached > 0.0 { wanted / reached / norm(&forgery.delta).max(1e-30) } else { 0.0 };
        codec.encode(origin, parts, &times(&forgery.delta, factor), &mut vec![0.0; len], slice_weights)
    }

    /// The way back to where the model was when the attack began, as a delta.
    pub(super) fn way_back(&self, sight: &Sight<'_>) -> Vec<f32> {
        self.origin.as_deref().map_or_else(|| vec![0.0; sight.weights.len()], |origin| towards(sight.weights, origin))
    }

    /// The first delta it ever made.
    pub(super) fn first(&self, sight: &Sight<'_>) -> Vec<f32> {
        self.first.clone().unwrap_or_else(|| sight.own())
    }

    /// A random direction, the same for all attackers and all rounds.
    pub(super) fn shared_direction(&mut self, len: usize) -> &[f32] {
        let seed = self.plot.seed;
        self.shared.get_or_insert_with(|| noise(&mut Dice::new(&seed), len))
    }
}
