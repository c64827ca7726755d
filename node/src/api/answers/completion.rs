//! `POST /v1/completions`: continues a text.

use axum::extract::State;
use axum::response::Response;

use super::asked::Asked;
use super::frame::Form;
use super::words::{Completion, CompletionRequest, Prompt};
use super::{Answers, Failure};

/// Continue a text
#[utoipa::path(
    post, path = "/v1/completions", tag = "texts", request_body = CompletionRequest, security(("token" = [])),
    responses(
        (status = 200, description = "the continuation, or server-sent events of pieces of it", body = Completion),
        Failure,
    ),
)]
pub(super) async fn complete(
    State(answers): State<Answers>,
    Asked(request): Asked<CompletionRequest>,
) -> Result<Response, Failure> {
    let prompt = one(request.prompt)?;
    answers.go_on(Form::Completion, prompt, &request.wish).await
}

fn one(prompt: Prompt) -> Result<String, Failure> {
    match prompt {
        Prompt::One(prompt) => Ok(prompt),
        Prompt::List(prompts) => <[String; 1]>::try_from(prompts)
            .map(|[prompt]| prompt)
            .map_err(|prompts| Failure::field("prompt", format!("a request has one prompt, not {}", prompts.len()))),
    }
}
