//! The transformer against one written out in plain loops, and what must hold of any weights.

use super::*;
use crate::flat;
use crate::layout::Layout;
use crate::seed::{self, Purpose};

pub(super) const SMALL: Gpt = Gpt { layers: 2, width: 8, heads: 2, hidden: 5, activation: Activation::Gelu };
pub(super) const VOCABULARY: usize = 7;

fn device() -> Device {
    crate::Device::Cpu.open()
}

fn layout(gpt: Gpt, vocabulary: usize) -> Layout {
    Layout::new(gpt.tensors(vocabulary)).expect("a layout")
}

/// Weights of which none is zero.
pub(super) fn weights() -> Vec<f32> {
    let mut rng = seed::stream(5, Purpose::Init, 0);
    (0..layout(SMALL, VOCABULARY).param_count()).map(|_| seed::symmetric(&mut rng, 0.8)).collect()
}

/// The same with the other activation.
pub(super) const SQUARED: Gpt = Gpt { activation: Activation::Relu2, ..SMALL };

fn logits(weights: &[f32], tokens: &[u32], context: usize) -> Vec<Vec<f32>> {
    logits_of(SMALL, weights, tokens, context)
}

/// Logits of windows of `context` tokens, place after place.
pub(super) fn logits_of(gpt: Gpt, weights: &[f32], tokens: &[u32], context: usize) -> Vec<Vec<f32>> {
    let parameters = flat::to_tensors(&layout(SMALL, VOCABULARY), weights, &device());
    let numbers: Vec<f32> = tokens.iter().map(|&token| token as f32).collect();
    let tokens = Tensor::from_data(TensorData::new(numbers, [tokens.len() / context, context]), &device());
    let logits = gpt.forward(&parameters, tokens).try_to_vec_as::<f32>().expect("numbers");
    logits.chunks_exact(VOCABULARY).map(<[f32]>::to_vec).collect()
}

#[test]
fn sizes_are_what_the_formula_says() {
    let count = |layers, width, heads, hidden| layout(Gpt { layers, width, heads, hidden, ..SMALL }, 68).param_count();
    assert_eq!(count(2, 32, 4, 166), 31_616);
    assert_eq!(count(1, 16, 2, 140), 6_592);
    assert_eq!(count(3, 64, 4, 281), 161_408);
}

#[test]
fn a_later_token_changes_no_earlier_logit() {
    let weights = weights();
    let tokens = [3, 1, 4, 1, 5, 2, 6, 5];
    let before = logits(&weights, &tokens, 8);
    for changed in 0..8 {
        let mut others = tokens;
        others[changed] = (tokens[changed] + 1) % VOCABULARY as u32;
        let after = logits(&weights, &others, 8);
        assert_eq!(before[..changed], after[..changed], "token {changed}");
        assert!((changed..8).all(|place| before[place] != after[place]), "token {changed} must be heard from its place on");
    }
}

#[test]
fn windows_of_a_batch_do_not_hear_each_other() {
    let weights = weights();
    let tokens = [3, 1, 4, 1, 5, 2, 6, 5];
    let apart = [logits(&weights, &tokens[..4], 4), logits(&weights, &tokens[4..], 4)].concat();
    for (together, apart) in logits(&weights, &tokens, 4).iter().flatten().zip(apart.iter().flatten()) {
        assert!((together - apart).abs() < 1e-5, "{together} {apart}");
    }
}

#[test]
fn turned_numbers_keep_their_length_and_know_only_how_far_apart_they_are() {
    let (context, head) = (9, 6);
    let places = Places::new(context, head, &device());
    let everywhere = |x: [f32; 6]| {
        let tensor = Tensor::from_data(TensorData::new(x.repeat(context), [1, 1, context, head]), &device());
        let turned = places.turn(tensor).try_to_vec_as::<f32>().expect("numbers");
        turned.chunks_exact(head).map(<[f32]>::to_vec).collect::<Vec<_>>()
    };
    let (query, key) = (everywhere([0.5, -1.0, 2.0, 0.1, 0.7, -0.3]), everywhere([1.0, 0.2, -0.4, 0.6, 0.9, 1.1]));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    assert_eq!(query[0], [0.5, -1.0, 2.0, 0.1, 0.7, -0.3]);
    for i in 0..context {
        assert!((dot(&query[i], &query[i]) - dot(&query[0], &query[0])).abs() < 1e-4);
        for j in 0..=i {
            assert!((dot(&query[i], &key[j]) - dot(&query[i - j], &key[0])).abs() < 1e-4, "{i} {j}");
        }
    }
    assert!((dot(&query[0], &key[0]) - dot(&query[3], &key[0])).abs() > 0.1, "places must matter");
}

/// Rows of a matrix times a row.
fn times(row: &[f64], matrix: &[f32]) -> Vec<f64> {
    let columns = matrix.len() / row.len();
    (0..columns).map(|j| row.iter().enumerate().map(|(i, x)| x * f64::from(matrix[i * columns + j])).sum()).collect()
}

fn normed(row: &[f64]) -> Vec<f64> {
    let root = (row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64 + 1e-6).sqrt();
    row.iter().map(|x| x / root).collect()
}

fn turned(head: &[f64], place: usize) -> Vec<f64> {
    let pairs = head.len() / 2;
    let mut turned = head.to_vec();
    for j in 0..pairs {
        let (sin, cos) = (place as f64 / 10_000_f64.powf(j as f64 / pairs as f64)).sin_cos();
        turned[j] = head[j] * cos - head[j + pairs] * sin;
        turned[j + pairs] = head[j + pairs] * cos + head[j] * sin;
    }
    turned
}

/// `x / 2 (1 + erf(x / sqrt 2))`, the error function by its series.
fn gelu_by_series(x: f64) -> f64 {
    let z = x / 2_f64.sqrt();
    let (mut sum, mut power) = (0.0, z);
    for n in 0..60 {
        sum += power / f64::from(2 * n + 1);
        power *= -z * z / f64::from(n + 1);
    }
    x / 2.0 * (1.0 + 2.0 / std::f64::consts::PI.sqrt() * sum)
}

/// What the places of one window hear: one head after the other.
fn heard(qkv: &[Vec<f64>], place: usize) -> Vec<f64> {
    let head = SMALL.width / SMALL.heads;
    let mut heard = Vec::new();
    for h in 0..SMALL.heads {
        let part = |place: usize, third: usize| &qkv[place][third * SMALL.width + h * head..][..head];
        let query = turned(part(place, 0), place);
        let score = |other: usize| {
            let key = turned(part(other, 1), other);
            (query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() / (head as f64).sqrt()).exp()
        };
        let scores: Vec<f64> = (0..=place).map(score).collect();
        let total: f64 = scores.iter().sum();
        heard.extend((0..head).map(|i| (0..=place).map(|other| scores[other] / total * part(other, 2)[i]).sum::<f64>()));
    }
    heard
}

#[test]
fn logits_are_what_plain_loops_find() {
    against_plain_loops(SMALL, gelu_by_series);
    against_plain_loops(SQUARED, |x| x.max(0.0).powi(2));
}

fn against_plain_loops(gpt: Gpt, activation: fn(f64) -> f64) {
    let weights = weights();
    let layout = layout(SMALL, VOCABULARY);
    let matrices: Vec<&[f32]> = layout.ranges().map(|(_, range)| &weights[range]).collect();
    let tokens = [2_u32, 6, 0, 0, 3];
    let row = |token: u32| &matrices[0][token as usize * SMALL.width..][..SMALL.width];
    let mut x: Vec<Vec<f64>> =
        tokens.iter().map(|&token| normed(&row(token).iter().copied().map(f64::from).collect::<Vec<_>>())).collect();
    let add = |x: &mut [f64], y: Vec<f64>| x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    for layer in matrices[1..].chunks_exact(LAYER_TENSORS) {
        let qkv: Vec<Vec<f64>> = x.iter().map(|x| times(&normed(x), layer[0])).collect();
        for (place, x) in x.iter_mut().enumerate() {
            add(x, times(&heard(&qkv, place), layer[1]));
            let hidden: Vec<f64> = times(&normed(x), layer[2]).into_iter().map(activation).collect();
            add(x, times(&hidden, layer[3]));
        }
    }
    for (x, logits) in x.iter().zip(logits_of(gpt, &weights, &tokens, tokens.len())) {
        for (token, logit) in (0..).zip(logits) {
            let expected: f64 = normed(x).iter().zip(row(token)).map(|(x, &e)| x * f64::from(e)).sum();
            assert!((f64::from(logit) - expected).abs() < 1e-4, "{logit} {expected}");
        }
    }
}
