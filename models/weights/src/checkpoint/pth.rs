//! `.pth` files: from the objects of the pickle to tensors, each of which is a checked piece of its storage.

use std::collections::HashMap;

use super::archive::{Archive, Storages};
use super::error::WeightsError;
use super::legacy;
use super::pickle::{
    self, Pickle,
    value::{Objects, Ref, Value},
};
use super::tensors::{Tensor, Weights, count};

/// The keys under which the tensors lie, in the order of preference. A file without either holds nothing but tensors.
/// Real-ESRGAN and GFPGAN prefer `params_ema` as well.
const KEYS: [&str; 2] = ["params_ema", "params"];

/// Reads the tensors of `file`.
///
/// # Errors
/// A file that is not as `torch.save` writes it; a tensor that is not a row of values of its own.
pub(crate) fn read(file: &[u8]) -> Result<Weights<'_>, WeightsError> {
    let (Pickle { objects, root, .. }, storages) = if legacy::is(file) {
        legacy::read(file)?
    } else {
        let (pickle, storages) = Archive::open(file)?.into_parts();
        (pickle::read(pickle)?, storages)
    };
    let Value::Dict(top) = objects.get(root) else {
        return Err(WeightsError::File("not a dictionary of tensors".to_owned()));
    };
    let under =
        |key: &&str| top.iter().find(|(name, _)| matches!(objects.get(*name), Value::Text(text) if text == key));
    let tensors = KEYS.iter().find_map(under).map_or(root, |&(_, tensors)| tensors);
    let Value::Dict(tensors) = objects.get(tensors) else {
        return Err(WeightsError::File("its parameters are not a dictionary of tensors".to_owned()));
    };
    let mut weights = Weights::default();
    let mut claimed = HashMap::new();
    for &(name, tensor) in tensors {
        let Value::Text(name) = objects.get(name) else {
            return Err(WeightsError::File("a tensor's name is not text".to_owned()));
        };
        let view = view(&objects, tensor, &storages, &mut claimed);
        weights.insert(name, view.map_err(|what| WeightsError::Tensor { name: shortened(name), what })?)?;
    }
    Ok(weights)
}

/// The tensor `of`, whose values have to lie row by row in a piece of its storage that no other tensor uses.
/// `claimed` counts the bytes of each storage that are in use, because tensors that share bytes would make a large model
/// out of a small file.
fn view<'a>(
    objects: &Objects<'a>,
    of: Ref,
    storages: &Storages<'a>,
    claimed: &mut HashMap<&'a str, usize>,
) -> Result<Tensor<'a>, String> {
    let Value::Tensor { storage, offset, dims, strides } = objects.get(of) else {
        return Err("is not a tensor".to_owned());
    };
    let Value::Storage { element, key, values } = objects.get(*storage) else {
        return Err("has no storage".to_owned());
    };
    let stored = storages.get(*key).ok_or_else(|| format!("its storage {key:?} is not in the file"))?;
    if values.checked_mul(element.size()) != Some(stored.len()) {
        return Err(format!("its storage {key:?} has {} bytes, not {values} values", stored.len()));
    }
    if !row_by_row(dims, strides) {
        return Err(format!(
            "strides {strides:?} for the shape {dims:?} are not supported: values have to lie in a row"
        ));
    }
    let length = count(dims).and_then(|count| count.checked_mul(element.size()));
    let range =
        length.zip(offset.checked_mul(element.size())).and_then(|(n, start)| Some(start..start.checked_add(n)?));
    let range = range.ok_or_else(|| format!("the shape {dims:?} is absurd"))?;
    let bytes = stored.get(range).ok_or_else(|| format!("the shape {dims:?} reaches beyond its storage {key:?}"))?;
    let used = claimed.entry(key).or_default();
    // This cannot overflow: the sum so far is at most the size of the storage, and so is what is added.
    *used += bytes.len();
    if *used > stored.len() {
        return Err(format!("shares its storage {key:?} with another tensor, which is not supported"));
    }
    Tensor::new(dims.clone(), *element, bytes)
}

/// Whether `strides` are those of a tensor whose last dimension runs fastest. The stride of a dimension of size one does
/// not matter.
fn row_by_row(dims: &[usize], strides: &[usize]) -> bool {
    let mut next = Some(1_usize);
    dims.len() == strides.len()
        && dims.iter().zip(strides).rev().all(|(&dim, &stride)| {
            let fits = dim == 1 || next == Some(stride);
            next = next.and_then(|next| next.checked_mul(dim));
            fits
        })
}

fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}
