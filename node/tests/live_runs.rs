//! Runs that anybody makes, with real processes: made, published, found, fetched, joined and trained, and
//! one node in several of them.

#[allow(dead_code, reason = "not every test file needs all of it")]
mod live;

use std::path::Path;
use std::process::Output;

use live::{Node, round, shoal, wait_for};
use serde_json::Value;

/// A run of short rounds of the digits; its seed makes it another run.
fn spec(dir: &Path, seed: u32) -> String {
    let text = format!(
        "version = 1\nname = \"run-{seed}\"\nseed = {seed}\n[round]\nsteps = 5\nperiod_ms = 300\npeers = 8\n[task]\n\
        kind = \"classify\"\ninputs = [8, 8]\nclasses = 10\nbatch = 16\nmodel = {{ kind = \"mlp\", hidden = [32] }}\n\
        optimizer = {{ kind = \"sgd\", rate = 0.1 }}\n"
    );
    let path = dir.join(format!("{seed}.toml"));
    std::fs::write(&path, text).expect("a writable directory");
    path.to_str().expect("a UTF-8 path").to_owned()
}

/// What all nodes here are started with: loopback, any port, and a part of the digits.
fn node(dir: &Path, shard: usize, more: &[&str]) -> Node {
    let shard_name = format!("{shard}/2");
    let mut args = vec!["--listen", "/ip4/127.0.0.1/tcp/0", "--mdns", "false", "--shard", &shard_name];
    args.extend(more);
    Node::init(dir.join(format!("node{shard}")), &args)
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("stdout is JSON")
}

/// What a node says of this run.
fn of_run(status: &Value, run: &str) -> Option<Value> {
    status["runs"].as_array()?.iter().find(|entry| entry["run"] == run).cloned()
}

fn trains_with_one(status: &Value, run: &str, rounds: u64) -> bool {
    of_run(status, run).is_some_and(|run| round(&run) >= rounds && run["peers_heard"] == 1)
}

#[test]
fn a_run_is_made_offered_found_and_joined() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml").to_str().unwrap().to_owned();
    let made = json(&shoal(&["new", "mine", "--data", "digits", "--out", &file, "--json"]));
    let run = made["run"].as_str().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("period_ms = 5000", "period_ms = 500")).unwrap();
    assert_eq!(shoal(&["new", "mine", "--data", "digits", "--out", &file]).status.code(), Some(1), "nothing is replaced");
    let checked = json(&shoal(&["spec", "check", &file, "--json"]));
    assert_ne!(checked["run"], run, "another period is another run");
    let run = checked["run"].as_str().unwrap();

    let mut first = node(dir.path(), 0, &[]);
    let published = json(&shoal(&["publish", &file, "--data-dir", &first.dir, "--json"]));
    assert_eq!((&published["run"], &published["taking_part"]), (&run.into(), &true.into()));
    first.start();
    first.until("its run", |status| of_run(status, run).is_some_and(|run| round(&run) >= 1));
    let address = first.address();

    let mut second = node(dir.path(), 1, &["--bootstrap", &address]);
    let listed = wait_for("the run in the network's list", || {
        let mut line = second.command_line(&["--json"]);
        line[0] = "runs";
        let line: Vec<&str> = line.into_iter().filter(|arg| *arg != "--shard" && *arg != "1/2").collect();
        let runs = json(&shoal(&line));
        runs.as_array()?.iter().find(|entry| entry["run"] == run).cloned()
    });
    assert_eq!((&listed["name"], &listed["reporters"], &listed["ours"]), (&"mine".into(), &1.into(), &false.into()));
    assert!(listed["reported_rounds"].as_u64() >= Some(1) && listed["reported_model_bytes"] == 19_240, "{listed}");

    second.start_as(&["join", run]);
    for node in [&mut first, &mut second] {
        node.until("both train", |status| trains_with_one(status, run, 3));
    }
    let runs = json(&shoal(&["runs", "--json", "--data-dir", &second.dir]));
    let listed = runs.as_array().unwrap().iter().find(|entry| entry["run"] == run).expect("the run");
    assert_eq!((&listed["reporters"], &listed["ours"]), (&2.into(), &true.into()));
    let again = shoal(&["join", run, "--data-dir", &second.dir]);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.code() == Some(1) && said.contains("takes part in run"), "{said}");
}

/// One node is told while it runs to join a second run; both go on, also after a restart.
#[test]
fn a_node_in_two_runs_trains_both() {
    let dir = tempfile::tempdir().unwrap();
    let specs = [spec(dir.path(), 1), spec(dir.path(), 2)];
    let ids = specs.each_ref().map(|spec| json(&shoal(&["spec", "check", spec, "--json"]))["run"].as_str().unwrap().to_owned());
    let mut both = node(dir.path(), 0, &["--run", &specs[0], "--run", &specs[1]]);
    both.start();
    let address = both.address();
    let mut other = node(dir.path(), 1, &["--bootstrap", &address]);
    other.start_with(&["--run", &specs[0]]);
    other.until("the first run", |status| trains_with_one(status, &ids[0], 3));
    assert!(of_run(&other.status().unwrap(), &ids[1]).is_none());

    let joined = shoal(&["join", &ids[1], "--data-dir", &other.dir]);
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    for node in [&mut both, &mut other] {
        node.until("both runs", |status| ids.iter().all(|run| trains_with_one(status, run, 6)));
        let status = node.status().unwrap();
        assert_eq!((status["runs"].as_array().unwrap().len(), &status["run"]), (2, &ids[0].as_str().into()));
        assert!(status["rejects"].get("wrong_run").is_none(), "{status}");
    }
    let peers = other.peers();
    let mut runs: Vec<&str> = peers.iter().map(|peer| peer["run"].as_str().unwrap()).collect();
    runs.sort_unstable();
    let mut expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(runs, expected, "one peer in each run");

    other.terminate();
    assert_eq!(other.ended().code(), Some(0), "{}", other.log());
    other.start();
    other.until("both runs again", |status| ids.iter().all(|run| trains_with_one(status, run, 8)));
}

#[test]
fn what_cannot_be_joined_is_said_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path(), 0, &[]);
    let spec = spec(dir.path(), 1);
    let dir_args = ["--data-dir", node.dir.as_str(), "--mdns", "false", "--listen", "/ip4/127.0.0.1/tcp/0"];
    let refused = |args: &[&str], code: i32, naming: &str| {
        let output = shoal(&[args, &dir_args].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ") || line.starts_with("help: ")).collect();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(lines.len() == 2 && lines[0].contains(naming), "{args:?}: {said}");
    };
    refused(&["run"], 2, "no run to take part in");
    refused(&["run", "--run", &spec, "--run", &spec, "--data", "hamlet"], 1, "the data");
    refused(&["join", "nowhere"], 2, "neither the id of a run, nor the file of a spec, nor a network");
    refused(&["join", &spec, "--data", "hamlet"], 1, "the data");
    refused(&["join", &spec, "--data", "photos"], 2, "`data` is \"photos\"");
}

/// A private network, one node in it, and somebody who has nothing but the ticket. A node that has the
/// network's name and the address, but no secret, is not even spoken to.
#[test]
fn a_ticket_is_all_that_a_newcomer_needs_and_the_only_way_into_a_private_network() {
    let dir = tempfile::tempdir().unwrap();
    let (spec, secret) = (spec(dir.path(), 5), dir.path().join("ours.toml"));
    let secret = secret.to_str().unwrap();
    assert!(shoal(&["network", "ours", "--private", "--out", secret]).status.success());
    let mut first = node(dir.path(), 0, &["--run", &spec, "--network", secret]);
    first.start();
    let address = first.address();
    let invited = json(&shoal(&["invite", "--json", "--data-dir", &first.dir, "--network", secret]));
    let (ticket, run) = (invited["ticket"].as_str().unwrap(), invited["run"].as_str().unwrap());
    assert_eq!((&invited["network"], &invited["private"]), (&"ours".into(), &true.into()));

    let outside = dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let mut stranger = node(&outside, 1, &["--run", &spec, "--network", "ours", "--bootstrap", &address]);
    stranger.start();
    let mut second = node(dir.path(), 1, &[]);
    // Joining makes a node where there is none.
    std::fs::remove_dir_all(&second.dir).unwrap();
    second.start_as(&["join", ticket]);
    for node in [&mut first, &mut second] {
        node.until("both train", |status| trains_with_one(status, run, 3));
    }
    let noted = Path::new(&second.dir).join("network.toml");
    assert!(std::fs::read_to_string(noted).unwrap().contains("secret"), "it belongs to that network from now on");
    assert_eq!(stranger.status().unwrap()["connected"], 0, "without the secret there is nobody");

    let elsewhere = shoal(&["join", "testnet", "--data-dir", &second.dir]);
    let said = String::from_utf8(elsewhere.stderr).unwrap();
    assert!(elsewhere.status.code() == Some(2) && said.contains("belongs to the network ours"), "{said}");
    let cut = shoal(&["join", &ticket[..ticket.len() - 9], "--data-dir", &second.dir]);
    let said = String::from_utf8(cut.stderr).unwrap();
    assert!(cut.status.code() == Some(2) && said.contains("cut"), "{said}");
}
