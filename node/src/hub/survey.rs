//! Surveys: one question about runs, put to many peers, a few at a time.
//!
//! Keeps the books only; the hub asks. A survey ends when its lookup is over and all who were found
//! have answered, when [`SURVEY_PEERS_MAX`] have been asked, or when nobody waits for it any more.
//! Nobody is asked twice, so a liar is followed by the next.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use shoal_protocol::id::NodeId;
use tokio::sync::mpsc;

use crate::swarm::{Key, RequestError, RequestTicket};

/// Peers asked in one survey. Guess: a median over this many is not swayed by a few.
pub const SURVEY_PEERS_MAX: usize = 32;
/// Of them at the same time.
const AT_ONCE: usize = 4;
/// Surveys under way; one more ends at once.
const SURVEYS_MAX: usize = 8;
/// How long one peer may take, dialling included. Guess: a person waits for it.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What one peer answered.
#[derive(Debug)]
pub struct Found {
    /// Who.
    pub peer: NodeId,
    /// Its answer, or why there is none.
    pub result: Result<Vec<u8>, RequestError>,
}

/// A question to be asked now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) survey: u64,
    pub(super) peer: NodeId,
    pub(super) question: Vec<u8>,
    pub(super) answer_bytes_max: usize,
}

#[derive(Debug)]
struct Survey {
    key: Key,
    question: Vec<u8>,
    answer_bytes_max: usize,
    found: mpsc::Sender<Found>,
    seen: BTreeSet<NodeId>,
    queue: VecDeque<NodeId>,
    asking: usize,
    /// Whether the lookup is still under way.
    looking: bool,
}

impl Survey {
    fn add(&mut self, peers: impl IntoIterator<Item = NodeId>) {
        for peer in peers {
            if self.seen.len() < SURVEY_PEERS_MAX && self.seen.insert(peer) {
                self.queue.push_back(peer);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.found.is_closed() || (!self.looking && self.asking == 0 && self.queue.is_empty())
    }
}

/// All surveys under way.
#[derive(Debug, Default)]
pub(super) struct Surveys {
    next: u64,
    surveys: BTreeMap<u64, Survey>,
    asked: HashMap<RequestTicket, u64>,
}

impl Surveys {
    /// Begins a survey with those who are connected; its lookup is the caller's to start.
    pub(super) fn start(
        &mut self,
        key: Key,
        question: Vec<u8>,
        answer_bytes_max: usize,
        found: mpsc::Sender<Found>,
        connected: impl IntoIterator<Item = NodeId>,
    ) -> Vec<Wanted> {
        if self.surveys.len() >= SURVEYS_MAX {
            // Dropping the sender is the end.
            return Vec::new();
        }
        let (seen, queue) = (BTreeSet::new(), VecDeque::new());
        let mut survey = Survey { key, question, answer_bytes_max, found, seen, queue, asking: 0, looking: true };
        survey.add(connected);
        self.next += 1;
        self.surveys.insert(self.next, survey);
        self.wanted(self.next)
    }

    /// What a lookup found.
    pub(super) fn on_providers(&mut self, key: Key, peers: Vec<NodeId>, last: bool) -> Vec<Wanted> {
        let of_key: Vec<u64> = self.surveys.iter().filter(|(_, survey)| survey.key == key).map(|(id, _)| *id).collect();
        let mut wanted = Vec::new();
        for id in of_key {
            if let Some(survey) = self.surveys.get_mut(&id) {
                survey.add(peers.iter().copied());
                survey.looking &= !last;
            }
            wanted.extend(self.wanted(id));
        }
        wanted
    }

    /// A wanted question is on its way.
    pub(super) fn on_asked(&mut self, survey: u64, ticket: RequestTicket) {
        self.asked.insert(ticket, survey);
    }

    /// A peer answered, or will not.
    pub(super) fn on_answer(
        &mut self,
        ticket: RequestTicket,
        peer: NodeId,
        result: Result<Vec<u8>, RequestError>,
    ) -> Vec<Wanted> {
        let Some(id) = self.asked.remove(&ticket) else { return Vec::new() };
        if let Some(survey) = self.surveys.get_mut(&id) {
            survey.asking = survey.asking.saturating_sub(1);
            // There is room for every peer that is asked; who waits no longer is noticed below.
            let _ = survey.found.try_send(Found { peer, result });
        }
        self.wanted(id)
    }

    /// Forgets surveys that nobody waits for.
    pub(super) fn drop_abandoned(&mut self) {
        self.surveys.retain(|_, survey| !survey.is_over());
    }

    /// Whom to ask next; ends the survey if there is nothing left to come.
    fn wanted(&mut self, id: u64) -> Vec<Wanted> {
        let Some(survey) = self.surveys.get_mut(&id) else { return Vec::new() };
        if survey.is_over() {
            self.surveys.remove(&id);
            return Vec::new();
        }
        let count = AT_ONCE.saturating_sub(survey.asking).min(survey.queue.len());
        survey.asking += count;
        let (question, answer_bytes_max) = (&survey.question, survey.answer_bytes_max);
        let next = survey.queue.drain(..count);
        next.map(|peer| Wanted { survey: id, peer, question: question.clone(), answer_bytes_max }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeId {
        NodeId([number as u8; 32])
    }

    /// A survey of everybody in `connected`, and its answers.
    fn survey(surveys: &mut Surveys, connected: usize) -> (Vec<Wanted>, mpsc::Receiver<Found>) {
        let (found, answers) = mpsc::channel(SURVEY_PEERS_MAX);
        (surveys.start(Key::Catalogue, vec![1], 9, found, (0..connected).map(node)), answers)
    }

    /// Marks all of these as asked, with tickets from `first` on.
    fn ask(surveys: &mut Surveys, wanted: &[Wanted], tickets: &mut Vec<(RequestTicket, NodeId)>) {
        for wanted in wanted {
            let ticket = RequestTicket::numbered(tickets.len() as u64);
            tickets.push((ticket, wanted.peer));
            surveys.on_asked(wanted.survey, ticket);
        }
    }

    #[test]
    fn nobody_is_asked_twice_and_only_so_many() {
        let mut surveys = Surveys::default();
        let (wanted, mut answers) = survey(&mut surveys, 3);
        assert_eq!(wanted.len(), 3);
        let mut tickets = Vec::new();
        ask(&mut surveys, &wanted, &mut tickets);
        let more = surveys.on_providers(Key::Catalogue, (0..100).map(node).collect(), true);
        assert_eq!(more.iter().map(|wanted| wanted.peer).collect::<Vec<_>>(), [node(3)], "a few at a time");
        ask(&mut surveys, &more, &mut tickets);
        let mut next = 0;
        while next < tickets.len() {
            let (ticket, peer) = tickets[next];
            let wanted = surveys.on_answer(ticket, peer, Err(RequestError::Declined));
            ask(&mut surveys, &wanted, &mut tickets);
            next += 1;
        }
        assert_eq!(tickets.len(), SURVEY_PEERS_MAX);
        let asked: BTreeSet<NodeId> = tickets.iter().map(|(_, peer)| *peer).collect();
        assert_eq!(asked.len(), SURVEY_PEERS_MAX);
        let mut heard = 0;
        while answers.try_recv().is_ok() {
            heard += 1;
        }
        assert_eq!(heard, SURVEY_PEERS_MAX);
        assert!(surveys.surveys.is_empty() && answers.is_closed(), "it is over");
    }

    #[test]
    fn who_waits_no_longer_ends_a_survey() {
        let mut surveys = Surveys::default();
        let (wanted, answers) = survey(&mut surveys, 10);
        let mut tickets = Vec::new();
        ask(&mut surveys, &wanted, &mut tickets);
        drop(answers);
        assert_eq!(surveys.on_answer(tickets[0].0, node(0), Ok(vec![])), []);
        assert!(surveys.surveys.is_empty());
        let waiting: Vec<_> = (0..SURVEYS_MAX).map(|_| survey(&mut surveys, 1)).collect();
        let (none, refused) = survey(&mut surveys, 1);
        assert!(none.is_empty() && refused.is_closed(), "one too many");
        drop(waiting);
        surveys.drop_abandoned();
        assert!(surveys.surveys.is_empty());
    }
}
