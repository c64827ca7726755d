//! Several runs on the connections of one node: who is up in which, what is heard where, and who can be
//! found under which key.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod swarm_nodes;

use std::collections::BTreeSet;

use shoal_node::swarm::{Key, NetworkError, NetworkEvent, PublishError, RUNS_MAX, Verdict};
use shoal_protocol::id::{NodeId, RunId};
use swarm_nodes::{Nodes, RUN};

const OTHER: RunId = RunId([6; 32]);

/// Until each of these has been said, and nothing that contradicts it: `(who, in which run, of whom)`.
async fn until_up(nodes: &mut Nodes, mut wanted: BTreeSet<(usize, RunId, NodeId)>) {
    nodes
        .until(|_, index, event| {
            if let NetworkEvent::PeerUp { run, peer, .. } = event {
                assert!(wanted.remove(&(index, run, peer)), "{index} in {run}: {}", peer.short());
            }
            wanted.is_empty()
        })
        .await;
}

/// A run joined late finds those who are connected already, has a topic of its own, and can be left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_in_two_runs_at_once() {
    let mut nodes = Nodes::new(3, |_| {}).await;
    nodes.meet().await;
    let ids = nodes.ids.clone();
    // One says that it is in the other run before anybody else is.
    nodes.networks[0].join_run(OTHER).unwrap();
    nodes.networks[1].join_run(OTHER).unwrap();
    until_up(&mut nodes, [(0, OTHER, ids[1]), (1, OTHER, ids[0])].into()).await;
    assert!(nodes.networks[2].peers().iter().all(|peer| peer.runs == [RUN]));
    assert_eq!(nodes.networks[2].publish(&OTHER, b"hello".to_vec()), Err(PublishError::NotIn));

    for (run, text) in [(OTHER, b"other".to_vec()), (RUN, b"shared".to_vec())] {
        nodes.networks[0].publish(&run, text).unwrap();
    }
    let mut heard = BTreeSet::new();
    nodes
        .until(|networks, index, event| {
            if let NetworkEvent::Gossip { run, ticket, data, .. } = event {
                networks[index].validate(&ticket, Verdict::Accept);
                heard.insert((index, run, data));
            }
            heard.len() == 3
        })
        .await;
    let expected = [(1, RUN, b"shared".to_vec()), (2, RUN, b"shared".to_vec()), (1, OTHER, b"other".to_vec())];
    assert_eq!(heard, expected.into());

    // Who leaves one run stays in the other; who comes later is told of by those who are there.
    nodes.networks[1].leave_run(&OTHER);
    let mut down = false;
    nodes
        .until(|_, index, event| {
            if let NetworkEvent::PeerDown { run, peer } = event {
                assert_eq!((index, run, peer), (0, OTHER, ids[1]));
                down = true;
            }
            down
        })
        .await;
    assert!(nodes.networks[1].peers().iter().all(|peer| peer.runs == [RUN]), "of a run that was left nothing is kept");
    nodes.networks[1].join_run(OTHER).unwrap();
    let up = |event| matches!(event, NetworkEvent::PeerUp { run: OTHER, .. });
    let mut back = BTreeSet::new();
    nodes
        .until(|_, index, event| {
            if up(event) {
                back.insert(index);
            }
            back.len() == 2
        })
        .await;
    assert_eq!(back, [0, 1].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_bounded() {
    let mut nodes = Nodes::new(1, |_| {}).await;
    for run in 100..100 + RUNS_MAX as u8 - 1 {
        nodes.networks[0].join_run(RunId([run; 32])).unwrap();
    }
    assert!(matches!(nodes.networks[0].join_run(OTHER), Err(NetworkError::TooManyRuns)));
    nodes.networks[0].join_run(RUN).expect("it is in that one");
    nodes.networks[0].leave_run(&RUN);
    nodes.networks[0].join_run(OTHER).expect("there is room again");
    assert_eq!(nodes.networks[0].runs().count(), RUNS_MAX);
}

/// Who offers is found under the catalogue's key, who takes part under the run's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_find_who_offers_and_who_takes_part() {
    let mut nodes = Nodes::new(4, |_| {}).await;
    nodes.networks[3].offer(true);
    nodes.networks[2].join_run(OTHER).unwrap();
    nodes.meet().await;
    let ids = nodes.ids.clone();
    for (key, who) in [(Key::Catalogue, ids[3]), (Key::Run(OTHER), ids[2])] {
        let mut found = BTreeSet::new();
        nodes.networks[0].look_up(key);
        nodes
            .until(|networks, index, event| {
                if let NetworkEvent::Providers { key: of, peers, last } = event {
                    assert_eq!(index, 0);
                    if of != key {
                        // The end of the lookup before this one.
                        return false;
                    }
                    found.extend(peers);
                    // The record may still be on its way.
                    if last && found.is_empty() {
                        networks[0].look_up(key);
                    }
                }
                !found.is_empty()
            })
            .await;
        assert_eq!(found, [who].into());
    }
}
