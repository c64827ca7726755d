//! The thread that answers: one for all runs of a node, at a lower priority than those that train.
//!
//! ```text
//!   question ──place in the queue, or refused──> job ──> predictions at once; texts in turns
//! ```
//! The queue is bounded: who finds it full is told at once, and waits outside. The thread ends with the
//! last [`Engine`].

use std::io;
use std::sync::Arc;

use shoal_ml::{GenerateError, PredictError, Sampling};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, error::TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::hands::{Hands, Ready};
use super::run::ServedRun;
use super::turns::{Going, Piece, Turns};

/// Predictions that wait, and texts that wait or go on (guesses: a fraction of a second of small ones).
const PREDICTIONS_MAX: usize = 64;
const TEXTS_MAX: usize = 16;
/// How much the thread gives way: with this niceness Linux gives it about a tenth of a core for which a
/// training thread competes, and all of one that is idle.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ServeError {
    /// Too many wait already.
    #[error("too many questions wait already")]
    Busy,
    /// The run has no weights yet.
    #[error("the run has no weights yet: the node is still joining")]
    NotReady,
    /// The engine has ended.
    #[error("the node is stopping")]
    Stopping,
    /// The question does not fit the model.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The prompt cannot be continued.
    #[error(transparent)]
    Generate(#[from] GenerateError),
}

/// What a model says of some examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// Rounds that the weights have behind them.
    pub round: u64,
    /// One for each example.
    pub predictions: Vec<Prediction>,
}

/// What a model says of one example.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// A number for each class.
    pub logits: Vec<f32>,
    /// Their softmax.
    pub probabilities: Vec<f32>,
}

impl Prediction {
    /// Of these logits.
    #[must_use]
    pub fn of(logits: &[f32]) -> Self {
        Self { logits: logits.to_vec(), probabilities: shoal_ml::probabilities(logits) }
    }

    /// The likeliest class, of several the first.
    #[must_use]
    pub fn class(&self) -> usize {
        self.logits.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class)
    }
}

enum Job {
    Predict {
        run: ServedRun,
        inputs: Vec<f32>,
        answer: oneshot::Sender<Result<Predicted, ServeError>>,
        _permit: OwnedSemaphorePermit,
    },
    Generate {
        run: ServedRun,
        prompt: String,
        sampling: Sampling,
        pieces: UnboundedSender<Piece>,
        begun: Begun,
        permit: OwnedSemaphorePermit,
    },
}

type Begun = oneshot::Sender<Result<(u64, usize), ServeError>>;

/// A text that has begun.
#[derive(Debug)]
pub struct Text {
    /// Rounds that the weights have behind them.
    pub round: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// What comes of it: text, then [`Piece::Done`] or [`Piece::Failed`]. Dropping it ends the text.
    pub pieces: UnboundedReceiver<Piece>,
}

/// The way to the thread.
#[derive(Clone, Debug)]
pub struct Engine {
    jobs: UnboundedSender<Job>,
    predictions: Arc<Semaphore>,
    texts: Arc<Semaphore>,
}

impl Engine {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no threads left.
    pub fn start() -> io::Result<Self> {
        // Bounded by the permits that every job carries.
        let (jobs, inbox) = mpsc::unbounded_channel();
        std::thread::Builder::new().name("shoal-serve".into()).spawn(move || work(inbox))?;
        let (predictions, texts) = (Semaphore::new(PREDICTIONS_MAX), Semaphore::new(TEXTS_MAX));
        Ok(Self { jobs, predictions: Arc::new(predictions), texts: Arc::new(texts) })
    }

    /// What the run's model says of examples, one after the other in `inputs`.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn predict(&self, run: ServedRun, inputs: Vec<f32>) -> Result<Predicted, ServeError> {
        let _permit = place(&self.predictions)?;
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Predict { run, inputs, answer, _permit }).map_err(|_| ServeError::Stopping)?;
        answered.await.unwrap_or(Err(ServeError::Stopping))
    }

    /// Has the run's model continue a text.
    ///
    /// # Errors
    /// [`ServeError`], before the first piece.
    pub async fn generate(&self, run: ServedRun, prompt: String, sampling: Sampling) -> Result<Text, ServeError> {
        let permit = place(&self.texts)?;
        // Bounded by the tokens asked for.
        let (pieces, made) = mpsc::unbounded_channel();
        let (begun, has_begun) = oneshot::channel();
        let job = Job::Generate { run, prompt, sampling, pieces, begun, permit };
        self.jobs.send(job).map_err(|_| ServeError::Stopping)?;
        let (round, prompt_tokens) = has_begun.await.unwrap_or(Err(ServeError::Stopping))?;
        Ok(Text { round, prompt_tokens, pieces: made })
    }

    /// Whether somebody would answer.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.jobs.is_closed()
    }
}

fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ServeError> {
    Arc::clone(places).try_acquire_owned().map_err(|_| ServeError::Busy)
}

/// Works until nobody is left who could ask.
fn work(mut inbox: UnboundedReceiver<Job>) {
    give_way();
    let (mut hands, mut turns) = (Hands::default(), Turns::default());
    loop {
        let job = if turns.is_empty() {
            inbox.blocking_recv()
        } else {
            match inbox.try_recv() {
                Ok(job) => Some(job),
                Err(TryRecvError::Empty) => {
                    turns.step();
                    continue;
                }
                Err(TryRecvError::Disconnected) => None,
            }
        };
        match job {
            Some(job) => carry_out(job, &mut hands, &mut turns),
            None => return,
        }
    }
}

/// On Linux a niceness belongs to the calling thread; elsewhere to the whole process, so there it stays.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!("answers are computed at the priority of training: {error}");
    }
}

fn carry_out(job: Job, hands: &mut Hands, turns: &mut Turns) {
    match job {
        Job::Predict { run, inputs, answer, _permit } => {
            // Who asked may be gone.
            let _ = answer.send(predict(hands, &run, &inputs));
        }
        Job::Generate { run, prompt, sampling, pieces, begun, permit } => {
            let going = begin(hands, &run, &prompt, sampling).map(|(round, generation)| {
                let prompt_tokens = generation.prompt_tokens();
                turns.add(Going { generation, pieces, _permit: permit });
                (round, prompt_tokens)
            });
            let _ = begun.send(going);
        }
    }
}

fn predict(hands: &mut Hands, run: &ServedRun, inputs: &[f32]) -> Result<Predicted, ServeError> {
    let (round, ready) = hands.take_up(run)?;
    let Ready::Predictor(predictor) = ready else { return Err(PredictError::Text.into()) };
    let logits = predictor.logits(inputs)?;
    let predictions = logits.chunks_exact(run.task().classes()).map(Prediction::of).collect();
    Ok(Predicted { round, predictions })
}

fn begin(
    hands: &mut Hands,
    run: &ServedRun,
    prompt: &str,
    sampling: Sampling,
) -> Result<(u64, shoal_ml::Generation), ServeError> {
    let (round, ready) = hands.take_up(run)?;
    let Ready::Generator(generator) = ready else { return Err(GenerateError::NoText.into()) };
    Ok((round, generator.begin(prompt, sampling)?))
}

#[cfg(test)]
pub(crate) mod tests;
