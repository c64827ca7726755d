//! A language run from its data to its answers, as a person would do it: `new`, `run`, questions over HTTP and on the
//! command line, `export`; then the same run's weights corrected by another.

mod live;

use std::fs;
use std::path::Path;

use live::{Node, shoal, wait_for};
use serde_json::{Value, json};

/// Learned within a few dozen steps: after half a word the rest of it is sure.
const PLAY: &str = "a bad cafe fed a dead bee a fad; ";
/// Byte pairs of those letters, some of whole words.
const TOKENIZER: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"}, "model": {"type": "BPE", "unk_token": "?",
    "vocab": {"?": 0, " ": 1, "a": 2, "b": 3, "c": 4, "d": 5, "e": 6, "f": 7, ";": 8, "ad": 9, "ea": 10, " bad": 11, " b": 12},
    "merges": [["a", "d"], ["e", "a"], [" ", "b"], [" b", "ad"]]}}"#;
/// Weights are served about a second after they were learned, an average over rounds later still.
const ROUNDS: u64 = 10;

/// What a verb printed; it must have succeeded.
fn said(args: &[&str]) -> String {
    let output = shoal(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("stdout is UTF-8")
}

fn json_of(args: &[&str]) -> Value {
    serde_json::from_str(&said(args)).expect("stdout is JSON")
}

/// Writes the spec, runs it on one node until it has learned, and stops the node.
fn trained(dir: &Path, name: &str, new: &[&str], assets: &[&str], while_it_runs: impl Fn(&Node)) -> Node {
    let path = |file: &str| dir.join(file).to_str().expect("a UTF-8 path").to_owned();
    let (spec, data) = (path(&format!("{name}.toml")), path("play.txt"));
    said(&[&["new", name, "--data", &data, "--out", &spec][..], new].concat());
    // What is measured in days there is to be learned in seconds here.
    let mut text = fs::read_to_string(&spec).expect("a spec");
    for (from, to) in [("steps = 10", "steps = 50"), ("period_ms = 5000", "period_ms = 200"), ("rate = 0.003", "rate = 0.01")] {
        assert!(text.contains(from), "{text}");
        text = text.replace(from, to);
    }
    fs::write(&spec, text).expect("written");
    let mut args = vec!["--run", &spec, "--data", &data, "--listen", "/ip4/127.0.0.1/tcp/0", "--mdns", "false"];
    args.extend(["--wait-for-peers", "0"]);
    assets.iter().for_each(|file| args.extend(["--asset", file]));
    let mut node = Node::init(dir.join(format!("{name}-node")), &args);
    node.start();
    node.until_round(ROUNDS);
    while_it_runs(&node);
    node.terminate();
    assert_eq!(node.ended().code(), Some(0), "{}", node.log());
    node
}

/// Asks the running node as OpenAI's clients do.
fn completion(node: &Node, question: &Value) -> Value {
    let read = |file: &str| fs::read_to_string(Path::new(&node.dir).join(file)).expect("the node runs").trim().to_owned();
    let (address, token) = (read("api.addr"), read("api.token"));
    let answer = ureq::post(format!("http://{address}/v1/completions"))
        .header("Authorization", format!("Bearer {token}"))
        .send_json(question);
    answer.expect("an answer").body_mut().read_json().expect("JSON")
}

fn bits(node: &Node) -> f64 {
    let found = json_of(&["eval", "--json", "--data-dir", &node.dir]);
    found["figures"]["bits_per_character"].as_f64().expect("a figure of texts")
}

#[test]
fn pieces_of_words_are_learned_answered_and_corrected() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |file: &str| dir.path().join(file).to_str().expect("a UTF-8 path").to_owned();
    let (tokenizer, base, corrected) = (path("tokenizer.json"), path("base"), path("corrected"));
    fs::write(path("play.txt"), PLAY.repeat(150)).expect("written");
    fs::write(&tokenizer, TOKENIZER).expect("written");

    let question = json!({"model": "pieces", "prompt": "a bad cafe fed a", "max_tokens": 8, "temperature": 0});
    let node = trained(dir.path(), "pieces", &["--tokenizer", &tokenizer], &[&tokenizer], |node| {
        let learned = wait_for("pieces put together again", || {
            let answer = completion(node, &question);
            let right = answer["choices"][0]["text"].as_str().is_some_and(|text| text.starts_with(" dead bee"));
            right.then_some(answer)
        });
        assert_eq!((&learned["object"], &learned["usage"]["completion_tokens"]), (&json!("text_completion"), &json!(8)));
    });
    assert!(bits(&node) < 0.5, "{}", bits(&node));
    let text = said(&["generate", "a bad cafe fed a", "--max-tokens", "8", "--temperature", "0", "--data-dir", &node.dir]);
    assert!(text.starts_with(" dead bee"), "{text:?}");
    said(&["export", "--to", &base, "--data-dir", &node.dir]);
    assert!(Path::new(&base).join("tokenizer.json").exists());

    // Another play in the same letters, so that there is something to correct.
    fs::write(path("play.txt"), "a fad bee; dead cafe a bed ".repeat(150)).expect("written");
    let files = ["model.safetensors", "tokenizer.json"].map(|file| format!("{base}/{file}"));
    let lora = ["--model", "lora", "--from", &base, "--rank", "4"];
    let before = json_of(&["eval", "--json", "--data-dir", &node.dir, "--data", &path("play.txt")]);
    let before = before["figures"]["bits_per_character"].as_f64().expect("a figure of texts");
    let node = trained(dir.path(), "corrected", &lora, &files.each_ref().map(String::as_str), |node| {
        wait_for("corrections that help", || (bits(node) < before - 0.5).then_some(()));
    });
    said(&["export", "--to", &corrected, "--data-dir", &node.dir]);
    let read = |folder: &str| fs::read(Path::new(folder).join("model.safetensors")).expect("weights");
    let config = |folder: &str| fs::read_to_string(Path::new(folder).join("config.json")).expect("text");
    // Merged: the same kind of folder as the base's, with other weights of the same layout.
    assert_eq!(config(&corrected), config(&base));
    assert!(read(&corrected) != read(&base) && !config(&corrected).contains("lora"));
    let from = ["new", "again", "--data", &path("play.txt"), "--from", &corrected, "--out", &path("again.toml")];
    said(&from);
}
