//! Peers that do not keep to the rules, played by a bare libp2p swarm that can write anything on any
//! stream. A node must bear them: nothing panics, nothing is held for them beyond its bounds, and
//! whoever proves to be at fault is named as such.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod swarm_nodes;

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity};
use libp2p::kad::store::MemoryStore;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, identify, kad, noise, tcp, yamux};
use libp2p_stream::Control;
use shoal_node::identity::{Identity, node_of};
use shoal_node::swarm::{NetworkEvent, RequestError};
use shoal_protocol::id::NodeId;
use swarm_nodes::{Nodes, RUN};

const SYNC: StreamProtocol = StreamProtocol::new("/shoal/local/sync/1");
const LONG: Duration = Duration::from_secs(20);

#[derive(NetworkBehaviour)]
struct Bare {
    streams: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
    gossip: gossipsub::Behaviour,
}

/// A swarm without any of our bounds, polled in a task of its own until it is dropped.
struct Rogue {
    control: Control,
    id: PeerId,
    node: NodeId,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rogue {
    /// Connects to a node; `act` may do with the swarm what it likes once the connection is there.
    async fn new(target: &Multiaddr, act: impl FnOnce(&mut Swarm<Bare>)) -> Self {
        let key = Identity::generate().keypair();
        let id = key.public().to_peer_id();
        let anonymous = gossipsub::ConfigBuilder::default()
            .validation_mode(gossipsub::ValidationMode::None)
            .max_transmit_size(1 << 20)
            .build()
            .unwrap();
        let behaviour = Bare {
            streams: libp2p_stream::Behaviour::new(),
            identify: identify::Behaviour::new(
                identify::Config::new("/x/1".to_owned(), key.public()).with_agent_version("x\n".repeat(500)),
            ),
            kad: kad::Behaviour::with_config(
                id,
                MemoryStore::new(id),
                kad::Config::new(StreamProtocol::new("/shoal/local/kad/1")),
            ),
            gossip: gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, anonymous).unwrap(),
        };
        let mut swarm = libp2p::SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(LONG))
            .build();
        let control = swarm.behaviour().streams.new_control();
        swarm.listen_on(swarm_nodes::tcp()).unwrap();
        swarm.dial(target.clone()).unwrap();
        while !matches!(swarm.next().await, Some(SwarmEvent::ConnectionEstablished { .. })) {}
        act(&mut swarm);
        let task = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Self { control, id, node: node_of(&id).unwrap(), task }
    }
}

fn peer_of(node: &NodeId) -> PeerId {
    shoal_node::identity::peer_of(node).unwrap()
}

/// The topic of the nodes' run; a rogue that subscribes to it is a peer of the run.
fn topic() -> IdentTopic {
    IdentTopic::new(format!("/shoal/local/{RUN}"))
}

fn join(swarm: &mut Swarm<Bare>) {
    swarm.behaviour_mut().gossip.subscribe(&topic()).unwrap();
}

/// A node, and a rogue that answers each of the node's requests with `answer`.
async fn asked<F>(answer: impl Fn(Stream) -> F + Send + 'static, max: usize, timeout: Duration) -> Result<Vec<u8>, RequestError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut nodes = Nodes::new(1, |_| {}).await;
    let address = nodes.networks[0].listen_addresses()[0].clone();
    tokio::spawn(async move {
        let mut incoming = None;
        let _rogue = Rogue::new(&address, |swarm| {
            incoming = Some(swarm.behaviour().streams.new_control().accept(SYNC).unwrap());
            join(swarm);
        })
        .await;
        let mut incoming = incoming.unwrap();
        while let Some((_, stream)) = incoming.next().await {
            tokio::spawn(answer(stream));
        }
    });
    let node = up(&mut nodes).await;
    let ticket = nodes.networks[0].request(node, b"ask".to_vec(), max, timeout);
    let mut end = None;
    nodes
        .until(|_, _, event| {
            if let NetworkEvent::Response { ticket: done, result, .. } = event {
                assert_eq!(done, ticket);
                end = Some(result);
            }
            end.is_some()
        })
        .await;
    end.unwrap()
}

/// The next peer that comes up.
async fn up(nodes: &mut Nodes) -> NodeId {
    let mut found = None;
    nodes
        .until(|_, _, event| {
            if let NetworkEvent::PeerUp { peer, .. } = event {
                found = Some(peer);
            }
            found.is_some()
        })
        .await;
    found.unwrap()
}

async fn says(mut stream: Stream, bytes: Vec<u8>) {
    let mut request = [0; 7];
    let _ = stream.read_exact(&mut request).await;
    let _ = stream.write_all(&bytes).await;
    let _ = stream.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_prove_fault() {
    for (bytes, error) in [
        (vec![0, 11, 0, 0, 0], RequestError::TooLong { said: 11, allowed: 10 }),
        (vec![0, 0xff, 0xff, 0xff, 0xff], RequestError::TooLong { said: u32::MAX as usize, allowed: 10 }),
        (vec![9], RequestError::Garbage { status: 9 }),
    ] {
        let end = asked(move |stream| says(stream, bytes.clone()), 10, LONG).await.unwrap_err();
        assert_eq!(end, error);
        assert!(end.proves_fault());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_cut_short_prove_nothing() {
    for bytes in [vec![], vec![0, 10], vec![0, 10, 0, 0, 0, 1, 2, 3]] {
        let end = asked(move |stream| says(stream, bytes.clone()), 10, LONG).await.unwrap_err();
        assert!(matches!(end, RequestError::Closed { .. }) && !end.proves_fault(), "{end}");
    }
}

/// Each byte is progress, but the time is for the whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_at_a_time_is_too_slow() {
    let slow = |mut stream: Stream| async move {
        let _ = stream.write_all(&[0, 0xff, 0xff, 0, 0]).await;
        while stream.write_all(&[1]).await.is_ok() && stream.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert_eq!(asked(slow, 1 << 20, Duration::from_millis(400)).await, Err(RequestError::TimedOut));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_without_our_protocol_is_named() {
    let mut nodes = Nodes::new(1, |_| {}).await;
    let address = nodes.networks[0].listen_addresses()[0].clone();
    let rogue = tokio::spawn(async move { Rogue::new(&address, join).await });
    let node = up(&mut nodes).await;
    nodes.networks[0].request(node, vec![], 1, LONG);
    let mut end = None;
    nodes
        .until(|_, _, event| {
            if let NetworkEvent::Response { result, .. } = event {
                end = Some(result);
            }
            end.is_some()
        })
        .await;
    assert_eq!(end, Some(Err(RequestError::Unsupported)));
    drop(rogue.await);
}

/// Fifty streams at once from one peer: as many as it has places reach the node, the others are
/// dropped, and a friend is answered all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_streams_finds_few_places() {
    const STREAMS: usize = 50;
    let mut nodes = Nodes::new(2, |_| {}).await;
    nodes.meet().await;
    let (target, address) = (nodes.ids[0], nodes.networks[0].listen_addresses()[0].clone());
    let places = 4;
    let (dropped, mut drops) = tokio::sync::mpsc::channel(STREAMS);
    let flood = tokio::spawn(async move {
        let rogue = Rogue::new(&address, |_| {}).await;
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            if let Ok(mut stream) = rogue.control.clone().open_stream(peer_of(&target), SYNC).await {
                let _ = stream.write_all(&[5, 0, 0, 0, b'f', b'l', b'o', b'o', b'd']).await;
                let _ = stream.flush().await;
                streams.push(stream);
            } else {
                let _ = dropped.send(()).await;
            }
        }
        let ends = streams.into_iter().map(|mut stream| {
            let dropped = dropped.clone();
            async move {
                let mut answer = Vec::new();
                if stream.read_to_end(&mut answer).await.is_err() || answer.is_empty() {
                    let _ = dropped.send(()).await;
                }
                answer
            }
        });
        let answers = futures::future::join_all(ends).await;
        drop(rogue);
        answers.into_iter().filter(|answer| *answer == [0, 2, 0, 0, 0, b'o', b'k']).count()
    });
    let mut held = Vec::new();
    let mut friend = None;
    let mut friend_answered = false;
    let mut dropped_count = 0;
    nodes
        .until(|networks, _, event| {
            match event {
                NetworkEvent::Request { bytes, reply, .. } if bytes == b"flood" => held.push(reply),
                NetworkEvent::Request { bytes, reply, .. } => reply.send(bytes),
                NetworkEvent::Response { result, .. } => {
                    assert_eq!(result, Ok(b"friend".to_vec()));
                    friend_answered = true;
                }
                _ => {}
            }
            if held.len() == places && friend.is_none() {
                friend = Some(networks[1].request(target, b"friend".to_vec(), 10, LONG));
            }
            assert!(held.len() <= places, "{} held", held.len());
            friend_answered
        })
        .await;
    // All that found no place are gone while the others still wait.
    while dropped_count < STREAMS - places {
        tokio::select! {
            Some(()) = drops.recv() => dropped_count += 1,
            event = nodes.networks[0].next_event() => assert!(!matches!(event, NetworkEvent::Request { .. })),
        }
    }
    for reply in held {
        reply.send(b"ok".to_vec());
    }
    let mut flood = Box::pin(flood);
    let answered = loop {
        tokio::select! {
            answered = &mut flood => break answered.unwrap(),
            _ = nodes.networks[0].next_event() => {}
        }
    };
    assert_eq!(answered, places);
}

/// Requests that are too long, cut short or silent never reach the node's owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_none_are_dropped() {
    let mut nodes = Nodes::new(1, |config| config.requests.serve_timeout = Duration::from_millis(300)).await;
    let (target, address) = (nodes.ids[0], nodes.networks[0].listen_addresses()[0].clone());
    let rogue = tokio::spawn(async move {
        let rogue = Rogue::new(&address, |_| {}).await;
        let mut answers = Vec::new();
        for bytes in [&[1, 4, 0, 0][..], &[0xff; 4], &[5, 0], &[5, 0, 0, 0, 1], &[]] {
            let mut stream = rogue.control.clone().open_stream(peer_of(&target), SYNC).await.unwrap();
            let _ = stream.write_all(bytes).await;
            let _ = stream.flush().await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            answers.push(answer);
        }
        answers
    });
    let mut rogue = Box::pin(rogue);
    let answers = loop {
        tokio::select! {
            answers = &mut rogue => break answers.unwrap(),
            event = nodes.networks[0].next_event() => assert!(!matches!(event, NetworkEvent::Request { .. })),
        }
    };
    assert!(answers.iter().all(Vec::is_empty), "{answers:?}");
}

/// A peer that provides a thousand keys, puts records, names addresses of other hosts and subscribes
/// to a hundred topics: the others still find each other, and it is listed as what it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kademlia_full_of_junk_still_finds_peers() {
    let mut nodes = Nodes::new(1, |_| {}).await;
    let address = nodes.networks[0].listen_addresses()[0].clone();
    let target = nodes.ids[0];
    let rogue = tokio::spawn({
        let address = address.clone();
        async move {
            // Who speaks our requests is listed among the peers.
            let mut incoming = None;
            let rogue = Rogue::new(&address, |swarm| {
                incoming = Some(swarm.behaviour().streams.new_control().accept(SYNC).unwrap());
                for port in 1..200 {
                    swarm.add_external_address(format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap());
                }
                swarm.behaviour_mut().kad.add_address(&peer_of(&target), address.clone());
                for index in 0..1_000_u32 {
                    let kad = &mut swarm.behaviour_mut().kad;
                    let key = kad::RecordKey::new(&[&index.to_le_bytes()[..], &[0; 200]].concat());
                    let _ = kad.start_providing(key.clone());
                    let record = kad::Record { key, value: vec![0; 8_000], publisher: None, expires: None };
                    let _ = kad.put_record(record, kad::Quorum::One);
                }
                for index in 0..100 {
                    let _ = swarm.behaviour_mut().gossip.subscribe(&IdentTopic::new("x".repeat(300) + &index.to_string()));
                }
            })
            .await;
            (rogue, incoming)
        }
    });
    let mut rogue = Box::pin(rogue);
    let (rogue, _incoming) = loop {
        tokio::select! {
            rogue = &mut rogue => break rogue.unwrap(),
            _ = nodes.networks[0].next_event() => {}
        }
    };
    for _ in 0..3 {
        let mut config = swarm_nodes::config();
        config.bootstrap = vec![address.clone()];
        nodes.add(&Identity::generate(), config).await;
    }
    nodes.meet().await;
    let info = nodes.networks[0].peers().into_iter().find(|peer| peer.node == rogue.node).expect("still connected");
    assert!(!info.is_in(&RUN) && info.listens.len() <= 8 && info.agent.len() <= 64, "{info:?}");
    assert_ne!(rogue.id, peer_of(&target));
}

/// Frames beyond the bound, and messages that claim an author, never reach the node's owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_of_another_form_is_not_heard() {
    let mut nodes = Nodes::new(2, |_| {}).await;
    nodes.meet().await;
    let address = nodes.networks[0].listen_addresses()[0].clone();
    let rogue = tokio::spawn(async move {
        let key = Identity::generate().keypair();
        // Signed by libp2p: author, number and signature are in the frame, where ours have none.
        let config = gossipsub::ConfigBuilder::default().max_transmit_size(1 << 20).build().unwrap();
        let mut swarm = libp2p::SwarmBuilder::with_existing_identity(key.clone())
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| {
                gossipsub::Behaviour::<gossipsub::IdentityTransform>::new(MessageAuthenticity::Signed(key), config).unwrap()
            })
            .unwrap()
            .build();
        swarm.behaviour_mut().subscribe(&topic()).unwrap();
        swarm.dial(address).unwrap();
        loop {
            let event = swarm.select_next_some().await;
            // Once it knows that somebody listens, it says its worst.
            if let SwarmEvent::Behaviour(gossipsub::Event::Subscribed { .. }) = event {
                swarm.behaviour_mut().publish(topic(), b"signed".to_vec()).unwrap();
                swarm.behaviour_mut().publish(topic(), vec![1; 200_000]).unwrap();
            }
        }
    });
    let friend = nodes.ids[1];
    assert_ne!(up(&mut nodes).await, friend);
    // Honest messages follow one another until the rogue's have cost it something.
    let mut costs = false;
    for turn in 0..10_000_u32 {
        nodes.networks[1].publish(&RUN, turn.to_le_bytes().to_vec()).unwrap();
        nodes
            .until(|_, index, event| {
                let NetworkEvent::Gossip { data, .. } = event else { return false };
                assert_eq!((index, &data[..]), (0, &turn.to_le_bytes()[..]));
                true
            })
            .await;
        let seen = nodes.networks[0].peers().into_iter().find(|peer| peer.node != friend);
        costs |= seen.as_ref().is_some_and(|seen| seen.score.is_some_and(|score| score < -50.0));
        if costs || seen.is_none() {
            break;
        }
    }
    assert!(costs, "the signed message was not punished");
    rogue.abort();
}
