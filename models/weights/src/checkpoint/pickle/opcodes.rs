//! The opcodes, one at a time. Those that the plain data of protocol 2 does not need are refused.

use super::machine::{Machine, Stop};
use super::value::{Ref, Value, global};

impl Machine<'_> {
    /// Does one opcode, which Python's `pickle` module names as the comments here do. Returns the result at STOP.
    pub(super) fn step(&mut self) -> Result<Option<Ref>, Stop> {
        match self.byte()? {
            // PROTO
            0x80 => match self.byte()? {
                2 | 3 => {}
                other => return Err(Stop::Broken(format!("protocol {other} is not supported"))),
            },
            // STOP
            b'.' => return self.pop().map(Some),
            // MARK
            b'(' => self.mark(),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Value::Ignored),
            flag @ (0x88 | 0x89) => self.push(Value::Bool(flag == 0x88)),
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
            // EMPTY_LIST, APPEND, APPENDS
            b']' => self.push(Value::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(&items)?;
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
            // BUILD sets the attributes of an OrderedDict, where PyTorch keeps version numbers.
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
}
