//! The demo's page: the plot, the figures, the course as a table. One file, no script, nothing fetched.

use std::fmt::Write;

use super::DemoResult;

const STYLE: &str = "\
:root{color-scheme:light}\
body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
svg{width:100%;height:auto;border:1px solid #ddd;border-radius:6px}\
table{border-collapse:collapse}th,td{padding:.2rem 1rem .2rem 0;text-align:left;border-bottom:1px solid #eee}\
td+td,th+th{text-align:right;font-variant-numeric:tabular-nums}\
pre{white-space:pre-wrap;background:#f7f7f7;padding:.8rem;border-radius:6px}";

pub fn write(result: &DemoResult, svg: &str) -> String {
    let of = &result.summary;
    let measure = of.measure.name();
    let mut figures = vec![
        (format!("The network's mean node, {measure}"), format!("{:.3}", of.quality.mean)),
        ("The network's worst node".to_owned(), format!("{:.3}", of.quality.worst)),
    ];
    let yardsticks =
        [("The same nodes, each alone", of.quality.alone_mean), ("One model on all the data, pooled", of.quality.pooled)];
    figures.extend(yardsticks.into_iter().filter_map(|(what, value)| Some((what.to_owned(), format!("{:.3}", value?)))));
    let costs = [
        ("Bytes sent by a node in a round", format!("{:.0}", of.bytes.sent_per_node_per_round)),
        ("of it deltas and slices", format!("{:.0}", of.bytes.payload_per_node_per_round)),
        ("The model once as plain f32, bytes", of.bytes.dense_f32_model.to_string()),
        ("Distance of a node's weights from the mean, root mean square", format!("{:.2e}", of.consensus_rms)),
        ("Seconds on the clock", format!("{:.1}", of.wall_s)),
        ("Seconds of processor time", format!("{:.1}", of.cpu_s)),
        ("Peak memory of all nodes together, MB", format!("{:.0}", of.rss_peak_mb)),
    ];
    figures.extend(costs.map(|(what, value)| (what.to_owned(), value)));
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
            "<p>Each node holds its own part of the data ({}, split {}, seed {}), trains on it, and sends the others \
             compressed changes of its weights. What is shown is the {measure} on data that no node trained on.</p>",
            escaped(&of.data),
            escaped(&of.partition),
            of.seed
        )?;
        writeln!(page, "{svg}\n<h2>Figures</h2>\n<table>")?;
        for (what, value) in &figures {
            writeln!(page, "<tr><td>{what}</td><td>{value}</td></tr>")?;
        }
        writeln!(page, "</table>")?;
        if let Some(said) = &of.said {
            writeln!(page, "<h2>What it says</h2>")?;
            for (when, text) in [("before", &said.before), ("after", &said.after)] {
                writeln!(page, "<h3>{when}</h3>\n<pre><b>{}</b>{}</pre>", escaped(&said.prompt), escaped(text))?;
            }
        }
        writeln!(page, "<h2>Round by round</h2>\n<details><summary>{} rounds</summary>\n<table>", result.rows.len())?;
        writeln!(
            page,
            "<tr><th>Round</th><th>Mean</th><th>Worst</th><th>Best</th><th>Peers heard</th><th>Bytes a node</th></tr>"
        )?;
        for row in &result.rows {
            writeln!(
                page,
                "<tr><td>{}</td><td>{:.3}</td><td>{:.3}</td><td>{:.3}</td><td>{:.1}</td><td>{}</td></tr>",
                row.round, row.mean, row.worst, row.best, row.peers, row.sent_bytes
            )?;
        }
        writeln!(page, "</table>\n</details>\n</body>\n</html>")
    };
    // Writing to a String never fails.
    let _ = body(&mut page);
    page
}

/// A path, or what a model says, is anybody's text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
