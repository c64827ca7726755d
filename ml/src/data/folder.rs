//! A folder with one folder for each class, or with `train` and `test` in it, each of which is that.
//!
//! ```text
//! photos/cat/1.png  photos/dog/7.png            photos/train/cat/1.png  photos/test/cat/9.png
//! ```
//! Names are sorted, so that a folder is the same data on every machine. What has another ending and what
//! begins with a point is not looked at.

use std::fs;
use std::path::{Path, PathBuf};

use super::DataError;

/// Most files and most folders that are listed (a guess: ten times the largest set of images that fits memory).
const FILES_MAX: usize = 1 << 22;
/// The names of the two parts.
const PARTS: [&str; 2] = ["train", "test"];

/// The files of one class.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) files: Vec<PathBuf>,
}

/// The classes of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) train: Vec<Class>,
    /// If the folder says which are for testing.
    pub(super) test: Option<Vec<Class>>,
}

impl Classes {
    /// The files with this ending, by class.
    ///
    /// # Errors
    /// [`DataError::File`] if there are none, if there are too many, or if the folder cannot be read.
    pub(super) fn find(folder: &Path, ending: &str) -> Result<Self, DataError> {
        let [train, test] = PARTS.map(|part| folder.join(part));
        if train.is_dir() && test.is_dir() {
            return Ok(Self { train: classes(&train, ending)?, test: Some(classes(&test, ending)?) });
        }
        Ok(Self { train: classes(folder, ending)?, test: None })
    }

    /// Both parts' classes.
    pub(super) fn all(&self) -> impl Iterator<Item = &Class> {
        self.train.iter().chain(self.test.iter().flatten())
    }

    /// The names of the classes, each once.
    pub(super) fn names(&self) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> = self.all().map(|class| &class.name).collect();
        names.into_iter().cloned().collect()
    }
}

/// The folders in a folder that hold such files.
fn classes(folder: &Path, ending: &str) -> Result<Vec<Class>, DataError> {
    let mut classes = Vec::new();
    let mut room = FILES_MAX;
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let files = files(&path, ending)?;
        room = room.checked_sub(files.len()).ok_or_else(|| DataError::file(folder, &format!("more than {FILES_MAX} files")))?;
        if files.is_empty() {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| DataError::file(&path, "the folder's name is not UTF-8, so it cannot be a class"))?;
        classes.push(Class { name: name.to_owned(), files });
    }
    if classes.is_empty() {
        let reason = format!("no folder in it has a .{ending} file; there must be one folder for each class, named after it");
        return Err(DataError::file(folder, &reason));
    }
    Ok(classes)
}

/// The files in a folder with this ending, in either case.
pub(super) fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, DataError> {
    let ends = |path: &PathBuf| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending)) && path.is_file();
    Ok(entries(folder)?.into_iter().filter(ends).collect())
}

/// What is in a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let refused = |error: std::io::Error| DataError::unreadable(folder, &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if paths.len() >= FILES_MAX {
            return Err(DataError::file(folder, &format!("more than {FILES_MAX} files")));
        }
        paths.push(entry.path());
    }
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "x").expect("written");
        }
        directory
    }

    fn names(classes: &[Class]) -> Vec<(&str, usize)> {
        classes.iter().map(|class| (class.name.as_str(), class.files.len())).collect()
    }

    #[test]
    fn folders_are_classes_and_may_come_in_two_parts() {
        let plain = folder(&["b/2.PNG", "b/1.png", "a/1.png", "a/.x.png", "a/1.txt", "c/1.txt", ".d/1.png", "1.png"]);
        let found = Classes::find(plain.path(), "png").expect("classes");
        assert_eq!((names(&found.train), found.test.is_none()), (vec![("a", 1), ("b", 2)], true));
        assert!(found.train[1].files[0].ends_with("1.png"), "sorted");
        let parts = folder(&["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"]);
        let found = Classes::find(parts.path(), "png").expect("classes");
        assert_eq!(found.names(), ["a", "b", "c"]);
        assert_eq!(found.test.as_deref().map(names), Some(vec![("a", 1), ("c", 1)]));
        // A class may be called train if there is no test.
        assert_eq!(Classes::find(folder(&["train/1.png", "x/1.png"]).path(), "png").expect("classes").names(), ["train", "x"]);
    }

    #[test]
    fn what_is_no_such_folder_is_told() {
        let error = |path: &Path| Classes::find(path, "wav").expect_err("refused").to_string();
        let flat = folder(&["1.wav"]);
        assert!(
            error(flat.path())
                .ends_with("no folder in it has a .wav file; there must be one folder for each class, named after it")
        );
        assert!(error(&flat.path().join("1.wav")).ends_with("this is a file; a folder was expected"));
        assert_eq!(error(Path::new("no/such")), "no/such: there is no such file or folder");
    }
}
