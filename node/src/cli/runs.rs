//! `shoal runs`: which runs the network offers, as those who are in them report it.
//!
//! The running node asks around. Without one a node is started that looks for a few seconds, takes part
//! in nothing, and goes.

use std::time::Duration;

use super::CliError;
use super::local::Local;
use super::print::{self, columns, decimal, grouped, line, plain};
use crate::api::{ListedRun, RUNS_PATH};
use crate::config::{Config, Place, Settings};
use crate::visit;

/// How long a node that is started for the question looks around. Guess: as long as a node that starts
/// takes to find its peers.
const LOOK_WITHIN: Duration = Duration::from_secs(6);
/// Hexadecimal digits of an id that a table shows; `--json` shows all.
const ID_DIGITS: usize = 64;

#[derive(Debug, clap::Args)]
pub(super) struct RunsArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    settings: Settings,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn command(args: RunsArgs) -> Result<(), CliError> {
    let dir = args.place.data_dir()?;
    let asked = Local::find(&dir).map(|node| node.get::<Vec<ListedRun>>(RUNS_PATH));
    let runs = match asked {
        Some(Ok(runs)) => runs,
        Some(Err(CliError::NotRunning(_))) | None => {
            let config = Config::load(&args.place, args.settings)?;
            visit::list(&config, LOOK_WITHIN)?
        }
        Some(Err(error)) => return Err(error),
    };
    if args.json {
        return Ok(print::json(&runs)?);
    }
    Ok(line(&drawn(&runs))?)
}

fn drawn(runs: &[ListedRun]) -> String {
    if runs.is_empty() {
        return "nobody who could be asked offers a run; `shoal new` and `shoal publish` make one".to_owned();
    }
    let head = ["name", "peers", "rounds", "accuracy", "model bytes", "reported by", "id"].map(str::to_owned).to_vec();
    let row = |run: &ListedRun| {
        let by = format!("{}{}", grouped(run.reporters), if run.ours { ", us too" } else { "" });
        vec![
            plain(&run.name.chars().take(64).collect::<String>()),
            grouped(run.reported_peers),
            grouped(run.reported_rounds),
            decimal(run.reported_accuracy),
            grouped(run.reported_model_bytes),
            by,
            plain(&run.run.chars().take(ID_DIGITS).collect::<String>()),
        ]
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(runs.iter().map(row)).collect();
    format!("{}\n\nall but the id as peers report it: medians, not checked", columns(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_a_table_that_says_who_says_so() {
        let run = ListedRun {
            run: "ab".repeat(32),
            name: "evil\u{1b}[2J".to_owned(),
            reporters: 3,
            ours: true,
            reported_rounds: 1_234,
            ..ListedRun::default()
        };
        let text = drawn(&[run]);
        assert!(text.contains("3, us too") && text.contains("1,234") && text.contains("as peers report it"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(drawn(&[]).starts_with("nobody"));
    }
}
