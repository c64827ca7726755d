//! Watching the nodes' rounds go by: from each node's progress to one row a round.

use super::Progress;
use crate::report::{DemoRow, Measure};

/// A node's number and what it says.
pub(super) type Event = (usize, Progress);

/// One node's last word.
#[derive(Clone, Debug, Default)]
struct Seen {
    round: u64,
    quality: f64,
    tried: u64,
    heard: usize,
    sent_bytes: u64,
    payload_bytes: u64,
    finished: bool,
}

/// All nodes' rounds, and the rows made of them.
#[derive(Clone, Debug)]
pub(super) struct Course {
    nodes: Vec<Seen>,
    measure: Measure,
    rounds: u64,
    rows: Vec<DemoRow>,
    sent_before: u64,
}

impl Course {
    pub(super) fn new(nodes: usize, rounds: u64, measure: Measure) -> Self {
        Self { measure, nodes: vec![Seen::default(); nodes], rounds, rows: Vec::new(), sent_before: 0 }
    }

    /// Takes a node's word. When the last node has tried a round's weights, that is a row; a node may
    /// skip rounds to catch up with the others, and then its next word stands for them.
    pub(super) fn take(&mut self, node: usize, progress: &Progress, row: &mut dyn FnMut(&DemoRow)) {
        let seen = &mut self.nodes[node];
        match *progress {
            Progress::Mixed { round, heard, sent_bytes, payload_bytes } => {
                (seen.round, seen.heard, seen.sent_bytes, seen.payload_bytes) = (round, heard, sent_bytes, payload_bytes);
            }
            Progress::Evaluated { round, metrics } => (seen.tried, seen.quality) = (round, self.measure.of(&metrics)),
            Progress::Finished => seen.finished = true,
        }
        let done = self.round();
        if done > self.rows.last().map_or(0, |row| u64::from(row.round)) {
            let made = self.row(done);
            row(&made);
            self.rows.push(made);
        }
    }

    /// The last round whose weights all nodes have tried.
    pub(super) fn round(&self) -> u64 {
        self.nodes.iter().map(|seen| seen.tried).min().unwrap_or(0)
    }

    /// Whether every node is through, and its last weights tried.
    pub(super) fn is_over(&self) -> bool {
        self.nodes.iter().all(|seen| seen.finished && seen.tried >= seen.round)
    }

    pub(super) fn into_rows(self) -> Vec<DemoRow> {
        self.rows
    }

    /// Bytes sent, and of it payload, by a node in a round: means over all nodes and rounds.
    pub(super) fn bytes_per_node_per_round(&self) -> (f64, f64) {
        let of = |bytes: fn(&Seen) -> u64| {
            self.nodes.iter().map(bytes).sum::<u64>() as f64 / (self.nodes.len() as u64 * self.rounds) as f64
        };
        (of(|seen| seen.sent_bytes), of(|seen| seen.payload_bytes))
    }

    fn row(&mut self, round: u64) -> DemoRow {
        let count = self.nodes.len() as f64;
        let qualities = || self.nodes.iter().map(|seen| seen.quality);
        let sent: u64 = self.nodes.iter().map(|seen| seen.sent_bytes).sum();
        let sent_now = sent.saturating_sub(core::mem::replace(&mut self.sent_before, sent));
        DemoRow {
            round: u32::try_from(round).unwrap_or(u32::MAX),
            mean: qualities().sum::<f64>() / count,
            worst: self.measure.worst(qualities()),
            best: self.measure.best(qualities()),
            peers: self.nodes.iter().map(|seen| seen.heard as f64).sum::<f64>() / count,
            sent_bytes: sent_now / self.nodes.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_ml::Metrics;

    fn mixed(round: u64) -> Progress {
        Progress::Mixed { round, heard: 1, sent_bytes: 100 * round, payload_bytes: 10 * round }
    }

    #[test]
    fn a_row_comes_when_the_last_node_has_tried_its_weights() {
        let tried = |round, accuracy| Progress::Evaluated { round, metrics: Metrics { accuracy, loss: 1.0, examples: 1 } };
        let mut course = Course::new(2, 2, Measure::Accuracy);
        let mut rows = Vec::new();
        let mut take = |node, progress: Progress| course.take(node, &progress, &mut |row| rows.push(*row));
        take(0, mixed(1));
        take(0, tried(1, 0.5));
        take(1, mixed(2));
        take(1, tried(2, 0.7));
        take(0, mixed(2));
        take(0, Progress::Finished);
        take(1, Progress::Finished);
        take(0, tried(2, 0.9));
        assert_eq!(rows.iter().map(|row| (row.round, row.worst, row.best)).collect::<Vec<_>>(), [(1, 0.5, 0.7), (2, 0.7, 0.9)]);
        assert!(course.is_over());
        assert_eq!(course.bytes_per_node_per_round(), (100.0, 10.0));
    }
}
