//! Walks over the fields of a [protobuf message](https://protobuf.dev/programming-guides/encoding/) without reading their
//! contents, so that the description of a model is read without its weights. `prost` can only skip what is in memory.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// The most fields of a message; no model has so many.
const MAX_FIELDS: usize = 1 << 20;

/// One field: where it lies with its tag, and where its content lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// The field number.
    pub number: u64,
    /// The range of the tag and the content.
    pub whole: Range<u64>,
    /// The range of the content of a length-delimited field; `None` for a number.
    pub content: Option<Range<u64>>,
    /// The value of a varint field; `None` for any other.
    pub value: Option<u64>,
}

/// Finds the fields of the message that lies at `range` of `from`, in order.
///
/// # Errors
/// `InvalidData` for what is not a protobuf message of that length; otherwise `from`'s own errors.
pub(crate) fn fields(from: &mut (impl Read + Seek), range: Range<u64>) -> io::Result<Vec<Field>> {
    let mut fields = Vec::new();
    let mut at = range.start;
    from.seek(SeekFrom::Start(at))?;
    while at < range.end {
        let start = at;
        let tag = varint(from, &mut at)?;
        let (mut content, mut value) = (None, None);
        match tag & 7 {
            0 => value = Some(varint(from, &mut at)?),
            1 => at = skip(at, 8, range.end)?,
            2 => {
                let length = varint(from, &mut at)?;
                let end = skip(at, length, range.end)?;
                content = Some(at..end);
                at = end;
            }
            5 => at = skip(at, 4, range.end)?,
            _ => return Err(invalid("an unknown wire type")),
        }
        if at > range.end || tag >> 3 == 0 || fields.len() >= MAX_FIELDS {
            return Err(invalid("a field out of bounds"));
        }
        fields.push(Field { number: tag >> 3, whole: start..at, content, value });
        from.seek(SeekFrom::Start(at))?;
    }
    Ok(fields)
}

/// Reads the bytes at `range`, which may be at most `limit` long.
///
/// # Errors
/// `InvalidData` for a longer range; otherwise `from`'s own errors.
pub(crate) fn bytes(from: &mut (impl Read + Seek), range: &Range<u64>, limit: u64) -> io::Result<Vec<u8>> {
    let length = range.end - range.start;
    if length > limit {
        return Err(invalid("a field longer than it may be"));
    }
    from.seek(SeekFrom::Start(range.start))?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| invalid("a field longer than memory"))?];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The error for what is not an ONNX file.
pub(crate) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not an ONNX file: {what}"))
}

fn skip(at: u64, length: u64, end: u64) -> io::Result<u64> {
    at.checked_add(length).filter(|&next| next <= end).ok_or_else(|| invalid("a field past the end"))
}

fn varint(from: &mut impl Read, at: &mut u64) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        *at += 1;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            return Ok(value);
        }
    }
    Err(invalid("an endless number"))
}
