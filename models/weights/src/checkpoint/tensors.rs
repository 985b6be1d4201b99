//! Named tensors. An architecture takes its tensors one by one; a tensor that is left at the end is surplus.

use std::collections::BTreeMap;

use half::{bf16, f16};

use super::error::WeightsError;

/// The size that the weights of a model may have in float32: a protobuf message ends at 2 GiB.
const MAX_EXPANDED: usize = (1 << 31) - (1 << 24);
/// The longest accepted name; the known names have fewer than 40 bytes.
const MAX_NAME: usize = 256;

/// How one value of a tensor is stored. The byte order is little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F64,
    F32,
    F16,
    Bf16,
    /// Integers and the like, of that many bytes. A file may have such tensors, but they are no weights.
    Other(usize),
}

impl Element {
    /// The bytes of one value.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(size) => size,
        }
    }
}

/// A tensor where it lies in the file, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    dims: Vec<usize>,
    element: Element,
    bytes: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// A tensor of at least one value, whose shape has to fit `bytes` exactly.
    pub(crate) fn new(dims: Vec<usize>, element: Element, bytes: &'a [u8]) -> Result<Self, String> {
        let count = count(&dims).filter(|&count| count > 0).ok_or_else(|| format!("the shape {dims:?} is absurd"))?;
        if count.checked_mul(element.size()) != Some(bytes.len()) {
            return Err(format!("the shape {dims:?} does not fit its {} bytes", bytes.len()));
        }
        Ok(Self { dims, element, bytes })
    }

    /// The values as float32, little-endian.
    fn widen(&self) -> Result<Vec<u8>, String> {
        match self.element {
            Element::F64 => self.each(|eight: [u8; 8]| f64::from_le_bytes(eight) as f32),
            Element::F32 => self.each(f32::from_le_bytes),
            Element::F16 => self.each(|two| f16::from_le_bytes(two).to_f32()),
            Element::Bf16 => self.each(|two| bf16::from_le_bytes(two).to_f32()),
            Element::Other(_) => Err("its values are not floating-point numbers".to_owned()),
        }
    }

    fn each<const N: usize>(&self, value: impl Fn([u8; N]) -> f32) -> Result<Vec<u8>, String> {
        let mut widened = Vec::with_capacity(self.bytes.len() / N * 4);
        for raw in self.bytes.as_chunks::<N>().0 {
            let value = value(*raw);
            if !value.is_finite() {
                return Err("a value is not a finite number".to_owned());
            }
            widened.extend_from_slice(&value.to_le_bytes());
        }
        Ok(widened)
    }
}

/// The number of values of that shape.
pub(crate) fn count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim))
}

/// The tensors of a file.
#[derive(Debug, Default)]
pub(crate) struct Weights<'a> {
    tensors: BTreeMap<String, Tensor<'a>>,
    /// The bytes taken so far, as float32.
    expanded: usize,
}

impl<'a> Weights<'a> {
    pub(crate) fn insert(&mut self, name: &str, tensor: Tensor<'a>) -> Result<(), WeightsError> {
        if name.len() > MAX_NAME {
            return Err(WeightsError::File(format!("a tensor has a name of {} bytes", name.len())));
        }
        match self.tensors.insert(name.to_owned(), tensor) {
            None => Ok(()),
            Some(_) => Err(WeightsError::Tensor { name: name.to_owned(), what: "is there twice".to_owned() }),
        }
    }

    /// The names of the tensors that are not taken yet, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor that has to have `RANK` dimensions.
    pub(crate) fn dims<const RANK: usize>(&self, name: &str) -> Result<[usize; RANK], WeightsError> {
        let tensor = self.tensors.get(name).ok_or_else(|| WeightsError::Missing(name.to_owned()))?;
        tensor.dims.as_slice().try_into().map_err(|_| WeightsError::Tensor {
            name: name.to_owned(),
            what: format!("has the shape {:?}, expected {RANK} dimensions", tensor.dims),
        })
    }

    /// Takes a tensor of exactly the shape `expected` out, as little-endian float32 bytes.
    pub(crate) fn take(&mut self, name: &str, expected: &[usize]) -> Result<Vec<u8>, WeightsError> {
        let tensor = self.remove(name, expected)?;
        let fail = |what: String| WeightsError::Tensor { name: name.to_owned(), what };
        let size = count(expected).and_then(|count| count.checked_mul(4));
        let grown = size.and_then(|size| self.expanded.checked_add(size)).filter(|&size| size <= MAX_EXPANDED);
        self.expanded = grown.ok_or_else(|| fail("is more than an ONNX file can hold".to_owned()))?;
        tensor.widen().map_err(fail)
    }

    /// Takes a tensor of exactly the shape `expected` out, and leaves its values unused.
    pub(crate) fn pass_over(&mut self, name: &str, expected: &[usize]) -> Result<(), WeightsError> {
        self.remove(name, expected).map(drop)
    }

    /// Takes a counter out, which only training uses and which some files do not have.
    pub(crate) fn pass_over_counter(&mut self, name: &str) -> Result<(), WeightsError> {
        if self.has(name) { self.pass_over(name, &[]) } else { Ok(()) }
    }

    /// Removes the `module.` that training on several devices puts before every name.
    pub(crate) fn without_module(mut self) -> Self {
        const MODULE: &str = "module.";
        if self.names().all(|name| name.starts_with(MODULE)) {
            let short = |(name, tensor): (String, _)| (name[MODULE.len()..].to_owned(), tensor);
            self.tensors = self.tensors.into_iter().map(short).collect();
        }
        self
    }

    #[cfg(test)]
    pub(crate) fn discard(&mut self, name: &str) {
        self.tensors.remove(name).unwrap();
    }

    /// Gives a tensor one more dimension.
    #[cfg(test)]
    pub(crate) fn misshape(&mut self, name: &str) {
        self.tensors.get_mut(name).unwrap().dims.push(1);
    }

    /// Adds a copy of a tensor under the name `NAME.copy`.
    #[cfg(test)]
    pub(crate) fn double(&mut self, name: &str) {
        let copy = self.tensors[name].clone();
        self.tensors.insert(format!("{name}.copy"), copy);
    }

    fn remove(&mut self, name: &str, expected: &[usize]) -> Result<Tensor<'a>, WeightsError> {
        let tensor = self.tensors.remove(name).ok_or_else(|| WeightsError::Missing(name.to_owned()))?;
        if tensor.dims != expected {
            let (expected, got) = (expected.to_vec(), tensor.dims);
            return Err(WeightsError::Shape { name: name.to_owned(), expected, got });
        }
        Ok(tensor)
    }

    /// Checks that every tensor was taken.
    pub(crate) fn finish(&self) -> Result<(), WeightsError> {
        match self.names().next() {
            None => Ok(()),
            Some(name) => Err(WeightsError::Surplus(name.to_owned())),
        }
    }
}
