//! The trainer thread: owns model, data and optimizer, and does one thing at a time.

use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use shoal_ml::{Dataset, Device, TrainReport, Trainer, evaluate};
use tokio::sync::mpsc::UnboundedSender;

use super::{Order, Report};

/// What the trainer thread starts with.
pub struct TrainerParts {
    /// Model, data, optimizer.
    pub trainer: Trainer,
    /// The task, for evaluation.
    pub task: shoal_ml::Task,
    /// Data held out from everybody, if there is any.
    pub test: Option<Dataset>,
    /// Where to evaluate.
    pub device: Device,
}

/// One thing to do.
#[derive(Debug)]
pub(super) enum Task {
    Train { weights: Vec<f32>, steps: u32, until: Instant },
    Evaluate { round: u64, weights: Vec<f32> },
}

/// A training that ended.
#[derive(Debug)]
pub struct Done {
    pub(super) weights: Vec<f32>,
    pub(super) state: Vec<u8>,
    pub(super) result: Result<TrainReport, String>,
}

/// Works until the desk goes away.
pub(super) fn run(mut parts: TrainerParts, tasks: &Receiver<Task>, answers: &Sender<Order>, reports: &UnboundedSender<Report>) {
    while let Ok(task) = tasks.recv() {
        match task {
            Task::Train { mut weights, steps, until } => {
                let result = parts.trainer.train(&mut weights, steps, &mut || Instant::now() < until);
                let result = result.and_then(|report| Ok((report, parts.trainer.state()?)));
                let (result, state) = match result {
                    Ok((report, state)) => (Ok(report), state),
                    Err(error) => (Err(error.to_string()), Vec::new()),
                };
                if answers.send(Order::Done(Done { weights, state, result })).is_err() {
                    return;
                }
            }
            Task::Evaluate { round, weights } => {
                let Some(test) = &parts.test else { continue };
                let report = match evaluate(&parts.task, &weights, test, parts.device) {
                    Ok(metrics) => Report::Evaluated { round, metrics },
                    Err(error) => Report::Trouble(format!("the weights cannot be tried: {error}")),
                };
                // A driver that is gone needs no report.
                let _ = reports.send(report);
            }
        }
    }
}
