//! Copies a file from a mirror that is a directory, in which it lies under its own name.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::error::{Failure, SourceError};
use super::meter::Meter;
use super::part::Part;

/// Copies the file of `part` from `dir`.
///
/// # Errors
/// A directory without the file, or with one of another size; a full disk.
pub(crate) fn copy<'a>(dir: &Path, part: Part<'a>, meter: &Meter<'_>) -> Result<Part<'a>, Failure> {
    if !dir.is_dir() {
        return Err(SourceError::Unreachable("no such directory".into()).into());
    }
    let mut from = File::open(dir.join(&part.file().name)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => SourceError::Absent,
        _ => SourceError::Unreadable(error.to_string()),
    })?;
    let size = from.metadata().map_err(|error| SourceError::Unreadable(error.to_string()))?.len();
    part.admit(size)?;
    drain(&mut from, part, meter)
}

/// Copies `from` into `part` until its end.
///
/// # Errors
/// More bytes than the part takes; an error of `from`; a full disk.
pub(crate) fn drain<'a>(from: &mut impl Read, mut part: Part<'a>, meter: &Meter<'_>) -> Result<Part<'a>, Failure> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(part),
            Ok(count) => {
                part.write(&buffer[..count])?;
                meter.file_at(part.written());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(SourceError::Unreadable(error.to_string()).into()),
        }
    }
}
