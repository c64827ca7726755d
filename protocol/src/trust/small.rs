//! Standing in small networks: symmetric, with a long memory. This node is one sender among the others.
//!
//! Anchoring the verdict on oneself lost 7.8 points to inner-product manipulation (ROBUST.md).

use super::sketch::{SKETCH, dot, unit};
use super::{GRACE_ROUNDS, Heard, Track, TrustTable, follow, median_and_mad};
use crate::id::NodeId;

/// Median score below which levels move more slowly, once learning has begun.
const FREEZE_BELOW: f64 = 0.05;
/// Rounds in which levels move freely: cosines of a first few sketches are still small.
const FREEZE_FROM: u64 = 25;
/// The spread expected before any is seen, and how many senders that expectation weighs.
const SIGMA_PRIOR: f64 = 0.07;
const PRIOR_WEIGHT: f64 = 6.0;
/// The spread is never taken for wider: wide scores are what an attack looks like.
const SIGMA_MAX: f64 = 0.12;

pub(super) fn judge(table: &mut TrustTable, round: u64, heard: &[Heard], own_spoke: bool) {
    let blocks = table.blocks;
    let own_id = table.own_id;
    let tracks = table.senders.iter_mut().chain([(&own_id, &mut table.own)]).filter(|(_, track)| !track.long.is_empty());
    let mut known: Vec<(NodeId, &mut Track, Vec<f32>)> = tracks.map(|(&id, track)| (id, &mut *track, Vec::new())).collect();
    // In the order of ids, self included: equal views then add up in the same order, to the last bit.
    known.sort_by_key(|known| known.0);
    known.iter_mut().for_each(|(_, track, direction)| *direction = unit(&track.long));
    let spoke =
        |id: &NodeId| if *id == own_id { own_spoke } else { heard.binary_search_by_key(id, |heard| heard.author).is_ok() };
    let spoke: Vec<usize> = (0..known.len()).filter(|&k| spoke(&known[k].0)).collect();
    let trust_of = |track: &Track| if round < GRACE_ROUNDS { 1.0 } else { track.level_trust(blocks) };
    let trust: Vec<f32> = known.iter().map(|(_, track, _)| trust_of(track)).collect();
    for b in 0..blocks {
        let block = b * SKETCH..(b + 1) * SKETCH;
        for &j in &spoke {
            let mut centre = [0.0_f32; SKETCH];
            for (k, (_, _, direction)) in known.iter().enumerate().filter(|&(k, _)| k != j) {
                centre.iter_mut().zip(&direction[block.clone()]).for_each(|(slot, value)| *slot += trust[k] * value);
            }
            let length = dot(&centre, &centre).sqrt();
            let along = dot(&known[j].2[block.clone()], &centre);
            known[j].1.score[b] = if length > 0.0 { (along / length) as f32 } else { 0.0 };
        }
        let (middle, mad) = median_and_mad(known.iter().map(|known| known.1.score[b]));
        let count = known.len() as f64;
        let seen = 1.4826 * mad;
        let variance = (count * seen * seen + PRIOR_WEIGHT * SIGMA_PRIOR * SIGMA_PRIOR) / (count + PRIOR_WEIGHT);
        let sigma = variance.sqrt().min(SIGMA_MAX);
        let freeze = if round < FREEZE_FROM { 1.0 } else { (middle / FREEZE_BELOW).clamp(0.0, 1.0) };
        for &j in &spoke {
            let track = &mut *known[j].1;
            follow(&mut track.level[b], (f64::from(track.score[b]) - middle) / sigma, freeze);
        }
    }
}
