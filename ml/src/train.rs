//! Training: so many steps on this node's own data, from weights to weights.
//!
//! ```text
//! weights -> tensors -> [ next batch -> logits -> loss -> gradients -> optimizer ] x steps -> weights
//! ```
//! The optimizer's state lives on the device from one call to the next; weights come and go with
//! each call, batches with each step. Examples are shared with every other trainer of the same data:
//! a trainer costs its optimizer's state and a few bytes for each of its examples.
//!
//! The result depends on the weights, the seed and the number of steps taken since the beginning,
//! not on how calls divide them nor on how many threads there are. A call that fails leaves the
//! weights and the trainer as they were.

use burn::tensor::Tensor;

use crate::data::{Batch, DataError, Dataset};
use crate::device::Device;
use crate::flat::{self, WeightsError};
use crate::loss::cross_entropy;
use crate::optimizer::Optimizer;
use crate::order::{Order, Place};
use crate::task::Task;

/// First byte of a trainer's state.
const STATE_VERSION: u8 = 1;
/// Bytes of a state before the optimizer's numbers: version, epoch, position, examples, numbers.
const STATE_HEADER_BYTES: usize = 1 + 4 * 8;

/// What a call of [`Trainer::train`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainReport {
    /// Steps taken: as many as asked for unless stopped.
    pub steps: u32,
    /// Examples seen, counted once for each time.
    pub examples: u64,
    /// Mean loss per example over these steps, each measured before its step; nats.
    pub loss: f64,
}

/// Training that cannot begin or went wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// The data does not fit the task.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The weights do not fit the task.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// No step was asked for.
    #[error("no step was asked for")]
    NoStep,
    /// A batch of a node's own that the task has no room for.
    #[error("a batch of {batch} is not possible; it must be between 1 and {most}")]
    Batch {
        /// What was chosen.
        batch: usize,
        /// What may be.
        most: usize,
    },
    /// The loss or the new weights are not finite.
    #[error("training diverged at step {step} of this call; the rate may be too high")]
    Diverged {
        /// The step, from 1.
        step: u32,
    },
    /// The device failed to compute or to hand over a result.
    #[error("the device failed")]
    Device,
}

/// A saved state that cannot be taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Another format, or not a state at all.
    #[error("the trainer's state has a format this version does not read")]
    Version,
    /// Cut short, too long, or with numbers that are not finite.
    #[error("the trainer's state is damaged")]
    Damaged,
    /// Saved with other data, another model or another optimizer.
    #[error("the trainer's state belongs to other data, another model or another optimizer")]
    Other,
}

/// One node's training: its data, its place in the data, its optimizer.
pub struct Trainer {
    task: Task,
    device: burn::tensor::Device,
    data: Dataset,
    order: Order,
    optimizer: Optimizer,
    /// Examples in a step.
    batch: usize,
}

impl Trainer {
    /// A trainer at the beginning. `seed` decides the order of the
    /// examples: nodes should differ in it.
    ///
    /// # Errors
    /// [`DataError`] if the data does not fit the task.
    pub fn new(task: &Task, data: Dataset, seed: u64, device: Device) -> Result<Self, DataError> {
        data.check(task)?;
        let device = device.open();
        let examples = u32::try_from(data.len()).map_err(|_| DataError::TooMany(data.len()))?;
        let optimizer = Optimizer::new(task.optimizer(), task.layout(), &device);
        let batch = task.batch();
        Ok(Self { task: task.clone(), device, data, order: Order::new(seed, examples), optimizer, batch })
    }

    /// Takes so many examples in a step instead of the task's: a device's own choice, since a large one
    /// may need more to be busy and a small one has room for fewer.
    ///
    /// The rate stays the task's. In the network a delta is weighed by its sender's samples, and its size
    /// by the steps it took, but never by the batch: scaling the rate with the batch would count a large
    /// batch twice and let its sender run ahead of the others. A larger batch makes a node's delta less
    /// noisy, no more.
    ///
    /// # Errors
    /// [`TrainError::Batch`] unless it is between 1 and what the task allows.
    pub fn with_batch(self, batch: usize) -> Result<Self, TrainError> {
        let most = self.task.spec().batch_max();
        if (1..=most).contains(&batch) { Ok(Self { batch, ..self }) } else { Err(TrainError::Batch { batch, most }) }
    }

    /// Examples in this node's data.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.data.len()
    }

    /// Takes `steps` steps from `weights` and leaves the result there. A step sees the task's
    /// batch, or all the data if that is less. `keep_going` is asked between steps; on `false`
    /// training ends early, after one step at least.
    ///
    /// # Errors
    /// [`TrainError`]; the weights and the trainer are then what they were before.
    pub fn train(
        &mut self,
        weights: &mut [f32],
        steps: u32,
        keep_going: &mut dyn FnMut() -> bool,
    ) -> Result<TrainReport, TrainError> {
        flat::check(self.task.layout(), weights)?;
        let before = (self.order.place(), self.optimizer.clone());
        let result = self.steps(weights, steps, keep_going);
        match result {
            Ok((report, trained)) => {
                weights.copy_from_slice(&trained);
                Ok(report)
            }
            Err(error) => {
                self.order.go_to(before.0);
                self.optimizer = before.1;
                Err(error)
            }
        }
    }

    fn steps(
        &mut self,
        weights: &[f32],
        steps: u32,
        keep_going: &mut dyn FnMut() -> bool,
    ) -> Result<(TrainReport, Vec<f32>), TrainError> {
        let mut parameters = flat::to_tensors(self.task.layout(), weights, &self.device);
        let batch = self.batch.min(self.examples());
        let (mut done, mut loss_sum) = (0_u32, 0.0_f64);
        while done < steps && (done == 0 || keep_going()) {
            let loss = self.step(&mut parameters, batch)?;
            done += 1;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step: done });
            }
            loss_sum += f64::from(loss);
        }
        if done == 0 {
            return Err(TrainError::NoStep);
        }
        let trained = flat::to_weights(&parameters).ok_or(TrainError::Device)?;
        flat::check(self.task.layout(), &trained).map_err(|_| TrainError::Diverged { step: done })?;
        // A mean of squares overflows long before the weights do, and could not be restored.
        let state = self.optimizer.state().ok_or(TrainError::Device)?;
        if state.iter().any(|number| !number.is_finite()) {
            return Err(TrainError::Diverged { step: done });
        }
        let report = TrainReport { steps: done, examples: u64::from(done) * batch as u64, loss: loss_sum / f64::from(done) };
        Ok((report, trained))
    }

    /// One step; the loss before it. Reading the loss also waits for the device, without which
    /// `keep_going` would be asked long before the work is done.
    fn step(&mut self, parameters: &mut [Tensor<1>], batch: usize) -> Result<f32, TrainError> {
        let indices = self.order.next_batch(batch);
        let Batch { inputs, answers } = self.data.batch(indices.iter().map(|&index| index as usize), &self.device)?;
        for parameter in parameters.iter_mut() {
            parameter.inplace(|parameter| parameter.autodiff().require_grad());
        }
        let loss = cross_entropy(self.task.model().forward(parameters, inputs), answers);
        let mut gradients = loss.backward();
        let gradients = parameters.iter().map(|parameter| parameter.grad_remove(&mut gradients)).collect();
        for parameter in parameters.iter_mut() {
            parameter.inplace(Tensor::inner);
        }
        self.optimizer.step(parameters, gradients);
        loss.inner().try_into_scalar::<f32>().map_err(|_| TrainError::Device)
    }

    /// The place in the data and the optimizer's state, for this node's checkpoint: with the
    /// weights, all that [`Trainer::restore`] needs to go on as if nothing had happened.
    ///
    /// # Errors
    /// [`TrainError::Device`] if the device failed to hand it over.
    pub fn state(&self) -> Result<Vec<u8>, TrainError> {
        let numbers = self.optimizer.state().ok_or(TrainError::Device)?;
        let Place { epoch, position } = self.order.place();
        let mut bytes = Vec::with_capacity(STATE_HEADER_BYTES + 4 * numbers.len());
        bytes.push(STATE_VERSION);
        for field in [epoch, position as u64, self.examples() as u64, numbers.len() as u64] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        Ok(bytes)
    }

    /// Takes up a saved state of a trainer with the same task, data and seed.
    ///
    /// # Errors
    /// [`StateError`]; the trainer then stays as it is.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        let (&version, rest) = state.split_first().ok_or(StateError::Damaged)?;
        if version != STATE_VERSION {
            return Err(StateError::Version);
        }
        let (fields, numbers) = rest.split_at_checked(STATE_HEADER_BYTES - 1).ok_or(StateError::Damaged)?;
        let (fields, _) = fields.as_chunks::<8>();
        let &[epoch, position, examples, count] = fields else { return Err(StateError::Damaged) };
        let [epoch, position, examples, count] = [epoch, position, examples, count].map(u64::from_le_bytes);
        if examples != self.examples() as u64 || count != self.optimizer.state_count() as u64 {
            return Err(StateError::Other);
        }
        let (numbers, rest) = numbers.as_chunks::<4>();
        if !rest.is_empty() || numbers.len() as u64 != count || position >= examples {
            return Err(StateError::Damaged);
        }
        let numbers: Vec<f32> = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(StateError::Damaged);
        }
        if !self.optimizer.restore(self.task.layout(), &numbers, &self.device) {
            return Err(StateError::Damaged);
        }
        // Below the number of examples, which is a usize.
        self.order.go_to(Place { epoch, position: position as usize });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 40 examples of two classes, told apart by the sign of the first number.
    fn data() -> Dataset {
        let inputs = (0..40).flat_map(|i| [if i % 2 == 0 { 1.0 } else { -1.0 }, (i as f32 * 0.37).sin(), 0.5]).collect();
        Dataset::new(inputs, (0..40).map(|i| i % 2).collect(), &[3], 2).expect("a data set")
    }

    /// A plain one, one with momentum, one whose rate rises and falls, one with moments.
    const OPTIMIZERS: [&str; 4] = [
        "kind = 'sgd', rate = 0.1",
        "kind = 'sgd', rate = 0.1, momentum = 0.9, clip = 0.5",
        "kind = 'sgd', rate = 0.1, warmup = 4, schedule = 'cosine', until = 14",
        "kind = 'adamw', rate = 0.01, warmup = 8, clip = 0.5",
    ];
    const PLAIN: &str = OPTIMIZERS[0];
    const HEAVY: &str = "kind = 'sgd', rate = 0.1, momentum = 0.9";

    fn task(batch: usize, optimizer: &str) -> Task {
        let text = format!(
            "kind = 'classify'\ninputs = [3]\nclasses = 2\nbatch = {batch}\nmodel = {{ kind = 'mlp', hidden = [5] }}
             optimizer = {{ {optimizer} }}"
        );
        Task::parse(&text.parse().expect("a table")).expect("a task")
    }

    fn trainer(task: &Task) -> Trainer {
        Trainer::new(task, data(), 7, Device::Cpu).expect("a trainer")
    }

    fn run(trainer: &mut Trainer, weights: &mut [f32], steps: u32) -> TrainReport {
        trainer.train(weights, steps, &mut || true).expect("trained")
    }

    #[test]
    fn a_trainer_may_live_on_a_thread_of_its_own() {
        fn is_send<T: Send>() {}
        is_send::<Trainer>();
    }

    #[test]
    fn how_calls_divide_the_steps_does_not_matter() {
        for optimizer in OPTIMIZERS {
            let task = task(16, optimizer);
            let (mut once, mut twice) = (task.init(1), task.init(1));
            run(&mut trainer(&task), &mut once, 12);
            let mut divided = trainer(&task);
            run(&mut divided, &mut twice, 5);
            run(&mut divided, &mut twice, 7);
            assert_eq!(once, twice);
        }
    }

    #[test]
    fn a_restored_trainer_goes_on_as_if_nothing_had_happened() {
        for optimizer in OPTIMIZERS {
            let task = task(16, optimizer);
            let (mut through, mut first) = (task.init(1), trainer(&task));
            run(&mut first, &mut through, 9);
            let (mut resumed, state) = (through.clone(), first.state().expect("a state"));
            let mut second = trainer(&task);
            second.restore(&state).expect("restored");
            assert_eq!(second.state().expect("a state"), state);
            run(&mut first, &mut through, 9);
            run(&mut second, &mut resumed, 9);
            assert_eq!(through, resumed);
        }
    }

    #[test]
    fn it_stops_between_steps_when_told_but_never_before_the_first() {
        let task = task(16, PLAIN);
        let mut weights = task.init(1);
        let mut asked = 0;
        let mut third = || {
            asked += 1;
            asked < 3
        };
        let report = trainer(&task).train(&mut weights, 10, &mut third).expect("trained");
        assert_eq!((report.steps, report.examples), (3, 48));
        let mut stopped = task.init(1);
        assert_eq!(trainer(&task).train(&mut stopped, 10, &mut || false).expect("trained").steps, 1);
        let mut one = task.init(1);
        run(&mut trainer(&task), &mut one, 1);
        assert_eq!(stopped, one);
    }

    #[test]
    fn a_node_may_take_larger_or_smaller_batches_than_the_task_says() {
        let task = task(16, PLAIN);
        let step = |batch| {
            let mut weights = task.init(1);
            let report = run(&mut trainer(&task).with_batch(batch).expect("possible"), &mut weights, 3);
            (report.examples, weights)
        };
        assert_eq!([1, 5, 16, 40, 65_536].map(|batch| step(batch).0), [3, 15, 48, 120, 120]);
        let mut plain = task.init(1);
        run(&mut trainer(&task), &mut plain, 3);
        assert_eq!(step(16).1, plain);
        assert_ne!(step(5).1, plain);
        for batch in [0, 65_537] {
            let error = trainer(&task).with_batch(batch).err().map(|error| error.to_string());
            assert_eq!(error, Some(format!("a batch of {batch} is not possible; it must be between 1 and 65536")));
        }
    }

    #[test]
    fn a_shard_smaller_than_the_batch_is_taken_whole() {
        let task = task(64, PLAIN);
        let report = run(&mut trainer(&task), &mut task.init(1), 2);
        assert_eq!((report.steps, report.examples), (2, 80));
    }

    #[test]
    fn a_call_that_fails_leaves_everything_as_it_was() {
        let steep = task(16, "kind = 'sgd', rate = 10, momentum = 0.9");
        let mut trainer = trainer(&steep);
        let mut weights = steep.init(1);
        run(&mut trainer, &mut weights, 1);
        let (mut huge, state) = (vec![3.0e38; weights.len()], trainer.state().expect("a state"));
        let before = huge.clone();
        let error = trainer.train(&mut huge, 5, &mut || true).expect_err("diverges");
        assert_eq!((error, huge), (TrainError::Diverged { step: 1 }, before));
        assert_eq!(trainer.state().expect("a state"), state);
    }

    #[test]
    fn moments_that_could_not_be_restored_are_divergence() {
        let task = task(1, OPTIMIZERS[3].split_once(", clip").map_or("", |(adamw, _)| adamw));
        // The square of the gradient is beyond f32; the step it leads to is not.
        let data = Dataset::new(vec![1e25; 3], vec![1], &[3], 2).expect("a data set");
        let mut trainer = Trainer::new(&task, data, 0, Device::Cpu).expect("a trainer");
        let mut weights = [vec![1e-30; 20], [1.0, -1.0].repeat(5), vec![0.0; 2]].concat();
        let before = (weights.clone(), trainer.state().expect("a state"));
        let error = trainer.train(&mut weights, 1, &mut || true).expect_err("diverges");
        assert_eq!((error, (weights, trainer.state().expect("a state"))), (TrainError::Diverged { step: 1 }, before));
    }

    #[test]
    fn weights_and_data_that_do_not_fit_are_refused() {
        let task = task(16, PLAIN);
        let mut trainer = trainer(&task);
        let count = task.layout().param_count();
        let mut train =
            |mut weights: Vec<f32>, steps| trainer.train(&mut weights, steps, &mut || true).expect_err("refused").to_string();
        assert_eq!(train(vec![0.0; count - 1], 1), "the model has 32 parameters, but 31 weights were given");
        let mut weights = vec![0.0; count];
        weights[16] = f32::INFINITY;
        assert_eq!(train(weights, 1), "weight 1 of tensor `layers.0.bias` is not a finite number");
        assert_eq!(train(vec![0.0; count], 0), "no step was asked for");
        let other = |shape: &[usize], classes| {
            let data = Dataset::new(vec![0.0; 3], vec![0], shape, classes).expect("a data set");
            Trainer::new(&task, data, 0, Device::Cpu).err().map(|error| error.to_string())
        };
        assert_eq!(other(&[3, 1], 2).as_deref(), Some("the task takes examples of shape [3], but the data has [3, 1]"));
        assert_eq!(other(&[3], 4).as_deref(), Some("the task has 2 classes, but the data has 4"));
    }

    #[test]
    fn a_state_of_something_else_is_refused() {
        let (plain, heavy) = (task(16, PLAIN), task(16, HEAVY));
        let state = trainer(&heavy).state().expect("a state");
        assert_eq!(trainer(&plain).restore(&state), Err(StateError::Other));
        let mut fewer = Trainer::new(&heavy, data().subset(&[0, 1]).expect("two"), 7, Device::Cpu).expect("a trainer");
        assert_eq!(fewer.restore(&state), Err(StateError::Other));
        let with = |at: usize, byte: u8| {
            let mut state = state.clone();
            state[at] = byte;
            trainer(&heavy).restore(&state)
        };
        assert_eq!(with(0, 2), Err(StateError::Version));
        assert_eq!(with(9, 40), Err(StateError::Damaged), "a position past the last example");
        assert_eq!(with(9, 39), Ok(()));
        let nan = [&state[..state.len() - 4], &f32::NAN.to_le_bytes()].concat();
        assert_eq!(trainer(&heavy).restore(&nan), Err(StateError::Damaged));
        for len in 0..state.len() {
            assert_eq!(trainer(&heavy).restore(&state[..len]), Err(StateError::Damaged), "cut at {len}");
        }
        assert_eq!(trainer(&heavy).restore(&[&state[..], &[0]].concat()), Err(StateError::Damaged));
    }

    #[test]
    fn moments_that_no_training_comes_to_are_refused() {
        let task = task(16, OPTIMIZERS[3]);
        let mut first = trainer(&task);
        run(&mut first, &mut task.init(1), 3);
        let state = first.state().expect("a state");
        let with = |number: usize, value: f32| {
            let mut state = state.clone();
            state[STATE_HEADER_BYTES + 4 * number..][..4].copy_from_slice(&value.to_le_bytes());
            let mut trainer = trainer(&task);
            let before = trainer.state();
            let restored = trainer.restore(&state);
            assert!(restored.is_ok() || trainer.state() == before);
            restored
        };
        let count = task.layout().param_count();
        assert_eq!([with(0, 3.0), with(0, 16_777_216.0), with(1, -1.0)], [Ok(()); 3]);
        for (number, value) in [(0, 2.5), (0, -1.0), (0, 16_777_218.0), (1 + count, -1e-9), (2 * count, f32::INFINITY)] {
            assert_eq!(with(number, value), Err(StateError::Damaged), "{number} {value}");
        }
    }

    #[test]
    fn trainers_of_one_data_set_share_it() {
        let (task, data) = (task(16, PLAIN), data());
        let before = data.shares();
        let trainers: Vec<Trainer> =
            (0..3).map(|seed| Trainer::new(&task, data.clone(), seed, Device::Cpu).expect("a trainer")).collect();
        assert_eq!(data.shares(), before + trainers.len());
    }

    proptest! {
        #[test]
        fn no_state_panics_and_none_that_is_refused_changes_anything(bytes in prop::collection::vec(any::<u8>(), 0..80), version: bool) {
            let task = task(16, HEAVY);
            let mut trainer = trainer(&task);
            let before = trainer.state().expect("a state");
            let bytes = if version { [&[STATE_VERSION][..], &bytes].concat() } else { bytes };
            if trainer.restore(&bytes).is_err() {
                prop_assert_eq!(trainer.state().expect("a state"), before);
            }
        }
    }
}
