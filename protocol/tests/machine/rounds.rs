//! Rounds among honest machines: lockstep, loss, sampling, restart, late join.

use std::collections::BTreeSet;

use shoal_protocol::id::NodeId;
use shoal_protocol::peer::Resume;
use shoal_protocol::time::Span;

use super::{Wire, spec};

fn network(wire: &mut Wire, nodes: u8, period_ms: u32, peers: u16) -> Vec<NodeId> {
    let spec = spec(period_ms, peers);
    (1..=nodes)
        .map(|n| {
            let config = shoal_protocol::peer::Config { wait_for_peers: usize::from(nodes) - 1, ..wire.config(n, &spec) };
            wire.start(config, None)
        })
        .collect()
}

fn all_at(round: u64) -> impl FnMut(&Wire) -> bool {
    move |wire| wire.hosts.values().all(|host| host.peer.round() >= round)
}

fn no_body_twice(wire: &Wire) {
    for host in wire.hosts.values() {
        let mixed: Vec<_> = host.applied.iter().flat_map(|(_, _, digests)| digests).collect();
        let distinct: BTreeSet<_> = mixed.iter().collect();
        assert_eq!(mixed.len(), distinct.len(), "a body was mixed twice");
    }
}

#[test]
fn a_full_mesh_hears_everybody_in_every_round() {
    let mut wire = Wire::new();
    network(&mut wire, 8, 1_000, 8);
    wire.run_until(Span::from_secs(60), all_at(20));
    for host in wire.hosts.values() {
        for (round, live, digests) in &host.applied {
            assert_eq!((*live, digests.len()), (8, 7), "round {round}");
        }
    }
    no_body_twice(&wire);
    assert!(wire.now.0 < 20 * 130_000, "nobody waits out the clock when all have come: {:?}", wire.now);
}

#[test]
fn large_bodies_are_pulled_and_still_all_come() {
    let mut wire = Wire::new();
    wire.body_bytes = 100_000;
    network(&mut wire, 5, 1_000, 8);
    wire.run_until(Span::from_secs(60), all_at(10));
    for host in wire.hosts.values() {
        assert!(host.published.iter().all(|frame| frame.len() == shoal_protocol::seal::SEALED_BYTES), "no body inline");
        assert!(host.applied.iter().all(|(_, _, digests)| digests.len() == 4));
    }
    no_body_twice(&wire);
}

#[test]
fn a_sampled_run_hears_s_of_many_and_spreads_its_choice() {
    let mut wire = Wire::new();
    let nodes = network(&mut wire, 20, 1_000, 8);
    wire.run_until(Span::from_secs(60), all_at(30));
    let mut heard = BTreeSet::new();
    for (round, _, digests) in &wire.hosts[&nodes[0]].applied {
        assert_eq!(digests.len(), 8, "round {round}");
        let authors = digests.iter().map(|digest| {
            wire.hosts.iter().find(|(_, host)| host.bodies.get(digest).is_some_and(|b| host.peer.me().0 == b[8..40]))
        });
        heard.extend(authors.filter_map(|found| found.map(|(&node, _)| node)));
    }
    assert_eq!(heard.len(), 19, "over thirty rounds everybody is heard");
    no_body_twice(&wire);
}

#[test]
fn a_lone_node_trains_and_a_second_one_copies_it() {
    let mut wire = Wire::new();
    let spec = spec(1_000, 8);
    let first = wire.start(wire.config(1, &spec), None);
    wire.run_until(Span::from_secs(60), all_at(20));
    assert!(wire.hosts[&first].applied.iter().all(|(_, live, digests)| (*live, digests.len()) == (1, 0)));
    let second = wire.start(wire.config(2, &spec), None);
    wire.run_until(Span::from_secs(60), |wire| wire.hosts[&second].applied.len() >= 5);
    let host = &wire.hosts[&second];
    assert_eq!(host.adopted, 1);
    assert!(host.applied[0].0 >= 20, "it starts where the run stands");
    assert!(host.published.len() < host.applied.len(), "the first phase is not published");
    assert!(host.applied.iter().skip(1).all(|(_, live, _)| *live == 2));
}

#[test]
fn a_fast_author_is_no_flood_to_a_node_that_still_looks_around() {
    let mut wire = Wire::new();
    let spec = spec(1_000, 8);
    let first = wire.start(wire.config(1, &spec), None);
    wire.run_until(Span::from_secs(60), all_at(5));
    let config = shoal_protocol::peer::Config { wait: Span::from_secs(20), ..wire.config(2, &spec) };
    let second = wire.start(config, None);
    wire.run_until(Span::from_secs(60), |wire| wire.hosts[&second].applied.len() >= 3);
    assert_eq!((wire.hosts[&second].adopted, wire.hosts[&second].bans.len()), (1, 0));
    assert!(wire.hosts[&first].peer.round() > 30, "it announced all the time");
}

#[test]
fn who_is_silent_is_not_waited_for_longer_than_it_lives() {
    let mut wire = Wire::new();
    let nodes = network(&mut wire, 4, 1_000, 8);
    wire.run_until(Span::from_secs(60), all_at(5));
    wire.kill(&nodes[3]);
    let (before, round) = (wire.now, wire.hosts[&nodes[0]].peer.round());
    wire.run_until(Span::from_secs(60), all_at(round + 60));
    let per_round = (wire.now - before).0 / 60;
    assert!(per_round < 160_000, "{per_round} us a round");
    assert_eq!(wire.hosts[&nodes[0]].applied.last().map(|(_, live, _)| *live), Some(3));
}

#[test]
fn a_killed_node_resumes_its_round_and_reuses_no_number() {
    let mut wire = Wire::new();
    let nodes = network(&mut wire, 3, 1_000, 8);
    wire.run_until(Span::from_secs(60), all_at(10));
    let dead = wire.kill(&nodes[0]);
    let seqs =
        |frames: &[Vec<u8>]| -> BTreeSet<[u8; 8]> { frames.iter().map(|frame| frame[74..82].try_into().unwrap()).collect() };
    let before = seqs(&dead.published);
    let goal = wire.hosts[&nodes[1]].peer.round() + 3;
    wire.run_until(Span::from_secs(60), all_at(goal));
    let config = shoal_protocol::peer::Config { next_seq: dead.reserved, ..dead.config };
    wire.start(config, Some(Resume { round: dead.checkpoint }));
    assert_eq!(wire.hosts[&nodes[0]].peer.round(), dead.checkpoint);
    wire.run_until(Span::from_secs(60), all_at(goal + 10));
    let host = &wire.hosts[&nodes[0]];
    assert!(before.is_disjoint(&seqs(&host.published)), "a number was used twice");
    assert_eq!(host.applied.last().map(|(_, live, digests)| (*live, digests.len())), Some((3, 2)), "it takes part again");
}

#[test]
fn a_node_far_behind_copies_instead_of_replaying() {
    let mut wire = Wire::new();
    let nodes = network(&mut wire, 4, 1_000, 8);
    wire.run_until(Span::from_secs(60), all_at(5));
    let dead = wire.kill(&nodes[0]);
    wire.run_until(Span::from_secs(60), all_at(50));
    let config = shoal_protocol::peer::Config { next_seq: dead.reserved, ..dead.config };
    wire.start(config, Some(Resume { round: dead.checkpoint }));
    wire.run_until(Span::from_secs(60), all_at(55));
    assert_eq!(wire.hosts[&nodes[0]].adopted, 1);
}

#[test]
fn lost_announces_cost_deltas_but_never_rounds() {
    let mut wire = Wire::new();
    let nodes = network(&mut wire, 6, 1_000, 8);
    wire.run_until(Span::from_secs(60), all_at(5));
    wire.muted.insert(nodes[2]);
    wire.run_until(Span::from_secs(60), all_at(15));
    let last = |node: &NodeId| wire.hosts[node].applied.last().map(|(_, _, digests)| digests.len());
    assert_eq!(last(&nodes[0]), Some(4));
    assert_eq!(last(&nodes[2]), Some(5), "it still hears the others");
}

#[test]
fn the_run_ends_where_it_was_told_to() {
    let mut wire = Wire::new();
    let spec = spec(1_000, 8);
    for n in 1..=3 {
        let config = shoal_protocol::peer::Config { rounds_max: Some(7), wait_for_peers: 2, ..wire.config(n, &spec) };
        wire.start(config, None);
    }
    wire.run_until(Span::from_secs(60), |wire| wire.hosts.values().all(|host| host.finished));
    assert!(wire.hosts.values().all(|host| host.applied.len() == 7 && host.checkpoint == 7));
}
