//! The file that [`torch.save`](https://github.com/pytorch/pytorch/blob/main/torch/serialization.py) wrote before PyTorch
//! 1.6. The released files of GFPGAN and facexlib are of this form.
//!
//! The file holds five pickles: a magic number, the protocol, what the machine that wrote it was like, the object, and
//! the keys of its storages. Each storage follows in the order of the keys, as a count of values and the values. Nothing
//! may come after them.

use std::collections::HashMap;

use super::archive::Storages;
use super::error::WeightsError;
use super::pickle::{self, Pickle, value::Value};
use super::tensors::Element;

/// The pickle of the number 0x1950a86a20f9469cfc6c.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
const PROTOCOL: i64 = 1001;

/// Whether `file` is of this kind.
pub(crate) fn is(file: &[u8]) -> bool {
    file.starts_with(MAGIC)
}

/// Reads the pickle of the object, and the storages by their keys.
///
/// # Errors
/// A file that is cut off, or not as `torch.save` writes it.
pub(crate) fn read(file: &[u8]) -> Result<(Pickle<'_>, Storages<'_>), WeightsError> {
    let mut rest = Rest { file, at: MAGIC.len() };
    let protocol = rest.pickle()?;
    if *protocol.objects.get(protocol.root) != Value::Int(PROTOCOL) {
        return Err(WeightsError::File("not a PyTorch file of a known protocol".to_owned()));
    }
    if !little_endian(&rest.pickle()?) {
        return Err(WeightsError::File("not a PyTorch file whose byte order is little-endian".to_owned()));
    }
    let pickle = rest.pickle()?;
    let elements: HashMap<&str, Element> = pickle.objects.storages().collect();
    let keys = rest.pickle()?;
    let Value::List(listed) = keys.objects.get(keys.root) else {
        return Err(WeightsError::File("not a PyTorch file: it does not list its storages".to_owned()));
    };
    let mut storages = Storages::with_capacity(elements.len());
    for &key in listed {
        let Value::Text(key) = *keys.objects.get(key) else {
            return Err(WeightsError::File("the key of a storage is not text".to_owned()));
        };
        let element = elements.get(key).filter(|_| !storages.contains_key(key));
        let element = element.ok_or_else(|| WeightsError::File("it lists a storage that no tensor has".to_owned()))?;
        let cut = || WeightsError::File(format!("it ends within its storage {key:?}"));
        storages.insert(key.to_owned(), rest.storage(*element).ok_or_else(cut)?);
    }
    match file.len() - rest.at {
        0 => Ok((pickle, storages)),
        more => Err(WeightsError::File(format!("{more} bytes follow its last storage"))),
    }
}

fn little_endian(system: &Pickle<'_>) -> bool {
    let get = |at| system.objects.get(at);
    let Value::Dict(entries) = get(system.root) else { return false };
    entries.iter().any(|&(key, value)| *get(key) == Value::Text("little_endian") && *get(value) == Value::Bool(true))
}

/// The part of the file that is not read yet.
struct Rest<'a> {
    file: &'a [u8],
    /// The position in `file`, which is never beyond the end.
    at: usize,
}

impl<'a> Rest<'a> {
    fn pickle(&mut self) -> Result<Pickle<'a>, WeightsError> {
        let pickle = pickle::read(&self.file[self.at..]).map_err(|error| match error {
            WeightsError::Pickle { at, what } => WeightsError::Pickle { at: self.at + at, what },
            other => other,
        })?;
        self.at += pickle.length;
        Ok(pickle)
    }

    fn storage(&mut self, element: Element) -> Option<&'a [u8]> {
        let (count, rest) = self.file[self.at..].split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(element.size())?;
        let bytes = rest.get(..length)?;
        self.at += count.len() + length;
        Some(bytes)
    }
}
