//! `POST /v1/completions`: continues a text.

use axum::extract::State;
use axum::response::Response;

use super::asked::{Asked, check};
use super::frame::{Form, Frame};
use super::words::{Completion, CompletionRequest, Prompt, StreamOptions, Wish};
use super::{Answers, Failure, FailureBody};

/// Continue a text
#[utoipa::path(
    post, path = "/v1/completions", tag = "texts", request_body = CompletionRequest, security(("token" = [])),
    responses(
        (status = 200, description = "the continuation, or server-sent events of pieces of it", body = Completion),
        (status = 400, description = "a request that cannot be carried out", body = FailureBody),
        (status = 404, description = "no such run here", body = FailureBody),
        (status = 429, description = "too many wait; `Retry-After` says when to ask again", body = FailureBody),
        (status = 503, description = "no weights yet", body = FailureBody),
    ),
)]
pub(super) async fn complete(
    State(answers): State<Answers>,
    Asked(request): Asked<CompletionRequest>,
) -> Result<Response, Failure> {
    check(&request.rest)?;
    let run = answers.find(request.model.as_deref())?;
    let prompt = one(request.prompt)?;
    let CompletionRequest { max_tokens, temperature, top_p, seed, stop, stream, stream_options, .. } = request;
    let sampling = Wish { max_tokens, temperature, top_p, seed, stop }.sampling(&[]);
    let text = answers.engine.generate(run.clone(), prompt, sampling).await?;
    let frame = Frame::new(Form::Completion, &run, &text);
    if stream { Ok(frame.stream(text, told_usage(stream_options))) } else { frame.whole(text).await }
}

fn one(prompt: Prompt) -> Result<String, Failure> {
    match prompt {
        Prompt::One(prompt) => Ok(prompt),
        Prompt::List(prompts) => <[String; 1]>::try_from(prompts)
            .map(|[prompt]| prompt)
            .map_err(|prompts| Failure::field("prompt", format!("a request has one prompt, not {}", prompts.len()))),
    }
}

pub(super) fn told_usage(options: Option<StreamOptions>) -> bool {
    options.is_some_and(|options| options.include_usage)
}
