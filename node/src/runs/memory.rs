//! Which runs this node takes part in and which it offers, as files in its data directory.
//!
//! ```text
//! runs/<run>/spec.toml   the node takes part; beside it lies the run's store
//! runs/<run>/data.toml   what of its data is said for this run alone, if anything
//! offers/<run>.toml      the node offers it to others
//! ```
//! A spec is kept as its text and is read again like any stranger's: its hash must be the name that it
//! lies under. What does not fit is said and left alone.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use shoal_protocol::id::RunId;
use shoal_protocol::spec::{RunSpec, SPEC_BYTES_MAX};

use crate::atomic;
use crate::config::DataSettings;

const RUNS_DIR: &str = "runs";
const OFFERS_DIR: &str = "offers";
const SPEC_FILE: &str = "spec.toml";
const DATA_FILE: &str = "data.toml";
/// Longest `data.toml`, bytes: a path and a few words.
const DATA_BYTES_MAX: u64 = 8 * 1_024;
/// Entries of a directory that are looked at; no node takes part in as many runs.
const LOOKED_AT_MAX: usize = 4_096;

/// A run as it is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// The spec.
    pub spec: RunSpec,
    /// Its text.
    pub text: String,
    /// What of its data is its own.
    pub data: DataSettings,
}

/// A data directory, seen as a memory of runs.
#[derive(Clone, Debug)]
pub struct Memory {
    dir: PathBuf,
}

impl Memory {
    /// The memory in this data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.to_owned() }
    }

    /// Where the state of this run lies.
    #[must_use]
    pub fn run_dir(&self, run: &RunId) -> PathBuf {
        self.dir.join(RUNS_DIR).join(run.to_string())
    }

    fn offer_file(&self, run: &RunId) -> PathBuf {
        self.dir.join(OFFERS_DIR).join(format!("{run}.toml"))
    }

    /// Remembers that the node takes part in a run.
    ///
    /// # Errors
    /// What the system says.
    pub fn join(&self, spec: &RunSpec, text: &str, data: &DataSettings) -> io::Result<()> {
        let dir = self.run_dir(&spec.run_id());
        make(&dir)?;
        if !data.is_empty() {
            let own = toml::to_string(data).map_err(io::Error::other)?;
            atomic::write(&dir.join(DATA_FILE), own.as_bytes())?;
        }
        atomic::write(&dir.join(SPEC_FILE), text.as_bytes())
    }

    /// Remembers that the node offers a run.
    ///
    /// # Errors
    /// What the system says.
    pub fn offer(&self, spec: &RunSpec, text: &str) -> io::Result<()> {
        make(&self.dir.join(OFFERS_DIR))?;
        atomic::write(&self.offer_file(&spec.run_id()), text.as_bytes())
    }

    /// The runs that the node takes part in, in the order of their ids.
    #[must_use]
    pub fn joined(&self) -> Vec<Remembered> {
        let read = |name: &str| {
            let dir = self.dir.join(RUNS_DIR).join(name);
            let (spec, text) = read_spec(&dir.join(SPEC_FILE), name)?;
            let data = self.data(&spec.run_id());
            Some(Remembered { spec, text, data })
        };
        names(&self.dir.join(RUNS_DIR)).iter().filter_map(|name| read(name)).collect()
    }

    /// The runs that the node offers, in the order of their ids.
    #[must_use]
    pub fn offered(&self) -> Vec<(RunSpec, String)> {
        let dir = self.dir.join(OFFERS_DIR);
        let read = |name: &String| read_spec(&dir.join(name), name.strip_suffix(".toml")?);
        names(&dir).iter().filter_map(read).collect()
    }

    /// What is said of this run's data alone.
    #[must_use]
    pub fn data(&self, run: &RunId) -> DataSettings {
        let path = self.run_dir(run).join(DATA_FILE);
        match read_text(&path, DATA_BYTES_MAX) {
            Ok(text) => toml::from_str(&text).unwrap_or_else(|error: toml::de::Error| {
                tracing::warn!(path = %path.display(), "left alone: {}", error.message());
                DataSettings::default()
            }),
            Err(_) => DataSettings::default(),
        }
    }
}

fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// What lies in a directory, sorted; nothing if it is not there.
fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.take(LOOKED_AT_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

/// The spec in a file, if its hash is `name`.
fn read_spec(path: &Path, name: &str) -> Option<(RunSpec, String)> {
    let text = match read_text(path, SPEC_BYTES_MAX as u64) {
        Ok(text) => text,
        // A run from before specs were kept has none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), "left alone: {error}");
            return None;
        }
    };
    match RunSpec::parse(&text) {
        Ok(spec) if spec.run_id().to_string() == name => Some((spec, text)),
        Ok(_) => {
            tracing::warn!(path = %path.display(), "left alone: it is the spec of another run");
            None
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), "left alone: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# mine\nversion = 1\nname = \"page\"\nseed = 7\n[task]\nkind = \"none\"\n";

    #[test]
    fn what_is_joined_and_offered_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::new(dir.path());
        assert_eq!((memory.joined(), memory.offered()), (vec![], vec![]));
        let spec = RunSpec::parse(TEXT).unwrap();
        let data = DataSettings { data: Some("hamlet".to_owned()), split_seed: Some(3), ..DataSettings::default() };
        memory.join(&spec, TEXT, &data).unwrap();
        memory.offer(&spec, TEXT).unwrap();
        let memory = Memory::new(dir.path());
        let joined = Remembered { spec: spec.clone(), text: TEXT.to_owned(), data: data.clone() };
        assert_eq!(memory.joined(), [joined]);
        assert_eq!(memory.offered(), [(spec.clone(), TEXT.to_owned())]);
        memory.join(&spec, TEXT, &DataSettings::default()).unwrap();
        assert_eq!(memory.data(&spec.run_id()), data, "what was said before holds");
    }

    #[test]
    fn what_does_not_fit_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::new(dir.path());
        let spec = RunSpec::parse(TEXT).unwrap();
        memory.join(&spec, &TEXT.replace("seed = 7", "seed = 8"), &DataSettings::default()).unwrap();
        memory.offer(&spec, "no spec").unwrap();
        fs::write(dir.path().join("offers/notes.txt"), "mine").unwrap();
        fs::write(memory.run_dir(&spec.run_id()).join(DATA_FILE), "data = 1").unwrap();
        assert_eq!((memory.joined(), memory.offered()), (vec![], vec![]));
        assert!(memory.data(&spec.run_id()).is_empty());
        fs::write(memory.offer_file(&spec.run_id()), vec![b'#'; SPEC_BYTES_MAX + 1]).unwrap();
        assert_eq!(memory.offered(), []);
    }
}
