//! The API over real sockets: what it answers, and whom it refuses.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::bounded::CONNECTION_COUNT_MAX;
use super::*;

/// A node that has seen something of everything.
pub(crate) fn snapshot() -> Snapshot {
    let status = NodeStatus {
        network: "local".to_owned(),
        node: "ab".repeat(32),
        run: "cd".repeat(32),
        name: "digits".to_owned(),
        state: NodeState::Training,
        round: 12,
        steps: 120,
        accuracy: Some(0.95),
        loss: None,
        peers_known: 2,
        peers_heard: 2,
        sent_bytes: 12_345,
        received_bytes: 23_456,
        rejects: [("bad_signature".to_owned(), 2), ("stale".to_owned(), 1)].into(),
        uptime_s: 61,
        weights: Some("ef".repeat(32)),
        listen: vec!["/ip4/127.0.0.1/tcp/1".to_owned()],
        reach: "relayed".to_owned(),
        addresses: vec!["/ip4/203.0.113.1/tcp/1/p2p/x/p2p-circuit".to_owned()],
        connected: 2,
        ways: [("mdns".to_owned(), WayState { state: "listening".to_owned(), found: 2 })].into(),
        trouble: None,
        runs: Vec::new(),
    };
    let peer = |address: Option<&str>, heard_s| PeerStatus {
        node: "12".repeat(32),
        address: address.map(str::to_owned),
        way: address.map(|_| "direct".to_owned()),
        transport: address.map(|_| "tcp".to_owned()),
        rtt_ms: address.map(|_| 12.34),
        round: 11,
        heard_s,
        standing: 0.5,
        last_fault: Some("bad_signature".to_owned()),
        received_bytes: 999,
        run: "cd".repeat(32),
    };
    Snapshot { status, peers: vec![peer(Some("/ip4/127.0.0.1/tcp/4"), Some(3)), peer(None, None)] }
}

/// A served API, its address, and the driver's end of the channel.
async fn served(dir: &Path) -> (SocketAddr, watch::Sender<Snapshot>, tokio::task::JoinHandle<Result<(), ApiError>>) {
    let (driver, news) = watch::channel(snapshot());
    let api = Api::bind(SocketAddr::from(([127, 0, 0, 1], 0)), dir).await.unwrap();
    let address = api.address();
    let (orders, mut given) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        while let Some(order) = given.recv().await {
            answer(order);
        }
    });
    let serving = async move {
        // Kept as long as the API is: a roster whose sender is gone is a node that has ended.
        let (_roster, news) = watch::channel(Roster { members: vec![news], ..Roster::default() });
        api.serve(news, orders, std::future::pending()).await
    };
    (address, driver, tokio::spawn(serving))
}

/// A node that joins whatever it is told to but knows of no run.
fn answer(order: Order) {
    match order {
        Order::Join(order, back) if order.take_part => {
            let joined = JoinedRun { run: order.run.unwrap_or_default(), taking_part: true, ..JoinedRun::default() };
            back.send(Ok(joined)).unwrap();
        }
        Order::Join(_, back) => {
            let refusal = Refusal { error: "nothing to do".to_owned(), help: "say what".to_owned() };
            back.send(Err(refusal)).unwrap();
        }
        Order::List(back) => back.send(Ok(Vec::new())).unwrap(),
    }
}

/// Sends these bytes and returns everything that comes back.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
    read.expect("an answer and an end").unwrap();
    answer
}

pub(crate) fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |parts| parts.1)
}

#[tokio::test]
async fn it_answers_what_the_driver_last_said() {
    let dir = tempfile::tempdir().unwrap();
    let (address, driver, _serving) = served(dir.path()).await;
    assert_eq!(std::fs::read_to_string(dir.path().join(ADDRESS_FILE)).unwrap(), format!("{address}\n"));
    let host = format!("Host: {address}\r\n");
    let answer = exchange(address, &get(STATUS_PATH, &host)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut status = snapshot().status;
    status.runs = vec![RunStatus::of(&status)];
    assert_eq!(serde_json::from_str::<NodeStatus>(body(&answer)).unwrap(), status);
    for header in ["content-security-policy: default-src 'self'", "x-content-type-options: nosniff", "cache-control: no-store"] {
        assert!(answer.contains(header), "{answer}");
    }
    assert!(!answer.to_lowercase().contains("access-control"), "{answer}");

    driver.send_modify(|snapshot| snapshot.status.round = 13);
    let answer = exchange(address, &get(STATUS_PATH, &host)).await;
    assert_eq!(serde_json::from_str::<NodeStatus>(body(&answer)).unwrap().round, 13);
    let answer = exchange(address, &get(PEERS_PATH, &host)).await;
    assert_eq!(serde_json::from_str::<Vec<PeerStatus>>(body(&answer)).unwrap(), snapshot().peers);

    assert!(exchange(address, &get(HEALTH_PATH, &host)).await.starts_with("HTTP/1.1 200"));
    drop(driver);
    assert!(exchange(address, &get(HEALTH_PATH, &host)).await.starts_with("HTTP/1.1 503"));
}

#[tokio::test]
async fn strangers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (address, _driver, _serving) = served(dir.path()).await;
    let port = address.port();
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    let cases = [
        ("a rebound name", get(STATUS_PATH, &format!("Host: evil.example:{port}\r\n")), "421"),
        ("another port", get(STATUS_PATH, "Host: 127.0.0.1:1\r\n"), "421"),
        ("no host", get(STATUS_PATH, ""), "421"),
        ("two hosts", get(STATUS_PATH, &format!("{host}Host: evil.example:{port}\r\n")), "421"),
        ("a host in the request line", get(&format!("http://evil.example:{port}{STATUS_PATH}"), &host), "421"),
        ("a page", get(STATUS_PATH, &format!("{host}Origin: http://127.0.0.1:{port}\r\n")), "403"),
        ("an opaque page", get(STATUS_PATH, &format!("{host}Origin: null\r\n")), "403"),
        ("a page elsewhere on health", get(HEALTH_PATH, &format!("{host}Origin: https://evil.example\r\n")), "403"),
        ("a rebound name on an unknown path", get("/nothing", &format!("Host: evil.example:{port}\r\n")), "421"),
        ("an unknown path", get("/v1/keys", &host), "404"),
        ("a change", get(STATUS_PATH, &host).replacen("GET", "POST", 1), "405"),
        ("a preflight", get(STATUS_PATH, &format!("{host}Origin: http://evil.example\r\n")).replacen("GET", "OPTIONS", 1), "403"),
    ];
    for (case, request, status) in cases {
        let answer = exchange(address, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{case}: {answer}");
        assert!(answer.contains("content-security-policy"), "{case}: {answer}");
        assert!(!answer.contains("digits") && !answer.to_lowercase().contains("access-control"), "{case}: {answer}");
    }
}

#[tokio::test]
async fn silent_connections_keep_nobody_else_out_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let (address, _driver, _serving) = served(dir.path()).await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTION_COUNT_MAX {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let request = get(STATUS_PATH, &format!("Host: {address}\r\n"));
    let waiting = tokio::spawn(async move { exchange(address, &request).await });
    // Every place is taken; one that is given up goes to whoever waits.
    silent.pop();
    assert!(waiting.await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn other_machines_are_never_let_in() {
    let dir = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let refused = Api::bind(address.parse().unwrap(), dir.path()).await.unwrap_err();
        assert!(matches!(refused, ApiError::NotLoopback(_)), "{address}: {refused}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_taken_port_is_said_and_a_stopped_api_takes_its_address_away() {
    let dir = tempfile::tempdir().unwrap();
    let (driver, news) = watch::channel(Roster::default());
    let api = Api::bind(SocketAddr::from(([127, 0, 0, 1], 0)), dir.path()).await.unwrap();
    assert!(dir.path().join(TOKEN_FILE).exists());
    let other = tempfile::tempdir().unwrap();
    let taken = Api::bind(api.address(), other.path()).await.unwrap_err();
    assert!(matches!(taken, ApiError::Bind { .. }), "{taken}");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
    api.serve(news, tokio::sync::mpsc::channel(1).0, std::future::ready(())).await.unwrap();
    assert!(!dir.path().join(ADDRESS_FILE).exists() && !dir.path().join(TOKEN_FILE).exists());
    drop(driver);
}

#[tokio::test]
async fn orders_carry_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let (address, _driver, _serving) = served(dir.path()).await;
    let token = Token::read(&dir.path().join(TOKEN_FILE)).unwrap().header();
    let post = |headers: &str, order: &str| {
        let head = format!("Host: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}", order.len());
        get(RUNS_PATH, &head).replacen("GET", "POST", 1) + order
    };
    let ours = format!("Authorization: {token}\r\n");
    let order = r#"{"run": "ab", "take_part": true}"#;
    let good = exchange(address, &post(&ours, order)).await;
    assert!(good.starts_with("HTTP/1.1 200"), "{good}");
    assert_eq!(serde_json::from_str::<JoinedRun>(body(&good)).unwrap().run, "ab");
    let refused = exchange(address, &post(&ours, "{}")).await;
    assert!(refused.starts_with("HTTP/1.1 422") && refused.contains("nothing to do"), "{refused}");

    let other = format!("Authorization: {}\r\n", Token::generate().header());
    let page = format!("{ours}Origin: https://evil.example\r\n");
    let huge = format!(r#"{{"spec": "{}"}}"#, "x".repeat(ORDER_BYTES_MAX));
    let cases = [
        ("no token", post("", order), "401"),
        ("another token", post(&other, order), "401"),
        ("two tokens", post(&format!("{ours}{other}"), order), "401"),
        ("a page", post(&page, order), "403"),
        ("a list without a token", get(RUNS_PATH, &format!("Host: {address}\r\n")), "401"),
        ("a list", get(RUNS_PATH, &format!("Host: {address}\r\n{ours}")), "200"),
        ("an unknown key", post(&ours, r#"{"rum": "ab"}"#), "422"),
        ("no JSON", post(&ours, "run"), "400"),
        ("too much", post(&ours, &huge), "413"),
    ];
    for (case, request, status) in cases {
        let answer = exchange(address, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{case}: {answer:.200}");
    }
}
