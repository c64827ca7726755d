//! What examples look like, before there is a task for them: all that a run spec says of its data.

use super::legend::Legend;
use super::source::Source;
use super::text::Characters;
use super::{DataError, digits, hamlet, idx};

/// Labels of an IDX file are bytes.
const IDX_CLASSES_MAX: usize = 256;

/// The shape of a source's examples.
#[derive(Clone, Debug, PartialEq)]
pub enum Schema {
    /// Examples of one shape, each with a label.
    Labelled {
        /// The shape of one example.
        shape: Vec<usize>,
        /// Labels are below this.
        classes: usize,
        /// Examples in all, or to train on where a part of the files is for testing.
        examples: usize,
        /// What classes and columns are called; of a table also how its numbers are scaled.
        legend: Legend,
    },
    /// A text.
    Text {
        /// Its characters, the most harmless first: what a vocabulary is made of.
        characters: String,
        /// Its length in characters.
        length: usize,
    },
}

impl Source {
    /// What its examples look like.
    ///
    /// # Errors
    /// [`DataError`] if it cannot be read.
    pub fn schema(&self) -> Result<Schema, DataError> {
        match self {
            Self::Digits => {
                let data = digits::load()?;
                let (shape, classes) = (data.shape().to_vec(), data.classes());
                Ok(Schema::Labelled { shape, classes, examples: data.len(), legend: Legend::default() })
            }
            Self::Hamlet => {
                let text = hamlet::load()?;
                let mut characters = Characters::default();
                characters.add(&text);
                Ok(Schema::Text { characters: characters.vocabulary(), length: text.chars().count() })
            }
            Self::Idx(directory) => {
                let split = idx::load(directory, IDX_CLASSES_MAX)?;
                let labels = split.train.labels().iter().chain(split.test.labels());
                let classes = labels.max().map_or(0, |&most| most as usize + 1);
                let (shape, examples) = (split.train.shape().to_vec(), split.train.len());
                Ok(Schema::Labelled { shape, classes, examples, legend: Legend::default() })
            }
            Self::Files(format, place) => format.schema(place),
            Self::Path(place) => place.found()?.schema(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Vocabulary;

    #[test]
    fn the_built_in_sources_say_what_they_are() {
        let digits = Schema::Labelled { shape: vec![8, 8], classes: 10, examples: 1_797, legend: Legend::default() };
        assert_eq!(Source::Digits.schema(), Ok(digits));
        let Ok(Schema::Text { characters, length }) = Source::Hamlet.schema() else { panic!("a text") };
        assert!(Vocabulary::new(&characters).is_some() && characters.starts_with(' ') && length > 100_000);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert!(Source::Idx("/absent".into()).schema().is_err());
    }
}
