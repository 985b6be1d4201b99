//! `.safetensors` files, read by the crate of the format, which checks the header against the file.

use safetensors::{Dtype, SafeTensors};

use super::error::WeightsError;
use super::tensors::{Element, Tensor, Weights};

/// Reads the tensors of `file`.
///
/// # Errors
/// A header that does not fit the file; a tensor without values.
pub(crate) fn read(file: &[u8]) -> Result<Weights<'_>, WeightsError> {
    let parsed = SafeTensors::deserialize(file)
        .map_err(|error| WeightsError::File(format!("not a safetensors file: {error}").replace(['\n', '\r'], " ")))?;
    let mut weights = Weights::default();
    for (name, view) in parsed.tensors() {
        let tensor = Tensor::new(view.shape().to_vec(), element(view.dtype()), view.data());
        weights.insert(&name, tensor.map_err(|what| WeightsError::Tensor { name: name.clone(), what })?)?;
    }
    Ok(weights)
}

fn element(kind: Dtype) -> Element {
    match kind {
        Dtype::F64 => Element::F64,
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        other => Element::Other(other.bitsize() / 8),
    }
}
