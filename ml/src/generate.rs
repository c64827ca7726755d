//! Continuing a text: a [`Generator`] holds weights, a [`Generation`] is one text that goes on.
//!
//! ```text
//!   prompt ──encode──> tokens ──read, one a step──> logits ──draw──> token ──decode──> text, less what
//!                        ^                                             │               may begin a stop
//!                        └─────────────────────────────────────────────┘
//! ```
//! A step reads one token and no more, so whoever drives several texts decides how they take turns.
//! The same weights, prompt and [`Sampling`] give the same text on every machine of one kind.
//!
//! **The window.** A model knows texts of up to the task's context. Of a longer prompt the last
//! `context` tokens are read. When the window is full, its older half is dropped and the newer half is
//! read again from the first place on: everything that the model sees is a window as it was trained on,
//! and equals the whole forward over the tokens kept. It costs one more reading of each token.

mod draw;
mod text;

use std::collections::VecDeque;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use self::text::Text;
use crate::data::Vocabulary;
use crate::device::Device;
use crate::flat::{self, WeightsError};
use crate::model::{Cache, Gpt};
use crate::seed::{self, Purpose};
use crate::task::Task;

/// Longest prompt, bytes: far above every context (a guess).
pub const PROMPT_BYTES_MAX: usize = 1 << 20;
/// Most tokens that may be asked for (a guess).
pub const TOKENS_MAX: usize = 1 << 16;
/// Most stop strings, as many as OpenAI's interface takes, and the longest, bytes (a guess).
pub const STOPS_MAX: usize = 4;
/// See [`STOPS_MAX`].
pub const STOP_BYTES_MAX: usize = 256;
/// Highest temperature, as of OpenAI's interface.
pub const TEMPERATURE_MAX: f32 = 2.0;

/// Between a text and the tokens that a model reads.
pub trait Tokens: Send + Sync {
    /// The tokens of a text.
    fn encode(&self, text: &str) -> Vec<u32>;

    /// The text of tokens. Bytes that are no UTF-8 yet are replacement characters at the end.
    fn decode(&self, tokens: &[u32]) -> String;
}

impl Tokens for Vocabulary {
    fn encode(&self, text: &str) -> Vec<u32> {
        Self::encode(self, text)
    }

    fn decode(&self, tokens: &[u32]) -> String {
        Self::decode(self, tokens)
    }
}

/// How a text goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Most tokens to make: 0 to [`TOKENS_MAX`].
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time; 1 draws as the model says; up to [`TEMPERATURE_MAX`].
    pub temperature: f32,
    /// Draw among the likeliest tokens that together have this share: above 0, up to 1.
    pub top_p: f32,
    /// Of the draw.
    pub seed: u64,
    /// The text ends before the first of these: at most [`STOPS_MAX`], none empty.
    pub stop: Vec<String>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { max_tokens: 256, temperature: 1.0, top_p: 1.0, seed: 0, stop: Vec::new() }
    }
}

impl Sampling {
    /// Refuses what is out of bounds.
    ///
    /// # Errors
    /// [`GenerateError::Sampling`] names the value.
    pub fn check(&self) -> Result<(), GenerateError> {
        let wrong = |what, expected| Err(GenerateError::Sampling { what, expected });
        if self.max_tokens > TOKENS_MAX {
            return wrong("max_tokens", "0 to 65536");
        }
        if !(0.0..=TEMPERATURE_MAX).contains(&self.temperature) {
            return wrong("temperature", "0 to 2");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong("top_p", "above 0 and at most 1");
        }
        let fits = |stop: &String| (1..=STOP_BYTES_MAX).contains(&stop.len());
        if self.stop.len() > STOPS_MAX || !self.stop.iter().all(fits) {
            return wrong("stop", "at most 4 strings of 1 to 256 bytes");
        }
        Ok(())
    }
}

/// A text that cannot be continued.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GenerateError {
    /// The task's models tell examples apart.
    #[error("the model of this run classifies examples; it does not continue texts")]
    NoText,
    /// The weights do not fit the task.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A prompt without a single token: there is nothing to go on from.
    #[error("the prompt is empty; the model needs a character at least to go on from")]
    EmptyPrompt,
    /// A prompt beyond [`PROMPT_BYTES_MAX`].
    #[error("the prompt has {0} bytes; at most 1048576 are read")]
    LongPrompt(usize),
    /// A value of [`Sampling`] out of bounds.
    #[error("`{what}` must be {expected}")]
    Sampling {
        /// Which value.
        what: &'static str,
        /// What is accepted.
        expected: &'static str,
    },
    /// The weights are finite, but what they compute is not.
    #[error("the model's answer is not a number: its weights have grown too large")]
    NotFinite,
    /// The device failed to compute or to hand over a result.
    #[error("the device failed")]
    Device,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It came to one of the stop strings.
    Stop,
    /// As many tokens as asked for were made.
    Length,
}

/// What one step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A token was read; or one was made whose text is held back, since it may begin a stop string or is
    /// not whole yet.
    Quiet,
    /// More text.
    Text(String),
    /// The last of the text, and why it ends. No step after this one does anything.
    Done(String, Finish),
}

/// A language model at hand: weights and vocabulary, shared by all texts that it continues.
#[derive(Clone)]
pub struct Generator {
    model: Arc<Model>,
}

struct Model {
    tokens: Arc<dyn Tokens>,
    context: usize,
    means: Means,
}

/// How logits are computed.
enum Means {
    /// Token by token with a [`Cache`], on the processor.
    Cached { gpt: Gpt, vocabulary: usize, weights: Vec<f32> },
    /// The whole window for each token: any model, any device.
    Whole { task: Box<Task>, parameters: Vec<Tensor<1>>, device: burn::tensor::Device },
}

impl Generator {
    /// Takes up the weights of a language task. The transformer is computed on the processor whatever
    /// the device: one token at a time is too little work for another.
    ///
    /// # Errors
    /// [`GenerateError::NoText`] or [`GenerateError::Weights`].
    pub fn new(task: &Task, weights: &[f32], device: Device) -> Result<Self, GenerateError> {
        // Of a base with corrections one matrix each is left.
        let (task, weights) = task.merged(weights)?;
        let means = match task.model().downcast::<Gpt>() {
            Some(gpt) => Means::Cached { gpt: *gpt, vocabulary: task.classes(), weights },
            None => Means::whole(&task, &weights, device),
        };
        Self::with(&task, means)
    }

    fn with(task: &Task, means: Means) -> Result<Self, GenerateError> {
        let tokens = Arc::new(task.vocabulary().ok_or(GenerateError::NoText)?.clone());
        let context = task.inputs().iter().product();
        Ok(Self { model: Arc::new(Model { tokens, context, means }) })
    }

    /// Most tokens that the model sees at once.
    #[must_use]
    pub fn context(&self) -> usize {
        self.model.context
    }

    /// Its vocabulary.
    #[must_use]
    pub fn tokens(&self) -> &dyn Tokens {
        &*self.model.tokens
    }

    /// Logits of the token that follows this text, one for each of the vocabulary.
    ///
    /// # Errors
    /// As [`Generator::begin`], or [`GenerateError::Device`].
    pub fn logits(&self, prompt: &str) -> Result<Vec<f32>, GenerateError> {
        let mut generation = self.begin(prompt, Sampling::default())?;
        while let Some(token) = generation.pending.pop_front() {
            generation.window.read(&generation.model, token);
        }
        generation.window.logits(&generation.model)
    }

    /// Begins to continue a text. Nothing is read yet.
    ///
    /// # Errors
    /// [`GenerateError::EmptyPrompt`], [`GenerateError::LongPrompt`] or [`GenerateError::Sampling`].
    pub fn begin(&self, prompt: &str, sampling: Sampling) -> Result<Generation, GenerateError> {
        sampling.check()?;
        if prompt.len() > PROMPT_BYTES_MAX {
            return Err(GenerateError::LongPrompt(prompt.len()));
        }
        let tokens = self.model.tokens.encode(prompt);
        if tokens.is_empty() {
            return Err(GenerateError::EmptyPrompt);
        }
        let last = tokens.len().saturating_sub(self.model.context);
        Ok(Generation {
            pending: tokens[last..].iter().copied().collect(),
            prompt_tokens: tokens.len(),
            window: Window::new(&self.model),
            rng: seed::stream(sampling.seed, Purpose::Sample, 0),
            text: Text::new(&sampling.stop),
            sampling,
            made: 0,
            done: false,
            model: Arc::clone(&self.model),
        })
    }
}

impl Means {
    fn whole(task: &Task, weights: &[f32], device: Device) -> Self {
        let device = device.open();
        let parameters = flat::to_tensors(task.layout(), weights, &device);
        Self::Whole { task: Box::new(task.clone()), parameters, device }
    }
}

/// What of a text the model sees.
struct Window {
    /// The tokens read, oldest first; at most the context.
    tokens: Vec<u32>,
    /// What they left behind, where the model is read token by token.
    cache: Option<Cache>,
}

impl Window {
    fn new(model: &Model) -> Self {
        let cache = match &model.means {
            Means::Cached { gpt, vocabulary, .. } => Some(Cache::new(*gpt, *vocabulary)),
            Means::Whole { .. } => None,
        };
        Self { tokens: Vec::new(), cache }
    }

    /// Reads a token into a window that is not full.
    fn read(&mut self, model: &Model, token: u32) {
        self.tokens.push(token);
        if let (Means::Cached { weights, .. }, Some(cache)) = (&model.means, &mut self.cache) {
            cache.read(weights, token);
        }
    }

    /// Empties the window; the newer half of what it held.
    fn slide(&mut self) -> Vec<u32> {
        let kept = self.tokens.split_off(self.tokens.len().div_ceil(2));
        self.tokens.clear();
        if let Some(cache) = &mut self.cache {
            cache.clear();
        }
        kept
    }

    fn logits(&self, model: &Model) -> Result<Vec<f32>, GenerateError> {
        let logits = match (&model.means, &self.cache) {
            (Means::Cached { weights, .. }, Some(cache)) => cache.logits(weights),
            (Means::Whole { task, parameters, device }, _) => self.whole(task, parameters, device)?,
            // Both are made for one model, in one place.
            (Means::Cached { .. }, None) => return Err(GenerateError::Device),
        };
        if logits.iter().all(|logit| logit.is_finite()) { Ok(logits) } else { Err(GenerateError::NotFinite) }
    }

    fn whole(&self, task: &Task, parameters: &[Tensor<1>], device: &burn::tensor::Device) -> Result<Vec<f32>, GenerateError> {
        // Nothing at a place depends on a later one, so the rest of the window may hold anything.
        let context: usize = task.inputs().iter().product();
        let numbers = self.tokens.iter().map(|&token| token as f32);
        let numbers: Vec<f32> = numbers.chain(std::iter::repeat(0.0)).take(context).collect();
        let inputs = Tensor::from_data(TensorData::new(numbers, [1, context]), device);
        let logits = task.model().forward(parameters, inputs).try_to_vec_as::<f32>().map_err(|_| GenerateError::Device)?;
        let last = self.tokens.len().saturating_sub(1) * task.classes();
        logits.get(last..last + task.classes()).map(<[f32]>::to_vec).ok_or(GenerateError::Device)
    }
}

/// One text that goes on.
pub struct Generation {
    model: Arc<Model>,
    sampling: Sampling,
    /// Tokens that are still to be read, first to last.
    pending: VecDeque<u32>,
    window: Window,
    rng: ChaCha8Rng,
    text: Text,
    prompt_tokens: usize,
    made: usize,
    done: bool,
}

impl Generation {
    /// Reads one token and, once all are read, makes the next.
    ///
    /// # Errors
    /// [`GenerateError::NotFinite`] or [`GenerateError::Device`]; the text then does not go on.
    pub fn step(&mut self) -> Result<Step, GenerateError> {
        if self.done {
            return Ok(Step::Quiet);
        }
        if self.made == self.sampling.max_tokens {
            return Ok(self.finish(String::new()));
        }
        if let Some(token) = self.pending.pop_front() {
            if self.window.tokens.len() == self.model.context {
                self.pending.push_front(token);
                self.window.slide().into_iter().rev().for_each(|token| self.pending.push_front(token));
                return Ok(Step::Quiet);
            }
            self.window.read(&self.model, token);
            if !self.pending.is_empty() {
                return Ok(Step::Quiet);
            }
        }
        let logits = self.window.logits(&self.model)?;
        let token = draw::draw(&logits, self.sampling.temperature, self.sampling.top_p, &mut self.rng);
        self.pending.push_back(token);
        self.made += 1;
        let (text, stopped) = self.text.push(token, &*self.model.tokens);
        if stopped {
            self.done = true;
            return Ok(Step::Done(text, Finish::Stop));
        }
        if self.made == self.sampling.max_tokens {
            return Ok(self.finish(text));
        }
        Ok(if text.is_empty() { Step::Quiet } else { Step::Text(text) })
    }

    fn finish(&mut self, mut text: String) -> Step {
        self.done = true;
        let (rest, stopped) = self.text.finish(&*self.model.tokens);
        text.push_str(&rest);
        Step::Done(text, if stopped { Finish::Stop } else { Finish::Length })
    }

    /// All that is left of the text at once.
    ///
    /// # Errors
    /// As [`Generation::step`].
    pub fn run(&mut self) -> Result<(String, Finish), GenerateError> {
        let mut text = String::new();
        loop {
            match self.step()? {
                Step::Quiet if self.done => return Ok((text, Finish::Length)),
                Step::Quiet => {}
                Step::Text(more) => text.push_str(&more),
                Step::Done(more, finish) => return Ok((text + &more, finish)),
            }
        }
    }

    /// Tokens of the prompt, those before the window included.
    #[must_use]
    pub const fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Tokens made so far.
    #[must_use]
    pub const fn made_tokens(&self) -> usize {
        self.made
    }
}

#[cfg(test)]
mod tests;
