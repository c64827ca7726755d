//! A model's flat vector, tensor by tensor: names, shapes and order.
//!
//! The order of the tensors here is the order of the parameters in every `Vec<f32>` of weights
//! that enters or leaves this crate. A layout is checked when it is made: its sizes do not overflow
//! and its names are distinct, whoever wrote the model.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::task::TaskError;

/// Most parameters a model may have.
pub const PARAM_COUNT_MAX: usize = 1 << 31;

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    name: String,
    shape: Vec<usize>,
    /// Initial values are uniform in `[-bound, bound)`; zero for a bias.
    bound: f32,
}

/// The tensors of a model in flat order.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    tensors: Vec<TensorSpec>,
    param_count: usize,
}

impl TensorSpec {
    /// A tensor whose initial values are uniform in `[-bound, bound)`, or zero where the bound is 0.
    /// The sizes of all tensors together are checked when a task is read.
    #[must_use]
    pub fn new(name: impl Into<String>, shape: &[usize], bound: f32) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), bound }
    }

    /// The tensor's name, unique in its layout: `layers.0.weight`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The length of each dimension; the last varies fastest in flat order.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Parameters in this tensor.
    #[must_use]
    pub fn param_count(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) const fn bound(&self) -> f32 {
        self.bound
    }
}

impl Layout {
    /// # Errors
    /// [`TaskError::TooManyParameters`] beyond [`PARAM_COUNT_MAX`], [`TaskError::SameName`].
    pub(crate) fn new(tensors: Vec<TensorSpec>) -> Result<Self, TaskError> {
        let (mut param_count, mut names) = (0_usize, BTreeSet::new());
        for tensor in &tensors {
            let size = tensor.shape.iter().try_fold(1_usize, |size, &length| size.checked_mul(length));
            let sum = size.and_then(|size| param_count.checked_add(size)).filter(|&sum| sum <= PARAM_COUNT_MAX);
            param_count = sum.ok_or(TaskError::TooManyParameters)?;
            if !names.insert(tensor.name()) {
                return Err(TaskError::SameName { tensor: tensor.name.clone() });
            }
        }
        Ok(Self { tensors, param_count })
    }

    /// The tensors in flat order.
    #[must_use]
    pub fn tensors(&self) -> &[TensorSpec] {
        &self.tensors
    }

    /// The size of each tensor in parameters, in flat order.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        self.tensors.iter().map(TensorSpec::param_count).collect()
    }

    /// Parameters in all: the length of a vector of weights.
    #[must_use]
    pub const fn param_count(&self) -> usize {
        self.param_count
    }

    /// Each tensor with its range in the flat vector; together they cover it once, in order.
    pub fn ranges(&self) -> impl Iterator<Item = (&TensorSpec, Range<usize>)> {
        self.tensors.iter().scan(0, |start, tensor| {
            let range = *start..*start + tensor.param_count();
            *start = range.end;
            Some((tensor, range))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shapes: &[&[usize]]) -> Result<Layout, TaskError> {
        Layout::new(shapes.iter().enumerate().map(|(i, shape)| TensorSpec::new(format!("t{i}"), shape, 0.0)).collect())
    }

    #[test]
    fn ranges_cover_the_vector_once() {
        let layout = layout(&[&[64, 64], &[64], &[64, 10], &[10]]).expect("a layout");
        let ranges: Vec<_> = layout.ranges().map(|(_, range)| range).collect();
        assert_eq!(ranges, [0..4_096, 4_096..4_160, 4_160..4_800, 4_800..4_810]);
        assert_eq!(layout.param_count(), 4_810);
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let too_many = Err(TaskError::TooManyParameters);
        assert_eq!(layout(&[&[PARAM_COUNT_MAX, 2]]), too_many);
        assert_eq!(layout(&[&[usize::MAX, 2]]), too_many);
        assert_eq!(layout(&[&[PARAM_COUNT_MAX], &[1]]), too_many);
        let twice = Layout::new(vec![TensorSpec::new("a", &[1], 0.0), TensorSpec::new("a", &[2], 0.0)]);
        assert_eq!(twice.expect_err("refused").to_string(), "`task.model` has two tensors of the name `a`");
    }
}
