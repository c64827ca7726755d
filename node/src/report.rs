//! What a demo comes to, and how it is shown: a JSON summary, an SVG plot, an HTML page.
//!
//! Draws only what it is given; measures nothing. The plot names generic fonts and leaves the
//! text to whoever shows it, so the same result is the same bytes on every machine.

mod page;
mod plot;

use serde::{Deserialize, Serialize};
use shoal_ml::Metrics;

/// The version of [`DemoSummary`]'s JSON.
pub const DEMO_SCHEMA: u32 = 2;

/// Why a report could not be drawn.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the report cannot be drawn: {0}")]
#[diagnostic(code(shoal::report), help("the figures themselves are in the JSON: ask for it with --json"))]
pub struct ReportError(String);

/// What a demo's curves are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of unseen examples that are classified rightly, 0 to 1.
    Accuracy,
    /// Cross-entropy of unseen text, bits a token (a character, unless the run has a tokenizer).
    Bits,
}

impl Measure {
    /// Its value.
    #[must_use]
    pub fn of(self, metrics: &Metrics) -> f64 {
        match self {
            Self::Accuracy => metrics.accuracy,
            Self::Bits => metrics.loss / core::f64::consts::LN_2,
        }
    }

    /// The worst of these; not a number if there is none.
    #[must_use]
    pub fn worst(self, values: impl Iterator<Item = f64>) -> f64 {
        let worse = match self {
            Self::Accuracy => f64::min,
            Self::Bits => f64::max,
        };
        values.reduce(worse).unwrap_or(f64::NAN)
    }

    /// The best of these; not a number if there is none.
    #[must_use]
    pub fn best(self, values: impl Iterator<Item = f64>) -> f64 {
        let better = match self {
            Self::Accuracy => f64::max,
            Self::Bits => f64::min,
        };
        values.reduce(better).unwrap_or(f64::NAN)
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Bits => "bits a token",
        }
    }
}

/// A demo's figures: the JSON that `shoal demo --json` writes, schema 2.
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
    /// What was learnt from, as `--data` says it.
    pub data: String,
    /// How the data was divided, as `--partition` says it.
    pub partition: String,
    /// What `quality` is measured in.
    pub measure: Measure,
    /// On data that no node trained on.
    pub quality: Quality,
    /// Of a language model: what it says.
    pub said: Option<Said>,
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

/// How good models are, in a [`Measure`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Mean over the network's nodes.
    pub mean: f64,
    /// The network's worst node.
    pub worst: f64,
    /// Mean over the same nodes, each trained on its own shard alone, if that was asked for.
    pub alone_mean: Option<f64>,
    /// One model trained on all the shards together, if that was asked for.
    pub pooled: Option<f64>,
}

/// How one beginning was continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The beginning, from text that no node trained on.
    pub prompt: String,
    /// By the weights that all nodes started from.
    pub before: String,
    /// By the first node's averaged weights at the end.
    pub after: String,
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
    /// Mean of the nodes after it, in the demo's measure.
    pub mean: f64,
    /// The worst node.
    pub worst: f64,
    /// The best node.
    pub best: f64,
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
                worst: mean - spread,
                best: (mean + 0.5 * spread).min(1.0),
                peers: 7.0,
                sent_bytes: 9_000 + u64::from(round % 5) * 300,
            }
        };
        let summary = DemoSummary {
            schema: DEMO_SCHEMA,
            nodes: 8,
            rounds,
            seed: 1,
            data: "digits".to_owned(),
            partition: "dirichlet:0.5".to_owned(),
            measure: Measure::Accuracy,
            quality: Quality { mean: 0.957, worst: 0.944, alone_mean: Some(0.731), pooled: Some(0.964) },
            said: None,
            bytes: ByteFigures { sent_per_node_per_round: 9_512.5, payload_per_node_per_round: 1_204.0, dense_f32_model: 19_240 },
            consensus_rms: 0.0123,
            wall_s: 12.3,
            cpu_s: 20.5,
            rss_peak_mb: 150.0,
        };
        DemoResult { summary, rows: (1..=rounds).map(row).collect() }
    }

    #[test]
    fn the_json_is_schema_2() {
        let json = serde_json::to_value(result(2).summary).unwrap();
        let expected = serde_json::json!({
            "schema": 2, "nodes": 8, "rounds": 2, "seed": 1, "data": "digits", "partition": "dirichlet:0.5",
            "measure": "accuracy", "quality": {"mean": 0.957, "worst": 0.944, "alone_mean": 0.731, "pooled": 0.964},
            "said": null,
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
            (row.mean, row.worst, row.best, row.sent_bytes) = (0.0, 0.0, 0.0, 0);
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

    #[test]
    fn a_language_models_demo_shows_bits_and_what_was_said() {
        let mut result = result(9);
        let said = Said { prompt: "To be".to_owned(), before: "xqx <b>".to_owned(), after: " or not".to_owned() };
        (result.summary.measure, result.summary.said) = (Measure::Bits, Some(said));
        for row in &mut result.rows {
            (row.mean, row.worst, row.best) = (4.0 - row.mean, 4.2 - row.mean, 3.9 - row.mean);
        }
        result.summary.quality = Quality { mean: 2.9, worst: 3.0, alone_mean: None, pooled: Some(2.8) };
        let html = result.html().unwrap();
        for text in ["bits a token", "or not", "xqx &lt;b&gt;", "pooled"] {
            assert!(html.contains(text), "{text}");
        }
        assert!(!html.contains("each alone") && !html.contains("xqx <b>"));
        let (worst, best) = (Measure::Bits.worst([2.0, 3.0].into_iter()), Measure::Bits.best([2.0, 3.0].into_iter()));
        assert_eq!((worst, best), (3.0, 2.0));
        assert!(Measure::Accuracy.worst(std::iter::empty()).is_nan());
    }
}
