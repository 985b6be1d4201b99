//! The objects of a pickle.

use super::super::tensors::Element;

/// The place of an object in [`Objects`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ref(pub(super) usize);

/// An object of the kinds that `torch.save` writes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// `None` or a float, whose value is of no use for weights.
    Ignored,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Ref>),
    List(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    Global(Global),
    /// `values` elements in the file's storage `key`.
    Storage {
        element: Element,
        key: &'a str,
        values: usize,
    },
    /// A view into a storage; `offset` and `strides` count elements.
    Tensor {
        storage: Ref,
        offset: usize,
        dims: Vec<usize>,
        strides: Vec<usize>,
    },
}

/// The Python names that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
}

/// The accepted Python name `module.name`.
pub(super) fn global(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch", "DoubleStorage") => Global::Storage(Element::F64),
        ("torch", "FloatStorage") => Global::Storage(Element::F32),
        ("torch", "HalfStorage") => Global::Storage(Element::F16),
        ("torch", "BFloat16Storage") => Global::Storage(Element::Bf16),
        ("torch", "LongStorage") => Global::Storage(Element::Other(8)),
        ("torch", "IntStorage") => Global::Storage(Element::Other(4)),
        ("torch", "ShortStorage") => Global::Storage(Element::Other(2)),
        ("torch", "CharStorage" | "ByteStorage" | "BoolStorage") => Global::Storage(Element::Other(1)),
        _ => return None,
    })
}

/// Every object of a pickle.
#[derive(Debug, Default)]
pub(crate) struct Objects<'a>(pub(super) Vec<Value<'a>>);

impl<'a> Objects<'a> {
    /// The object at `at`.
    pub(crate) fn get(&self, at: Ref) -> &Value<'a> {
        self.0.get(at.0).unwrap_or(&Value::Ignored)
    }

    /// Every storage that the pickle describes, by its key, and how it holds values.
    pub(crate) fn storages(&self) -> impl Iterator<Item = (&'a str, Element)> {
        self.0.iter().filter_map(|value| match *value {
            Value::Storage { element, key, .. } => Some((key, element)),
            _ => None,
        })
    }
}
