//! Asking around: what others say of runs, and the spec of one of them.
//!
//! Every answer is checked here before anything is made of it. What is false in one is the answerer's
//! affair: it is left out and the next is heard.

use std::collections::BTreeMap;
use std::time::Duration;

use shoal_protocol::id::{NodeId, RunId};
use shoal_protocol::spec::RunSpec;
use tokio::time::{Instant, timeout_at};

use super::wire::{Answer, Entry, Question};
use crate::hub::{HubGone, HubHandle};
use crate::swarm::Key;

/// Runs listed at most; those that most peers report come first.
const OFFERS_MAX: usize = 1_024;
/// Pause between two looks of a node that has just started: its connections are being made. Guess.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A run as others report it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The run.
    pub run: RunId,
    /// Its name, as most report it.
    pub name: String,
    /// The model as dense f32, bytes: the median of what is reported.
    pub model_bytes: u64,
    /// How many report it.
    pub reporters: usize,
    /// Rounds done: the median.
    pub rounds: u64,
    /// Peers of the run that a reporter knows: the median.
    pub peers: u32,
    /// Accuracy: the median of those who report one.
    pub accuracy: Option<f64>,
}

/// Why there is no spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum FetchError {
    /// The node is stopping.
    #[error(transparent)]
    #[diagnostic(code(shoal::catalogue::stopping), help("start the node again"))]
    Gone(#[from] HubGone),
    /// Nobody has it.
    #[diagnostic(
        code(shoal::catalogue::nobody),
        help(
            "`shoal runs` lists what can be joined; check that a peer of that network can be reached, or ask for the spec's file"
        )
    )]
    #[error("nobody who could be asked has the spec of run {run}: {asked} peers asked, {refused} of them gave another one")]
    Nobody {
        /// The run.
        run: RunId,
        /// Peers that answered or failed to.
        asked: usize,
        /// Peers whose answer was false.
        refused: usize,
    },
}

/// Asks all who can be found which runs they know of, until `within` is over.
///
/// # Errors
/// [`HubGone`].
pub async fn list(hub: &HubHandle, within: Duration) -> Result<Vec<(NodeId, Vec<Entry>)>, HubGone> {
    let question = Question::List;
    let end = Instant::now() + within;
    let mut answers = hub.survey(Key::Catalogue, question.encode(), question.answer_bytes_max()).await?;
    let mut reports = Vec::new();
    while let Ok(Some(found)) = timeout_at(end, answers.recv()).await {
        match found.result.map(|bytes| Answer::decode(&question, &bytes)) {
            Ok(Ok(Answer::List(entries))) => reports.push((found.peer, entries)),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(peer = %found.peer.short(), %error, "a false list"),
            Err(error) => tracing::debug!(peer = %found.peer.short(), %error, "no list"),
        }
    }
    Ok(reports)
}

/// The same for a node that has just started: looks again and again until `within` is over, and
/// keeps the last that each peer said.
///
/// # Errors
/// [`HubGone`].
pub async fn look_around(hub: &HubHandle, within: Duration) -> Result<Vec<(NodeId, Vec<Entry>)>, HubGone> {
    let end = Instant::now() + within;
    let mut reports = BTreeMap::new();
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        reports.extend(list(hub, left).await?);
        tokio::time::sleep_until(end.min(Instant::now() + LOOK_EVERY)).await;
    }
    Ok(reports.into_iter().collect())
}

/// The spec of a run and its text, from whoever has it first and says the truth.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(hub: &HubHandle, run: RunId, within: Duration) -> Result<(RunSpec, String), FetchError> {
    let question = Question::Spec(run);
    let end = Instant::now() + within;
    let (mut asked, mut refused) = (0, 0);
    while Instant::now() < end {
        let mut answers = hub.survey(Key::Run(run), question.encode(), question.answer_bytes_max()).await?;
        (asked, refused) = (0, 0);
        while let Ok(Some(found)) = timeout_at(end, answers.recv()).await {
            asked += 1;
            let Ok(bytes) = found.result else { continue };
            match certified(&question, run, &bytes) {
                Ok(Some(spec)) => return Ok(spec),
                Ok(None) => {}
                Err(reason) => {
                    refused += 1;
                    tracing::warn!(peer = %found.peer.short(), %run, reason, "a false spec; asking the next");
                }
            }
        }
        tokio::time::sleep_until(end.min(Instant::now() + LOOK_EVERY)).await;
    }
    Err(FetchError::Nobody { run, asked, refused })
}

/// The spec in an answer, if it hashes to `run`.
fn certified(question: &Question, run: RunId, bytes: &[u8]) -> Result<Option<(RunSpec, String)>, String> {
    match Answer::decode(question, bytes).map_err(|error| error.to_string())? {
        Answer::Spec(text) => {
            let spec = RunSpec::parse(&text).map_err(|error| error.to_string())?;
            if spec.run_id() != run {
                return Err(format!("it is the spec of {}", spec.run_id()));
            }
            Ok(Some((spec, text)))
        }
        _ => Ok(None),
    }
}

impl Offer {
    /// What these reports say of each run: most reporters first, then by name and id.
    #[must_use]
    pub fn gather(reports: impl IntoIterator<Item = (NodeId, Vec<Entry>)>) -> Vec<Self> {
        let mut of_run: BTreeMap<RunId, Vec<Entry>> = BTreeMap::new();
        for entry in reports.into_iter().flat_map(|(_, entries)| entries) {
            of_run.entry(entry.run).or_default().push(entry);
        }
        let mut offers: Vec<Self> = of_run.into_iter().map(|(run, entries)| offer(run, &entries)).collect();
        offers.sort_by(|a, b| b.reporters.cmp(&a.reporters).then_with(|| (&a.name, a.run).cmp(&(&b.name, b.run))));
        offers.truncate(OFFERS_MAX);
        offers
    }
}

fn offer(run: RunId, entries: &[Entry]) -> Offer {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        *names.entry(&entry.name).or_default() += 1;
    }
    // Of equally many the first by name.
    let name = names.iter().rev().max_by_key(|(_, count)| **count).map_or("", |(name, _)| name);
    Offer {
        run,
        name: name.to_owned(),
        model_bytes: median(entries.iter().map(|entry| entry.model_bytes).collect(), u64::cmp).unwrap_or(0),
        reporters: entries.len(),
        rounds: median(entries.iter().map(|entry| entry.rounds).collect(), u64::cmp).unwrap_or(0),
        peers: median(entries.iter().map(|entry| entry.peers).collect(), u32::cmp).unwrap_or(0),
        accuracy: median(entries.iter().filter_map(|entry| entry.accuracy).collect(), f64::total_cmp),
    }
}

/// The lower median: a value that somebody reported.
fn median<T: Copy>(mut values: Vec<T>, order: impl FnMut(&T, &T) -> core::cmp::Ordering) -> Option<T> {
    values.sort_by(order);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(run: u8, rounds: u64, accuracy: Option<f64>) -> Entry {
        Entry { run: RunId([run; 32]), name: "a".to_owned(), model_bytes: 4, rounds, peers: 3, accuracy }
    }

    #[test]
    fn one_liar_moves_no_median() {
        let honest = |accuracy| vec![entry(1, 10, accuracy)];
        let liar = Entry { name: "evil".to_owned(), model_bytes: u64::MAX, ..entry(1, u64::MAX, Some(1.0)) };
        let reports = [honest(Some(0.8)), vec![liar, entry(2, 1, None)], honest(Some(0.9))];
        let reports = reports.into_iter().enumerate().map(|(node, entries)| (NodeId([node as u8; 32]), entries));
        let offers = Offer::gather(reports);
        let expected = Offer {
            run: RunId([1; 32]),
            name: "a".to_owned(),
            model_bytes: 4,
            reporters: 3,
            rounds: 10,
            peers: 3,
            accuracy: Some(0.9),
        };
        assert_eq!(offers[0], expected);
        assert_eq!((offers.len(), offers[1].reporters, offers[1].accuracy), (2, 1, None));
    }

    #[test]
    fn a_spec_is_taken_only_under_its_own_name() {
        let text = "version = 1\nname = \"page\"\nseed = 7\n[task]\nkind = \"none\"\n";
        let run = RunSpec::parse(text).unwrap().run_id();
        let question = Question::Spec(run);
        let good = Answer::Spec(text.to_owned()).encode();
        assert_eq!(certified(&question, run, &good).unwrap().unwrap().1, text);
        let other = Answer::Spec(text.replace("seed = 7", "seed = 8")).encode();
        assert!(certified(&question, run, &other).unwrap_err().starts_with("it is the spec of "));
        for junk in [Answer::Spec("no spec".to_owned()).encode(), Answer::List(vec![]).encode(), b"junk".to_vec()] {
            assert!(certified(&question, run, &junk).is_err());
        }
        assert_eq!(certified(&question, run, &Answer::NotHere.encode()), Ok(None));
    }
}
