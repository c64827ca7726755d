//! `shoal spec check FILE`: what a run spec says, before anybody trains by it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use shoal_ml::{TaskSpec, TensorSpec};
use shoal_protocol::spec::{RunSpec, SPEC_BYTES_MAX};

use super::CliError;
use super::print::{self, grouped};

#[derive(Debug, clap::Args)]
pub(super) struct SpecArgs {
    #[command(subcommand)]
    verb: SpecVerb,
}

#[derive(Debug, clap::Subcommand)]
enum SpecVerb {
    /// Check a run spec and print what it comes to
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The run spec
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `spec check --json` prints.
#[derive(Serialize)]
struct Checked {
    name: String,
    run: String,
    tensors: Vec<Tensor>,
    parameters: u64,
    dense_f32_bytes: u64,
    spec_bytes: u64,
    /// BLAKE3 hashes of the files that it needs beside it.
    files: Vec<String>,
}

#[derive(Serialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
}

impl Tensor {
    fn drawn(&self) -> String {
        let shape: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        format!("{} {}", self.name, shape.join("x"))
    }
}

pub(super) fn command(args: &SpecArgs) -> Result<(), CliError> {
    let SpecVerb::Check(args) = &args.verb;
    let text = read_text(&args.file)?;
    let (spec, task) = parse(&args.file, &text)?;
    let parameters = task.layout().param_count() as u64;
    let tensor = |tensor: &TensorSpec| Tensor { name: tensor.name().to_owned(), shape: tensor.shape().to_vec() };
    let checked = Checked {
        name: spec.name().to_owned(),
        run: spec.run_id().to_string(),
        tensors: task.layout().tensors().iter().map(tensor).collect(),
        parameters,
        dense_f32_bytes: parameters.saturating_mul(4),
        spec_bytes: text.len() as u64,
        files: task.needs().iter().map(ToString::to_string).collect(),
    };
    if args.json {
        return Ok(print::json(&checked)?);
    }
    let tensors: Vec<String> = checked.tensors.iter().map(Tensor::drawn).collect();
    let mut rows = vec![
        ("run", checked.name),
        ("id", checked.run),
        ("parameters", grouped(parameters)),
        ("tensors", tensors.join(", ")),
        ("bytes", format!("{} as dense f32", grouped(checked.dense_f32_bytes))),
    ];
    rows.extend(checked.files.into_iter().map(|file| ("needs", file)));
    Ok(print::line(&print::named(&rows))?)
}

/// Reads and checks a spec file, its task section too; the spec and its text.
pub(super) fn read(path: &Path) -> Result<(RunSpec, String), CliError> {
    let text = read_text(path)?;
    Ok((parse(path, &text)?.0, text))
}

fn parse(path: &Path, text: &str) -> Result<(RunSpec, TaskSpec), CliError> {
    let spec = RunSpec::parse(text).map_err(|source| CliError::Spec { path: path.to_owned(), source })?;
    let task = TaskSpec::parse(spec.task()).map_err(|source| CliError::Task { path: path.to_owned(), source })?;
    Ok((spec, task))
}

/// At most one byte more than a spec may have: the parser then says that it is too long.
fn read_text(path: &Path) -> Result<String, CliError> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(SPEC_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|source| CliError::SpecUnreadable { path: path.to_owned(), source })
}
