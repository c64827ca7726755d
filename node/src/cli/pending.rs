//! The two rooms that the command line calls and this branch does not hold.
//!
//! Their signatures are the contract; the rooms replace this file.

use shoal_ml::Task;
use shoal_protocol::spec::RunSpec;

use super::{CliError, DemoOutcome, DemoPlan};
use crate::config::Config;
use crate::report::DemoRow;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("this build holds no {0}")]
#[diagnostic(code(shoal::incomplete), help("build from the main branch"))]
struct Absent(&'static str);

pub fn demo(_plan: &DemoPlan, _row: &mut dyn FnMut(&DemoRow)) -> Result<DemoOutcome, CliError> {
    Err(CliError::operation(Absent("demo")))
}

pub fn run(_config: Config, _spec: RunSpec, _task: Task) -> Result<(), CliError> {
    Err(CliError::operation(Absent("driver")))
}
