//! Objects as files in a local folder or on a mounted network share.

use std::{path::Path, time::Duration};

use object_store::local::LocalFileSystem;

use super::storage::StorageError;

/// The age from which a staged file counts as abandoned. No write takes this long.
pub(super) const MAX_STAGED_AGE: Duration = Duration::from_secs(3600);

/// Opens `folder`, which is created if it is missing. Writes are durable before they are acknowledged.
pub fn open(folder: &Path) -> Result<LocalFileSystem, StorageError> {
    std::fs::create_dir_all(folder).map_err(StorageError::CreateFolder)?;
    remove_abandoned_staged_files(folder);
    let store = LocalFileSystem::new_with_prefix(folder).map_err(StorageError::Client)?;
    Ok(store.with_fsync(true).with_automatic_cleanup(true))
}

/// `object_store` stages each write beside its destination as `NAME#N`. A staged file that a crash left behind stays there,
/// and listings skip it. This function removes those that are too old to belong to a running write.
fn remove_abandoned_staged_files(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let staged = name.rsplit_once('#').is_some_and(|(_, number)| number.parse::<u64>().is_ok());
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        if path.is_dir() {
            remove_abandoned_staged_files(&path);
        } else if staged && age.is_some_and(|age| age > MAX_STAGED_AGE) {
            let removed = std::fs::remove_file(&path);
            tracing::info!(path = %path.display(), ?removed, "removed an unfinished write of an earlier process");
        }
    }
}
