//! Questions about runs over loopback sockets: an honest node among peers that lie, babble, say too much
//! or nothing. Whoever asks gets the run's true spec and only lists that are lists.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use libp2p::Multiaddr;
use shoal_node::catalogue::{self, Answer, Entry, FetchError, LIST_BYTES_MAX, Question, Shelf, ShelfItem};
use shoal_node::hub::{Hub, HubHandle};
use shoal_node::identity::Identity;
use shoal_node::swarm::{Key, Network, NetworkConfig, NetworkEvent, NetworkName, ReplyHandle};
use shoal_protocol::id::{NodeId, RunId};
use shoal_protocol::spec::RunSpec;

const SPEC: &str = "# a comment travels, too\nversion = 1\nname = \"mine\"\nseed = 7\n[task]\nkind = \"none\"\n";
/// The bound over one question; nothing waits for it but a failing test.
const BOUND: Duration = Duration::from_secs(30);
/// How long somebody looks for what is not there.
const SHORT: Duration = Duration::from_secs(2);

fn run() -> RunId {
    RunSpec::parse(SPEC).unwrap().run_id()
}

fn config(bootstrap: &[Multiaddr]) -> NetworkConfig {
    let mut config = NetworkConfig::new(NetworkName::new("local").unwrap());
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    config.bootstrap = bootstrap.to_vec();
    config
}

/// A hub that goes on by itself, and where it listens.
async fn hub(bootstrap: &[Multiaddr]) -> (HubHandle, Multiaddr) {
    let (hub, handle) = Hub::new(config(bootstrap), Identity::generate().keypair()).unwrap();
    tokio::spawn(hub.run());
    let mut news = handle.news();
    let listening = tokio::time::timeout(BOUND, news.wait_for(|news| !news.listen.is_empty())).await;
    let address = listening.unwrap().unwrap().listen[0].clone();
    (handle, address)
}

/// A peer that says it is in the run and offers it, and answers as it likes.
async fn rogue(answer: impl Fn(Question, ReplyHandle) + Send + 'static) -> (NodeId, Multiaddr) {
    let identity = Identity::generate();
    let mut network = Network::new(config(&[]), identity.keypair()).unwrap();
    network.join_run(run()).unwrap();
    network.offer(true);
    let (told, address) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut told = Some(told);
        loop {
            match network.next_event().await {
                NetworkEvent::Listening { address } => {
                    if let Some(told) = told.take() {
                        told.send(address).unwrap();
                    }
                }
                NetworkEvent::RunsAsked { bytes, reply, .. } => answer(Question::decode(&bytes).unwrap(), reply),
                _ => {}
            }
        }
    });
    (identity.node_id(), address.await.unwrap())
}

fn other_spec() -> Vec<u8> {
    Answer::Spec(SPEC.replace("seed = 7", "seed = 8")).encode()
}

/// Peers with something wrong each, and where they are.
async fn rogues() -> Vec<Multiaddr> {
    let liar = rogue(|_, reply| reply.send(other_spec())).await;
    let babbler = rogue(|_, reply| reply.send(b"junk".to_vec())).await;
    let long = rogue(|question, reply| reply.send(vec![1; question.answer_bytes_max() + 1])).await;
    let silent = rogue(|_, reply| drop(reply)).await;
    let twice = rogue(|_, reply| {
        let entry =
            Entry { run: run(), name: "evil".to_owned(), model_bytes: 1, rounds: u64::MAX, peers: 1, accuracy: Some(1.0) };
        reply.send(Answer::List(vec![entry.clone(), entry]).encode());
    })
    .await;
    [liar, babbler, long, silent, twice].into_iter().map(|(_, address)| address).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_true_spec_is_found_among_liars() {
    let mut addresses = rogues().await;
    let (alone, _) = hub(&addresses).await;
    let nobody = catalogue::fetch(&alone, run(), SHORT).await.unwrap_err();
    assert!(matches!(nobody, FetchError::Nobody { refused, .. } if refused > 0), "{nobody}");

    let (honest, address) = hub(&addresses).await;
    let item = ShelfItem { run: run(), name: "mine".to_owned(), model_bytes: 40, spec: SPEC.into(), status: None };
    honest.shelve(Shelf::new(vec![item])).await.unwrap();
    addresses.push(address);
    let (asker, _) = hub(&addresses).await;
    let (spec, text) = catalogue::fetch(&asker, run(), BOUND).await.unwrap();
    assert_eq!((spec.run_id(), text.as_str()), (run(), SPEC));

    // Who has nothing says so, and is no liar.
    let lists = loop {
        let mut lists = catalogue::list(&asker, BOUND).await.unwrap();
        lists.retain(|(_, entries)| !entries.is_empty());
        if !lists.is_empty() {
            break lists;
        }
    };
    let entry = Entry { run: run(), name: "mine".to_owned(), model_bytes: 40, rounds: 0, peers: 0, accuracy: None };
    assert_eq!(lists.into_iter().map(|(_, entries)| entries).collect::<Vec<_>>(), [vec![entry]]);
}

/// What strangers send to the honest is answered, declined or refused, and the honest goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_answers_of_bounded_length() {
    let (honest, address) = hub(&[]).await;
    let item = |run: u8| ShelfItem {
        run: RunId([run; 32]),
        name: "x".repeat(64),
        model_bytes: 1,
        spec: "#".repeat(65_536).into(),
        status: None,
    };
    honest.shelve(Shelf::new((0..100).map(item).collect())).await.unwrap();
    let (asker, _) = hub(&[address]).await;
    let mut news = asker.news();
    news.wait_for(|news| !news.peers.is_empty()).await.unwrap();
    for (question, bytes_max, length) in [
        (Question::List.encode(), LIST_BYTES_MAX, Some(LIST_BYTES_MAX)),
        (Question::Spec(RunId([1; 32])).encode(), 70_000, Some(65_538)),
        (Question::Spec(RunId([200; 32])).encode(), 70_000, Some(2)),
        (b"junk".to_vec(), 70_000, None),
        (Question::Spec(RunId([1; 32])).encode(), 1_000, None),
        (vec![1; 2_000], 70_000, None),
    ] {
        let mut found = asker.survey(Key::Catalogue, question.clone(), bytes_max).await.unwrap();
        let answer = found.recv().await.expect("it is connected");
        assert_eq!(answer.result.map(|bytes| bytes.len()).ok(), length, "{:?}", &question[..2]);
    }
}
