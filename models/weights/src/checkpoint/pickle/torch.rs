//! What [`torch.save`](https://github.com/pytorch/pytorch/blob/main/torch/serialization.py) adds to plain pickles:
//! storages, and three calls.

use super::machine::{Machine, Stop};
use super::value::{Global, Ref, Value};

/// The most dimensions of a tensor; the weights of a convolution have 4.
const MAX_RANK: usize = 8;
/// The longest name of a storage: they are numbered, or before PyTorch 1.6 named by their address.
const MAX_KEY: usize = 32;

impl Machine<'_> {
    /// Pushes the storage that the tuple `("storage", torch.FloatStorage, key, device, values)` describes. Files from
    /// before PyTorch 1.6 have a sixth value, which has to be `None`: a view into another storage is refused.
    pub(super) fn storage(&mut self) -> Result<(), Stop> {
        let id = self.pop_tuple()?;
        let ([tag, kind, key, _device, values] | [tag, kind, key, _device, values, _]) = id[..] else {
            return Err("a storage is not described by five values".into());
        };
        if id.get(5).is_some_and(|&view| *self.objects.get(view) != Value::Ignored) {
            return Err("a storage that is a part of another is not supported".into());
        }
        let described = [tag, kind, key, values].map(|part| self.objects.get(part));
        let [Value::Text("storage"), &Value::Global(Global::Storage(element)), &Value::Text(key), &Value::Int(values)] =
            described
        else {
            return Err("a storage is not described as PyTorch does".into());
        };
        let values = usize::try_from(values).map_err(|_| "a storage of a negative size")?;
        if key.len() > MAX_KEY {
            return Err("a storage of an absurd name".into());
        }
        self.push(Value::Storage { element, key, values });
        Ok(())
    }

    /// Pushes what Python would make by a call: an empty dictionary, a tensor, or a parameter, which is a tensor.
    pub(super) fn rebuild(&mut self) -> Result<(), Stop> {
        let (arguments, function) = (self.pop_tuple()?, self.pop()?);
        match (self.objects.get(function), &arguments[..]) {
            (Value::Global(Global::OrderedDict), []) => self.push(Value::Dict(Vec::new())),
            (Value::Global(Global::RebuildParameter), &[tensor, _, _]) => self.stack.push(tensor),
            (Value::Global(Global::RebuildTensor), &[storage, offset, dims, strides, _, _])
            | (Value::Global(Global::RebuildTensor), &[storage, offset, dims, strides, _, _, _]) => {
                let (dims, strides) = (self.sizes(dims)?, self.sizes(strides)?);
                let offset = self.size(offset)?;
                self.push(Value::Tensor { storage, offset, dims, strides });
            }
            _ => return Err("a call that torch.save does not write is not accepted".into()),
        }
        Ok(())
    }

    fn sizes(&self, tuple: Ref) -> Result<Vec<usize>, Stop> {
        match self.objects.get(tuple) {
            Value::Tuple(items) if items.len() <= MAX_RANK => items.iter().map(|&item| self.size(item)).collect(),
            Value::Tuple(_) => Err("a shape of too many dimensions".into()),
            _ => Err("a shape is no tuple".into()),
        }
    }

    fn size(&self, at: Ref) -> Result<usize, Stop> {
        match self.objects.get(at) {
            Value::Int(value) => usize::try_from(*value).map_err(|_| "a size is negative".into()),
            _ => Err("a size is no number".into()),
        }
    }
}
