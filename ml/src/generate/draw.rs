//! From logits to a token.
//!
//! Probabilities are computed in f64 and in the order of the tokens, so that a seed means the same
//! token wherever the logits are the same.

use rand_chacha::ChaCha8Rng;

use crate::seed;

/// A token, drawn by its probability at this temperature among the likeliest that together have the
/// share `top_p`; at temperature 0 the likeliest, of several the first. The logits are finite and one at
/// least.
pub(super) fn draw(logits: &[f32], temperature: f32, top_p: f32, rng: &mut ChaCha8Rng) -> u32 {
    // The last of equals wins, so the first token must come last.
    let best = logits.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(token, _)| token);
    if temperature <= 0.0 {
        return best as u32;
    }
    let most = f64::from(logits.get(best).copied().unwrap_or(0.0));
    let weight = |logit: f32| ((f64::from(logit) - most) / f64::from(temperature)).exp();
    let mut weights: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|&logit| weight(logit))).collect();
    let mut total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    if top_p < 1.0 {
        // Stable: of equals the first token is kept.
        weights.sort_by(|a, b| b.1.total_cmp(&a.1));
        let share = f64::from(top_p) * total;
        let mut sum = 0.0;
        let enough = weights.iter().position(|(_, weight)| {
            sum += weight;
            sum >= share
        });
        weights.truncate(enough.map_or(weights.len(), |last| last + 1));
        total = weights.iter().map(|(_, weight)| weight).sum();
    }
    let mut left = seed::unit(rng) * total;
    for &(token, weight) in &weights {
        left -= weight;
        if left < 0.0 {
            return token;
        }
    }
    // Rounding may leave a hair more than there is.
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Purpose;

    const LOGITS: [f32; 4] = [0.0, 2.0, 1.0, 2.0];

    fn counts(temperature: f32, top_p: f32) -> [u32; 4] {
        let mut rng = seed::stream(3, Purpose::Sample, 0);
        let mut counts = [0; 4];
        for _ in 0..4_000 {
            counts[draw(&LOGITS, temperature, top_p, &mut rng) as usize] += 1;
        }
        counts
    }

    #[test]
    fn without_temperature_it_is_the_first_of_the_likeliest() {
        assert_eq!(counts(0.0, 1.0), [0, 4_000, 0, 0]);
    }

    #[test]
    fn tokens_come_as_often_as_their_probability_says() {
        for temperature in [0.5_f32, 1.0, 2.0] {
            let weights = LOGITS.map(|logit| f64::from(logit / temperature).exp());
            let total: f64 = weights.iter().sum();
            for (count, weight) in counts(temperature, 1.0).iter().zip(weights) {
                let expected = 4_000.0 * weight / total;
                // Five deviations of a count.
                assert!((f64::from(*count) - expected).abs() < 5.0 * expected.sqrt() + 1.0, "{temperature}: {count} {expected}");
            }
        }
    }

    #[test]
    fn a_share_leaves_the_least_likely_out() {
        // Shares: .400 .400 .147 .054.
        assert_eq!(counts(1.0, 0.3), [0, 4_000, 0, 0]);
        let [never, first, rare, second] = counts(1.0, 0.75);
        assert!(never == 0 && rare == 0 && first > 1_700 && second > 1_700);
        let [never, .., second] = counts(1.0, 0.9);
        assert!(never == 0 && second > 1_000);
    }
}
