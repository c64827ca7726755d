//! From pieces of a text to answers: whole, or as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Serialize;
use serde_json::json;
use shoal_ml::Finish;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Failure;
use super::failure::FailureBody;
use super::words::{ChatAnswer, ChatChoice, ChatDelta, Choice, Completion, Delta, Head, Said, Usage};
use crate::serve::{Piece, ServeError, ServedRun, Text};

/// Whose words the answer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `/v1/completions`.
    Completion,
    /// `/v1/chat/completions`.
    Chat,
}

impl Form {
    /// Where an answer ends, if nothing else is said.
    pub(super) const fn stops(self) -> &'static [&'static str] {
        match self {
            Self::Completion => &[],
            Self::Chat => &["\nuser:"],
        }
    }
}

/// What stands around every piece of one answer.
pub(super) struct Frame {
    form: Form,
    /// As pieces have it.
    head: Head,
    prompt_tokens: usize,
}

impl Frame {
    pub(super) fn new(form: Form, run: &ServedRun, text: &Text) -> Self {
        let (prefix, object) = match form {
            Form::Completion => ("cmpl", "text_completion"),
            Form::Chat => ("chatcmpl", "chat.completion.chunk"),
        };
        let head = Head {
            id: format!("{prefix}-{:016x}", rand::random::<u64>()),
            object,
            created: seconds(SystemTime::now()),
            model: run.name().to_owned(),
            system_fingerprint: format!("{}-round-{}", run.run().short(), text.round),
        };
        Self { form, head, prompt_tokens: text.prompt_tokens }
    }

    fn usage(&self, completion_tokens: usize) -> Usage {
        let prompt_tokens = self.prompt_tokens;
        Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
    }

    /// The answer once all of it is there.
    pub(super) async fn whole(self, mut text: Text) -> Result<Response, Failure> {
        let mut made = String::new();
        while let Some(piece) = text.pieces.recv().await {
            match piece {
                Piece::Text(more) => made.push_str(&more),
                Piece::Failed(error) => return Err(error.into()),
                Piece::Done { text, finish, made_tokens } => {
                    return Ok(self.answer(made + &text, reason(finish), self.usage(made_tokens)));
                }
            }
        }
        Err(ServeError::Stopping.into())
    }

    fn answer(&self, text: String, finish_reason: &'static str, usage: Usage) -> Response {
        match self.form {
            Form::Completion => Json(self.completion(text, Some(finish_reason), Some(usage))).into_response(),
            Form::Chat => {
                let message = Said { role: "assistant", content: text };
                let choices = vec![ChatChoice { index: 0, message, logprobs: None, finish_reason }];
                let head = Head { object: "chat.completion", ..self.head.clone() };
                Json(ChatAnswer { head, choices, usage }).into_response()
            }
        }
    }

    fn completion(&self, text: String, finish_reason: Option<&'static str>, usage: Option<Usage>) -> Completion {
        let choices = vec![Choice { index: 0, text, logprobs: None, finish_reason }];
        Completion { head: self.head.clone(), choices, usage }
    }

    fn delta(&self, delta: serde_json::Value, finish_reason: Option<&'static str>) -> ChatDelta {
        let choices = vec![Delta { index: 0, delta, logprobs: None, finish_reason }];
        ChatDelta { head: self.head.clone(), choices, usage: None }
    }

    /// The answer as it comes. `usage`: tell it after the text.
    pub(super) fn stream(self, text: Text, usage: bool) -> Response {
        let mut ready = VecDeque::new();
        if self.form == Form::Chat {
            ready.push_back(event(&self.delta(json!({"role": "assistant", "content": ""}), None)));
        }
        let streaming = Streaming { frame: self, pieces: text.pieces, ready, usage, ended: false };
        Sse::new(stream::unfold(streaming, Streaming::next)).into_response()
    }

    fn piece(&self, text: String, finish_reason: Option<&'static str>) -> Event {
        match self.form {
            Form::Completion => event(&self.completion(text, finish_reason, None)),
            Form::Chat if text.is_empty() => event(&self.delta(json!({}), finish_reason)),
            Form::Chat => event(&self.delta(json!({"content": text}), finish_reason)),
        }
    }

    /// The last piece, the usage if it was asked for, and the mark that ends a stream.
    fn end(&self, text: String, finish: Finish, usage: Option<Usage>, ready: &mut VecDeque<Event>) {
        // Clients of OpenAI's take no text from the piece that says why it ends.
        if !text.is_empty() {
            ready.push_back(self.piece(text, None));
        }
        ready.push_back(self.piece(String::new(), Some(reason(finish))));
        if usage.is_some() {
            ready.push_back(match self.form {
                Form::Completion => event(&Completion { choices: Vec::new(), ..self.completion(String::new(), None, usage) }),
                Form::Chat => event(&ChatDelta { choices: Vec::new(), usage, ..self.delta(json!({}), None) }),
            });
        }
        ready.push_back(Event::default().data("[DONE]"));
    }
}

/// An answer that is sent as it comes.
struct Streaming {
    frame: Frame,
    pieces: UnboundedReceiver<Piece>,
    /// What can be sent.
    ready: VecDeque<Event>,
    usage: bool,
    ended: bool,
}

impl Streaming {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if self.ended {
                return None;
            }
            match self.pieces.recv().await {
                Some(Piece::Text(more)) => self.ready.push_back(self.frame.piece(more, None)),
                Some(Piece::Done { text, finish, made_tokens }) => {
                    self.ended = true;
                    let usage = self.usage.then(|| self.frame.usage(made_tokens));
                    self.frame.end(text, finish, usage, &mut self.ready);
                }
                Some(Piece::Failed(error)) => {
                    self.ended = true;
                    self.ready.push_back(failed(error.into()));
                }
                None => {
                    self.ended = true;
                    self.ready.push_back(failed(ServeError::Stopping.into()));
                }
            }
        }
    }
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

fn failed(failure: Failure) -> Event {
    event(&FailureBody { error: failure.fault().clone() })
}

fn event(value: &impl Serialize) -> Event {
    // These are structures of texts and numbers, of which JSON takes all; and its lines hold no newline.
    Event::default().data(serde_json::to_string(value).unwrap_or_default())
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
