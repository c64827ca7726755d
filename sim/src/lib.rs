//! Virtual networks of real Shoal machines, deterministic by seed.
//!
//! The machine of `shoal-protocol` that ships in a node runs here under virtual time, many times
//! over, with real weights, real training on real data and the real signatures, codec and mixing.
//! Only the clock, the disk and the net are imagined.
//!
//! ```text
//!  Scenario ──> World ──────────────> Course ──> Outcome
//!                │  ^      ^
//!                │  │      └ Fate: who goes, comes, lies; what falls apart
//!    Queue: next event     Net: places, Gossip, Links (delay, loss), Flows (bandwidth)
//!                v  │
//!               Host: Peer (machine) + Learner (Desk, Mind, Attacker) + what its disk keeps
//!                                        └ trains on the Pool's threads
//! ```
//! What else the same shards could have come to is `baseline`; tables, plots and pages are `report`; a
//! recorded life of a real node is lived again by [`replay()`].
//!
//! A [`Scenario`] is everything a simulation depends on. [`World`] is the loop: wait, translate,
//! handle, drain. After every event it checks what must always hold (`check`) and panics with the seed,
//! the time and the node otherwise. [`World::trace`] is a digest of all that happened: the same scenario
//! gives the same digest with any number of threads and in any build.

mod adversary;
mod baseline;
mod check;
mod course;
mod fate;
mod host;
mod learner;
mod net;
mod outcome;
mod pool;
mod queue;
mod replay;
mod report;
mod scenario;
mod tally;
mod trace;
mod workload;
mod world;

pub use adversary::{Attack, NameError};
pub use baseline::{Baseline, BaselineError, Rule, measure};
pub use outcome::{BaselineOutcome, Outcome, Results, SCHEMA, Sample, Traffic};
pub use replay::{Difference, Found, Place, Replay, ReplayEnd, ReplayError, replay};
pub use report::{Comparison, FIGURES, Figure, KeyDifference, ReportError, Spread, Unit};
pub use scenario::{
    AttackSpec, Change, ChurnSpec, DeviceSpec, EvaluateSpec, GossipSpec, LinkSpec, NODES_MAX, NatSpec, PRESETS, Scenario,
    ScenarioError, SplitSpec,
};
pub use world::World;

/// How far a simulation is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The median round.
    pub round: u64,
    /// Rounds there will be.
    pub rounds: u64,
    /// Virtual seconds.
    pub time_s: f64,
    /// Mean accuracy at the last sample.
    pub accuracy: Option<f64>,
}

/// Runs a scenario to its end on so many threads; `watch` is told whenever the median round rises.
///
/// # Errors
/// [`ScenarioError`] if it cannot be simulated.
///
/// # Panics
/// If a check fails; the message has the seed, the virtual time and the node.
pub fn simulate(scenario: &Scenario, threads: usize, watch: &mut dyn FnMut(Progress)) -> Result<Outcome, ScenarioError> {
    let mut world = World::new(scenario.clone(), threads)?;
    let mut round = 0;
    while world.step()? {
        if world.median_round() > round {
            round = world.median_round();
            watch(world.progress());
        }
    }
    Ok(world.outcome())
}
