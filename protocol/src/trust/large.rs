//! Standing in networks of [`super::KNOWN_MIN`] known senders and more.
//!
//! As a batch over the heard: all company, then all scores, then the levels, so that no author's
//! verdict depends on another's place in the order. Constants are ROBUST.md's, tuned there on seed 0.

use super::sketch::{SKETCH, dot, unit};
use super::{DENSITY, Heard, KNOWN_MIN, Track, TrustTable, follow, median_and_mad};
use crate::id::NodeId;

/// Median score below which levels move more slowly, to stop at zero.
const FREEZE_BELOW: f64 = 0.1;

/// A sender with a direction. `unit` is that direction, normalised block by block.
struct Known<'a> {
    id: NodeId,
    track: &'a mut Track,
    unit: Vec<f32>,
}

impl Known<'_> {
    fn block(&self, b: usize) -> &[f32] {
        &self.unit[b * SKETCH..][..SKETCH]
    }
}

pub(super) fn judge(table: &mut TrustTable, heard: &[Heard]) {
    let blocks = table.blocks;
    let with_direction = table.senders.iter_mut().filter(|(_, track)| !track.quick.is_empty());
    let mut known: Vec<Known<'_>> = with_direction.map(|(&id, track)| Known { unit: unit(&track.quick), id, track }).collect();
    let is_heard = |id: &NodeId| heard.binary_search_by_key(id, |heard| heard.author).is_ok();
    let heard: Vec<usize> = (0..known.len()).filter(|&k| is_heard(&known[k].id)).collect();
    // Levels that came from a donor or from before a restart hold until there is something to compare.
    let few = known.len() < KNOWN_MIN;
    find_company(&mut known, &heard, blocks);
    for b in 0..blocks {
        score(&mut known, &heard, b);
        let (middle, mad) = median_and_mad(known.iter().map(|known| known.track.score[b]));
        let sigma = (1.4826 * mad).max(0.04 + 0.2 * middle.abs()) + 0.001;
        let freeze = if few { 0.0 } else { (middle / FREEZE_BELOW).clamp(0.0, 1.0) };
        for &j in &heard {
            let track = &mut *known[j].track;
            follow(&mut track.level[b], (f64::from(track.score[b]) - middle) / sigma, freeze);
        }
    }
    if few {
        return;
    }
    let (middle, mad) = median_and_mad(known.iter().map(|known| known.track.density));
    let sigma = (1.4826 * mad).max(0.2 * middle + 0.1) + 0.001;
    for &j in &heard {
        let track = &mut *known[j].track;
        let z = ((f64::from(track.density) - middle) / sigma) as f32;
        track.density_level += 0.5 * (z.clamp(DENSITY.0, DENSITY.1) - track.density_level);
    }
}

/// A and P: how much of everybody else points the same way. Colluders are each other's company.
fn find_company(known: &mut [Known<'_>], heard: &[usize], blocks: usize) {
    for &j in heard {
        let mut density = 0.0_f64;
        for b in 0..blocks {
            let cosines = (0..known.len()).filter(|&k| k != j).map(|k| dot(known[j].block(b), known[k].block(b)).max(0.0));
            let (company, squares) = cosines.fold((0.0, 0.0), |(sum, squares), cosine| (sum + cosine, squares + cosine * cosine));
            known[j].track.company[b] = company as f32;
            density += squares / blocks as f64;
        }
        known[j].track.density = density as f32;
    }
}

/// S: cosine to the sum of the others, each by its trust and divided by the root of its company.
///
/// ROBUST.md divides by the company itself. Then every tight cluster weighs about 1, whatever its size:
/// where data are alike and all honest directions agree, three sign-flippers weigh as much as thirteen
/// honest nodes, and levels never move (measured: 4 of 13 at a noise of a tenth of the step). Under the
/// root a cluster of h weighs about the root of h: the majority wins, and clones still pay.
fn score(known: &mut [Known<'_>], heard: &[usize], b: usize) {
    let weight = |known: &Known<'_>| (known.track.level[b] + 3.0).clamp(0.0, 1.0) / (1.0 + known.track.company[b]).sqrt();
    let weights: Vec<f32> = known.iter().map(weight).collect();
    for &j in heard {
        let mut centre = [0.0_f32; SKETCH];
        for (k, &weight) in weights.iter().enumerate().filter(|&(k, _)| k != j) {
            centre.iter_mut().zip(known[k].block(b)).for_each(|(slot, value)| *slot += weight * value);
        }
        let length = dot(&centre, &centre).sqrt();
        known[j].track.score[b] = if length > 0.0 { (dot(known[j].block(b), &centre) / length) as f32 } else { 0.0 };
    }
}
