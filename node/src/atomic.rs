//! Writing a file whole or not at all.
//!
//! The bytes go to a new file beside the target, are flushed to the disk, and take the target's
//! name in one step. A reader sees the old file or the new one, never a part; a failure leaves
//! the old file as it was and nothing beside it. Never follows a link planted under the
//! temporary name: that file must not exist.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Temporary names tried before giving up: one that exists is left from a killed process.
const NAME_TRIES: u32 = 64;

/// Permission bits of files that anybody may read, less what the umask takes.
const SHARED: u32 = 0o666;
/// Permission bits of files that hold a secret.
const PRIVATE: u32 = 0o600;

/// Replaces `path` by a file with these bytes.
///
/// # Errors
/// The first operation that failed; `path` is then unchanged.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, SHARED)
}

/// The same for a file that only its owner may read.
///
/// # Errors
/// As [`write()`].
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, PRIVATE)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = folder_of(path);
    let (mut file, part) = create_part(folder, path, mode)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&part, path));
    if let Err(error) = written {
        // The error that matters is the first one; a part that cannot be removed either is only litter.
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    // Makes the new name itself durable.
    File::open(folder)?.sync_all()
}

/// Whether files can be made beside `path`: asked before minutes of work whose result goes there.
///
/// # Errors
/// What creating a file there fails with, or that `path` is a folder.
pub fn probe(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let (_, part) = create_part(folder_of(path), path, SHARED)?;
    fs::remove_file(part)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create_part(folder: &Path, path: &Path, mode: u32) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let process = std::process::id();
    for attempt in 0..NAME_TRIES {
        let part = folder.join(format!(".{name}.{process}-{attempt}.part"));
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&part) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (file, part)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.json");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        probe(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["demo.json"]);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(write(&taken, b"a folder stands here").is_err());
        assert!(probe(&taken).is_err());
        assert!(write(&folder.path().join("absent").join("file"), b"x").is_err());
        assert!(probe(Path::new("/")).is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, b"precious").unwrap();
        let planted = folder.path().join(format!(".out.{}-0.part", std::process::id()));
        std::os::unix::fs::symlink(&victim, planted).unwrap();
        write(&folder.path().join("out"), b"result").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }
}
