//! The binary as a person or a script meets it: answers on stdout, one sentence and one remedy on
//! stderr, an exit code that means something, and nothing half-written.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A `shoal` that knows of no home and no settings but those of its arguments.
fn shoal(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoal"));
    command.args(args).env_clear();
    command
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8")
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", err(output));
    serde_json::from_slice(&output.stdout).expect("stdout is JSON")
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().expect("a UTF-8 path").to_owned()
}

#[test]
fn failures_are_a_sentence_a_remedy_and_a_code() {
    let dir = tempfile::tempdir().unwrap();
    let node = path(dir.path(), "node");
    assert!(shoal(&["init", "--data-dir", &node]).output().unwrap().status.success());
    let file = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        path(dir.path(), name)
    };
    let spec = path(dir.path(), "node/digits.toml");
    let no_model = file("model.toml", &fs::read_to_string(&spec).unwrap().replace("\"mlp\"", "\"oracle\""));
    let bad_config = file("bad.toml", "mdns = true\ncolour = 1\n");
    let bad_spec = file("spec.toml", "version = 1\nname = \"a b\"\nseed = 1\n[task]\n");
    let long_spec = file("long.toml", &"#".repeat(70_000));
    let odd_spec = file("odd.toml", "version = 1\nnaam = \"x\"\n");
    let (absent, under_file) = (path(dir.path(), "absent"), path(dir.path(), "bad.toml/x"));
    let cases: &[(&[&str], i32, &str)] = &[
        (&["id", "--data-dir", &absent], 1, "there is no node in"),
        (&["id"], 2, "no data directory"),
        (&["init", "--data-dir", &node], 1, "exists already"),
        (&["init", "--data-dir", &under_file], 1, "bad.toml"),
        (&["status", "--data-dir", &node], 3, "no node is running"),
        (&["peers", "--data-dir", &absent], 3, "no node is running"),
        (&["run", "--run", &spec, "--data-dir", &absent], 1, "there is no node in"),
        (&["run", "--run", &absent, "--data-dir", &node], 2, "cannot be read"),
        (&["run", "--run", &bad_spec, "--data-dir", &node], 2, "`name` is"),
        (&["run", "--run", &spec, "--data-dir", &node, "--config", &bad_config], 2, "bad.toml line 2: unknown field `colour`"),
        (&["run", "--run", &spec, "--data-dir", &node, "--config", &absent], 2, "cannot be read"),
        (&["run", "--run", &spec, "--data-dir", &node, "--shard", "3/3"], 2, "--shard"),
        (&["run", "--run", &spec, "--data-dir", &node, "--api", "0.0.0.0:80"], 2, "loopback"),
        (&["spec", "check", &absent], 2, "cannot be read"),
        (&["spec", "check", &long_spec], 2, "at most 65536"),
        (&["spec", "check", &odd_spec], 2, "line 2, column 1: unknown field `naam`"),
        (&["spec", "check", &no_model], 2, "`task.model.kind` is \"oracle\""),
        (&["run", "--data-dir", &node, "--record", &absent], 2, "a record is of one run"),
        (&["new", "x", "--data", "photos"], 2, "\"photos\" is no data and nothing lies there"),
        (&["new", "x", "--data", "idx:/absent"], 1, "the data: "),
        (&["new", "x", "--data", "hamlet", "--model", "mlp"], 2, "the model mlp cannot learn from text"),
        (&["new", "a b", "--data", "digits"], 2, "`name` is"),
        (&["new", "x", "--data", "digits", "--out", &spec], 1, "exists already"),
        (&["publish", &absent, "--data-dir", &node], 2, "cannot be read"),
        (&["publish", &spec, "--data-dir", &absent], 1, "there is no node in"),
        (&["runs", "--data-dir", &absent], 1, "there is no node in"),
        (&["demo", "--out", &under_file], 1, "cannot be written"),
        (&["demo", "--out", &path(dir.path(), "o"), "--json", &under_file], 1, "cannot be written"),
    ];
    for (args, code, naming) in cases {
        let output = shoal(args).output().unwrap();
        let said = err(&output);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {said}");
        assert_eq!(out(&output), "", "{args:?}");
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines.len() == 2 && lines[0].starts_with("error: ") && lines[1].starts_with("help: "), "{args:?}: {said}");
        assert!(lines[0].contains(naming), "{args:?}: {said}");
    }
}

#[test]
fn wrong_usage_is_code_2() {
    let cases: &[&[&str]] = &[
        &[],
        &["swim"],
        &["run"],
        &["demo", "--nodes", "1"],
        &["demo", "--nodes", "129"],
        &["demo", "--rounds", "0"],
        &["demo", "--rounds", "10001"],
        &["demo", "--partition", "dirichlet:0"],
        &["demo", "--json", ""],
        &["demo", "--seed", "-1"],
        &["completions", "tcl"],
        &["spec"],
        &["new", "x"],
        &["new", "x", "--data", "digits", "--model", "oracle"],
        &["join"],
        &["publish"],
    ];
    for args in cases {
        let output = shoal(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(out(&output), "", "{args:?}");
        assert!(!err(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn help_tells_the_exit_codes_and_every_verb() {
    let output = shoal(&["--help"]).output().unwrap();
    assert!(output.status.success());
    let help = out(&output);
    for text in [
        "demo",
        "run",
        "join",
        "runs",
        "new",
        "publish",
        "init",
        "id",
        "status",
        "peers",
        "spec",
        "completions",
        "Exit codes",
        "130",
    ] {
        assert!(help.contains(text), "{text}");
    }
}

#[test]
fn init_makes_a_node_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = path(dir.path(), "node");
    let made = json(&shoal(&["init", "--json", "--data-dir", &node]).output().unwrap());
    let mut names: Vec<String> = fs::read_dir(&node).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["config.toml", "digits.toml", "identity.key"]);
    assert_eq!(json(&shoal(&["id", "--json", "--data-dir", &node]).output().unwrap()), made);
    assert!(made["peer"].as_str().unwrap().starts_with("12D3Koo"), "{made}");

    let key = fs::read(dir.path().join("node/identity.key")).unwrap();
    assert_eq!(shoal(&["init", "--data-dir", &node]).output().unwrap().status.code(), Some(1));
    assert_eq!(fs::read(dir.path().join("node/identity.key")).unwrap(), key);

    // Closed to others from the start.
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("node"), mode("node/identity.key")), (0o700, 0o600));

    // A file that is somebody else's stops it before anything is made.
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("digits.toml"), "mine").unwrap();
    assert_eq!(shoal(&["init", "--data-dir", other.to_str().unwrap()]).output().unwrap().status.code(), Some(1));
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
}

#[test]
fn an_answer_that_nobody_reads_is_no_failure() {
    let mut child = shoal(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
}

#[test]
fn variables_and_homes_say_where_a_node_lies() {
    let dir = tempfile::tempdir().unwrap();
    let places = [("SHOAL_DATA_DIR", "a", "a"), ("XDG_DATA_HOME", "b", "b/shoal"), ("HOME", "c", "c/.local/share/shoal")];
    for (variable, value, place) in places {
        let output = shoal(&["init", "--json"]).env(variable, dir.path().join(value)).output().unwrap();
        assert_eq!(json(&output)["data_dir"], path(dir.path(), place));
        assert!(dir.path().join(place).join("identity.key").exists());
    }
}

#[test]
fn the_example_spec_is_a_spec() {
    let dir = tempfile::tempdir().unwrap();
    let node = path(dir.path(), "node");
    assert!(shoal(&["init", "--data-dir", &node]).output().unwrap().status.success());
    let spec = path(dir.path(), "node/digits.toml");
    let checked = json(&shoal(&["spec", "check", "--json", &spec]).output().unwrap());
    assert_eq!(
        (&checked["name"], &checked["parameters"], &checked["dense_f32_bytes"]),
        (&"digits".into(), &4_810.into(), &19_240.into())
    );
    let text = out(&shoal(&["spec", "check", &spec]).output().unwrap());
    assert!(text.contains(checked["run"].as_str().unwrap()) && text.contains("layers.0.weight 64x64"), "{text}");
}

#[test]
fn completions_name_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = shoal(&["completions", shell]).output().unwrap();
        assert!(output.status.success() && out(&output).contains("completions"), "{shell}");
    }
}

#[test]
fn a_stale_address_is_no_running_node() {
    let dir = tempfile::tempdir().unwrap();
    // A port that was free a moment ago, as a killed node leaves it.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stale = [format!("{address}\n"), "192.0.2.1:80\n".to_owned(), "nonsense".to_owned(), "1".repeat(10_000)];
    for text in stale {
        fs::write(dir.path().join("api.addr"), &text).unwrap();
        let output = shoal(&["status", "--data-dir", dir.path().to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{text:.40}: {}", err(&output));
    }
}
