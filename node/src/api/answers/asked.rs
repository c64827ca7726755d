//! A request's body as JSON, and what of it this node cannot do.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Failure;

/// What was asked; the body is read within its bound, then parsed.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| Failure::body(rejection.into_response().status()))?;
        let asked = serde_json::from_slice(&bytes);
        asked.map(Self).map_err(|error| Failure::invalid(format!("the request is not what it must be: {error}")))
    }
}

/// Fields of OpenAI's that would change the answer in a way that this node cannot.
const UNSUPPORTED: [&str; 13] = [
    "audio",
    "best_of",
    "echo",
    "frequency_penalty",
    "functions",
    "logit_bias",
    "logprobs",
    "n",
    "presence_penalty",
    "response_format",
    "suffix",
    "tools",
    "top_logprobs",
];

/// Refuses a field that asks for what this node cannot do; one that asks for nothing may be there, and
/// one that nobody knows does no harm.
pub(super) fn check(rest: &BTreeMap<String, Value>) -> Result<(), Failure> {
    match rest.iter().find(|(name, value)| UNSUPPORTED.contains(&name.as_str()) && !asks_nothing(name, value)) {
        None => Ok(()),
        Some((name, _)) => Err(Failure::field(name, format!("`{name}` is nothing that this node can do; leave it out"))),
    }
}

fn asks_nothing(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(asked) => !asked,
        Value::Number(number) => number.as_f64() == Some(if matches!(name, "n" | "best_of") { 1.0 } else { 0.0 }),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => {
            fields.is_empty() || (name == "response_format" && fields.get("type").and_then(Value::as_str) == Some("text"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_would_change_the_answer_is_refused() {
        let checked = |value: Value| {
            let Value::Object(fields) = value else { panic!("an object") };
            check(&fields.into_iter().collect()).map_err(|failure| failure.fault().param.clone().unwrap())
        };
        let nothing = json!({"n": 1, "best_of": 1, "logprobs": null, "tools": [], "logit_bias": {}, "echo": false, "suffix": "",
            "presence_penalty": 0.0, "response_format": {"type": "text"}, "user": "somebody", "store": true});
        assert_eq!(checked(nothing), Ok(()));
        let asking = [
            json!({"n": 2}),
            json!({"n": 0}),
            json!({"best_of": 3}),
            json!({"logprobs": true}),
            json!({"logprobs": 2}),
            json!({"echo": true}),
            json!({"tools": [{}]}),
            json!({"frequency_penalty": 0.5}),
            json!({"response_format": {"type": "json_object"}}),
            json!({"suffix": "x"}),
        ];
        for fields in asking {
            let name = fields.as_object().unwrap().keys().next().unwrap().clone();
            assert_eq!(checked(fields), Err(name));
        }
    }
}
