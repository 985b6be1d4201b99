//! Objects as files in a folder of this machine, or of a share that is mounted here.

use std::{path::Path, time::Duration};

use object_store::local::LocalFileSystem;

use super::open::StorageError;

/// The longest that a write is given.
pub(super) const STAGED: Duration = Duration::from_secs(3600);

/// Objects under `folder`, which is made when missing. Writes are durable before they are acknowledged.
pub fn open(folder: &Path) -> Result<LocalFileSystem, StorageError> {
    std::fs::create_dir_all(folder).map_err(|error| StorageError::Folder(error.to_string()))?;
    forget_staged(folder);
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| StorageError::Folder(error.to_string()))?;
    Ok(store.with_fsync(true).with_automatic_cleanup(true))
}

/// A write is staged beside its place as `NAME#N`; one that a crash cut short stays there, and listings pass it over. What
/// is older than a write can take is removed.
fn forget_staged(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let staged = name.rsplit_once('#').is_some_and(|(_, number)| number.parse::<u64>().is_ok());
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        if path.is_dir() {
            forget_staged(&path);
        } else if staged && age.is_some_and(|age| age > STAGED) {
            let removed = std::fs::remove_file(&path);
            tracing::info!(path = %path.display(), ?removed, "an unfinished write of an earlier process");
        }
    }
}
