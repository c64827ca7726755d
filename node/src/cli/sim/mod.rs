//! `shoal sim`: simulate a network under virtual time, compare results, list what there is.
//!
//! This verb turns flags into a scenario, runs its seeds, and says what came out; what a simulation is
//! and how results look are `shoal_sim`'s. One file a step: `settings` (flags), `seeds` (running),
//! `answer` (tables and files), `compare`, `replay`, `failure`.

mod answer;
mod attacks;
mod compare;
mod failure;
mod replay;
mod seeds;
mod settings;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use shoal_sim::{Baseline, PRESETS, Results, SCHEMA, Scenario};

use self::answer::Places;
use self::failure::SimError;
use self::seeds::{Plan, Work};
use self::settings::Settings;
use super::CliError;
use super::print::line;

/// Longest scenario that is read, bytes: a file named by mistake is not read whole.
const SCENARIO_BYTES_MAX: u64 = 1 << 20;

const LEARN_MORE: &str = "\
Examples:
  shoal sim smoke
  shoal sim churn --seeds 3 --out report
  shoal sim --nodes 200 --churn 0.2 --byzantine sign-flip:0.2 --partition dirichlet:0.1 --seed 1
  shoal sim byzantine --byzantine alie:0.2 --baselines dense,dense:krum --json alie.json
  shoal sim compare none.json alie.json --out attacks

A flag sets one key of the scenario; --set sets any key, such as gossip.mesh=6. The same scenario and
seed give the same events on every machine, with any number of threads.";

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = LEARN_MORE)]
pub(super) struct SimArgs {
    #[command(subcommand)]
    verb: Option<SimVerb>,
    /// A built-in scenario (see --list) or a file; without it, the defaults of every key
    #[arg(value_name = "SCENARIO|FILE")]
    scenario: Option<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    work: WorkArgs,
    /// List the built-in scenarios
    #[arg(long, conflicts_with = "scenario")]
    list: bool,
    /// List the attacks that --byzantine takes
    #[arg(long, conflicts_with_all = ["scenario", "list"])]
    attacks: bool,
}

#[derive(Debug, clap::Subcommand)]
enum SimVerb {
    /// Lay results side by side: figures, differences, what was set otherwise
    Compare(compare::CompareArgs),
    /// Live a node's recorded life again, and compare
    Replay(replay::ReplayArgs),
}

/// How the simulations are run, and where their results go: nothing that changes what happens in them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Running")]
struct WorkArgs {
    /// Simulate so many seeds, from --seed upwards
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// Seeds simulated at once; by default as many as there are processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    jobs: Option<u16>,
    /// Threads that train, for each seed; by default the processors, divided among the jobs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    threads: Option<u16>,
    /// What to measure against: alone, pooled, dense[:RULE], dense-momentum[:RULE], epidemic, noloco; or none
    #[arg(long, default_value = "alone,pooled", value_name = "NAMES")]
    baselines: String,
    /// Write the results as JSON to FILE, or to stdout if it is `-`
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
    /// Folder for report.html, results.json, course.csv and scenario.toml; made if it is missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn command(args: &SimArgs) -> Result<(), CliError> {
    match &args.verb {
        Some(SimVerb::Compare(args)) => return compare::command(args),
        Some(SimVerb::Replay(args)) => return replay::command(args),
        None if args.list => return list(),
        None if args.attacks => return attacks::command(),
        None => {}
    }
    let changes = args.settings.changes().map_err(CliError::usage)?;
    let scenario = scenario(args.scenario.as_deref(), &changes).map_err(CliError::usage)?;
    let baselines = baselines(&args.work.baselines).map_err(CliError::usage)?;
    let places = Places::find(args.work.json.as_deref(), args.work.out.as_deref())?;
    let plan = Plan {
        name: args.scenario.clone(),
        changes,
        work: Work::divided(args.work.seeds, args.work.jobs, args.work.threads),
        baselines,
        scenario,
    };
    places.say(&answer::head(&plan))?;
    let outcomes =
        seeds::run(&plan).map_err(|error| if error.is_usage() { CliError::usage(error) } else { CliError::operation(error) })?;
    let results = Results { schema: SCHEMA, scenario: plan.scenario, outcomes };
    places.write(&results)?;
    places.say(&answer::tables(&results))?;
    places.say_where()
}

/// The scenario of this name or file (the default without one), with all the changes made.
fn scenario(name: Option<&str>, changes: &[(String, String)]) -> Result<Scenario, SimError> {
    let scenario = match name {
        None => Scenario::default(),
        Some(name) if PRESETS.iter().any(|preset| preset.0 == name) => Scenario::named(name)?,
        Some(path) => {
            let text = read(Path::new(path), SCENARIO_BYTES_MAX)
                .map_err(|source| SimError::ScenarioUnreadable { path: path.into(), source })?;
            Scenario::parse(&text)?
        }
    };
    Ok(scenario.set_all(changes.iter().map(|(key, value)| (key, value)))?)
}

/// A whole text file, unless it is longer than this.
fn read(path: &Path, bytes_max: u64) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

fn baselines(names: &str) -> Result<Vec<Baseline>, SimError> {
    if names == "none" {
        return Ok(Vec::new());
    }
    let mut baselines = names.split(',').map(str::parse).collect::<Result<Vec<Baseline>, _>>()?;
    baselines.sort_unstable();
    baselines.dedup();
    Ok(baselines)
}

fn list() -> Result<(), CliError> {
    for (name, _) in PRESETS {
        let scenario = Scenario::named(name).map_err(|error| CliError::operation(SimError::from(error)))?;
        line(&format!("{name:<14}{}", scenario.about))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baselines_are_read_once_each() {
        assert_eq!(baselines("none").unwrap(), []);
        assert_eq!(baselines("pooled,alone,pooled").unwrap(), [Baseline::Alone, Baseline::Pooled]);
        for names in ["", "alone,", "all", "dense:oracle"] {
            assert!(baselines(names).is_err(), "{names}");
        }
    }

    #[test]
    fn a_scenario_is_a_name_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        std::fs::write(&file, "nodes = 5\n").unwrap();
        let changes = [("rounds".to_owned(), "7".to_owned())];
        let of = |name: Option<&str>| scenario(name, &changes).map(|scenario| (scenario.nodes, scenario.rounds));
        assert_eq!(of(None).unwrap(), (16, 7));
        assert_eq!(of(Some("byzantine")).unwrap(), (64, 7));
        assert_eq!(of(file.to_str()).unwrap(), (5, 7));
        assert!(matches!(of(Some("no-such-file")), Err(SimError::ScenarioUnreadable { .. })));
        std::fs::write(&file, " ".repeat(SCENARIO_BYTES_MAX as usize + 1)).unwrap();
        assert!(matches!(of(file.to_str()), Err(SimError::ScenarioUnreadable { .. })));
    }
}
