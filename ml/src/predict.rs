//! What a model says of examples: its weights held as tensors once, then as many questions as wanted.
//!
//! For models that tell examples apart; texts go on in [`crate::generate`]. Answers are of the weights
//! that it was made with: newer weights are a new predictor.

use burn::tensor::{Tensor, TensorData};

use crate::device::Device;
use crate::flat::{self, WeightsError};
use crate::task::Task;

/// A question that cannot be answered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PredictError {
    /// The task's models continue texts.
    #[error("the model of this run continues texts; it does not classify examples")]
    Text,
    /// The weights do not fit the task.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Numbers that are not whole examples, or none at all.
    #[error("an example has {expected} numbers (the shape {shape:?}), but {actual} were given")]
    Count {
        /// Numbers in one example.
        expected: usize,
        /// Its shape.
        shape: Vec<usize>,
        /// What was given.
        actual: usize,
    },
    /// A NaN or an infinity in an example.
    #[error("number {0} is not finite")]
    NotFinite(usize),
    /// The weights are finite, but what they compute is not.
    #[error("the model's answer is not a number: its weights have grown too large")]
    Overflow,
    /// The device failed to compute or to hand over a result.
    #[error("the device failed")]
    Device,
}

/// A classifier at hand.
pub struct Predictor {
    task: Task,
    parameters: Vec<Tensor<1>>,
    device: burn::tensor::Device,
    /// Numbers in one example.
    each: usize,
}

impl Predictor {
    /// Takes up the weights of a task that classifies.
    ///
    /// # Errors
    /// [`PredictError::Text`] or [`PredictError::Weights`].
    pub fn new(task: &Task, weights: &[f32], device: Device) -> Result<Self, PredictError> {
        if task.vocabulary().is_some() {
            return Err(PredictError::Text);
        }
        flat::check(task.layout(), weights)?;
        let device = device.open();
        let parameters = flat::to_tensors(task.layout(), weights, &device);
        let each = task.inputs().iter().product();
        Ok(Self { task: task.clone(), parameters, device, each })
    }

    /// Logits of examples, one row of [`Task::classes`] after the other; `examples` holds them one after
    /// the other, each of the task's shape.
    ///
    /// # Errors
    /// [`PredictError`] if there is no example, one is not whole or not finite, or the answer is not.
    pub fn logits(&self, examples: &[f32]) -> Result<Vec<f32>, PredictError> {
        if examples.is_empty() || !examples.len().is_multiple_of(self.each) {
            let shape = self.task.inputs().to_vec();
            return Err(PredictError::Count { expected: self.each, shape, actual: examples.len() });
        }
        if let Some(at) = examples.iter().position(|number| !number.is_finite()) {
            return Err(PredictError::NotFinite(at + 1));
        }
        let mut logits = Vec::with_capacity(examples.len() / self.each * self.task.classes());
        for batch in examples.chunks(self.each * self.task.evaluation_batch()) {
            let rows = [batch.len() / self.each, self.each];
            let inputs = Tensor::from_data(TensorData::new(batch.to_vec(), rows), &self.device);
            let answers = self.task.model().forward(&self.parameters, inputs);
            logits.extend(answers.try_to_vec_as::<f32>().map_err(|_| PredictError::Device)?);
        }
        if logits.iter().all(|logit| logit.is_finite()) { Ok(logits) } else { Err(PredictError::Overflow) }
    }

    /// The probability of each class for one example.
    ///
    /// # Errors
    /// As [`Predictor::logits`]; several examples are [`PredictError::Count`] too.
    pub fn predict(&self, example: &[f32]) -> Result<Vec<f32>, PredictError> {
        if example.len() != self.each {
            let shape = self.task.inputs().to_vec();
            return Err(PredictError::Count { expected: self.each, shape, actual: example.len() });
        }
        self.logits(example).map(|logits| probabilities(&logits))
    }

    /// The probability of each class for each example.
    ///
    /// # Errors
    /// As [`Predictor::logits`].
    pub fn predict_batch(&self, examples: &[f32]) -> Result<Vec<Vec<f32>>, PredictError> {
        Ok(self.logits(examples)?.chunks_exact(self.task.classes()).map(probabilities).collect())
    }
}

/// The softmax of finite logits.
#[must_use]
pub fn probabilities(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let total: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logistic regression of two numbers into three classes: logits of (x, y) are (x, y, 0).
    const WEIGHTS: [f32; 9] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];

    fn task(text: &str) -> Task {
        Task::parse(&format!("{text}\nbatch = 1\noptimizer = {{ kind = 'sgd', rate = 1 }}").parse().expect("a table"))
            .expect("a task")
    }

    fn three_classes() -> Task {
        task("kind = 'classify'\ninputs = [2]\nclasses = 3\nmodel = { kind = 'mlp', hidden = [] }")
    }

    fn predictor(weights: &[f32]) -> Result<Predictor, PredictError> {
        Predictor::new(&three_classes(), weights, Device::Cpu)
    }

    #[test]
    fn answers_are_what_a_calculation_by_hand_finds() {
        let predictor = predictor(&WEIGHTS).expect("a predictor");
        assert_eq!(predictor.logits(&[2.0, -1.0, 0.0, 5.0]), Ok(vec![2.0, -1.0, 0.0, 0.0, 5.0, 0.0]));
        let total = 2_f32.exp() + (-1_f32).exp() + 1.0;
        let said = predictor.predict(&[2.0, -1.0]).expect("an answer");
        for (said, expected) in said.iter().zip([2_f32.exp(), (-1_f32).exp(), 1.0]) {
            assert!((said - expected / total).abs() < 1e-6, "{said} {expected}");
        }
        assert_eq!(predictor.predict_batch(&[2.0, -1.0, 0.0, 5.0]).expect("answers")[0], said);
    }

    #[test]
    fn more_examples_than_fit_a_batch_are_answered_in_order() {
        let predictor = predictor(&WEIGHTS).expect("a predictor");
        let count = 2 * three_classes().evaluation_batch() + 1;
        let examples: Vec<f32> = (0..count).flat_map(|i| [i as f32, 0.0]).collect();
        let logits = predictor.logits(&examples).expect("answers");
        assert!(logits.chunks_exact(3).zip(0..count).all(|(logits, i)| logits == [i as f32, 0.0, 0.0]));
    }

    #[test]
    fn what_is_no_example_is_refused() {
        let with = predictor(&WEIGHTS).expect("a predictor");
        let count = |actual| PredictError::Count { expected: 2, shape: vec![2], actual };
        assert_eq!(with.logits(&[]), Err(count(0)));
        assert_eq!(with.logits(&[1.0; 3]), Err(count(3)));
        assert_eq!(with.predict(&[1.0; 4]), Err(count(4)));
        assert_eq!(with.logits(&[1.0, f32::NAN]), Err(PredictError::NotFinite(2)));
        let huge = predictor(&[f32::MAX; 9]).expect("finite weights");
        assert_eq!(huge.logits(&[f32::MAX; 2]), Err(PredictError::Overflow));
        assert!(matches!(predictor(&[0.0; 8]), Err(PredictError::Weights(_))));
        let text =
            task("kind = 'language'\ncontext = 2\nvocabulary = 'ab'\nmodel = { kind = 'gpt', layers = 1, width = 2, heads = 1 }");
        let weights = text.init(1);
        assert!(matches!(Predictor::new(&text, &weights, Device::Cpu), Err(PredictError::Text)));
    }
}
