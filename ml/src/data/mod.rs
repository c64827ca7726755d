//! What a node learns from: labelled examples or text, checked once.
//!
//! Data never leaves the node. What reads a format (a room of its own beside this file) makes a
//! [`Dataset`]; what trains only ever sees one. A [`Source`] says in one line which data and where it lies;
//! a task says what it must look like, and what does not fit is refused with the file, the row and the
//! column.
//!
//! ```text
//! Source -> folder of files | table of cells | text on disk -> Examples or Stream -> Split of two Datasets
//!                       the task's Legend: names of classes, scales of columns ^
//! ```

pub mod asked;
mod cells;
mod check;
mod csv;
mod dataset;
pub mod digits;
mod error;
mod examples;
mod folder;
pub mod hamlet;
mod held_out;
pub mod idx;
mod images;
mod legend;
mod mel;
mod moments;
mod parquet;
mod place;
mod report;
mod rows;
mod schema;
mod series;
mod sound;
mod source;
mod split;
mod store;
mod stream;
mod table;
mod text;
mod tokenizer;
mod vocabulary;

pub use cells::Missing;
pub use check::check;
pub(crate) use dataset::Batch;
pub use dataset::Dataset;
pub use error::DataError;
pub use held_out::Share;
pub use images::image;
pub use legend::{Column, ColumnKind, Legend};
pub use place::{Place, Settings};
pub use report::{ClassCount, Report};
pub use schema::Schema;
pub use source::{Format, Source};
pub use split::Split;
pub(crate) use tokenizer::FILE_BYTES_MAX as TOKENIZER_BYTES_MAX;
pub use tokenizer::Tokenizer;
pub(crate) use vocabulary::EXPECTED as VOCABULARY_EXPECTED;
pub use vocabulary::{Passage, Vocabulary};

#[cfg(test)]
pub(crate) mod tests {
    //! What tests of other rooms need to make data of.

    pub(crate) use super::source::tests::language;
    pub(crate) use super::tokenizer::tests::SMALL as TOKENIZER;

    /// A text on disk, which is removed with the folder.
    pub(crate) fn text_of(text: &str) -> (tempfile::TempDir, super::Source) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("text.txt");
        std::fs::write(&path, text).expect("written");
        let source = path.display().to_string().parse().expect("a source");
        (directory, source)
    }
}
