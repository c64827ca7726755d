//! Questions over real sockets: OpenAI's shapes, the token, the bounds.

use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::api::tests::{body, exchange, get, snapshot};
use crate::api::{Api, READY_PATH, Roster, TOKEN_FILE, Token};
use crate::serve::ServedSender;
use crate::serve::tests::{classifier, initial, put_out, writer};

/// A served API with a classifier `tell`, a writer `write`, and their weights' senders.
struct Served {
    address: std::net::SocketAddr,
    token: String,
    tell: ServedSender,
    write: ServedSender,
    _dir: tempfile::TempDir,
}

impl Served {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let api = Api::bind("127.0.0.1:0".parse().unwrap(), dir.path()).await.unwrap();
        let address = api.address();
        let token = Token::read(&dir.path().join(TOKEN_FILE)).unwrap().header();
        let ((teller, tell), (writing, write)) = (classifier("tell"), writer("write"));
        tokio::spawn(async move {
            let (_member, news) = watch::channel(snapshot());
            let roster = Roster { members: vec![news], served: vec![teller, writing], ..Roster::default() };
            let (_roster, news) = watch::channel(roster);
            api.serve(news, tokio::sync::mpsc::channel(1).0, std::future::pending()).await
        });
        Self { address, token, tell, write, _dir: dir }
    }

    /// With weights of round 7 for both.
    async fn ready() -> Self {
        let served = Self::new().await;
        put_out(&served.tell, 7, vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        put_out(&served.write, 7, initial(&writer("write").0));
        served
    }

    async fn get(&self, path: &str) -> String {
        exchange(self.address, &get(path, &format!("Host: {}\r\nAuthorization: {}\r\n", self.address, self.token))).await
    }

    async fn post(&self, path: &str, question: &str) -> String {
        let head = format!(
            "Host: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.address,
            self.token,
            question.len()
        );
        exchange(self.address, &(get(path, &head).replacen("GET", "POST", 1) + question)).await
    }

    /// The status and the JSON of an answer.
    async fn ask(&self, path: &str, question: &Value) -> (u16, Value) {
        parsed(&self.post(path, &question.to_string()).await)
    }
}

fn parsed(answer: &str) -> (u16, Value) {
    (answer["HTTP/1.1 ".len()..][..3].parse().unwrap(), serde_json::from_str(body(answer)).unwrap())
}

/// The events of a stream; a chunked body has its lengths on lines of their own.
fn events(answer: &str) -> Vec<Value> {
    let data: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let (last, events) = data.split_last().unwrap();
    assert_eq!(*last, "[DONE]");
    events.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}

#[tokio::test]
async fn nothing_is_answered_before_there_are_weights() {
    let served = Served::new().await;
    assert!(served.get(READY_PATH).await.starts_with("HTTP/1.1 503"));
    let answer = served.post(PREDICT_PATH, r#"{"inputs": [1, 2]}"#).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1\r\n"), "{answer}");
    assert_eq!(parsed(&answer).1["error"]["code"], "not_ready");
    let (_, models) = parsed(&served.get(MODELS_PATH).await);
    assert_eq!((&models["data"][0]["id"], &models["data"][0]["round"]), (&json!("tell"), &Value::Null));
    put_out(&served.tell, 1, vec![0.0; 9]);
    assert!(served.get(READY_PATH).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn examples_are_told_apart() {
    let served = Served::ready().await;
    let question = json!({"model": "tell", "inputs": [[5, 0], [0, 0.5]], "logits": true});
    let (status, answer) = served.ask(PREDICT_PATH, &question).await;
    assert_eq!((status, &answer["round"], &answer["model"]), (200, &json!(7), &json!("tell")));
    assert_eq!(answer["predictions"][0]["logits"], json!([5.0, 0.0, 0.0]));
    assert_eq!((&answer["predictions"][0]["class"], &answer["predictions"][1]["class"]), (&json!(0), &json!(1)));
    let sum: f64 = answer["predictions"][0]["probabilities"].as_array().unwrap().iter().filter_map(Value::as_f64).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    // The first run is the one that answers if none is named, and an id is a name.
    let run = answer["run"].as_str().unwrap();
    for question in [json!({"inputs": [5, 0]}), json!({"model": run, "inputs": [5, 0]})] {
        assert_eq!(served.ask(PREDICT_PATH, &question).await.1["predictions"][0]["class"], 0);
    }
}

#[tokio::test]
async fn a_text_is_the_same_whole_and_in_pieces() {
    let served = Served::ready().await;
    let mut question = json!({"model": "write", "prompt": "abc", "max_tokens": 30, "seed": 4, "user": "somebody"});
    let (status, whole) = served.ask(COMPLETIONS_PATH, &question).await;
    assert_eq!((status, &whole["object"], &whole["model"]), (200, &json!("text_completion"), &json!("write")));
    assert_eq!(whole["usage"], json!({"prompt_tokens": 3, "completion_tokens": 30, "total_tokens": 33}));
    let text = whole["choices"][0]["text"].as_str().unwrap();
    assert_eq!((text.chars().count(), &whole["choices"][0]["finish_reason"]), (30, &json!("length")));

    question["stream"] = json!(true);
    question["stream_options"] = json!({"include_usage": true});
    let answer = served.post(COMPLETIONS_PATH, &question.to_string()).await;
    assert!(answer.contains("content-type: text/event-stream"), "{answer}");
    let events = events(&answer);
    let pieces: String = events.iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert_eq!(pieces, text);
    let last = &events[events.len() - 2]["choices"][0]["finish_reason"];
    assert_eq!((last, &events[events.len() - 1]["usage"]), (&json!("length"), &whole["usage"]));

    // With no temperature every seed gives the same; the text ends before a stop.
    let greedy = json!({"model": "write", "prompt": ["abc"], "max_tokens": 30, "temperature": 0});
    let greedy = served.ask(COMPLETIONS_PATH, &greedy).await.1["choices"][0]["text"].as_str().unwrap().to_owned();
    let stop: String = greedy.chars().skip(3).take(2).collect();
    let question = json!({"model": "write", "prompt": "abc", "max_tokens": 30, "temperature": 0, "seed": 9, "stop": stop});
    let stopped = served.ask(COMPLETIONS_PATH, &question).await.1;
    let end = greedy.find(&stop).unwrap();
    assert_eq!(
        (stopped["choices"][0]["text"].as_str(), &stopped["choices"][0]["finish_reason"]),
        (Some(&greedy[..end]), &json!("stop"))
    );
}

#[tokio::test]
async fn a_conversation_goes_on() {
    let served = Served::ready().await;
    let mut question = json!({"model": "write", "messages": [{"role": "user", "content": "a bad cafe"}], "max_completion_tokens": 12, "seed": 1});
    let (status, whole) = served.ask(CHAT_PATH, &question).await;
    assert_eq!((status, &whole["object"]), (200, &json!("chat.completion")));
    assert_eq!(whole["choices"][0]["message"]["role"], "assistant");
    assert_eq!(whole["usage"]["prompt_tokens"], "user: a bad cafe\nassistant: ".len());
    question["stream"] = json!(true);
    let events = events(&served.post(CHAT_PATH, &question.to_string()).await);
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    let pieces: String = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(Some(pieces.as_str()), whole["choices"][0]["message"]["content"].as_str());
    let last = &events[events.len() - 1];
    assert_eq!((&last["choices"][0]["delta"], &last["choices"][0]["finish_reason"]), (&json!({}), &json!("length")));
    assert!(events.iter().all(|event| event["id"] == events[0]["id"]));
}

#[tokio::test]
async fn failures_have_openais_shape() {
    let served = Served::ready().await;
    let text = |more: &str| format!(r#"{{"model": "write", "prompt": "a"{more}}}"#);
    let cases = [
        (COMPLETIONS_PATH, "{".to_owned(), 400, Value::Null, Value::Null),
        (COMPLETIONS_PATH, r#"{"model": "write"}"#.to_owned(), 400, Value::Null, Value::Null),
        (COMPLETIONS_PATH, r#"{"model": "no", "prompt": "a"}"#.to_owned(), 404, json!("model"), json!("model_not_found")),
        (COMPLETIONS_PATH, r#"{"model": "tell", "prompt": "a"}"#.to_owned(), 400, json!("model"), Value::Null),
        (COMPLETIONS_PATH, r#"{"model": "write", "prompt": ""}"#.to_owned(), 400, json!("prompt"), Value::Null),
        (COMPLETIONS_PATH, r#"{"model": "write", "prompt": ["a", "b"]}"#.to_owned(), 400, json!("prompt"), Value::Null),
        (COMPLETIONS_PATH, text(r#", "temperature": 3"#), 400, json!("temperature"), Value::Null),
        (COMPLETIONS_PATH, text(r#", "top_p": 0"#), 400, json!("top_p"), Value::Null),
        (COMPLETIONS_PATH, text(r#", "max_tokens": 99999999"#), 400, json!("max_tokens"), Value::Null),
        (COMPLETIONS_PATH, text(r#", "max_tokens": -1"#), 400, Value::Null, Value::Null),
        (COMPLETIONS_PATH, text(r#", "stop": ["", "a"]"#), 400, json!("stop"), Value::Null),
        (COMPLETIONS_PATH, text(r#", "n": 2"#), 400, json!("n"), Value::Null),
        (CHAT_PATH, r#"{"model": "write", "messages": []}"#.to_owned(), 400, json!("messages"), Value::Null),
        (PREDICT_PATH, r#"{"inputs": [1, 2, 3]}"#.to_owned(), 400, json!("inputs"), Value::Null),
        (PREDICT_PATH, r#"{"inputs": []}"#.to_owned(), 400, json!("inputs"), Value::Null),
        (PREDICT_PATH, r#"{"inputs": [1, 1e999]}"#.to_owned(), 400, Value::Null, Value::Null),
        (PREDICT_PATH, r#"{"inputs": [1, 1e99]}"#.to_owned(), 400, json!("inputs"), Value::Null),
        (PREDICT_PATH, r#"{"inputs": [1, "2"]}"#.to_owned(), 400, json!("inputs"), Value::Null),
        (PREDICT_PATH, r#"{"model": "write", "inputs": [1, 2]}"#.to_owned(), 400, json!("model"), Value::Null),
        (PREDICT_PATH, format!(r#"{{"inputs": {}1{}}}"#, "[".repeat(500), "]".repeat(500)), 400, Value::Null, Value::Null),
        (PREDICT_PATH, format!(r#"{{"model": "{}"}}"#, "x".repeat(QUESTION_BYTES_MAX)), 413, Value::Null, Value::Null),
    ];
    for (path, question, status, param, code) in cases {
        let answer = served.post(path, &question).await;
        let (said, answer) = parsed(&answer);
        let error = &answer["error"];
        assert_eq!((said, &error["param"], &error["code"]), (status, &param, &code), "{question:.120}: {answer}");
        assert_eq!((&error["type"], error["message"].is_string()), (&json!("invalid_request_error"), true), "{answer}");
    }
}

#[tokio::test]
async fn who_has_no_token_is_told_nothing() {
    let mut served = Served::ready().await;
    served.token = Token::generate().header();
    for path in [MODELS_PATH, "/v1/models/tell", "/v1/models/tell/weights"] {
        let (status, answer) = parsed(&served.get(path).await);
        assert_eq!((status, &answer["error"]["code"]), (401, &json!("invalid_api_key")), "{path}");
    }
    for path in [COMPLETIONS_PATH, CHAT_PATH, PREDICT_PATH] {
        assert_eq!(served.ask(path, &json!({})).await.0, 401, "{path}");
    }
    // What says nothing of the node is for everybody.
    for path in [crate::api::DOCUMENT_PATH, crate::api::PAGE_PATH, "/docs.css"] {
        assert!(served.get(path).await.starts_with("HTTP/1.1 200"), "{path}");
    }
}

#[tokio::test]
async fn the_weights_can_be_taken_along() {
    let served = Served::ready().await;
    let head = format!("Host: {}\r\nAuthorization: {}\r\n", served.address, served.token);
    let mut stream = tokio::net::TcpStream::connect(served.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, get("/v1/models/tell/weights", &head).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let (run, _) = classifier("tell");
    let (weights, said) = shoal_ml::safetensors::import(run.task().layout(), &answer[end..]).unwrap();
    assert_eq!((weights[0], said["round"].as_str(), said["run"].clone()), (1.0, "7", run.run().to_string()));
}
