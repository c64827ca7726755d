//! What examples look like, before there is a task for them: all that a run spec says of its data.

use std::collections::BTreeSet;

use super::{DataError, Source, digits, hamlet, idx};

/// Labels of an IDX file are bytes.
const IDX_CLASSES_MAX: usize = 256;

/// The shape of a source's examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Examples of one shape, each with a label.
    Labelled {
        /// The shape of one example.
        shape: Vec<usize>,
        /// Labels are below this.
        classes: usize,
        /// Examples to train on.
        examples: usize,
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
                Ok(Schema::Labelled { shape: data.shape().to_vec(), classes: data.classes(), examples: data.len() })
            }
            Self::Hamlet => {
                let text = hamlet::load()?;
                Ok(Schema::Text { characters: characters(&text), length: text.chars().count() })
            }
            Self::Idx(directory) => {
                let split = idx::load(directory, IDX_CLASSES_MAX)?;
                let labels = split.train.labels().iter().chain(split.test.labels());
                let classes = labels.max().map_or(0, |&most| most as usize + 1);
                Ok(Schema::Labelled { shape: split.train.shape().to_vec(), classes, examples: split.train.len() })
            }
        }
    }
}

/// The characters of a text in order, a space before all others: what a vocabulary does not have is
/// read as its first.
fn characters(text: &str) -> String {
    let others: BTreeSet<char> = text.chars().filter(|&character| character != ' ').collect();
    std::iter::once(' ').chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Vocabulary;

    #[test]
    fn the_built_in_sources_say_what_they_are() {
        let digits = Schema::Labelled { shape: vec![8, 8], classes: 10, examples: 1_797 };
        assert_eq!(Source::Digits.schema(), Ok(digits));
        let Ok(Schema::Text { characters, length }) = Source::Hamlet.schema() else { panic!("a text") };
        assert!(Vocabulary::new(&characters).is_some() && characters.starts_with(' ') && length > 100_000);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert!(Source::Idx("/absent".into()).schema().is_err());
        assert_eq!(characters("b a\nb"), " \nab");
    }
}
