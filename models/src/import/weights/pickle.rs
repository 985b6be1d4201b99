//! A pickle machine for what `torch.save` writes of weights, and nothing else.
//!
//! It never calls anything. A global that is not in [`global`]'s short list is refused by name, and so is any opcode
//! outside of protocol 2's plain data. Objects live in one list and refer to each other by index, as pickle's memo
//! asks; since nothing follows references without bounds, an object that contains itself does no harm.

use std::collections::HashMap;

use super::WeightsError;
use super::tensors::Element;

/// The largest known pickle, GFPGAN's, is 0.1 MiB.
const MAX_PICKLE: usize = 4 << 20;
/// A convolution has 4 dimensions.
const MAX_RANK: usize = 8;
/// Storages are counted.
const MAX_KEY: usize = 32;

/// An object's place in [`Objects`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ref(usize);

/// What `torch.save` writes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// None, a boolean, a float, a list: there, but of no use for weights.
    Ignored,
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    Global(Global),
    /// `values` elements in the archive's member `data/key`.
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
}

/// Reads a pickle; returns its objects and the one it is about.
pub(crate) fn read(bytes: &[u8]) -> Result<(Objects<'_>, Ref), WeightsError> {
    if bytes.len() > MAX_PICKLE {
        return Err(WeightsError::File(format!(
            "its data.pkl is larger than the {MAX_PICKLE} bytes that are accepted"
        )));
    }
    let mut machine = Machine { all: bytes, ..Machine::default() };
    loop {
        let at = machine.at;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => return Ok((machine.objects, root)),
            Err(Stop::Broken(what)) => return Err(WeightsError::Pickle { at, what }),
            Err(Stop::Foreign(name)) => return Err(WeightsError::Foreign(name)),
        }
    }
}

/// Why the machine stops before the end.
enum Stop {
    Broken(String),
    Foreign(String),
}

impl From<&str> for Stop {
    fn from(what: &str) -> Self {
        Self::Broken(what.to_owned())
    }
}

/// Pickle's virtual machine: a stack with marks, and a memo.
#[derive(Default)]
struct Machine<'a> {
    all: &'a [u8],
    at: usize,
    objects: Objects<'a>,
    stack: Vec<Ref>,
    marks: Vec<usize>,
    memo: HashMap<u32, Ref>,
}

impl<'a> Machine<'a> {
    /// One opcode, by its letter in Python's `pickle` module; the object in question at STOP.
    fn step(&mut self) -> Result<Option<Ref>, Stop> {
        match self.byte()? {
            // PROTO
            0x80 => match self.byte()? {
                2 | 3 => {}
                other => return Err(Stop::Broken(format!("protocol {other} is not supported"))),
            },
            // STOP
            b'.' => return self.pop().map(Some),
            // MARK
            b'(' => self.marks.push(self.stack.len()),
            // NONE, NEWTRUE, NEWFALSE, EMPTY_LIST
            b'N' | 0x88 | 0x89 | b']' => self.push(Value::Ignored),
            // BINFLOAT
            b'G' => {
                self.array::<8>()?;
                self.push(Value::Ignored);
            }
            // BININT, BININT1, BININT2, LONG1
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            0x8a => self.long()?,
            // BINUNICODE
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                let text = std::str::from_utf8(self.bytes(length)?).map_err(|_| "a text is not UTF-8")?;
                self.push(Value::Text(text));
            }
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.push(Value::Tuple(Vec::new())),
            count @ 0x85..=0x87 => {
                let mut items = (0x85..=count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push(Value::Tuple(items));
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items));
            }
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            // APPEND, APPENDS: to a list, which is ignored
            b'a' => {
                self.pop()?;
                self.top_is_ignored("appends to what is no list")?;
            }
            b'e' => {
                self.pop_mark()?;
                self.top_is_ignored("appends to what is no list")?;
            }
            // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            b'q' => {
                let key = self.byte()?;
                self.put(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.put(key)?;
            }
            b'h' => {
                let key = self.byte()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            // GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let known = global(module, name).ok_or_else(|| Stop::Foreign(format!("{module}.{name}")))?;
                self.push(Value::Global(known));
            }
            // BINPERSID
            b'Q' => self.storage()?,
            // REDUCE
            b'R' => self.rebuild()?,
            // BUILD: the attributes of an OrderedDict, where PyTorch keeps version numbers
            b'b' => {
                self.pop()?;
                let top = self.pop()?;
                if !matches!(self.objects.get(top), Value::Dict(_)) {
                    return Err("sets attributes of what is no dictionary".into());
                }
                self.stack.push(top);
            }
            other => return Err(Stop::Broken(format!("opcode {:?} is not accepted", char::from(other)))),
        }
        Ok(None)
    }

    /// `("storage", torch.FloatStorage, key, device, values)`, PyTorch's name for an archive member.
    fn storage(&mut self) -> Result<(), Stop> {
        let id = self.pop_tuple()?;
        let [tag, kind, key, _device, values] = id[..] else {
            return Err("a storage is not described by five values".into());
        };
        let value =
            match (self.objects.get(tag), self.objects.get(kind), self.objects.get(key), self.objects.get(values)) {
                (
                    Value::Text("storage"),
                    &Value::Global(Global::Storage(element)),
                    &Value::Text(key),
                    &Value::Int(values),
                ) => {
                    let values = usize::try_from(values).map_err(|_| "a storage of a negative size")?;
                    if key.len() > MAX_KEY {
                        return Err("a storage of an absurd name".into());
                    }
                    Value::Storage { element, key, values }
                }
                _ => return Err("a storage is not described as PyTorch does".into()),
            };
        self.push(value);
        Ok(())
    }

    /// What Python would do by a call: an empty dictionary, a tensor, or a parameter, which is a tensor.
    fn rebuild(&mut self) -> Result<(), Stop> {
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

    fn long(&mut self) -> Result<(), Stop> {
        let length = self.byte()?.into();
        let raw = self.bytes(length)?;
        if raw.len() > 8 {
            return Err("a number of more than 64 bits".into());
        }
        let fill = if raw.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut eight = [fill; 8];
        eight[..raw.len()].copy_from_slice(raw);
        self.push(Value::Int(i64::from_le_bytes(eight)));
        Ok(())
    }

    fn set_items(&mut self, items: &[Ref]) -> Result<(), Stop> {
        let dict = self.stack.last().and_then(|top| self.objects.0.get_mut(top.0));
        let Some(Value::Dict(entries)) = dict else {
            return Err("sets items of what is no dictionary".into());
        };
        let (pairs, rest) = items.as_chunks::<2>();
        entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
        if rest.is_empty() { Ok(()) } else { Err("a key without a value".into()) }
    }

    fn top_is_ignored(&self, otherwise: &str) -> Result<(), Stop> {
        match self.stack.last().map(|&top| self.objects.get(top)) {
            Some(Value::Ignored) => Ok(()),
            _ => Err(otherwise.into()),
        }
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(Ref(self.objects.0.len()));
        self.objects.0.push(value);
    }

    /// Takes the top of the stack, never from below the last mark.
    fn pop(&mut self) -> Result<Ref, Stop> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err("takes from an empty stack".into());
        }
        self.stack.pop().ok_or_else(|| "takes from an empty stack".into())
    }

    fn pop_tuple(&mut self) -> Result<Vec<Ref>, Stop> {
        let top = self.pop()?;
        match self.objects.get(top) {
            Value::Tuple(items) => Ok(items.clone()),
            _ => Err("something that should be a tuple is not".into()),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Ref>, Stop> {
        let mark = self.marks.pop().ok_or("there is no mark")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn put(&mut self, key: u32) -> Result<(), Stop> {
        let top = *self.stack.last().ok_or("remembers from an empty stack")?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), Stop> {
        let known = *self.memo.get(&key).ok_or("recalls what was not remembered")?;
        self.stack.push(known);
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| "it ends too early".into())
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(length).ok_or("it ends too early")?;
        let bytes = self.all.get(self.at..end).ok_or("it ends too early")?;
        self.at = end;
        Ok(bytes)
    }

    /// A name up to the end of its line.
    fn line(&mut self) -> Result<&'a str, Stop> {
        let rest = &self.all[self.at..];
        let length = rest.iter().take(128).position(|&byte| byte == b'\n').ok_or("a name has no end")?;
        let line = self.bytes(length)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| "a name is not UTF-8".into())
    }
}
