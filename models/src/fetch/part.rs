//! The `.part` file: what has arrived of one pinned file, hashed as it arrives.
//!
//! Invariants: it is never longer than the pinned size; it is removed on drop unless it was settled or kept for a later
//! resume. Its name has the pinned hash in it, so that it is not resumed once the manifest pins another file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use super::error::{Failure, SourceError};
use crate::asset::AssetFile;
use crate::digest::Hasher;
use crate::disk::{self, DiskError};

/// A file that is arriving.
pub(crate) struct Part<'a> {
    path: PathBuf,
    out: File,
    file: &'a AssetFile,
    hasher: Hasher,
    written: u64,
    keep: bool,
}

impl<'a> Part<'a> {
    /// Makes an empty part for `file` in `dir`.
    pub(crate) fn fresh(dir: &Path, file: &'a AssetFile) -> Result<Self, Failure> {
        let mut part = Self::resume(dir, file)?;
        part.reset()?;
        Ok(part)
    }

    /// Opens the part that an interrupted transfer left in `dir`, or makes an empty one.
    pub(crate) fn resume(dir: &Path, file: &'a AssetFile) -> Result<Self, Failure> {
        let path = dir.join(format!(".{}.{}.part", file.name, &file.sha256[..12]));
        let fail = |error| DiskError::writing(&path, file.bytes, error);
        let mut out =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
        let mut hasher = Hasher::default();
        let written = io::copy(&mut out, &mut hasher).map_err(fail)?;
        let mut part = Self { path, out, file, hasher, written, keep: false };
        if written > file.bytes {
            part.reset()?;
        }
        Ok(part)
    }

    /// The bytes that have arrived.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The pinned file that this becomes.
    pub(crate) fn file(&self) -> &'a AssetFile {
        self.file
    }

    /// Starts again with nothing.
    pub(crate) fn reset(&mut self) -> Result<(), Failure> {
        let reset = self.out.set_len(0).and_then(|()| self.out.rewind());
        reset.map_err(|error| DiskError::writing(&self.path, self.file.bytes, error))?;
        self.hasher = Hasher::default();
        self.written = 0;
        Ok(())
    }

    /// Appends `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let grown = self.written.saturating_add(bytes.len() as u64);
        self.admit(grown.max(self.file.bytes))?;
        self.out.write_all(bytes).map_err(|error| DiskError::writing(&self.path, self.file.bytes, error))?;
        self.hasher.update(bytes);
        self.written = grown;
        Ok(())
    }

    /// Refuses a source that announces, or has sent, another size than the pinned one.
    pub(crate) fn admit(&self, size: u64) -> Result<(), Failure> {
        if size == self.file.bytes {
            return Ok(());
        }
        Err(SourceError::WrongSize { got: size, expected: self.file.bytes }.into())
    }

    /// Leaves what has arrived for a later resume.
    pub(crate) fn keep(mut self) {
        self.keep = self.written > 0;
    }

    /// Verifies size and hash, then gives the file its final name.
    pub(crate) fn settle(mut self, target: &Path) -> Result<(), Failure> {
        self.admit(self.written)?;
        let got = std::mem::take(&mut self.hasher).finish();
        if got != self.file.sha256 {
            return Err(SourceError::WrongHash { got, expected: self.file.sha256.clone() }.into());
        }
        disk::settle(&self.path, target, self.file.bytes)?;
        self.keep = true;
        Ok(())
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.keep {
            // An error does not matter, because the next fetch truncates what is left.
            let _ = fs::remove_file(&self.path);
        }
    }
}
