//! The command line: verbs, exit codes, and how a failure is said.
//!
//! Parses and checks everything a person typed, calls one room, prints what it answers. One file
//! a verb. Nothing in here trains, dials or decides; a failure is one sentence and one remedy on
//! stderr, and only the answer asked for goes to stdout.

mod completions;
mod data;
mod demo;
mod error;
mod eval;
mod export;
mod generate;
mod id;
mod init;
mod invite;
mod join;
mod local;
mod model;
mod network;
mod new;
mod peers;
mod predict;
mod print;
mod publish;
mod run;
mod runs;
mod sim;
mod spec;
mod status;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::demo::{DemoOutcome, DemoPlan, DemoSubject, OwnSubject, Yardsticks};
pub use self::error::{CliError, Exit};
pub use self::init::EXAMPLE_SPEC;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the operation failed
  2    wrong usage, configuration or spec
  3    the node that was asked is not running
  130  interrupted twice: stopped at once

Every setting can also be given by a variable SHOAL_<SETTING> or in the node's config.toml.";

/// Devices train one model together, with no server.
#[derive(Debug, Parser)]
#[command(name = "shoal", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start many real nodes in this process and watch them learn together
    Demo(demo::DemoArgs),
    /// Simulate a network under virtual time, or compare what simulations came to
    Sim(Box<sim::SimArgs>),
    /// Take part in a run until told to stop
    Run(Box<run::RunArgs>),
    /// Take part in a run that the network offers, or in a network's default run
    Join(Box<join::JoinArgs>),
    /// List the runs that the network offers
    Runs(Box<runs::RunsArgs>),
    /// Look at data before it is trained on
    Data(data::DataArgs),
    /// Write a run spec for one's data
    New(new::NewArgs),
    /// Offer a run to the network
    Publish(publish::PublishArgs),
    /// Tell examples apart with a run's model
    Predict(predict::PredictArgs),
    /// Continue a text with a run's model
    Generate(Box<generate::GenerateArgs>),
    /// Measure a run's model on data of one's own
    Eval(eval::EvalArgs),
    /// Write a run's model as a folder that loads without Shoal
    Export(export::ExportArgs),
    /// Make a data directory: identity, configuration, an example run spec
    Init(init::InitArgs),
    /// Print who this node is
    Id(id::IdArgs),
    /// Ask the running node how it is
    Status(local::AskArgs),
    /// Ask the running node whom it knows
    Peers(local::AskArgs),
    /// Print a ticket with which somebody else can join
    Invite(invite::InviteArgs),
    /// Write the file of a network of one's own
    Network(network::NetworkArgs),
    /// Look at run specs
    Spec(spec::SpecArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// Parses `args` (the first is the program's name), does what they say, and returns the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads any more is no failure.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    match dispatch(cli.verb) {
        Ok(()) => Exit::Done.into(),
        Err(error) => error.report().into(),
    }
}

fn dispatch(verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::Demo(args) => demo::command(&args, |plan, row| crate::demo::run(plan, row).map_err(CliError::operation)),
        Verb::Sim(args) => sim::command(&args),
        Verb::Run(args) => run::command(*args, crate::run::run),
        Verb::Join(args) => join::command(*args, crate::run::run),
        Verb::Runs(args) => runs::command(*args),
        Verb::Data(args) => data::command(&args),
        Verb::New(args) => new::command(&args),
        Verb::Publish(args) => publish::command(&args),
        Verb::Predict(args) => predict::command(&args),
        Verb::Generate(args) => generate::command(&args),
        Verb::Eval(args) => eval::command(&args),
        Verb::Export(args) => export::command(&args),
        Verb::Init(args) => init::command(&args),
        Verb::Id(args) => id::command(&args),
        Verb::Status(args) => status::command(&args),
        Verb::Peers(args) => peers::command(&args),
        Verb::Invite(args) => invite::command(&args),
        Verb::Network(args) => network::command(&args),
        Verb::Spec(args) => spec::command(&args),
        Verb::Completions(args) => completions::command(&args),
    }
}
