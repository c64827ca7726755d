//! Everything a verb can fail with, and the one way it is said: a sentence, a remedy, a code.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use miette::Diagnostic;
use shoal_ml::TaskError;
use shoal_protocol::spec::SpecError;

use super::print::plain;
use crate::api::{ApiError, Refusal};
use crate::config::ConfigError;
use crate::identity::IdentityError;

/// The exit codes; scripts rely on them, so a number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the operation failed.
    Failed,
    /// 2: wrong usage, configuration or spec.
    Usage,
    /// 3: the node that was asked is not running.
    NotRunning,
    /// 130: interrupted twice.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotRunning => 3,
            Exit::Interrupted => 130,
        })
    }
}

/// Why a verb failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum CliError {
    /// The node's own configuration was refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] ConfigError),
    /// A run spec was refused.
    #[error("{}: {}", path.display(), one_sentence(&source.to_string()))]
    #[diagnostic(code(shoal::spec), help("`shoal init` writes a spec that works as digits.toml; compare with it"))]
    Spec {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SpecError,
    },
    /// A run spec's task section was refused by those who train.
    #[error("{}: {source}", path.display())]
    #[diagnostic(code(shoal::task), help("`shoal init` writes a spec that works as digits.toml; compare with it"))]
    Task {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TaskError,
    },
    /// A spec file cannot be read.
    #[error("the spec {} cannot be read: {source}", path.display())]
    #[diagnostic(code(shoal::spec::unreadable), help("name a readable run spec; `shoal init` writes one as digits.toml"))]
    SpecUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The node's key is missing, unreadable or exposed.
    #[error(transparent)]
    #[diagnostic(code(shoal::identity), help("a key is made by `shoal init`, must be mode 0600, and lies in the data directory"))]
    Identity(#[from] IdentityError),
    /// There is no node in the data directory.
    #[error("there is no node in {}", .0.display())]
    #[diagnostic(code(shoal::no_node), help("make one with `shoal init`, or name another place with --data-dir"))]
    NoNode(PathBuf),
    /// `init` would replace something.
    #[error("{} exists already and is left as it is", .0.display())]
    #[diagnostic(code(shoal::init::exists), help("choose another --data-dir, or move that file away"))]
    Exists(PathBuf),
    /// Nobody answers in the node's name.
    #[error("no node is running in {}", .0.display())]
    #[diagnostic(
        code(shoal::not_running),
        help("start it with `shoal run --run SPEC.toml`, or name another place with --data-dir")
    )]
    NotRunning(PathBuf),
    /// Something answers, but not as a node would.
    #[error("the node at {address} did not answer as a node does: {cause}")]
    #[diagnostic(
        code(shoal::bad_answer),
        help("restart the node; if that changes nothing, compare `shoal --version` with what the node was started from")
    )]
    BadAnswer {
        /// What was asked.
        address: String,
        /// What came back.
        cause: String,
    },
    /// The running node was told to do something and will not.
    #[error("the running node refuses: {}", .0.error)]
    #[diagnostic(code(shoal::refused), help("{}", .0.help))]
    Refused(Refusal),
    /// The local API cannot be served.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Api(#[from] ApiError),
    /// A result cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    #[diagnostic(code(shoal::unwritable), help("name a place that can be written, or free space there"))]
    Unwritable {
        /// The place.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Stdout cannot be written.
    #[error("the answer cannot be printed: {0}")]
    #[diagnostic(code(shoal::stdout), help("check where stdout leads"))]
    Stdout(#[from] io::Error),
    /// A room failed while it worked, with a code and a remedy of its own.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Operation(Box<dyn Diagnostic + Send + Sync>),
    /// What was asked for is refused, with a code and a remedy of its own.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Usage(Box<dyn Diagnostic + Send + Sync>),
    /// The second interrupt came before the work was put away.
    #[error("interrupted twice: stopped at once")]
    #[diagnostic(code(shoal::interrupted), help("what was acknowledged is safe; start again with the same command to continue"))]
    Interrupted,
}

impl CliError {
    /// A room's own failure.
    pub fn operation(error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self::Operation(Box::new(error))
    }

    /// A room's refusal of what it was asked for.
    pub fn usage(error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self::Usage(Box::new(error))
    }

    /// The code this failure exits with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Spec { .. } | Self::Task { .. } | Self::SpecUnreadable { .. } | Self::Usage(_) => Exit::Usage,
            Self::NotRunning(_) => Exit::NotRunning,
            Self::Interrupted => Exit::Interrupted,
            // The reader of a pipe went away: it has all it wanted.
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            _ => Exit::Failed,
        }
    }

    /// Says the failure on stderr and returns its code.
    pub(super) fn report(&self) -> Exit {
        let exit = self.exit();
        if exit != Exit::Done {
            // If stderr is gone too, the code is all that is left to say.
            let _ = io::stderr().write_all(self.said().as_bytes());
        }
        exit
    }

    fn said(&self) -> String {
        let mut said = format!("error: {}\n", plain(&self.to_string()));
        if let Some(help) = self.help() {
            said.push_str(&format!("help: {}\n", plain(&help.to_string())));
        }
        said
    }
}

/// A parser's message without its drawing: the lines that hold a gutter are left out, the rest joined.
pub(super) fn one_sentence(message: &str) -> String {
    let drawing = |line: &&str| line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|');
    let lines: Vec<&str> = message.lines().filter(|line| !drawing(line) && !line.trim().is_empty()).map(str::trim).collect();
    lines.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsers_drawing_is_left_out() {
        let message = "TOML parse error at line 12, column 1\n   |\n12 | colour = 3\n   | ^^^^^^\nunknown field `colour`\n";
        assert_eq!(one_sentence(message), "TOML parse error at line 12, column 1: unknown field `colour`");
        assert_eq!(one_sentence("plain"), "plain");
    }

    #[test]
    fn every_failure_is_two_lines() {
        let path = || PathBuf::from("place");
        let io = || io::Error::from(io::ErrorKind::PermissionDenied);
        let failures = [
            (CliError::Config(ConfigError::NoHome), Exit::Usage),
            (CliError::Spec { path: path(), source: SpecError::Syntax("a\n  |\nb".to_owned()) }, Exit::Usage),
            (CliError::Task { path: path(), source: TaskError::TooManyParameters }, Exit::Usage),
            (CliError::SpecUnreadable { path: path(), source: io() }, Exit::Usage),
            (CliError::NoNode(path()), Exit::Failed),
            (CliError::Exists(path()), Exit::Failed),
            (CliError::NotRunning(path()), Exit::NotRunning),
            (CliError::BadAnswer { address: "\u{1b}[31m".to_owned(), cause: "a\nb".to_owned() }, Exit::Failed),
            (CliError::Refused(Refusal { error: "a\nb".to_owned(), help: "c\nd".to_owned() }), Exit::Failed),
            (CliError::Unwritable { path: path(), source: io() }, Exit::Failed),
            (CliError::Stdout(io()), Exit::Failed),
            (CliError::operation(ConfigError::NoHome), Exit::Failed),
            (CliError::usage(ConfigError::NoHome), Exit::Usage),
            (CliError::Interrupted, Exit::Interrupted),
        ];
        for (failure, exit) in failures {
            let said = failure.said();
            assert_eq!(said.lines().count(), 2, "{said}");
            assert!(said.starts_with("error: ") && said.contains("\nhelp: ") && !said.contains('\u{1b}'), "{said}");
            assert_eq!(failure.exit(), exit, "{said}");
        }
        assert_eq!(CliError::Stdout(io::ErrorKind::BrokenPipe.into()).exit(), Exit::Done);
    }
}
