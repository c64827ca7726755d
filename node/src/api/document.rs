//! What the API says of itself: an OpenAPI document, made from the types that it answers with, and a page
//! that shows it. Nothing on the page runs: it is text, and asks nobody for anything but its colours.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::Json;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde_json::{Map, Value};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::answers;

/// The document.
pub const DOCUMENT_PATH: &str = "/openapi.json";
/// The page.
pub const PAGE_PATH: &str = "/docs";
const STYLE_PATH: &str = "/docs.css";
const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
code,h2,h3{font-family:monospace}table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2em .6em;text-align:left}
";

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
    components(schemas(answers::ChatDelta)),
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
static PAGE: LazyLock<String> = LazyLock::new(|| page(&DOCUMENT));

pub(super) fn router() -> Router {
    Router::new()
        .route(DOCUMENT_PATH, get(async || Json(DOCUMENT.clone())))
        .route(PAGE_PATH, get(async || Html(PAGE.as_str())))
        .route(STYLE_PATH, get(async || ([(CONTENT_TYPE, "text/css")], STYLE).into_response()))
}

/// Every path with its methods, then every structure with its fields.
fn page(document: &Value) -> String {
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Shoal</title><link rel=stylesheet href={STYLE_PATH}><h1>Shoal</h1>"
    );
    // Writing to a String cannot fail.
    let mut say = |text: String| {
        let _ = writeln!(html, "{text}");
    };
    say(format!(
        "<p>{}</p><p>For programs: <a href={DOCUMENT_PATH}>openapi.json</a></p>",
        text(&document["info"]["description"])
    ));
    for (path, methods) in fields(&document["paths"]) {
        for (method, operation) in fields(methods) {
            say(format!("<h2>{} {}</h2><p>{}</p>", escaped(&method.to_uppercase()), escaped(path), text(&operation["summary"])));
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            if let Some(name) = structure(body) {
                say(format!("<p>takes {}</p>", link(name)));
            }
            let row = |(status, answer): (&String, &Value)| {
                let named = structure(&answer["content"]["application/json"]["schema"]).map(link).unwrap_or_default();
                format!("<tr><td>{}<td>{}<td>{named}", escaped(status), text(&answer["description"]))
            };
            say(format!("<table>{}</table>", fields(&operation["responses"]).map(row).collect::<String>()));
        }
    }
    for (name, schema) in fields(&document["components"]["schemas"]) {
        say(format!("<h3 id={0}>{0}</h3><p>{1}</p>", escaped(name), text(&schema["description"])));
        let row = |(field, schema): (&String, &Value)| {
            format!("<tr><td><code>{}</code><td>{}", escaped(field), text(&schema["description"]))
        };
        say(format!("<table>{}</table>", fields(&schema["properties"]).map(row).collect::<String>()));
    }
    html
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// The name of the structure that a schema refers to.
fn structure(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn link(name: &str) -> String {
    format!("<a href=#{0}>{0}</a>", escaped(name))
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
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
            assert!(PAGE.contains(&format!(" {path}</h2>")), "{path}");
        }
        assert_eq!(fields(&DOCUMENT["paths"]).count(), paths.len());
        assert_eq!(DOCUMENT["components"]["securitySchemes"]["token"]["scheme"], "bearer");
        assert_eq!(DOCUMENT["paths"][PREDICT_PATH]["post"]["security"][0]["token"], serde_json::json!([]));
        let request = &DOCUMENT["components"]["schemas"]["CompletionRequest"];
        assert_eq!(request["required"], serde_json::json!(["prompt"]));
        assert!(request["properties"].get("rest").is_none());
        assert!(PAGE.contains("<h3 id=Predictions>") && !PAGE.contains("<script"));
    }
}
