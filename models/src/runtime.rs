//! Which ONNX Runtime library the engine loads.

use std::path::{Path, PathBuf};

use crate::library::Library;
use crate::manifest::{self, Manifest};

/// Why there is no runtime to load.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RuntimeError {
    /// The path that the user named is not a file.
    #[error("ORT_DYLIB_PATH names {}, which is not a file", .0.display())]
    Absent(PathBuf),
    /// The runtime is not pulled yet.
    #[error("ONNX Runtime is not installed in {}: run `remaster models pull onnxruntime`, or set ORT_DYLIB_PATH", .0.display())]
    NotInstalled(PathBuf),
    /// The manifest has no library for this platform.
    #[error("no ONNX Runtime is listed for {0}: set ORT_DYLIB_PATH to a libonnxruntime of version 1.22 or later")]
    Unlisted(String),
}

impl Library {
    /// The runtime library to load: `ort_dylib_path` when it is given, or else the pulled one.
    ///
    /// # Errors
    /// A named path that is not a file; no pulled library; a platform that the manifest does not cover.
    pub fn runtime_path(&self, manifest: &Manifest, ort_dylib_path: Option<&Path>) -> Result<PathBuf, RuntimeError> {
        if let Some(path) = ort_dylib_path {
            return if path.is_file() { Ok(path.into()) } else { Err(RuntimeError::Absent(path.into())) };
        }
        let asset = manifest.runtime().ok_or_else(|| RuntimeError::Unlisted(manifest::platform()))?;
        match asset.files.first().map(|file| self.dir().join(asset.folder()).join(&file.name)) {
            Some(path) if path.is_file() => Ok(path),
            _ => Err(RuntimeError::NotInstalled(self.dir().into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_library_wins_and_a_missing_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::open(dir.path().join("m")).unwrap();
        let manifest = Manifest::embedded().unwrap();
        let own = dir.path().join("libonnxruntime.so");
        assert_eq!(library.runtime_path(&manifest, Some(&own)), Err(RuntimeError::Absent(own.clone())));
        std::fs::write(&own, b"x").unwrap();
        assert_eq!(library.runtime_path(&manifest, Some(&own)), Ok(own));
        let error = library.runtime_path(&manifest, None).unwrap_err();
        assert!(matches!(error, RuntimeError::NotInstalled(_) | RuntimeError::Unlisted(_)));
    }
}
