//! Writing to the models directory: complete or not at all, and a full disk said in one line.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why the models directory could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No room, a quota, or a file size limit. Nothing half-written is left behind.
    #[error("no room in {} for {needed} bytes ({source})", dir.display())]
    Full {
        /// The directory that is full.
        dir: PathBuf,
        /// Bytes that the write needs in all.
        needed: u64,
        /// The system's own words.
        source: io::Error,
    },
    /// Any other failure, such as a missing permission.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's own words.
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

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

/// Whether an error says that there is no room: `ENOSPC`, `EDQUOT` or `EFBIG`.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Writes `parts` to `path` under a temporary name in the same directory, syncs, and renames.
/// On an error the temporary file is gone and an older `path` is untouched.
pub(crate) fn write_atomic(path: &Path, parts: &[&[u8]]) -> Result<(), DiskError> {
    let needed = parts.iter().map(|part| part.len() as u64).sum();
    let fail = |error| DiskError::writing(path, needed, error);
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir).map_err(fail)?;
    for part in parts {
        file.write_all(part).map_err(fail)?;
    }
    share(file.as_file()).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    sync_dir(dir);
    Ok(())
}

/// Syncs and renames the finished `from` to `to`, on the same file system.
pub(crate) fn settle(from: &Path, to: &Path, bytes: u64) -> Result<(), DiskError> {
    let fail = |error| DiskError::writing(to, bytes, error);
    File::open(from).and_then(|file| file.sync_all()).map_err(fail)?;
    fs::rename(from, to).map_err(fail)?;
    sync_dir(to.parent().unwrap_or(Path::new(".")));
    Ok(())
}

/// Creates `dir` and its parents.
pub(crate) fn make_dir(dir: &Path) -> Result<(), DiskError> {
    fs::create_dir_all(dir).map_err(|error| DiskError::writing(dir, 0, error))
}

/// Temporary files start private; installed ones are read by other users of the machine, such as a service account.
fn share(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    let _ = file;
    Ok(())
}

/// The rename is durable once its directory is; a file system that cannot sync one loses nothing verified.
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
        write_atomic(&path, &[b"old"]).unwrap();
        write_atomic(&path, &[b"ne", b"w"]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let full = DiskError::writing(Path::new("/m/a"), 9, io::ErrorKind::StorageFull.into());
        assert!(full.to_string().starts_with("no room in /m for 9 bytes"), "{full}");
        let other = DiskError::writing(Path::new("/m/a"), 9, io::ErrorKind::PermissionDenied.into());
        assert!(matches!(other, DiskError::Io { .. }));
    }
}
