//! What the API says of itself: an OpenAPI document, made from the types that it answers with, and a page
//! that shows it. Nothing on the page runs: it is text, and asks nobody for anything but its colours.

mod page;

use std::sync::LazyLock;

use axum::Json;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::answers;

/// The document.
pub const DOCUMENT_PATH: &str = "/openapi.json";
/// The page.
pub const PAGE_PATH: &str = "/docs";
const STYLE_PATH: &str = "/docs.css";
const STYLE: &str = include_str!("document/page.css");

/// The API as one document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shoal",
        description = "What a running Shoal node answers on its own machine. Questions to models, and orders, carry the token \
                       that lies in the node's data directory as `api.token`, as `Authorization: Bearer TOKEN`: OpenAI's \
                       clients take it as their key. Requests that a web page sends are refused.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        answers::list, answers::one, answers::weights, answers::complete, answers::chat, answers::predict, super::health,
        super::ready, super::status, super::peers, super::orders::list, super::orders::join,
    ),
    components(schemas(answers::ChatDelta, answers::FailureBody)),
    modifiers(&BearerToken),
)]
struct Document;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_with(Default::default).add_security_scheme("token", scheme);
    }
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(Document::openapi()).unwrap_or_default());
static PAGE: LazyLock<String> = LazyLock::new(|| page::page(&DOCUMENT));

pub(super) fn router() -> Router {
    Router::new()
        .route(DOCUMENT_PATH, get(async || Json(DOCUMENT.clone())))
        .route(PAGE_PATH, get(async || Html(PAGE.as_str())))
        .route(STYLE_PATH, get(async || ([(CONTENT_TYPE, "text/css")], STYLE).into_response()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::*;

    #[test]
    fn every_path_is_in_the_document_and_on_the_page() {
        let paths = [
            MODELS_PATH,
            MODEL_PATH,
            WEIGHTS_PATH,
            COMPLETIONS_PATH,
            CHAT_PATH,
            PREDICT_PATH,
            STATUS_PATH,
            PEERS_PATH,
            RUNS_PATH,
            HEALTH_PATH,
            READY_PATH,
        ];
        for path in paths {
            assert!(DOCUMENT["paths"].get(path).is_some(), "{path}");
            assert!(PAGE.contains(&format!("</b> {path}</h3>")), "{path}");
        }
        assert_eq!(page::fields(&DOCUMENT["paths"]).count(), paths.len());
        assert_eq!(DOCUMENT["components"]["securitySchemes"]["token"]["scheme"], "bearer");
        assert_eq!(DOCUMENT["paths"][PREDICT_PATH]["post"]["security"][0]["token"], serde_json::json!([]));
        let schemas = &DOCUMENT["components"]["schemas"];
        let parts = schemas["CompletionRequest"]["allOf"].as_array().expect("what is flattened, and the rest");
        assert!(parts.iter().any(|part| part["required"] == serde_json::json!(["prompt"])), "{parts:?}");
        assert!(schemas["Wish"]["properties"].get("rest").is_none() && schemas["Wish"]["properties"].get("seed").is_some());
    }

    #[test]
    fn every_question_says_how_it_may_fail() {
        for path in [COMPLETIONS_PATH, CHAT_PATH, PREDICT_PATH] {
            let answers = &DOCUMENT["paths"][path]["post"]["responses"];
            for status in ["400", "404", "429", "503"] {
                let body = &answers[status]["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(body, "#/components/schemas/FailureBody", "{path} {status}");
            }
        }
        assert!(DOCUMENT["components"]["schemas"]["FailureBody"].is_object());
    }

    /// The `Content-Security-Policy` that goes with it lets nothing else through, and nobody should miss it.
    #[test]
    fn the_page_is_whole_in_itself() {
        for foreign in ["<script", "<style", " style=", "http://", "https://", "<img", "@import", "url("] {
            let inside = PAGE.replace("http://$ADDRESS", "");
            assert!(!inside.contains(foreign) && !STYLE.contains(foreign), "{foreign}");
        }
        assert_eq!(PAGE.split("<pre>").count(), 2);
        let outside: String = PAGE.split("<pre>").flat_map(|part| part.split("</pre>").last()).collect();
        assert!(!outside.contains('`'), "raw backquotes: {:.400}", &outside[outside.find('`').unwrap_or(0)..]);
        // Every link within the page leads somewhere.
        for link in PAGE.split("href=#").skip(1).filter_map(|rest| rest.split('>').next()) {
            assert!(PAGE.contains(&format!("id={link}>")), "{link}");
        }
    }
}
