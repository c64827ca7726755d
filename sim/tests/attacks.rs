//! Every attack of the catalogue at a size that takes a second: whatever a fifth of the nodes sends, the
//! others go on, stay finite, ban nobody who is honest, and learn nearly as well as if nobody lied.

use shoal_sim::{AttackSpec, ChurnSpec, Outcome, Scenario, simulate};

/// So many nodes that hear twelve, forty rounds; in each round this part of them is replaced by newcomers.
fn run(kind: Option<&str>, nodes: usize, replaced: f64) -> Outcome {
    let attack = kind.map(|kind| AttackSpec { kind: kind.to_owned(), fraction: 0.2 });
    let run = "[round]\npeers = 12".parse().expect("a table");
    let churn = ChurnSpec { replaced, ..ChurnSpec::default() };
    let scenario = Scenario { churn, nodes, rounds: 40, attack: attack.into_iter().collect(), run, ..Scenario::default() };
    simulate(&scenario, 2, &mut |_| {}).expect("a scenario")
}

const ATTACKS: [&str; 29] = [
    "sign-flip",
    "sign-flip:10",
    "reverse",
    "layer-reverse",
    "half-reverse",
    "reverse-blend:0.7",
    "half-reverse-blend:0.65",
    "alie",
    "ipm:1",
    "noise:10",
    "label-flip",
    "backdoor:5",
    "dissensus",
    "drift",
    "replace:4",
    "copycat",
    "free-zero",
    "free-stale",
    "slice-noise",
    "slice-reverse",
    "slice-drift",
    "sleeper:20:reverse",
    "on-off:5:sign-flip",
    "new-identity:10:sign-flip",
    "samples:10:reverse",
    "round-lie",
    "donor-lie",
    "sybil:300",
    "eclipse",
];

#[test]
fn no_attack_of_the_catalogue_stops_the_others_from_learning() {
    let (lasting, larger, joined) = (run(None, 20, 0.0), run(None, 40, 0.0), run(None, 20, 0.05));
    for name in ATTACKS {
        let (honest, nodes, replaced) = match name {
            // Who lies to newcomers needs some.
            "donor-lie" => (&joined, 20, 0.05),
            // Twenty nodes do not withstand a fifth that comes back under new names (THREATS, known limits).
            "new-identity:10:sign-flip" => (&larger, 40, 0.0),
            _ => (&lasting, 20, 0.0),
        };
        let attacked = run(Some(name), nodes, replaced);
        assert!(attacked.finished, "{name}: {attacked:?}");
        assert_ne!(attacked.trace, honest.trace, "{name} does nothing");
        let (mean, worst) = (honest.accuracy_mean - attacked.accuracy_mean, honest.accuracy_min - attacked.accuracy_min);
        println!("{name}: {:.3} {:.3}, lost {mean:.3} {worst:.3}", attacked.accuracy_mean, attacked.accuracy_min);
        let (mean_most, worst_most) = match name {
            // Of a newcomer's three donors two may be liars; it then starts from nonsense.
            "donor-lie" => (0.08, 1.0),
            _ => (0.08, 0.15),
        };
        assert!(mean < mean_most && worst < worst_most, "{name}: {mean:.3} lost, the worst {worst:.3}");
        // What lies lawfully is weighed and not punished; what follows from a new name is no crime either.
        let blamed = ["bad_signature", "body_malformed", "equivocation", "not_finite", "body_oversized"];
        assert!(blamed.iter().all(|reason| !attacked.rejects.contains_key(*reason)), "{name}: {:?}", attacked.rejects);
        assert_eq!(attacked.backdoor.is_some(), name.starts_with("backdoor"), "{name}");
    }
}
