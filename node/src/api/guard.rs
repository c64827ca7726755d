//! Who may ask: requests that name a loopback address of ours, and that no web page sent. Who may give
//! orders and question models: those who carry the token besides.
//!
//! A page can make a browser on this machine connect to 127.0.0.1, even under a name of its own
//! (DNS rebinding). The browser then says that name in `Host`, and the page's own in `Origin`.

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answers::Failure;
use super::token::Token;

/// Goes with every answer, so that none can be turned into a page that does something.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Refuses strangers, hands everybody else on, and puts [`HEADERS`] on the answer either way.
pub async fn check(State(port): State<u16>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&request, port) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Hands on what carries the token, once.
pub async fn authorize(State(token): State<Token>, request: Request, next: Next) -> Response {
    let mut said = request.headers().get_all(AUTHORIZATION).iter();
    let ours = match (said.next(), said.next()) {
        (Some(header), None) => header.to_str().is_ok_and(|header| token.is_in(header)),
        _ => false,
    };
    if ours {
        return next.run(request).await;
    }
    Failure::no_token().into_response()
}

fn refusal(request: &Request, port: u16) -> Option<(StatusCode, &'static str)> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let ours = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(|host| names_us(host, port)),
        _ => false,
    };
    // A request line may name a host too; then that one counts as well.
    let line_ours = request.uri().authority().is_none_or(|authority| names_us(authority.as_str(), port));
    if !ours || !line_ours {
        return Some((StatusCode::MISDIRECTED_REQUEST, "this API answers to its loopback address only\n"));
    }
    if request.headers().contains_key(ORIGIN) {
        return Some((StatusCode::FORBIDDEN, "this API answers no web page\n"));
    }
    None
}

/// Whether `host` (`name` or `name:port`) is one of the loopback names with our port.
fn names_us(host: &str, port: u16) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    // No port means 80; a user name before `@` is nothing a client of ours says.
    let ours = authority.port_u16().unwrap_or(80) == port && !host.contains('@');
    let name = authority.host();
    ours && (matches!(name, "127.0.0.1" | "[::1]") || name.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_with_our_port_pass() {
        for host in ["127.0.0.1:4000", "localhost:4000", "LOCALHOST:4000", "[::1]:4000"] {
            assert!(names_us(host, 4000), "{host}");
        }
        let strangers = [
            "",
            "evil.example",
            "evil.example:4000",
            "127.0.0.1",
            "127.0.0.1:4001",
            "127.0.0.1:",
            "localhost.evil.example:4000",
            "[::2]:4000",
            "127.0.0.1.evil.example:4000",
            "a@127.0.0.1:4000",
            "127.0.0.1:4000@evil.example",
            "2130706433:4000",
            "0.0.0.0:4000",
            "localhost.:4000",
            "127.0.0.1:4000, evil.example",
            "http://127.0.0.1:4000",
        ];
        for host in strangers {
            assert!(!names_us(host, 4000), "{host}");
        }
        assert!(names_us("localhost", 80));
    }
}
