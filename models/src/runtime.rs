//! Which libraries the engine loads.

use std::path::{Path, PathBuf};

use crate::asset::Asset;
use crate::digest;
use crate::library::Library;
use crate::manifest::{self, Manifest};
use crate::pull;

/// Why there is no runtime to load.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RuntimeError {
    /// The path that the user named is not a file.
    #[error("ORT_DYLIB_PATH names {}, which is not a file", .0.display())]
    Absent(PathBuf),
    /// The runtime is not pulled yet.
    #[error("ONNX Runtime is not installed in {}: run `remaster models pull onnxruntime`, or set ORT_DYLIB_PATH", .0.display())]
    NotInstalled(PathBuf),
    /// A file of a pulled runtime is not the one that this release pins.
    #[error("{} is not the file that was fetched: remove it, and run `remaster models pull {id}`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The id of the runtime.
        id: String,
    },
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
        self.whole(asset).ok_or_else(|| RuntimeError::NotInstalled(self.dir().into()))
    }

    /// OpenVINO's library to load, where it is pulled.
    #[must_use]
    pub fn openvino_path(&self, manifest: &Manifest) -> Option<PathBuf> {
        self.whole(manifest.openvino()?)
    }

    /// The libraries of the runtime for GPUs to load, where all its files are pulled: that of ONNX Runtime, which loads its providers by
    /// itself, and those that these need, each after what it needs.
    #[must_use]
    pub fn cuda_paths(&self, manifest: &Manifest) -> Option<Vec<PathBuf>> {
        let is_provider = |path: &Path| path.to_string_lossy().contains("_providers_");
        let cuda = manifest.cuda().filter(|cuda| pull::is_installed(cuda, self))?;
        Some(self.paths(cuda).filter(|path| !is_provider(path)).collect())
    }

    /// Hashes the files of a pulled runtime, which are about to be loaded.
    ///
    /// # Errors
    /// One of them cannot be read, or is not the one that the manifest pins.
    pub fn check_runtime(&self, asset: &Asset) -> Result<(), RuntimeError> {
        for file in &asset.files {
            let path = self.dir().join(asset.folder()).join(&file.name);
            if digest::of_file(&path).ok().as_ref() != Some(&file.sha256) {
                return Err(RuntimeError::Damaged { path, id: asset.id.clone() });
            }
        }
        Ok(())
    }

    /// The first file of a runtime, where all its files are there.
    fn whole(&self, asset: &Asset) -> Option<PathBuf> {
        if self.paths(asset).all(|path| path.is_file()) { self.paths(asset).next() } else { None }
    }

    fn paths(&self, asset: &Asset) -> impl Iterator<Item = PathBuf> {
        asset.files.iter().map(|file| self.dir().join(asset.folder()).join(&file.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_for_gpus_is_there_when_all_its_files_are() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::open(dir.path().into()).unwrap();
        let manifest = Manifest::embedded().unwrap();
        let Some(cuda) = manifest.cuda() else { return };
        let folder = dir.path().join(cuda.folder());
        std::fs::create_dir(&folder).unwrap();
        for file in &cuda.files {
            assert_eq!(library.cuda_paths(&manifest), None, "{}", file.name);
            // Without data they take no space.
            std::fs::File::create(folder.join(&file.name)).unwrap().set_len(file.bytes).unwrap();
        }
        let paths = library.cuda_paths(&manifest).unwrap();
        assert!(paths[0].file_name().unwrap().to_string_lossy().starts_with("libonnxruntime.so"));
        assert!(paths.iter().all(|path| !path.to_string_lossy().contains("_providers_")));
        let at = |name: &str| paths.iter().position(|path| path.ends_with(name)).unwrap();
        assert!(at("libcublasLt.so.12") < at("libcublas.so.12") && at("libcudnn_graph.so.9") < at("libcudnn_cnn.so.9"));
    }

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
