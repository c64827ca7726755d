//! How good weights are, on examples that were not trained on.
//!
//! [`evaluate`] is what a node can afford after every round: accuracy and loss, computed where the
//! tensors are. [`Evaluation::of`] says all that a person may ask, from the logits themselves.

mod evaluation;

pub use evaluation::{ClassScore, Evaluation, TextScore};

use crate::data::{Batch, DataError, Dataset};
use crate::device::Device;
use crate::flat::{self, WeightsError};
use crate::loss::cross_entropy;
use crate::task::Task;

/// What an evaluation found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// Share of answers that are the most likely one, 0 to 1: of labelled examples the labels, of a
    /// text the next characters.
    pub accuracy: f64,
    /// Mean cross-entropy per answer, nats.
    pub loss: f64,
    /// Examples looked at; of a text windows, each with as many answers as it has characters.
    pub examples: usize,
}

/// An evaluation that cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// The data does not fit the task.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The weights do not fit the task.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The device failed to compute or to hand over a result.
    #[error("the device failed")]
    Device,
}

/// Evaluates weights on all of `data`. Finite weights may still be so large that the loss is not a
/// number; that is a finding, not an error.
///
/// # Errors
/// [`EvalError`] if weights or data do not fit the task, or the device fails.
pub fn evaluate(task: &Task, weights: &[f32], data: &Dataset, device: Device) -> Result<Metrics, EvalError> {
    data.check(task)?;
    flat::check(task.layout(), weights)?;
    let device = device.open();
    let parameters = flat::to_tensors(task.layout(), weights, &device);
    let examples = data.len();
    let (mut right, mut answered, mut loss) = (0_u64, 0_usize, 0.0_f64);
    for start in (0..examples).step_by(task.evaluation_batch()) {
        let end = examples.min(start + task.evaluation_batch());
        let Batch { inputs, answers } = data.batch(start..end, &device)?;
        answered += answers.dims()[0];
        let logits = task.model().forward(&parameters, inputs);
        let hits = logits.clone().argmax(1).equal(answers.clone()).int().sum();
        right += u64::from(hits.try_into_scalar::<u32>().map_err(|_| EvalError::Device)?);
        let mean = cross_entropy(logits, answers).try_into_scalar::<f32>().map_err(|_| EvalError::Device)?;
        loss += f64::from(mean) * (end - start) as f64;
    }
    Ok(Metrics { accuracy: right as f64 / answered as f64, loss: loss / examples as f64, examples })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logistic regression of two numbers into three classes.
    fn task() -> Task {
        let text = "kind = 'classify'\ninputs = [2]\nclasses = 3\nbatch = 1\nmodel = { kind = 'mlp', hidden = [] }
                    optimizer = { kind = 'sgd', rate = 1 }";
        Task::parse(&text.parse().expect("a table")).expect("a task")
    }

    #[test]
    fn metrics_are_what_a_calculation_by_hand_finds() {
        // Logits of (x, y): (x, y, 0).
        let weights = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        let data = Dataset::new(vec![2.0, 0.0, 0.0, 2.0, 1.0, 0.0], vec![0, 1, 2], &[2], 3).expect("a data set");
        let metrics = evaluate(&task(), &weights, &data, Device::Cpu).expect("evaluated");
        let sure = (2_f64.exp() + 2.0).ln() - 2.0;
        let wrong = (1_f64.exp() + 2.0).ln();
        assert_eq!(metrics.examples, 3);
        assert!((metrics.accuracy - 2.0 / 3.0).abs() < 1e-9);
        assert!((metrics.loss - (2.0 * sure + wrong) / 3.0).abs() < 1e-6, "{}", metrics.loss);
    }

    #[test]
    fn many_examples_are_weighed_alike_however_they_are_divided() {
        let count = 2_500;
        assert!(count > 2 * task().evaluation_batch());
        let weights = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        let inputs = (0..2 * count).map(|i| if i < count { 1.0 } else { -1.0 }).collect();
        let data = Dataset::new(inputs, vec![2; count], &[2], 3).expect("a data set");
        let metrics = evaluate(&task(), &weights, &data, Device::Cpu).expect("evaluated");
        assert_eq!(metrics.accuracy, 0.5);
        let (first, second) = ((2.0 * 1_f64.exp() + 1.0).ln(), (2.0 * (-1_f64).exp() + 1.0).ln());
        assert!((metrics.loss - (first + second) / 2.0).abs() < 1e-5, "{}", metrics.loss);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let data = Dataset::new(vec![0.0; 2], vec![0], &[2], 3).expect("a data set");
        let count = evaluate(&task(), &[0.0; 8], &data, Device::Cpu).expect_err("refused");
        assert_eq!(count, EvalError::Weights(WeightsError::Count { expected: 9, actual: 8 }));
        let other = Dataset::new(vec![0.0; 2], vec![0], &[2], 2).expect("a data set");
        assert_eq!(
            evaluate(&task(), &[0.0; 9], &other, Device::Cpu),
            Err(EvalError::Data(DataError::OtherClasses { task: 3, data: 2 }))
        );
    }
}
