//! The parts of the machine: its stack, its memo, and the reading of the arguments of opcodes.

use std::collections::HashMap;

use super::value::{Objects, Ref, Value};

/// Why the machine stops before the end.
pub(super) enum Stop {
    /// The pickle is broken, or has an opcode that is not accepted.
    Broken(String),
    /// The pickle names a Python object that is not accepted.
    Foreign(String),
}

impl From<&str> for Stop {
    fn from(what: &str) -> Self {
        Self::Broken(what.to_owned())
    }
}

/// The virtual machine of pickles: a stack with marks, and a memo.
#[derive(Default)]
pub(super) struct Machine<'a> {
    /// The bytes of the pickle, and perhaps more behind it.
    all: &'a [u8],
    /// The position of the next opcode.
    pub(super) at: usize,
    pub(super) objects: Objects<'a>,
    pub(super) stack: Vec<Ref>,
    /// The height of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Ref>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(all: &'a [u8]) -> Self {
        Self { all, ..Self::default() }
    }

    pub(super) fn mark(&mut self) {
        self.marks.push(self.stack.len());
    }

    pub(super) fn long(&mut self) -> Result<(), Stop> {
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

    pub(super) fn set_items(&mut self, items: &[Ref]) -> Result<(), Stop> {
        let dict = self.stack.last().and_then(|top| self.objects.0.get_mut(top.0));
        let Some(Value::Dict(entries)) = dict else {
            return Err("sets items of what is no dictionary".into());
        };
        let (pairs, rest) = items.as_chunks::<2>();
        entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
        if rest.is_empty() { Ok(()) } else { Err("a key without a value".into()) }
    }

    pub(super) fn append(&mut self, items: &[Ref]) -> Result<(), Stop> {
        let list = self.stack.last().and_then(|top| self.objects.0.get_mut(top.0));
        let Some(Value::List(entries)) = list else {
            return Err("appends to what is no list".into());
        };
        entries.extend(items);
        Ok(())
    }

    pub(super) fn push(&mut self, value: Value<'a>) {
        self.stack.push(Ref(self.objects.0.len()));
        self.objects.0.push(value);
    }

    /// Takes the top of the stack, but nothing from below the last mark.
    pub(super) fn pop(&mut self) -> Result<Ref, Stop> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err("takes from an empty stack".into());
        }
        self.stack.pop().ok_or_else(|| "takes from an empty stack".into())
    }

    pub(super) fn pop_tuple(&mut self) -> Result<Vec<Ref>, Stop> {
        let top = self.pop()?;
        match self.objects.get(top) {
            Value::Tuple(items) => Ok(items.clone()),
            _ => Err("something that should be a tuple is not".into()),
        }
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Ref>, Stop> {
        let mark = self.marks.pop().ok_or("there is no mark")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    pub(super) fn put(&mut self, key: u32) -> Result<(), Stop> {
        let top = *self.stack.last().ok_or("remembers from an empty stack")?;
        self.memo.insert(key, top);
        Ok(())
    }

    pub(super) fn recall(&mut self, key: u32) -> Result<(), Stop> {
        let known = *self.memo.get(&key).ok_or("recalls what was not remembered")?;
        self.stack.push(known);
        Ok(())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Stop> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| "it ends too early".into())
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(length).ok_or("it ends too early")?;
        let bytes = self.all.get(self.at..end).ok_or("it ends too early")?;
        self.at = end;
        Ok(bytes)
    }

    /// Reads a name, which ends with its line.
    pub(super) fn line(&mut self) -> Result<&'a str, Stop> {
        let rest = &self.all[self.at..];
        let length = rest.iter().take(128).position(|&byte| byte == b'\n').ok_or("a name has no end")?;
        let line = self.bytes(length)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| "a name is not UTF-8".into())
    }
}
