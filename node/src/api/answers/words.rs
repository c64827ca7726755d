//! OpenAI's requests and answers for texts, as far as this node speaks them.
//!
//! Fields that are not named here are taken and, where they would change the answer, refused
//! ([`super::asked`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shoal_ml::Sampling;
use utoipa::ToSchema;

/// Tokens made if nobody says how many.
pub(super) const TOKENS_DEFAULT: usize = 256;

/// A text to continue.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CompletionRequest {
    /// What to continue.
    pub prompt: Prompt,
    /// How.
    #[serde(flatten)]
    pub wish: Wish,
}

/// A conversation to continue.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChatRequest {
    /// What was said, the earliest first.
    pub messages: Vec<Message>,
    /// `max_tokens` by its newer name, which counts if both are there.
    pub max_completion_tokens: Option<usize>,
    /// How.
    #[serde(flatten)]
    pub wish: Wish,
}

/// By which model and how a text goes on: what all such requests may say.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Wish {
    /// The run's name or id; the node's first if left out.
    pub model: Option<String>,
    /// Most tokens to make [default: 256].
    pub max_tokens: Option<usize>,
    /// 0 for the likeliest text, up to 2 [default: 1].
    pub temperature: Option<f32>,
    /// Draw among the likeliest tokens that have this share together [default: 1].
    pub top_p: Option<f32>,
    /// Of the draw: the same seed and weights give the same text [default: another each time].
    pub seed: Option<i64>,
    /// The text ends before these [default: of a conversation a line that begins with `user:`].
    pub stop: Option<Stop>,
    /// Answer with server-sent events.
    #[serde(default)]
    pub stream: bool,
    /// What to send beside the text.
    pub stream_options: Option<StreamOptions>,
    /// What else was said.
    #[serde(flatten)]
    #[schema(ignore)]
    pub rest: BTreeMap<String, Value>,
}

/// A text, or a list with one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Prompt {
    /// A text.
    One(String),
    /// A list with one text.
    List(Vec<String>),
}

/// A text, or up to four.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Stop {
    /// A text.
    One(String),
    /// Some texts.
    List(Vec<String>),
}

/// What to send beside the text.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// Send the usage after the text.
    #[serde(default)]
    pub include_usage: bool,
}

/// What one of those who talk said.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Message {
    /// Who.
    pub role: String,
    /// What.
    pub content: Content,
}

/// A text, or parts of one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Content {
    /// A text.
    Text(String),
    /// Parts of one.
    Parts(Vec<Part>),
}

/// A part of what was said; there are no others than texts.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Part {
    /// The text.
    pub text: String,
}

impl Wish {
    /// With defaults where nothing is said. What is out of bounds is found where the text begins.
    pub(super) fn sampling(&self, stop_default: &[&str]) -> Sampling {
        let stop = match &self.stop {
            Some(Stop::One(stop)) => vec![stop.clone()],
            Some(Stop::List(stops)) => stops.clone(),
            None => stop_default.iter().map(|&stop| stop.to_owned()).collect(),
        };
        Sampling {
            max_tokens: self.max_tokens.unwrap_or(TOKENS_DEFAULT),
            temperature: self.temperature.unwrap_or(1.0),
            top_p: self.top_p.unwrap_or(1.0),
            // Negative seeds are seeds like any other.
            seed: self.seed.map_or_else(rand::random, i64::cast_unsigned),
            stop,
        }
    }
}

/// How many tokens it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens made.
    pub completion_tokens: usize,
    /// Both.
    pub total_tokens: usize,
}

/// What every answer begins with, and every piece of one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Head {
    /// The answer's name, the same in all pieces.
    pub id: String,
    /// `text_completion`, `chat.completion`, or of a piece `chat.completion.chunk`.
    pub object: &'static str,
    /// When it was asked for, seconds since 1970.
    pub created: u64,
    /// The run's name.
    pub model: String,
    /// Run and round of the weights.
    pub system_fingerprint: String,
}

/// The continuation of a text, or with `stream` a piece of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Completion {
    /// Whose answer it is.
    #[serde(flatten)]
    pub head: Head,
    /// One; none where a stream tells the usage.
    pub choices: Vec<Choice>,
    /// How many tokens it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// The text.
#[derive(Debug, Serialize, ToSchema)]
pub struct Choice {
    /// Always 0.
    pub index: u32,
    /// What comes after the prompt.
    pub text: String,
    /// Not known here.
    pub logprobs: Option<u32>,
    /// `stop` or `length` at the end.
    pub finish_reason: Option<&'static str>,
}

/// The answer in a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatAnswer {
    /// Whose answer it is.
    #[serde(flatten)]
    pub head: Head,
    /// One.
    pub choices: Vec<ChatChoice>,
    /// How many tokens it took.
    pub usage: Usage,
}

/// The message.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatChoice {
    /// Always 0.
    pub index: u32,
    /// What is said.
    pub message: Said,
    /// Not known here.
    pub logprobs: Option<u32>,
    /// `stop` or `length`.
    pub finish_reason: &'static str,
}

/// What the model says.
#[derive(Debug, Serialize, ToSchema)]
pub struct Said {
    /// `assistant`.
    pub role: &'static str,
    /// The text.
    pub content: String,
}

/// A piece of the answer in a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatDelta {
    /// Whose answer it is.
    #[serde(flatten)]
    pub head: Head,
    /// One; none where the usage is told.
    pub choices: Vec<Delta>,
    /// How many tokens it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What is new.
#[derive(Debug, Serialize, ToSchema)]
pub struct Delta {
    /// Always 0.
    pub index: u32,
    /// `role` in the first piece, `content` in those with text.
    #[schema(value_type = Object)]
    pub delta: Value,
    /// Not known here.
    pub logprobs: Option<u32>,
    /// `stop` or `length` in the last piece.
    pub finish_reason: Option<&'static str>,
}
