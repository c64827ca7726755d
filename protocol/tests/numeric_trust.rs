//! Who is believed: standing in large, small and sampled networks, with attackers and without, and what
//! a joiner takes over from its donors.

mod numeric_net;

use numeric_net::{Kind, PARAMS, distance, incoming, net, replica_with, spec};
use shoal_protocol::id::NodeId;
use shoal_protocol::trust::{SENDERS_MAX, TrustRecord, TrustReport};

#[test]
fn sixteen_senders_see_through_attackers() {
    // Not clones that pull elsewhere without opposing anybody: only the clip bounds those (ADR 6).
    for kind in [Kind::Scaled(-1.0), Kind::Scaled(-10.0), Kind::OneLayer] {
        let mut net = net(3, 16, kind);
        let applied = net.run(40);
        let (honest, other) = net.trust_bounds(&applied);
        assert!(honest > 0.5 && other < 0.5, "{kind:?}: honest at least {honest}, others at most {other}");
    }
}

#[test]
fn where_nobody_attacks_hardly_anybody_is_doubted() {
    for (nodes, heard) in [(5, 4), (8, 7), (16, 15), (32, 10)] {
        let mut net = net(0, nodes, Kind::Honest);
        net.heard = heard;
        let applied = net.run(60);
        let trust: Vec<f32> = applied.iter().flat_map(|applied| &applied.trust).map(|entry| entry.1).collect();
        let doubted = trust.iter().filter(|trust| **trust < 0.5).count();
        assert!(doubted * 50 <= trust.len(), "{doubted} of {} in a network of {nodes}", trust.len());
    }
}

#[test]
fn agreement_among_the_honest_is_no_weakness() {
    // With little noise all honest deltas are alike: weights that divide clones must not make three
    // attackers, who are alike too, weigh as much.
    for (attackers, nodes) in [(1, 16), (3, 16), (4, 13), (2, 8)] {
        let mut net = net(attackers, nodes, Kind::Scaled(-1.0));
        net.noise = 0.1;
        let applied = net.run(30);
        let (honest, other) = net.trust_bounds(&applied);
        assert!(honest > 0.5 && other < 0.5, "{attackers} of {nodes}: honest at least {honest}, others at most {other}");
    }
}

#[test]
fn a_sampled_network_sees_through_a_fifth() {
    let mut net = net(6, 32, Kind::Scaled(-1.0));
    net.heard = 10;
    let applied = net.run(40);
    let (honest, other) = net.trust_bounds(&applied);
    assert!(honest > 0.5 && other < 0.5, "honest at least {honest}, others at most {other}");
}

#[test]
fn a_joiner_believes_whom_its_donors_believe() {
    let mut net = net(3, 16, Kind::Scaled(-1.0));
    net.run(40);
    let mut joiner = replica_with(&spec(""), 200, net.replicas[15].weights().to_vec());
    // One of the three donors is an attacker, and says the opposite.
    let mut lies = net.replicas[0].export_trust();
    lies.senders.iter_mut().for_each(|record| record.levels = record.levels.map(|level| if level < -2.5 { 2.0 } else { -6.0 }));
    joiner.import_trust(&[net.replicas[8].export_trust(), lies, net.replicas[9].export_trust()]);
    let applied = joiner.apply(net.round, 17, &incoming(&net.bodies));
    for (id, trust) in applied.trust {
        // Nobody lists itself, so the honest donors stand where a newcomer does, at a half.
        let attacker = id.0[0] <= 3;
        assert!(if attacker { trust < 0.5 } else { trust >= 0.5 }, "{id}: {trust}");
    }
}

#[test]
fn eight_nodes_see_through_two_that_oppose_them_and_agree_about_it() {
    for kind in [Kind::Scaled(-1.0), Kind::Scaled(-10.0), Kind::OneLayer] {
        let mut net = net(2, 8, kind);
        let applied = net.run(40);
        let (honest, other) = net.trust_bounds(&applied);
        assert!(honest > 0.5 && other < 0.5, "{kind:?}: honest at least {honest}, others at most {other}");
    }
}

#[test]
fn learning_under_attack_ends_near_learning_without() {
    let end = |attackers: usize, nodes: usize| {
        let mut net = net(attackers, nodes, Kind::Scaled(-1.0));
        net.run(40);
        distance(net.replicas[nodes - 1].averaged(), &net.target)
    };
    let (silent, attacked) = (end(0, 13), end(3, 16));
    assert!(attacked < 1.1 * silent, "{attacked} with attackers, {silent} with as many honest nodes alone");
}

#[test]
fn poisoned_slices_of_honest_senders_do_not_carry_the_weights_away() {
    // Their deltas are honest, so they are trusted, and five times the size of a weight is what they ask
    // for each round: only the clip stands between.
    let end = |attackers: usize, nodes: usize| {
        let mut net = net(attackers, nodes, Kind::Poison);
        net.heard = 10;
        net.run(60);
        distance(net.replicas[nodes - 1].weights(), &net.target)
    };
    let (silent, attacked) = (end(0, 26), end(6, 32));
    assert!(attacked < 1.5 * silent, "{attacked} with attackers, {silent} with as many honest nodes alone");
}

#[test]
fn replicas_that_hear_the_same_stay_together() {
    let mut net = net(0, 6, Kind::Honest);
    net.run(30);
    let apart = distance(net.replicas[0].weights(), net.replicas[5].weights());
    // Not to the bit: each adds its own delta last, and each sketches with a secret of its own, so one
    // may doubt a sender that another still believes.
    let covered = distance(net.replicas[0].weights(), &[0.0; PARAMS]);
    assert!(apart < 0.02 * covered, "{apart} apart after {covered}");
}

#[test]
fn trust_is_inherited_from_a_majority_of_donors() {
    let record = |id: u8, level: f32| TrustRecord { peer: NodeId([id; 32]), levels: [level, level, 0.0, 0.0] };
    let report = |senders: Vec<TrustRecord>| TrustReport { senders, ..TrustReport::default() };
    let mut joiner = replica_with(&spec(""), 1, vec![0.0; PARAMS]);
    let liar = vec![record(2, 2.0), record(3, -6.0), record(4, f32::NAN), record(8, 2.0), record(8, 2.0), record(1, -6.0)];
    joiner.import_trust(&[
        report(vec![record(2, -5.0), record(3, 0.5), record(4, 1.0)]),
        report(vec![record(2, -4.0), record(3, 0.25), record(4, 1.5)]),
        report(liar),
    ]);
    let levels: Vec<(u8, f32)> =
        joiner.export_trust().senders.iter().map(|record| (record.peer.0[0], record.levels[0])).collect();
    assert_eq!(levels, [(2, -4.0), (3, 0.25), (4, 1.0)]);
    // What stands is not overruled, and nobody can fill the table beyond its bound.
    joiner.import_trust(&[report(vec![record(2, 2.0)])]);
    assert_eq!(joiner.export_trust().senders[0].levels[0], -4.0);
    let flood = |from: u32| {
        let named = |i: u32| TrustRecord { peer: NodeId([i as u8; 32].map(|byte| byte ^ (i + from) as u8)), ..record(0, 0.0) };
        report((0..300).map(named).collect())
    };
    joiner.import_trust(&[flood(0)]);
    joiner.import_trust(&[flood(7)]);
    assert!(joiner.export_trust().senders.len() <= SENDERS_MAX);
}
