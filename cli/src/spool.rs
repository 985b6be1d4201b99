//! The folder in which a process keeps uploads and results until they are stored.
//!
//! Each process has its own under `DATA_DIR`, so that several may share that. What a killed one left is removed by the
//! next to start: its lock is free.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

const PREFIX: &str = "spool-";

/// Removed when dropped.
pub struct Spool {
    folder: PathBuf,
    _lock: File,
}

impl Spool {
    pub fn new(data_dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        forget_abandoned(data_dir)?;
        let folder = data_dir.join(format!("{PREFIX}{}", Uuid::new_v4()));
        // Locked before it has its name: nobody takes it for an abandoned one.
        let unnamed = data_dir.join(format!(".{PREFIX}{}", Uuid::new_v4()));
        std::fs::create_dir(&unnamed)?;
        let lock = File::create(unnamed.join("lock"))?;
        lock.try_lock()?;
        std::fs::rename(&unnamed, &folder)?;
        Ok(Self { folder, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "the spool folder stays; the next process removes it");
        }
    }
}

fn forget_abandoned(data_dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(data_dir)? {
        let path = entry?.path();
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        // Of two processes that start together one removes it, and the other finds nothing.
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
    fn what_a_killed_process_left_is_removed_and_what_lives_is_not() {
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
