//! `shoal demo`: the arguments, the live table, and the files a demo leaves.
//!
//! The demo itself is a room of its own; this file checks what was asked before minutes of work
//! are spent on it, prints what comes back, and writes each file whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use shoal_ml::{AssetError, Assets, DataError, Partition, Source};
use shoal_protocol::spec::RunSpec;

use super::print::{columns, decimal, grouped, line};
use super::{CliError, print, spec};
use crate::atomic;
use crate::config::DataSource;
use crate::report::{DemoResult, DemoRow, Said};

/// Rows printed at most: a long demo shows every so-many-th round.
const ROW_COUNT_MAX: u32 = 60;

#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// What to learn, of what is built in
    #[arg(long, value_enum, default_value_t = Built::Digits)]
    task: Built,
    /// A run spec of one's own instead; `shoal new` writes one
    #[arg(long, value_name = "SPEC.toml", requires = "data", conflicts_with = "task")]
    run: Option<PathBuf>,
    /// The data for it
    #[arg(long, value_name = "SOURCE", requires = "run")]
    data: Option<String>,
    /// Another model for what is built in, as it would stand in a spec: `{ kind = "mlp", hidden = [32] }`
    #[arg(long, value_name = "TABLE", conflicts_with = "run")]
    model: Option<ModelTable>,
    /// File that the spec names by its hash: weights or a tokenizer; may be repeated
    #[arg(long, value_name = "FILE", requires = "run")]
    asset: Vec<PathBuf>,
    /// Nodes to start, 2 to 128 [default: 8; for --task text 4]
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=128))]
    nodes: Option<u16>,
    /// Rounds to train, 1 to 10000 [default: 60; for --task text 200]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,
    /// Seed of the split and of the initial weights
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the data is divided over the nodes [default: dirichlet:0.5; for --task text natural, by speaker]
    #[arg(long, value_name = "HOW")]
    partition: Option<Partition>,
    /// What to train beside the network, for as many steps: each node alone and one model on all the data,
    /// only that one, or nothing
    #[arg(long, value_enum, default_value_t = Yardsticks::All)]
    yardsticks: Yardsticks,
    /// Write the result as JSON to FILE, or to stdout if it is `-`
    #[arg(long, value_name = "FILE|-")]
    json: Option<JsonTarget>,
    /// Folder for the model, the report and the JSON; made if it is missing
    #[arg(long, default_value = "shoal-demo", value_name = "DIR")]
    out: PathBuf,
}

/// What every build can learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Built {
    /// Handwritten digits, by fully connected layers.
    Digits,
    /// Hamlet, character by character, by a small transformer; each speaker's lines on one node.
    Text,
}

/// What is trained beside the network, to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Yardsticks {
    /// Each node's shard alone, and all shards together.
    All,
    /// All shards together.
    Pooled,
    /// Nothing.
    None,
}

/// Why there is nothing to demonstrate.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum DemoArgsError {
    #[error(transparent)]
    #[diagnostic(code(shoal::demo::source), help("name it as {}", DataSource::EXPECTED))]
    Source(DataError),
    #[error("{0}")]
    #[diagnostic(code(shoal::demo::asset), help("--asset names the file itself"))]
    Asset(AssetError),
}

/// An inline table of TOML. What it means, the task says.
#[derive(Clone, Debug, PartialEq)]
struct ModelTable(toml::Table);

impl FromStr for ModelTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let table: toml::Table =
            format!("model = {text}").parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let alone = table.len() == 1;
        match table.into_iter().next() {
            Some((_, toml::Value::Table(model))) if alone => Ok(Self(model)),
            _ => Err("a table such as { kind = \"mlp\", hidden = [64] }".to_owned()),
        }
    }
}

/// Where the JSON goes.
#[derive(Clone, Debug, PartialEq)]
enum JsonTarget {
    Stdout,
    File(PathBuf),
}

impl FromStr for JsonTarget {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err("name a file, or `-` for stdout"),
            "-" => Ok(Self::Stdout),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// What a demo is asked for, every value within bounds.
#[derive(Clone, Debug)]
pub struct DemoPlan {
    /// What is learnt.
    pub subject: DemoSubject,
    /// Nodes to start: 2 to 128.
    pub nodes: u16,
    /// Rounds each of them trains: 1 to 10,000.
    pub rounds: u32,
    /// Seed of the split and of the initial weights.
    pub seed: u64,
    /// How the data is divided.
    pub partition: Partition,
    /// What is trained beside the network.
    pub yardsticks: Yardsticks,
    /// The model to train instead of what is built in; not yet checked.
    pub model: Option<toml::Table>,
}

/// What a demo's nodes learn.
#[derive(Clone, Debug)]
pub enum DemoSubject {
    /// The digits that every build carries.
    Digits,
    /// The play that every build carries.
    Text,
    /// A run of somebody's own.
    Own(Box<OwnSubject>),
}

/// A run of somebody's own, and what it learns from.
#[derive(Clone, Debug)]
pub struct OwnSubject {
    /// The run.
    pub spec: RunSpec,
    /// The data, of which each node gets a part.
    pub data: Source,
    /// The files that the spec names by their hash.
    pub assets: Assets,
}

impl DemoArgs {
    fn plan(&self) -> Result<DemoPlan, CliError> {
        let subject = match (&self.run, &self.data, self.task) {
            (Some(run), Some(data), _) => {
                let refused = |error| CliError::usage(DemoArgsError::Source(error));
                let (spec, _) = spec::read(run)?;
                let mut assets = Assets::new();
                for path in &self.asset {
                    assets.add(path).map_err(|error| CliError::usage(DemoArgsError::Asset(error)))?;
                }
                DemoSubject::Own(Box::new(OwnSubject { spec, data: data.parse().map_err(refused)?, assets }))
            }
            (_, _, Built::Digits) => DemoSubject::Digits,
            (_, _, Built::Text) => DemoSubject::Text,
        };
        let text = matches!(subject, DemoSubject::Text);
        Ok(DemoPlan {
            nodes: self.nodes.unwrap_or(if text { 4 } else { 8 }),
            rounds: self.rounds.unwrap_or(if text { 200 } else { 60 }),
            seed: self.seed,
            partition: self.partition.unwrap_or(if text { Partition::Natural } else { Partition::Dirichlet { alpha: 0.5 } }),
            yardsticks: self.yardsticks,
            model: self.model.as_ref().map(|model| model.0.clone()),
            subject,
        })
    }
}

/// What a demo comes to.
#[derive(Clone, Debug)]
pub struct DemoOutcome {
    /// The figures and curves.
    pub result: DemoResult,
    /// The model of the network's first node, as a safetensors file's bytes.
    pub model: Vec<u8>,
}

/// Runs the demo through `start`, which calls back with a row as each round ends on all nodes.
pub(super) fn command(
    args: &DemoArgs,
    start: impl FnOnce(&DemoPlan, &mut dyn FnMut(&DemoRow)) -> Result<DemoOutcome, CliError>,
) -> Result<(), CliError> {
    let plan = args.plan()?;
    let made = !args.out.exists();
    fs::create_dir_all(&args.out).map_err(unwritable(&args.out))?;
    let places = [
        args.out.join("model.safetensors"),
        args.out.join("report.svg"),
        args.out.join("report.html"),
        args.out.join("demo.json"),
    ];
    let wanted = places.iter().chain(match &args.json {
        Some(JsonTarget::File(path)) => Some(path),
        _ => None,
    });
    for path in wanted {
        atomic::probe(path).map_err(unwritable(path))?;
    }
    let quiet = args.json == Some(JsonTarget::Stdout);
    let table = Table { stride: plan.rounds.div_ceil(ROW_COUNT_MAX), rounds: plan.rounds, to_stderr: quiet };
    table.head(&plan);
    let outcome = start(&plan, &mut |row| table.row(row)).inspect_err(|_| {
        if made {
            // Only if it is still empty; what else lies there now is not ours.
            let _ = fs::remove_dir(&args.out);
        }
    })?;

    let json = serde_json::to_vec_pretty(&outcome.result.summary).map_err(io::Error::from)?;
    let drawn = outcome.result.svg().map_err(CliError::operation)?;
    let page = outcome.result.html().map_err(CliError::operation)?;
    let [model, svg, html, own_json] = &places;
    let files: [(&Path, &[u8]); 4] =
        [(model, &outcome.model), (svg, drawn.as_bytes()), (html, page.as_bytes()), (own_json, &json)];
    for (path, bytes) in files {
        atomic::write(path, bytes).map_err(unwritable(path))?;
    }
    match &args.json {
        Some(JsonTarget::Stdout) => print::json(&outcome.result.summary)?,
        Some(JsonTarget::File(path)) => atomic::write(path, &json).map_err(unwritable(path))?,
        None => {}
    }
    if !quiet {
        line(&summary(&outcome.result, &args.out))?;
    }
    Ok(())
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::Unwritable { path, source }
}

/// The live table: a line for each round shown.
struct Table {
    stride: u32,
    rounds: u32,
    /// Stdout is kept for the JSON.
    to_stderr: bool,
}

impl Table {
    fn head(&self, plan: &DemoPlan) {
        let data = match &plan.subject {
            DemoSubject::Digits => "digits".to_owned(),
            DemoSubject::Text => "Hamlet".to_owned(),
            DemoSubject::Own(own) => own.data.to_string(),
        };
        self.print(&format!("{} nodes, {} rounds, {data} split {}, seed {}", plan.nodes, plan.rounds, plan.partition, plan.seed));
        self.print(&format!(
            "{:>5}  {:>8}  {:>8}  {:>8}  {:>5}  {:>10}",
            "round", "mean", "worst", "best", "peers", "bytes/node"
        ));
    }

    fn row(&self, row: &DemoRow) {
        if row.round.is_multiple_of(self.stride) || row.round >= self.rounds {
            let bytes = grouped(row.sent_bytes);
            self.print(&format!(
                "{:>5}  {:>8.3}  {:>8.3}  {:>8.3}  {:>5.1}  {bytes:>10}",
                row.round, row.mean, row.worst, row.best, row.peers
            ));
        }
    }

    fn print(&self, text: &str) {
        // A table that nobody reads any more is no reason to stop the demo.
        let _ = if self.to_stderr { writeln!(io::stderr(), "{text}") } else { line(text) };
    }
}

fn summary(result: &DemoResult, out: &Path) -> String {
    let of = &result.summary;
    let measured = format!("{} on unseen data", of.measure.name());
    let figures = [
        (measured.as_str(), "".to_owned()),
        ("  network, mean node", decimal(Some(of.quality.mean))),
        ("  network, worst node", decimal(Some(of.quality.worst))),
        ("  the same nodes, alone", decimal(of.quality.alone_mean)),
        ("  one model on all the data", decimal(of.quality.pooled)),
        ("bytes a node and round", "".to_owned()),
        ("  sent, everything counted", grouped(of.bytes.sent_per_node_per_round.round() as u64)),
        ("  of it deltas and slices", grouped(of.bytes.payload_per_node_per_round.round() as u64)),
        ("  a dense f32 model", grouped(of.bytes.dense_f32_model)),
    ];
    let rows: Vec<Vec<String>> = figures.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    let said = of.said.as_ref().map_or_else(String::new, |said| {
        let Said { prompt, before, after } = said;
        format!("\n\nwhat it says, before:\n{}\n\nafter:\n{}", shown(prompt, before), shown(prompt, after))
    });
    format!(
        "\n{}{said}\n\n{:.1} s, {:.1} s of CPU, at most {:.0} MB of memory\n\nreport: {}\nmodel:  {}\nnext:   {} init   (then it says how to run a node of your own)",
        columns(&rows),
        of.wall_s,
        of.cpu_s,
        of.rss_peak_mb,
        out.join("report.html").display(),
        out.join("model.safetensors").display(),
        print::program(),
    )
}

/// Text of a model, set apart by a margin, without what could steer a terminal.
fn shown(prompt: &str, text: &str) -> String {
    let plain = |character: char| if character.is_control() && character != '\n' { '\u{fffd}' } else { character };
    let whole: String = prompt.chars().chain(text.chars()).map(plain).collect();
    whole.lines().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(out: &Path, json: Option<JsonTarget>) -> DemoArgs {
        DemoArgs {
            task: Built::Digits,
            run: None,
            data: None,
            model: None,
            asset: Vec::new(),
            nodes: Some(4),
            rounds: Some(3),
            seed: 1,
            partition: Some(Partition::Iid),
            yardsticks: Yardsticks::All,
            json,
            out: out.to_owned(),
        }
    }

    fn start(plan: &DemoPlan, row: &mut dyn FnMut(&DemoRow)) -> Result<DemoOutcome, CliError> {
        let result = crate::report::tests::result(plan.rounds);
        result.rows.iter().for_each(row);
        Ok(DemoOutcome { result, model: b"weights".to_vec() })
    }

    #[test]
    fn a_demo_leaves_four_whole_files() {
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("copy.json");
        let out = folder.path().join("new").join("out");
        command(&args(&out, Some(JsonTarget::File(json.clone()))), start).unwrap();
        let mut names: Vec<String> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["demo.json", "model.safetensors", "report.html", "report.svg"]);
        assert_eq!(fs::read(json).unwrap(), fs::read(out.join("demo.json")).unwrap());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_found_before_the_demo_starts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let never = |_: &DemoPlan, _: &mut dyn FnMut(&DemoRow)| panic!("started in vain");
        for args in [args(&file, None), args(&folder.path().join("out"), Some(JsonTarget::File(file.join("x.json"))))] {
            assert!(matches!(command(&args, never), Err(CliError::Unwritable { .. })));
        }
    }

    #[test]
    fn a_demo_that_fails_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for out in [folder.path().join("new"), folder.path().to_owned()] {
            let failed = command(&args(&out, None), |_, _| Err(CliError::Interrupted));
            assert!(matches!(failed, Err(CliError::Interrupted)));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
