//! One scenario on the digits, as a table: `digits [nodes] [rounds] [seed]`, by default 16 30 1.

use std::process::ExitCode;

use shoal_sim::{Baseline, Outcome, Scenario, ScenarioError, World};

fn main() -> ExitCode {
    let mut numbers = [16_u64, 30, 1];
    for (number, text) in numbers.iter_mut().zip(std::env::args().skip(1)) {
        match text.parse() {
            Ok(parsed) => *number = parsed,
            Err(_) => {
                eprintln!("usage: digits [nodes] [rounds] [seed], all whole numbers; {text:?} is none");
                return ExitCode::from(2);
            }
        }
    }
    let [nodes, rounds, seed] = numbers;
    match show(usize::try_from(nodes).unwrap_or(usize::MAX), rounds, seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn show(nodes: usize, rounds: u64, seed: u64) -> Result<(), ScenarioError> {
    let scenario = Scenario::digits(nodes, rounds, seed)?;
    let baseline = Baseline::of(&scenario)?;
    println!("{nodes} nodes, {rounds} rounds of {} steps, seed {seed}", scenario.spec.round().steps);
    println!("accuracy after as many steps: alone {:.3}, all data in one place {:.3}\n", baseline.alone, baseline.pooled);
    println!("{:>6} {:>9} {:>7} {:>7} {:>11} {:>8} {:>7}", "round", "virtual s", "mean", "worst", "consensus", "bytes", "bodies");
    let mut world = World::new(scenario)?;
    let mut shown = 0;
    while world.run_until(|world| world.median_round() >= shown)? {
        row(&Outcome::of(&world));
        shown += rounds.div_ceil(10).max(1);
    }
    world.run()?;
    let outcome = Outcome::of(&world);
    row(&outcome);
    println!("\n{} deliveries, {} lost; trace {}", outcome.traffic.deliveries, outcome.traffic.losses, outcome.trace.short());
    for (reason, count) in &outcome.rejects {
        println!("dropped {count} for {reason}");
    }
    Ok(())
}

/// `bytes` and `bodies` are for one node and round.
fn row(outcome: &Outcome) {
    println!(
        "{:>6} {:>9.2} {:>7.3} {:>7.3} {:>11.6} {:>8.0} {:>7.2}",
        outcome.round,
        outcome.time.0 as f64 / 1e6,
        outcome.accuracy_mean,
        outcome.accuracy_min,
        outcome.consensus_rms,
        outcome.payload_bytes,
        outcome.bodies_mixed,
    );
}
