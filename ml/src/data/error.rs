//! What can be wrong with data, and where in it the fault lies.
//!
//! Rows and columns are counted from 1, as people and spreadsheets do.

use std::path::Path;

use super::source::EXPECTED;

/// Data that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DataError {
    /// No example at all.
    #[error("there is no example in the data")]
    Empty,
    /// More examples than can be counted in 32 bits.
    #[error("{0} examples are more than a data set can hold (4294967295)")]
    TooMany(usize),
    /// A shape that is empty, has a zero in it, or is too large to count.
    #[error("an example cannot have the shape {0:?}")]
    Shape(Vec<usize>),
    /// Inputs that are not whole examples, one for each label.
    #[error("{inputs} numbers do not make {labels} examples of {each} numbers each")]
    Count {
        /// Numbers given.
        inputs: usize,
        /// Labels given.
        labels: usize,
        /// Numbers in one example.
        each: usize,
    },
    /// A text in which not one character follows `context` others.
    #[error("a text of {length} characters is too short for one example of {context} and the character after them")]
    ShortText {
        /// Characters there are.
        length: usize,
        /// Characters in an example.
        context: usize,
    },
    /// A cell that is not what it must be.
    #[error("row {row}, column {column}: {reason}")]
    Cell {
        /// The example, from 1.
        row: usize,
        /// The number within the example, from 1; the label comes after the last.
        column: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A row that is too short or too long.
    #[error("row {row} has {actual} columns; {expected} were expected")]
    Row {
        /// The row, from 1.
        row: usize,
        /// What it has.
        actual: usize,
        /// What it should have.
        expected: usize,
    },
    /// A stream that does not decompress or is not text.
    #[error("the data cannot be read: {0}")]
    Unreadable(String),
    /// A vocabulary that cannot be used.
    #[error("not a tokenizer.json: {0}")]
    Tokenizer(String),
    /// A file that is missing or not what it must be.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A cell of a file that is not what it must be.
    #[error("{file}, row {row}, column {column}: {reason}")]
    Value {
        /// The file.
        file: String,
        /// The line or row, from 1.
        row: u64,
        /// The column, by name or number.
        column: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that means no data, and a path at which nothing lies.
    #[error("{0:?} is no data and nothing lies there; give a file, a folder, or one of {EXPECTED}")]
    Name(String),
    /// A setting behind a `?` that is not what it must be.
    #[error("`{key}` is {value:?}, but must be {expected}")]
    Setting {
        /// The setting.
        key: String,
        /// What was written.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// Data of which no task can be made.
    #[error("no task can be made of this data: {0}")]
    Unfit(String),
    /// An example that is not there.
    #[error("there is no example {index}; the data has {len}")]
    NoExample {
        /// The index asked for, from 0.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// Nothing to train on or nothing to test on.
    #[error("{held_out} of {len} examples cannot be held out; at least one must be left on each side")]
    Split {
        /// Examples to be held out.
        held_out: usize,
        /// Examples in all.
        len: usize,
    },
    /// Text for a task of labelled examples, or the other way round.
    #[error("the task takes {task}, but the data is {data}")]
    OtherKind {
        /// What the task takes.
        task: &'static str,
        /// What the data is.
        data: &'static str,
    },
    /// Examples of another shape than the task's.
    #[error("the task takes examples of shape {task:?}, but the data has {data:?}")]
    OtherShape {
        /// The task's shape.
        task: Vec<usize>,
        /// The data's shape.
        data: Vec<usize>,
    },
    /// Another number of classes than the task's; of a text, of characters in the vocabulary.
    #[error("the task has {task} classes, but the data has {data}")]
    OtherClasses {
        /// The task's classes.
        task: usize,
        /// The data's classes.
        data: usize,
    },
}

impl DataError {
    /// This file, and what is wrong with it.
    pub(super) fn file(path: &Path, reason: &str) -> Self {
        Self::File { file: path.display().to_string(), reason: reason.to_owned() }
    }

    /// A file that could not be read.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
            std::io::ErrorKind::IsADirectory => "this is a folder; a file was expected".to_owned(),
            std::io::ErrorKind::NotADirectory => "this is a file; a folder was expected".to_owned(),
            _ => error.to_string(),
        };
        Self::File { file: path.display().to_string(), reason }
    }
}
