//! `POST /v1/chat/completions`: the next message of a conversation.
//!
//! The models of runs know no roles. A conversation becomes one text, a line for each message, and the
//! model continues its last:
//! ```text
//! system: Be brief.
//! user: Who is there?
//! assistant:
//! ```
//! with a space at the end, as before every other message. Without a `stop` the answer ends where the
//! next line would be the user's. How good that is depends on what the run was trained on.

use axum::extract::State;
use axum::response::Response;

use super::asked::Asked;
use super::frame::Form;
use super::words::{ChatAnswer, ChatRequest, Content, Message, Part};
use super::{Answers, Failure};

/// Longest name of a role, bytes (a guess).
const ROLE_BYTES_MAX: usize = 32;

/// Continue a conversation
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "texts", request_body = ChatRequest, security(("token" = [])),
    responses(
        (status = 200, description = "the next message, or server-sent events of pieces of it", body = ChatAnswer),
        Failure,
    ),
)]
pub(super) async fn chat(State(answers): State<Answers>, Asked(request): Asked<ChatRequest>) -> Result<Response, Failure> {
    let ChatRequest { messages, max_completion_tokens, mut wish } = request;
    wish.max_tokens = max_completion_tokens.or(wish.max_tokens);
    answers.go_on(Form::Chat, prompt(&messages)?, &wish).await
}

fn prompt(messages: &[Message]) -> Result<String, Failure> {
    if messages.is_empty() {
        return Err(Failure::field("messages", "a conversation has one message at least".to_owned()));
    }
    let mut prompt = String::new();
    for Message { role, content } in messages {
        if role.is_empty() || role.len() > ROLE_BYTES_MAX || !role.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(Failure::field("messages", "a role is a word of up to 32 letters".to_owned()));
        }
        prompt.push_str(role);
        prompt.push_str(": ");
        match content {
            Content::Text(text) => prompt.push_str(text),
            Content::Parts(parts) => parts.iter().for_each(|Part { text }| prompt.push_str(text)),
        }
        prompt.push('\n');
    }
    prompt.push_str("assistant: ");
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_a_text_that_ends_with_the_answers_line() {
        let messages = r#"[{"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Who is "}, {"type": "text", "text": "there?"}]}]"#;
        let messages: Vec<Message> = serde_json::from_str(messages).unwrap();
        assert_eq!(prompt(&messages).unwrap(), "system: Be brief.\nuser: Who is there?\nassistant: ");
        assert!(prompt(&[]).is_err());
        for role in ["", "user:", "a\nb", &"x".repeat(33)] {
            let message = Message { role: role.to_owned(), content: Content::Text(String::new()) };
            assert!(prompt(&[message]).is_err(), "{role}");
        }
    }
}
