//! Writing to the models directory: a file is written completely or not at all, and a full disk is reported in one line.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why the models directory could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The disk is full, or a quota or a file size limit is reached. Nothing incomplete is left behind.
    #[error("no room in {} for {needed} bytes ({source})", dir.display())]
    Full {
        /// The directory that is full.
        dir: PathBuf,
        /// The bytes that the whole write needs.
        needed: u64,
        /// What the system says.
        source: io::Error,
    },
    /// Any other failure, such as a missing permission.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl DiskError {
    /// Classifies a failed write of `needed` bytes to `path`.
    pub(crate) fn writing(path: &Path, needed: u64, source: io::Error) -> Self {
        if is_full(&source) {
            Self::Full { dir: path.parent().unwrap_or(path).to_path_buf(), needed, source }
        } else {
            Self::io(path, source)
        }
    }

    /// A failure that is not about room.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

/// Whether the error means that there is no room: `ENOSPC`, `EDQUOT` or `EFBIG`.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Writes `bytes` under a temporary name in the directory of `path`, syncs the file, and renames it to `path`.
///
/// # Errors
/// The file cannot be written. Then the temporary file is removed, and an older `path` is as it was.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let fail = |error| DiskError::writing(path, bytes.len() as u64, error);
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    share(file.as_file()).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    sync_dir(dir);
    Ok(())
}

/// Syncs the finished file `from` and renames it to `to`, on the same file system.
///
/// # Errors
/// The file cannot be synced or renamed.
pub(crate) fn settle(from: &Path, to: &Path, bytes: u64) -> Result<(), DiskError> {
    let fail = |error| DiskError::writing(to, bytes, error);
    File::open(from).and_then(|file| file.sync_all()).map_err(fail)?;
    fs::rename(from, to).map_err(fail)?;
    sync_dir(to.parent().unwrap_or(Path::new(".")));
    Ok(())
}

/// Creates `dir` and its parents.
///
/// # Errors
/// A directory cannot be created.
pub(crate) fn make_dir(dir: &Path) -> Result<(), DiskError> {
    fs::create_dir_all(dir).map_err(|error| DiskError::writing(dir, 0, error))
}

/// An exclusive lock on a directory, by its file `.lock`. The system releases it when the file is closed, which also
/// happens when the process dies.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock of `dir`, or returns `None` when another process has it.
    ///
    /// # Errors
    /// The file cannot be created or locked.
    pub(crate) fn try_take(dir: &Path) -> Result<Option<Self>, DiskError> {
        let (path, file) = Self::open(dir)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(DiskError::writing(&path, 0, error)),
        }
    }

    /// Takes the lock of `dir`, and waits for it when another process has it.
    ///
    /// # Errors
    /// The file cannot be created or locked.
    pub(crate) fn take(dir: &Path) -> Result<Self, DiskError> {
        let (path, file) = Self::open(dir)?;
        file.lock().map_err(|error| DiskError::writing(&path, 0, error))?;
        Ok(Self { _file: file })
    }

    fn open(dir: &Path) -> Result<(PathBuf, File), DiskError> {
        let path = dir.join(".lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| DiskError::writing(&path, 0, error))?;
        Ok((path, file))
    }
}

/// Lets other users of the machine, such as a service account, read the file. Temporary files are private at first.
fn share(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    let _ = file;
    Ok(())
}

/// Makes a rename durable. Not every file system can sync a directory; if a crash undoes the rename, the file is fetched
/// again.
fn sync_dir(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_atomic(&path, b"old").unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_lock_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirLock::try_take(dir.path()).unwrap();
        assert!(held.is_some());
        assert!(DirLock::try_take(dir.path()).unwrap().is_none());
        drop(held);
        assert!(DirLock::try_take(dir.path()).unwrap().is_some());
        DirLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let full = DiskError::writing(Path::new("/m/a"), 9, io::ErrorKind::StorageFull.into());
        assert!(full.to_string().starts_with("no room in /m for 9 bytes"), "{full}");
        let other = DiskError::writing(Path::new("/m/a"), 9, io::ErrorKind::PermissionDenied.into());
        assert!(matches!(other, DiskError::Io { .. }));
    }
}
