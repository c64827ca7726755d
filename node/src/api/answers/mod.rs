//! Questions to the models of this node, over HTTP: OpenAI's interface for texts, and one for examples.
//!
//! ```text
//!   request ──token, size──> Asked<T> ──which run──> ServedRun ──place in the queue──> Engine ──> answer
//! ```
//! Every failure has OpenAI's shape and a sentence. What a client asks for and this node cannot do is
//! refused by name rather than left out. Computes nothing itself.

mod asked;
mod chat;
mod completion;
mod failure;
mod frame;
mod models;
mod predict;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::{get, post};

use self::asked::check;
pub use self::failure::{Failure, FailureBody, Fault};
use self::frame::{Form, Frame};
pub use self::models::{Model, ModelList};
pub use self::predict::{PredictRequest, PredictedExample, Predictions};
use self::words::Wish;
use super::News;
use crate::serve::{Engine, ServedRun};

pub(super) use self::words::ChatDelta;

pub(super) use self::chat::__path_chat;
pub(super) use self::completion::__path_complete;
pub(super) use self::models::{__path_list, __path_one, __path_weights};
pub(super) use self::predict::__path_predict;

/// Answers a [`ModelList`].
pub const MODELS_PATH: &str = "/v1/models";
/// Answers a [`Model`].
pub const MODEL_PATH: &str = "/v1/models/{model}";
/// Answers the weights as a safetensors file.
pub const WEIGHTS_PATH: &str = "/v1/models/{model}/weights";
/// Takes a completion request of OpenAI's.
pub const COMPLETIONS_PATH: &str = "/v1/completions";
/// Takes a chat request of OpenAI's.
pub const CHAT_PATH: &str = "/v1/chat/completions";
/// Takes a [`PredictRequest`], answers [`Predictions`].
pub const PREDICT_PATH: &str = "/v1/predict";

/// Longest question, bytes: 300,000 numbers as text, or the longest prompt escaped (a guess at the
/// largest batch that anybody sends by HTTP).
const QUESTION_BYTES_MAX: usize = 4 << 20;

/// What all handlers share.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) engine: Engine,
    pub(super) news: News,
}

impl Answers {
    /// The routes.
    pub(super) fn router(self) -> Router {
        Router::new()
            .route(MODELS_PATH, get(models::list))
            .route(MODEL_PATH, get(models::one))
            .route(WEIGHTS_PATH, get(models::weights))
            .route(COMPLETIONS_PATH, post(completion::complete))
            .route(CHAT_PATH, post(chat::chat))
            .route(PREDICT_PATH, post(predict::predict))
            .route_layer(DefaultBodyLimit::max(QUESTION_BYTES_MAX))
            .with_state(self)
    }

    /// Whether a question could be answered now.
    pub(super) fn is_ready(&self) -> bool {
        self.engine.is_alive() && self.news.borrow().served.iter().any(|run| run.weights().is_some())
    }

    /// Has a run's model continue a text as it is wished, and answers in this form.
    async fn go_on(&self, form: Form, prompt: String, wish: &Wish) -> Result<Response, Failure> {
        check(&wish.rest)?;
        let run = self.find(wish.model.as_deref())?;
        let text = self.engine.generate(run.clone(), prompt, wish.sampling(form.stops())).await?;
        let frame = Frame::new(form, &run, &text);
        if !wish.stream {
            return frame.whole(text).await;
        }
        let usage = wish.stream_options.as_ref().is_some_and(|options| options.include_usage);
        Ok(frame.stream(text, usage))
    }

    /// The run of this name or id; the first if none is said.
    fn find(&self, model: Option<&str>) -> Result<ServedRun, Failure> {
        let roster = self.news.borrow();
        let mut served = roster.served.iter();
        let found = match model.filter(|model| !model.is_empty()) {
            None => served.next(),
            Some(model) => served.find(|run| run.name() == model || run.run().to_string() == model),
        };
        found.cloned().ok_or_else(|| Failure::no_model(model))
    }
}

#[cfg(test)]
mod tests;
