//! What this node answers those who ask about runs: the runs that it offers or takes part in.
//!
//! A value of its own, so that it is exchanged whole; figures of a run that the node is in are read from
//! its status at the moment of the question.

use std::sync::Arc;

use shoal_protocol::id::RunId;
use tokio::sync::watch;

use super::wire::{Answer, ENTRIES_MAX, Entry, Question};
use crate::api::Snapshot;

/// One run on the shelf.
#[derive(Clone, Debug)]
pub struct ShelfItem {
    /// The run.
    pub run: RunId,
    /// Its name.
    pub name: String,
    /// The model as dense f32, bytes.
    pub model_bytes: u64,
    /// Its spec as TOML: what hashes to `run`.
    pub spec: Arc<str>,
    /// How it goes, if the node takes part.
    pub status: Option<watch::Receiver<Snapshot>>,
}

/// All of them: at most [`ENTRIES_MAX`].
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    items: Vec<ShelfItem>,
}

impl Shelf {
    /// These runs; what is beyond [`ENTRIES_MAX`] is not offered.
    #[must_use]
    pub fn new(mut items: Vec<ShelfItem>) -> Self {
        items.truncate(ENTRIES_MAX);
        Self { items }
    }

    /// Whether there is nothing to be found here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What is said of each run.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.items.iter().map(ShelfItem::entry).collect()
    }

    /// The answer to a stranger's question, or `None` if it is no question.
    #[must_use]
    pub fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let answer = match Question::decode(question).ok()? {
            Question::List => Answer::List(self.entries()),
            Question::Spec(run) => match self.items.iter().find(|item| item.run == run) {
                Some(item) => Answer::Spec(item.spec.to_string()),
                None => Answer::NotHere,
            },
        };
        Some(answer.encode())
    }
}

impl ShelfItem {
    fn entry(&self) -> Entry {
        let status = self.status.as_ref().map(|status| status.borrow());
        let status = status.as_ref().map(|snapshot| &snapshot.status);
        Entry {
            run: self.run,
            name: self.name.clone(),
            model_bytes: self.model_bytes,
            rounds: status.map_or(0, |status| status.round),
            peers: status.map_or(0, |status| status.peers_known),
            accuracy: status.and_then(|status| status.accuracy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(run: u8, status: Option<watch::Receiver<Snapshot>>) -> ShelfItem {
        ShelfItem { run: RunId([run; 32]), name: "digits".to_owned(), model_bytes: 8, spec: "x = 1".into(), status }
    }

    #[test]
    fn strangers_are_answered_from_the_last_status_and_junk_is_not() {
        let (status, watched) = watch::channel(crate::api::tests::snapshot());
        let shelf = Shelf::new(vec![item(1, Some(watched)), item(2, None)]);
        status.send_modify(|snapshot| snapshot.status.round = 77);
        let list = shelf.answer(&Question::List.encode()).unwrap();
        let Ok(Answer::List(entries)) = Answer::decode(&Question::List, &list) else { panic!("a list") };
        assert_eq!(entries.iter().map(|entry| (entry.rounds, entry.peers)).collect::<Vec<_>>(), [(77, 2), (0, 0)]);
        let ask = |run| {
            let question = Question::Spec(RunId([run; 32]));
            Answer::decode(&question, &shelf.answer(&question.encode()).unwrap())
        };
        assert_eq!(ask(2), Ok(Answer::Spec("x = 1".to_owned())));
        assert_eq!(ask(3), Ok(Answer::NotHere));
        assert_eq!(shelf.answer(b"junk"), None);
        assert!(Shelf::new((0..100).map(|run| item(run, None)).collect()).entries().len() == ENTRIES_MAX);
    }
}
