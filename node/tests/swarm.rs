//! Networks over loopback sockets: they find each other from one address, gossip what was accepted,
//! ask and answer, and bear peers that do not keep to the rules.
//!
//! Every test waits for events, with one bound over the whole; no test waits for time to pass.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod swarm_nodes;

use std::collections::HashSet;
use std::net::TcpListener;
use std::time::Duration;

use libp2p::Multiaddr;
use shoal_node::identity::Identity;
use shoal_node::swarm::{Network, NetworkError, NetworkEvent, PublishError, RequestError, Verdict};
use shoal_protocol::id::NodeId;
use swarm_nodes::{Nodes, RUN, config, quic, tcp};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_nodes_with_one_address_each_find_each_other() {
    let mut nodes = Nodes::new(6, |_| {}).await;
    nodes.meet().await;
    for network in &nodes.networks {
        let peers = network.peers();
        assert_eq!(peers.iter().filter(|peer| peer.is_in(&RUN)).count(), 5);
        assert!(peers.iter().all(|peer| peer.score.is_some_and(|score| score >= 0.0)));
        let (sent, received) = network.byte_counts();
        assert!(sent > 1_000 && received > 1_000, "{sent} {received}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quic_alone_will_do() {
    let mut nodes = Nodes::new(3, |config| config.listen = vec![quic()]).await;
    nodes.meet().await;
    assert!(nodes.networks.iter().all(|network| network.byte_counts().0 > 1_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_transports_make_one_peer() {
    let mut nodes = Nodes::new(4, |config| config.listen = vec![tcp(), quic()]).await;
    nodes.meet().await;
    assert!(nodes.networks.iter().all(|network| network.listen_addresses().len() == 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_message_reaches_all_once() {
    let mut nodes = Nodes::new(5, |_| {}).await;
    nodes.meet().await;
    nodes.networks[2].publish(&RUN, b"announce".to_vec()).unwrap();
    assert_eq!(nodes.networks[2].publish(&RUN, b"announce".to_vec()), Err(PublishError::Duplicate));
    let mut heard = HashSet::new();
    nodes
        .until(|networks, index, event| {
            if let NetworkEvent::Gossip { ticket, data, .. } = event {
                assert_eq!(data, b"announce");
                assert!(heard.insert(index), "{index} heard it twice");
                networks[index].validate(&ticket, Verdict::Accept);
            }
            heard.len() == 4
        })
        .await;
    assert!(!heard.contains(&2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_not_published() {
    let mut nodes = Nodes::new(2, |_| {}).await;
    assert_eq!(nodes.networks[0].publish(&RUN, vec![0; 10]), Err(PublishError::NoPeers));
    nodes.meet().await;
    assert_eq!(nodes.networks[0].publish(&RUN, vec![0; 70_000]), Err(PublishError::TooLong(70_000)));
}

/// 1 and 2 know only 0, so whatever they hear from each other went through it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_message_goes_no_further_and_costs_its_sender() {
    let mut nodes = Nodes::new(3, |config| {
        config.server = false;
        config.peers_target = 1;
    })
    .await;
    let mut met = HashSet::new();
    nodes
        .until(|_, index, event| {
            if let NetworkEvent::PeerUp { peer, .. } = event {
                met.insert((index, peer));
            }
            met.len() == 4
        })
        .await;
    nodes.networks[1].publish(&RUN, b"bad".to_vec()).unwrap();
    let mut good_sent = false;
    let mut at_last = Vec::new();
    nodes
        .until(|networks, index, event| {
            if let NetworkEvent::Gossip { ticket, data, .. } = event {
                match (index, &data[..]) {
                    (0, b"bad") => networks[0].validate(&ticket, Verdict::Reject),
                    (0, b"good") => networks[0].validate(&ticket, Verdict::Accept),
                    (2, _) => at_last.push(data),
                    other => panic!("{other:?}"),
                }
                if !good_sent {
                    good_sent = true;
                    networks[1].publish(&RUN, b"good".to_vec()).unwrap();
                }
            }
            !at_last.is_empty()
        })
        .await;
    assert_eq!(at_last, [b"good"]);
    let scores: Vec<_> = nodes.networks[0].peers().iter().map(|peer| (peer.node, peer.score.unwrap())).collect();
    for (node, score) in scores {
        let bad = node == nodes.ids[1];
        assert!(if bad { score < -50.0 } else { score >= 0.0 }, "{node}: {score}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_are_answered() {
    let mut nodes = Nodes::new(2, |_| {}).await;
    nodes.meet().await;
    let (one, two) = (nodes.ids[0], nodes.ids[1]);
    let big = vec![7_u8; 3_000_000];
    let requests: [(&[u8], usize); 4] = [(b"big", big.len()), (b"empty", 0), (b"decline", 10), (b"big", big.len() - 1)];
    let tickets = requests.map(|(bytes, max)| nodes.networks[1].request(one, bytes.to_vec(), max, LONG));
    let mut answers = Vec::new();
    nodes
        .until(|_, _, event| {
            match event {
                NetworkEvent::Request { peer, bytes, reply } => {
                    assert_eq!(peer, two);
                    match &bytes[..] {
                        b"big" => reply.send(big.clone()),
                        b"empty" => reply.send(Vec::new()),
                        _ => drop(reply),
                    }
                }
                NetworkEvent::Response { ticket, peer, result } => {
                    assert_eq!(peer, one);
                    answers.push((ticket, result));
                }
                _ => {}
            }
            answers.len() == 4
        })
        .await;
    let answer = |index: usize| &answers.iter().find(|(ticket, _)| *ticket == tickets[index]).unwrap().1;
    assert_eq!(answer(0).as_ref().unwrap(), &big);
    assert_eq!(answer(1), &Ok(Vec::new()));
    assert_eq!(answer(2), &Err(RequestError::Declined));
    let too_long = answer(3).as_ref().unwrap_err();
    assert_eq!(too_long, &RequestError::TooLong { said: big.len(), allowed: big.len() - 1 });
    assert!(too_long.proves_fault());
}

/// Many more than the places on a connection: they wait here, and all of them are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_questions_wait_their_turn() {
    let mut nodes = Nodes::new(2, |_| {}).await;
    nodes.meet().await;
    let one = nodes.ids[0];
    let mut open: HashSet<_> = (0..100).map(|_| nodes.networks[1].request(one, b"x".to_vec(), 1, LONG)).collect();
    nodes
        .until(|_, _, event| {
            match event {
                NetworkEvent::Request { reply, bytes, .. } => reply.send(bytes),
                NetworkEvent::Response { ticket, result, .. } => {
                    assert_eq!(result, Ok(b"x".to_vec()));
                    assert!(open.remove(&ticket), "answered twice");
                }
                _ => {}
            }
            open.is_empty()
        })
        .await;
}

/// Each request ends in its own way and exactly once, however little there is at the other end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_answer_is_reported() {
    let mut nodes = Nodes::new(2, |config| config.requests.outbound = 8).await;
    nodes.meet().await;
    let (one, stranger) = (nodes.ids[0], Identity::generate().node_id());
    let nobody = (0..=255).map(|byte| NodeId([byte; 32])).find(|node| shoal_node::identity::peer_of(node).is_none()).unwrap();
    let network = &mut nodes.networks[1];
    let mut open = HashSet::new();
    open.insert(network.request(stranger, b"x".to_vec(), 1, LONG));
    open.insert(network.request(nobody, b"x".to_vec(), 1, LONG));
    open.insert(network.request(one, vec![0; 1_025], 1, LONG));
    open.insert(network.request(one, b"never answered".to_vec(), 1, Duration::from_millis(300)));
    for _ in 0..10 {
        open.insert(network.request(one, b"x".to_vec(), 1, Duration::MAX));
    }
    let mut ends = Vec::new();
    let mut held = Vec::new();
    nodes
        .until(|_, _, event| {
            match event {
                NetworkEvent::Request { reply, bytes, .. } if bytes == b"x" => reply.send(bytes),
                NetworkEvent::Request { reply, .. } => held.push(reply),
                NetworkEvent::Response { ticket, result, .. } => {
                    assert!(open.remove(&ticket), "reported twice");
                    ends.push(result);
                }
                _ => {}
            }
            open.is_empty()
        })
        .await;
    let count = |end: fn(&Result<Vec<u8>, RequestError>) -> bool| ends.iter().filter(|result| end(result)).count();
    assert_eq!(count(|end| matches!(end, Err(RequestError::Unreachable { .. }))), 2, "{ends:?}");
    assert_eq!(count(|end| matches!(end, Err(RequestError::RequestTooLong(1_025)))), 1);
    assert_eq!(count(|end| matches!(end, Err(RequestError::TimedOut))), 1);
    assert_eq!(count(|end| matches!(end, Err(RequestError::TooMany))), 4, "6 of 10 find a place");
    assert_eq!(count(Result::is_ok), 6);
    assert!(ends.iter().all(|end| !end.as_ref().is_err_and(RequestError::proves_fault)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_peer_goes_down_and_its_requests_end() {
    let mut nodes = Nodes::new(2, |_| {}).await;
    nodes.meet().await;
    let gone = nodes.ids[0];
    nodes.networks[1].request(gone, b"x".to_vec(), 1, LONG);
    drop(nodes.networks.remove(0));
    let (mut down, mut ended) = (false, false);
    nodes
        .until(|_, _, event| {
            match event {
                NetworkEvent::PeerDown { peer, .. } => down = peer == gone,
                NetworkEvent::Response { result, .. } => {
                    ended = true;
                    assert!(matches!(result, Err(RequestError::Closed { .. })), "{result:?}");
                }
                _ => {}
            }
            down && ended
        })
        .await;
    assert!(nodes.networks[0].peers().is_empty());
}

/// 2 has forgotten where 1 is, but 0 knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_connected_is_looked_for() {
    let mut nodes = Nodes::new(3, |_| {}).await;
    nodes.meet().await;
    let wanted = nodes.ids[1];
    // A ban without length closes the connections and forgets the peer, no more. While one of two is
    // closing the peer may already have called again, and is then never down: once more.
    let mut is_down = false;
    while !is_down {
        nodes.networks[2].ban(wanted, Duration::ZERO);
        let is_wanted = |event| matches!(event, NetworkEvent::PeerDown { peer, .. } if peer == wanted);
        let down = nodes.until(|_, index, event| index == 2 && is_wanted(event));
        is_down = tokio::time::timeout(Duration::from_secs(1), down).await.is_ok();
    }
    nodes.networks[2].request(wanted, b"x".to_vec(), 1, LONG);
    let mut result = None;
    nodes
        .until(|_, _, event| {
            match event {
                NetworkEvent::Request { bytes, reply, .. } => reply.send(bytes),
                NetworkEvent::Response { result: end, .. } => result = Some(end),
                _ => {}
            }
            result.is_some()
        })
        .await;
    assert_eq!(result, Some(Ok(b"x".to_vec())));
}

/// A ban ends the connection, holds against a peer that calls again and again, and ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_peer_stays_out_until_its_time_is_over() {
    let mut nodes = Nodes::new(2, |_| {}).await;
    nodes.meet().await;
    let banned = nodes.ids[1];
    let time = Duration::from_secs(1);
    let start = std::time::Instant::now();
    nodes.networks[0].ban(banned, time);
    let (mut down, mut again) = (false, false);
    nodes
        .until(|networks, index, event| {
            match event {
                NetworkEvent::PeerDown { peer, .. } if index == 0 => {
                    down = true;
                    assert_eq!(peer, banned);
                    assert!(networks[0].peers().is_empty());
                }
                NetworkEvent::PeerUp { .. } if index == 0 => again = true,
                _ => {}
            }
            down && again
        })
        .await;
    assert!(start.elapsed() >= time, "came back after {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_run_on_the_same_network_is_not_ours() {
    let mut nodes = Nodes::new(3, |_| {}).await;
    let address = nodes.networks[0].listen_addresses()[0].clone();
    let mut other = config();
    other.bootstrap = vec![address];
    let identity = Identity::generate();
    nodes.add_to(shoal_protocol::id::RunId([9; 32]), &identity, other).await;
    let stranger = identity.node_id();
    let mut met = HashSet::new();
    nodes
        .until(|networks, index, event| {
            if let NetworkEvent::PeerUp { peer, .. } = event {
                assert!(peer != stranger && index != 3, "the runs mixed");
                met.insert((index, peer));
            }
            let seen = networks[0].peers().iter().any(|peer| peer.node == stranger && peer.agent.starts_with("shoal/"));
            met.len() == 6 && seen
        })
        .await;
    let info = nodes.networks[0].peers().into_iter().find(|peer| peer.node == stranger).unwrap();
    assert!(!info.is_in(&RUN));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let other = Nodes::new(1, |config| config.listen = vec![tcp(), quic()]).await;
    let mut addresses = other.networks[0].listen_addresses();
    addresses.push(format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap());
    assert_eq!(addresses.len(), 3);
    for wanted in addresses {
        let mut config = config();
        config.listen = vec![wanted.clone()];
        let Err(error) = Network::new(config, Identity::generate().keypair()) else { panic!("{wanted} was free") };
        assert!(matches!(&error, NetworkError::PortInUse { address } if *address == wanted), "{error}");
        assert!(error.to_string().contains(&wanted.to_string()));
    }
}

#[tokio::test]
async fn an_address_of_another_kind_is_named() {
    for text in ["/ip4/127.0.0.1/udp/0", "/dns4/example.org/tcp/0", "/ip4/127.0.0.1", "/memory/7", "/ip4/127.0.0.1/tcp/0/ws"] {
        let wanted: Multiaddr = text.parse().unwrap();
        let mut config = config();
        config.listen = vec![wanted.clone()];
        let Err(error) = Network::new(config, Identity::generate().keypair()) else { panic!("{wanted} was taken") };
        assert!(matches!(&error, NetworkError::BadAddress { address } if *address == wanted), "{error}");
    }
}
