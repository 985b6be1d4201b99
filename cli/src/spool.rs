//! The folder in which a process keeps uploads and results until they are stored.
//!
//! Each process has a folder of its own under `DATA_DIR`, so that several processes may share `DATA_DIR`. A process locks its
//! folder while it runs. The next process to start removes every folder whose lock is free, because its process was killed.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

const PREFIX: &str = "spool-";

/// Makes the folder if it is missing, for this user only: strangers' pictures are in it.
pub fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// A spool folder, which is removed when this value is dropped.
pub struct Spool {
    folder: PathBuf,
    _lock: File,
}

impl Spool {
    /// Creates and locks a folder under `data_dir`, and removes abandoned ones.
    ///
    /// # Errors
    /// `data_dir` cannot be created, read or written.
    pub fn new(data_dir: &Path) -> io::Result<Self> {
        make_private(data_dir)?;
        remove_abandoned(data_dir)?;
        let folder = data_dir.join(format!("{PREFIX}{}", Uuid::new_v4()));
        // It gets its name only after it is locked, so that no other process takes it for an abandoned one.
        let unnamed = data_dir.join(format!(".{PREFIX}{}", Uuid::new_v4()));
        std::fs::create_dir(&unnamed)?;
        let lock = File::create(unnamed.join("lock"))?;
        lock.try_lock()?;
        std::fs::rename(&unnamed, &folder)?;
        Ok(Self { folder, _lock: lock })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "the spool folder cannot be removed; the next process removes it");
        }
    }
}

fn remove_abandoned(data_dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(data_dir)? {
        let path = entry?.path();
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        // If two processes start together, one of them removes the folder and the other finds none.
        let abandoned = || File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if ours && abandoned() {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_folders_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let abandoned = folder.path().join("spool-of-a-killed-one");
        std::fs::create_dir(&abandoned).unwrap();
        std::fs::write(abandoned.join("lock"), "").unwrap();
        std::fs::write(abandoned.join("upload"), "x").unwrap();
        let first = Spool::new(folder.path()).unwrap();
        let second = Spool::new(folder.path()).unwrap();
        assert!(!abandoned.exists());
        assert!(first.path().is_dir() && second.path().is_dir() && first.path() != second.path());
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists() && second.path().is_dir());
    }
}
