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
use crate::slice::{self, Slice};
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

/// Samples count by their ratio to the median, at least this part of a vote and at most one: they are only
/// a claim, and a fifth that claimed four votes each would be half of all (ADR 8).
const SAMPLES_SHARE: (f64, f64) = (0.25, 1.0);
/// All trust together counts for at least this part of the senders, so that a few trusted ones do not
/// speak for all (ROBUST: s/4).
const TRUST_FLOOR: f64 = 0.25;
/// Senders trusted less have no say in slices.
const SLICE_TRUST_MIN: f32 = 0.5;
/// Parameters that `outer_step` handles at a time: 16 KiB of G stay in the L1 cache (measured: 1,024 and
/// 2,048 are a tenth slower, 8,192 no faster).
const WINDOW: usize = 4_096;

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

/// How much senders of so many samples count, each by its ratio to the median: from a quarter of a vote
/// to one.
#[must_use]
pub fn votes(samples: &[u32]) -> Vec<f64> {
    let middle = median(&mut samples.iter().copied().map(f64::from).collect::<Vec<_>>());
    let ratio = |samples: u32| if middle > 0.0 { f64::from(samples) / middle } else { 1.0 };
    samples.iter().map(|&samples| ratio(samples).clamp(SAMPLES_SHARE.0, SAMPLES_SHARE.1)).collect()
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
    let votes = votes(&others.iter().chain(own).map(|measured| measured.samples).collect::<Vec<_>>());
    let weights: Vec<f64> = others.iter().zip(&votes).map(|(other, vote)| vote / (1.0 + other.lag as f64)).collect();
    let trusted: Vec<f64> = weights.iter().zip(&verdict.trust).map(|(weight, &trust)| weight * f64::from(trust)).collect();
    let total: f64 = weights.iter().sum();
    let live = live.max(others.len() + 1) as f64;
    let (share, own_factor) = match own {
        None => (1.0 / trusted.iter().sum::<f64>().max(TRUST_FLOOR * total), 0.0),
        Some(_) => {
            let own_weight = votes.last().copied().unwrap_or(1.0);
            // sum T c q / sum T over everybody; those not heard count like the mean of those heard.
            let scale_up = (live - 1.0) / others.len() as f64;
            let own_trusted = own_weight * f64::from(verdict.own);
            let mass = trusted.iter().sum::<f64>() * scale_up + own_trusted;
            let mass = mass.max(TRUST_FLOOR * (total * scale_up + own_weight));
            (scale_up / mass, own_trusted / mass)
        }
    };
    let mut terms: Vec<Term<'_>> = others
        .iter()
        .zip(clips)
        .zip(&trusted)
        .map(|((other, clips), trusted)| term(other.delta, clips, trusted * share))
        .collect();
    if let Some(own) = own {
        let own_clips = clips.last().copied().unwrap_or([1.0; BLOCK_COUNT_MAX]);
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

impl Vectors<'_> {
    fn window(&mut self, range: Range<usize>) -> Vectors<'_> {
        let Self { weights, velocity, averaged } = self;
        Vectors { weights: &mut weights[range.clone()], velocity: &mut velocity[range.clone()], averaged: &mut averaged[range] }
    }
}

/// How fast they move.
#[derive(Clone, Copy)]
pub(crate) struct Rates {
    /// mu of this round.
    pub(crate) momentum: f32,
    /// eta.
    pub(crate) rate: f32,
    /// What the served average keeps of itself.
    pub(crate) keep: f32,
}

/// `v <- mu v + G; x <- x - eta (G + mu v); xbar <- keep xbar + (1 - keep) x`. Returns the root mean
/// square of the change of x.
pub(crate) fn outer_step(layout: &Layout, terms: &[Term<'_>], rates: Rates, mut vectors: Vectors<'_>) -> f32 {
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
            squares += step_window(mean, rates, vectors.window(range));
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

/// One window of the outer step; `mean` holds G and is left holding the change of x. Returns the sum of
/// that change's squares.
fn step_window(mean: &mut [f32], rates: Rates, vectors: Vectors<'_>) -> f64 {
    let Rates { momentum, rate, keep } = rates;
    let renew = 1.0 - keep;
    let Vectors { weights, velocity, averaged } = vectors;
    for (((mean, weight), velocity), averaged) in mean.iter_mut().zip(weights).zip(velocity).zip(averaged) {
        *velocity = momentum * *velocity + *mean;
        *mean = rate * (*mean + momentum * *velocity);
        *weight -= *mean;
        *averaged = keep * *averaged + renew * *weight;
    }
    // Eight sums in a fixed order: what a compiler may vectorise without changing a bit.
    let (whole, rest) = mean.as_chunks::<8>();
    let mut lanes = [0.0_f32; 8];
    for changes in whole {
        lanes.iter_mut().zip(changes).for_each(|(lane, change)| *lane += change * change);
    }
    lanes.iter().copied().chain(rest.iter().map(|change| change * change)).map(f64::from).sum()
}

/// What slices say, before anything moves.
pub(crate) struct Pull {
    /// What to add to which parameters.
    pub(crate) moves: Vec<(Range<usize>, Vec<f32>)>,
    /// Median distance (rms for each parameter) to the slices of trusted senders; `None` without any.
    pub(crate) slice_rms: Option<f32>,
}

/// Slices of one block, sent in one round: they share their dither, so one pass over the weights serves all.
struct Group<'a> {
    range: Range<usize>,
    dither: Vec<f32>,
    /// Each slice, the trust in its author, and its distance to the own weights (rms).
    slices: Vec<(&'a Slice, f32, f64)>,
}

/// What the trusted slices of one group say together.
struct Sum {
    range: Range<usize>,
    /// How many they are, at least 1.
    count: usize,
    /// Their clipped differences to the own weights, added up.
    differences: Vec<f32>,
}

impl Group<'_> {
    /// Calls `each(place of the slice, place in the block, differences)` for every slice, group of values
    /// by group of values, so that no difference of a whole block is ever stored.
    fn differences(&self, weights: &[f32], mut each: impl FnMut(usize, usize, &[f32])) {
        let mut difference = [0.0; slice::GROUP];
        let groups = weights[self.range.clone()].chunks(slice::GROUP).zip(self.dither.chunks(slice::GROUP));
        for (number, (own, dither)) in groups.enumerate() {
            let difference = &mut difference[..own.len()];
            for (place, (slice, ..)) in self.slices.iter().enumerate() {
                slice.group_difference(number, own, dither, difference);
                each(place, number * slice::GROUP, difference);
            }
        }
    }

    fn measure(&mut self, weights: &[f32]) {
        let mut squares = vec![0.0_f64; self.slices.len()];
        self.differences(weights, |place, _, difference| squares[place] += square_sum(difference));
        let count = self.range.len().max(1) as f64;
        self.slices.iter_mut().zip(squares).for_each(|((.., rms), squares)| *rms = (squares / count).sqrt());
    }

    /// `sum clip(d_j)` over trusted senders; `None` if there are none.
    fn sum(&self, weights: &[f32], bound: f64) -> Option<Sum> {
        let factor = |&(_, trust, rms): &(&Slice, f32, f64)| {
            if trust >= SLICE_TRUST_MIN { clip(bound, rms) as f32 } else { 0.0 }
        };
        let factors: Vec<f32> = self.slices.iter().map(factor).collect();
        let count = self.slices.iter().filter(|slice| slice.1 >= SLICE_TRUST_MIN).count();
        let mut sum = vec![0.0_f32; self.range.len()];
        self.differences(weights, |place, start, difference| {
            let slots = &mut sum[start..start + difference.len()];
            slots.iter_mut().zip(difference).for_each(|(slot, value)| *slot += factors[place] * value);
        });
        (count > 0).then(|| Sum { range: self.range.clone(), count, differences: sum })
    }
}

/// Moves each parameter to the mean of itself and of all values that came for it: `sum d_j / (count + 1)`.
/// Slices overlap (authors' blocks, rounds and parts differ), so it is counted between their edges.
fn towards_mean(sums: &[Sum]) -> Vec<(Range<usize>, Vec<f32>)> {
    let mut edges: Vec<usize> = sums.iter().flat_map(|sum| [sum.range.start, sum.range.end]).collect();
    edges.sort_unstable();
    edges.dedup();
    let between = edges.windows(2).map(|pair| pair[0]..pair[1]);
    let moved = between.map(|range| {
        let covering = || sums.iter().filter(|sum| sum.range.start <= range.start && range.end <= sum.range.end);
        let share = 1.0 / (covering().map(|sum| sum.count).sum::<usize>() + 1) as f32;
        let mut moves = vec![0.0; range.len()];
        for sum in covering() {
            let said = &sum.differences[range.start - sum.range.start..range.end - sum.range.start];
            moves.iter_mut().zip(said).for_each(|(slot, difference)| *slot += share * difference);
        }
        (range, moves)
    });
    moved.collect()
}

/// Differences of all slices to the own weights, clipped and averaged parameter by parameter.
/// `trust` has one value for each body.
pub(crate) fn slice_pull(run: RunId, weights: &[f32], incoming: &[Incoming<'_>], trust: &[f32]) -> Pull {
    let mut groups: BTreeMap<(u64, u16, u16), Group<'_>> = BTreeMap::new();
    for (incoming, &trust) in incoming.iter().zip(trust).filter(|(incoming, _)| !incoming.body.slice().is_empty()) {
        let (round, slice) = (incoming.body.round(), incoming.body.slice());
        let group = groups.entry((round, slice.parts(), slice.block())).or_insert_with(|| {
            let range = slice::block_range(weights.len(), slice.parts(), slice.block());
            Group { dither: slice::dither(run, round, slice.parts(), range.len()), range, slices: Vec::new() }
        });
        group.slices.push((slice, trust, 0.0));
    }
    groups.values_mut().for_each(|group| group.measure(weights));
    let median_of = |trust_min: f32| {
        let slices = groups.values().flat_map(|group| &group.slices).filter(|slice| slice.1 >= trust_min);
        let distances: Vec<f64> = slices.map(|slice| slice.2).collect();
        (!distances.is_empty()).then(|| lower_median(distances))
    };
    let (radius, slice_rms) = (median_of(0.0), median_of(SLICE_TRUST_MIN).map(|rms| rms as f32));
    let bound = radius.unwrap_or(0.0);
    let sums: Vec<Sum> = groups.values().filter_map(|group| group.sum(weights, bound)).collect();
    Pull { moves: towards_mean(&sums), slice_rms }
}

/// Sum of squares, in f64 and in eight lanes that are added in a fixed order.
fn square_sum(values: &[f32]) -> f64 {
    let (whole, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0_f64; 8];
    for values in whole {
        lanes.iter_mut().zip(values).for_each(|(lane, &value)| *lane += f64::from(value) * f64::from(value));
    }
    lanes.into_iter().chain(rest.iter().map(|&value| f64::from(value) * f64::from(value))).sum()
}
