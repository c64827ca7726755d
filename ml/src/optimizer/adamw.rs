//! AdamW: steps of a size that each parameter's own gradients decide.
//!
//! ```text
//! t <- t + 1;  m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
//! w <- (1 - rate decay) w - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
//! ```
//! Loshchilov and Hutter 2019 (arXiv 1711.05101), algorithm 2, starting from zero; as in PyTorch the
//! decay is multiplied by the rate and applies to every tensor.

use burn::tensor::{Device, Tensor};

use super::AdamW;
use crate::flat;
use crate::layout::Layout;

/// The two means of all gradients so far.
#[derive(Clone)]
pub(super) struct Moments {
    spec: AdamW,
    /// One of each per tensor of the layout, flattened.
    mean: Vec<Tensor<1>>,
    square: Vec<Tensor<1>>,
}

impl Moments {
    /// No gradient yet; `zeros` has one tensor for each of the layout's.
    pub(super) fn new(spec: AdamW, zeros: Vec<Tensor<1>>) -> Self {
        Self { spec, mean: zeros.clone(), square: zeros }
    }

    /// The value of tensor `index` after step `steps`, counted from 1, at this share of the rate.
    /// `index` is below the number of tensors.
    pub(super) fn step(&mut self, index: usize, steps: u32, share: f32, value: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let AdamW { beta1, beta2, epsilon, decay, .. } = self.spec;
        let (mean, square) = (&mut self.mean[index], &mut self.square[index]);
        square.inplace(|square| square.mul_scalar(beta2).add(gradient.clone().mul(gradient.clone()).mul_scalar(1.0 - beta2)));
        mean.inplace(|mean| mean.mul_scalar(beta1).add(gradient.mul_scalar(1.0 - beta1)));
        let rate = self.spec.rate * share;
        let root = square.clone().sqrt().div_scalar(correction(beta2, steps).sqrt()).add_scalar(epsilon);
        let step = mean.clone().mul_scalar(rate / correction(beta1, steps)).div(root);
        if decay > 0.0 { value.mul_scalar(1.0 - rate * decay).sub(step) } else { value.sub(step) }
    }

    /// The means, then the means of squares.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &[Tensor<1>]> {
        [&self.mean[..], &self.square].into_iter()
    }

    /// As [`super::Optimizer::restore`], of the same. A mean of squares is not negative.
    pub(super) fn restore(&mut self, layout: &Layout, means: &[f32], device: &Device) -> bool {
        let Some((mean, square)) = means.split_at_checked(layout.param_count()) else { return false };
        if square.len() != mean.len() || square.iter().any(|&square| square < 0.0) {
            return false;
        }
        self.mean = flat::to_tensors(layout, mean, device);
        self.square = flat::to_tensors(layout, square, device);
        true
    }
}

/// `1 - beta^steps`: how much of a mean that began at zero is gradients. In f64, where a beta close
/// to 1 leaves something after the first step.
fn correction(beta: f32, steps: u32) -> f32 {
    (1.0 - f64::from(beta).powf(steps.into())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: AdamW = AdamW { rate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-3, decay: 0.5 };

    fn tensor(values: &[f32]) -> Tensor<1> {
        flat::from_slice(values, &crate::Device::Cpu.open())
    }

    fn step(moments: &mut Moments, steps: u32, value: Tensor<1>, gradient: &[f32]) -> Tensor<1> {
        moments.step(0, steps, 1.0, value, tensor(gradient))
    }

    #[test]
    fn three_steps_are_what_a_calculation_by_hand_finds() {
        let mut moments = Moments::new(SPEC, vec![tensor(&[0.0, 0.0])]);
        let mut value = tensor(&[1.0, -2.0]);
        let (mut w, mut m, mut v) = ([1.0_f64, -2.0], [0.0_f64; 2], [0.0_f64; 2]);
        for (t, gradient) in (1..).zip([[0.5_f32, -4.0], [0.25, 2.0], [-1.0, 0.0]]) {
            value = step(&mut moments, t as u32, value, &gradient);
            for i in 0..2 {
                let g = f64::from(gradient[i]);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.99 * v[i] + 0.01 * g * g;
                let (m_hat, v_hat) = (m[i] / (1.0 - 0.9_f64.powi(t)), v[i] / (1.0 - 0.99_f64.powi(t)));
                w[i] -= 0.1 * (0.5 * w[i] + m_hat / (v_hat.sqrt() + 1e-3));
            }
            for (value, w) in value.try_to_vec_as::<f32>().expect("numbers").into_iter().zip(w) {
                assert!((f64::from(value) - w).abs() < 1e-5, "step {t}: {value} {w}");
            }
        }
        // The first step by hand, in full: 1 - 0.1 (0.5 + 0.5 / 0.501).
        let mut fresh = Moments::new(SPEC, vec![tensor(&[0.0])]);
        let first = step(&mut fresh, 1, tensor(&[1.0]), &[0.5]).try_to_vec_as::<f32>().expect("numbers");
        assert!((first[0] - 0.850_199_6).abs() < 1e-6, "{first:?}");
    }

    #[test]
    fn of_equal_gradients_every_step_is_the_rate_times_its_share() {
        let mut moments = Moments::new(AdamW { decay: 0.0, epsilon: 1e-8, ..SPEC }, vec![tensor(&[0.0])]);
        let mut value = tensor(&[0.0]);
        let mut before = 0.0_f32;
        for (steps, share) in (1..).zip([0.25, 0.5, 1.0, 0.1]) {
            value = moments.step(0, steps, share, value, tensor(&[3.0]));
            let now = value.try_to_vec_as::<f32>().expect("numbers")[0];
            assert!((before - now - 0.1 * share).abs() < 1e-5, "{} {share}", before - now);
            before = now;
        }
    }
}
