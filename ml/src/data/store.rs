//! What was read, once: numbers with labels, a short text in memory, or a long one on disk.

use super::DataError;
use super::stream::Stream;

/// What all subsets of a data set share.
#[derive(Debug, PartialEq)]
pub(super) struct Store {
    pub(super) values: Values,
    pub(super) shape: Vec<usize>,
    /// Numbers in one example's inputs.
    pub(super) each: usize,
    /// Labels are below this.
    pub(super) classes: usize,
}

#[derive(Debug, PartialEq)]
pub(super) enum Values {
    /// The inputs, row after row. The answer is the label.
    Labelled(Vec<f32>),
    /// Row `i` begins at `i * each`; each token's answer is the next, and there is one after the last row.
    Text { tokens: Vec<u32>, vocabulary: usize },
    /// The same, read from its files when it is asked for.
    Stream(Stream),
}

impl Store {
    /// The size of a text's vocabulary; `None` of labelled examples.
    pub(super) fn vocabulary(&self) -> Option<usize> {
        match &self.values {
            Values::Labelled(_) => None,
            Values::Text { vocabulary, .. } => Some(*vocabulary),
            Values::Stream(stream) => Some(stream.vocabulary_size()),
        }
    }

    /// Adds a row's inputs and, of a text, the answer to each. `row` is one of this store's.
    pub(super) fn append(&self, row: u32, inputs: &mut Vec<f32>, answers: &mut Vec<i64>) -> Result<(), DataError> {
        let start = row as usize * self.each;
        let mut window = |tokens: &[u32]| {
            // A token is below 2^24, which f32 holds exactly.
            inputs.extend(tokens[..self.each].iter().map(|&token| token as f32));
            answers.extend(tokens[1..].iter().copied().map(i64::from));
        };
        match &self.values {
            Values::Labelled(numbers) => inputs.extend_from_slice(&numbers[start..start + self.each]),
            Values::Text { tokens, .. } => window(&tokens[start..=start + self.each]),
            Values::Stream(stream) => window(&stream.window(row)?),
        }
        Ok(())
    }
}
