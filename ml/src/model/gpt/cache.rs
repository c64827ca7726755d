//! The transformer one token at a time, beside what the tokens before it left behind.
//!
//! The same function as [`Gpt::forward`], which says what it computes: here for the last place of one
//! window alone, in plain loops over the flat weights. A place's keys and values depend on no later
//! place, so they are kept, and a token costs as many multiplications as the model has parameters
//! instead of a whole window's. With one row there is nothing for a tensor library to gain: its calls
//! cost more than the arithmetic.
//!
//! Holds no weights. Reads at most one window; what becomes of longer texts is decided elsewhere.

use super::{Activation, Gpt, NORM_EPSILON, ROTATION_BASE};

/// Sums side by side in a scalar product: so many numbers fit a register of 256 bits, and without them
/// the order of additions forbids the compiler to use registers at all.
const LANES: usize = 8;

/// What the tokens of a window left behind.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    gpt: Gpt,
    vocabulary: usize,
    length: usize,
    /// Of each layer, place after place: `width` numbers, turned by their place.
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    /// Cosine and sine of each place's angles, as far as places were ever read.
    turns: Vec<(f32, f32)>,
    /// The residual stream at the last place.
    stream: Vec<f32>,
}

impl Cache {
    /// Nothing read yet.
    pub(crate) fn new(gpt: Gpt, vocabulary: usize) -> Self {
        let empty = || vec![Vec::new(); gpt.layers];
        Self { gpt, vocabulary, length: 0, keys: empty(), values: empty(), turns: Vec::new(), stream: Vec::new() }
    }

    /// Forgets what was read.
    pub(crate) fn clear(&mut self) {
        self.length = 0;
        self.keys.iter_mut().chain(&mut self.values).for_each(Vec::clear);
    }

    /// Reads one token more. `weights` are all of the model's, the same at every call, and the token is
    /// below the vocabulary; another one is read as the last.
    pub(crate) fn read(&mut self, weights: &[f32], token: u32) {
        let Gpt { width, hidden, .. } = self.gpt;
        let (embedding, layers) = weights.split_at(self.vocabulary * width);
        let token = (token as usize).min(self.vocabulary - 1);
        self.turn_further();
        self.stream.clear();
        self.stream.extend_from_slice(&embedding[token * width..][..width]);
        norm(&mut self.stream);
        let (mut normed, mut qkv) = (vec![0.0; width], vec![0.0; 3 * width]);
        let (mut heard, mut added, mut inner) = (vec![0.0; width], vec![0.0; width], vec![0.0; hidden]);
        for (i, layer) in layers.chunks_exact(4 * width * width + 2 * width * hidden).enumerate() {
            let (attend, feed) = layer.split_at(4 * width * width);
            let (into, out) = attend.split_at(3 * width * width);
            normed.copy_from_slice(&self.stream);
            norm(&mut normed);
            times(&normed, into, &mut qkv);
            self.hear(i, &mut qkv, &mut heard);
            times(&heard, out, &mut added);
            add(&mut self.stream, &added);

            let (up, down) = feed.split_at(width * hidden);
            normed.copy_from_slice(&self.stream);
            norm(&mut normed);
            times(&normed, up, &mut inner);
            inner.iter_mut().for_each(|x| *x = self.gpt.activation.of_one(*x));
            times(&inner, down, &mut added);
            add(&mut self.stream, &added);
        }
        self.length += 1;
    }

    /// Logits of the token after the last one read; zeros if none was.
    pub(crate) fn logits(&self, weights: &[f32]) -> Vec<f32> {
        let width = self.gpt.width;
        let mut last = if self.length == 0 { vec![0.0; width] } else { self.stream.clone() };
        norm(&mut last);
        weights[..self.vocabulary * width].chunks_exact(width).map(|row| dot(&last, row)).collect()
    }

    /// Takes up the angles of the next place, if they are new.
    fn turn_further(&mut self) {
        let pairs = self.gpt.width / self.gpt.heads / 2;
        if self.turns.len() == self.length * pairs {
            let angle = |pair: usize| self.length as f64 / ROTATION_BASE.powf(pair as f64 / pairs as f64);
            self.turns.extend((0..pairs).map(|pair| (angle(pair).cos() as f32, angle(pair).sin() as f32)));
        }
    }

    /// What the last place hears of all up to itself in this layer, from its query, key and value side by
    /// side; keeps key and value.
    fn hear(&mut self, layer: usize, qkv: &mut [f32], heard: &mut [f32]) {
        let width = self.gpt.width;
        let head = width / self.gpt.heads;
        let turns = &self.turns[self.length * (head / 2)..][..head / 2];
        let (turned, value) = qkv.split_at_mut(2 * width);
        turned.chunks_exact_mut(head).for_each(|head| turn(head, turns));
        let (query, key) = turned.split_at(width);
        self.keys[layer].extend_from_slice(key);
        self.values[layer].extend_from_slice(value);
        let (keys, values) = (&self.keys[layer], &self.values[layer]);
        let scale = (head as f32).sqrt().recip();
        let mut scores = vec![0.0; self.length + 1];
        for (h, heard) in heard.chunks_exact_mut(head).enumerate() {
            let own = h * head..(h + 1) * head;
            let query = &query[own.clone()];
            for (score, key) in scores.iter_mut().zip(keys.chunks_exact(width)) {
                *score = scale * dot(query, &key[own.clone()]);
            }
            softmax(&mut scores);
            heard.fill(0.0);
            for (&score, value) in scores.iter().zip(values.chunks_exact(width)) {
                heard.iter_mut().zip(&value[own.clone()]).for_each(|(heard, value)| *heard += score * value);
            }
        }
    }
}

/// A row times a matrix of as many rows. Four rows at a time, so that the sum is loaded and stored a
/// quarter as often.
fn times(row: &[f32], matrix: &[f32], sum: &mut [f32]) {
    let columns = sum.len();
    sum.fill(0.0);
    for (x, rows) in row.chunks(4).zip(matrix.chunks(4 * columns)) {
        let mut rows = rows.chunks_exact(columns);
        if let ([a, b, c, d], Some(p), Some(q), Some(r), Some(s)) = (x, rows.next(), rows.next(), rows.next(), rows.next()) {
            for ((((sum, p), q), r), s) in sum.iter_mut().zip(p).zip(q).zip(r).zip(s) {
                *sum += (a * p + b * q) + (c * r + d * s);
            }
        } else {
            let left = matrix.chunks_exact(columns).skip(row.len() - x.len());
            for (x, row) in x.iter().zip(left) {
                sum.iter_mut().zip(row).for_each(|(sum, y)| *sum += x * y);
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_left), (b, b_left)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_left.iter().zip(b_left).map(|(a, b)| a * b).sum::<f32>()
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// A row divided by its root mean square.
fn norm(x: &mut [f32]) {
    let root = (dot(x, x) / x.len() as f32 + NORM_EPSILON).sqrt();
    x.iter_mut().for_each(|x| *x /= root);
}

/// Turns the pair of number `j` and number `j + half` by the angle of its place.
fn turn(head: &mut [f32], turns: &[(f32, f32)]) {
    let (first, second) = head.split_at_mut(turns.len());
    for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(turns) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}

fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let total: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= total);
}

impl Activation {
    /// Of one number.
    fn of_one(self, x: f32) -> f32 {
        match self {
            Self::Gelu => gelu(x),
            Self::Relu2 => x.max(0.0) * x.max(0.0),
        }
    }
}

/// `x / 2 (1 + erf(x / sqrt 2))`. The error function by Abramowitz and Stegun, Handbook of Mathematical
/// Functions, 7.1.26, which is off by 1.5e-7 at most: what f32 holds of it.
fn gelu(x: f32) -> f32 {
    const P: f32 = 0.327_591_1;
    const A: [f32; 5] = [0.254_829_6, -0.284_496_74, 1.421_413_7, -1.453_152, 1.061_405_4];
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = (1.0 + P * z).recip();
    let tail = A.iter().rev().fold(0.0, |sum, a| (sum + a) * t) * (-z * z).exp();
    // The tail of a large |x| is nothing: x or 0 is left.
    if x < 0.0 { x / 2.0 * tail } else { x - x / 2.0 * tail }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SMALL, SQUARED, VOCABULARY, logits_of, weights};
    use super::*;

    #[test]
    fn token_by_token_it_is_the_whole_forward_at_every_length() {
        let weights = weights();
        let tokens = [3, 1, 4, 1, 5, 2, 6, 5, 3, 0, 6, 2];
        for gpt in [SMALL, SQUARED] {
            let mut cache = Cache::new(gpt, VOCABULARY);
            // A second text must find nothing of the first.
            for tokens in [&tokens[..5], &tokens] {
                cache.clear();
                for length in 1..=tokens.len() {
                    cache.read(&weights, tokens[length - 1]);
                    let whole = logits_of(gpt, &weights, &tokens[..length], length);
                    for (step, whole) in cache.logits(&weights).iter().zip(&whole[length - 1]) {
                        assert!((step - whole).abs() < 1e-4, "{length}: {step} {whole}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_that_are_no_multiple_of_four_are_all_counted() {
        for rows in 1..10_usize {
            let row: Vec<f32> = (1..=rows).map(|i| i as f32).collect();
            let matrix: Vec<f32> = (0..rows * 3).map(|i| i as f32).collect();
            let mut sum = [f32::NAN; 3];
            times(&row, &matrix, &mut sum);
            for (j, sum) in sum.iter().enumerate() {
                let expected: f32 = (0..rows).map(|i| row[i] * matrix[i * 3 + j]).sum();
                assert_eq!(*sum, expected, "{rows} rows, column {j}");
            }
            assert_eq!(dot(&row, &row), row.iter().map(|x| x * x).sum::<f32>());
        }
    }

    #[test]
    fn gelu_has_its_known_values() {
        let table = [(0.0, 0.0), (1.0, 0.841_344_7), (-1.0, -0.158_655_25), (0.5, 0.345_731_2), (-3.0, -0.004_049_7)];
        for (x, y) in table {
            assert!((gelu(x) - y).abs() < 1e-6, "{x}: {} {y}", gelu(x));
        }
        assert_eq!([gelu(-30.0), gelu(30.0)].map(f32::abs), [0.0, 30.0]);
    }
}
