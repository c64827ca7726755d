//! Why a configuration was refused: the key, where it was said, what would be right.

use core::fmt;
use std::path::PathBuf;

use crate::networks::NetworksError;

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file, at a line counted from 1.
    File(PathBuf, usize),
    /// By the flag `--key` or the variable `SHOAL_KEY`.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{} line {line}", path.display()),
            Self::Flag(key) => {
                let (flag, variable) = (key.replace('_', "-"), key.to_uppercase());
                write!(f, "flag --{flag} or variable SHOAL_{variable}")
            }
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {cause}", path.display())]
    #[diagnostic(code(shoal::config::unreadable), help("name a readable file with --config, or make one with `shoal init`"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why: the system's words, or that it is too long.
        cause: String,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("{origin}: {message}")]
    #[diagnostic(code(shoal::config::syntax), help("the commented file that `shoal init` writes lists every key"))]
    Syntax {
        /// The place.
        origin: Origin,
        /// What is wrong there; names the key.
        message: String,
    },
    /// A value outside its bounds.
    #[error("`{key}` is {value} ({origin}), but must be {expected}")]
    #[diagnostic(code(shoal::config::value), help("correct `{key}` or leave it out: every key has a default"))]
    Value {
        /// The key.
        key: &'static str,
        /// What was said.
        value: String,
        /// What would be accepted.
        expected: &'static str,
        /// Where it was said.
        origin: Origin,
    },
    /// The network's own file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Network(#[from] NetworksError),
    /// The file inside a data directory names another data directory.
    #[error("{origin}: a data directory's own configuration cannot name a data directory")]
    #[diagnostic(
        code(shoal::config::data_dir),
        help("remove `data_dir` there, or pass that file with --config from outside the data directory")
    )]
    OwnDataDir {
        /// The place.
        origin: Origin,
    },
    /// Neither a home nor an XDG data directory is known.
    #[error("no data directory: neither XDG_DATA_HOME nor HOME is set to an absolute path")]
    #[diagnostic(code(shoal::config::no_home), help("name one with --data-dir or SHOAL_DATA_DIR"))]
    NoHome,
}
