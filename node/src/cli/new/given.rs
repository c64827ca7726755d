//! The files that `shoal new` was given: weights to start from or to correct, the model beside them, a tokenizer.
//!
//! A folder that `shoal export` wrote stands for what lies in it. Everything is bounded before it is read;
//! whether weights and model fit each other is the task's to say.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use shoal_ml::export::{CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE};
use shoal_ml::{AssetError, Assets, Digest, Tokenizer};

use super::text::{Start, Wishes};
use super::{Model, NewArgs, NewError};

/// Longest `config.json` and `tokenizer.json`, bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
const TOKENIZER_BYTES_MAX: u64 = 64 << 20;
/// Most tokens of a tokenizer: a task has no more classes.
const TOKENS_MAX: usize = 1 << 20;
/// Rank of a correction, if none is said: what most of those published for language models have.
const RANK: u16 = 8;

/// Files, and what they ask of the spec.
pub(super) struct Given {
    pub(super) wishes: Wishes,
    pub(super) assets: Assets,
    /// What every node of the run must be given, too.
    pub(super) files: Vec<PathBuf>,
}

/// Takes up what the arguments name.
pub(super) fn take_up(args: &NewArgs) -> Result<Given, NewError> {
    let mut given = Given { wishes: Wishes { model: args.model, ..Wishes::default() }, assets: Assets::new(), files: Vec::new() };
    if let Some(from) = &args.from {
        let weights = if from.is_dir() { from.join(WEIGHTS_FILE) } else { from.clone() };
        given.wishes.base = config_beside(&weights)?;
        let digest = given.add(&weights)?;
        given.wishes.start = Some(match args.model {
            Some(Model::Lora) => Start::Correct { weights: digest, rank: args.rank.unwrap_or(RANK) },
            _ => Start::From(digest),
        });
        // An exported model brings its tokenizer along as it does its shape.
        let beside = weights.with_file_name(TOKENIZER_FILE);
        if args.tokenizer.is_none()
            && given.wishes.base.as_ref().is_some_and(|base| base.contains_key("tokenizer"))
            && beside.exists()
        {
            given.add(&beside)?;
        }
    }
    if let Some(path) = &args.tokenizer {
        let digest = given.add(path)?;
        let bytes = given.assets.read(&digest, TOKENIZER_BYTES_MAX).map_err(refused)?;
        given.wishes.tokenizer = Some((digest, tokens(path, &bytes)?));
    }
    Ok(given)
}

impl Given {
    fn add(&mut self, path: &Path) -> Result<Digest, NewError> {
        let digest = self.assets.add(path).map_err(refused)?;
        self.files.push(path.to_owned());
        Ok(digest)
    }
}

fn refused(error: AssetError) -> NewError {
    NewError::Asset(error.to_string())
}

/// How many tokens a tokenizer has.
fn tokens(path: &Path, bytes: &[u8]) -> Result<usize, NewError> {
    let refused = |error| NewError::Asset(format!("{}: {error}", path.display()));
    let tokenizer = Tokenizer::parse(bytes, TOKENS_MAX).map_err(refused)?;
    Ok(tokenizer.largest() as usize + 1)
}

/// The `config.json` beside exported weights, if there is one: what their model is.
fn config_beside(weights: &Path) -> Result<Option<toml::Table>, NewError> {
    let path = weights.with_file_name(CONFIG_FILE);
    let refused = |error: &dyn core::fmt::Display| NewError::Config(format!("{}: {error}", path.display()));
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&error)),
    };
    let mut text = String::new();
    file.take(CONFIG_BYTES_MAX).read_to_string(&mut text).map_err(|error| refused(&error))?;
    let config: serde_json::Value = serde_json::from_str(&text).map_err(|error| refused(&error))?;
    // Other programs call their files like this, too.
    let Some(task) = config.get("task") else { return Ok(None) };
    toml::Table::try_from(task).map(Some).map_err(|error| refused(&error))
}
