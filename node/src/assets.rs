//! The files that specs name by their hash (weights to start from, a tokenizer), as a node keeps them:
//! copies under `assets/` in its data directory, each called by its hash.
//!
//! A file that was given once is there for every run and every verb from then on. Nothing here comes from
//! the network.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use shoal_ml::{AssetError, Assets, Digest, Task, TaskError, TaskSpec};
use shoal_protocol::spec::RunSpec;

const ASSETS_DIR: &str = "assets";

/// A file that cannot be kept.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum KeepError {
    /// It cannot be read, or is none.
    #[error("the asset {0}")]
    #[diagnostic(
        code(shoal::assets::unreadable),
        help("--asset names the file itself; `shoal spec check` says what a spec needs")
    )]
    Asset(#[from] AssetError),
    /// It cannot be copied.
    #[error("{} cannot be written: {source}", path.display())]
    #[diagnostic(code(shoal::assets::unwritable), help("the data directory must be writable and its disk not full"))]
    Unwritable {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Copies a file into the data directory, unless it is there already.
///
/// # Errors
/// [`KeepError`]; nothing of the file is left behind then.
pub fn keep(data_dir: &Path, file: &Path) -> Result<Digest, KeepError> {
    let digest = Assets::new().add(file)?;
    let dir = data_dir.join(ASSETS_DIR);
    let path = dir.join(digest.to_string());
    let failed = |source| KeepError::Unwritable { path: path.clone(), source };
    if path.exists() {
        return Ok(digest);
    }
    fs::create_dir_all(&dir).map_err(failed)?;
    let copy = tempfile::NamedTempFile::new_in(&dir).map_err(failed)?;
    fs::copy(file, copy.path()).map_err(failed)?;
    copy.as_file().sync_all().map_err(failed)?;
    copy.persist(&path).map_err(|error| failed(error.error))?;
    Ok(digest)
}

/// Those of the wanted files that this node has. One that is damaged is said and left out.
#[must_use]
pub fn kept(data_dir: &Path, wanted: &[Digest]) -> Assets {
    let mut assets = Assets::new();
    for digest in wanted {
        let path = data_dir.join(ASSETS_DIR).join(digest.to_string());
        if !path.exists() {
            continue;
        }
        let mut more = assets.clone();
        match more.add(&path) {
            Ok(found) if found == *digest => assets = more,
            Ok(_) => tracing::warn!("{} is damaged; give the file again with --asset", path.display()),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    assets
}

/// What a spec's task means, with the files that this node has for it.
///
/// # Errors
/// [`TaskError`], which names a file that is missing.
pub fn task(data_dir: &Path, spec: &RunSpec) -> Result<Task, TaskError> {
    let task = TaskSpec::parse(spec.task())?;
    let assets = kept(data_dir, &task.needs());
    task.equip(&assets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_under_its_hash_and_found_again() {
        let (dir, file) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        fs::write(file.path(), b"weights").unwrap();
        let digest = keep(dir.path(), file.path()).unwrap();
        assert_eq!(keep(dir.path(), file.path()).unwrap(), digest, "twice is once");
        drop(file);
        let other = Digest::of(b"something else");
        let assets = kept(dir.path(), &[other, digest]);
        assert_eq!(assets.digests().collect::<Vec<_>>(), [digest]);
        assert_eq!(assets.read(&digest, 100).unwrap(), b"weights");
        fs::write(dir.path().join(ASSETS_DIR).join(digest.to_string()), b"weight5").unwrap();
        assert_eq!(kept(dir.path(), &[digest]).digests().count(), 0, "damaged");
        assert_eq!(fs::read_dir(dir.path().join(ASSETS_DIR)).unwrap().count(), 1, "and nothing else lies there");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = keep(dir.path(), dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("not a file"), "{error}");
        assert!(keep(dir.path(), &dir.path().join("absent")).is_err());
        assert!(!dir.path().join(ASSETS_DIR).exists());
    }
}
