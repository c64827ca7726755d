//! From sound to a picture of it: the energy in bands of the mel scale, every ten milliseconds.
//!
//! As speech recognition has done since Davis and Mermelstein (1980): windows of 25 ms (Hann), their power
//! spectrum, triangular bands equally wide in mel, and the logarithm. The bands reach from 50 to 4,000 Hz
//! whatever the rate of the sound, so recordings of several rates can be learned together.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Lowest and highest frequency, Hz: what telephones carry, and what the least rate holds.
const LOW: f64 = 50.0;
const HIGH: f64 = 4_000.0;
/// Least and most samples a second: telephones, and studios.
pub(super) const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Added to every energy, so that silence has a logarithm: -60 dB of a full-scale tone, roughly.
const FLOOR: f64 = 1e-6;
/// Brings silence to -1 and a full-scale tone near 1: half of -ln(1e-6).
const HALF_RANGE: f64 = 6.9;

/// Makes spectrograms of sounds of one rate.
pub(super) struct Mel {
    fft: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    /// Samples from one frame to the next, times 100.
    rate: u32,
    /// For each band the weight of each frequency, from the first that counts.
    bands: Vec<(usize, Vec<f64>)>,
}

impl Mel {
    /// For sounds of this rate, which is one of [`RATES`].
    pub(super) fn new(rate: u32, bands: usize) -> Self {
        let length = (rate as usize / 40).max(2);
        let angle = std::f64::consts::TAU / length as f64;
        let window: Vec<f64> = (0..length).map(|i| 0.5 - 0.5 * (angle * i as f64).cos()).collect();
        let fft = RealFftPlanner::new().plan_fft_forward(length);
        let hertz = f64::from(rate) / length as f64;
        let (low, high) = (mel(LOW), mel(HIGH));
        let edge = |i: usize| hz(low + (high - low) * i as f64 / (bands + 1) as f64);
        let bands =
            (0..bands).map(|band| triangle([edge(band), edge(band + 1), edge(band + 2)], hertz, length / 2 + 1)).collect();
        Self { fft, window, rate, bands }
    }

    /// Samples that so many frames reach over.
    pub(super) fn samples(&self, frames: usize) -> usize {
        self.begin(frames.saturating_sub(1)) + self.window.len()
    }

    /// The frame that begins here, counted from 0: every ten milliseconds one.
    fn begin(&self, frame: usize) -> usize {
        (frame as u64 * u64::from(self.rate) / 100) as usize
    }

    /// Adds `bands` times `frames` numbers, band after band; samples are -1 to 1. What is shorter goes on in
    /// silence; what is longer is cut.
    pub(super) fn append(&self, samples: &[f32], frames: usize, inputs: &mut Vec<f32>) {
        let start = inputs.len();
        inputs.resize(start + self.bands.len() * frames, 0.0);
        let mut spectrum: Vec<Complex<f64>> = self.fft.make_output_vec();
        // The power of a full-scale tone within the window is then 1.
        let scale = 4.0 / (self.window.iter().sum::<f64>()).powi(2);
        for frame in 0..frames {
            let rest = samples.get(self.begin(frame)..).unwrap_or_default();
            let sample = |i: usize| rest.get(i).copied().map_or(0.0, f64::from);
            let mut piece: Vec<f64> = self.window.iter().enumerate().map(|(i, weight)| weight * sample(i)).collect();
            // Fails only for other lengths than it was planned for.
            if self.fft.process(&mut piece, &mut spectrum).is_err() {
                continue;
            }
            for (band, (first, weights)) in self.bands.iter().enumerate() {
                let energy: f64 = weights.iter().zip(&spectrum[*first..]).map(|(weight, bin)| weight * bin.norm_sqr()).sum();
                inputs[start + band * frames + frame] = ((energy * scale + FLOOR).ln() / HALF_RANGE + 1.0) as f32;
            }
        }
    }
}

/// Hertz to mel (O'Shaughnessy 1987).
fn mel(hz: f64) -> f64 {
    2_595.0 * (1.0 + hz / 700.0).log10()
}

fn hz(mel: f64) -> f64 {
    700.0 * (10_f64.powf(mel / 2_595.0) - 1.0)
}

/// The weights of the bins, `hertz` apart, under a triangle with these corners. A band narrower than a bin
/// has the nearest.
fn triangle([low, middle, high]: [f64; 3], hertz: f64, bins: usize) -> (usize, Vec<f64>) {
    let weight = |bin: usize| {
        let at = bin as f64 * hertz;
        ((at - low) / (middle - low)).min((high - at) / (high - middle)).max(0.0)
    };
    let first = ((low / hertz) as usize).min(bins - 1);
    let last = ((high / hertz).ceil() as usize).min(bins - 1);
    let weights: Vec<f64> = (first..=last).map(weight).collect();
    if weights.iter().sum::<f64>() > 0.0 {
        (first, weights)
    } else {
        (((middle / hertz).round() as usize).min(bins - 1), vec![1.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tone(rate: u32, hz: f64, level: f64) -> Vec<f32> {
        (0..rate).map(|i| (level * (std::f64::consts::TAU * hz * f64::from(i) / f64::from(rate)).sin()) as f32).collect()
    }

    fn loudest(rate: u32, hz: f64) -> (usize, f32) {
        let mut numbers = Vec::new();
        Mel::new(rate, 20).append(&tone(rate, hz, 1.0), 90, &mut numbers);
        let column: Vec<f32> = (0..20).map(|band| numbers[band * 90 + 45]).collect();
        let best = (0..20).max_by(|&a, &b| column[a].total_cmp(&column[b])).expect("bands");
        (best, column[best])
    }

    #[test]
    fn a_tone_is_in_its_band_at_every_rate() {
        let bands = [100.0, 440.0, 1_000.0, 3_500.0].map(|hz| loudest(16_000, hz).0);
        assert!(bands.is_sorted() && bands[0] <= 1 && bands[3] >= 18, "{bands:?}");
        for rate in [8_000, 11_025, 22_050, 44_100, 48_000] {
            let (band, level) = loudest(rate, 1_000.0);
            assert!(band.abs_diff(bands[2]) <= 1, "{rate}: {band}");
            assert!((0.8..1.3).contains(&level), "{rate}: {level}");
        }
    }

    #[test]
    fn silence_and_what_is_behind_the_end_are_the_least() {
        let mel = Mel::new(8_000, 4);
        let mut numbers = Vec::new();
        mel.append(&tone(8_000, 500.0, 0.5)[..2_000], 40, &mut numbers);
        assert_eq!(numbers.len(), 160);
        let least = ((FLOOR).ln() / HALF_RANGE + 1.0) as f32;
        assert!((numbers[39] - least).abs() < 1e-6 && (least + 1.0).abs() < 0.01);
        assert!(numbers[40 + 10] > 0.0, "half a second in the second band");
        assert_eq!(mel.samples(40), 39 * 80 + 200);
    }

    proptest! {
        #[test]
        fn any_sound_gives_finite_numbers(rate in 8_000_u32..192_000, bands in 1_usize..128, samples in prop::collection::vec(-1.0_f32..1.0, 0..600)) {
            let mut numbers = Vec::new();
            Mel::new(rate, bands).append(&samples, 3, &mut numbers);
            prop_assert_eq!(numbers.len(), 3 * bands);
            prop_assert!(numbers.iter().all(|number| number.is_finite()));
        }
    }
}
