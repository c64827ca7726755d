//! Between a flat `[f32]` of weights and one tensor per entry of the [`Layout`].
//!
//! Tensors are kept flattened (rank 1); a model reshapes them where it uses them. Weights that do
//! not fit the layout or are not finite never become tensors, and tensors that are not finite never
//! become weights.

use burn::tensor::{Device, Tensor, TensorData};

use crate::layout::Layout;

/// Weights that cannot be those of this model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// Another number of parameters than the layout's.
    #[error("the model has {expected} parameters, but {actual} weights were given")]
    Count {
        /// What the layout asks for.
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// A NaN or an infinity.
    #[error("weight {index} of tensor `{tensor}` is not a finite number")]
    NotFinite {
        /// The tensor's name.
        tensor: String,
        /// The index within the tensor.
        index: usize,
    },
}

/// Refuses weights of the wrong number and numbers that are not finite.
pub(crate) fn check(layout: &Layout, weights: &[f32]) -> Result<(), WeightsError> {
    if weights.len() != layout.param_count() {
        return Err(WeightsError::Count { expected: layout.param_count(), actual: weights.len() });
    }
    for (tensor, range) in layout.ranges() {
        if let Some(index) = weights[range].iter().position(|weight| !weight.is_finite()) {
            return Err(WeightsError::NotFinite { tensor: tensor.name().to_owned(), index });
        }
    }
    Ok(())
}

/// The tensors of checked weights, in flat order. The slice has the layout's length.
pub(crate) fn to_tensors(layout: &Layout, weights: &[f32], device: &Device) -> Vec<Tensor<1>> {
    layout.ranges().map(|(_, range)| from_slice(&weights[range], device)).collect()
}

/// Appends the tensors' values in flat order. `None` if the device failed to hand them over.
pub(crate) fn to_weights(tensors: &[Tensor<1>]) -> Option<Vec<f32>> {
    let mut weights = Vec::with_capacity(tensors.iter().map(|tensor| tensor.dims()[0]).sum());
    for tensor in tensors {
        weights.extend(tensor.try_to_vec_as::<f32>().ok()?);
    }
    Some(weights)
}

/// A rank-1 tensor of these numbers.
pub(crate) fn from_slice(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}
