//! The verdict: symmetric, with a long memory. This node is one sender among the others.
//!
//! Anchoring it on oneself lost 7.8 points to inner-product manipulation (ROBUST.md). One rule serves
//! every size of network (ADR 6).

use super::sketch::{SKETCH, dot, unit};
use super::{GRACE_ROUNDS, Heard, LEVEL, Track, TrustTable};
use crate::id::NodeId;
use crate::state::median;

/// Median score below which a round is no evidence at all.
const EVIDENCE_FROM: f64 = 0.15;
/// The part of the highest median so far from which a round is evidence, and how much more of it makes
/// full evidence (ADR 6).
///
/// Where shards differ, honest deltas come to cancel each other as learning ends: each then points
/// against the sum of the others, whoever is honest (measured without any attacker: three nodes score
/// -.5 in round 60). Only while senders agree nearly as much as they ever did does opposing them mean
/// anything.
const PEAK_FROM: f64 = 0.7;
const PEAK_SPAN: f64 = 0.15;
/// The score at which a level rests at 0, and the step of one level. Measured on the digits (Dirichlet
/// .5 and .1, 3 to 32 nodes): while that holds the honest score -.19 at worst, sign flippers -.4
/// at best. Bounds relative to the spread of scores shut honest nodes out, and who is shut out
/// opposes the rest ever more.
const SCORE_REST: f64 = -0.2;
const SCORE_STEP: f64 = 0.05;

pub(super) fn judge(table: &mut TrustTable, round: u64, heard: &[Heard], own_spoke: bool) {
    let blocks = table.blocks;
    let own_id = table.own_id;
    let tracks = table.senders.iter_mut().chain([(&own_id, &mut table.own)]).filter(|(_, track)| !track.direction.is_empty());
    let mut known: Vec<(NodeId, &mut Track, Vec<f32>)> = tracks.map(|(&id, track)| (id, &mut *track, Vec::new())).collect();
    // In the order of ids, self included: equal views then add up in the same order, to the last bit.
    known.sort_by_key(|known| known.0);
    known.iter_mut().for_each(|(_, track, direction)| *direction = unit(&track.direction));
    let spoke =
        |id: &NodeId| if *id == own_id { own_spoke } else { heard.binary_search_by_key(id, |heard| heard.author).is_ok() };
    let spoke: Vec<usize> = (0..known.len()).filter(|&k| spoke(&known[k].0)).collect();
    let trust_of = |track: &Track| if round < GRACE_ROUNDS { 1.0 } else { track.trust(blocks) };
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
        let middle = median(&mut known.iter().map(|known| f64::from(known.1.score[b])).collect::<Vec<_>>());
        let peak = f64::from(table.peak[b]).max(middle);
        table.peak[b] = peak as f32;
        let near_peak = ((middle - PEAK_FROM * peak) / (PEAK_SPAN * peak)).clamp(0.0, 1.0);
        let evidence = if middle > EVIDENCE_FROM { near_peak } else { 0.0 };
        for &j in &spoke {
            let track = &mut *known[j].1;
            follow(&mut track.level[b], (f64::from(track.score[b]) - SCORE_REST) / SCORE_STEP, evidence);
        }
    }
}

/// One step of a level towards `z`: it falls fast and rises slowly; without evidence it stays.
fn follow(level: &mut f32, z: f64, evidence: f64) {
    let z = z.clamp(f64::from(LEVEL.0), f64::from(LEVEL.1)) as f32;
    let rate = if z < *level { 0.5 } else { 0.1 };
    *level += evidence as f32 * rate * (z - *level);
}
