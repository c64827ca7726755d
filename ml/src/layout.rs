//! A model's flat vector, tensor by tensor: names, shapes and order.
//!
//! The order of the tensors here is the order of the parameters in every `Vec<f32>` of weights
//! that enters or leaves this crate. A layout only ever comes from a task that was checked, so its
//! sizes do not overflow and its names are distinct.

use std::ops::Range;

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
    /// The caller, a model, has bounded every dimension; [`Layout::new`] checks the product.
    pub(crate) fn new(name: String, shape: &[usize], bound: f32) -> Self {
        Self { name, shape: shape.to_vec(), bound }
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
    /// `None` if there are more than [`PARAM_COUNT_MAX`] parameters.
    pub(crate) fn new(tensors: Vec<TensorSpec>) -> Option<Self> {
        let mut param_count = 0_usize;
        for tensor in &tensors {
            let size = tensor.shape.iter().try_fold(1_usize, |size, &length| size.checked_mul(length))?;
            param_count = param_count.checked_add(size)?;
        }
        (param_count <= PARAM_COUNT_MAX).then_some(Self { tensors, param_count })
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

    fn tensor(shape: &[usize]) -> TensorSpec {
        TensorSpec::new("t".to_owned(), shape, 0.0)
    }

    #[test]
    fn ranges_cover_the_vector_once() {
        let layout = Layout::new(vec![tensor(&[64, 64]), tensor(&[64]), tensor(&[64, 10]), tensor(&[10])]).expect("a layout");
        let ranges: Vec<_> = layout.ranges().map(|(_, range)| range).collect();
        assert_eq!(ranges, [0..4_096, 4_096..4_160, 4_160..4_800, 4_800..4_810]);
        assert_eq!(layout.param_count(), 4_810);
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        assert_eq!(Layout::new(vec![tensor(&[PARAM_COUNT_MAX, 2])]), None);
        assert_eq!(Layout::new(vec![tensor(&[usize::MAX, 2])]), None);
        assert_eq!(Layout::new(vec![tensor(&[PARAM_COUNT_MAX]), tensor(&[1])]), None);
    }
}
