//! The demo's page: the plot, the figures, the course as a table. One file, no script, nothing fetched.

use std::fmt::Write;

use super::DemoResult;

const STYLE: &str = "\
:root{color-scheme:light}\
body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
svg{width:100%;height:auto;border:1px solid #ddd;border-radius:6px}\
table{border-collapse:collapse}th,td{padding:.2rem 1rem .2rem 0;text-align:left;border-bottom:1px solid #eee}\
td+td,th+th{text-align:right;font-variant-numeric:tabular-nums}";

pub fn write(result: &DemoResult, svg: &str) -> String {
    let of = &result.summary;
    let figures = [
        ("Accuracy of the network, mean node", format!("{:.3}", of.accuracy.mean)),
        ("Accuracy of the network, worst node", format!("{:.3}", of.accuracy.min)),
        ("The same nodes, each alone", format!("{:.3}", of.accuracy.alone_mean)),
        ("One model on all the data", format!("{:.3}", of.accuracy.pooled)),
        ("Bytes sent by a node in a round", format!("{:.0}", of.bytes.sent_per_node_per_round)),
        ("of it deltas and slices", format!("{:.0}", of.bytes.payload_per_node_per_round)),
        ("The model once as plain f32, bytes", of.bytes.dense_f32_model.to_string()),
        ("Distance of a node's weights from the mean, root mean square", format!("{:.2e}", of.consensus_rms)),
        ("Seconds on the clock", format!("{:.1}", of.wall_s)),
        ("Seconds of processor time", format!("{:.1}", of.cpu_s)),
        ("Peak memory of all nodes together, MB", format!("{:.0}", of.rss_peak_mb)),
    ];
    let mut page = String::new();
    let body = |page: &mut String| -> std::fmt::Result {
        writeln!(page, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
        writeln!(page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
        writeln!(
            page,
            "<title>Shoal demo: {} nodes, {} rounds</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            of.nodes, of.rounds
        )?;
        writeln!(page, "<h1>{} nodes, {} rounds, no server</h1>", of.nodes, of.rounds)?;
        writeln!(
            page,
            "<p>Each node holds its own part of the handwritten digits (split {}, seed {}), trains on it, and sends the others \
             compressed changes of its weights. Accuracy is measured on digits that no node trained on.</p>",
            of.partition, of.seed
        )?;
        writeln!(page, "{svg}\n<h2>Figures</h2>\n<table>")?;
        for (what, value) in &figures {
            writeln!(page, "<tr><td>{what}</td><td>{value}</td></tr>")?;
        }
        writeln!(page, "</table>\n<h2>Round by round</h2>\n<details><summary>{} rounds</summary>\n<table>", result.rows.len())?;
        writeln!(
            page,
            "<tr><th>Round</th><th>Mean</th><th>Worst</th><th>Best</th><th>Peers heard</th><th>Bytes a node</th></tr>"
        )?;
        for row in &result.rows {
            writeln!(
                page,
                "<tr><td>{}</td><td>{:.3}</td><td>{:.3}</td><td>{:.3}</td><td>{:.1}</td><td>{}</td></tr>",
                row.round, row.mean, row.min, row.max, row.peers, row.sent_bytes
            )?;
        }
        writeln!(page, "</table>\n</details>\n</body>\n</html>")
    };
    // Writing to a String never fails.
    let _ = body(&mut page);
    page
}
