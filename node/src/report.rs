//! What a demo comes to, and how it is shown: a JSON summary, an SVG plot, an HTML page.
//!
//! Draws only what it is given; measures nothing. The plot names generic fonts and leaves the
//! text to whoever shows it, so the same result is the same bytes on every machine.

mod page;
mod plot;

use serde::{Deserialize, Serialize};

/// The version of [`DemoSummary`]'s JSON.
pub const DEMO_SCHEMA: u32 = 1;

/// Why a report could not be drawn.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the report cannot be drawn: {0}")]
#[diagnostic(code(shoal::report), help("the figures themselves are in the JSON: ask for it with --json"))]
pub struct ReportError(String);

/// A demo's figures: the JSON that `shoal demo --json` writes, schema 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoSummary {
    /// [`DEMO_SCHEMA`].
    pub schema: u32,
    /// Nodes.
    pub nodes: u16,
    /// Rounds each of them trained.
    pub rounds: u32,
    /// Seed of the split and of the initial weights.
    pub seed: u64,
    /// How the data was divided, as `--partition` says it.
    pub partition: String,
    /// Shares of the test set that are classified rightly, 0 to 1.
    pub accuracy: Accuracies,
    /// What it cost to send.
    pub bytes: ByteFigures,
    /// Root mean square distance of a node's weights from the mean of all nodes' weights.
    pub consensus_rms: f64,
    /// Seconds on the clock.
    pub wall_s: f64,
    /// Seconds of processor time, all threads.
    pub cpu_s: f64,
    /// Peak resident memory of the process, in units of 1,000,000 bytes.
    pub rss_peak_mb: f64,
}

/// Shares of the test set that are classified rightly, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracies {
    /// Mean over the network's nodes.
    pub mean: f64,
    /// The network's worst node.
    pub min: f64,
    /// Mean over the same nodes, each trained on its own shard alone.
    pub alone_mean: f64,
    /// One model trained on all the shards together.
    pub pooled: f64,
}

/// What training together cost in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByteFigures {
    /// Everything a node sent, a round.
    pub sent_per_node_per_round: f64,
    /// Of it the bodies: deltas and slices.
    pub payload_per_node_per_round: f64,
    /// The model as plain f32: what one dense exchange with one peer would send.
    pub dense_f32_model: u64,
}

/// One round of a demo, over all nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DemoRow {
    /// The round, counted from 1.
    pub round: u32,
    /// Mean accuracy of the nodes after it, 0 to 1.
    pub mean: f64,
    /// The worst node's accuracy.
    pub min: f64,
    /// The best node's accuracy.
    pub max: f64,
    /// Peers heard in it, mean over the nodes.
    pub peers: f64,
    /// Bytes sent in it, mean over the nodes.
    pub sent_bytes: u64,
}

/// A demo's figures and its course.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoResult {
    /// The figures.
    pub summary: DemoSummary,
    /// The course, a row a round, rounds rising. May be empty.
    pub rows: Vec<DemoRow>,
}

impl DemoResult {
    /// The course as an SVG image: accuracy above, bytes below.
    ///
    /// # Errors
    /// [`ReportError`] if the plot cannot be laid out.
    pub fn svg(&self) -> Result<String, ReportError> {
        plot::draw(self)
    }

    /// The course and the figures as one HTML page that needs nothing else.
    ///
    /// # Errors
    /// As [`DemoResult::svg`].
    pub fn html(&self) -> Result<String, ReportError> {
        Ok(page::write(self, &self.svg()?))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A made-up course that looks like one.
    pub(crate) fn result(rounds: u32) -> DemoResult {
        let row = |round: u32| {
            let mean = 0.96 - 0.8 * (-f64::from(round) / 9.0).exp();
            let spread = 0.01 + 0.12 * (-f64::from(round) / 12.0).exp();
            DemoRow {
                round,
                mean,
                min: mean - spread,
                max: (mean + 0.5 * spread).min(1.0),
                peers: 7.0,
                sent_bytes: 9_000 + u64::from(round % 5) * 300,
            }
        };
        let summary = DemoSummary {
            schema: DEMO_SCHEMA,
            nodes: 8,
            rounds,
            seed: 1,
            partition: "dirichlet:0.5".to_owned(),
            accuracy: Accuracies { mean: 0.957, min: 0.944, alone_mean: 0.731, pooled: 0.964 },
            bytes: ByteFigures { sent_per_node_per_round: 9_512.5, payload_per_node_per_round: 1_204.0, dense_f32_model: 19_240 },
            consensus_rms: 0.0123,
            wall_s: 12.3,
            cpu_s: 20.5,
            rss_peak_mb: 150.0,
        };
        DemoResult { summary, rows: (1..=rounds).map(row).collect() }
    }

    #[test]
    fn the_json_is_schema_1() {
        let json = serde_json::to_value(result(2).summary).unwrap();
        let expected = serde_json::json!({
            "schema": 1, "nodes": 8, "rounds": 2, "seed": 1, "partition": "dirichlet:0.5",
            "accuracy": {"mean": 0.957, "min": 0.944, "alone_mean": 0.731, "pooled": 0.964},
            "bytes": {"sent_per_node_per_round": 9512.5, "payload_per_node_per_round": 1204.0, "dense_f32_model": 19240},
            "consensus_rms": 0.0123, "wall_s": 12.3, "cpu_s": 20.5, "rss_peak_mb": 150.0,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn every_course_can_be_drawn() {
        for rounds in [0, 1, 2, 60, 1_000] {
            let svg = result(rounds).svg().unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{rounds}");
        }
        let mut flat = result(3);
        flat.summary.bytes.dense_f32_model = 0;
        for row in &mut flat.rows {
            (row.mean, row.min, row.max, row.sent_bytes) = (0.0, 0.0, 0.0, 0);
        }
        flat.svg().unwrap();
        flat.rows[1].mean = f64::NAN;
        flat.svg().unwrap();
    }

    #[test]
    fn the_plot_says_what_it_shows() {
        let svg = result(60).svg().unwrap();
        for text in ["8 nodes", "round", "accuracy", "network, mean", "alone", "pooled", "bytes"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg, result(60).svg().unwrap(), "the same result is the same bytes");
        let html = result(60).html().unwrap();
        assert!(html.starts_with("<!doctype html>") && html.contains("<svg") && !html.contains("http://cdn"));
    }
}
