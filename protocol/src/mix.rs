//! What received bodies do to the weights: robust weighted averaging of deltas and slices.
//!
//! `gains` says how much of each delta counts, `slice_pull` how far slices may draw the weights, and
//! `outer_step` does it, in windows that stay in cache. All three see bodies in canonical order (by
//! author), so the result does not depend on the order of arrival, bit for bit. One sender moves the
//! mix by at most its share of the median norm, block by block, whatever it sends.
//!
//! Nothing here knows who deserves trust (`trust` does) or keeps state from round to round (`replica`).

use core::ops::Range;
use std::collections::BTreeMap;

use crate::body::Admitted;
use crate::delta::Delta;
use crate::id::{NodeId, RunId};
use crate::layout::{BLOCK_COUNT_MAX, Layout};
use crate::slice;
use crate::state::median;
use crate::trust::Verdict;

/// A body that goes into this round's mix, and what the machine knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Who signed the announce.
    pub author: NodeId,
    /// Rounds it lies behind this node's; a body from ahead has none.
    pub lag: u64,
    /// Samples the author says it trained on.
    pub samples: u32,
    /// The checked body.
    pub body: &'a Admitted,
}

/// Samples count by their ratio to the median, within this factor: they are only a claim.
const SAMPLES_FACTOR: f64 = 4.0;
/// All trust together counts for at least this part of the senders, so that a few trusted ones do not
/// speak for all (ROBUST: s/4).
const TRUST_FLOOR: f64 = 0.25;
/// Senders trusted less have no say in slices.
const SLICE_TRUST_MIN: f32 = 0.5;
/// Parameters that `outer_step` handles at a time: 8 KiB of each vector (a guess at the L1 cache).
const WINDOW: usize = 2_048;

/// A delta with its norms, whoever sent it.
pub(crate) struct Measured<'a> {
    pub(crate) delta: &'a Delta,
    /// Euclidean norm of each block.
    pub(crate) norms: [f64; BLOCK_COUNT_MAX],
    /// Samples behind it.
    pub(crate) samples: u32,
    /// Rounds it lies behind.
    pub(crate) lag: u64,
}

impl Measured<'_> {
    fn norm(&self) -> f64 {
        self.norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt()
    }
}

/// A delta and the factor of each of its blocks in the mix.
pub(crate) struct Term<'a> {
    pub(crate) delta: &'a Delta,
    pub(crate) gains: [f32; BLOCK_COUNT_MAX],
}

/// What is left of `norm` when it is clipped to `bound`.
fn clip(bound: f64, norm: f64) -> f64 {
    if norm > bound { bound / norm } else { 1.0 }
}

/// The median; of an even number, the lower of the two in the middle. As a bound this is the safer
/// one: in a network of two the other must not set the bound it is clipped to.
fn lower_median(mut values: Vec<f64>) -> f64 {
    let Some(middle) = values.len().checked_sub(1).map(|last| last / 2) else { return 0.0 };
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The norm clip of each delta, block by block: to the median of all, own included.
pub(crate) fn clips(all: &[&Measured<'_>]) -> Vec<[f64; BLOCK_COUNT_MAX]> {
    let mut bounds = [0.0; BLOCK_COUNT_MAX];
    for (b, bound) in bounds.iter_mut().enumerate() {
        *bound = lower_median(all.iter().map(|measured| measured.norms[b]).collect());
    }
    all.iter().map(|measured| core::array::from_fn(|b| clip(bounds[b], measured.norms[b]))).collect()
}

/// The terms of G. `clips` are those of `others`, then of `own`; `live` counts live authors, self included.
pub(crate) fn gains<'a>(
    others: &[Measured<'a>],
    own: Option<&Measured<'a>>,
    clips: &[[f64; BLOCK_COUNT_MAX]],
    verdict: &Verdict,
    live: usize,
) -> Vec<Term<'a>> {
    let term =
        |delta, clips: &[f64; BLOCK_COUNT_MAX], factor: f64| Term { delta, gains: clips.map(|clip| (clip * factor) as f32) };
    if others.is_empty() {
        return own.map(|own| term(own.delta, &[1.0; BLOCK_COUNT_MAX], 1.0)).into_iter().collect();
    }
    let middle = median(&mut others.iter().chain(own).map(|measured| f64::from(measured.samples)).collect::<Vec<_>>());
    let weight = |measured: &Measured<'_>| {
        let ratio = if middle > 0.0 { f64::from(measured.samples) / middle } else { 1.0 };
        ratio.clamp(1.0 / SAMPLES_FACTOR, SAMPLES_FACTOR) / (1.0 + measured.lag as f64)
    };
    let weights: Vec<f64> = others.iter().map(weight).collect();
    let trusted: Vec<f64> = weights.iter().zip(&verdict.trust).map(|(weight, &trust)| weight * f64::from(trust)).collect();
    let total: f64 = weights.iter().sum();
    let live = live.max(others.len() + 1) as f64;
    let (share, own_factor) = match own {
        None => (1.0 / trusted.iter().sum::<f64>().max(TRUST_FLOOR * total), 0.0),
        Some(own) if verdict.symmetric => {
            // sum T c q / sum T over everybody; those not heard count like the mean of those heard.
            let scale_up = (live - 1.0) / others.len() as f64;
            let own_trusted = weight(own) * f64::from(verdict.own);
            let mass = trusted.iter().sum::<f64>() * scale_up + own_trusted;
            let mass = mass.max(TRUST_FLOOR * (total * scale_up + weight(own)));
            (scale_up / mass, own_trusted / mass)
        }
        Some(own) => {
            let mass = trusted.iter().sum::<f64>().max(TRUST_FLOOR * total);
            let bound = lower_median(others.iter().chain([own]).map(Measured::norm).collect());
            ((1.0 - 1.0 / live) / mass, clip(bound, own.norm()) / live)
        }
    };
    let mut terms: Vec<Term<'_>> = others
        .iter()
        .zip(clips)
        .zip(&trusted)
        .map(|((other, clips), trusted)| term(other.delta, clips, trusted * share))
        .collect();
    if let Some(own) = own {
        // Under the large rule the own delta is clipped as a whole, under the small one like any other.
        let own_clips = clips.last().filter(|_| verdict.symmetric).copied().unwrap_or([1.0; BLOCK_COUNT_MAX]);
        terms.push(term(own.delta, &own_clips, own_factor));
    }
    terms
}

/// The vectors that the outer step moves: weights, momentum and the average that is served.
pub(crate) struct Vectors<'a> {
    pub(crate) weights: &'a mut [f32],
    pub(crate) velocity: &'a mut [f32],
    pub(crate) averaged: &'a mut [f32],
}

/// `v <- mu v + G; x <- x - rate (G + mu v); xbar <- keep xbar + (1 - keep) x`. Returns the root mean
/// square of the change of x.
pub(crate) fn outer_step(layout: &Layout, terms: &[Term<'_>], momentum: f32, rate: f32, keep: f32, vectors: Vectors<'_>) -> f32 {
    let Vectors { weights, velocity, averaged } = vectors;
    let mut cursors = vec![0_usize; terms.len()];
    let mut squares = 0.0_f64;
    let mut mean = [0.0_f32; WINDOW];
    for (b, block) in layout.blocks().enumerate() {
        for start in block.clone().step_by(WINDOW) {
            let range = start..block.end.min(start + WINDOW);
            let mean = &mut mean[..range.len()];
            mean.fill(0.0);
            for (term, cursor) in terms.iter().zip(&mut cursors) {
                *cursor = scatter(term.delta, *cursor, &range, term.gains[b], mean);
            }
            squares += step_window(
                mean,
                momentum,
                rate,
                keep,
                &mut weights[range.clone()],
                &mut velocity[range.clone()],
                &mut averaged[range],
            );
        }
    }
    (squares / layout.param_count().max(1) as f64).sqrt() as f32
}

/// Adds `gain` times the entries of this range to `mean`; `cursor` is where they begin. Returns where
/// they end.
#[inline]
fn scatter(delta: &Delta, cursor: usize, range: &Range<usize>, gain: f32, mean: &mut [f32]) -> usize {
    let entries = delta.indices()[cursor..].iter().zip(&delta.values()[cursor..]);
    let mut count = 0_usize;
    for (&index, &value) in entries {
        match mean.get_mut((index as usize).wrapping_sub(range.start)) {
            Some(slot) => *slot += gain * value,
            None => break,
        }
        count = count.wrapping_add(1);
    }
    cursor + count
}

fn step_window(
    mean: &[f32],
    momentum: f32,
    rate: f32,
    keep: f32,
    weights: &mut [f32],
    velocity: &mut [f32],
    averaged: &mut [f32],
) -> f64 {
    // Eight sums in a fixed order: what a compiler may vectorise without changing a bit.
    let mut lanes = [0.0_f32; 8];
    let places = mean.chunks(8).zip(weights.chunks_mut(8)).zip(velocity.chunks_mut(8)).zip(averaged.chunks_mut(8));
    for (((mean, weights), velocity), averaged) in places {
        let values = mean.iter().zip(weights).zip(velocity).zip(averaged).zip(&mut lanes);
        for ((((&mean, weight), velocity), averaged), lane) in values {
            *velocity = momentum * *velocity + mean;
            let change = rate * (mean + momentum * *velocity);
            *weight -= change;
            *averaged = keep * *averaged + (1.0 - keep) * *weight;
            *lane += change * change;
        }
    }
    lanes.iter().map(|&lane| f64::from(lane)).sum()
}

/// What slices say, before anything moves.
pub(crate) struct Pull {
    /// What to add to which parameters.
    pub(crate) moves: Vec<(Range<usize>, Vec<f32>)>,
    /// Median distance (rms for each parameter) to the slices of trusted senders; `None` without any.
    pub(crate) slice_rms: Option<f32>,
    /// Median distance to all slices, for [`Radii`].
    pub(crate) radius: Option<f64>,
}

/// The last radii of slices: how far apart replicas have been.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Radii(Vec<f64>);

/// Radii remembered, and how many it takes before they bound the next (ROBUST, slice rule).
const RADII: usize = 16;
const RADII_MIN: usize = 4;

impl Radii {
    pub(crate) fn new(radii: Vec<f64>) -> Option<Self> {
        (radii.len() <= RADII && radii.iter().all(|radius| radius.is_finite() && *radius >= 0.0)).then_some(Self(radii))
    }

    pub(crate) fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Whether there are too few to bound anything.
    pub(crate) fn are_few(&self) -> bool {
        self.0.len() < RADII_MIN
    }

    /// The bound on this round's differences: their median, and no more than twice the median of what
    /// was seen lately, or than `floor`. The floor is what needs no evidence: how far a round moves the
    /// weights (replicas that were equal for long must still be able to find each other again), and in
    /// the first rounds the size of the weights themselves.
    fn bound(&self, radius: f64, floor: f64) -> f64 {
        let seen = if self.are_few() { 0.0 } else { 2.0 * self.median() };
        radius.min(seen.max(floor))
    }

    /// Remembers a radius, damped so that the memory itself cannot be driven up quickly.
    pub(crate) fn push(&mut self, radius: f64, floor: f64) {
        let damped = radius.min((1.5 * self.median()).max(floor));
        if self.0.len() >= RADII {
            self.0.remove(0);
        }
        self.0.push(damped);
    }

    fn median(&self) -> f64 {
        median(&mut self.0.clone())
    }
}

/// Differences of all slices to the own weights, clipped and averaged for each block that was sent.
/// `trust` has one value for each body.
pub(crate) fn slice_pull(
    run: RunId,
    weights: &[f32],
    incoming: &[Incoming<'_>],
    trust: &[f32],
    radii: &Radii,
    floor: f64,
) -> Pull {
    let mut groups: BTreeMap<(u64, u16), Vec<usize>> = BTreeMap::new();
    for (place, incoming) in incoming.iter().enumerate().filter(|(_, incoming)| !incoming.body.slice().is_empty()) {
        groups.entry((incoming.body.round(), incoming.body.slice().parts())).or_default().push(place);
    }
    // (range, [(rms, trust, difference)]) for each group.
    let mut measured: Vec<(Range<usize>, Vec<(f64, f32, Vec<f32>)>)> = Vec::new();
    for ((round, parts), places) in groups {
        let range = slice::block_range(weights.len(), parts, slice::block_of(run, round, parts));
        let dither = slice::dither(run, round, parts, range.len());
        let differences = places.into_iter().map(|place| {
            let difference = incoming[place].body.slice().difference(&weights[range.clone()], &dither);
            (rms(&difference), trust[place], difference)
        });
        measured.push((range.clone(), differences.collect()));
    }
    let all = || measured.iter().flat_map(|(_, differences)| differences);
    let middle = |values: Vec<f64>| (!values.is_empty()).then(|| lower_median(values));
    let radius = middle(all().map(|difference| difference.0).collect());
    let slice_rms = middle(all().filter(|difference| difference.1 >= SLICE_TRUST_MIN).map(|difference| difference.0).collect())
        .map(|rms| rms as f32);
    let bound = radius.map_or(0.0, |radius| radii.bound(radius, floor));
    let moves = measured.into_iter().map(|(range, differences)| (range, pull_of(&differences, bound))).collect();
    Pull { moves, slice_rms, radius }
}

/// `sum clip(d_j) / (count + 1)` over trusted senders: this node is one of those that are averaged.
fn pull_of(differences: &[(f64, f32, Vec<f32>)], bound: f64) -> Vec<f32> {
    let len = differences.first().map_or(0, |first| first.2.len());
    let mut pull = vec![0.0_f32; len];
    let kept: Vec<_> = differences.iter().filter(|difference| difference.1 >= SLICE_TRUST_MIN).collect();
    for (rms, _, difference) in &kept {
        let factor = (clip(bound, *rms) / (kept.len() + 1) as f64) as f32;
        pull.iter_mut().zip(difference).for_each(|(slot, &value)| *slot += factor * value);
    }
    pull
}

/// Root mean square, in f64 and eight lanes.
pub(crate) fn rms(values: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    for values in values.chunks(8) {
        lanes.iter_mut().zip(values).for_each(|(lane, &value)| *lane += f64::from(value) * f64::from(value));
    }
    (lanes.iter().sum::<f64>() / values.len().max(1) as f64).sqrt()
}
