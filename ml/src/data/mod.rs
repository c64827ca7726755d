//! Examples and their labels, checked once: every [`Dataset`] is whole, finite and not empty.
//!
//! Data never leaves the node. What reads a format (a room of its own beside this file) makes a
//! `Dataset`; what trains only ever sees one. Rows and columns in errors are counted from 1, as
//! people and spreadsheets do.

pub mod digits;
mod split;

pub use split::Split;

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::task::Task;

/// Data that cannot be used, and where in it the fault lies.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DataError {
    /// No example at all.
    #[error("there is no example in the data")]
    Empty,
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
    /// Examples of another shape than the task's.
    #[error("the task takes examples of shape {task:?}, but the data has {data:?}")]
    OtherShape {
        /// The task's shape.
        task: Vec<usize>,
        /// The data's shape.
        data: Vec<usize>,
    },
    /// Another number of classes than the task's.
    #[error("the task has {task} classes, but the data has {data}")]
    OtherClasses {
        /// The task's classes.
        task: usize,
        /// The data's classes.
        data: usize,
    },
}

/// Labelled examples of one shape: at least one, all numbers finite, all labels below `classes`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    inputs: Vec<f32>,
    labels: Vec<u32>,
    shape: Vec<usize>,
    classes: usize,
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
        Ok(Self { inputs, labels, shape: shape.to_vec(), classes })
    }

    /// Examples: one at least.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a data set is never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The shape of one example.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many classes there may be; not all need occur.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// All inputs, example after example.
    #[must_use]
    pub fn inputs(&self) -> &[f32] {
        &self.inputs
    }

    /// The label of each example.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The numbers of one example.
    #[must_use]
    pub fn input(&self, index: usize) -> Option<&[f32]> {
        let each = self.inputs.len() / self.labels.len();
        self.inputs.chunks_exact(each).nth(index)
    }

    /// How many examples each class has.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for &label in &self.labels {
            counts[label as usize] += 1;
        }
        counts
    }

    /// These examples, in this order.
    ///
    /// # Errors
    /// [`DataError::NoExample`] if an index is too large, [`DataError::Empty`] if there is none.
    pub fn subset(&self, indices: &[usize]) -> Result<Self, DataError> {
        let mut inputs = Vec::with_capacity(indices.len() * (self.inputs.len() / self.labels.len()));
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            inputs.extend_from_slice(self.input(index).ok_or(DataError::NoExample { index, len: self.len() })?);
            labels.push(self.labels[index]);
        }
        if labels.is_empty() {
            return Err(DataError::Empty);
        }
        Ok(Self { inputs, labels, shape: self.shape.clone(), classes: self.classes })
    }

    /// Whether a model of this task can take these examples.
    ///
    /// # Errors
    /// [`DataError::OtherShape`] or [`DataError::OtherClasses`].
    pub fn check(&self, task: &Task) -> Result<(), DataError> {
        if self.shape != task.inputs() {
            return Err(DataError::OtherShape { task: task.inputs().to_vec(), data: self.shape.clone() });
        }
        if self.classes != task.classes() {
            return Err(DataError::OtherClasses { task: task.classes(), data: self.classes });
        }
        Ok(())
    }

    /// A range of examples on a device: inputs `[examples, numbers]` and labels `[examples, 1]`.
    pub(crate) fn to_tensors(&self, range: Range<usize>, device: &Device) -> (Tensor<2>, Tensor<2, Int>) {
        let each = self.inputs.len() / self.labels.len();
        let inputs = self.inputs[range.start * each..range.end * each].to_vec();
        let labels: Vec<i64> = self.labels[range.clone()].iter().copied().map(i64::from).collect();
        let inputs = Tensor::from_data(TensorData::new(inputs, [range.len(), each]), device);
        (inputs, Tensor::from_data(TensorData::new(labels, [range.len(), 1]), device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> Dataset {
        Dataset::new(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], vec![0, 1, 2, 1], &[2], 3).expect("four examples")
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
        assert_eq!((subset.inputs(), subset.labels()), (&[6.0, 7.0, 0.0, 1.0][..], &[1, 0][..]));
        assert_eq!(subset.class_counts(), [1, 1, 0]);
        assert_eq!(four().subset(&[4]), Err(DataError::NoExample { index: 4, len: 4 }));
        assert_eq!(four().subset(&[]), Err(DataError::Empty));
    }
}
