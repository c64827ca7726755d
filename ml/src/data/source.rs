//! Which data: what a configuration or a scenario says in one line.
//!
//! `digits` and `hamlet` are in every build. Anything else is a path, with the format before it
//! (`csv:people.csv?label=risk`) or without: then what lies there is looked at when it is loaded.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::folder;
use super::place::Place;
use super::schema::Schema;
use super::table::{self, Cells};
use super::{DataError, Split, csv, digits, hamlet, idx, images, parquet, series, sound, text};
use crate::task::Task;

/// What [`Source`] accepts, in words.
pub(crate) const EXPECTED: &str = "\"digits\", \"hamlet\", \"idx:DIR\", \"images:DIR\", \"csv:FILE\", \"parquet:FILE\", \"ts:FILE\", \"wav:DIR\", \"text:FILE\"";

/// Where examples come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// `digits`: the images that every build carries.
    Digits,
    /// `hamlet`: the text that every build carries.
    Hamlet,
    /// `idx:<directory>`: MNIST, or what looks like it.
    Idx(PathBuf),
    /// `<format>:<path>?<settings>`: files of this format.
    Files(Format, Place),
    /// `<path>?<settings>`: what lies there says the format.
    Path(Place),
}

/// Formats of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `images`: a folder of PNG images for each class.
    Images,
    /// `csv`: a table as text.
    Csv,
    /// `parquet`: a table in columns.
    Parquet,
    /// `ts`: time series.
    Series,
    /// `wav`: a folder of recordings for each class.
    Sound,
    /// `text`: a text, or a folder of them.
    Text,
}

impl Format {
    const ALL: [Self; 6] = [Self::Images, Self::Csv, Self::Parquet, Self::Series, Self::Sound, Self::Text];

    /// What stands before the path.
    const fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Series => "ts",
            Self::Sound => "wav",
            Self::Text => "text",
        }
    }

    /// What may stand behind it.
    const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Images => &images::SETTINGS,
            Self::Csv | Self::Parquet => &table::SETTINGS,
            Self::Series => &series::SETTINGS,
            Self::Sound => &sound::SETTINGS,
            Self::Text => &text::SETTINGS,
        }
    }

    /// The format that a file's ending names.
    fn of_file(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" | "tsv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            "ts" => Some(Self::Series),
            "txt" | "md" => Some(Self::Text),
            _ => None,
        }
    }

    fn load(self, place: &Place, task: &Task) -> Result<Split, DataError> {
        match self {
            Self::Text => text::load(place, task),
            _ if task.vocabulary().is_some() => Err(DataError::OtherKind { task: "text", data: "labelled examples" }),
            Self::Images => images::load(place, task),
            Self::Csv | Self::Parquet => table::load(place, &mut *self.table(&place.path)?, task),
            Self::Series => series::load(place, task),
            Self::Sound => sound::load(place, task),
        }
    }

    pub(super) fn schema(self, place: &Place) -> Result<Schema, DataError> {
        match self {
            Self::Images => images::schema(place),
            Self::Csv | Self::Parquet => table::schema(place, &mut *self.table(&place.path)?),
            Self::Series => series::schema(place),
            Self::Sound => sound::schema(place),
            Self::Text => text::schema(place),
        }
    }

    /// The table in a file; of other formats than Parquet, as text.
    pub(super) fn table(self, path: &Path) -> Result<Box<dyn Cells>, DataError> {
        if self == Self::Parquet { parquet::open(path) } else { Ok(Box::new(csv::Delimited::open(path)?)) }
    }
}

impl Place {
    /// What lies here: by a file's ending, or by what is in a folder.
    ///
    /// # Errors
    /// [`DataError::File`] if nothing does, or nothing that is known, or several things.
    pub(super) fn found(&self) -> Result<Source, DataError> {
        let path = &self.path;
        let refused = |reason: &str| DataError::file(path, reason);
        if !path.exists() {
            return Err(refused("there is no such file or folder"));
        }
        if !path.is_dir() {
            let format = Format::of_file(path);
            return format.map(|format| self.of(format)).ok_or_else(|| {
                refused("the file's ending is none of .csv, .tsv, .parquet, .ts, .txt and .md; write the format before it, as in text:FILE")
            })?;
        }
        let mut found: Vec<Format> = Vec::new();
        let holds = |ending| folder::Classes::find(path, ending).is_ok();
        let lists = |ending| folder::files(path, ending).is_ok_and(|files| !files.is_empty());
        let here = [(Format::Images, holds("png")), (Format::Sound, holds("wav")), (Format::Text, lists("txt"))];
        found.extend(here.iter().filter(|(_, here)| *here).map(|(format, _)| *format));
        match (found[..].first(), idx::lies_in(path)) {
            (None, true) => self.alone(Source::Idx(path.clone())),
            (Some(&format), false) if found.len() == 1 => self.of(format),
            (None, false) => Err(refused(
                "neither MNIST's four files, nor a folder of .png or .wav files for each class, nor .txt files lie here",
            )),
            _ => {
                let names: Vec<String> = found.iter().map(|format| format!("{}:", format.name())).collect();
                let idx = if idx::lies_in(path) { "idx: " } else { "" };
                Err(refused(&format!("several kinds of data lie here; write which before the path: {idx}{}", names.join(" "))))
            }
        }
    }

    /// This place in a format, if its settings are known there.
    fn of(&self, format: Format) -> Result<Source, DataError> {
        Ok(Source::Files(format, Self::parse(&self.to_string(), format.settings())?))
    }

    /// A source that has no settings.
    fn alone(&self, source: Source) -> Result<Source, DataError> {
        Self::parse(&self.to_string(), &[]).map(|_| source)
    }
}

impl Source {
    /// The data, cut as this task wants it, in a part to train on and a part to test on. `seed`
    /// draws the digits that are held out; of files that do not say what is, their content decides.
    ///
    /// # Errors
    /// [`DataError`] if it cannot be read or is not of the task's kind and shape.
    pub fn load(&self, task: &Task, seed: u64) -> Result<Split, DataError> {
        let split = match self {
            Self::Digits => digits::seeded(seed)?,
            Self::Hamlet => {
                let text_expected = DataError::OtherKind { task: "labelled examples", data: "text" };
                let vocabulary = task.vocabulary().ok_or(text_expected)?;
                hamlet::split(vocabulary, task.inputs().iter().product())?
            }
            Self::Idx(directory) => idx::load(directory, task.classes())?,
            Self::Files(format, place) => format.load(place, task)?,
            Self::Path(place) => return place.found()?.load(task, seed),
        };
        split.train.check(task)?;
        split.test.check(task)?;
        Ok(split)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits => f.write_str("digits"),
            Self::Hamlet => f.write_str("hamlet"),
            Self::Idx(directory) => write!(f, "idx:{}", directory.display()),
            Self::Files(format, place) => write!(f, "{}:{place}", format.name()),
            Self::Path(place) => place.fmt(f),
        }
    }
}

impl FromStr for Source {
    type Err = DataError;

    /// A word that is no path (no `/`, no `.`) must be one of the built-in names or lie in the current folder:
    /// so a slip of the pen is told at once.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || DataError::Name(text.chars().take(80).collect());
        match text.split_once(':') {
            None if text == "digits" => return Ok(Self::Digits),
            None if text == "hamlet" => return Ok(Self::Hamlet),
            Some(("idx", directory)) if !directory.is_empty() => return Ok(Self::Idx(directory.into())),
            Some((name, rest)) if !rest.is_empty() => {
                if let Some(format) = Format::ALL.into_iter().find(|format| format.name() == name) {
                    return Ok(Self::Files(format, Place::parse(rest, format.settings())?));
                }
            }
            _ => {}
        }
        // What each format takes is checked when it is known which one lies there.
        let every: Vec<&str> = Format::ALL.iter().flat_map(|format| format.settings()).copied().collect();
        let place = Place::parse(text, &every)?;
        let is_path = text.contains(['/', '\\']) || (text.contains('.') && !text.contains(':'));
        if is_path || place.path.exists() { Ok(Self::Path(place)) } else { Err(unknown()) }
    }
}

#[cfg(test)]
pub(super) mod tests;
