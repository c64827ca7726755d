//! `shoal status` and `shoal peers` against an API that is really served, and against somebody
//! else who has its port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use shoal_node::api::{Api, NodeState, PeerStatus, Roster, RunStatus, Snapshot};
use tokio::sync::watch;

fn ask(verb: &[&str], dir: &Path) -> Output {
    // A proxy in the environment must not be asked for a loopback address.
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoal"));
    command.args(verb).arg("--data-dir").arg(dir).env_clear().env("http_proxy", "http://192.0.2.1:3128");
    command.output().expect("the binary starts")
}

#[test]
fn the_verbs_print_what_the_node_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut snapshot = Snapshot::default();
    snapshot.status.name = "digits\u{1b}]0;evil\u{7}".to_owned();
    snapshot.status.state = NodeState::Collecting;
    snapshot.status.round = 1_234;
    snapshot.peers.push(PeerStatus { node: "ab".repeat(32), round: 1_233, ..PeerStatus::default() });
    let (_driver, news) = watch::channel(snapshot.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
    let api = runtime.block_on(Api::bind(SocketAddr::from(([127, 0, 0, 1], 0)), dir.path())).unwrap();
    let (_roster, news) = watch::channel(Roster { members: vec![news], ..Roster::default() });
    let serving = runtime.spawn(api.serve(news, tokio::sync::mpsc::channel(1).0, std::future::pending()));
    snapshot.status.runs = vec![RunStatus::of(&snapshot.status)];

    let output = ask(&["status"], dir.path());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("collecting, round 1,234"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
    let output = ask(&["status", "--json"], dir.path());
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap(),
        serde_json::to_value(&snapshot.status).unwrap()
    );
    let output = ask(&["peers", "--json"], dir.path());
    assert_eq!(serde_json::from_slice::<Vec<PeerStatus>>(&output.stdout).unwrap(), snapshot.peers);

    serving.abort();
    runtime.shutdown_background();
}

#[test]
fn somebody_else_on_the_port_is_no_node() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n\"{}\"", "x".repeat(9_000_000 - 2)),
        "SSH-2.0-other\r\n".to_owned(),
    ];
    for answer in answers {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        std::fs::write(dir.path().join("api.addr"), listener.local_addr().unwrap().to_string()).unwrap();
        let case = answer.chars().take(20).collect::<String>();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1_024]);
            // The asker may hang up before the end: that is the point of its bound.
            let _ = stream.write_all(answer.as_bytes());
        });
        let output = ask(&["status", "--json"], dir.path());
        other.join().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{case}: {said}");
        assert!(output.stdout.is_empty() && said.lines().count() == 2, "{case}: {said}");
    }
}
