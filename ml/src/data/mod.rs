//! What a node learns from: labelled examples or text, checked once.
//!
//! Data never leaves the node. What reads a format (a room of its own beside this file) makes a
//! [`Dataset`]; what trains only ever sees one.

mod dataset;
pub mod digits;
mod error;
pub mod hamlet;
pub mod idx;
mod schema;
mod source;
mod split;
mod text;

pub(crate) use dataset::Batch;
pub use dataset::Dataset;
pub use error::DataError;
pub use schema::Schema;
pub use source::Source;
pub use split::Split;
pub(crate) use text::EXPECTED as VOCABULARY_EXPECTED;
pub use text::{Passage, Vocabulary};
