//! A machine for the [pickles](https://github.com/python/cpython/blob/main/Lib/pickletools.py) that `torch.save` writes
//! of weights, and for nothing else.
//!
//! The machine never calls anything. A Python name that is not in the short list of [`value::global`] is refused, and so
//! is any opcode that the plain data of protocol 2 does not need. Objects live in one list and refer to each other by
//! index, because the memo of a pickle lets several places share an object. Nothing follows references without a bound,
//! so an object that contains itself does no harm.

mod machine;
mod opcodes;
mod torch;
pub(super) mod value;

use self::machine::{Machine, Stop};
use self::value::{Objects, Ref};
use super::error::WeightsError;

/// The most bytes of a pickle that are read. The largest known pickle, that of GFPGAN, has 0.1 MiB.
const MAX_PICKLE: usize = 4 << 20;

/// A pickle that was read.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    pub objects: Objects<'a>,
    /// The object that the pickle stands for.
    pub root: Ref,
    /// The pickle's length in bytes; a pickle tells its own end.
    pub length: usize,
}

/// Reads the pickle that `bytes` begins with.
///
/// # Errors
/// An opcode or a Python name that is not accepted.
pub(crate) fn read(bytes: &[u8]) -> Result<Pickle<'_>, WeightsError> {
    // A longer pickle is refused as one that ends too early.
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
