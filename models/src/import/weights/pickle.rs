//! A pickle machine for what `torch.save` writes of weights, and nothing else.
//!
//! It never calls anything. A global that is not in [`global`]'s short list is refused by name, and so is any opcode
//! outside of protocol 2's plain data. Objects live in one list and refer to each other by index, as pickle's memo
//! asks; since nothing follows references without bounds, an object that contains itself does no harm.

mod machine;
mod opcodes;
mod torch;

use self::machine::{Machine, Stop};
use super::WeightsError;
use super::tensors::Element;

/// The largest known pickle, GFPGAN's, is 0.1 MiB.
const MAX_PICKLE: usize = 4 << 20;

/// An object's place in [`Objects`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ref(usize);

/// What `torch.save` writes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// None, a float: there, but of no use for weights.
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

fn global(module: &str, name: &str) -> Option<Global> {
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
pub(crate) struct Objects<'a>(Vec<Value<'a>>);

impl<'a> Objects<'a> {
    pub(crate) fn get(&self, at: Ref) -> &Value<'a> {
        self.0.get(at.0).unwrap_or(&Value::Ignored)
    }

    /// Every storage that is described, by its key, and how it holds values.
    pub(crate) fn storages(&self) -> impl Iterator<Item = (&'a str, Element)> {
        self.0.iter().filter_map(|value| match *value {
            Value::Storage { element, key, .. } => Some((key, element)),
            _ => None,
        })
    }
}

/// A pickle that was read.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    pub objects: Objects<'a>,
    /// What the pickle is about.
    pub root: Ref,
    /// Its bytes: it tells its own end.
    pub length: usize,
}

/// Reads the pickle that `bytes` begins with.
pub(crate) fn read(bytes: &[u8]) -> Result<Pickle<'_>, WeightsError> {
    // One that needs more ends too early.
    let mut machine = Machine::new(&bytes[..bytes.len().min(MAX_PICKLE)]);
    loop {
        let at = machine.at;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => return Ok(Pickle { objects: machine.objects, root, length: machine.at }),
            Err(Stop::Broken(what)) => return Err(WeightsError::Pickle { at, what }),
            Err(Stop::Foreign(name)) => return Err(WeightsError::Foreign(name)),
        }
    }
}
