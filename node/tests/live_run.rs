//! `shoal run` as processes that find each other over loopback, are killed, come back and are joined.

mod live;

use std::path::Path;
use std::time::{Duration, Instant};

use live::{Node, accuracy, round, shoal, wait_for};

/// The run: the digits. The model is large for them, so that a round takes a good part of the 250 ms
/// that a status is old, and the first status after an event shows the rounds next to it.
const SPEC: &str = r#"version = 1
name = "live"
seed = 7
[round]
steps = 80
period_ms = 500
peers = 8
[task]
kind = "classify"
inputs = [8, 8]
classes = 10
batch = 32
model = { kind = "mlp", hidden = [256, 256] }
optimizer = { kind = "sgd", rate = 0.05 }
"#;

/// Longer than lies between two checkpoints (0.5 s) or two statuses (0.25 s).
const SAVED_WITHIN: Duration = Duration::from_secs(1);
/// How near a newcomer must come to the others, and in how many rounds.
const NEAR: f64 = 0.03;
const NEAR_WITHIN: u64 = 5;
/// What a node logs when it takes over the weights of others.
const COPYING: &str = "copying the run's state";

fn write_spec(dir: &Path) -> String {
    let path = dir.join("live.toml");
    std::fs::write(&path, SPEC).expect("a writable directory");
    path.to_str().expect("a UTF-8 path").to_owned()
}

/// Part `shard` of the digits on loopback, any port.
fn node(dir: &Path, spec: &str, shard: usize, more: &[&str]) -> Node {
    let shard_name = format!("{shard}/4");
    let mut args = vec!["--run", spec, "--listen", "/ip4/127.0.0.1/tcp/0", "--mdns", "false", "--shard", &shard_name];
    args.extend(more);
    Node::init(dir.join(format!("node{shard}")), &args)
}

/// Two lines on stderr that name the matter, and exit code 1.
fn assert_refused(line: &[&str], naming: &str) {
    let output = shoal(line);
    let said = String::from_utf8(output.stderr).expect("stderr is UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ") || line.starts_with("help: ")).collect();
    assert!(lines.len() == 2 && lines[0].starts_with("error: ") && lines[0].contains(naming), "{said}");
}

/// Three nodes train; one is killed and comes back; a fourth joins late; all leave in good order.
#[test]
fn a_run_outlives_a_kill_and_takes_a_latecomer() {
    let dir = tempfile::tempdir().unwrap();
    let spec = write_spec(dir.path());
    let wait = ["--wait-for-peers", "2"];
    let mut nodes = vec![node(dir.path(), &spec, 0, &wait)];
    nodes[0].start();
    let first = nodes[0].address();
    let with_bootstrap = [&wait[..], &["--bootstrap", &first]].concat();
    for shard in 1..3 {
        let mut next = node(dir.path(), &spec, shard, &with_bootstrap);
        next.start();
        nodes.push(next);
    }
    for node in &mut nodes {
        node.until("past round 10 with both others", |s| round(s) > 10 && s["peers_known"] == 2 && s["peers_heard"] == 2);
    }

    let (seen, back) = kill_and_restart(&mut nodes);
    assert!(back >= seen && seen > 10, "seen in round {seen}, back in round {back}");

    late_joiner(&mut nodes, node(dir.path(), &spec, 3, &["--bootstrap", &first]));

    // One sequence number under two bodies would have been an equivocation, and a ban.
    for node in &mut nodes {
        let status = node.status().unwrap();
        assert!(status["rejects"].get("equivocation").is_none() && status["rejects"].get("banned").is_none(), "{status}");
        assert!(status["trouble"].is_null(), "{status}");
        let peers = node.peers();
        assert!(peers.len() == 3 && peers.iter().all(|peer| peer["last_fault"].is_null()), "{peers:?}");
    }
    let last = round(&nodes[0].status().unwrap());
    nodes.iter().for_each(Node::terminate);
    for node in &mut nodes {
        assert_eq!(node.ended().code(), Some(0), "{}", node.log());
        assert_eq!(shoal(&["status", "--data-dir", &node.dir]).status.code(), Some(3));
    }
    alone(&mut nodes[0], last);
}

/// With nobody there to copy from, whatever a node knows is from its own disk.
fn alone(node: &mut Node, mut known: u64) {
    for kill in [true, false] {
        node.start();
        let first = round(&node.until("a first word", |_| true));
        let tested = node.until("weights that were tried", |status| accuracy(status).is_some());
        eprintln!("alone: back in round {first}, in round {} at {:?}", round(&tested), accuracy(&tested));
        assert!(first >= known && accuracy(&tested) > Some(0.8) && !node.log().contains(COPYING), "{first} of {known}, {tested}");
        (known, _) = (round(&tested), node.until("a checkpoint", saved_since(Instant::now())));
        if kill {
            node.kill();
        } else {
            node.terminate();
            assert_eq!(node.ended().code(), Some(0), "{}", node.log());
        }
    }
}

/// Whether a node is in mid-round and has surely saved what it was in at `then`.
fn saved_since(then: Instant) -> impl Fn(&serde_json::Value) -> bool {
    move |status| then.elapsed() > SAVED_WITHIN && (status["state"] == "training" || status["state"] == "collecting")
}

/// Kills the last node in mid-round. Returns a round that it was surely saved after, and the round it
/// came back in.
fn kill_and_restart(nodes: &mut [Node]) -> (u64, u64) {
    let (victim, others) = nodes.split_last_mut().expect("three nodes");
    let before = victim.until_round(11);
    let (seen, name) = (round(&before), before["node"].clone());
    let last = victim.until("a checkpoint and a round under way", saved_since(Instant::now()));
    victim.kill();
    assert_eq!(shoal(&["status", "--data-dir", &victim.dir]).status.code(), Some(3));
    for other in &mut *others {
        let now = round(&other.status().expect("the others go on"));
        other.until_round(now + 5);
        other.until("one peer left", |status| status["peers_known"] == 1);
    }

    victim.start();
    let first = victim.until("a first word", |_| true);
    let tested = victim.until("weights that were tried", |status| accuracy(status).is_some());
    eprintln!(
        "killed in round {} at accuracy {:?}; back in round {}, in round {} at {:?}",
        round(&last),
        accuracy(&last),
        round(&first),
        round(&tested),
        accuracy(&tested)
    );
    assert_ne!(first["state"], "joining", "it has weights of its own");
    assert!(accuracy(&tested) > accuracy(&last).map(|then| then - 0.1), "{tested}");
    for other in &mut *others {
        other.until("both peers heard again", |status| status["peers_heard"] == 2 && status["peers_known"] == 2);
        let then = peer_round(other, &name);
        wait_for("the node that came back to be heard on and on", || (peer_round(other, &name) >= then + 3).then_some(()));
    }
    (seen, round(&first))
}

/// The last round that `node` heard of from the peer of this name; 0 for none.
fn peer_round(node: &Node, name: &serde_json::Value) -> u64 {
    node.peers().iter().find(|peer| peer["node"] == *name).map_or(0, round)
}

/// A node that starts after round 50 copies what the others have and is as good as they are.
fn late_joiner(nodes: &mut Vec<Node>, mut newcomer: Node) {
    nodes[0].until_round(50);
    newcomer.start();
    newcomer.until("joining", |status| status["state"] == "joining" && round(status) == 0);
    let status = newcomer.until("weights that were tried", |status| accuracy(status).is_some());
    let log = newcomer.log();
    let (_, copied) = log.split_once(COPYING).expect("it copied");
    let copied_round = copied.lines().next().and_then(|line| line.split("round=").nth(1)?.trim().parse().ok());
    let copied_round: u64 = copied_round.expect("the log names the round");
    let mut others: Vec<f64> = nodes.iter().filter_map(|node| accuracy(&node.status()?)).collect();
    others.sort_by(f64::total_cmp);
    let (median, own) = (others[others.len() / 2], accuracy(&status).unwrap_or_default());
    eprintln!("copied round {copied_round}; in round {} at {own:.4}, the others at {others:.4?}", round(&status));
    assert!(copied_round >= 50 && round(&status) <= copied_round + NEAR_WITHIN, "copied {copied_round}, then {status}");
    assert!(own >= median - NEAR, "{own} beside {others:?}");
    newcomer.until("three peers heard", |status| status["peers_heard"] == 3);
    nodes.push(newcomer);
}

/// A port and a data directory that are in use are said to be, with nothing left behind.
#[test]
fn what_is_in_use_is_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let spec = write_spec(dir.path());
    let mut running = node(dir.path(), &spec, 0, &[]);
    running.start();
    let address = running.address();
    let taken = address.split("/p2p/").next().unwrap();

    let other = Node::init(dir.path().join("other"), &["--run", &spec, "--mdns", "false", "--listen", taken]);
    assert_refused(&other.command_line(&[]), "is in use by another program");
    assert_eq!(shoal(&["status", "--data-dir", &other.dir]).status.code(), Some(3));

    assert_refused(&running.command_line(&[]), "is in use by another node");
    running.terminate();
    assert_eq!(running.ended().code(), Some(0), "{}", running.log());
}

/// A second start in the same directory is refused, and the first is asked and trains as before.
#[test]
fn a_refused_start_leaves_the_running_node_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = node(dir.path(), &write_spec(dir.path()), 0, &[]);
    running.start();
    running.until("a first word", |_| true);
    assert_refused(&running.command_line(&[]), "is in use by another node");
    let then = round(&running.status().expect("it can still be asked"));
    running.until_round(then + 1);
}
