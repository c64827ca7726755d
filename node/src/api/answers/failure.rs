//! How a question fails, in OpenAI's shape, so that its clients understand it.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shoal_ml::{GenerateError, PredictError};
use utoipa::{IntoResponses, ToSchema};

use crate::serve::ServeError;

/// Seconds after which one who was refused for others may ask again: a text of the default length is
/// done by then (a guess).
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");
/// Characters of a client's own words that are repeated to it.
const QUOTED_MAX: usize = 80;

/// A failure and its status.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    fault: Fault,
}

/// What the body of a failure is.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureBody {
    /// What went wrong.
    pub error: Fault,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// One sentence.
    pub message: String,
    /// `invalid_request_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The field that is wrong, if it is one.
    pub param: Option<String>,
    /// A word for programs.
    pub code: Option<&'static str>,
}

impl Failure {
    fn new(status: StatusCode, code: Option<&'static str>, message: String) -> Self {
        let kind = match status.as_u16() {
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        Self { status, fault: Fault { message, kind, param: None, code } }
    }

    /// A request that cannot be carried out as it stands.
    pub(super) fn invalid(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, None, message)
    }

    /// A field that cannot be as it is.
    pub(super) fn field(param: &str, message: String) -> Self {
        Self::invalid(message).at(param)
    }

    /// A request that does not carry the token.
    pub(in crate::api) fn no_token() -> Self {
        let message = "the token that lies in the data directory as `api.token` must come along: `Authorization: Bearer TOKEN`";
        Self::new(StatusCode::UNAUTHORIZED, Some("invalid_api_key"), message.to_owned())
    }

    /// A body that could not be taken.
    pub(super) fn body(status: StatusCode) -> Self {
        let message = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "the request is too long: at most 4 MiB are read",
            _ => "the request's body did not come whole",
        };
        Self::new(status, None, message.to_owned())
    }

    /// A model that is not there.
    pub(super) fn no_model(model: Option<&str>) -> Self {
        let message = match model {
            None => "this node takes part in no run".to_owned(),
            Some(model) => {
                let model: String = model.chars().take(QUOTED_MAX).collect();
                format!("this node takes part in no run of the name or id {model:?}; `GET /v1/models` lists its runs")
            }
        };
        Self::new(StatusCode::NOT_FOUND, Some("model_not_found"), message).at("model")
    }

    fn at(mut self, param: &str) -> Self {
        self.fault.param = Some(param.to_owned());
        self
    }

    /// What is said of it.
    pub(super) fn fault(&self) -> &Fault {
        &self.fault
    }
}

/// What any question to a model may come to instead of an answer.
impl IntoResponses for Failure {
    fn responses() -> BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        let said = [
            (StatusCode::BAD_REQUEST, "a request that cannot be carried out"),
            (StatusCode::NOT_FOUND, "no such run here"),
            (StatusCode::TOO_MANY_REQUESTS, "too many wait; `Retry-After` says when to ask again"),
            (StatusCode::SERVICE_UNAVAILABLE, "no weights yet"),
        ];
        let response = |description: &str| {
            let body = utoipa::openapi::Content::new(Some(utoipa::openapi::Ref::from_schema_name("FailureBody")));
            utoipa::openapi::ResponseBuilder::new().description(description).content("application/json", body).build()
        };
        said.map(|(status, description)| (status.as_str().to_owned(), response(description).into())).into()
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let message = error.to_string();
        match error {
            ServeError::Busy => Self::new(StatusCode::TOO_MANY_REQUESTS, Some("rate_limit_exceeded"), message),
            ServeError::NotReady => Self::new(StatusCode::SERVICE_UNAVAILABLE, Some("not_ready"), message),
            ServeError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, None, message),
            ServeError::Predict(PredictError::Text) => Self::field("model", message),
            ServeError::Predict(PredictError::Count { .. } | PredictError::NotFinite(_)) => Self::field("inputs", message),
            ServeError::Predict(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, None, message),
            ServeError::Generate(error) => error.into(),
        }
    }
}

impl From<GenerateError> for Failure {
    fn from(error: GenerateError) -> Self {
        let message = error.to_string();
        match error {
            GenerateError::Sampling { what, .. } => Self::field(what, message),
            GenerateError::EmptyPrompt | GenerateError::LongPrompt(_) => Self::field("prompt", message),
            GenerateError::NoText => Self::field("model", message),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, None, message),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(FailureBody { error: self.fault })).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S);
        }
        response
    }
}
