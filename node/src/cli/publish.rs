//! `shoal publish`: offers a run, whose spec certifies itself, to whoever asks.
//!
//! The running node of the data directory does it at once. Without one the offer is remembered, and is
//! made when the node starts next. Unless told otherwise the node takes part in what it offers.

use std::path::PathBuf;

use super::local::Local;
use super::print::{self, line};
use super::{CliError, spec};
use crate::api::{JoinOrder, JoinedRun, RUNS_PATH};
use crate::config::{DataSettings, Place};
use crate::identity::KEY_FILE;
use crate::runs::Memory;

#[derive(Debug, clap::Args)]
pub(super) struct PublishArgs {
    /// The run spec
    #[arg(value_name = "SPEC.toml")]
    spec: PathBuf,
    /// Offer it without taking part in it
    #[arg(long)]
    only_offer: bool,
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn command(args: &PublishArgs) -> Result<(), CliError> {
    let dir = args.place.data_dir()?;
    let (spec, text) = spec::read(&args.spec)?;
    if !dir.join(KEY_FILE).exists() {
        return Err(CliError::NoNode(dir));
    }
    let (data, take_part) = (args.data.clone(), !args.only_offer);
    let order = JoinOrder { spec: Some(text.clone()), offer: true, take_part, data: data.clone(), ..JoinOrder::default() };
    let told = Local::find(&dir).map(|node| node.post::<JoinedRun>(RUNS_PATH, &order));
    let (joined, now) = match told {
        Some(Ok(joined)) => (joined, true),
        Some(Err(CliError::NotRunning(_))) | None => {
            let memory = Memory::new(&dir);
            let unwritable = |source| CliError::Unwritable { path: dir.clone(), source };
            memory.offer(&spec, &text).map_err(unwritable)?;
            if take_part {
                memory.join(&spec, &text, &data).map_err(unwritable)?;
            }
            let (run, name) = (spec.run_id().to_string(), spec.name().to_owned());
            (JoinedRun { run, name, offered: true, taking_part: take_part, note: None }, false)
        }
        Some(Err(error)) => return Err(error),
    };
    if args.json {
        return Ok(print::json(&joined)?);
    }
    Ok(line(&drawn(&joined, now))?)
}

fn drawn(joined: &JoinedRun, now: bool) -> String {
    let when = if now { "now, by the running node" } else { "when this node starts next (`shoal run`)" };
    let part = match (&joined.note, joined.taking_part) {
        (Some(note), _) => format!("no: {note}"),
        (None, true) => when.to_owned(),
        (None, false) => "no, offered only".to_owned(),
    };
    let join = format!("{} join {}", print::program(), joined.run);
    print::named(&[
        ("run", joined.name.clone()),
        ("id", joined.run.clone()),
        ("offered", when.to_owned()),
        ("takes part", part),
        ("others", join),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_when_and_whether() {
        let joined = JoinedRun { run: "ab".repeat(32), name: "n".to_owned(), offered: true, taking_part: true, note: None };
        assert!(drawn(&joined, true).contains("offered     now, by the running node"));
        assert!(drawn(&joined, false).contains("takes part  when this node starts next"));
        let only = JoinedRun { taking_part: false, note: Some("the data\u{1b} is of another kind".to_owned()), ..joined };
        let text = drawn(&only, true);
        assert!(text.contains("takes part  no: the data") && !text.contains('\u{1b}'), "{text}");
    }
}
