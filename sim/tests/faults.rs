//! Every fault that the simulator knows, at a size that takes a second: the network goes on, no check
//! fails, honest nodes ban nobody, and what the fault does shows in the figures.

use shoal_sim::{Outcome, Scenario, simulate};

/// Sixteen nodes with these keys set.
fn run(keys: &[(&str, &str)]) -> Outcome {
    let scenario = Scenario { nodes: 16, rounds: 24, ..Scenario::default() };
    let scenario = scenario.set_all(keys.iter().copied()).expect("keys");
    simulate(&scenario, 2, &mut |_| {}).expect("a scenario")
}

/// The end of the last sample's virtual time.
fn seconds(outcome: &Outcome) -> f64 {
    outcome.samples.last().map_or(0.0, |sample| sample.time_s)
}

#[test]
fn every_fault_slows_or_costs_and_stops_nobody() {
    let clean = run(&[]);
    assert!(clean.finished && clean.rejects.is_empty());
    let table: &[(&str, &[(&str, &str)])] = &[
        ("loss", &[("link.loss", "0.2")]),
        ("duplicates", &[("link.duplicate", "0.3")]),
        ("reordering", &[("link.reorder", "0.3"), ("link.reorder_ms", "2000")]),
        ("jitter", &[("link.jitter_ms", "200")]),
        ("latency", &[("link.latency_ms", "[300, 500]")]),
        ("slow uplinks", &[("link.up_kbit", "[200, 400]"), ("link.down_kbit", "[400, 800]"), ("inline_bytes_max", "0")]),
        ("homes behind NAT", &[("nat.cone", "0.5"), ("nat.symmetric", "0.2"), ("inline_bytes_max", "0")]),
        ("devices of all speeds", &[("device.slowness", "[1, 2, 4]"), ("run.round.period_ms", "250")]),
        ("wrong clocks", &[("device.skew_ms", "3600000"), ("device.drift_ppm", "50000")]),
        ("a fifth off", &[("churn.offline", "0.2")]),
        ("newcomers", &[("churn.replaced", "0.1")]),
        ("a partition", &[("split", "[{ from_round = 5, until_round = 12, groups = 2 }]")]),
        ("a few connections", &[("gossip.connections", "3")]),
        ("no flooding", &[("gossip.flood_publish", "false")]),
    ];
    for (name, keys) in table {
        let outcome = run(keys);
        assert!(outcome.finished, "{name}: {outcome:?}");
        assert_ne!(outcome.trace, clean.trace, "{name} does nothing");
        assert!(outcome.accuracy_mean > 0.35, "{name}: {}", outcome.accuracy_mean);
        let blameless = ["replayed", "duplicate_body", "round_distant", "unasked", "echo"];
        let blamed = outcome.rejects.keys().any(|reason| !blameless.contains(&&**reason));
        assert!(!blamed, "{name}: honest nodes blame each other: {:?}", outcome.rejects);
    }
}

#[test]
fn what_a_fault_does_shows() {
    let clean = run(&[]);
    let lossy = run(&[("link.loss", "0.2"), ("gossip.lazy", "0")]);
    assert!(lossy.traffic.losses > 1_000 && lossy.samples[1].bodies < clean.samples[1].bodies);
    assert!(run(&[("link.duplicate", "0.3")]).rejects["replayed"] > 100);
    assert!(seconds(&run(&[("link.latency_ms", "[300, 500]")])) > 1.5 * seconds(&clean));
    let pulled = run(&[("inline_bytes_max", "0")]);
    let narrow = run(&[("inline_bytes_max", "0"), ("link.up_kbit", "[20, 20]")]);
    assert!(seconds(&narrow) > 1.5 * seconds(&pulled), "{} {}", seconds(&narrow), seconds(&pulled));
    let behind = run(&[("nat.symmetric", "0.7"), ("inline_bytes_max", "0"), ("gossip.connections", "4")]);
    assert!(behind.traffic.unreachable > 0, "{:?}", behind.traffic);
}
