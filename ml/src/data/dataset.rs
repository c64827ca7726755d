//! Examples, checked once and shared: every [`Dataset`] is whole, finite and not empty.
//!
//! What was read lies in memory once, however many nodes of a simulation learn from it: a data set
//! is a choice of rows of a store that all its subsets share, and a clone is a few counted references.
//! A text on disk is not in memory at all: its windows are read as they are wanted.
//!
//! An example is one row of inputs and what a model should say to it: of a labelled example its
//! label; of a text, cut into windows of `context` tokens, the token that follows each one
//! of the window (so the last one's answer is the first of the next window). The label of a window
//! is who speaks in it or which file it is from: that, like the label of an image, is what a partition
//! divides by, unless the data has a column that says better (its groups).

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::DataError;
use super::rows::Rows;
use super::store::{Store, Values};
use super::stream::Stream;
use super::vocabulary::{Passage, Vocabulary};
use crate::permutation::Permutation;
use crate::task::Task;

/// Examples of one shape: at least one, all numbers finite, all labels below `classes`.
#[derive(Clone, Debug)]
pub struct Dataset {
    store: Arc<Store>,
    /// Which rows of the store.
    rows: Rows,
    /// The label of each; of a text on disk they are made when somebody asks.
    labels: OnceLock<Arc<[u32]>>,
    /// What a natural partition goes by instead of the labels, if there is such a column: the group of
    /// each example.
    groups: Option<Arc<[u32]>>,
}

/// Some examples on a device.
pub(crate) struct Batch {
    /// `[examples, numbers]`; tokens as numbers, which f32 holds exactly.
    pub(crate) inputs: Tensor<2>,
    /// `[answers, 1]`: the examples' answers one after the other, as many for each.
    pub(crate) answers: Tensor<2, Int>,
}

impl PartialEq for Dataset {
    fn eq(&self, other: &Self) -> bool {
        let alike = self.store == other.store && self.rows == other.rows && self.groups == other.groups;
        // The labels of a text on disk follow from the rest.
        alike && (matches!(self.store.values, Values::Stream(_)) || self.labels() == other.labels())
    }
}

impl Dataset {
    /// Takes up `labels.len()` examples; `inputs` holds them one after the other, each of `shape`
    /// with the last dimension varying fastest.
    ///
    /// # Errors
    /// [`DataError`] if there is none, if the numbers do not add up, if one is not finite, or if a
    /// label is not below `classes`.
    pub fn new(inputs: Vec<f32>, labels: Vec<u32>, shape: &[usize], classes: usize) -> Result<Self, DataError> {
        let each = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
        let each = each.filter(|&each| each > 0 && !shape.is_empty()).ok_or_else(|| DataError::Shape(shape.to_vec()))?;
        if labels.is_empty() {
            return Err(DataError::Empty);
        }
        if labels.len().checked_mul(each) != Some(inputs.len()) {
            return Err(DataError::Count { inputs: inputs.len(), labels: labels.len(), each });
        }
        if let Some(at) = inputs.iter().position(|input| !input.is_finite()) {
            let reason = format!("{} is not a finite number", inputs[at]);
            return Err(DataError::Cell { row: at / each + 1, column: at % each + 1, reason });
        }
        if let Some(at) = labels.iter().position(|&label| label as usize >= classes) {
            let reason = format!("label {} is not below {classes}", labels[at]);
            return Err(DataError::Cell { row: at + 1, column: each + 1, reason });
        }
        Self::whole(Store { values: Values::Labelled(inputs), shape: shape.to_vec(), each, classes }, labels)
    }

    /// Takes up a text, passage after passage, as windows of `context` characters, one behind the
    /// other. What is left at the end is no example. A window's label is the speaker of most of its
    /// characters.
    ///
    /// # Errors
    /// [`DataError`] if there is not one window, or `context` is 0.
    pub fn text(passages: &[Passage<'_>], vocabulary: &Vocabulary, context: usize) -> Result<Self, DataError> {
        if context == 0 {
            return Err(DataError::Shape(vec![context]));
        }
        let (mut tokens, mut speakers) = (Vec::new(), Vec::new());
        for passage in passages {
            tokens.extend(vocabulary.encode(passage.text));
            speakers.resize(tokens.len(), passage.speaker);
        }
        let windows = tokens.len().saturating_sub(1) / context;
        if windows == 0 {
            return Err(DataError::ShortText { length: tokens.len(), context });
        }
        let labels: Vec<u32> = speakers.chunks_exact(context).take(windows).map(most_frequent).collect();
        let classes = passages.iter().map(|passage| passage.speaker as usize + 1).max().unwrap_or(1);
        let values = Values::Text { tokens, vocabulary: vocabulary.size() };
        Self::whole(Store { values, shape: vec![context], each: context, classes }, labels)
    }

    /// Takes up a text on disk.
    pub(super) fn stream(stream: Stream) -> Self {
        let (context, classes, len) = (stream.context(), stream.classes(), stream.windows());
        let store = Store { shape: vec![context], each: context, classes, values: Values::Stream(stream) };
        Self { store: Arc::new(store), rows: Rows::Range { first: 0, len }, labels: OnceLock::new(), groups: None }
    }

    fn whole(store: Store, labels: Vec<u32>) -> Result<Self, DataError> {
        let len = u32::try_from(labels.len()).map_err(|_| DataError::TooMany(labels.len()))?;
        let rows = Rows::Range { first: 0, len };
        Ok(Self { store: Arc::new(store), rows, labels: OnceLock::from(Arc::from(labels)), groups: None })
    }

    /// The same examples, which a natural partition divides by these groups, one for each example.
    ///
    /// # Errors
    /// [`DataError::Count`] if there are more or fewer groups than examples.
    pub fn with_groups(self, groups: Vec<u32>) -> Result<Self, DataError> {
        if groups.len() != self.len() {
            return Err(DataError::Count { inputs: groups.len(), labels: self.len(), each: 1 });
        }
        Ok(Self { groups: Some(groups.into()), ..self })
    }

    /// Examples: one at least.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a data set is never empty")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The shape of one example; of a text the number of characters in a window.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.store.shape
    }

    /// How many labels there may be; not all need occur. Of a text: speakers.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.store.classes
    }

    /// The label of each example; of a text who speaks in it or which file it is from. Of a text on disk
    /// the list is made by the first call: four bytes for each window.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        self.labels.get_or_init(|| match &self.store.values {
            Values::Stream(stream) => self.rows.iter().map(|row| stream.label(row)).collect(),
            // Given when these were made.
            Values::Labelled(_) | Values::Text { .. } => Arc::default(),
        })
    }

    /// What a natural partition goes by: the groups if there are any, else the labels.
    #[must_use]
    pub fn groups(&self) -> &[u32] {
        self.groups.as_deref().unwrap_or_else(|| self.labels())
    }

    /// Whether the examples are too many to be listed without need: a text that is read from disk.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        matches!(self.store.values, Values::Stream(_))
    }

    /// The inputs of one example: numbers, or the tokens of a text as numbers. `None` if there is no such
    /// example, or its file can no longer be read.
    #[must_use]
    pub fn input(&self, index: usize) -> Option<Vec<f32>> {
        let row = self.rows.get(index)?;
        let mut input = Vec::with_capacity(self.store.each);
        self.store.append(row, &mut input, &mut Vec::new()).ok()?;
        Some(input)
    }

    /// How many examples each label has.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes()];
        match &self.store.values {
            Values::Stream(stream) => self.rows.iter().for_each(|row| counts[stream.label(row) as usize] += 1),
            Values::Labelled(_) | Values::Text { .. } => self.labels().iter().for_each(|&label| counts[label as usize] += 1),
        }
        counts
    }

    /// These examples, in this order. Nothing is copied but their places and labels.
    ///
    /// # Errors
    /// [`DataError::NoExample`] if an index is too large, [`DataError::Empty`] if there is none.
    pub fn subset(&self, indices: &[usize]) -> Result<Self, DataError> {
        if indices.is_empty() {
            return Err(DataError::Empty);
        }
        if let Some(&index) = indices.iter().find(|&&index| index >= self.len()) {
            return Err(DataError::NoExample { index, len: self.len() });
        }
        let pick = |from: &[u32]| indices.iter().map(|&index| from[index]).collect::<Arc<[u32]>>();
        let rows = indices.iter().filter_map(|&index| self.rows.get(index)).collect();
        let labels = if self.is_streamed() { OnceLock::new() } else { OnceLock::from(pick(self.labels())) };
        Ok(Self { store: Arc::clone(&self.store), rows: Rows::List(rows), labels, groups: self.groups.as_deref().map(pick) })
    }

    /// `count` examples from `from` on, as they stand. Of a whole text on disk this lists nothing.
    ///
    /// # Errors
    /// As [`Dataset::subset`].
    pub fn stretch(&self, from: usize, count: usize) -> Result<Self, DataError> {
        match self.rows.stretch(from, count).filter(|_| self.is_streamed() && count > 0) {
            Some(rows) => Ok(Self { store: Arc::clone(&self.store), rows, labels: OnceLock::new(), groups: None }),
            None => self.subset(&(from..from.saturating_add(count).min(self.len() + 1)).collect::<Vec<_>>()),
        }
    }

    /// Of the examples of a text on disk, shuffled, every `step`-th from place `from` on, `count` of them:
    /// without a list. `None` of other data, or if there are not as many. `shuffle` is one of as many as
    /// there are examples.
    pub(crate) fn drawn(&self, shuffle: Permutation, from: usize, step: usize, count: usize) -> Option<Self> {
        let rows = self.is_streamed().then(|| self.rows.drawn(shuffle, from, step, count))??;
        Some(Self { store: Arc::clone(&self.store), rows, labels: OnceLock::new(), groups: None })
    }

    /// Whether a model of this task can take these examples.
    ///
    /// # Errors
    /// [`DataError::OtherKind`], [`DataError::OtherShape`] or [`DataError::OtherClasses`].
    pub fn check(&self, task: &Task) -> Result<(), DataError> {
        let (text, classes) = match self.store.vocabulary() {
            None => (false, self.store.classes),
            Some(vocabulary) => (true, vocabulary),
        };
        if text != task.vocabulary().is_some() {
            let kind = |text| if text { "text" } else { "labelled examples" };
            return Err(DataError::OtherKind { task: kind(!text), data: kind(text) });
        }
        if self.shape() != task.inputs() {
            return Err(DataError::OtherShape { task: task.inputs().to_vec(), data: self.shape().to_vec() });
        }
        if classes != task.classes() {
            return Err(DataError::OtherClasses { task: task.classes(), data: classes });
        }
        Ok(())
    }

    /// How many data sets share what was read.
    #[cfg(test)]
    pub(crate) fn shares(&self) -> usize {
        Arc::strong_count(&self.store)
    }

    /// These examples on a device. Every index is below [`Dataset::len`].
    ///
    /// # Errors
    /// [`DataError::File`] if a text on disk can no longer be read.
    pub(crate) fn batch(&self, indices: impl ExactSizeIterator<Item = usize>, device: &Device) -> Result<Batch, DataError> {
        let examples = indices.len();
        let mut inputs = Vec::with_capacity(examples * self.store.each);
        let mut answers = Vec::with_capacity(examples);
        let labels = if self.is_streamed() { &[][..] } else { self.labels() };
        for index in indices {
            let row = self.rows.get(index).ok_or(DataError::NoExample { index, len: self.len() })?;
            self.store.append(row, &mut inputs, &mut answers)?;
            if self.store.vocabulary().is_none() {
                answers.push(i64::from(labels[index]));
            }
        }
        let answers_shape = [answers.len(), 1];
        Ok(Batch {
            inputs: Tensor::from_data(TensorData::new(inputs, [examples, self.store.each]), device),
            answers: Tensor::from_data(TensorData::new(answers, answers_shape), device),
        })
    }
}

/// The most frequent of these; of several the smallest. 0 of none.
fn most_frequent(labels: &[u32]) -> u32 {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(u32::eq);
    // The last of equal lengths wins, so the smallest label must come last.
    runs.rev().max_by_key(|run| run.len()).map_or(0, |run| run[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> Dataset {
        Dataset::new(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], vec![0, 1, 2, 1], &[2], 3).expect("four examples")
    }

    fn vocabulary(characters: &str) -> Vocabulary {
        Vocabulary::new(characters).expect("a vocabulary")
    }

    #[test]
    fn what_does_not_add_up_is_refused_and_says_where() {
        let try_new = |inputs: &[f32], labels: &[u32], shape: &[usize]| {
            Dataset::new(inputs.to_vec(), labels.to_vec(), shape, 3).expect_err("refused").to_string()
        };
        assert_eq!(try_new(&[], &[], &[2]), "there is no example in the data");
        assert_eq!(try_new(&[1.0], &[0], &[]), "an example cannot have the shape []");
        assert_eq!(try_new(&[1.0], &[0], &[0, 2]), "an example cannot have the shape [0, 2]");
        assert_eq!(try_new(&[1.0], &[0], &[usize::MAX, 2]), format!("an example cannot have the shape [{}, 2]", usize::MAX));
        assert_eq!(try_new(&[1.0; 3], &[0, 1], &[2]), "3 numbers do not make 2 examples of 2 numbers each");
        assert_eq!(try_new(&[1.0, 1.0, 1.0, f32::NAN], &[0, 1], &[2]), "row 2, column 2: NaN is not a finite number");
        assert_eq!(try_new(&[1.0; 4], &[0, 3], &[2]), "row 2, column 3: label 3 is not below 3");
    }

    #[test]
    fn a_subset_keeps_examples_whole_and_in_the_order_asked() {
        let subset = four().subset(&[3, 0]).expect("two examples");
        assert_eq!((subset.input(0), subset.input(1), subset.input(2)), (Some(vec![6.0, 7.0]), Some(vec![0.0, 1.0]), None));
        assert_eq!((subset.labels(), subset.class_counts()), (&[1, 0][..], vec![1, 1, 0]));
        assert_eq!(subset.subset(&[1]).expect("one").input(0), Some(vec![0.0, 1.0]));
        assert_eq!(four().subset(&[4]), Err(DataError::NoExample { index: 4, len: 4 }));
        assert_eq!(four().subset(&[]), Err(DataError::Empty));
    }

    #[test]
    fn a_subset_shares_what_was_read() {
        let data = four();
        assert!(Arc::ptr_eq(&data.store, &data.subset(&[1]).expect("one").store));
    }

    #[test]
    fn a_text_is_cut_into_windows_whose_answers_are_one_character_ahead() {
        let passages = [Passage { speaker: 1, text: "abcd" }, Passage { speaker: 0, text: "efgha?" }];
        let data = Dataset::text(&passages, &vocabulary("abcdefgh"), 3).expect("a text");
        assert_eq!((data.len(), data.shape(), data.classes()), (3, &[3][..], 2));
        assert_eq!(data.labels(), [1, 0, 0], "the speaker of most characters");
        let batch = data.batch([2, 0].into_iter(), &crate::Device::Cpu.open()).expect("in memory");
        assert_eq!(batch.inputs.try_to_vec_as::<f32>().expect("numbers"), [6.0, 7.0, 0.0, 0.0, 1.0, 2.0]);
        let answers = batch.answers.try_to_vec_as::<i64>().expect("numbers");
        assert_eq!(answers, [7, 0, 0, 1, 2, 3], "an unknown character is read as the first");
    }

    #[test]
    fn a_text_without_a_window_is_refused() {
        let try_text = |text, context| {
            Dataset::text(&[Passage { speaker: 0, text }], &vocabulary("ab"), context).map_err(|error| error.to_string())
        };
        let short = |length, context| {
            Err(format!("a text of {length} characters is too short for one example of {context} and the character after them"))
        };
        assert_eq!(try_text("", 1), short(0, 1));
        assert_eq!(try_text("abab", 4), short(4, 4));
        assert_eq!(try_text("abab", usize::MAX), short(4, usize::MAX));
        assert_eq!(try_text("abab", 0), Err("an example cannot have the shape [0]".to_owned()));
        assert_eq!(try_text("ababa", 4).map(|data| data.len()), Ok(1));
    }

    #[test]
    fn the_smallest_of_equally_frequent_labels_counts() {
        assert_eq!([&[][..], &[4, 2, 4, 2], &[3, 1, 3]].map(most_frequent), [0, 2, 3]);
    }
}
