//! A copy of the database of a process that goes on meanwhile.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::{DATABASE, open};

/// Why the database is not copied.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is none, or it cannot be read.
    #[error("{0} cannot be copied: {1}")]
    Database(PathBuf, #[source] rusqlite::Error),
    /// The copy cannot be written.
    #[error(transparent)]
    Copy(#[from] open::OpenError),
    /// It is not certain that the copy is on the disk.
    #[error("the copy cannot be kept on the disk: {0}")]
    Disk(#[from] std::io::Error),
}

/// Copies the database in the folder `data` to the folder `to`, as it is at one moment, while another process may write to it.
///
/// # Errors
/// There is no database in `data`, there is one in `to` already, or the copy cannot be written.
pub fn back_up(data: &Path, to: &Path) -> Result<(), BackupError> {
    let (from, copy) = (data.join(DATABASE), to.join(DATABASE));
    let database = |error| BackupError::Database(from.clone(), error);
    let connection = Connection::open_with_flags(&from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(database)?;
    open::keep_private(&copy)?;
    // One read transaction; the writer of the other process does not wait for it.
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()]).map_err(database)?;
    Ok(File::open(copy)?.sync_all()?)
}
